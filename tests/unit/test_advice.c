/*
 * Advice: what a program says of its pages, and what becomes of them (core/advice.c,
 * core/pages.c, core/reclaim.c).
 *
 *   free        inactive file list, then freed without a write, or back if written again
 *   cold        off the active list             pageout   reclaimed now
 *   willneed    read, and not mapped            patterns  faults, young bits
 *   exec        not an advice, but it protects pages of files as patterns do not
 *
 * What must never happen here: contents compared with less than all of them. After
 * MADV_FREE a page is zero or what it was, and nothing else; after a write it is that.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/advice.h"
#include "core/rmap.h"
#include "core/sysctl.h"
#include "core/thp.h"

#define PAGES 64u

static struct region *listed(struct machine_fixture *f, uint64_t nr)
{
	struct region *region = machine_region(f, nr);

	machine_fill(f, region, 0, nr);
	lru_drain_all(f->t);
	return region;
}

static void huge_pages_always(struct machine_fixture *f)
{
	static const char name[] = "/sys/kernel/mm/transparent_hugepage/enabled";

	assert_int_equal(sysctl_write(f->t, f->m, name, "always", 6), 6);
}

static uint64_t read_page(struct machine_fixture *f, struct region *region, uint64_t page)
{
	uint64_t value = 1;

	assert_int_equal(machine_read(f, region, page, &value), 0);
	return value;
}

static bool is_lazy(const struct page *page)
{
	return page_test(page, PG_ANON) && !page_test(page, PG_SWAPBACKED);
}

/* ---- free ---- */

/* All pages go to the inactive file list; reclaim frees them without a write. */
static void body_lazyfree(struct machine_fixture *f)
{
	struct region *region = listed(f, PAGES);
	uint64_t written = machine_events(f, EV_PSWPOUT);

	assert_int_equal(advice_free(f->t, region, 0, PAGES), 0);
	lru_drain_all(f->t);
	assert_int_equal(machine_events(f, EV_PGLAZYFREE), PAGES);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_FILE), PAGES);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 0);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), PAGES);
	machine_verify(f);
	/* Nothing is lost before reclaim comes. */
	assert_int_equal(read_page(f, region, 7), machine_value(region, 7, 0));
	machine_age(f, region, 0, PAGES);
	for (uint64_t page = 0; page < PAGES; page++)
		assert_int_equal(machine_reclaim_one(f, machine_page_at(f, region, page)), 1);
	assert_int_equal(machine_events(f, EV_PGLAZYFREED), PAGES);
	assert_int_equal(machine_events(f, EV_PSWPOUT), written);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), 0);
	for (uint64_t page = 0; page < PAGES; page++)
		assert_int_equal(read_page(f, region, page), 0);
	machine_verify(f);
}

MACHINE_TEST(lazyfree, .swap_pages = 1024);

/* A page that is written again becomes an ordinary one when reclaim meets it. */
static void body_free_written(struct machine_fixture *f)
{
	struct region *region = listed(f, 4);
	struct page *page = machine_page_at(f, region, 1);
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };

	assert_int_equal(advice_free(f->t, region, 0, 4), 0);
	lru_drain_all(f->t);
	assert_int_equal(machine_write(f, region, 1, 77), 0);
	machine_age(f, region, 0, 4);
	assert_int_equal(machine_reclaim(f, &sc, &stat, &page, 1), 0);
	assert_int_equal(stat.nr_unmap_fail, 1);
	assert_int_equal(stat.nr_activate[0], 1);
	assert_int_equal(stat.nr_dirty, 0); /* neither a file's page, nor one to be written */
	assert_true(page_test(page, PG_SWAPBACKED | PG_ACTIVE));
	assert_int_equal(page_maps(page), 1);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_ANON), 1);
	assert_int_equal(machine_events(f, EV_PGLAZYFREED), 0);
	assert_int_equal(read_page(f, region, 1), 77);
	/* Without swap, too: free pages do not need any. */
	assert_int_equal(machine_reclaim_one(f, machine_page_at(f, region, 2)), 1);
	assert_int_equal(read_page(f, region, 2), 0);
}

