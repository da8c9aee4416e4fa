/*
 * Tests of core/bio.c: frames of requests, the reserve, waiting for it, what a slab keeps.
 */
#include "core_fixture.h"

#include "core/bio.h"
#include "core/slab.h"
#include "core/io.h"
#include "core/lru.h"

#define PAGES 4096u
#define MANY 2000u

static struct core_fixture f;
static uint32_t bio[MANY], hog[PAGES];
static uint32_t nr_hogs;

static void setup(void)
{
	core_setup_normal(&f, 2, PAGES);
	assert_int_equal(bio_try_get(f.t), BIO_NONE); /* off until somebody wants it */
	bio_enable(f.m);
	nr_hogs = 0;
}

static uint64_t slab_pages(void)
{
	return node_stat_exact(&f.m->nodes[0], NR_SLAB_UNRECLAIMABLE);
}

/* Takes memory until requests with the mask, GFP_NOWAIT or GFP_ATOMIC, get none. */
static void exhaust_for(uint32_t mask)
{
	const uint32_t gfp = mask | GFP_BIT_NOMEMALLOC | GFP_BIT_NORETRY | GFP_BIT_NOWARN;
	uint32_t pfn;

	while ((pfn = alloc_page(f.t, gfp)) != PFN_NONE)
		hog[nr_hogs++] = pfn;
}

static void exhaust(void)
{
	exhaust_for(GFP_NOWAIT);
}

static void release(void)
{
	while (nr_hogs > 0)
		page_put(f.t, machine_page(f.m, hog[--nr_hogs]));
}

static void finish(void)
{
	assert_null(bio_verify(f.m));
	core_teardown(&f);
}

/* 21 requests share a frame, and a frame goes back when enough others have free objects. */
static void test_frames(void **state)
{
	(void)state;
	setup();
	for (uint32_t i = 0; i < MANY; i++) {
		bio[i] = bio_try_get(f.t);
		assert_true(bio[i] > 1);
	}
	assert_int_equal(slab_pages(), (MANY + BIO_PER_SLAB - 1) / BIO_PER_SLAB);
	assert_null(bio_verify(f.m));
	for (uint32_t i = 0; i < MANY; i++)
		bio_put(f.t, bio[i]);
	/* Per CPU 12 frames and 5 more stay for the next burst. */
	assert_int_equal(slab_pages(), 2 * 12 + 5);
	assert_int_equal(f.m->bios.nr_reserve, BIO_RESERVE);
	for (uint32_t i = 0; i < 29 * BIO_PER_SLAB; i++)
		bio[i] = bio_try_get(f.t);
	assert_int_equal(slab_pages(), 29);
	for (uint32_t i = 0; i < 29 * BIO_PER_SLAB; i++)
		bio_put(f.t, bio[i]);
	core_verify(&f, 29);
	finish();
}

/* Without memory there are two requests, and then none; the first to come back fills them up. */
static void test_reserve(void **state)
{
	(void)state;
	setup();
	exhaust();
	bio[0] = bio_try_get(f.t);
	bio[1] = bio_try_get(f.t);
	assert_int_not_equal(bio[0], BIO_NONE);
	assert_int_not_equal(bio[1], BIO_NONE);
	assert_int_equal(bio_try_get(f.t), BIO_NONE);
	assert_int_equal(slab_pages(), 0);
	release();
	bio[2] = bio_try_get(f.t);
	assert_int_equal(slab_pages(), 1);
	/* What comes back is kept in reserve, wherever it is from. */
	bio_put(f.t, bio[2]);
	assert_int_equal(f.m->bios.nr_reserve, 1);
	bio_put(f.t, bio[0]);
	bio_put(f.t, bio[1]);
	assert_int_equal(f.m->bios.nr_reserve, BIO_RESERVE);
	assert_int_equal(f.m->bios.slab.nr_used, 1);
	finish();
}

static void give_one_back(struct fake_rt *fake, void *arg)
{
	(void)fake;
	bio_put(f.t, *(const uint32_t *)arg);
	f.rt.idle = NULL;
}

