/*
 * slab.c: kernel objects of one size, several to a block of frames.
 *
 *	partial ──> [ o o . o ] ──> [ . . o . ]       slabs with free objects
 *	            [ o o o o ]                       full ones are on no list
 *	                                              o in use, . free
 *
 * Many small things that a kernel keeps about pages and requests come out of caches
 * like this one, and the memory for them decides more than its amount says. A slab is
 * a block of several frames where that wastes less (two for the nodes of the page
 * cache's index), so that who reads a file asks for blocks of order 1 and wakes kswapd
 * and kcompactd for them. The block is asked for without reclaiming; when there is
 * none, a single frame does, and only that request may do all that the caller may.
 *
 * The list is a stack: an object is taken from the slab that had one come back last,
 * and a new slab goes first. A slab that is empty goes back unless few slabs have free
 * objects: some stay for the next burst, as many as the kernel's lists of each CPU and
 * node would hold.
 *
 * Which objects are in use is a word of the first frame's descriptor (owner and index,
 * which name nothing here).
 *
 * What must never happen:
 *   1. an object given back twice, or to another slab than its own
 *   2. a slab on the list without a free object, or one with a free object that is not
 *
 * Linux: mm/slub.c: calculate_order(), allocate_slab(), set_cpu_partial(), min_partial.
 * Differs: one list for all CPUs and nodes.
 */
#include "core/slab.h"

#include "core/alloc.h"
#include "core/list.h"
#include "core/lru.h"
#include "core/mempolicy.h"
#include "core/racy.h"
#include "core/shrinker.h"
#include "core/vmstat.h"

#define SLAB_ORDER_MAX 3u   /* beyond it blocks are costly */
#define SLAB_OBJECTS_PER 4u /* objects wanted for each doubling of the CPUs */
#define SLAB_WASTE_BEST 16u /* a sixteenth of a slab may be wasted at first, ... */
#define SLAB_WASTE_WORST 4u /* ... a quarter at last */
#define SLABS_KEPT_NODE_MIN 5u
#define SLABS_KEPT_NODE_MAX 10u

static uint32_t log2_floor(uint32_t value)
{
	return 31u - (uint32_t)__builtin_clz(value);
}

static uint32_t slab_objects(uint32_t object_bytes, uint32_t order)
{
	return min_u32((NEAP_PAGE_BYTES << order) / object_bytes, SLAB_OBJECTS_MAX);
}

/* The smallest order that holds so many objects and wastes at most 1/fraction of the slab. */
static uint32_t order_for(uint32_t object_bytes, uint32_t nr_objects, uint32_t fraction)
{
	uint32_t order = 0;

	while (order <= SLAB_ORDER_MAX && (NEAP_PAGE_BYTES << order) < nr_objects * object_bytes)
		order++;
	for (; order <= SLAB_ORDER_MAX; order++) {
		uint32_t bytes = NEAP_PAGE_BYTES << order;

		if (bytes % object_bytes <= bytes / fraction)
			break;
	}
	return order;
}

uint32_t slab_order(uint32_t object_bytes, uint32_t nr_cpus)
{
	uint32_t wanted = SLAB_OBJECTS_PER * (log2_floor(nr_cpus) + 2);

	CHECK(object_bytes >= 1 && object_bytes <= NEAP_PAGE_BYTES && nr_cpus > 0);
	wanted = min_u32(wanted, (NEAP_PAGE_BYTES << SLAB_ORDER_MAX) / object_bytes);
	for (; wanted > 1; wanted--)
		for (uint32_t fraction = SLAB_WASTE_BEST; fraction >= SLAB_WASTE_WORST;
		     fraction /= 2) {
			uint32_t order = order_for(object_bytes, wanted, fraction);

			if (order <= SLAB_ORDER_MAX)
				return order;
		}
	return order_for(object_bytes, 1, 1);
}

/* Objects that the kernel lets lie free in slabs of one CPU, by size. */
static uint32_t cpu_objects(uint32_t object_bytes)
{
	if (object_bytes >= NEAP_PAGE_BYTES)
		return 6;
	if (object_bytes >= 1024)
		return 24;
	return object_bytes >= 256 ? 52 : 120;
}

uint32_t slab_kept(uint32_t object_bytes, uint32_t order, uint32_t nr_cpus)
{
	uint32_t per_slab = slab_objects(object_bytes, order);
	/* Half of the objects of each slab are taken to be free. */
	uint32_t of_cpu = (2 * cpu_objects(object_bytes) + per_slab - 1) / per_slab;
	uint32_t of_node = max_u32(log2_floor(object_bytes) / 2, SLABS_KEPT_NODE_MIN);

	return min_u32(of_node, SLABS_KEPT_NODE_MAX) + of_cpu * nr_cpus;
}

