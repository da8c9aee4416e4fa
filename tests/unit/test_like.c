/*
 * Tests of machines like saved ones (api/like.c, core/likeness.c): what a machine made like a
 * recorded one says about itself is what the recording said, and every conservation law holds.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <neap/neap.h>

#include "base/rng.h"
#include "core/likeness.h"
#include "core/pageblock.h"
#include "core/snapshot_take.h"
#include "diag/unpack.h"
#include "machine_fixture.h"
#include "text/load.h"

static char boot_dir[] = "/tmp/test-neap-like-XXXXXX";

/* The machine before the first command of a recorded job, written out. */
static void extract(const char *archive)
{
	struct unpack_files files;
	struct text_error err;

	(void)snprintf(boot_dir, sizeof(boot_dir), "/tmp/test-neap-like-XXXXXX");
	assert_non_null(mkdtemp(boot_dir));
	assert_int_equal(unpack_load(archive, &files, &err), 0);
	assert_int_equal(unpack_extract(&files, "boot/", boot_dir), 0);
	unpack_free(&files);
}

static void remove_boot(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -r %s", boot_dir);
	assert_int_equal(system(command), 0);
}

static struct neap_machine *make(const char *machine, const char *runtime)
{
	struct neap_config *config = neap_config_new();
	struct neap_machine *m = NULL;

	assert_int_equal(neap_config_set(config, "runtime", runtime), 0);
	assert_int_equal(neap_config_set(config, "like", boot_dir), 0);
	if (machine != NULL)
		assert_int_equal(neap_config_set(config, "machine", machine), 0);
	if (neap_machine_create(config, &m) != 0)
		print_message("%s\n", neap_config_error(config));
	neap_config_free(config);
	return m;
}

/* What the machine says must be what the saved files say, byte for byte. */
static void compare_file(struct neap_machine *m, const char *name)
{
	char path[128];
	char *text = NULL;
	struct text_buf saved;

	(void)snprintf(path, sizeof(path), "%s/%s", boot_dir, name);
	text_buf_init(&saved);
	assert_int_equal(text_buf_read_file(&saved, path, MIB), 0);
	assert_true(neap_proc_text(m, name, &text) > 0);
	assert_string_equal(text, text_buf_text(&saved));
	free(text);
	text_buf_free(&saved);
}

static void compare_zone(const struct snapshot_zone *have, const struct snapshot_zone *want)
{
	assert_int_equal(have->free, want->free);
	assert_int_equal(have->min, want->min);
	assert_int_equal(have->low, want->low);
	assert_int_equal(have->high, want->high);
	assert_int_equal(have->boost, want->boost);
	assert_memory_equal(have->protection, want->protection, sizeof(want->protection));
	for (uint32_t cpu = 0; cpu < 2; cpu++)
		assert_memory_equal(&have->pageset[cpu], &want->pageset[cpu],
				    sizeof(want->pageset[cpu]));
	for (uint32_t i = NR_ZONE_INACTIVE_ANON; i <= NR_ZONE_UNEVICTABLE; i++)
		assert_int_equal(have->stat[i], want->stat[i]);
}

