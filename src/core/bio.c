/*
 * Requests to the block layer.
 *
 *     swap_write_page ── bio_get ──> slab [ o o . o . o o ]  21 in a frame
 *                          |              ^ taken from the frame used last
 *                          |─ no memory ─> reserve [ o o ]   2, for everybody
 *                          |─ in use ────> sleep until a request is finished
 *     io_done ─────────── bio_put ──> the reserve first, then its slab
 *
 * Writing a page out needs memory: one request a page, from when it is handed to the
 * block layer until the device has it. They are objects of a slab cache, in unmovable
 * frames, and the memory for them is asked for in the way of a pool: without waiting
 * and without touching the reserves of memory, although it is reclaim that asks. When
 * the machine is at its min mark there is none; two requests are kept for that case,
 * and whoever finds them in use waits until one comes back.
 *
 * That decides who reclaims. A kswapd that wakes below the min mark writes two pages
 * at a time, one device latency after the other, while programs take what it frees;
 * recorded traces show it (anon-seq-swap60: in 6.32 s to 15.8 s every request for such a
 * frame fails, from kswapd and the program alike). When there is memory again, a burst
 * of write-out takes frames from movable pageblocks, which boosts the marks.
 *
 * A frame all of whose objects are free goes back unless few frames are partly in
 * use: slabs_kept() stay for the next burst.
 *
 * What must never happen:
 *   1. a request given back twice, or to another frame than its own
 *   2. somebody asleep here while the reserve is full
 *
 * Linux: block/bio.c: bio_alloc_bioset(); mm/mempool.c; mm/slub.c for what a slab
 * keeps. Differs: one list for all CPUs; only writes to swap, which need one request
 * a page. Requests of files cover many pages each.
 */
#include "core/bio.h"

#include "core/alloc.h"
#include "core/list.h"
#include "core/lru.h"
#include "core/vmstat.h"

#define SLABS_KEPT_NODE 5u /* frames partly used or empty that a slab of small objects keeps */
#define SLABS_KEPT_CPU 12u /* ... and of each CPU: 120 objects, were they half used */
#define BIO_BOOT 1u	   /* a request that was there from the start: frame 1 is never ours */
#define POOL_WAIT_NS (5 * NSEC_PER_SEC)

/* How the pool asks: first without waiting, then as the writer may. */
#define POOL_FLAGS (GFP_BIT_NOMEMALLOC | GFP_BIT_NORETRY | GFP_BIT_NOWARN)

void bio_enable(struct neap_machine *m)
{
	struct bio_pool *pool = &m->bios;

	CHECK(pool->nr_used == 0);
	for (uint32_t i = 0; i < BIO_RESERVE; i++)
		pool->reserve[i] = BIO_BOOT;
	pool->nr_reserve = BIO_RESERVE;
	pool->on = m->max_pfn < 1u << 30;
}

static void slab_count(struct task *t, uint32_t pfn, int64_t delta)
{
	cpu_pin(t);
	node_stat_add(t, page_node(t->machine, machine_page(t->machine, pfn)),
		      NR_SLAB_UNRECLAIMABLE, delta);
	cpu_unpin(t);
}

/* An object of a frame that has some. Pool lock held. => BIO_NONE if there is no such frame */
static uint32_t take_partial(struct task *t, struct bio_pool *pool)
{
	uint32_t pfn = pool->partial.first;
	struct page *page;

	spin_assert_held(t, LOCK_IO);
	if (pfn == PFN_NONE)
		return BIO_NONE;
	page = machine_page(t->machine, pfn);
	if (++page->index == BIO_PER_SLAB) {
		list_remove(t->machine->pages, &pool->partial, pfn);
		pool->nr_partial--;
	}
	pool->nr_used++;
	return pfn;
}

/* A new frame with one object in use. May sleep if gfp says so. => BIO_NONE if there is no memory
 */
static uint32_t take_new(struct task *t, struct bio_pool *pool, uint32_t gfp)
{
	uint32_t pfn = alloc_page(t, gfp);
	struct page *page;

	if (pfn == PFN_NONE)
		return BIO_NONE;
	page = machine_page(t->machine, pfn);
	page_set(page, PG_SLAB);
	page->index = 1;
	slab_count(t, pfn, 1);
	spin_lock(t, &pool->lock, LOCK_IO);
	list_add_head(t->machine->pages, &pool->partial, pfn);
	pool->nr_partial++;
	pool->nr_slabs++;
	pool->nr_used++;
	spin_unlock(t, &pool->lock, LOCK_IO);
	return pfn;
}

