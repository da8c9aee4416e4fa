/*
 * Random requests of every kind on small machines of odd shapes, against a naive model
 * (alloc_model.h) and the engine's own verification.
 *
 *     seed ──> machine: 1 to 4 nodes, zones that begin and end anywhere, holes, 1 to 5 CPUs
 *          ──> steps:   allocate (any order, type, zone, node, mask, right), free, drain, fold,
 *                       settings, rights of the task, the nodes that it may use, reclaim at
 *                       work, a CPU goes or comes, a memory block goes or comes; more of the one
 *                       or of the other in turn, so that memory runs out and comes back
 *
 * After every step: a block lies in a zone that the request may use, none of its frames was in use,
 * a request that must fail fails and one that must succeed does; what is free and what CPUs keep
 * adds up to the model's. Every 64 steps all lists are verified; at the end everything is given
 * back.
 *
 * NEAP_SEED is the first seed; NEAP_PROPERTY_SECONDS says for how long further ones are tried
 * (tools/check-property), else a few are. A failure names its seed.
 *
 * A memory block that is all free must go, one with a frame in use must be refused with everything
 * in its place. Blocks that come go to a kernel zone or to zone Movable, so spans of zones overlap.
 */
#include "core_fixture.h"

#include <time.h>

#include "core/cpuset.h"
#include "core/free_late.h"
#include "core/hotplug_cpu.h"
#include "core/hotplug_mem.h"
#include "core/sysctl.h"

#include "alloc_model.h"

#define SEEDS_DEFAULT 16u
#define STEPS 1200u
#define HELD_MAX 3000u
#define PHASE_STEPS 150u
#define BLOCK_PAGES 1024u
#define NOBODY UINT8_MAX /* owns a frame that no zone has */

struct held {
	uint32_t pfn, order;
};

struct world {
	struct core_fixture f;
	struct model model;
	struct rng rng;
	uint64_t seed;
	bool drained;	    /* no CPU keeps anything */
	uint32_t free_bias; /* of 100 steps, so many free */
	uint32_t nr_held;
	struct held held[HELD_MAX];
	uint64_t nr_got, nr_failed;	      /* requests */
	uint64_t nr_must_get, nr_must_fail;   /* of these, decided by the model */
	uint64_t nr_came, nr_went, nr_stayed; /* memory blocks; stayed: in use */
};

static struct world world;

static uint32_t below(struct world *w, uint32_t n)
{
	return (uint32_t)rng_below(&w->rng, n);
}

static bool one_in(struct world *w, uint32_t n)
{
	return below(w, n) == 0;
}

/* ---- the machine ---- */

static void add_zone(struct world *w, struct machine_desc *desc, uint32_t node, uint32_t type,
		     uint32_t *at)
{
	struct machine_zone_desc *zone = &desc->node[node].zone[type];

	zone->start_pfn = *at;
	zone->spanned = one_in(w, 6) ? 1 + below(w, 40) : 300 + below(w, 5000);
	zone->present = zone->spanned - below(w, min_u32(zone->spanned, 300));
	zone->managed = zone->present - below(w, min_u32(zone->present, 300));
	*at += zone->spanned + below(w, 3) * 77;
}

/* There is no kswapd to wait for, and nobody waits for one that has given up. */
static void kswapds_give_up(struct world *w)
{
	for (uint32_t n = 0; n < w->f.m->nr_nodes; n++)
		atomic_store(&w->f.m->nodes[n].kswapd_failures, MAX_RECLAIM_RETRIES);
}

