/*
 * Tests of core/hotplug_mem.c and core/hotplug_cpu.c on whole machines: pages move away with their
 * contents and counts, refusals leave everything in its place, nodes win and lose their threads,
 * CPUs leave nothing behind; and random hot-plug beside working programs, with schedules explored.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/compact.h"
#include "core/contig.h"
#include "core/hotplug_cpu.h"
#include "core/hotplug_mem.h"
#include "core/pcp.h"
#include "core/sysctl.h"

#define BLOCK_PAGES 1024u

/* Adds and takes nr blocks online, movable. => the first */
static uint32_t plug(struct machine_fixture *f, uint32_t node, uint32_t nr)
{
	uint32_t first;

	assert_int_equal(hotplug_mem_add(f->t, node, nr, &first), 0);
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(hotplug_mem_online(f->t, first + i, HOTPLUG_MOVABLE), 0);
	return first;
}

/* How many pages of the region lie in the block. */
static uint32_t pages_in(struct machine_fixture *f, struct region *region, uint64_t nr,
			 uint32_t block)
{
	uint32_t found = 0;

	for (uint64_t i = 0; i < nr; i++) {
		const struct page *page = machine_page_at(f, region, i);

		if (page != NULL && (uint32_t)(page - f->m->pages) >> f->m->blocks.shift == block)
			found++;
	}
	return found;
}

/* Anonymous, swapped, file and locked pages leave a block; what they hold stays. */
static void body_move(struct machine_fixture *f)
{
	uint32_t first = plug(f, 0, 2);
	struct region *anon = machine_region(f, 1200);
	const struct region_spec locked_spec = { .nr_pages = 50, .flags = REGION_LOCKED };
	struct region *locked = machine_region_spec(f, &locked_spec);
	struct fixture_file *file = machine_file(f, 300);
	uint64_t value;

	machine_fill(f, anon, 0, 1200);
	machine_fill(f, locked, 0, 50);
	for (uint64_t i = 0; i < 300; i++)
		assert_int_equal(machine_file_write(f, file, i, machine_file_value(i, 1)), 0);
	machine_swap_out(f, anon, 0, 20);
	machine_check(f, anon, 0, 20); /* from the swap cache */
	uint32_t in_block = pages_in(f, anon, 1200, first) + pages_in(f, anon, 1200, first + 1);

	assert_true(in_block > 100);
	uint64_t moved = machine_events(f, EV_PGMIGRATE_SUCCESS);

	assert_int_equal(hotplug_mem_offline(f->t, first), 0);
	assert_int_equal(hotplug_mem_offline(f->t, first + 1), 0);
	assert_true(machine_events(f, EV_PGMIGRATE_SUCCESS) >= moved + in_block);
	assert_int_equal(pages_in(f, anon, 1200, first) + pages_in(f, anon, 1200, first + 1), 0);
	assert_false(zone_populated(&f->node->zone[ZONE_MOVABLE]));
	machine_verify(f);
	machine_check(f, anon, 0, 1200);
	machine_check(f, locked, 0, 50);
	for (uint64_t i = 0; i < 300; i++) {
		assert_int_equal(machine_file_read(f, file, i, &value), 0);
		assert_int_equal(value, machine_file_value(i, 1));
	}
}
MACHINE_TEST(move, .pages = 4096, .hot_blocks = 2, .swap_pages = 4096);

/* A huge page is split, and its parts leave; one that is pinned refuses the block. */
static void body_huge(struct machine_fixture *f)
{
	uint32_t block = plug(f, 0, 1);
	const struct region_spec spec = { .nr_pages = 1024, .flags = REGION_HUGE };
	struct region *region = machine_region_spec(f, &spec);
	uint32_t pfn;

	assert_int_equal(sysctl_write(f->t, f->m, "/sys/kernel/mm/transparent_hugepage/enabled",
				      "always", 6),
			 6);
	machine_fill(f, region, 0, 1024);
	assert_int_equal(machine_events(f, EV_THP_FAULT_ALLOC), 2);
	assert_true(pages_in(f, region, 1024, block) >= 512);
	assert_int_equal(fault_pin(f->t, region, 5, true, &pfn), 0);
	assert_int_equal(hotplug_mem_offline(f->t, pfn >> f->m->blocks.shift), -EBUSY);
	machine_verify(f);
	fault_unpin(f->t, machine_page(f->m, pfn), false);
	assert_int_equal(hotplug_mem_offline(f->t, block), 0);
	assert_int_equal(pages_in(f, region, 1024, block), 0);
	machine_verify(f);
	machine_check(f, region, 0, 1024);
}

