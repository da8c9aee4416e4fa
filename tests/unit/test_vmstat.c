/*
 * Tests of core/vmstat.c: differences and their carry, thresholds, drift marks, folding and the
 * ageing of another node's per-CPU pages.
 */
#include "core_fixture.h"

#include "core/racy.h"
#include "core/visit.h"

static void test_thresholds(void **state)
{
	(void)state;
	assert_int_equal(vmstat_threshold_normal(3840, 2), 4);
	assert_int_equal(vmstat_threshold_normal(772915, 2), 24);
	assert_int_equal(vmstat_threshold_normal(491520, 2), 20);
	assert_int_equal(vmstat_threshold_normal(819200, 2), 24);
	assert_int_equal(vmstat_threshold_normal(3840, 4), 6);
	assert_int_equal(vmstat_threshold_normal(253783, 4), 24);
	assert_int_equal(vmstat_threshold_normal(3977, 1), 2);
	assert_int_equal(vmstat_threshold_normal(889680, 1), 12);
	assert_int_equal(vmstat_threshold_normal(112936, 1), 6);
	assert_int_equal(vmstat_threshold_normal((uint64_t)1 << 40, 256), 125);
	assert_int_equal(vmstat_threshold_pressure(10, 4), 2);
	assert_int_equal(vmstat_threshold_pressure(3, 4), 1);
	assert_int_equal(vmstat_threshold_pressure(100000, 4), 125);
}

/* Two nodes with a CPU each; node 1 is the small one. */
static void setup_two(struct core_fixture *f)
{
	struct machine_desc desc;

	core_desc_init(&desc, 2, 2);
	core_desc_zone(&desc, 0, ZONE_NORMAL, 1048576, 16384);
	core_desc_zone(&desc, 1, ZONE_NORMAL, 1048576 + 16384, 4096);
	assert_int_equal(core_setup(f, &desc), 0);
}

static void test_carry(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 2, 3840);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	struct node *node = &f.m->nodes[0];

	assert_int_equal(zone->pcp[0].threshold, 4);
	cpu_pin(f.t);
	/* Steps overshoot: five ones become seven at once, and minus two remain. */
	for (uint32_t i = 0; i < 4; i++)
		zone_stat_inc(f.t, zone, NR_MLOCK);
	assert_int_equal(zone->stat[NR_MLOCK], 0);
	zone_stat_inc(f.t, zone, NR_MLOCK);
	assert_int_equal(zone->stat[NR_MLOCK], 7);
	assert_int_equal(f.m->zone_stat[NR_MLOCK], 7);
	assert_int_equal(zone->pcp[0].diff[NR_MLOCK], -2);
	assert_int_equal(zone_stat_exact(zone, NR_MLOCK), 5);
	for (uint32_t i = 0; i < 3; i++)
		zone_stat_dec(f.t, zone, NR_MLOCK);
	assert_int_equal(zone->stat[NR_MLOCK], 0);
	assert_int_equal(zone->pcp[0].diff[NR_MLOCK], 2);
	/* Sums are carried whole. */
	zone_stat_add(f.t, zone, NR_MLOCK, 2);
	assert_int_equal(zone->pcp[0].diff[NR_MLOCK], 4);
	zone_stat_add(f.t, zone, NR_MLOCK, 1);
	assert_int_equal(zone->pcp[0].diff[NR_MLOCK], 0);
	assert_int_equal(zone->stat[NR_MLOCK], 5);
	zone_stat_add(f.t, zone, NR_MLOCK, -100);
	assert_int_equal(zone->stat[NR_MLOCK], -95);
	assert_int_equal(zone_stat(zone, NR_MLOCK), 0);
	for (uint32_t i = 0; i < 5; i++)
		node_stat_inc(f.t, node, NR_FILE_PAGES);
	assert_int_equal(node->stat[NR_FILE_PAGES], 7);
	node_stat_dec(f.t, node, NR_FILE_PAGES);
	node_stat_add(f.t, node, NR_FILE_PAGES, 1000);
	assert_int_equal(node_stat_exact(node, NR_FILE_PAGES), 1004);
	cpu_unpin(f.t);
	core_teardown(&f);
}

