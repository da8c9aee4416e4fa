/*
 * bench alloc: the allocator's own entry points, without the public interface, and
 * malloc in their place.
 *
 *   bench/pages.h   the work, once
 *     ├── ours      alloc_pages() ... last reference dropped, free_pages()
 *     └── peer      aligned_alloc() ... free(), in a process with another malloc
 *
 * Everything of ours is on: marks, counters, NUMA statistics, the CPU's word. The
 * requests of the mixed work are movable and may not wait: where no block can be had
 * the failure is part of the time, and its share is a line of its own.
 *
 * Peers give out address space that nobody touches; mimalloc keeps its free lists in
 * the pages themselves, as some kernels' allocators did.
 *
 * What must never happen: a number from a loop that the compiler could drop: both
 * sources are in other objects than the loop.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "api/api.h"
#include "bench/pages.h"
#include "core/alloc.h"
#include "core/free_late.h"

#define MIX_LEVELS 3u

static const uint32_t mix_percent[MIX_LEVELS] = { 50, 90, 98 };

/* ---- the two sources ---- */

static ALWAYS_INLINE uintptr_t ours_take_kernel(void *ctx, uint32_t order)
{
	(void)order; /* always 0 here */
	return alloc_page(ctx, GFP_KERNEL | GFP_BIT_OWNED);
}

static ALWAYS_INLINE uintptr_t ours_take_movable(void *ctx, uint32_t order)
{
	struct task *t = ctx;
	const struct alloc_request request = {
		.gfp = GFP_BIT_MOVABLE | GFP_BIT_NOWARN | GFP_BIT_OWNED,
		.order = order,
	};

	return alloc_pages(t, &request);
}

static ALWAYS_INLINE void ours_give(void *ctx, uintptr_t block, uint32_t order)
{
	free_pages_put(ctx, (uint32_t)block, order);
}

static ALWAYS_INLINE uintptr_t peer_take(void *ctx, uint32_t order)
{
	(void)ctx;
	return (uintptr_t)aligned_alloc(NEAP_PAGE_BYTES, (size_t)NEAP_PAGE_BYTES << order);
}

static ALWAYS_INLINE void peer_give(void *ctx, uintptr_t block, uint32_t order)
{
	(void)ctx;
	(void)order;
	free((void *)block);
}

static const struct pages_source ours_kernel = { ours_take_kernel, ours_give };
static const struct pages_source ours_movable = { ours_take_movable, ours_give };
static const struct pages_source peer = { peer_take, peer_give };

/* ---- hot ---- */

enum hot_line {
	HOT_PAIR,
	HOT_ROUND,
	HOT_TWO,
	HOT_RATIO,
};

static const struct bench_line hot_lines[] = {
	{ "alloc.pair", "order-0 block taken or given back, one at a time", "ns", 8 },
	{ "alloc.round", "the same, 64 taken and 64 given back", "ns", 8 },
	{ "alloc.two", "the same by two threads at once", "ns", 0 },
	{ "alloc.two_ratio", "two threads compared with one", "x", 1.2 },
	{ NULL, NULL, NULL, 0 },
};

struct hot_work {
	struct neap_machine *machine;
	bool quick;
	_Atomic uint32_t arrived;
	uint32_t nr_threads;
	double pair_ns, round_ns;
};

static uint64_t hot_rounds(bool quick)
{
	return quick ? 5000 : 100000;
}

static int hot_ours_task(struct task *t, void *arg)
{
	struct hot_work *work = arg;
	uint64_t rounds = hot_rounds(work->quick);

	pages_meet(&work->arrived, work->nr_threads);
	int err = pages_pair(ours_kernel, t, rounds * PAGES_ROUND, &work->pair_ns);

	if (err != 0)
		return err;
	bench_count_begin();
	err = pages_round(ours_kernel, t, rounds, &work->round_ns);
	bench_count_end("alloc.round", 2 * PAGES_ROUND * rounds);
	return err;
}

/* The second thread of two. */
struct hot_second {
	struct hot_work *work;
	double ns;
};

static int hot_second_task(struct task *t, void *arg)
{
	struct hot_second *second = arg;

	pages_meet(&second->work->arrived, 2);
	return pages_round(ours_kernel, t, hot_rounds(second->work->quick), &second->ns);
}

