/*
 * Leaves of files' indexes that hold only shadows (core/shadow_nodes.c, core/index.c): when one is
 * listed and when not, how many are kept, and what is forgotten with one that goes.
 *
 *   pages of a leaf reclaimed one by one ──> listed ──> a page comes back: not listed
 *                                              └──────> too many: freed, no refault is noticed
 */
#include "machine_fixture.h"

#include "base/rng.h"
#include "core/index.h"
#include "core/reclaim.h"
#include "core/shadow_nodes.h"
#include "core/shrinker.h"

#define LEAF INDEX_NODE_SLOTS

static uint64_t shadow_leaves(struct machine_fixture *f)
{
	return machine_node_count(f, WORKINGSET_NODES);
}

static uint64_t reclaimed_leaves(struct machine_fixture *f)
{
	return machine_node_count(f, WORKINGSET_NODERECLAIM);
}

static void read_page(struct machine_fixture *f, struct fixture_file *file, uint64_t page)
{
	uint64_t value = 1;

	assert_int_equal(machine_file_read(f, file, page, &value), 0);
	assert_int_equal(value, machine_file_value(page, 0));
}

/* Reclaim takes the page and leaves a shadow. */
static void evict(struct machine_fixture *f, struct fixture_file *file, uint64_t page)
{
	struct page *cached = machine_file_page(f, file, page);

	assert_non_null(cached);
	page_clear(cached, PG_REFERENCED);
	assert_int_equal(machine_reclaim_one(f, cached), 1);
}

/* A file of single pages: nothing is read ahead. */
static struct fixture_file *sparse_file(struct machine_fixture *f, uint64_t nr)
{
	struct fixture_file *file = machine_file(f, nr);

	atomic_store(&file->mapping->pattern, REGION_RANDOM);
	return file;
}

/* One page in the leaf n, read and evicted. */
static void shadow_in_leaf(struct machine_fixture *f, struct fixture_file *file, uint64_t n)
{
	read_page(f, file, n * LEAF + n % LEAF);
	lru_drain_all(f->t);
	evict(f, file, n * LEAF + n % LEAF);
}

/* A leaf is listed when its last page has gone by reclaim, and only as long as none is back. */
static void body_listed(struct machine_fixture *f)
{
	struct fixture_file *file = sparse_file(f, 11 * LEAF);

	read_page(f, file, 600);
	read_page(f, file, 601);
	read_page(f, file, 5);
	lru_drain_all(f->t);
	evict(f, file, 600);
	assert_int_equal(shadow_leaves(f), 0);
	evict(f, file, 601);
	assert_int_equal(shadow_leaves(f), 1);
	machine_verify(f);
	read_page(f, file, 602);
	assert_int_equal(shadow_leaves(f), 0);
	lru_drain_all(f->t);
	evict(f, file, 602);
	assert_int_equal(shadow_leaves(f), 1);
	/* A page that is dropped leaves nothing: its leaf goes at once. */
	assert_int_equal(mapping_drop_clean(f->t, file->mapping), 1);
	assert_int_equal(shadow_leaves(f), 1);
	assert_int_equal(machine_file_slot(f, file, 5), 0);
	/* What becomes dirty below such a leaf is found by the flusher. */
	assert_int_equal(machine_file_write(f, file, 600, 77), 0);
	assert_int_equal(shadow_leaves(f), 0);
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(machine_file_stored(file, 600), 77);
	/* Leaves go with the file. */
	lru_drain_all(f->t);
	evict(f, file, 600);
	assert_int_equal(shadow_leaves(f), 1);
	assert_int_equal(machine_file_end(f, file), 0);
	assert_int_equal(shadow_leaves(f), 0);
	assert_int_equal(reclaimed_leaves(f), 0);
}

MACHINE_TEST(listed);

/*
 * Worth keeping are leaves for 8 shadows a page of the lists and of slab; of the rest half goes,
 * the oldest first, whatever the priority (seeks 0, spec 14).
 */