MACHINE_TEST(huge, .pages = 8192, .hot_blocks = 1, .swap_pages = 4096);

/* A pin keeps its page, and so its block; all else is as before. */
static void body_refuse(struct machine_fixture *f)
{
	uint32_t block = plug(f, 0, 1);
	struct region *anon = machine_region(f, 300);
	uint32_t pfn;

	machine_fill(f, anon, 0, 300);
	assert_true(pages_in(f, anon, 300, block) > 0);
	uint64_t page = 0;

	while (((uint32_t)(machine_page_at(f, anon, page) - f->m->pages) >> f->m->blocks.shift) !=
	       block)
		page++;
	assert_int_equal(fault_pin(f->t, anon, page, false, &pfn), 0);
	struct zone *movable = &f->node->zone[ZONE_MOVABLE];
	uint64_t low = zone_mark(movable, WMARK_LOW);
	uint64_t high = movable->pcp[0].high;
	uint64_t managed = zone_managed(movable);

	assert_int_equal(hotplug_mem_offline(f->t, block), -EBUSY);
	assert_int_equal(zone_managed(movable), managed);
	assert_int_equal(zone_mark(movable, WMARK_LOW), low);
	assert_int_equal(movable->pcp[0].high, high);
	assert_int_equal(movable->nr_isolated_blocks, 0);
	assert_int_equal(f->m->lru_disabled, 0);
	machine_check(f, anon, 0, 300);
	fault_unpin(f->t, &f->m->pages[pfn], false);
	machine_verify(f);
	assert_int_equal(hotplug_mem_offline(f->t, block), 0);
	machine_check(f, anon, 0, 300);
}
MACHINE_TEST(refuse, .pages = 4096, .hot_blocks = 1);

static void body_errors(struct machine_fixture *f)
{
	uint32_t first;

	assert_int_equal(hotplug_mem_add(f->t, 1, 1, &first), -EINVAL);
	assert_int_equal(hotplug_mem_add(f->t, 0, 4, &first), -ENOSPC);
	assert_int_equal(hotplug_mem_add(f->t, 0, 0, &first), -EINVAL);
	assert_int_equal(hotplug_mem_add(f->t, 0, 2, &first), 0);
	assert_int_equal(hotplug_mem_offline(f->t, first), -EINVAL);
	assert_int_equal(hotplug_mem_online(f->t, first + 2, HOTPLUG_DEFAULT), -EINVAL);
	assert_int_equal(hotplug_mem_online(f->t, UINT32_MAX, HOTPLUG_DEFAULT), -EINVAL);
	assert_int_equal(hotplug_mem_online(f->t, first, HOTPLUG_DEFAULT), 0);
	assert_int_equal(hotplug_mem_online(f->t, first, HOTPLUG_DEFAULT), -EINVAL);
	assert_int_equal(hotplug_mem_remove(f->t, first, 2), -EBUSY);
	assert_int_equal(hotplug_mem_offline(f->t, first), 0);
	assert_int_equal(hotplug_mem_remove(f->t, first, 2), 0);
	assert_int_equal(hotplug_mem_remove(f->t, first, 2), -EINVAL);
	assert_int_equal(hotplug_mem_remove(f->t, 0, 1), -EINVAL);
	/* Its page tables and pools hold the boot memory down, and the first block has a hole. */
	assert_int_equal(hotplug_mem_offline(f->t, 0), -EINVAL);
	assert_int_equal(hotplug_cpu_offline(f->t, 2), -EINVAL);
	assert_int_equal(hotplug_cpu_online(f->t, 0), -EINVAL);
	assert_int_equal(hotplug_cpu_offline(f->t, 0), 0);
	assert_int_equal(hotplug_cpu_offline(f->t, 0), -EINVAL);
	assert_int_equal(hotplug_cpu_offline(f->t, 1), -EBUSY);
	assert_int_equal(hotplug_cpu_online(f->t, 0), 0);
}
MACHINE_TEST(errors, .hot_blocks = 3);

