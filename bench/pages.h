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
 * Times are per call, or per page where it says so. The loops of hot and bulk are counted in: a few
 * instructions. That of mixed is not: it reads what to do from a list and looks a block up in a
 * table as large as a cache, and whether the next call takes or gives back no processor foretells.
 * So the same list is performed once more with calls that do nothing, and what that takes is
 * subtracted, from every source's time alike; it has a line of its own.
 */
#ifndef NEAP_BENCH_PAGES_H
#define NEAP_BENCH_PAGES_H

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/rng.h"
#include "cmd/bench.h"

#define PAGES_ROUND 64u
#define PAGES_TICKS 4096u /* buckets of the histogram of single calls, 1 ns each */
#define PAGES_AHEAD 16u	  /* calls: their slots are asked for so long before */
#define PAGES_SLACK 1024u /* a memory with this many pages left counts as filled */

struct pages_source {
	uintptr_t (*take)(void *ctx, uint32_t order); /* => 0: there is none */
	void (*give)(void *ctx, uintptr_t block, uint32_t order);
};

/* ---- hot ---- */

static ALWAYS_INLINE int pages_pair(const struct pages_source source, void *ctx, uint64_t rounds,
				    double *ns)
{
	bench_count_begin();
	uint64_t start_ns = bench_cpu_ns();

	for (uint64_t i = 0; i < rounds; i++) {
		uintptr_t block = source.take(ctx, 0);

		if (block == 0)
			return -ENOMEM;
		source.give(ctx, block, 0);
	}
	*ns = (double)(bench_cpu_ns() - start_ns) / (double)(2 * rounds);
	bench_count_end("alloc.pair", 2 * rounds);
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
		if (time != 0)
			bench_count_begin();
		at_ns[0] = bench_cpu_ns();
		if (pages_take_all(source, ctx, block, nr) != 0)
			return -ENOMEM;
		at_ns[1] = bench_cpu_ns();
		if (time != 0) {
			bench_count_end("alloc.bulk_take", nr);
			bench_count_begin();
		}
		at_ns[2] = bench_cpu_ns();
		for (uint64_t i = 0; i < nr; i++)
			source.give(ctx, block[i], 0);
		at_ns[3] = bench_cpu_ns();
		if (time != 0)
			bench_count_end("alloc.bulk_give", nr);
	}
	out->take_ns = (double)(at_ns[1] - at_ns[0]) / (double)nr;
	out->give_ns = (double)(at_ns[3] - at_ns[2]) / (double)nr;
	if (pages_take_all(source, ctx, block, nr) != 0)
		return -ENOMEM;
	pages_shuffle(block, nr);
	bench_count_begin();
	uint64_t start_ns = bench_cpu_ns();

	for (uint64_t i = 0; i < nr; i++)
		source.give(ctx, block[i], 0);
	out->random_ns = (double)(bench_cpu_ns() - start_ns) / (double)nr;
	bench_count_end("alloc.random_give", nr);
	return 0;
}

/* ---- mixed ---- */

/*
 * What to do is written down before it is done, so that neither random numbers nor the choice of a
 * victim are in the time.
 */
struct pages_op {
	uint32_t slot;
	uint16_t order;
	bool take; /* else give back what is in the slot, if anything */
};

struct pages_mix {
	uintptr_t *block; /* by slot; 0 = its request found nothing */
	uint8_t *order;	  /* by slot */
	uint32_t *slot;	  /* the first nr_used are in use, the others free */
	uint32_t nr_slots, nr_used;
	uint64_t pages; /* wanted by the slots in use */
	struct rng rng;
	struct pages_op *op;
	uint64_t nr_ops;
	uint64_t failed; /* requests that found nothing; they are calls, too */
};

/* => false: memory is out. Free it with pages_mix_end(). */
static inline bool pages_mix_begin(struct pages_mix *mix, uint32_t nr_slots, uint64_t nr_ops)
{
	*mix = (struct pages_mix){
		.block = calloc(nr_slots, sizeof(*mix->block)),
		.order = malloc(nr_slots),
		.slot = malloc(nr_slots * sizeof(*mix->slot)),
		.op = calloc(nr_ops + PAGES_AHEAD, sizeof(*mix->op)),
		.nr_slots = nr_slots,
		.nr_ops = nr_ops,
	};
	rng_seed(&mix->rng, 1);
	if (mix->block == NULL || mix->order == NULL || mix->slot == NULL || mix->op == NULL)
		return false;
	for (uint32_t i = 0; i < nr_slots; i++)
		mix->slot[i] = i;
	return true;
}

static inline uint32_t pages_pick_order(struct rng *rng)
{
	uint32_t percent = (uint32_t)rng_below(rng, 100);

	if (percent < 80)
		return 0;
	return percent < 95 ? 1 + (uint32_t)rng_below(rng, 3) : 4 + (uint32_t)rng_below(rng, 6);
}

/* The next call: a block of `order` if it fits below the goal, else a random one back. */
static inline struct pages_op pages_plan_one(struct pages_mix *mix, uint64_t goal, uint32_t order)
{
	bool take = mix->pages + (1u << order) <= goal && mix->nr_used < mix->nr_slots;
	uint32_t at = take ? mix->nr_used : (uint32_t)rng_below(&mix->rng, mix->nr_used);
	uint32_t slot = mix->slot[at];

	if (take) {
		mix->order[slot] = (uint8_t)order;
		mix->nr_used++;
		mix->pages += 1u << order;
	} else {
		mix->nr_used--;
		mix->slot[at] = mix->slot[mix->nr_used];
		mix->slot[mix->nr_used] = slot;
		mix->pages -= 1u << mix->order[slot];
	}
	return (struct pages_op){ .slot = slot, .order = mix->order[slot], .take = take };
}

