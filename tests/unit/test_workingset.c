/*
 * Shadows and refaults (core/workingset.c), and the slots in which shadows survive:
 * those of the page cache's index and of swap areas.
 *
 *   evicted at age 100 ... age is 100 + D ─> refault distance D
 *   D <= pages that could have been given up for it  ─> starts active
 *
 * The rule is tested on frames made by hand, with ages and list lengths on both sides
 * of the limit; the life of shadows is tested with real evictions.
 *
 * What must never happen here: a distance that is right by accident. Ages are set
 * explicitly before each refault.
 */
#include "machine_fixture.h"

#include "core/index.h"
#include "core/workingset.h"

#define AGE_SHIFT 12u
#define SHADOW_RESTORE 2u

static uint64_t shadow_of(uint64_t age, uint32_t node)
{
	return age << AGE_SHIFT | (uint64_t)node << 2 | SHADOW_TAG;
}

static void set_age(struct node *node, uint64_t age)
{
	atomic_store(&node->lruvec.nonresident_age, age);
}

static uint64_t get_age(struct node *node)
{
	return atomic_load(&node->lruvec.nonresident_age);
}

/* What a refault with this shadow does to a new page of the kind. => its flags */
static uint64_t refault(struct machine_fixture *f, uint64_t kind, uint64_t shadow)
{
	uint32_t pfn = alloc_page(f->t, GFP_KERNEL);

	assert_int_not_equal(pfn, PFN_NONE);
	struct page *page = machine_page(f->m, pfn);

	page_set(page, kind);
	workingset_refault(f->t, page, shadow);
	uint64_t flags = page_flags(page);

	page_clear(page, kind | PG_ACTIVE | PG_WORKINGSET);
	page_put(f->t, page);
	return flags;
}

/* The largest distance with which a page of the kind still becomes active. */
static void assert_limit(struct machine_fixture *f, uint64_t kind, uint64_t limit)
{
	set_age(f->node, 5000 + limit);
	assert_true(refault(f, kind, shadow_of(5000, 0)) & PG_ACTIVE);
	set_age(f->node, 5000 + limit + 1);
	assert_false(refault(f, kind, shadow_of(5000, 0)) & PG_ACTIVE);
}

static void put_lists(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 16);
	struct fixture_file *file = machine_file(f, 16);
	uint64_t value;

	machine_fill(f, region, 0, 16);
	for (uint64_t page = 0; page < 16; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < 3; page++)
		lru_activate(f->t, machine_page_at(f, region, page));
	for (uint64_t page = 0; page < 5; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	lru_drain_all(f->t);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 13);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_ANON), 3);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_FILE), 11);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_FILE), 5);
}

static void body_limits(struct machine_fixture *f)
{
	put_lists(f);
	assert_limit(f, 0, 5 + 3 + 13);		    /* file: active file, both anon lists */
	assert_limit(f, PG_SWAPBACKED, 5 + 11 + 3); /* anon: both file lists, active anon */
}

MACHINE_TEST(limits, .swap_pages = 1024);

static void body_limits_no_swap(struct machine_fixture *f)
{
	put_lists(f);
	assert_limit(f, 0, 5);
	assert_limit(f, PG_SWAPBACKED, 5 + 11);
}

MACHINE_TEST(limits_no_swap, 0);

/* The age is kept modulo 2^52. */
static void body_modulo(struct machine_fixture *f)
{
	const uint64_t last = (UINT64_C(1) << 52) - 1;

	put_lists(f);
	set_age(f->node, 4);
	assert_true(refault(f, 0, shadow_of(last, 0)) & PG_ACTIVE); /* distance 5 */
	set_age(f->node, 5);
	assert_false(refault(f, 0, shadow_of(last, 0)) & PG_ACTIVE);
	set_age(f->node, last + 1 + 9);
	assert_true(refault(f, 0, shadow_of(4, 0)) & PG_ACTIVE);
}

MACHINE_TEST(modulo, 0);