static void world_build(struct world *w)
{
	struct machine_desc desc;
	uint32_t nodes = 1 + below(w, 4);
	uint32_t at = 1 + below(w, 3000);

	core_desc_init(&desc, nodes, 1 + below(w, 5));
	for (uint32_t n = 0; n < nodes; n++) {
		for (uint32_t k = 0; k < n; k++) {
			desc.node[n].distance[k] = 11 + below(w, 3) * 10;
			desc.node[k].distance[n] = desc.node[n].distance[k];
		}
		for (uint32_t type = 0; type < ZONE_DEVICE; type++)
			if (!one_in(w, 3) || (n == 0 && type == ZONE_NORMAL))
				add_zone(w, &desc, n, type, &at);
	}
	desc.block_pages = BLOCK_PAGES;
	desc.hot_first_pfn = (uint32_t)round_up_u64(at, BLOCK_PAGES);
	desc.hot_pages = (1 + below(w, 5)) * BLOCK_PAGES;
	assert_int_equal(core_setup(&w->f, &desc), 0);
	w->model.m = w->f.m;
	w->model.frame = malloc(w->f.m->max_pfn);
	w->model.owner = malloc(w->f.m->max_pfn);
	assert_true(w->model.frame != NULL && w->model.owner != NULL);
	memset(w->model.frame, ABSENT, w->f.m->max_pfn);
	memset(w->model.owner, NOBODY, w->f.m->max_pfn);
	for (uint32_t i = 0; i < nodes * NR_ZONES; i++) {
		const struct machine_zone_desc *zone = &desc.node[i / NR_ZONES].zone[i % NR_ZONES];

		/* Boot keeps the first frames, of zone Movable the last ones. */
		uint32_t reserved =
			i % NR_ZONES == ZONE_MOVABLE ? 0 : zone->present - zone->managed;

		memset(&w->model.frame[zone->start_pfn + reserved], FREE, zone->managed);
		memset(&w->model.owner[zone->start_pfn], (int)i, zone->spanned);
	}
	kswapds_give_up(w);
	w->drained = true;
	for (uint32_t left = desc.hot_pages / BLOCK_PAGES; left > 0;) {
		uint32_t nr = 1 + below(w, left);
		uint32_t first;

		assert_int_equal(hotplug_mem_add(w->f.t, below(w, nodes), nr, &first), 0);
		left -= nr;
	}
}

static const struct zone *zone_at(const struct world *w, uint32_t pfn)
{
	uint32_t owner = w->model.owner[pfn];

	if (owner == NOBODY)
		fail_msg("seed %llu: frame %u is in no zone", (unsigned long long)w->seed, pfn);
	return &w->f.m->nodes[owner / NR_ZONES].zone[owner % NR_ZONES];
}

/* ---- what must hold ---- */

/* Frames of a zone that CPUs will free late. */
static uint64_t late_pages(const struct world *w, const struct zone *zone)
{
	uint64_t pages = 0;

	for (uint32_t cpu = 0; cpu < w->f.m->nr_cpus; cpu++)
		for (uint32_t i = 0; i + 1 < w->f.m->cpus[cpu].nr_late; i++)
			pages +=
				page_zone(w->f.m, &w->f.m->pages[w->f.m->cpus[cpu].late[i]]) == zone
					? 1
					: 0;
	return pages;
}

static void check_counts(const struct world *w)
{
	for (uint32_t i = 0; i < w->f.m->nr_nodes * NR_ZONES; i++) {
		const struct zone *zone = &w->f.m->nodes[i / NR_ZONES].zone[i % NR_ZONES];
		uint64_t nr_free = 0;

		for (uint32_t pfn = zone->start_pfn; pfn < zone_end(zone); pfn++)
			nr_free += w->model.frame[pfn] == FREE && w->model.owner[pfn] == i ? 1 : 0;
		uint64_t ours = zone->present == 0
					? 0
					: zone_stat_exact(zone, NR_FREE_PAGES) +
						  core_pcp_pages(zone) + late_pages(w, zone);

		if (ours != nr_free)
			fail_msg("seed %llu: zone %s of node %u has %llu free frames, not %llu",
				 (unsigned long long)w->seed, zone->name, zone->node,
				 (unsigned long long)ours, (unsigned long long)nr_free);
		if (zone->nr_reserved_highatomic % NEAP_PAGEBLOCK_PAGES != 0)
			fail_msg("seed %llu: a reserve of %llu pages", (unsigned long long)w->seed,
				 (unsigned long long)zone->nr_reserved_highatomic);
	}
}

static uint64_t used_pages(const struct world *w)
{
	uint64_t pages = 0;

	for (uint32_t i = 0; i < w->nr_held; i++)
		pages += (uint64_t)1 << w->held[i].order;
	return pages;
}

/* ---- requests ---- */