/* A node's first memory brings its threads and its place in the lists; its last takes them. */
static void body_node(struct machine_fixture *f)
{
	struct node *node = &f->m->nodes[1];
	uint32_t block;

	assert_null(node->kswapd);
	assert_null(node->fallback.first[ZONE_MOVABLE][1].zone);
	assert_int_equal(hotplug_mem_add(f->t, 1, 1, &block), 0);
	assert_null(node->kswapd);
	assert_int_equal(hotplug_mem_online(f->t, block, HOTPLUG_KERNEL), 0);
	assert_non_null(node->kswapd);
	assert_non_null(node->kcompactd);
	assert_ptr_equal(node->fallback.first[ZONE_MOVABLE]->zone, &node->zone[ZONE_NORMAL]);
	struct cpumask cpus = hotplug_cpu_mask(f->t, node, &node->kswapd_cpus);

	assert_true(cpumask_count(&cpus) == 1 && cpumask_test(&cpus, 1));
	const struct alloc_request request = { .gfp = GFP_KERNEL, .node = 1 };
	uint32_t pfn = alloc_pages(f->t, &request);

	assert_int_equal(pfn >> f->m->blocks.shift, block);
	page_set(&f->m->pages[pfn], PG_KERNEL);
	assert_int_equal(hotplug_mem_offline(f->t, block), -EBUSY);
	assert_non_null(node->kswapd);
	page_clear(&f->m->pages[pfn], PG_KERNEL);
	page_put(f->t, &f->m->pages[pfn]);
	assert_int_equal(hotplug_mem_offline(f->t, block), 0);
	assert_null(node->kswapd);
	assert_null(node->kcompactd);
	pfn = alloc_pages(f->t, &request);
	assert_int_equal(page_node_id(&f->m->pages[pfn]), 0);
	page_put(f->t, &f->m->pages[pfn]);
	assert_int_equal(hotplug_mem_online(f->t, block, HOTPLUG_MOVABLE), 0);
	assert_non_null(node->kswapd);
	assert_int_equal(hotplug_mem_offline(f->t, block), 0);
}

/* What the hardware has left: `left` more reservations, and frames or none. */
static struct {
	const struct hw_ops *real;
	uint32_t left;
	bool frames;
} scarce;

static void *reserve_scarce(struct hw *hw, size_t bytes)
{
	if (scarce.left == 0)
		return NULL;
	scarce.left--;
	return scarce.real->reserve(hw, bytes);
}

static int add_frames_scarce(struct hw *hw, uint32_t first, uint32_t nr)
{
	return scarce.frames ? scarce.real->add_frames(hw, first, nr) : -ENOMEM;
}

static void check_not_online(struct machine_fixture *f, uint32_t block)
{
	assert_int_equal(f->m->blocks.state[block], BLOCK_OFFLINE);
	assert_false(zone_populated(&f->m->nodes[1].zone[ZONE_NORMAL]));
	assert_int_equal(f->m->total_pages, 4096);
	assert_null(f->m->nodes[1].kswapd);
	assert_null(f->m->nodes[1].fallback.first[ZONE_MOVABLE][1].zone);
	machine_verify(f);
}

/* A node's first memory cannot come: everything is as if nobody had asked. Then it can. */
static void body_online_fails(struct machine_fixture *f)
{
	struct hw_ops ops = *f->m->hw->ops;
	uint32_t block;
	uint32_t tries = 0;
	int err;

	scarce.real = f->m->hw->ops;
	ops.reserve = reserve_scarce;
	ops.add_frames = add_frames_scarce;
	assert_int_equal(hotplug_mem_add(f->t, 1, 1, &block), 0);
	f->m->hw->ops = &ops;
	for (;; tries++) { /* event loop: ends when there is enough */
		scarce.left = tries;
		scarce.frames = tries > 3;
		err = hotplug_mem_online(f->t, block, HOTPLUG_KERNEL);
		if (err == 0)
			break;
		assert_int_equal(err, -ENOMEM);
		check_not_online(f, block);
	}
	f->m->hw->ops = scarce.real;
	assert_int_equal(tries, 4);
	assert_ptr_equal(f->m->nodes[1].fallback.first[ZONE_MOVABLE]->zone,
			 &f->m->nodes[1].zone[ZONE_NORMAL]);
	assert_non_null(f->m->nodes[1].kswapd);
	assert_int_equal(hotplug_mem_offline(f->t, block), 0);
}