void slab_init(struct neap_machine *m, struct slab_cache *cache, uint32_t object_bytes,
	       bool reclaimable)
{
	CHECK(cache->nr_used == 0);
	cache->object_bytes = object_bytes;
	cache->order = slab_order(object_bytes, m->nr_cpus);
	cache->kept = slab_kept(object_bytes, cache->order, m->nr_cpus);
	cache->reclaimable = reclaimable;
}

/* ---- slabs ---- */

static void slab_count(struct task *t, const struct slab_cache *cache, uint32_t pfn, int64_t delta)
{
	struct neap_machine *m = t->machine;

	cpu_pin(t);
	node_stat_add(t, page_node(m, machine_page(m, pfn)),
		      cache->reclaimable ? NR_SLAB_RECLAIMABLE : NR_SLAB_UNRECLAIMABLE, delta);
	cpu_unpin(t);
}

/*
 * A block of the cache's order, tried for without reclaim; else a frame. A cache of single frames
 * tries twice as well, the first time without trying again. May sleep if gfp says so.
 */
static uint32_t slab_frame_alloc(struct task *t, const struct slab_cache *cache, uint32_t gfp)
{
	gfp |= cache->reclaimable ? GFP_BIT_RECLAIMABLE : 0;
	uint32_t first = gfp | GFP_BIT_NOWARN | GFP_BIT_NORETRY;
	uint32_t pfn;

	if (cache->order > 0) {
		first |= GFP_BIT_COMP;
		if (gfp & GFP_BIT_DIRECT_RECLAIM)
			first = (first | GFP_BIT_NOMEMALLOC) & ~GFP_BITS_RECLAIM;
		pfn = mempolicy_alloc(t, first, cache->order);
	} else {
		pfn = alloc_page(t, first);
	}
	return pfn != PFN_NONE ? pfn : alloc_page(t, gfp);
}

/* A new slab with its first object in use. May sleep if gfp says so. => PFN_NONE: no memory */
static uint32_t slab_grow(struct task *t, struct slab_cache *cache, uint32_t gfp, uint32_t *number)
{
	uint32_t pfn = slab_frame_alloc(t, cache, gfp);
	struct page *page;

	if (pfn == PFN_NONE)
		return PFN_NONE;
	page = machine_page(t->machine, pfn);
	page_set(page, PG_SLAB | (cache->reclaimable ? PG_INDEX : 0));
	page->identity = 1;
	*number = 0;
	slab_count(t, cache, pfn, page_nr(page));
	spin_lock(t, &cache->lock, LOCK_IO);
	cache->nr_used++;
	cache->nr_frames += page_nr(page);
	if (slab_objects(cache->object_bytes, page_order(page)) > 1) {
		list_add_head(t->machine->pages, &cache->partial, pfn);
		cache->nr_partial++;
	}
	spin_unlock(t, &cache->lock, LOCK_IO);
	return pfn;
}

static uint64_t all_objects(const struct slab_cache *cache, const struct page *slab)
{
	uint32_t nr = slab_objects(cache->object_bytes, page_order(slab));

	return UINT64_MAX >> (64 - nr);
}

/* An object of a slab that has some. Cache lock held. => PFN_NONE if there is none */
static uint32_t slab_take(struct task *t, struct slab_cache *cache, uint32_t *number)
{
	uint32_t pfn = cache->partial.first;
	struct page *page;

	spin_assert_held(t, LOCK_IO);
	if (pfn == PFN_NONE)
		return PFN_NONE;
	page = machine_page(t->machine, pfn);
	*number = (uint32_t)__builtin_ctzll(~page->identity);
	page->identity |= (uint64_t)1 << *number;
	cache->nr_used++;
	if (page->identity == all_objects(cache, page)) {
		list_remove(t->machine->pages, &cache->partial, pfn);
		cache->nr_partial--;
	}
	return pfn;
}

/* Error injection: in tests no object is had any more when the countdown has reached one. */
static NOINLINE bool slab_injected(struct neap_machine *m)
{
	uint64_t left = racy_read(m->inject[INJECT_SLAB]);

	if (left > 1)
		racy_write(m->inject[INJECT_SLAB], left - 1);
	return left == 1;
}