static uint32_t random_gfp(struct world *w)
{
	static const uint32_t places[] = { 0,
					   0,
					   GFP_BIT_DMA,
					   GFP_BIT_DMA32,
					   GFP_BIT_HIGHMEM,
					   GFP_BIT_MOVABLE,
					   GFP_BIT_HIGHMEM | GFP_BIT_MOVABLE,
					   GFP_BIT_HIGHMEM | GFP_BIT_MOVABLE,
					   GFP_BIT_DMA32 | GFP_BIT_MOVABLE,
					   GFP_BIT_RECLAIMABLE,
					   GFP_BIT_DMA | GFP_BIT_RECLAIMABLE };
	static const struct {
		uint32_t bit, one_in;
	} bits[] = {
		{ GFP_BIT_HIGH, 4 },
		{ GFP_BIT_ATOMIC, 4 },
		{ GFP_BIT_NOMEMALLOC, 8 },
		{ GFP_BIT_MEMALLOC, 30 },
		{ GFP_BIT_THISNODE, 8 },
		{ GFP_BIT_COMP, 2 },
		{ GFP_BIT_ZERO, 10 },
		{ GFP_BIT_WRITE, 10 },
		{ GFP_BIT_HARDWALL, 3 },
		{ GFP_BIT_NOWARN, 2 },
		{ GFP_BIT_NORETRY, 8 },
		{ GFP_BIT_IO, 2 },
		{ GFP_BIT_FS, 2 },
		{ GFP_BIT_DIRECT_RECLAIM, 12 },
		{ GFP_BIT_RETRY_MAYFAIL, 8 },
	};
	uint32_t gfp = places[below(w, ARRAY_LEN(places))];

	for (size_t i = 0; i < ARRAY_LEN(bits); i++)
		if (one_in(w, bits[i].one_in))
			gfp |= bits[i].bit;
	return gfp | (one_in(w, 4) ? 0 : GFP_BIT_KSWAPD_RECLAIM);
}

/* Contents: what was asked to be zero is, and the next owner finds something else. */
static void check_contents(struct world *w, uint32_t pfn, uint32_t order, uint32_t gfp)
{
	for (uint32_t i = 0; i < 1u << order; i++) {
		uint64_t *first = fake_hw_window(&w->f.hw.hw, pfn + i);

		if ((gfp & GFP_BIT_ZERO) && *first != 0)
			fail_msg("seed %llu: a page asked to be zero is not",
				 (unsigned long long)w->seed);
		*first = pfn + 1;
	}
}

static void check_block(struct world *w, uint32_t pfn, const struct alloc_request *r)
{
	const struct zone *zone = zone_at(w, pfn);
	uint32_t size = 1u << r->order;

	if ((pfn & (size - 1)) != 0 || pfn + size > zone_end(zone) ||
	    w->model.owner[pfn + size - 1] != w->model.owner[pfn])
		fail_msg("seed %llu: block %u of order %u is not aligned or leaves its zone",
			 (unsigned long long)w->seed, pfn, r->order);
	if (!model_eligible(w->f.t, zone, r))
		fail_msg("seed %llu: gfp %x on node %u got a block of zone %s of node %u",
			 (unsigned long long)w->seed, r->gfp, r->node, zone->name, zone->node);
	for (uint32_t i = 0; i < size; i++) {
		if (w->model.frame[pfn + i] != FREE)
			fail_msg("seed %llu: frame %u (of block %u, order %u) was not free but %u",
				 (unsigned long long)w->seed, pfn + i, pfn, r->order,
				 w->model.frame[pfn + i]);
		w->model.frame[pfn + i] = USED;
	}
	assert_int_equal(page_refs(&w->f.m->pages[pfn]) & ~PAGE_OWNED, 1);
	check_contents(w, pfn, r->order, r->gfp);
}

static void check_verdict(struct world *w, enum verdict verdict, bool got,
			  const struct alloc_request *r)
{
	w->nr_got += got ? 1 : 0;
	w->nr_failed += got ? 0 : 1;
	w->nr_must_get += verdict == MUST_GET ? 1 : 0;
	w->nr_must_fail += verdict == MUST_FAIL ? 1 : 0;
	if ((verdict == MUST_GET && !got) || (verdict == MUST_FAIL && got))
		fail_msg("seed %llu: order %u gfp %x on node %u must %s",
			 (unsigned long long)w->seed, r->order, r->gfp, r->node,
			 got ? "fail" : "succeed");
}

static void step_allocate(struct world *w)
{
	const uint64_t mask = 1 + below(w, 15);
	struct alloc_request r = {
		.gfp = random_gfp(w) | (below(w, 2) != 0 ? GFP_BIT_OWNED : 0),
		.order = one_in(w, 3) ? below(w, NR_ORDERS) : below(w, 4),
		.node = below(w, w->f.m->nr_nodes),
		.nodemask = one_in(w, 5) ? &mask : NULL,
	};
	enum verdict verdict = model_request(&w->model, w->f.t, &r, w->drained);
	uint32_t pfn;

	if (w->nr_held == HELD_MAX)
		return;
	pfn = alloc_pages(w->f.t, &r);
	w->drained = false;
	check_verdict(w, verdict, pfn != PFN_NONE, &r);
	if (pfn == PFN_NONE)
		return;
	check_block(w, pfn, &r);
	w->held[w->nr_held++] = (struct held){ pfn, r.order };
}

