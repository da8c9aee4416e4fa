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
 * Pages of a file are written in runs, a request a run; but a file system asks for as many
 * vectors with each as a request can have, a frame's worth, whether it writes 256 pages or
 * one. These come from slabs of eight frames: written at random, a file takes blocks of
 * order 3 in bursts, and who does not get one wakes kswapd for it, and kswapd kcompactd.
 *
 * When requests of swap are sent, those of neighbouring slots are one of the device's, with
 * a table of its segments, 8 to 128 of 32 bytes. Each CPU takes these out of a slab of its
 * own: the first long run that it writes asks for a block of order 3 as an interrupt would.
 * Traced while memory was filled (wsf-1000): the program took one of order 2, 1 and 3 each,
 * kswapd on the other CPU one of order 3; the first of order 3 split a movable block, which
 * boosted the marks by 512 pages.
 *
 * What must never happen:
 *   1. a request given back twice, or to another frame than its own
 *   2. somebody asleep here while the reserve is full
 *
 * Linux: block/bio.c: bio_alloc_bioset(), biovec_slabs; mm/mempool.c. Differs: of files only
 * the vectors, and those of writes; when there is no memory for them nobody waits. Of tables
 * of segments, one slab a CPU and size, for good. lib/sg_pool.c, drivers/block/virtio_blk.c.
 */
#include "core/bio.h"

#include "core/gfp.h"
#include "core/slab.h"

#define BIO_BOOT 1u	   /* a request that was there from the start: frame 1 is never ours */
#define SEGMENT_BYTES 32u  /* an entry of a scatter list */
#define SEGMENTS_INLINE 2u /* that many need no table */
#define SEGMENTS_MIN 8u	   /* of the smallest table */
#define POOL_WAIT_NS (5 * NSEC_PER_SEC)

/* How the pool asks: first without waiting, then as the writer may. */
#define POOL_FLAGS (GFP_BIT_NOMEMALLOC | GFP_BIT_NORETRY | GFP_BIT_NOWARN)

void bio_enable(struct neap_machine *m)
{
	struct bio_pool *pool = &m->bios;

	slab_init(m, &pool->slab, BIO_BYTES, false);
	slab_init(m, &pool->vectors, BIO_VECTORS_BYTES, false);
	for (uint32_t i = 0; i < SEGMENT_TABLES; i++)
		slab_init(m, &pool->tables[i], SEGMENT_BYTES * SEGMENTS_MIN << i, false);
	for (uint32_t i = 0; i < BIO_RESERVE; i++)
		pool->reserve[i] = BIO_BOOT;
	pool->nr_reserve = BIO_RESERVE;
	pool->on = m->max_pfn < 1u << 30;
}

static uint32_t take_object(struct task *t, struct bio_pool *pool, uint32_t gfp)
{
	uint32_t number;

	return slab_alloc(t, &pool->slab, gfp, &number);
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
		uint32_t seq = waitq_begin(t, &pool->wait);

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

void bio_put(struct task *t, uint32_t bio)
{
	struct bio_pool *pool = &t->machine->bios;
	bool kept = false;

	if (bio == BIO_NONE)
		return;
	spin_lock(t, &pool->lock, LOCK_IO);
	if (pool->nr_reserve < BIO_RESERVE) {
		pool->reserve[pool->nr_reserve++] = bio;
		kept = true;
	}
	spin_unlock(t, &pool->lock, LOCK_IO);
	if (kept)
		waitq_wake(t, &pool->wait, UINT32_MAX);
	else if (bio != BIO_BOOT)
		slab_free_any(t, &pool->slab, bio);
}

uint32_t bio_get_vectors(struct task *t)
{
	struct bio_pool *pool = &t->machine->bios;
	uint32_t number;

	if (!pool->on)
		return BIO_NONE;
	uint32_t vectors = slab_alloc(t, &pool->vectors, GFP_NOWAIT | POOL_FLAGS, &number);

	return vectors == PFN_NONE ? BIO_NONE : vectors;
}

void bio_put_vectors(struct task *t, uint32_t vectors)
{
	if (vectors != BIO_NONE)
		slab_free_any(t, &t->machine->bios.vectors, vectors);
}

/* Takes what is left of a slab, so that nobody else finds an object in it. */
static bool take_slab(struct task *t, struct slab_cache *cache)
{
	uint32_t number;
	uint32_t slab = slab_alloc(t, cache, GFP_ATOMIC | POOL_FLAGS, &number);

	if (slab == PFN_NONE)
		return false;
	uint32_t bytes = NEAP_PAGE_BYTES << page_order(machine_page(t->machine, slab));

	for (uint32_t i = 1; i < bytes / cache->object_bytes; i++)
		if (slab_alloc(t, cache, GFP_ATOMIC | POOL_FLAGS, &number) == PFN_NONE)
			break;
	return true;
}

void bio_use_segments(struct task *t, uint32_t nr_segments)
{
	struct bio_pool *pool = &t->machine->bios;
	uint32_t i = 0;

	if (!pool->on || nr_segments <= SEGMENTS_INLINE)
		return;
	while (i + 1 < SEGMENT_TABLES && SEGMENTS_MIN << i < nr_segments)
		i++;
	/* The task may be on another CPU when it has its slab, which is the first CPU's. */
	struct cpu *cpu = task_cpu_here(t);
	uint32_t bit = 1u << i;

	if ((atomic_load_explicit(&cpu->segment_tables, memory_order_relaxed) & bit) != 0 ||
	    (atomic_fetch_or(&cpu->segment_tables, bit) & bit) != 0)
		return;
	/* Without memory one of the pool's serves, and the next request tries again. */
	if (!take_slab(t, &pool->tables[i]))
		atomic_fetch_and(&cpu->segment_tables, ~bit);
}

const char *bio_verify(struct neap_machine *m)
{
	const struct bio_pool *pool = &m->bios;

	if (pool->nr_reserve > BIO_RESERVE)
		return "requests: more are in reserve than there may be";
	const char *wrong = slab_verify(m, &pool->slab);

	if (wrong == NULL)
		wrong = slab_verify(m, &pool->vectors);
	for (uint32_t i = 0; i < SEGMENT_TABLES && wrong == NULL; i++)
		wrong = slab_verify(m, &pool->tables[i]);
	return wrong;
}