/* Who finds the reserve in use sleeps until a request is finished, and takes that one. */
static void test_wait(void **state)
{
	uint64_t waits;

	(void)state;
	setup();
	exhaust();
	f.t->flags |= PF_MEMALLOC; /* a reclaimer: it gets no memory by waiting for reclaim */
	bio[0] = bio_get(f.t);
	bio[1] = bio_get(f.t);
	f.rt.idle = give_one_back;
	f.rt.idle_arg = &bio[1];
	waits = f.rt.nr_waits;
	bio[2] = bio_get(f.t);
	assert_int_equal(f.rt.nr_waits, waits + 1);
	assert_int_equal(bio[2], bio[1]);
	f.t->flags &= ~PF_MEMALLOC;
	release();
	bio_put(f.t, bio[0]);
	bio_put(f.t, bio[2]);
	assert_int_equal(f.m->bios.nr_reserve, BIO_RESERVE);
	finish();
}

/* A store whose writes end as soon as they are sent; or that notes what it got, and never ends. */
struct quick_store {
	struct store store;
	uint32_t nr_sent;
	bool notes;
	uint64_t cookie[16];
};

static void quick_submit(struct store *store, struct task *t, enum store_op op,
			 const struct store_page *pages, uint32_t nr, uint32_t flags)
{
	struct quick_store *quick = (struct quick_store *)(void *)store;

	(void)op;
	(void)flags;
	for (uint32_t i = 0; i < nr; i++)
		if (quick->notes)
			quick->cookie[quick->nr_sent + i] = pages[i].cookie;
		else
			bio_put(t, (uint32_t)(pages[i].cookie >> IO_COOKIE_BIO_SHIFT));
	quick->nr_sent += nr;
}

/*
 * The last requests may be those that the task itself has gathered, for another store than the one
 * it writes to at once: they are sent, not waited for.
 */
static void test_gathered_requests_are_sent_before_waiting(void **state)
{
	static const struct store_ops ops = { .submit = quick_submit };
	struct quick_store slow = { .store = { .ops = &ops } };
	struct quick_store fast = { .store = { .ops = &ops } };
	struct io_plug plug;

	(void)state;
	setup();
	exhaust();
	f.t->flags |= PF_MEMALLOC;
	io_plug(f.t, &plug);
	io_write(f.t, &slow.store, IO_SWAP_WRITE, 1, hog[0]);
	io_write(f.t, &slow.store, IO_SWAP_WRITE, 2, hog[1]);
	assert_int_equal(slow.nr_sent, 0);
	assert_int_equal(f.m->bios.nr_reserve, 0);
	io_write_now(f.t, &fast.store, IO_SWAP_WRITE, 1, hog[2]);
	assert_int_equal(slow.nr_sent, 2);
	assert_int_equal(fast.nr_sent, 1);
	io_unplug(f.t);
	assert_int_equal(slow.nr_sent, 2);
	assert_int_equal(f.m->bios.nr_reserve, BIO_RESERVE);
	f.t->flags &= ~PF_MEMALLOC;
	release();
	finish();
}

/*
 * Pages of a file in one run share a request; a frame of vectors comes with each, eight to a slab.
 */
static void test_run_of_a_file_takes_a_frame_of_vectors(void **state)
{
	static const struct store_ops ops = { .submit = quick_submit };
	static const uint64_t offset[] = { 1, 2, 3, 9, 10, 30 };
	struct quick_store noting = { .store = { .ops = &ops }, .notes = true };
	struct io_plug plug;

	(void)state;
	setup();
	io_plug(f.t, &plug);
	for (uint32_t i = 0; i < ARRAY_LEN(offset); i++)
		io_write(f.t, &noting.store, IO_FILE_WRITE, offset[i], 0);
	io_unplug(f.t);
	assert_int_equal(f.m->bios.vectors.nr_used, 3);
	assert_int_equal(f.m->bios.slab.nr_used, 0);
	assert_int_equal(slab_pages(), 8);
	assert_int_equal(noting.nr_sent, ARRAY_LEN(offset));
	for (uint32_t i = 0; i < noting.nr_sent; i++)
		bio_put_vectors(f.t, (uint32_t)(noting.cookie[i] >> IO_COOKIE_BIO_SHIFT));
	assert_int_equal(f.m->bios.vectors.nr_used, 0);
	finish();
}

/* Nobody waits for vectors: the two that the pool keeps are thought to be enough. */
static void test_without_memory_vectors_are_the_pools(void **state)
{
	(void)state;
	setup();
	exhaust();
	f.t->flags |= PF_MEMALLOC;
	assert_int_equal(bio_get_vectors(f.t), BIO_NONE);
	f.t->flags &= ~PF_MEMALLOC;
	release();
	finish();
}