static inline void pages_plan(struct pages_mix *mix, uint64_t goal)
{
	uint32_t order = pages_pick_order(&mix->rng);

	for (uint64_t i = 0; i < mix->nr_ops; i++) {
		mix->op[i] = pages_plan_one(mix, goal, order);
		if (mix->op[i].take)
			order = pages_pick_order(&mix->rng);
	}
}

static ALWAYS_INLINE void pages_do(const struct pages_source source, void *ctx,
				   struct pages_mix *mix, const struct pages_op *op)
{
	uintptr_t *block = &mix->block[op->slot];

	if (op->take) {
		*block = source.take(ctx, op->order);
		mix->failed += *block == 0 ? 1 : 0;
	} else if (*block != 0) {
		source.give(ctx, *block, op->order);
	}
}

/*
 * The slots are chosen at random, and their table is as large as a cache: without this, a call of
 * any source would wait for the bench's own table.
 */
static ALWAYS_INLINE void pages_expect(const struct pages_mix *mix, uint64_t i)
{
	__builtin_prefetch(&mix->block[mix->op[i + PAGES_AHEAD].slot], 1);
}

static ALWAYS_INLINE uint64_t pages_do_all(const struct pages_source source, void *ctx,
					   struct pages_mix *mix)
{
	uint64_t start_ns = bench_cpu_ns();

	mix->failed = 0;
	for (uint64_t i = 0; i < mix->nr_ops; i++) {
		pages_expect(mix, i);
		pages_do(source, ctx, mix, &mix->op[i]);
	}
	return bench_cpu_ns() - start_ns;
}

/* Takes the block that is there already, and gives nothing back. */
static ALWAYS_INLINE uintptr_t nothing_take(void *ctx, uint32_t order)
{
	uintptr_t block = (uintptr_t)ctx + order;

	__asm__ volatile("" : "+r"(block));
	return block;
}

static ALWAYS_INLINE void nothing_give(void *ctx, uintptr_t block, uint32_t order)
{
	(void)ctx;
	__asm__ volatile("" : : "r"(block), "r"(order));
}

/* What pages_do_all() takes beside the calls. Leaves the slots as they are. ns; 0: memory is out */
static inline uint64_t pages_do_nothing(struct pages_mix *mix)
{
	static const struct pages_source nothing = { nothing_take, nothing_give };
	size_t bytes = mix->nr_slots * sizeof(*mix->block);
	uintptr_t *kept = malloc(bytes);
	uint64_t failed = mix->failed;

	if (kept == NULL)
		return 0;
	memcpy(kept, mix->block, bytes);
	uint64_t took_ns = pages_do_all(nothing, mix, mix);

	memcpy(mix->block, kept, bytes);
	free(kept);
	mix->failed = failed;
	return took_ns;
}

/* Time of a single call that 999 of 1000 stay below, without the clock's own. ns */
static ALWAYS_INLINE double pages_tail(const struct pages_source source, void *ctx,
				       struct pages_mix *mix)
{
	uint32_t ticks[PAGES_TICKS] = { 0 };
	uint64_t clock_ns = UINT64_MAX;
	uint64_t slower = 0;
	uint32_t bucket = PAGES_TICKS;

	for (uint64_t i = 0; i < mix->nr_ops; i++) {
		pages_expect(mix, i);
		uint64_t before_ns = bench_clock_ns();
		uint64_t start_ns = bench_clock_ns();

		pages_do(source, ctx, mix, &mix->op[i]);
		uint64_t took_ns = bench_clock_ns() - start_ns;

		clock_ns = min_u64(clock_ns, start_ns - before_ns);
		ticks[min_u64(took_ns, PAGES_TICKS - 1)]++;
	}
	while (bucket > 0 && slower < mix->nr_ops / 1000)
		slower += ticks[--bucket];
	return (double)bucket - (double)min_u64(clock_ns, bucket);
}

struct pages_mixed {
	double call_ns, loop_ns, tail_ns, failed_percent;
};

/* Memory kept at `goal` pages; nr_ops calls for each number. */
static ALWAYS_INLINE void pages_mixed(const struct pages_source source, void *ctx,
				      struct pages_mix *mix, uint64_t goal, struct pages_mixed *out)
{
	/* Until full, and once more, so that blocks of all ages lie beside each other. */
	for (bool full = false; !full;) {
		full = mix->pages + PAGES_SLACK >= goal || mix->nr_used == mix->nr_slots;
		pages_plan(mix, goal);
		pages_do_all(source, ctx, mix);
	}
	pages_plan(mix, goal);
	bench_count_begin();
	uint64_t took_ns = pages_do_all(source, ctx, mix);

	bench_count_end("alloc.mixed", mix->nr_ops);
	uint64_t loop_ns = min_u64(pages_do_nothing(mix), took_ns);

	out->loop_ns = (double)loop_ns / (double)mix->nr_ops;
	out->call_ns = (double)(took_ns - loop_ns) / (double)mix->nr_ops;
	out->failed_percent = 100 * (double)mix->failed / (double)mix->nr_ops;
	pages_plan(mix, goal);
	out->tail_ns = pages_tail(source, ctx, mix);
}

/* Gives everything back. Also after a begin that failed. */
static ALWAYS_INLINE void pages_mix_end(const struct pages_source source, void *ctx,
					struct pages_mix *mix)
{
	for (uint32_t i = 0; i < mix->nr_used; i++) {
		uint32_t slot = mix->slot[i];

		if (mix->block[slot] != 0)
			source.give(ctx, mix->block[slot], mix->order[slot]);
	}
	free(mix->block);
	free(mix->order);
	free(mix->slot);
	free(mix->op);
}

#endif