static void body_counters(struct machine_fixture *f)
{
	put_lists(f);
	set_age(f->node, 100);
	assert_false(refault(f, 0, shadow_of(1, 0)) & PG_ACTIVE);
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_FILE), 1);
	assert_int_equal(machine_node_count(f, WORKINGSET_ACTIVATE_FILE), 0);
	assert_int_equal(get_age(f->node), 100);
	assert_false(refault(f, 0, shadow_of(100, 0)) & PG_WORKINGSET);
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_FILE), 2);
	assert_int_equal(machine_node_count(f, WORKINGSET_ACTIVATE_FILE), 1);
	assert_int_equal(machine_node_count(f, WORKINGSET_RESTORE_FILE), 0);
	assert_int_equal(get_age(f->node), 101); /* an activation ages */
	assert_int_equal(f->node->lruvec.file_cost, 0);
	/* It was in the working set: the flag comes back, and the refault costs. */
	assert_true(refault(f, 0, shadow_of(101, 0) | SHADOW_RESTORE) & PG_WORKINGSET);
	assert_int_equal(machine_node_count(f, WORKINGSET_RESTORE_FILE), 1);
	assert_int_equal(f->node->lruvec.file_cost, 1);
	assert_int_equal(f->node->lruvec.anon_cost, 0);
	assert_true(refault(f, PG_SWAPBACKED, shadow_of(102, 0) | SHADOW_RESTORE) & PG_WORKINGSET);
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_ANON), 1);
	assert_int_equal(machine_node_count(f, WORKINGSET_ACTIVATE_ANON), 1);
	assert_int_equal(machine_node_count(f, WORKINGSET_RESTORE_ANON), 1);
	assert_int_equal(f->node->lruvec.anon_cost, 1);
	/* Too far away: the bit alone brings nothing back. */
	set_age(f->node, 9000);
	assert_false(refault(f, 0, shadow_of(1, 0) | SHADOW_RESTORE) & PG_WORKINGSET);
	assert_int_equal(machine_node_count(f, WORKINGSET_RESTORE_FILE), 1);
}

MACHINE_TEST(counters, 0);

static void body_eviction(struct machine_fixture *f)
{
	struct page page = { .refs = 1 };
	struct node *other = &f->m->nodes[1];

	set_age(f->node, 77);
	set_age(other, 5);
	assert_int_equal(workingset_eviction(&page, f->node), shadow_of(77, 0));
	assert_int_equal(get_age(f->node), 78);
	page_set(&page, PG_WORKINGSET);
	assert_int_equal(workingset_eviction(&page, other), shadow_of(5, 1) | SHADOW_RESTORE);
	assert_int_equal(get_age(other), 6);
	assert_int_equal(get_age(f->node), 78);
	/* Distance: on the node it left. Counters and age: on the node it comes back to. */
	set_age(f->node, 1000000);
	(void)refault(f, 0, shadow_of(6, 1));
	assert_int_equal(node_stat_exact(f->node, WORKINGSET_REFAULT_FILE), 1);
	assert_int_equal(node_stat_exact(f->node, WORKINGSET_ACTIVATE_FILE), 1);
	assert_int_equal(node_stat_exact(other, WORKINGSET_REFAULT_FILE), 0);
	assert_int_equal(get_age(f->node), 1000001);
	assert_int_equal(get_age(other), 6);
}

MACHINE_TEST(eviction, .nr_nodes = 2);

/* ---- shadows where pages were ---- */

static uint64_t slot_word(struct machine_fixture *f, uint32_t entry)
{
	return swap_area_of(f->m, entry)->cache[swap_slot_of(entry)];
}

static void body_swap_shadow(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);
	uint64_t value;

	atomic_store(&f->m->sysctl.page_cluster, 0);
	machine_fill(f, region, 0, 4);
	lru_drain_all(f->t);
	page_set(machine_page_at(f, region, 1), PG_WORKINGSET);
	set_age(f->node, 300);
	machine_swap_out(f, region, 0, 3);
	uint32_t entry[3];

	for (uint64_t page = 0; page < 3; page++)
		entry[page] = machine_swap_at(f, region, page);
	/* Each visit that ends in eviction ages by one. */
	assert_int_equal(slot_word(f, entry[0]), shadow_of(300, 0));
	assert_int_equal(slot_word(f, entry[1]), shadow_of(301, 0) | SHADOW_RESTORE);
	assert_int_equal(slot_word(f, entry[2]), shadow_of(302, 0));
	assert_int_equal(machine_read(f, region, 1, &value), 0);
	assert_int_equal(value, machine_value(region, 1, 0));
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_ANON), 1);
	/* Nothing competes with it (no file pages, no active ones): the distance is too far. */
	assert_int_equal(machine_node_count(f, WORKINGSET_ACTIVATE_ANON), 0);
	assert_false(page_test(machine_page_at(f, region, 1), PG_ACTIVE));
	/* Freed slots keep no shadow. */
	assert_int_equal(region_zap(f->t, region, 0, 1), 1);
	swap_slots_drain(f->t, f->m);
	assert_int_equal(slot_word(f, entry[0]), 0);
	assert_int_equal(swap_area_of(f->m, entry[0])->map[swap_slot_of(entry[0])], 0);
	assert_int_equal(slot_word(f, entry[2]), shadow_of(302, 0));
}