/* Neighbouring slots are one request, with a table of its segments from a slab of the CPU. */
static void test_long_runs_take_a_slab_for_their_tables(void **state)
{
	static const struct store_ops ops = { .submit = quick_submit };
	struct quick_store quick = { .store = { .ops = &ops } };
	struct io_plug plug;
	uint32_t pfn;

	(void)state;
	setup();
	pfn = alloc_page(f.t, GFP_KERNEL);
	bio_use_segments(f.t, 2);
	assert_int_equal(slab_pages(), 0);
	bio_use_segments(f.t, 3);
	bio_use_segments(f.t, 8);
	assert_int_equal(slab_pages(), 1);
	bio_use_segments(f.t, 16);
	assert_int_equal(slab_pages(), 1 + 2);
	bio_use_segments(f.t, 17);
	assert_int_equal(slab_pages(), 1 + 2 + 4);
	/* A run of 65 pages needs the largest table, a block of order 3; the second has it. */
	assert_int_equal(f.m->bios.tables[4].nr_used, 0);
	for (uint32_t round = 0; round < 2; round++) {
		io_plug(f.t, &plug);
		for (uint32_t i = 0; i < 65; i++)
			io_write(f.t, &quick.store, IO_SWAP_WRITE, 100 + i, pfn);
		io_unplug(f.t);
		assert_int_equal(slab_frames(&f.m->bios.tables[4]), 8);
	}
	assert_int_equal(f.m->bios.tables[4].nr_used, 8);
	assert_int_equal(slab_frames(&f.m->bios.tables[3]), 0);
	page_put(f.t, machine_page(f.m, pfn));
	finish();
}

/* Without memory the pool's own table serves, and the next request asks again. */
static void test_tables_are_asked_for_again(void **state)
{
	(void)state;
	setup();
	exhaust_for(GFP_ATOMIC);
	bio_use_segments(f.t, 8);
	assert_int_equal(slab_frames(&f.m->bios.tables[0]), 0);
	release();
	bio_use_segments(f.t, 8);
	assert_int_equal(slab_frames(&f.m->bios.tables[0]), 1);
	finish();
}

/* Waking kswapd moves the task to the other CPU. */
static void move_at_wake(struct task *t, _Atomic uint32_t *word, uint32_t nr)
{
	(void)word;
	(void)nr;
	fake_rt_cpu(fake_rt_of(t), 1);
}

/* A task that goes to another CPU while it asks for a slab forgets only its own CPU's. */
static void test_a_task_that_moves_leaves_the_other_cpus_table(void **state)
{
	struct node *node;

	(void)state;
	setup();
	node = &f.m->nodes[0];
	fake_rt_cpu(&f.rt, 1);
	bio_use_segments(f.t, 8);
	assert_int_equal(slab_frames(&f.m->bios.tables[0]), 1);
	fake_rt_cpu(&f.rt, 0);
	exhaust_for(GFP_ATOMIC);
	atomic_store(&node->kswapd_sleeping, 1);
	(void)waitq_begin(f.t, &node->kswapd_wait);
	f.rt.ops.wake = move_at_wake;
	bio_use_segments(f.t, 8);
	f.rt.ops.wake = fake_rt_wake;
	waitq_end(&node->kswapd_wait);
	assert_int_equal(f.t->slot->cpu, 1);
	release();
	/* The CPU it came to has its slab; the one it left has none and takes one. */
	bio_use_segments(f.t, 8);
	assert_int_equal(slab_frames(&f.m->bios.tables[0]), 1);
	fake_rt_cpu(&f.rt, 0);
	bio_use_segments(f.t, 8);
	assert_int_equal(slab_frames(&f.m->bios.tables[0]), 2);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_gathered_requests_are_sent_before_waiting),
		cmocka_unit_test(test_run_of_a_file_takes_a_frame_of_vectors),
		cmocka_unit_test(test_without_memory_vectors_are_the_pools),
		cmocka_unit_test(test_long_runs_take_a_slab_for_their_tables),
		cmocka_unit_test(test_tables_are_asked_for_again),
		cmocka_unit_test(test_a_task_that_moves_leaves_the_other_cpus_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