static int hot_second_thread(void *arg)
{
	struct hot_second *second = arg;

	return api_call(api_of(second->work->machine), hot_second_task, second);
}

static int hot_two(struct neap_machine *machine, bool quick, double *ns)
{
	struct hot_work work = { .machine = machine, .quick = quick };
	struct hot_second first = { .work = &work };
	struct hot_second second = { .work = &work };
	struct neap_thread *thread;
	int err = neap_thread_start(machine, "bench", 1, hot_second_thread, &second, &thread);

	if (err != 0)
		return err;
	err = hot_second_thread(&first);
	int other = neap_thread_join(machine, thread);

	*ns = (first.ns + second.ns) / 2;
	return err != 0 ? err : other;
}

static void hot_values(double *value, const struct hot_work *one, double two_ns)
{
	value[HOT_PAIR] = one->pair_ns;
	value[HOT_ROUND] = one->round_ns;
	value[HOT_TWO] = two_ns;
	value[HOT_RATIO] = two_ns / one->round_ns;
}

static int hot_run(struct bench_run *run)
{
	struct hot_work one = { .machine = run->machine, .quick = run->quick, .nr_threads = 1 };
	double two_ns = 0;
	int err = neap_set_cpu(run->machine, 0);

	if (err == 0)
		err = api_call(api_of(run->machine), hot_ours_task, &one);
	if (err == 0)
		err = hot_two(run->machine, run->quick, &two_ns);
	if (err == 0)
		hot_values(run->value, &one, two_ns);
	return err;
}

static void *hot_peer_thread(void *arg)
{
	struct hot_second *second = arg;

	pages_meet(&second->work->arrived, 2);
	if (pages_round(peer, NULL, hot_rounds(second->work->quick), &second->ns) != 0)
		second->ns = 0;
	return NULL;
}

static int hot_run_peer(bool quick, double *value)
{
	struct hot_work one = { .quick = quick };
	struct hot_second first = { .work = &one };
	struct hot_second second = { .work = &one };
	pthread_t thread;
	int err = pages_pair(peer, NULL, hot_rounds(quick) * PAGES_ROUND, &one.pair_ns);

	if (err == 0)
		err = pages_round(peer, NULL, hot_rounds(quick), &one.round_ns);
	if (err == 0)
		err = -pthread_create(&thread, NULL, hot_peer_thread, &second);
	if (err != 0)
		return err;
	hot_peer_thread(&first);
	pthread_join(thread, NULL);
	hot_values(value, &one, (first.ns + second.ns) / 2);
	return first.ns > 0 && second.ns > 0 ? 0 : -ENOMEM;
}

const struct bench bench_alloc_hot = {
	.group = "alloc",
	.settings = { { "memory", "64M" } },
	.lines = hot_lines,
	.run = hot_run,
	.run_peer = hot_run_peer,
};

/* ---- bulk ---- */

static const struct bench_line bulk_lines[] = {
	{ "alloc.bulk_take", "page, 1 GiB of single pages taken", "ns", 12 },
	{ "alloc.bulk_give", "page, the same given back in that order", "ns", 12 },
	{ "alloc.random_give", "page, the same given back in random order", "ns", 20 },
	{ NULL, NULL, NULL, 0 },
};

static uint64_t bulk_pages(bool quick)
{
	return (quick ? 64 * MIB : GIB) / NEAP_PAGE_BYTES;
}

static void bulk_values(double *value, const struct pages_bulk *bulk)
{
	value[0] = bulk->take_ns;
	value[1] = bulk->give_ns;
	value[2] = bulk->random_ns;
}

static int bulk_task(struct task *t, void *arg)
{
	struct bench_run *run = arg;
	uint64_t nr = bulk_pages(run->quick);
	uintptr_t *block = malloc(nr * sizeof(*block));
	struct pages_bulk bulk = { 0 };

	if (block == NULL)
		return -ENOMEM;
	int err = pages_bulk(ours_kernel, t, block, nr, &bulk);

	bulk_values(run->value, &bulk);
	free(block);
	return err;
}

static int bulk_run(struct bench_run *run)
{
	return api_call(api_of(run->machine), bulk_task, run);
}

