/*
 * Work for a page allocator, whoever it is: each function is compiled once for every
 * source of pages, with its two calls in the loop itself.
 *
 *   hot     one block taken and given back; 64 taken and 64 given back; the latter by
 *           two threads at once
 *   bulk    many single pages taken, given back in the same order; taken again, given
 *           back in random order
 *   mixed   memory kept at 50, 90, 98 % full with blocks of orders 0..9 (80 % order 0,
 *           15 % orders 1..3, 5 % orders 4..9), random ones given back
 *
 * Times are per call, or per page where it says so. What the loop itself does (random
 * numbers, the array of blocks) is counted in: it is the same for every source.
 */
#ifndef NEAP_BENCH_PAGES_H
#define NEAP_BENCH_PAGES_H

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/rng.h"
#include "cmd/bench.h"

#define PAGES_ROUND 64u
#define PAGES_TICKS 4096u /* buckets of the histogram of single calls, 1 ns each */
#define PAGES_SLACK 1024u /* a memory with this many pages left counts as filled */

struct pages_source {
	uintptr_t (*take)(void *ctx, uint32_t order); /* => 0: there is none */
	void (*give)(void *ctx, uintptr_t block, uint32_t order);
};

/* ---- hot ---- */

static ALWAYS_INLINE int pages_pair(const struct pages_source source, void *ctx, uint64_t rounds,
				    double *ns)
{
	uint64_t start_ns = bench_cpu_ns();

	for (uint64_t i = 0; i < rounds; i++) {
		uintptr_t block = source.take(ctx, 0);

		if (block == 0)
			return -ENOMEM;
		source.give(ctx, block, 0);
	}
	*ns = (double)(bench_cpu_ns() - start_ns) / (double)(2 * rounds);
	return 0;
}

static ALWAYS_INLINE int pages_round(const struct pages_source source, void *ctx, uint64_t rounds,
				     double *ns)
{
	uintptr_t block[PAGES_ROUND];
	uint64_t start_ns = bench_cpu_ns();

	for (uint64_t round = 0; round < rounds; round++) {
		for (uint32_t i = 0; i < PAGES_ROUND; i++) {
			block[i] = source.take(ctx, 0);
			if (block[i] == 0)
				return -ENOMEM;
		}
		for (uint32_t i = 0; i < PAGES_ROUND; i++)
			source.give(ctx, block[i], 0);
	}
	*ns = (double)(bench_cpu_ns() - start_ns) / (double)(2 * PAGES_ROUND * rounds);
	return 0;
}

/* Two threads begin together: each comes here first. */
static inline void pages_meet(_Atomic uint32_t *arrived, uint32_t nr)
{
	atomic_fetch_add(arrived, 1);
	while (atomic_load(arrived) < nr) /* event loop: the others come soon */
		sched_yield();
}

/* ---- bulk ---- */

struct pages_bulk {
	double take_ns, give_ns, random_ns;
};

static ALWAYS_INLINE int pages_take_all(const struct pages_source source, void *ctx,
					uintptr_t *block, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		block[i] = source.take(ctx, 0);
		if (block[i] == 0)
			return -ENOMEM;
	}
	return 0;
}

static inline void pages_shuffle(uintptr_t *block, uint64_t nr)
{
	struct rng rng;

	rng_seed(&rng, 1);
	for (uint64_t i = nr; i > 1; i--) {
		uint64_t other = rng_below(&rng, i);
		uintptr_t swap = block[i - 1];

		block[i - 1] = block[other];
		block[other] = swap;
	}
}

/* The first time warms up; the second counts. block: room for nr. */
static ALWAYS_INLINE int pages_bulk(const struct pages_source source, void *ctx, uintptr_t *block,
				    uint64_t nr, struct pages_bulk *out)
{
	uint64_t at_ns[4];

	for (uint32_t time = 0; time < 2; time++) {
		at_ns[0] = bench_cpu_ns();
		if (pages_take_all(source, ctx, block, nr) != 0)
			return -ENOMEM;
		at_ns[1] = bench_cpu_ns();
		for (uint64_t i = 0; i < nr; i++)
			source.give(ctx, block[i], 0);
		at_ns[2] = bench_cpu_ns();
	}
	out->take_ns = (double)(at_ns[1] - at_ns[0]) / (double)nr;
	out->give_ns = (double)(at_ns[2] - at_ns[1]) / (double)nr;
	if (pages_take_all(source, ctx, block, nr) != 0)
		return -ENOMEM;
	pages_shuffle(block, nr);
	at_ns[3] = bench_cpu_ns();
	for (uint64_t i = 0; i < nr; i++)
		source.give(ctx, block[i], 0);
	out->random_ns = (double)(bench_cpu_ns() - at_ns[3]) / (double)nr;
	return 0;
}