MACHINE_TEST(free_written, .swap_pages = 0);

/* Reading protects the page for a round, as any page; it stays what it is. */
static void body_free_read(struct machine_fixture *f)
{
	struct region *region = listed(f, 2);
	struct page *page = machine_page_at(f, region, 0);

	assert_int_equal(advice_free(f->t, region, 0, 2), 0);
	lru_drain_all(f->t);
	assert_int_equal(read_page(f, region, 0), machine_value(region, 0, 0));
	assert_int_equal(machine_reclaim_one(f, page), 0);
	assert_true(is_lazy(page) && page_test(page, PG_REFERENCED));
	assert_false(page_test(page, PG_ACTIVE));
	assert_int_equal(machine_reclaim_one(f, page), 1);
	assert_int_equal(read_page(f, region, 0), 0);
}

MACHINE_TEST(free_read, .swap_pages = 1024);

/* What is in swap is given up at once; what has a slot loses it. */
static void body_free_swapped(struct machine_fixture *f)
{
	struct region *region = listed(f, 8);
	int64_t slots;

	swap_slots_drain(f->t, f->m);
	slots = f->m->nr_swap_free;

	machine_swap_out(f, region, 0, 6);
	assert_int_equal(read_page(f, region, 5), machine_value(region, 5, 0)); /* keeps its slot */
	machine_settle(f);
	assert_true(page_test(machine_page_at(f, region, 5), PG_SWAPCACHE));
	assert_int_equal(advice_free(f->t, region, 0, 8), 0);
	lru_drain_all(f->t);
	swap_slots_drain(f->t, f->m); /* what the CPUs keep of them */
	assert_int_equal(f->m->nr_swap_free, slots);
	assert_int_equal(region->space->swap_entries, 0);
	for (uint64_t page = 0; page < 5; page++)
		assert_int_equal(read_page(f, region, page), 0);
	assert_true(is_lazy(machine_page_at(f, region, 5)));
	assert_int_equal(read_page(f, region, 5), machine_value(region, 5, 0));
	machine_verify(f);
}

MACHINE_TEST(free_swapped, .swap_pages = 1024);

/* Whoever pinned the page may write it without the entry knowing. */
static void body_free_pinned(struct machine_fixture *f)
{
	struct region *region = listed(f, 2);
	struct page *page = machine_page_at(f, region, 0);
	uint32_t pfn;

	assert_int_equal(fault_pin(f->t, region, 0, true, &pfn), 0);
	assert_int_equal(advice_free(f->t, region, 0, 2), 0);
	lru_drain_all(f->t);
	machine_age(f, region, 0, 2);
	assert_int_equal(machine_reclaim_one(f, page), 0);
	assert_false(is_lazy(page));
	assert_int_equal(page_maps(page), 1);
	assert_int_equal(read_page(f, region, 0), machine_value(region, 0, 0));
	fault_unpin(f->t, page, true);
	/* The same, unpinned before reclaim looks: the page is dirty, not its entry. */
	machine_age(f, region, 0, 2);
	page = machine_page_at(f, region, 1);
	assert_int_equal(fault_pin(f->t, region, 1, true, &pfn), 0);
	assert_int_equal(advice_free(f->t, region, 1, 1), 0);
	fault_unpin(f->t, page, true);
	machine_age(f, region, 0, 2);
	assert_int_equal(machine_reclaim_one(f, page), 0);
	assert_int_equal(read_page(f, region, 1), machine_value(region, 1, 0));
}

MACHINE_TEST(free_pinned, .swap_pages = 1024);