uint32_t slab_alloc(struct task *t, struct slab_cache *cache, uint32_t gfp, uint32_t *number)
{
	if (unlikely(racy_read(t->machine->inject[INJECT_SLAB]) != 0) && slab_injected(t->machine))
		return PFN_NONE;
	spin_lock(t, &cache->lock, LOCK_IO);
	uint32_t pfn = slab_take(t, cache, number);

	spin_unlock(t, &cache->lock, LOCK_IO);
	return pfn != PFN_NONE ? pfn : slab_grow(t, cache, gfp, number);
}

/* An empty slab leaves the list and the cache. Cache lock held. */
static void slab_unlist(struct task *t, struct slab_cache *cache, struct page *page)
{
	spin_assert_held(t, LOCK_IO);
	DCHECK(page->identity == 0);
	list_remove(t->machine->pages, &cache->partial, (uint32_t)(page - t->machine->pages));
	cache->nr_partial--;
	cache->nr_frames -= page_nr(page);
}

/* The object is free. Cache lock held. => whether the slab goes back */
static bool slab_give(struct task *t, struct slab_cache *cache, struct page *page, uint32_t number)
{
	uint32_t pfn = (uint32_t)(page - t->machine->pages);

	spin_assert_held(t, LOCK_IO);
	CHECK(page_test(page, PG_SLAB) && (page->identity >> number & 1) != 0);
	if (page->identity == all_objects(cache, page)) {
		list_add_head(t->machine->pages, &cache->partial, pfn);
		cache->nr_partial++;
	}
	page->identity &= ~((uint64_t)1 << number);
	cache->nr_used--;
	if (page->identity != 0 || cache->nr_partial <= cache->kept)
		return false;
	slab_unlist(t, cache, page);
	return true;
}

static void slab_release(struct task *t, const struct slab_cache *cache, uint32_t pfn)
{
	struct page *page = machine_page(t->machine, pfn);

	slab_count(t, cache, pfn, -(int64_t)page_nr(page));
	if (!cache->later)
		shrinker_tally_freed(t, page_nr(page));
	page_clear(page, PG_SLAB | PG_INDEX);
	page_put(t, page);
}

void slab_free(struct task *t, struct slab_cache *cache, uint32_t pfn, uint32_t number)
{
	spin_lock(t, &cache->lock, LOCK_IO);
	bool back = slab_give(t, cache, machine_page(t->machine, pfn), number);

	spin_unlock(t, &cache->lock, LOCK_IO);
	if (back)
		slab_release(t, cache, pfn);
}

void slab_free_any(struct task *t, struct slab_cache *cache, uint32_t pfn)
{
	struct page *page = machine_page(t->machine, pfn);

	spin_lock(t, &cache->lock, LOCK_IO);
	CHECK(page->identity != 0);
	bool back = slab_give(t, cache, page, (uint32_t)__builtin_ctzll(page->identity));

	spin_unlock(t, &cache->lock, LOCK_IO);
	if (back)
		slab_release(t, cache, pfn);
}

/* Takes an empty slab off the list. => PFN_NONE if there is none */
static uint32_t slab_take_empty(struct task *t, struct slab_cache *cache)
{
	uint32_t pfn;

	spin_lock(t, &cache->lock, LOCK_IO);
	for (pfn = cache->partial.first; pfn != PFN_NONE; pfn = t->machine->pages[pfn].next)
		if (machine_page(t->machine, pfn)->identity == 0)
			break;
	if (pfn != PFN_NONE)
		slab_unlist(t, cache, machine_page(t->machine, pfn));
	spin_unlock(t, &cache->lock, LOCK_IO);
	return pfn;
}

void slab_drain(struct task *t, struct slab_cache *cache)
{
	uint32_t pfn;

	while ((pfn = slab_take_empty(t, cache)) != PFN_NONE) /* bounded: each time one less */
		slab_release(t, cache, pfn);
}

const char *slab_verify(struct neap_machine *m, const struct slab_cache *cache)
{
	uint32_t nr = 0;
	uint64_t frames = 0;

	for (uint32_t pfn = cache->partial.first; pfn != PFN_NONE; pfn = m->pages[pfn].next) {
		const struct page *page = machine_page(m, pfn);

		if (++nr > cache->nr_partial || !page_test(page, PG_SLAB))
			return "slab: the list of slabs partly in use is damaged";
		if ((page->identity & all_objects(cache, page)) == all_objects(cache, page))
			return "slab: a slab partly in use has no free object";
		frames += page_nr(page);
	}
	if (nr != cache->nr_partial || frames > cache->nr_frames)
		return "slab: a count is wrong";
	return NULL;
}
