/*
 * bench alloc: the allocator's own entry points, without the public interface.
 *
 *   take 64 frames ─> give 64 back ─> again: per-CPU lists stay hot
 *
 * One operation is one order-0 allocation or one free, with everything on: marks,
 * counters, NUMA statistics, the CPU's word. 64 is more than a batch, so that lists
 * refill and drain now and then, as they do in use.
 *
 * What must never happen: a number from a loop that the compiler could drop; every
 * frame is used.
 */
#include <errno.h>

#include "api/api.h"
#include "cmd/bench.h"
#include "core/alloc.h"

#define ROUND_FRAMES 64u

struct bench_alloc_work {
	struct neap_machine *machine;
	uint64_t rounds;
	uint64_t ns;
};

static int bench_alloc_task(struct task *t, void *arg)
{
	struct bench_alloc_work *work = arg;
	uint32_t frame[ROUND_FRAMES];
	uint64_t start_ns = bench_clock_ns();

	for (uint64_t round = 0; round < work->rounds; round++) {
		for (uint32_t i = 0; i < ROUND_FRAMES; i++) {
			frame[i] = alloc_page(t, GFP_KERNEL);
			if (frame[i] == PFN_NONE)
				return -ENOMEM;
		}
		for (uint32_t i = 0; i < ROUND_FRAMES; i++) {
			struct page *page = machine_page(t->machine, frame[i]);

			if (!page_put_test(page))
				return -EUCLEAN;
			free_pages(t, frame[i], 0);
		}
	}
	work->ns = bench_clock_ns() - start_ns;
	return 0;
}

int bench_alloc(struct neap_machine *machine, bool quick, struct bench_sample *sample)
{
	struct bench_alloc_work work = { .machine = machine, .rounds = quick ? 20000 : 200000 };
	int err = api_call(api_of(machine), bench_alloc_task, &work);

	sample->operations = work.rounds * ROUND_FRAMES * 2;
	sample->ns = work.ns;
	return err;
}