/* ---- mixed ---- */

struct pages_block {
	uintptr_t block;
	uint32_t order;
};

/* Blocks in use, in no order. */
struct pages_mix {
	struct pages_block *held;
	uint64_t nr, max;
	uint64_t pages;
	uint64_t calls; /* that are timed */
	struct rng rng;
	uint32_t next_order; /* of the next request */
	uint64_t failed;     /* requests that got nothing; they are calls, too */
};

static inline uint32_t pages_pick_order(struct rng *rng)
{
	uint64_t random = rng_next(rng);
	uint32_t percent = (uint32_t)((random >> 32) % 100);
	uint32_t which = (uint32_t)random;

	if (percent < 80)
		return 0;
	return percent < 95 ? 1 + which % 3 : 4 + which % 6;
}

/* One call: takes a block if it fits below the goal, else gives a random one back. */
static ALWAYS_INLINE void pages_mix_step(const struct pages_source source, void *ctx,
					 struct pages_mix *mix, uint64_t goal)
{
	uint32_t order = mix->next_order;

	if (mix->pages + (1u << order) > goal || mix->nr == mix->max) {
		uint64_t index = rng_below(&mix->rng, mix->nr);
		struct pages_block give = mix->held[index];

		mix->held[index] = mix->held[--mix->nr];
		mix->pages -= 1u << give.order;
		source.give(ctx, give.block, give.order);
		return;
	}
	uintptr_t block = source.take(ctx, order);

	mix->next_order = pages_pick_order(&mix->rng);
	if (block == 0) {
		mix->failed++;
		return;
	}
	mix->held[mix->nr++] = (struct pages_block){ block, order };
	mix->pages += 1u << order;
}

/* Time of a single call that 999 of 1000 stay below, without the clock's own. ns */
static ALWAYS_INLINE double pages_mix_tail(const struct pages_source source, void *ctx,
					   struct pages_mix *mix, uint64_t goal)
{
	static const uint64_t one_in = 1000;
	uint32_t ticks[PAGES_TICKS] = { 0 };
	uint64_t clock_ns = UINT64_MAX;
	uint64_t slower = 0;
	uint32_t bucket = PAGES_TICKS;

	for (uint64_t i = 0; i < mix->calls; i++) {
		uint64_t start_ns = bench_clock_ns();
		uint64_t empty_ns = bench_clock_ns();

		pages_mix_step(source, ctx, mix, goal);
		uint64_t took_ns = bench_clock_ns() - empty_ns;

		clock_ns = min_u64(clock_ns, empty_ns - start_ns);
		ticks[min_u64(took_ns, PAGES_TICKS - 1)]++;
	}
	while (bucket > 0 && slower < mix->calls / one_in)
		slower += ticks[--bucket];
	return (double)bucket - (double)min_u64(clock_ns, bucket);
}

struct pages_mixed {
	double call_ns, tail_ns, failed_percent;
};

/* Memory of nr_pages kept `percent` full. */
static ALWAYS_INLINE int pages_mixed(const struct pages_source source, void *ctx,
				     struct pages_mix *mix, uint64_t goal, struct pages_mixed *out)
{
	/* Until full, and so often again that blocks of all ages lie beside each other. */
	for (uint64_t i = 0; i < mix->calls || mix->pages + PAGES_SLACK < goal; i++) {
		if (i > 8 * mix->max)
			return -ENOMEM;
		pages_mix_step(source, ctx, mix, goal);
	}
	mix->failed = 0;
	uint64_t start_ns = bench_cpu_ns();

	for (uint64_t i = 0; i < mix->calls; i++)
		pages_mix_step(source, ctx, mix, goal);
	out->call_ns = (double)(bench_cpu_ns() - start_ns) / (double)mix->calls;
	out->failed_percent = 100 * (double)mix->failed / (double)mix->calls;
	out->tail_ns = pages_mix_tail(source, ctx, mix, goal);
	return 0;
}

static ALWAYS_INLINE void pages_mix_end(const struct pages_source source, void *ctx,
					struct pages_mix *mix)
{
	while (mix->nr > 0) {
		struct pages_block *last = &mix->held[--mix->nr];

		source.give(ctx, last->block, last->order);
	}
	free(mix->held);
}

#endif