static int bulk_run_peer(bool quick, double *value)
{
	uint64_t nr = bulk_pages(quick);
	uintptr_t *block = malloc(nr * sizeof(*block));
	struct pages_bulk bulk = { 0 };

	if (block == NULL)
		return -ENOMEM;
	int err = pages_bulk(peer, NULL, block, nr, &bulk);

	bulk_values(value, &bulk);
	free(block);
	return err;
}

const struct bench bench_alloc_bulk = {
	.group = "alloc",
	.settings = { { "memory", "1280M" } },
	.lines = bulk_lines,
	.run = bulk_run,
	.run_peer = bulk_run_peer,
};

/* ---- mixed ---- */

static const struct bench_line mixed_lines[] = {
	{ "alloc.mixed50", "call, orders 0..9, memory 50 % full", "ns", 20 },
	{ "alloc.mixed50_tail", "single call of 999 in 1000, 50 % full", "ns", 450 },
	{ "alloc.mixed50_failed", "calls that found no block, 50 % full", "%", 0 },
	{ "alloc.mixed50_loop", "the bench's own part of a call, not counted above", "ns", 0 },
	{ "alloc.mixed90", "call, orders 0..9, memory 90 % full", "ns", 20 },
	{ "alloc.mixed90_tail", "single call of 999 in 1000, 90 % full", "ns", 450 },
	{ "alloc.mixed90_failed", "calls that found no block, 90 % full", "%", 0 },
	{ "alloc.mixed90_loop", "the bench's own part of a call, not counted above", "ns", 0 },
	{ "alloc.mixed98", "call, orders 0..9, memory 98 % full", "ns", 20 },
	{ "alloc.mixed98_tail", "single call of 999 in 1000, 98 % full", "ns", 450 },
	{ "alloc.mixed98_failed", "calls that found no block, 98 % full", "%", 0 },
	{ "alloc.mixed98_loop", "the bench's own part of a call, not counted above", "ns", 0 },
	{ NULL, NULL, NULL, 0 },
};

#define MIX_BYTES(quick) ((quick) ? 128 * MIB : GIB)
#define MIX_CALLS(quick) ((quick) ? 50000u : 500000u)

static void mix_values(double *value, uint32_t level, const struct pages_mixed *mixed)
{
	value += 4 * (size_t)level;
	value[0] = mixed->call_ns;
	value[1] = mixed->tail_ns;
	value[2] = mixed->failed_percent;
	value[3] = mixed->loop_ns;
}

static int mixed_task(struct task *t, void *arg)
{
	struct bench_run *run = arg;
	uint64_t managed = atomic_load(&t->machine->total_pages);
	uint64_t nr_pages = min_u64(MIX_BYTES(run->quick) / NEAP_PAGE_BYTES, managed);
	struct pages_mix mix;
	bool begun = pages_mix_begin(&mix, (uint32_t)nr_pages, MIX_CALLS(run->quick));

	for (uint32_t level = 0; level < MIX_LEVELS && begun; level++) {
		struct pages_mixed mixed = { 0 };

		pages_mixed(ours_movable, t, &mix, nr_pages * mix_percent[level] / 100, &mixed);
		mix_values(run->value, level, &mixed);
	}
	pages_mix_end(ours_movable, t, &mix);
	return begun ? 0 : -ENOMEM;
}

static int mixed_run(struct bench_run *run)
{
	return api_call(api_of(run->machine), mixed_task, run);
}

static int mixed_run_peer(bool quick, double *value)
{
	uint64_t nr_pages = MIX_BYTES(quick) / NEAP_PAGE_BYTES;
	struct pages_mix mix;
	bool begun = pages_mix_begin(&mix, (uint32_t)nr_pages, MIX_CALLS(quick));

	for (uint32_t level = 0; level < MIX_LEVELS && begun; level++) {
		struct pages_mixed mixed = { 0 };

		pages_mixed(peer, NULL, &mix, nr_pages * mix_percent[level] / 100, &mixed);
		mix_values(value, level, &mixed);
	}
	pages_mix_end(peer, NULL, &mix);
	return begun ? 0 : -ENOMEM;
}

const struct bench bench_alloc_mixed = {
	.group = "alloc",
	.settings = { { "memory", "1G" } },
	.lines = mixed_lines,
	.run = mixed_run,
	.run_peer = mixed_run_peer,
};