/* Whatever is added, the difference stays within its threshold and the exact value is right. */
static void test_carry_property(void **state)
{
	struct core_fixture f;
	struct rng rng;
	int64_t expect = 0;

	(void)state;
	rng_seed(&rng, core_seed());
	core_setup_normal(&f, 4, 8192);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	int32_t threshold = zone->pcp[0].threshold;

	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t cpu = (uint32_t)rng_below(&rng, 4);
		int64_t delta = (int64_t)rng_below(&rng, 41) - 20;

		fake_rt_cpu(&f.rt, cpu);
		if (rng_below(&rng, 500) == 0) {
			vmstat_fold_all(f.t, f.m);
			assert_int_equal(zone->stat[NR_BOUNCE], expect);
		}
		cpu_pin(f.t);
		if (delta == 1)
			zone_stat_inc(f.t, zone, NR_BOUNCE);
		else if (delta == -1)
			zone_stat_dec(f.t, zone, NR_BOUNCE);
		else
			zone_stat_add(f.t, zone, NR_BOUNCE, delta);
		cpu_unpin(f.t);
		expect += delta;
		assert_true(zone->pcp[cpu].diff[NR_BOUNCE] <= threshold);
		assert_true(zone->pcp[cpu].diff[NR_BOUNCE] >= -threshold);
		assert_int_equal(zone_stat_exact(zone, NR_BOUNCE), expect > 0 ? expect : 0);
	}
	core_teardown(&f);
}

/* With any threshold, and with a difference that an older threshold allowed. */
static void test_adding_each_is_adding_often(void **state)
{
	struct core_fixture f;
	struct rng rng;

	(void)state;
	core_setup_normal(&f, 1, 8192);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	struct pcp *pcp = &zone->pcp[0];

	rng_seed(&rng, core_seed());
	cpu_pin(f.t);
	for (uint32_t round = 0; round < 20000; round++) {
		int64_t delta = (int64_t)1 << rng_below(&rng, 10);
		uint32_t nr = (uint32_t)rng_below(&rng, 200);

		pcp->threshold = (int32_t)rng_below(&rng, 126);
		pcp->diff[NR_MLOCK] = (int8_t)((int64_t)rng_below(&rng, 251) - 125);
		pcp->diff[NR_BOUNCE] = pcp->diff[NR_MLOCK];
		zone->stat[NR_MLOCK] = zone->stat[NR_BOUNCE] = 0;
		zone_stat_add_each(f.t, zone, NR_MLOCK, delta, nr);
		for (uint32_t i = 0; i < nr; i++)
			zone_stat_add(f.t, zone, NR_BOUNCE, delta);
		assert_int_equal(zone->stat[NR_MLOCK], zone->stat[NR_BOUNCE]);
		assert_int_equal(pcp->diff[NR_MLOCK], pcp->diff[NR_BOUNCE]);
	}
	cpu_unpin(f.t);
	core_teardown(&f);
}

static void test_fold_and_names(void **state)
{
	struct core_fixture f;
	bool found;

	(void)state;
	setup_two(&f);
	for (uint32_t cpu = 0; cpu < 2; cpu++) {
		fake_rt_cpu(&f.rt, cpu);
		cpu_pin(f.t);
		zone_stat_add(f.t, &f.m->nodes[0].zone[ZONE_NORMAL], NR_MLOCK, 2);
		node_stat_add(f.t, &f.m->nodes[1], NR_SHMEM, 1);
		event_add_pinned(f.t, EV_PSWPIN, 5);
		cpu_unpin(f.t);
		event_add(f.t, EV_SIM_ACCESS, 1);
	}
	assert_int_equal(vmstat_by_name(f.m, "nr_mlock", &found), 0);
	vmstat_fold_cpu(f.t, 1);
	assert_int_equal(vmstat_by_name(f.m, "nr_mlock", &found), 2);
	vmstat_fold_all(f.t, f.m);
	assert_int_equal(vmstat_by_name(f.m, "nr_mlock", &found), 4);
	assert_int_equal(vmstat_by_name(f.m, "nr_shmem", &found), 2);
	assert_int_equal(vmstat_by_name(f.m, "pswpin", &found), 10);
	assert_int_equal(vmstat_by_name(f.m, "accesses", &found), 2);
	assert_true(found);
	assert_int_equal(f.t->pin_depth, 0);
	assert_int_equal(f.t->slot->cpu, 1);
	vmstat_by_name(f.m, "nr_mloc", &found);
	assert_false(found);
	core_teardown(&f);
}