static uint32_t take_object(struct task *t, struct bio_pool *pool, uint32_t gfp)
{
	uint32_t bio;

	spin_lock(t, &pool->lock, LOCK_IO);
	bio = take_partial(t, pool);
	spin_unlock(t, &pool->lock, LOCK_IO);
	return bio != BIO_NONE ? bio : take_new(t, pool, gfp);
}

static uint32_t take_reserve(struct task *t, struct bio_pool *pool)
{
	uint32_t bio = BIO_NONE;

	spin_lock(t, &pool->lock, LOCK_IO);
	if (pool->nr_reserve != 0)
		bio = pool->reserve[--pool->nr_reserve];
	spin_unlock(t, &pool->lock, LOCK_IO);
	return bio;
}

uint32_t bio_try_get(struct task *t)
{
	struct bio_pool *pool = &t->machine->bios;
	uint32_t bio;

	if (!pool->on)
		return BIO_NONE;
	bio = take_object(t, pool, GFP_NOWAIT | POOL_FLAGS);
	return bio != BIO_NONE ? bio : take_reserve(t, pool);
}

uint32_t bio_get(struct task *t)
{
	struct bio_pool *pool = &t->machine->bios;
	uint32_t bio = bio_try_get(t);

	/* event loop: each round ends with a request, or after one was finished */
	while (bio == BIO_NONE && pool->on) {
		uint32_t seq = waitq_begin(&pool->wait);

		bio = take_object(t, pool, GFP_NOIO | POOL_FLAGS);
		if (bio == BIO_NONE)
			bio = take_reserve(t, pool);
		if (bio == BIO_NONE)
			/* The time-out only says how long nobody looks: the loop goes on. */
			(void)waitq_wait(t, &pool->wait, seq, POOL_WAIT_NS);
		waitq_end(&pool->wait);
	}
	return bio;
}

static uint32_t slabs_kept(const struct neap_machine *m)
{
	return SLABS_KEPT_NODE + SLABS_KEPT_CPU * m->nr_cpus;
}

/* An object of the frame is free again. Pool lock held. => the frame, if it goes back */
static uint32_t give_object(struct task *t, struct bio_pool *pool, uint32_t pfn)
{
	struct page *page = machine_page(t->machine, pfn);

	spin_assert_held(t, LOCK_IO);
	CHECK(page_test(page, PG_SLAB) && page->index > 0);
	pool->nr_used--;
	if (page->index-- == BIO_PER_SLAB) {
		list_add_head(t->machine->pages, &pool->partial, pfn);
		pool->nr_partial++;
	}
	if (page->index != 0 || pool->nr_partial <= slabs_kept(t->machine))
		return PFN_NONE;
	list_remove(t->machine->pages, &pool->partial, pfn);
	pool->nr_partial--;
	pool->nr_slabs--;
	return pfn;
}

void bio_put(struct task *t, uint32_t bio)
{
	struct bio_pool *pool = &t->machine->bios;
	uint32_t pfn = PFN_NONE;
	bool kept = false;

	if (bio == BIO_NONE)
		return;
	spin_lock(t, &pool->lock, LOCK_IO);
	if (pool->nr_reserve < BIO_RESERVE) {
		pool->reserve[pool->nr_reserve++] = bio;
		kept = true;
	} else if (bio != BIO_BOOT) {
		pfn = give_object(t, pool, bio);
	}
	spin_unlock(t, &pool->lock, LOCK_IO);
	if (kept)
		waitq_wake(t, &pool->wait, UINT32_MAX);
	if (pfn == PFN_NONE)
		return;
	slab_count(t, pfn, -1);
	page_clear(machine_page(t->machine, pfn), PG_SLAB);
	page_put(t, machine_page(t->machine, pfn));
}

const char *bio_verify(struct neap_machine *m)
{
	const struct bio_pool *pool = &m->bios;
	uint32_t nr = 0;

	for (uint32_t pfn = pool->partial.first; pfn != PFN_NONE; pfn = m->pages[pfn].next) {
		const struct page *page = machine_page(m, pfn);

		if (++nr > pool->nr_partial || !page_test(page, PG_SLAB))
			return "requests: the list of frames partly in use is damaged";
		if (page->index >= BIO_PER_SLAB)
			return "requests: a frame partly in use has no free object";
	}
	if (nr != pool->nr_partial || nr > pool->nr_slabs || pool->nr_reserve > BIO_RESERVE)
		return "requests: a count is wrong";
	if (pool->nr_used > pool->nr_slabs * BIO_PER_SLAB)
		return "requests: more are in use than there are";
	return NULL;
}