static void run_two_nodes(machine_body body)
{
	static struct machine_desc desc;

	desc = (struct machine_desc){
		.nr_nodes = 2,
		.nr_cpus = 2,
		.has_swap = true,
		.hot_first_pfn = 8192,
		.hot_pages = BLOCK_PAGES,
		.block_pages = BLOCK_PAGES,
	};
	desc.node[0].zone[ZONE_NORMAL] = (struct machine_zone_desc){
		.start_pfn = 1024, .spanned = 4096, .present = 4096, .managed = 4096
	};
	for (uint32_t n = 0; n < 2; n++) {
		cpumask_set(&desc.node[n].cpus, n);
		desc.node[n].distance[n] = 10;
		desc.node[n].distance[1 - n] = 20;
	}
	machine_run(&(struct machine_setup){ .desc = &desc }, body);
}

static void test_node(void **state)
{
	(void)state;
	run_two_nodes(body_node);
}

static void test_online_fails(void **state)
{
	(void)state;
	run_two_nodes(body_online_fails);
}

/* Nothing of a CPU's own is left when it goes; what it counted still counts. */
static void body_cpu(struct machine_fixture *f)
{
	struct region *anon = machine_region(f, 400);
	struct cpumask cpus = { { 2 } };

	assert_int_equal(f->t->rt->ops->set_cpus(f->t, &cpus), 0);
	machine_fill(f, anon, 0, 400);
	machine_swap_out(f, anon, 0, 40);
	assert_int_equal(task_cpu(f->t), 1);
	uint64_t faults = machine_events(f, EV_PGFAULT);

	assert_int_equal(hotplug_cpu_offline(f->t, 1), 0);
	assert_int_equal(task_cpu(f->t), 0);
	assert_int_equal(f->zone->pcp[1].count, 0);
	for (uint32_t item = 0; item < NR_ZONE_ITEMS; item++)
		assert_int_equal(f->zone->pcp[1].diff[item], 0);
	for (uint32_t kind = 0; kind < NR_LRU_BATCHES; kind++)
		assert_int_equal(f->m->cpus[1].batch[kind].nr, 0);
	assert_int_equal(f->m->cpus[1].nr_swap_slots, 0);
	assert_int_equal(f->m->cpus[1].nr_swap_returned, 0);
	assert_int_equal(machine_events(f, EV_PGFAULT), faults);
	assert_int_equal(f->zone->pcp[0].threshold,
			 vmstat_threshold_normal(zone_managed(f->zone), 1));
	machine_check(f, anon, 0, 400);
	machine_verify(f);
	assert_int_equal(hotplug_cpu_online(f->t, 1), 0);
	assert_int_equal(f->zone->pcp[0].threshold,
			 vmstat_threshold_normal(zone_managed(f->zone), 2));
	assert_int_equal(f->t->rt->ops->set_cpus(f->t, &cpus), 0);
	assert_int_equal(task_cpu(f->t), 1);
	machine_check(f, anon, 0, 400);
}
MACHINE_TEST(cpu, .pages = 4096, .swap_pages = 1024);

/* ---- random ---- */

#define STORM_WORKERS 3u
#define STORM_STEPS 200u
#define STORM_PAGES 900u

static uint32_t storm_done, storm_refused, storm_taken;

struct storm {
	struct machine_fixture *f;
	struct region *region[STORM_WORKERS];
	_Atomic uint32_t stop;
	uint64_t seed;
};

struct storm_worker {
	struct storm *storm;
	uint32_t number;
};

/* Writes pages with what they should hold, reads them back, gives some up. */
static int storm_work(struct task *t, void *arg)
{
	struct storm_worker *worker = arg;
	struct storm *storm = worker->storm;
	struct region *region = storm->region[worker->number];
	static const uint64_t marker = UINT64_C(0x5eed);
	uint8_t written[STORM_PAGES] = { 0 };
	struct rng rng;

	t->machine = storm->f->m;
	rng_seed(&rng, storm->seed + worker->number);
	while (!atomic_load(&storm->stop)) {
		uint64_t page = rng_below(&rng, STORM_PAGES);
		uint64_t value;

		if (!written[page] || rng_below(&rng, 4) == 0) {
			assert_int_equal(task_write(t, region, page, marker ^ page), 0);
			written[page] = 1;
		} else {
			assert_int_equal(task_read(t, region, page, &value), 0);
			assert_int_equal(value, marker ^ page);
		}
		if (page % 8 == 0)
			rt_sleep(t, 20 * NSEC_PER_USEC);
		rt_preempt(t);
	}
	return 0;
}

/*
 * Takes ranges wherever there is one, and gives them back; compacts whole nodes, which takes
 * targets also from pageblocks that are set aside.
 */