static void body_refused(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 4);
	struct region *mapped = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 4, .mapping = file->mapping });
	struct region *locked = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 4, .flags = REGION_LOCKED });

	machine_fill(f, locked, 0, 4);
	assert_int_equal(advice_free(f->t, mapped, 0, 4), -EINVAL);
	assert_int_equal(advice_free(f->t, locked, 0, 4), -EINVAL);
	assert_int_equal(advice_cold(f->t, locked, 0, 4), -EINVAL);
	assert_int_equal(advice_pageout(f->t, locked, 0, 4), -EINVAL);
	machine_check(f, locked, 0, 4);
}

MACHINE_TEST(refused, .swap_pages = 256);

/* A huge page as a whole, and a part of one, which is split. */
static void body_free_huge(struct machine_fixture *f)
{
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 2 * THP_PAGES, .flags = REGION_HUGE });

	huge_pages_always(f);
	machine_fill(f, region, 0, 2 * THP_PAGES);
	assert_int_equal(machine_events(f, EV_THP_FAULT_ALLOC), 2);
	assert_int_equal(advice_free(f->t, region, 0, THP_PAGES + 10), 0);
	lru_drain_all(f->t);
	assert_int_equal(machine_events(f, EV_PGLAZYFREE), THP_PAGES + 10);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 1);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_FILE), THP_PAGES + 10);
	struct page *head = machine_page_at(f, region, 0);

	assert_true(is_lazy(head) && page_test(head, PG_HEAD));
	machine_verify(f);
	assert_int_equal(machine_write(f, region, 300, 5), 0);
	machine_age(f, region, 0, THP_PAGES);
	assert_int_equal(machine_reclaim_one(f, head), THP_PAGES - 1);
	assert_int_equal(machine_events(f, EV_PGLAZYFREED), THP_PAGES - 1);
	assert_int_equal(machine_events(f, EV_THP_SWPOUT_FALLBACK), 0);
	assert_int_equal(read_page(f, region, 300), 5);
	assert_int_equal(read_page(f, region, 0), 0);
	assert_int_equal(read_page(f, region, 301), 0);
	machine_check(f, region, THP_PAGES, THP_PAGES);
	machine_verify(f);
}

MACHINE_TEST(free_huge, .pages = 8192, .swap_pages = 4096);

/* ---- cold ---- */

static void body_cold(struct machine_fixture *f)
{
	struct region *region = listed(f, 4);
	struct page *active = machine_page_at(f, region, 1);
	struct page *inactive = machine_page_at(f, region, 2);

	lru_activate(f->t, active);
	lru_drain_all(f->t);
	page_set(active, PG_REFERENCED);
	page_set(inactive, PG_REFERENCED);
	uint64_t deactivated = machine_events(f, EV_PGDEACTIVATE);

	assert_int_equal(advice_cold(f->t, region, 0, 4), 0);
	lru_drain_all(f->t);
	assert_false(page_test(active, PG_ACTIVE | PG_REFERENCED));
	assert_false(page_test(inactive, PG_REFERENCED));
	/* Those that were inactive count nothing. */
	assert_int_equal(machine_events(f, EV_PGDEACTIVATE), deactivated + 1);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 4);
	/* Nobody protects them any more: written at first sight. */
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };

	machine_reclaim(f, &sc, &stat, &inactive, 1);
	assert_int_equal(stat.nr_pageout, 1);
	machine_settle(f);
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(cold, .swap_pages = 1024);

/* A page that another region maps, too, is not ours to judge. */
static void body_cold_shared(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 4);
	struct region *region[2];

	for (uint32_t i = 0; i < 2; i++) {
		region[i] = machine_region_spec(
			f, &(struct region_spec){ .nr_pages = 4, .mapping = file->mapping });
		read_page(f, region[i], 0);
	}
	lru_drain_all(f->t);
	struct page *page = machine_file_page(f, file, 0);

	lru_activate(f->t, page);
	lru_drain_all(f->t);
	assert_int_equal(advice_cold(f->t, region[0], 0, 4), 0);
	lru_drain_all(f->t);
	assert_true(page_test(page, PG_ACTIVE));
	machine_region_end(f, region[1]);
	assert_int_equal(advice_cold(f->t, region[0], 0, 4), 0);
	lru_drain_all(f->t);
	assert_false(page_test(page, PG_ACTIVE));
}