static void step_free(struct world *w)
{
	if (w->nr_held == 0)
		return;
	uint32_t i = below(w, w->nr_held);
	struct held block = w->held[i];

	memset(&w->model.frame[block.pfn], FREE, (size_t)1 << block.order);
	w->held[i] = w->held[--w->nr_held];
	if (below(w, 8) == 0 && w->f.m->cpus[task_cpu(w->f.t)].nr_late == 0)
		w->f.m->cpus[task_cpu(w->f.t)].nr_late = 1; /* as if it freed in bulk */
	if (block.order == 0)
		free_page_put(w->f.t, block.pfn);
	else
		core_free(&w->f, block.pfn, block.order);
	w->drained = false;
}

/* ---- other steps ---- */

static void step_drain(struct world *w)
{
	pcp_drain_all(w->f.t, w->f.m, NULL);
	w->drained = true;
}

static void step_setting(struct world *w)
{
	static const char *const names[] = { "min_free_kbytes", "watermark_boost_factor",
					     "watermark_scale_factor",
					     "percpu_pagelist_high_fraction" };
	static const uint32_t most[] = { 4000, 30000, 300, 40 };
	uint32_t i = below(w, ARRAY_LEN(names));
	uint32_t value = below(w, most[i]);
	char text[32];

	if (i == 2)
		value++;
	else if (i == 3)
		value = value < 8 ? 0 : value;
	snprintf(text, sizeof(text), "%u\n", value);
	assert_int_equal(sysctl_write(w->f.t, w->f.m, names[i], text, strlen(text)), strlen(text));
}

/* The task moves to a CPU that is online. */
static void go_to_cpu(struct world *w)
{
	uint32_t cpu = below(w, w->f.m->nr_cpus);

	while (!machine_cpu_online(w->f.m, cpu))
		cpu = (cpu + 1) % w->f.m->nr_cpus;
	fake_rt_cpu(&w->f.rt, cpu);
}

/* A CPU goes with all that it kept, or comes back. The last one stays. */
static void step_cpu(struct world *w)
{
	uint32_t cpu = below(w, w->f.m->nr_cpus);
	bool online = machine_cpu_online(w->f.m, cpu);
	bool last = online && atomic_load(&w->f.m->nr_online) == 1;

	/* Its tasks leave it first: this one. */
	for (uint32_t k = 0; k < w->f.m->nr_cpus; k++)
		if (k != cpu && machine_cpu_online(w->f.m, k))
			fake_rt_cpu(&w->f.rt, k);
	int error = online ? hotplug_cpu_offline(w->f.t, cpu) : hotplug_cpu_online(w->f.t, cpu);

	if (error != (last ? -EBUSY : 0))
		fail_msg("seed %llu: CPU %u, which was %s: error %d", (unsigned long long)w->seed,
			 cpu, online ? "online" : "offline", error);
	for (uint32_t i = 0; online && !last && i < w->f.m->nr_nodes * NR_ZONES; i++) {
		const struct zone *zone = &w->f.m->nodes[i / NR_ZONES].zone[i % NR_ZONES];

		if (zone->present != 0 && zone->pcp[cpu].count != 0)
			fail_msg("seed %llu: CPU %u went and kept pages",
				 (unsigned long long)w->seed, cpu);
	}
	go_to_cpu(w);
}

static void block_is(struct world *w, uint32_t block, uint8_t state, uint32_t owner)
{
	memset(&w->model.frame[block * BLOCK_PAGES], state, BLOCK_PAGES);
	memset(&w->model.owner[block * BLOCK_PAGES], (int)owner, BLOCK_PAGES);
}

static void memory_online(struct world *w, uint32_t block, bool there)
{
	bool movable = one_in(w, 2);
	int error = hotplug_mem_online(w->f.t, block, movable ? HOTPLUG_MOVABLE : HOTPLUG_KERNEL);

	if (error != (there ? 0 : -EINVAL))
		fail_msg("seed %llu: block %u online: error %d", (unsigned long long)w->seed, block,
			 error);
	if (error != 0)
		return;
	uint32_t number = w->f.m->blocks.state[block] - BLOCK_FIRST_ZONE;

	assert_int_equal(number / NR_ZONES, w->f.m->blocks.node[block]);
	assert_true((number % NR_ZONES == ZONE_MOVABLE) == movable);
	block_is(w, block, FREE, number);
	w->nr_came++;
	kswapds_give_up(w);
}