MACHINE_TEST(swap_shadow, .swap_pages = 1024);

static void read_file(struct machine_fixture *f, struct fixture_file *file, uint64_t page)
{
	uint64_t value;

	assert_int_equal(machine_file_read(f, file, page, &value), 0);
	assert_int_equal(value, machine_file_value(page, 0));
}

/* Reads pages 0..nr-1 and evicts them again. */
static void evict_file(struct machine_fixture *f, struct fixture_file *file, uint64_t nr)
{
	for (uint64_t page = 0; page < nr; page++)
		read_file(f, file, page);
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < nr; page++) {
		struct page *p = machine_file_page(f, file, page);

		page_clear(p, PG_REFERENCED);
		assert_int_equal(machine_reclaim_one(f, p), 1);
	}
}

static void body_file_shadow(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 8);

	file->mapping->readahead = UINT64_MAX; /* reads one page */
	set_age(f->node, 40);
	evict_file(f, file, 8);
	assert_int_equal(atomic_load(&file->mapping->nr_pages), 0);
	for (uint64_t page = 0; page < 8; page++)
		assert_int_equal(machine_file_slot(f, file, page), shadow_of(40 + page, 0));
	/* Read again: a refault, and a page instead of the shadow. */
	set_age(f->node, 1000);
	read_file(f, file, 3);
	lru_drain_all(f->t);
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_FILE), 1);
	assert_int_equal(machine_node_count(f, WORKINGSET_ACTIVATE_FILE), 0);
	assert_non_null(machine_file_page(f, file, 3));
	/* Overwritten: the old contents are not missed. */
	assert_int_equal(machine_file_write(f, file, 4, 9), 0);
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_FILE), 1);
	assert_non_null(machine_file_page(f, file, 4));
	/* Soon enough, it starts on the active list. */
	set_age(f->node, 40 + 5);
	uint64_t activated = machine_events(f, EV_PGACTIVATE);

	read_file(f, file, 5);
	lru_drain_all(f->t);
	assert_true(page_test(machine_file_page(f, file, 5), PG_ACTIVE));
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_FILE), 1);
	assert_int_equal(machine_node_count(f, WORKINGSET_ACTIVATE_FILE), 1);
	assert_int_equal(machine_events(f, EV_PGACTIVATE), activated);
	/* Dropping by request leaves no shadow. */
	assert_true(mapping_drop_clean(f->t, file->mapping) >= 1);
	assert_int_equal(machine_file_slot(f, file, 5), 0);
	assert_int_equal(machine_file_slot(f, file, 6), shadow_of(46, 0));
}

MACHINE_TEST(file_shadow, 0);

/* A page that was active once comes back as part of the working set. */
static void body_restore(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 8);
	struct scan_control sc = machine_scan();

	for (uint64_t page = 0; page < 8; page++) {
		read_file(f, file, page);
		read_file(f, file, page);
	}
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < 8; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	lru_drain_all(f->t);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_FILE), 8);
	reclaim_shrink_active(f->t, f->node, &sc, LRU_ACTIVE_FILE, 4);
	struct page *page = machine_file_page(f, file, 0);

	assert_true(page_test(page, PG_WORKINGSET));
	assert_false(page_test(page, PG_ACTIVE));
	page_clear(page, PG_REFERENCED);
	assert_int_equal(machine_reclaim_one(f, page), 1);
	assert_true(machine_file_slot(f, file, 0) & SHADOW_RESTORE);
	read_file(f, file, 0);
	lru_drain_all(f->t);
	page = machine_file_page(f, file, 0);
	assert_true(page_test(page, PG_WORKINGSET));
	assert_true(page_test(page, PG_ACTIVE));
	assert_int_equal(machine_node_count(f, WORKINGSET_RESTORE_FILE), 1);
	assert_int_equal(f->node->lruvec.file_cost, 1);
}

MACHINE_TEST(restore, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),	    cmocka_unit_test(test_limits_no_swap),
		cmocka_unit_test(test_modulo),	    cmocka_unit_test(test_counters),
		cmocka_unit_test(test_eviction),    cmocka_unit_test(test_swap_shadow),
		cmocka_unit_test(test_file_shadow), cmocka_unit_test(test_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