MACHINE_TEST(cold_shared, .nr_cpus = 1);

/* ---- pageout ---- */

/*
 * As recorded (spec 11, measured patterns): all are written, none is counted as scanned or stolen,
 * and while the writes are in flight touching them again is a minor fault.
 */
static void body_pageout(struct machine_fixture *f)
{
	struct region *region = listed(f, PAGES);
	uint64_t minor = machine_events(f, EV_SIM_FAULT_MINOR);
	uint64_t major = machine_events(f, EV_PGMAJFAULT);

	assert_int_equal(advice_pageout(f->t, region, 0, PAGES), 0);
	assert_int_equal(machine_events(f, EV_PSWPOUT), PAGES);
	assert_int_equal(machine_node_count(f, NR_VMSCAN_WRITE), PAGES);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), PAGES);
	assert_int_equal(machine_events(f, EV_PGSCAN_ANON), 0);
	assert_int_equal(machine_events(f, EV_PGSTEAL_ANON), 0);
	assert_int_equal(machine_events(f, EV_PGSCAN_DIRECT), 0);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), 0);
	machine_check(f, region, 0, PAGES);
	assert_int_equal(machine_events(f, EV_SIM_FAULT_MINOR), minor + PAGES);
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), major);
	assert_int_equal(machine_events(f, EV_PSWPIN), 0);
	machine_settle(f);
	/* Clean now, and with a slot: the second time they are freed at once. */
	assert_int_equal(advice_pageout(f->t, region, 0, PAGES), 0);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0);
	assert_int_equal(machine_events(f, EV_PSWPOUT), PAGES);
	machine_check(f, region, 0, PAGES);
	assert_true(machine_events(f, EV_PGMAJFAULT) > major);
}

MACHINE_TEST(pageout, .swap_pages = 1024);

/* Clean pages of a file are freed, dirty ones left to the flusher. */
static void body_pageout_file(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 8);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 8, .mapping = file->mapping });

	for (uint64_t page = 0; page < 8; page++)
		read_page(f, region, page);
	assert_int_equal(machine_write(f, region, 3, 9), 0);
	lru_drain_all(f->t);
	assert_int_equal(advice_pageout(f->t, region, 0, 8), 0);
	assert_int_equal(file->mapping->nr_pages, 1);
	assert_int_equal(machine_node_count(f, NR_VMSCAN_IMMEDIATE_RECLAIM), 1);
	assert_int_equal(read_page(f, region, 3), 9);
	assert_int_equal(read_page(f, region, 2), machine_file_value(2, 0));
}

MACHINE_TEST(pageout_file, .swap_pages = 256);

/* ---- willneed ---- */

static void body_willneed_swap(struct machine_fixture *f)
{
	struct region *region = listed(f, PAGES);

	machine_swap_out(f, region, 0, PAGES);
	uint64_t faults = machine_events(f, EV_PGFAULT);

	assert_int_equal(advice_willneed(f->t, region, 0, PAGES), 0);
	assert_int_equal(machine_events(f, EV_PGFAULT), faults);
	machine_settle(f);
	assert_int_equal(machine_events(f, EV_PSWPIN), PAGES);
	assert_int_equal(machine_events(f, EV_SWAP_RA), 0);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), PAGES);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), 0);
	machine_check(f, region, 0, PAGES);
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), 0);
	/* Nothing to read any more. */
	assert_int_equal(advice_willneed(f->t, region, 0, PAGES), 0);
	assert_int_equal(machine_events(f, EV_PSWPIN), PAGES);
}

MACHINE_TEST(willneed_swap, .swap_pages = 1024);