static void body_limit(struct machine_fixture *f)
{
	struct fixture_file *file = sparse_file(f, 610 * LEAF);
	struct region *region = machine_region(f, 512);
	struct node *node = &f->m->nodes[0];

	machine_fill(f, region, 0, 512);
	for (uint64_t n = 0; n < 8; n++)
		shadow_in_leaf(f, file, n);
	for (uint32_t i = 0; i < 10; i++)
		(void)shrinker_shrink_node(f->t, node, GFP_KERNEL, 0);
	assert_int_equal(shadow_leaves(f), 8); /* fewer than 512 / 8: each is worth it */
	for (uint64_t n = 8; n < 600; n++)
		shadow_in_leaf(f, file, n);
	assert_int_equal(shadow_leaves(f), 600);
	/* (512 + 90) / 8 are worth it; half of the other 525, in whole batches of 128. */
	(void)shrinker_shrink_node(f->t, node, GFP_KERNEL, 12);
	assert_int_equal(shadow_leaves(f), 600 - 256);
	assert_int_equal(reclaimed_leaves(f), 256);
	assert_int_equal(machine_file_slot(f, file, 255 * LEAF + 255 % LEAF), 0);
	assert_int_not_equal(machine_file_slot(f, file, 256 * LEAF + 256 % LEAF), 0);
	machine_verify(f);
	/* Read again, the forgotten one is new, the other is known. */
	uint64_t refaults = machine_node_count(f, WORKINGSET_REFAULT_FILE);

	read_page(f, file, 255 * LEAF + 255 % LEAF);
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_FILE), refaults);
	read_page(f, file, 256 * LEAF + 256 % LEAF);
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_FILE), refaults + 1);
	/* In the end no more than are worth it; a call may ask for twice what is too much. */
	for (uint32_t i = 0; i < 40; i++)
		(void)shrinker_shrink_node(f->t, node, GFP_KERNEL, 0);
	assert_in_range(shadow_leaves(f), 0, 640 / 8);
}

MACHINE_TEST(limit, .pages = 2048);

/* Reading a sparse file for ever takes no more memory than the limit allows. */
static void body_stream(struct machine_fixture *f)
{
	struct fixture_file *file = sparse_file(f, 4000 * LEAF);
	uint64_t most = 0;

	for (uint64_t n = 0; n < 4000; n++) {
		read_page(f, file, n * LEAF);
		most = max_u64(most, machine_node_count(f, NR_SLAB_RECLAIMABLE));
	}
	print_message("at most %llu index nodes, %llu freed\n", (unsigned long long)most,
		      (unsigned long long)reclaimed_leaves(f));
	assert_true(reclaimed_leaves(f) > 2000);
	assert_true(most < 1024);
}

MACHINE_TEST(stream, .pages = 1024);

/* ---- several files, several tasks ---- */

struct crowd {
	struct machine_fixture *f;
	struct fixture_file *file[2];
	uint64_t seed;
	_Atomic uint32_t working;
};

static int read_about(struct task *t, void *arg)
{
	struct crowd *crowd = arg;
	struct rng rng;

	rng_seed(&rng, crowd->seed + t->id);
	for (uint32_t i = 0; i < 150; i++) {
		struct mapping *mapping = crowd->file[rng_below(&rng, 2)]->mapping;
		uint64_t page = rng_below(&rng, 40) * LEAF + rng_below(&rng, 2);
		uint32_t pfn;

		if (mapping_get_page(t, mapping, page, 0, &pfn) == 0)
			page_put(t, machine_page(t->machine, pfn));
		if (rng_below(&rng, 8) == 0)
			(void)mapping_drop_clean(t, mapping);
	}
	atomic_fetch_sub(&crowd->working, 1);
	return 0;
}

/* Reclaim, shadows that become pages, and the shrinker at the same leaves. */
static void body_crowd(struct machine_fixture *f)
{
	struct crowd crowd = { .f = f, .seed = machine_seed(), .working = 3 };
	const struct task_spec spec = { .name = "reader", .fn = read_about, .arg = &crowd };
	struct task *task[3];

	crowd.file[0] = sparse_file(f, 40 * LEAF);
	crowd.file[1] = sparse_file(f, 40 * LEAF);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	while (atomic_load(&crowd.working) != 0) {
		struct scan_control sc = machine_scan();

		sc.priority = 0;
		(void)reclaim_shrink_node(f->t, f->node, &sc);
		(void)shrinker_shrink_node(f->t, &f->m->nodes[0], GFP_KERNEL, 0);
		rt_sleep(f->t, 50 * NSEC_PER_USEC);
	}
	for (uint32_t i = 0; i < 3; i++)
		rt_join(f->t, task[i]);
	machine_settle(f);
	machine_verify(f);
	for (uint64_t page = 0; page < 40; page++)
		read_page(f, crowd.file[page % 2], page * LEAF);
}

static void test_crowd(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < machine_nr_seeds(); seed++)
		machine_run(&(struct machine_setup){ .pages = 512,
						     .nr_cpus = 3,
						     .explore = true,
						     .seed = machine_seed() + seed },
			    body_crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