/* Pages of the other node go back after three idle folds, those of the own node never. */
static void test_remote_lists_age(void **state)
{
	struct core_fixture f;

	(void)state;
	setup_two(&f);
	struct zone *near = &f.m->nodes[0].zone[ZONE_NORMAL];
	struct zone *far = &f.m->nodes[1].zone[ZONE_NORMAL];
	struct alloc_request request = { .gfp = GFP_KERNEL, .node = 0 };

	uint32_t pfn_near = alloc_pages(f.t, &request);

	request.node = 1;
	uint32_t pfn_far = alloc_pages(f.t, &request);

	core_free(&f, pfn_near, 0);
	core_free(&f, pfn_far, 0);
	uint32_t near_count = near->pcp[0].count;
	uint32_t far_count = far->pcp[0].count;

	assert_true(near_count > 0 && far_count > 0);
	near->pcp[0].diff[NR_BOUNCE] = 1;
	far->pcp[0].diff[NR_BOUNCE] = 1;
	vmstat_fold_cpu(f.t, 0);
	assert_int_equal(far->pcp[0].expire, 2);
	assert_int_equal(near->pcp[0].expire, 0);
	vmstat_fold_cpu(f.t, 0);
	assert_int_equal(far->pcp[0].count, far_count);
	vmstat_fold_cpu(f.t, 0);
	assert_int_equal(far->pcp[0].count,
			 far_count > far->pcp[0].batch ? far_count - far->pcp[0].batch : 0);
	for (uint32_t i = 0; i < 10; i++)
		vmstat_fold_cpu(f.t, 0);
	assert_int_equal(near->pcp[0].count, near_count);
	core_verify(&f, 0);
	core_teardown(&f);
}

static void test_drift_and_pressure(void **state)
{
	struct core_fixture f;

	(void)state;
	/* 64 CPUs on a small zone: the differences could hide the whole gap. */
	core_setup_normal(&f, 64, 8192);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	uint64_t gap = zone_mark(zone, WMARK_LOW) - zone_mark(zone, WMARK_MIN);
	int32_t normal = vmstat_threshold_normal(8192, 64);

	assert_int_equal(normal, 14);
	assert_int_equal(zone->drift_mark, zone_mark(zone, WMARK_HIGH) + 64 * 14);
	assert_int_equal(zone->pcp[63].threshold, normal);
	assert_int_equal(f.m->nodes[0].cpu[5].threshold, normal);
	vmstat_node_thresholds(f.t, &f.m->nodes[0], true);
	assert_int_equal(zone->pcp[63].threshold, vmstat_threshold_pressure(gap, 64));
	vmstat_node_thresholds(f.t, &f.m->nodes[0], false);
	assert_int_equal(zone->pcp[63].threshold, normal);
	core_teardown(&f);
	/* One CPU on a large zone: no drift mark, nothing to switch. */
	core_setup_normal(&f, 1, 262144);
	zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	assert_int_equal(zone->drift_mark, 0);
	normal = zone->pcp[0].threshold;
	vmstat_node_thresholds(f.t, &f.m->nodes[0], true);
	assert_int_equal(zone->pcp[0].threshold, normal);
	core_teardown(&f);
}

static void test_visit(void **state)
{
	struct core_fixture f;
	struct cpu_visit visit;

	(void)state;
	setup_two(&f);
	assert_true(cpu_visit(f.t, 1, &visit));
	assert_int_equal(task_cpu(f.t), 1);
	assert_int_equal(f.rt.slots[1].word, 1);
	event_add(f.t, EV_PGFREE, 3);
	cpu_leave(f.t, &visit);
	assert_int_equal(task_cpu(f.t), 0);
	assert_int_equal(f.rt.slots[1].word, 0);
	assert_int_equal(f.m->cpus[1].meter[EV_PGFREE], 3);
	assert_int_equal(machine_event(f.m, EV_PGFREE), 3);
	core_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_carry),
		cmocka_unit_test(test_carry_property),
		cmocka_unit_test(test_adding_each_is_adding_often),
		cmocka_unit_test(test_fold_and_names),
		cmocka_unit_test(test_remote_lists_age),
		cmocka_unit_test(test_drift_and_pressure),
		cmocka_unit_test(test_visit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