static void body_willneed_file(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 100);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 100, .mapping = file->mapping });

	assert_int_equal(advice_willneed(f->t, region, 10, 80), 0);
	machine_settle(f);
	assert_int_equal(file->mapping->nr_pages, 80);
	assert_int_equal(machine_node_count(f, NR_MAPPED), 0);
	for (uint64_t page = 10; page < 90; page++)
		assert_int_equal(read_page(f, region, page), machine_file_value(page, 0));
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), 0);
}

MACHINE_TEST(willneed_file);

/* ---- patterns and program text ---- */

static struct region *mapped(struct machine_fixture *f, struct fixture_file *file, uint64_t nr,
			     uint32_t flags, enum region_pattern pattern)
{
	struct region *region = machine_region_spec(
		f,
		&(struct region_spec){ .nr_pages = nr, .mapping = file->mapping, .flags = flags });

	atomic_store(&region->pattern, pattern);
	return region;
}

/* What one fault reads: a window around it, the page alone, or 32 pages from it on. */
static void body_pattern_windows(struct machine_fixture *f)
{
	static const struct {
		enum region_pattern pattern;
		uint64_t first, nr;
	} expected[] = {
		{ REGION_NORMAL, 84, 32 },
		{ REGION_RANDOM, 100, 1 },
		{ REGION_SEQUENTIAL, 100, 32 },
	};

	for (uint32_t i = 0; i < ARRAY_LEN(expected); i++) {
		struct fixture_file *file = machine_file(f, 512);
		struct region *region = mapped(f, file, 512, 0, expected[i].pattern);

		assert_int_equal(read_page(f, region, 100), machine_file_value(100, 0));
		machine_settle(f);
		assert_int_equal(file->mapping->nr_pages, expected[i].nr);
		assert_non_null(machine_file_page(f, file, expected[i].first));
		/* From the beginning in order: windows follow each other, none twice. */
		for (uint64_t page = 0; page < 512 && i == 2; page++)
			read_page(f, region, page);
		if (i == 2) {
			assert_true(machine_events(f, EV_PGMAJFAULT) <= 6);
			assert_int_equal(file->mapping->nr_pages, 512);
		}
	}
}

MACHINE_TEST(pattern_windows);

/* Use does not protect what is read sequentially, neither in reclaim nor when it is unmapped. */
static void body_pattern_young(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 8);
	struct region *sequential = mapped(f, file, 8, 0, REGION_SEQUENTIAL);

	read_page(f, sequential, 0);
	lru_drain_all(f->t);
	struct page *page = machine_file_page(f, file, 1);

	read_page(f, sequential, 1);
	assert_int_equal(machine_reclaim_one(f, page), 1);
	read_page(f, sequential, 2);
	page = machine_file_page(f, file, 2);
	page_clear(page, PG_REFERENCED);
	machine_region_end(f, sequential);
	assert_false(page_test(page, PG_REFERENCED));
	/* The same with none. */
	struct region *normal = mapped(f, file, 8, 0, REGION_NORMAL);

	read_page(f, normal, 2);
	assert_int_equal(machine_reclaim_one(f, page), 0);
	page_clear(page, PG_REFERENCED);
	read_page(f, normal, 2);
	machine_region_end(f, normal);
	assert_true(page_test(page, PG_REFERENCED));
}

MACHINE_TEST(pattern_young);

/* Text used once is activated; a page of data that is used once is kept where it is. */
static void body_exec_inactive(struct machine_fixture *f)
{
	for (uint32_t exec = 0; exec < 2; exec++) {
		struct fixture_file *file = machine_file(f, 4);
		struct region *region = mapped(f, file, 4, exec ? REGION_EXEC : 0, REGION_RANDOM);
		struct scan_control sc = machine_scan();
		struct reclaim_stat stat = { 0 };

		read_page(f, region, 0);
		lru_drain_all(f->t);
		struct page *page = machine_file_page(f, file, 0);

		assert_int_equal(machine_reclaim(f, &sc, &stat, &page, 1), 0);
		assert_int_equal(page_test(page, PG_ACTIVE), exec);
		assert_int_equal(stat.nr_activate[1], exec);
		assert_int_equal(stat.nr_ref_keep, 1 - exec);
	}
	/* Anonymous memory is not kept for being executable. */
	struct region *anon = machine_region_spec(f, &(struct region_spec){ .nr_pages = 2,
									    .flags = REGION_EXEC });

	machine_fill(f, anon, 0, 2);
	lru_drain_all(f->t);
	assert_int_equal(machine_reclaim_one(f, machine_page_at(f, anon, 0)), 0);
	assert_false(page_test(machine_page_at(f, anon, 0), PG_ACTIVE));
}