static int storm_ranges(struct task *t, void *arg)
{
	struct storm *storm = arg;
	struct rng rng;

	t->machine = storm->f->m;
	rng_seed(&rng, storm->seed + STORM_WORKERS);
	while (!atomic_load(&storm->stop)) {
		uint32_t node = (uint32_t)rng_below(&rng, t->machine->nr_nodes);
		uint32_t nr = 1 + (uint32_t)rng_below(&rng, BLOCK_PAGES);
		uint32_t first;

		if (rng_below(&rng, 3) == 0) {
			compact_node(t, &t->machine->nodes[node]);
		} else if (contig_alloc_pages(t, node, nr, &first) == 0) {
			for (uint32_t i = 0; i < nr; i++)
				assert_ptr_equal(
					page_zone(t->machine, machine_page(t->machine, first + i)),
					page_zone(t->machine, machine_page(t->machine, first)));
			storm_taken++;
			contig_free(t, first, nr);
		}
		rt_sleep(t, rng_below(&rng, 300 * NSEC_PER_USEC));
	}
	return 0;
}

static void storm_step(struct machine_fixture *f, struct rng *rng, uint32_t first, uint32_t nr)
{
	uint32_t block = first + (uint32_t)rng_below(rng, nr);
	uint32_t cpu = (uint32_t)rng_below(rng, f->m->nr_cpus);
	int err = 0;

	switch (rng_below(rng, 5)) {
	case 0:
	case 1:
		err = hotplug_mem_online(f->t, block,
					 rng_below(rng, 4) == 0 ? HOTPLUG_KERNEL : HOTPLUG_MOVABLE);
		break;
	case 2:
		err = hotplug_mem_offline(f->t, block);
		break;
	case 3:
		err = hotplug_cpu_offline(f->t, cpu);
		break;
	default:
		err = hotplug_cpu_online(f->t, cpu);
		break;
	}
	assert_true(err == 0 || err == -EINVAL || err == -EBUSY);
	storm_done += err == 0 ? 1 : 0;
	storm_refused += err == -EBUSY ? 1 : 0;
	rt_sleep(f->t, rng_below(rng, 400 * NSEC_PER_USEC));
}

static void body_storm(struct machine_fixture *f)
{
	static struct storm storm;
	struct storm_worker worker[STORM_WORKERS];
	struct task *task[STORM_WORKERS + 1];
	const struct task_spec ranges = { .name = "ranges", .fn = storm_ranges, .arg = &storm };
	struct rng rng;
	uint32_t first;

	storm = (struct storm){ .f = f, .seed = f->setup->seed };
	rng_seed(&rng, f->setup->seed);
	assert_int_equal(hotplug_mem_add(f->t, f->m->nr_nodes - 1, 3, &first), 0);
	for (uint32_t i = 0; i < STORM_WORKERS; i++) {
		const struct task_spec spec = { .name = "worker",
						.fn = storm_work,
						.arg = &worker[i] };

		worker[i] = (struct storm_worker){ &storm, i };
		storm.region[i] = machine_region(f, STORM_PAGES);
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	assert_int_equal(rt_spawn(f->t, &ranges, &task[STORM_WORKERS]), 0);
	for (uint32_t i = 0; i < STORM_STEPS; i++)
		storm_step(f, &rng, first, 3);
	atomic_store(&storm.stop, 1);
	for (uint32_t i = 0; i <= STORM_WORKERS; i++)
		assert_int_equal(rt_join(f->t, task[i]), 0);
	machine_verify(f);
}

static void storm_run(uint64_t seed, bool explore)
{
	machine_run(
		&(struct machine_setup){
			.pages = 1024,
			.nr_nodes = 2,
			.nr_cpus = 4,
			.seed = seed,
			.explore = explore,
			.swap_pages = 8192,
			.hot_blocks = 3,
			.proactiveness = 20,
		},
		body_storm);
}

static void test_storm(void **state)
{
	uint64_t seed = machine_seed();

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		storm_run(seed + i, false);
		storm_run(seed + i, true);
	}
	print_message("%u done, %u refused, %u ranges taken\n", storm_done, storm_refused,
		      storm_taken);
	assert_true(storm_done > 100 && storm_taken > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move),   cmocka_unit_test(test_huge),
		cmocka_unit_test(test_refuse), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_node),   cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_storm),  cmocka_unit_test(test_online_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
