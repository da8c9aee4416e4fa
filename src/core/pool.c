/*
 * pool.c: small objects of one size, kept in the machine's own frames.
 *
 *   directory   [ f7 ][ f9 ][ 0 ] ...              POOL_MAX_CHUNKS entries
 *                 |     |
 *   frames      [ 1 | 2 | 3 ] [ 4 | 5 | 6 ]         ids, per_chunk of them a frame
 *                     ^ free_id -> 5 -> 0           freed objects link themselves
 *                               next_id = 6         never used from here on
 *
 * An id is a place: it leads to the object without search, fits a page descriptor,
 * and is used again after the object was freed. Chunks are never given back while
 * the pool lives, so that pool_get() needs no lock: the directory entry of a live
 * id does not change.
 *
 * Objects live in the machine's frames on purpose. The engine's own metadata uses
 * memory that its programs then lack, is counted as slab, and can be refused, as in
 * a kernel.
 *
 * What must never happen:
 *   1. an id that is both on the free list and in use
 *   2. next_id beyond the chunks that there are
 *
 * Linux: stands where kmem_cache_alloc() does; much simpler than mm/slub.c.
 */
#include "core/pool.h"

#include <string.h>

#include "core/alloc.h"
#include "core/lru.h"
#include "core/vmstat.h"

_Static_assert((uint64_t)POOL_MAX_CHUNKS *(NEAP_PAGE_BYTES / 8) * (NEAP_PAGE_BYTES / 8) <
		       (uint64_t)1 << POOL_FACTOR_SHIFT,
	       "dividing by a factor is exact for every id");

void pool_init(struct pool *pool, struct hw *hw, uint32_t object_bytes, _Atomic uint32_t *directory)
{
	CHECK(object_bytes >= 8 && object_bytes <= NEAP_PAGE_BYTES);
	*pool = (struct pool){
		.object_bytes = object_bytes,
		.per_chunk = NEAP_PAGE_BYTES / object_bytes,
		.chunk_factor =
			((uint64_t)1 << POOL_FACTOR_SHIFT) / (NEAP_PAGE_BYTES / object_bytes) + 1,
		.next_id = 1,
		.directory = directory,
		.hw = hw,
	};
}

/* A freed object's first bytes are the id of the next one. */
static uint32_t object_link(const struct pool *pool, uint32_t id)
{
	uint32_t next;

	memcpy(&next, pool_get(pool, id), sizeof(next));
	return next;
}

/* => an id, or 0 if every object of every chunk is in use. Pool lock held. */
static uint32_t pool_take(struct task *t, struct pool *pool)
{
	uint32_t id = pool->free_id;

	spin_assert_held(t, LOCK_SPACE);
	if (id != 0)
		pool->free_id = object_link(pool, id);
	else if (pool->next_id <= pool->nr_chunks * pool->per_chunk)
		id = pool->next_id++;
	pool->nr_used += id != 0 ? 1 : 0;
	return id;
}

/* Makes the frame a chunk. => false if the directory is full. Pool lock held. */
static bool pool_add_chunk(struct task *t, struct pool *pool, uint32_t pfn)
{
	spin_assert_held(t, LOCK_SPACE);
	if (pool->nr_chunks == POOL_MAX_CHUNKS)
		return false;
	atomic_store_explicit(&pool->directory[pool->nr_chunks], pfn, memory_order_release);
	pool->nr_chunks++;
	return true;
}

/* Counts a frame into (1) or out of (-1) slab. */
static void chunk_count(struct task *t, uint32_t pfn, int64_t delta)
{
	struct page *page = machine_page(t->machine, pfn);

	cpu_pin(t);
	node_stat_add(t, page_node(t->machine, page), NR_SLAB_UNRECLAIMABLE, delta);
	cpu_unpin(t);
}

static void chunk_free(struct task *t, uint32_t pfn)
{
	struct page *page = machine_page(t->machine, pfn);

	chunk_count(t, pfn, -1);
	page_clear(page, PG_SLAB);
	/*
	 * Perhaps not the last reference: a task that read a table entry before this frame became a
	 * chunk may hold one for a moment, until it has looked again (core/space.c, core/fault.c).
	 */
	page_put(t, page);
}

/* One more chunk, unless somebody else has made room meanwhile. May sleep. => an id, or 0 */
static uint32_t pool_grow(struct task *t, struct pool *pool)
{
	uint32_t pfn = alloc_page(t, GFP_KERNEL);

	if (pfn == PFN_NONE)
		return 0;
	page_set(machine_page(t->machine, pfn), PG_SLAB);
	chunk_count(t, pfn, 1);
	spin_lock(t, &pool->lock, LOCK_SPACE);
	uint32_t id = pool_take(t, pool);

	if (id == 0 && pool_add_chunk(t, pool, pfn)) {
		pfn = PFN_NONE;
		id = pool_take(t, pool);
	}
	spin_unlock(t, &pool->lock, LOCK_SPACE);
	if (pfn != PFN_NONE)
		chunk_free(t, pfn);
	return id;
}

void *pool_alloc(struct task *t, struct pool *pool, uint32_t *id_out)
{
	spin_lock(t, &pool->lock, LOCK_SPACE);
	uint32_t id = pool_take(t, pool);

	spin_unlock(t, &pool->lock, LOCK_SPACE);
	if (id == 0)
		id = pool_grow(t, pool);
	if (id == 0)
		return NULL;
	*id_out = id;
	void *object = pool_get(pool, id);

	memset(object, 0, pool->object_bytes);
	return object;
}

void pool_free(struct task *t, struct pool *pool, uint32_t id)
{
	spin_lock(t, &pool->lock, LOCK_SPACE);
	CHECK(id != 0 && id < pool->next_id && pool->nr_used > 0);
	memcpy(pool_get(pool, id), &pool->free_id, sizeof(pool->free_id));
	pool->free_id = id;
	pool->nr_used--;
	spin_unlock(t, &pool->lock, LOCK_SPACE);
}

void pool_destroy(struct task *t, struct pool *pool)
{
	CHECK(pool->nr_used == 0);
	for (uint32_t i = 0; i < pool->nr_chunks; i++) {
		chunk_free(t, atomic_load_explicit(&pool->directory[i], memory_order_relaxed));
		atomic_store_explicit(&pool->directory[i], PFN_NONE, memory_order_relaxed);
	}
	pool->nr_chunks = 0;
	pool->free_id = 0;
	pool->next_id = 1;
}