MACHINE_TEST(exec_inactive, .swap_pages = 256);

/* On the active list used text stays, and the rest goes down, used or not. */
static void body_exec_active(struct machine_fixture *f)
{
	struct fixture_file *file[3];
	struct region *region[3];
	struct page *page[3];
	struct scan_control sc = machine_scan();

	/* 0: used text. 1: unused text. 2: used data. */
	for (uint32_t i = 0; i < 3; i++) {
		file[i] = machine_file(f, 4);
		region[i] = mapped(f, file[i], 4, i < 2 ? REGION_EXEC : 0, REGION_RANDOM);
		read_page(f, region[i], 0);
		lru_drain_all(f->t);
		page[i] = machine_file_page(f, file[i], 0);
		lru_activate(f->t, page[i]);
	}
	lru_drain_all(f->t);
	machine_age(f, region[1], 0, 4);
	uint64_t deactivated = machine_events(f, EV_PGDEACTIVATE);

	reclaim_shrink_active(f->t, f->node, &sc, LRU_ACTIVE_FILE, 32);
	assert_true(page_test(page[0], PG_ACTIVE));
	assert_false(page_test(page[0], PG_WORKINGSET));
	assert_false(page_test(page[1], PG_ACTIVE));
	assert_false(page_test(page[2], PG_ACTIVE));
	assert_true(page_test(page[2], PG_WORKINGSET));
	assert_int_equal(machine_events(f, EV_PGDEACTIVATE), deactivated + 2);
	/* Its young bit is gone: the next round takes it, too. */
	reclaim_shrink_active(f->t, f->node, &sc, LRU_ACTIVE_FILE, 32);
	assert_false(page_test(page[0], PG_ACTIVE));
}

MACHINE_TEST(exec_active);

/* ---- all of it at once ---- */

#define WORLD_PAGES 1600u
#define WORLD_TASKS 3u

struct worker {
	struct machine_fixture *f;
	struct region *region;
	uint32_t number;
	uint64_t seed;
	uint64_t dropped; /* out: pages that were given up */
};

/* What page `page` of a worker's share may hold: value, or zero if it was freed since. */
struct belief {
	uint64_t value;
	bool lazy;
};

static void check_page(struct task *t, struct worker *w, uint64_t page, struct belief *belief)
{
	uint64_t value;

	assert_int_equal(task_read(t, w->region, page, &value), 0);
	if (belief->lazy && value == 0 && belief->value != 0) {
		belief->value = 0;
		w->dropped++;
	}
	assert_int_equal(value, belief->value);
}

static void act(struct task *t, struct worker *w, struct rng *rng, struct belief *belief)
{
	uint64_t share = WORLD_PAGES / WORLD_TASKS;
	uint64_t base = w->number * share;
	uint64_t at = rng_below(rng, share);
	uint64_t nr = 1 + rng_below(rng, min_u64(share - at, 40));
	struct region *region = w->region;

	switch (rng_below(rng, 8)) {
	case 0:
		assert_int_equal(advice_free(t, region, base + at, nr), 0);
		for (uint64_t i = at; i < at + nr; i++)
			belief[i].lazy = true;
		break;
	case 1:
		assert_int_equal(advice_pageout(t, region, base + at, nr), 0);
		break;
	case 2:
		assert_int_equal(advice_cold(t, region, base + at, nr), 0);
		break;
	case 3:
		assert_int_equal(advice_willneed(t, region, base + at, nr), 0);
		break;
	case 4:
		for (uint64_t i = at; i < at + nr; i++)
			check_page(t, w, base + i, &belief[i]);
		break;
	default:
		for (uint64_t i = at; i < at + nr; i++) {
			belief[i] = (struct belief){ .value = 1 + rng_below(rng, 1u << 30) };
			assert_int_equal(task_write(t, region, base + i, belief[i].value), 0);
		}
		break;
	}
}