static void memory_offline(struct world *w, uint32_t block, bool whole)
{
	bool all_free = true;

	for (uint32_t i = 0; i < BLOCK_PAGES; i++)
		all_free &= w->model.frame[block * BLOCK_PAGES + i] == FREE;
	int error = hotplug_mem_offline(w->f.t, block);

	if (error != (!whole ? -EINVAL : all_free ? 0 : -EBUSY))
		fail_msg("seed %llu: block %u offline: error %d", (unsigned long long)w->seed,
			 block, error);
	w->nr_went += error == 0 ? 1 : 0;
	w->nr_stayed += error == -EBUSY ? 1 : 0;
	if (error == 0)
		block_is(w, block, ABSENT, NOBODY);
}

/* Any block, also one of boot's that lies wholly in a zone. */
static void step_memory(struct world *w)
{
	uint32_t block = below(w, w->f.m->max_pfn / BLOCK_PAGES);
	uint32_t state = w->f.m->blocks.state[block];

	if (one_in(w, 2))
		memory_online(w, block, state == BLOCK_OFFLINE);
	else
		memory_offline(w, block, state >= BLOCK_FIRST_ZONE);
	/* All lists and counts, at once. */
	free_late_settle_all(w->f.t, w->f.m);
	core_verify(&w->f, used_pages(w));
}

static void step_other(struct world *w)
{
	struct zone *zone = &w->f.m->nodes[below(w, w->f.m->nr_nodes)].zone[below(w, NR_ZONES)];

	switch (below(w, 9)) {
	case 0:
		step_setting(w);
		break;
	case 1:
		vmstat_fold_cpu(w->f.t, below(w, w->f.m->nr_cpus));
		w->drained = false; /* what it returns to the lists does not matter */
		break;
	case 2:
		w->f.t->flags ^= one_in(w, 3) ? PF_MEMALLOC : 0;
		break;
	case 3:
		atomic_fetch_xor(&zone->flags, ZONE_RECLAIM_ACTIVE);
		break;
	case 4:
		atomic_store(&zone->boost, 0); /* kswapd worked it off */
		marks_refresh(zone);
		break;
	case 5:
	case 6:
		step_cpu(w);
		break;
	case 7: /* a limit, half of the time; one without memory is refused */
		(void)!cpuset_set(w->f.t, one_in(w, 2) ? 0 : 1 + below(w, 15));
		break;
	default:
		w->f.t->flags &= ~PF_MEMALLOC;
		break;
	}
}

static void world_step(struct world *w, uint32_t step)
{
	uint32_t what = below(w, 100);

	if (step % PHASE_STEPS == 0)
		w->free_bias = 15 + below(w, 65);
	go_to_cpu(w);
	if (what < 3)
		step_other(w);
	else if (what < 15)
		step_drain(w);
	else if (below(w, 100) < w->free_bias)
		step_free(w);
	else
		step_allocate(w);
	check_counts(w);
	if (one_in(w, 30))
		step_memory(w);
	if (step % 64 == 0) {
		free_late_settle_all(w->f.t, w->f.m);
		core_verify(&w->f, used_pages(w));
	}
}

static void run_seed(struct world *w, uint64_t seed)
{
	w->seed = seed;
	w->nr_held = 0;
	rng_seed(&w->rng, seed);
	world_build(w);
	for (uint32_t step = 0; step < STEPS; step++)
		world_step(w, step);
	w->f.t->flags = 0;
	while (w->nr_held > 0)
		step_free(w);
	step_drain(w);
	check_counts(w);
	free_late_settle_all(w->f.t, w->f.m);
	core_verify(&w->f, 0);
	free(w->model.frame);
	free(w->model.owner);
	core_teardown(&w->f);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_random_steps(void **state)
{
	const char *text = getenv("NEAP_PROPERTY_SECONDS");
	double end = seconds_now() + (text != NULL ? strtod(text, NULL) : 0);
	uint64_t first = core_seed();
	uint64_t nr = 0;

	(void)state;
	while (text != NULL ? seconds_now() < end : nr < SEEDS_DEFAULT)
		run_seed(&world, first + nr++);
	print_message(
		"seeds: %llu runs of %u steps from seed %llu: %llu requests served, %llu refused;"
		" %llu had to be served and %llu refused; memory blocks: %llu came, %llu went,"
		" %llu had to stay\n",
		(unsigned long long)nr, STEPS, (unsigned long long)first,
		(unsigned long long)world.nr_got, (unsigned long long)world.nr_failed,
		(unsigned long long)world.nr_must_get, (unsigned long long)world.nr_must_fail,
		(unsigned long long)world.nr_came, (unsigned long long)world.nr_went,
		(unsigned long long)world.nr_stayed);
	/* A model that never decides would test nothing. */
	assert_true(nr < 4 || (world.nr_must_get > 100 && world.nr_must_fail > 100));
	assert_true(nr < 4 || (world.nr_went > 10 && world.nr_stayed > 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