static int look(void *arg)
{
	static const uint8_t items[] = { NR_SLAB_RECLAIMABLE, NR_SLAB_UNRECLAIMABLE,
					 NR_KERNEL_STACK, NR_PAGE_TABLE_PAGES };
	struct neap_machine *m = arg;
	struct snapshot *want, *have;
	char dir[] = "/tmp/test-neap-like-XXXXXX", command[128];
	struct text_error err;

	compare_file(m, "buddyinfo");
	compare_file(m, "pagetypeinfo");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(neap_snapshot_save(m, dir), 0);
	assert_int_equal(snapshot_load_dir(boot_dir, &want, &err), 0);
	assert_int_equal(snapshot_load_dir(dir, &have, &err), 0);
	for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
		compare_zone(&have->node[0].zone[z], &want->node[0].zone[z]);
	for (uint32_t i = 0; i < sizeof(items); i++)
		assert_int_equal(have->node_stat[items[i]], want->node_stat[items[i]]);
	assert_int_equal(have->nr_sysctls, want->nr_sysctls);
	assert_memory_equal(have->sysctl, want->sysctl, have->nr_sysctls * sizeof(have->sysctl[0]));
	assert_int_equal(neap_verify(m), 0);
	free(want);
	free(have);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void print_back(const char *runtime)
{
	static const char *const archives[] = {
		"tests/golden/dynamic/anon-seq-swap60/run4.tar.xz",
		"tests/golden/dynamic/file-write/run5.tar.xz",
		"tests/golden/dynamic/pagecluster-3-random/run5.tar.xz",
	};

	for (uint32_t i = 0; i < 3; i++) {
		struct neap_machine *m;

		extract(archives[i]);
		m = make("nodes=256M cpus=2 swap=512M", runtime);
		assert_non_null(m);
		assert_int_equal(neap_run(m, look, m), 0);
		neap_machine_destroy(m);
		remove_boot();
	}
}

static void test_print_back_simulated(void **state)
{
	(void)state;
	print_back("sim");
}

static void test_print_back_running(void **state)
{
	(void)state;
	print_back("live");
}

static void test_without_machine_line(void **state)
{
	struct neap_machine *m;
	struct neap_gauge gauge;

	(void)state;
	extract("tests/golden/dynamic/anon-seq-swap60/run4.tar.xz");
	m = make(NULL, "sim");
	assert_non_null(m);
	neap_gauge(m, &gauge);
	assert_int_equal(gauge.swap_total_pages, 131071); /* the saved area, without its header */
	neap_machine_destroy(m);
	remove_boot();
}

static void read_file(struct neap_machine *m, uint64_t bytes)
{
	struct neap_file *file;
	struct neap_page page;

	assert_int_equal(neap_file_open(m, NULL, bytes, 0, &file), 0);
	for (uint64_t i = 0; i < bytes / NEAP_PAGE_SIZE; i++) {
		assert_int_equal(neap_file_page_begin(file, i, NEAP_PAGE_READ, &page), 0);
		neap_file_page_end(file, &page);
	}
}

/*
 * A file in the lowest zone of node 0, whose others were full when it was read; another on node 1,
 * as a program that runs there would have read it; a CPU that is offline. Saves the machine.
 */
static int fill_far_places(void *arg)
{
	struct neap_machine *m = arg;
	struct neap_region *region;

	assert_int_equal(neap_set_mems(m, 1), 0);
	assert_int_equal(neap_region_create(m, 80 * MIB, 0, NEAP_ANY_NODE, &region), 0);
	for (uint64_t i = 0; i < 80 * MIB / NEAP_PAGE_SIZE; i++)
		assert_int_equal(neap_access(region, i, true), 0);
	read_file(m, 8 * MIB);
	neap_region_destroy(region);
	assert_int_equal(neap_set_mems(m, 2), 0);
	read_file(m, 80 * MIB);
	assert_int_equal(neap_cpu_offline(m, 2), 0);
	return neap_snapshot_save(m, boot_dir);
}

/* But for a few tables that the engine keeps for itself. */
static void assert_nearly(uint64_t have, uint64_t want)
{
	assert_in_range(have + 16, want, want + 32);
}

static int look_at_nodes(void *arg)
{
	char dir[] = "/tmp/test-neap-like-XXXXXX", command[128];
	struct snapshot *want, *have;
	struct neap_machine *m = arg;
	struct text_error err;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(neap_snapshot_save(m, dir), 0);
	assert_int_equal(snapshot_load_dir(boot_dir, &want, &err), 0);
	assert_int_equal(snapshot_load_dir(dir, &have, &err), 0);
	assert_memory_equal(&have->online, &want->online, sizeof(want->online));
	for (uint32_t n = 0; n < 2; n++) {
		const struct snapshot_zone *zone = have->node[n].zone;

		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
			assert_nearly(zone[z].free, want->node[n].zone[z].free);
		assert_int_equal(have->node[n].stat[NR_INACTIVE_FILE],
				 want->node[n].stat[NR_INACTIVE_FILE]);
	}
	assert_true(want->node[0].zone[ZONE_DMA].stat[NR_ZONE_INACTIVE_FILE] > 1000);
	assert_true(want->node[1].stat[NR_INACTIVE_FILE] > 16000);
	assert_int_equal(neap_verify(m), 0);
	free(want);
	free(have);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* Pages are where the saved machine's programs had them, although ours would take others. */
static void test_pages_in_far_places(void **state)
{
	struct neap_config *config = neap_config_new();
	struct neap_machine *m;

	(void)state;
	(void)snprintf(boot_dir, sizeof(boot_dir), "/tmp/test-neap-like-XXXXXX");
	assert_non_null(mkdtemp(boot_dir));
	assert_int_equal(neap_config_set(config, "runtime", "sim"), 0);
	assert_int_equal(neap_config_set(config, "machine", "nodes=128M/0-1+128M/2-3 cpus=4"), 0);
	if (neap_machine_create(config, &m) != 0)
		fail_msg("%s", neap_config_error(config));
	neap_config_free(config);
	assert_int_equal(neap_run(m, fill_far_places, m), 0);
	neap_machine_destroy(m);
	m = make(NULL, "sim");
	assert_non_null(m);
	assert_int_equal(neap_run(m, look_at_nodes, m), 0);
	neap_machine_destroy(m);
	remove_boot();
}

/* The saved files with each `from` changed to `to`. => what is said, and no machine */
static void refuse_damaged(const char *from, const char *to, const char *message)
{
	struct neap_config *config = neap_config_new();
	struct neap_machine *m = NULL;
	char command[256];

	extract("tests/golden/dynamic/anon-seq-swap60/run4.tar.xz");
	(void)snprintf(command, sizeof(command), "sed -i -E 's/%s/%s/' %s/zoneinfo", from, to,
		       boot_dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(neap_config_set(config, "runtime", "sim"), 0);
	assert_int_equal(neap_config_set(config, "like", boot_dir), 0);
	if (neap_machine_create(config, &m) != -EINVAL)
		fail_msg("%s is taken", to);
	if (strstr(neap_config_error(config), message) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", neap_config_error(config), message);
	neap_config_free(config);
	remove_boot();
}

static void test_refused(void **state)
{
	static const char *const damages[][3] = {
		{ "managed .*", "managed 99999999", "zone DMA of node 0 cannot be made" },
		{ "start_pfn: .*", "start_pfn: 5",
		  "zones DMA of node 0 and DMA32 of node 0 overlap" },
		{ "(spanned|present|managed) .*", "\\1 0",
		  "no zone of the saved machine has pages" },
	};
	struct neap_config *config;

	(void)state;
	extract("tests/golden/dynamic/anon-seq-swap60/run4.tar.xz");
	assert_null(make("nodes=512M cpus=2 swap=512M", "sim"));      /* another size */
	assert_null(make("nodes=128M+128M cpus=2 swap=512M", "sim")); /* other nodes */
	remove_boot();
	for (uint32_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++)
		refuse_damaged(damages[i][0], damages[i][1], damages[i][2]);
	config = neap_config_new();
	assert_int_equal(neap_config_set(config, "like", "/nonexistent"), -ENOENT);
	assert_non_null(strstr(neap_config_error(config), "zoneinfo"));
	neap_config_free(config);
}

/* ---- random states ---- */

static uint64_t round_seed;

struct holding {
	uint32_t nr, pfn[400], order[400];
};

static void give_back(struct machine_fixture *f, struct holding *holding, uint32_t step)
{
	for (uint32_t i = 0; i < holding->nr; i += step) {
		if (holding->pfn[i] == PFN_NONE)
			continue;
		atomic_store(&machine_page(f->m, holding->pfn[i])->refs, 0);
		free_pages(f->t, holding->pfn[i], holding->order[i]);
		holding->pfn[i] = PFN_NONE;
	}
}

static void take(struct machine_fixture *f, struct rng *rng, struct holding *holding)
{
	holding->nr = (uint32_t)rng_below(rng, 400);
	for (uint32_t i = 0; i < holding->nr; i++) {
		struct alloc_request request = {
			.gfp = rng_below(rng, 2) != 0 ? GFP_KERNEL : GFP_HIGHUSER_MOVABLE,
			.order = (uint32_t)rng_below(rng, 4),
		};

		holding->order[i] = request.order;
		holding->pfn[i] = alloc_pages(f->t, &request);
		assert_int_not_equal(holding->pfn[i], PFN_NONE);
	}
}

/* The engine's own slab, before a likeness adds the saved machine's. */
static bool own_slab[65536];

static void remember_slab(struct machine_fixture *f)
{
	assert_in_range(f->m->max_pfn, 1, sizeof(own_slab));
	for (uint32_t pfn = 0; pfn < f->m->max_pfn; pfn++)
		own_slab[pfn] = page_test(&f->m->pages[pfn], PG_SLAB);
}

static void uncount_slab(struct machine_fixture *f, uint64_t flags)
{
	cpu_pin(f->t);
	node_stat_add(f->t, f->node, flags & PG_INDEX ? NR_SLAB_RECLAIMABLE : NR_SLAB_UNRECLAIMABLE,
		      -(int64_t)page_nr_of(flags));
	cpu_unpin(f->t);
}

/* Gives back what likeness_apply() made the kernel's, so that the machine ends as it began. */
static void give_back_kernel(struct machine_fixture *f)
{
	struct neap_machine *m = f->m;

	for (uint32_t pfn = 1; pfn < m->max_pfn; pfn++) {
		struct page *page = &m->pages[pfn];
		uint64_t flags = page_flags(page);

		if (!(flags & (PG_KERNEL | PG_SLAB)) || page_refs(page) == 0 || own_slab[pfn])
			continue;
		if (flags & PG_SLAB)
			uncount_slab(f, flags);
		page_clear(page, PG_KERNEL | PG_SLAB | PG_INDEX);
		atomic_store(&page->refs, 0);
		free_pages(f->t, pfn, (flags & PG_HEAD) ? page_order_of(flags) : 0);
	}
}

/* Any state that allocating and freeing leads to can be made again from an empty machine. */
static void body_random_state(struct machine_fixture *f)
{
	struct snapshot *want = calloc(1, snapshot_bytes(1));
	struct snapshot *have = calloc(1, snapshot_bytes(1));
	const struct snapshot_zone *wanted = &want->node[0].zone[ZONE_NORMAL];
	const struct snapshot_zone *made = &have->node[0].zone[ZONE_NORMAL];
	struct holding holding;
	struct rng rng;

	rng_seed(&rng, round_seed);
	take(f, &rng, &holding);
	give_back(f, &holding, 1 + (uint32_t)rng_below(&rng, 3));
	machine_settle(f);
	snapshot_take(f->t, f->m, want);
	give_back(f, &holding, 1);
	remember_slab(f);
	assert_int_equal(likeness_apply(f->t, f->m, want), 0);
	snapshot_take(f->t, f->m, have);
	assert_memory_equal(made->nr_free_type, wanted->nr_free_type, sizeof(wanted->nr_free_type));
	assert_memory_equal(made->nr_blocks, wanted->nr_blocks, sizeof(wanted->nr_blocks));
	assert_int_equal(made->free, wanted->free);
	machine_verify(f);
	give_back_kernel(f);
	free(want);
	free(have);
}

static void test_random_states(void **state)
{
	uint64_t seed = machine_seed();

	(void)state;
	for (uint64_t i = 0; i < 40; i++) {
		round_seed = seed + i;
		machine_run(&(struct machine_setup){ .pages = 8192, .dma_pages = 0 },
			    body_random_state);
	}
}

/* ---- where things lie ---- */

#define ZONE_DMA32_INDEX 1u
#define CELLS 128u

static int look_where(void *arg)
{
	struct neap_map_cell cells[CELLS];
	struct neap_map map = { .zone = ZONE_DMA32_INDEX,
				.cell_pages = NEAP_PAGEBLOCK_PAGES,
				.cells = cells,
				.nr_cells = CELLS };
	int64_t nr = neap_zone_map(arg, &map);
	uint32_t first_movable = CELLS, last_kernel = 0, movable = 0;

	assert_in_range(nr, 100, CELLS);
	for (uint32_t i = 0; i < nr; i++) {
		movable += cells[i].movable;
		if (cells[i].movable != 0)
			first_movable = min_u32(first_movable, i);
		if (cells[i].unmovable > NEAP_PAGEBLOCK_PAGES / 4)
			last_kernel = i;
	}
	assert_true(cells[0].unmovable > NEAP_PAGEBLOCK_PAGES / 2);
	assert_true(movable > 1000);
	assert_true(last_kernel < first_movable);
	return 0;
}

/* Boot leaves the kernel's frames at the bottom of a zone, and those of programs at its top. */
static void test_kernel_lies_low_and_programs_high(void **state)
{
	struct neap_machine *m;

	(void)state;
	extract("tests/golden/dynamic/anon-seq-swap60/run4.tar.xz");
	m = make("nodes=256M cpus=2 swap=512M", "sim");
	assert_non_null(m);
	assert_int_equal(neap_run(m, look_where, m), 0);
	neap_machine_destroy(m);
	remove_boot();
}

/* A snapshot of the machine with a number of its pageblocks used, and types for some of them. */
static struct snapshot *want_used(struct machine_fixture *f, uint32_t unmovable,
				  uint32_t reclaimable)
{
	struct snapshot *want = calloc(1, snapshot_bytes(1));
	struct snapshot_zone *zone = &want->node[0].zone[ZONE_NORMAL];
	uint32_t blocks = unmovable + reclaimable;

	assert_non_null(want);
	remember_slab(f);
	machine_settle(f);
	snapshot_take(f->t, f->m, want);
	zone->nr_blocks[MT_UNMOVABLE] += unmovable;
	zone->nr_blocks[MT_RECLAIMABLE] += reclaimable;
	zone->nr_blocks[MT_MOVABLE] -= blocks;
	zone->nr_free_type[MT_MOVABLE][NEAP_MAX_ORDER] -= blocks / 2;
	zone->free -= (uint64_t)blocks * NEAP_PAGEBLOCK_PAGES;
	return want;
}

/* Slab comes in blocks of one to eight frames, which compaction passes over in one step each. */
static void body_slab_in_blocks(struct machine_fixture *f)
{
	struct snapshot *want = want_used(f, 4, 0);
	uint32_t frames[4] = { 0 };

	want->node[0].stat[NR_SLAB_UNRECLAIMABLE] += 1000;
	likeness_user_first(f->t, f->m, want);
	assert_int_equal(likeness_apply(f->t, f->m, want), 0);
	for (uint32_t pfn = 1; pfn < f->m->max_pfn; pfn++) {
		uint64_t flags = page_flags(&f->m->pages[pfn]);

		if ((flags & PG_SLAB) && !own_slab[pfn])
			frames[(flags & PG_HEAD) ? page_order_of(flags) : 0] += page_nr_of(flags);
	}
	assert_int_equal(frames[1], 482);
	assert_int_equal(frames[2], 64); /* 66 of a thousand, in fours */
	assert_int_equal(frames[3], 120);
	assert_int_equal(frames[0], 1000 - 482 - 64 - 120);
	machine_verify(f);
	give_back_kernel(f);
	free(want);
}
MACHINE_TEST(slab_in_blocks, .pages = 16384);

/* The kernel's two types alternate as it grew, a largest block at a time. */
static void body_types_alternate(struct machine_fixture *f)
{
	/* The engine has a first unmovable block of its own. */
	static const uint8_t expected[] = { MT_RECLAIMABLE, MT_UNMOVABLE,   MT_UNMOVABLE,
					    MT_UNMOVABLE,   MT_RECLAIMABLE, MT_UNMOVABLE };
	struct snapshot *want = want_used(f, 8, 4);
	uint32_t pfn[ARRAY_LEN(expected)] = {
		f->m->nodes[0].zone[ZONE_NORMAL].area[NEAP_MAX_ORDER].list[MT_MOVABLE].first
	};

	for (uint32_t i = 1; i < ARRAY_LEN(expected); i++)
		pfn[i] = f->m->pages[pfn[i - 1]].next;
	likeness_user_first(f->t, f->m, want);
	assert_int_equal(likeness_apply(f->t, f->m, want), 0);
	for (uint32_t i = 0; i < ARRAY_LEN(expected); i++) {
		assert_int_equal(pageblock_type(f->m, pfn[i]), expected[i]);
		assert_int_equal(pageblock_type(f->m, pfn[i] + NEAP_PAGEBLOCK_PAGES), expected[i]);
	}
	machine_verify(f);
	give_back_kernel(f);
	free(want);
}
MACHINE_TEST(types_alternate, .pages = 32768);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print_back_simulated),
		cmocka_unit_test(test_print_back_running),
		cmocka_unit_test(test_without_machine_line),
		cmocka_unit_test(test_pages_in_far_places),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_random_states),
		cmocka_unit_test(test_kernel_lies_low_and_programs_high),
		cmocka_unit_test(test_slab_in_blocks),
		cmocka_unit_test(test_types_alternate),
	};

	return cmocka_run_group_tests_name("like", tests, NULL, NULL);
}