static int worker(struct task *t, void *arg)
{
	struct worker *w = arg;
	struct belief *belief = calloc(WORLD_PAGES / WORLD_TASKS, sizeof(*belief));
	struct rng rng;

	assert_non_null(belief);
	t->machine = w->f->m;
	rng_seed(&rng, w->seed * 11 + w->number);
	for (uint32_t round = 0; round < 120; round++) {
		act(t, w, &rng, belief);
		rt_preempt(t);
	}
	for (uint64_t i = 0; i < WORLD_PAGES / WORLD_TASKS; i++)
		check_page(t, w, w->number * (WORLD_PAGES / WORLD_TASKS) + i, &belief[i]);
	free(belief);
	return 0;
}

static uint64_t world_seed, world_freed, world_dropped;

static void body_world(struct machine_fixture *f)
{
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = WORLD_PAGES,
					  .flags = world_seed % 3 == 0 ? REGION_HUGE : 0 });
	struct worker workers[WORLD_TASKS];
	struct task *task[WORLD_TASKS];
	uint64_t dropped = 0;

	if (world_seed % 3 == 0)
		huge_pages_always(f);
	for (uint32_t i = 0; i < WORLD_TASKS; i++) {
		struct task_spec spec = { .name = "worker", .fn = worker, .arg = &workers[i] };

		workers[i] = (struct worker){ f, region, i, world_seed, 0 };
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < WORLD_TASKS; i++) {
		rt_join(f->t, task[i]);
		dropped += workers[i].dropped;
	}
	machine_settle(f);
	machine_verify(f);
	world_dropped += dropped;
	world_freed += machine_events(f, EV_PGLAZYFREED);
	machine_region_end_cached(f, region);
}

static void test_world(void **state)
{
	uint64_t first = machine_seed();
	const char *count = getenv("NEAP_SEEDS");
	uint64_t nr = count != NULL ? strtoull(count, NULL, 10) : 30;

	(void)state;
	world_freed = 0;
	world_dropped = 0;
	for (world_seed = first; world_seed < first + nr; world_seed++)
		machine_run(&(struct machine_setup){ .pages = world_seed % 3 == 0 ? 3072 : 1536,
						     .nr_cpus = 3,
						     .swap_pages = 4096,
						     .seed = world_seed,
						     .real = world_seed % 4 == 0,
						     .swap_synchronous = world_seed % 4 == 1,
						     .explore = true },
			    body_world);
	print_message("%llu interleavings: %llu pages given up, %llu found empty\n",
		      (unsigned long long)nr, (unsigned long long)world_freed,
		      (unsigned long long)world_dropped);
	assert_true(world_freed > nr && world_dropped > nr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lazyfree),      cmocka_unit_test(test_free_written),
		cmocka_unit_test(test_free_read),     cmocka_unit_test(test_free_swapped),
		cmocka_unit_test(test_free_pinned),   cmocka_unit_test(test_free_huge),
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_cold),
		cmocka_unit_test(test_cold_shared),   cmocka_unit_test(test_pageout),
		cmocka_unit_test(test_pageout_file),  cmocka_unit_test(test_willneed_swap),
		cmocka_unit_test(test_willneed_file), cmocka_unit_test(test_pattern_windows),
		cmocka_unit_test(test_pattern_young), cmocka_unit_test(test_exec_inactive),
		cmocka_unit_test(test_exec_active),   cmocka_unit_test(test_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
