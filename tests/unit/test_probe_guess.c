/*
 * What recorded thefts say about pages in use (cmd/probe_guess.c): the bounds, how they are
 * narrowed and forgotten, and which pages become movable.
 *
 *     theft taken, theft left ──> claim ──> least..most ──> pages of the pageblock, but no slot's
 */
#include "test_text_util.h"

#include <unistd.h>

#include "cmd/probe_files.h"
#include "cmd/probe_guess.h"
#include "core/pageblock.h"
#include "text_corpus.h"

#define BLOCK 40u /* any pageblock of the recorded machine */

static char root[] = "/tmp/probe-guess-XXXXXX";
static struct probe_files files;
static struct probe_machine *pm;

static struct probe_claim claim_of(uint8_t type, uint8_t change, uint32_t free_pages)
{
	const struct probe_event theft = {
		.kind = PROBE_STEAL,
		.type = type,
		.change = change,
		.pfn = BLOCK * NEAP_PAGEBLOCK_PAGES + 7,
	};

	return probe_guess_claim(&theft, free_pages);
}

static void check_claim(struct probe_claim claim, bool at_least, int32_t pages)
{
	assert_int_equal(claim.block, BLOCK);
	assert_int_equal(claim.at_least, at_least);
	assert_int_equal(claim.pages, pages);
}

/* A Movable request takes the pageblock if free and movable pages are half of it. */
static void test_claim_of_movable_request(void **state)
{
	(void)state;
	check_claim(claim_of(MT_MOVABLE, 1, 100), true, 156);
	check_claim(claim_of(MT_MOVABLE, 0, 100), false, 155);
	check_claim(claim_of(MT_MOVABLE, 0, 300), false, -45);
}

/* Another request takes a Movable pageblock if its movable pages are at most half of it. */
static void test_claim_of_other_request(void **state)
{
	(void)state;
	check_claim(claim_of(MT_UNMOVABLE, 1, 100), false, 256);
	check_claim(claim_of(MT_RECLAIMABLE, 0, 100), true, 257);
}

static bool learn(struct probe_claim claim)
{
	return probe_guess_learn(pm, &claim);
}

static void check_bounds(uint32_t least, uint32_t most)
{
	assert_int_equal(pm->movable[BLOCK].least, least);
	assert_int_equal(pm->movable[BLOCK].most, most);
}

/* One number satisfies all thefts of a burst; what satisfies none is not learnt. */
static void test_bounds_narrow(void **state)
{
	(void)state;
	check_bounds(0, 512);
	assert_true(learn(claim_of(MT_MOVABLE, 1, 156)));
	assert_true(learn(claim_of(MT_MOVABLE, 0, 100)));
	check_bounds(100, 155);
	assert_int_equal(probe_guess_count(pm), 1);
	assert_false(learn((struct probe_claim){ .block = 0, .at_least = true, .pages = 3 }));
}

/* A burst may contradict earlier ones, once: programs' pages come and go between bursts. */
static void test_bounds_of_earlier_bursts_forgotten(void **state)
{
	(void)state;
	assert_true(learn(claim_of(MT_UNMOVABLE, 0, 100)));
	check_bounds(257, 512);
	probe_guess_begin(pm);
	assert_true(learn(claim_of(MT_UNMOVABLE, 1, 100)));
	check_bounds(0, 256);
	assert_false(learn(claim_of(MT_UNMOVABLE, 0, 100)));
	probe_guess_begin(pm);
	assert_true(learn(claim_of(MT_UNMOVABLE, 0, 100)));
}

/* A decision that no number explains takes nothing away from what earlier bursts told. */
static void test_bounds_kept_if_nothing_helps(void **state)
{
	(void)state;
	assert_true(learn(claim_of(MT_MOVABLE, 1, 156)));
	probe_guess_begin(pm);
	assert_false(learn(claim_of(MT_MOVABLE, 0, 300)));
	check_bounds(100, 512);
}

static uint32_t lru_pages(uint32_t first, uint32_t end)
{
	uint32_t nr = 0;

	for (uint32_t pfn = first; pfn < end; pfn++)
		nr += page_test(&pm->m.pages[pfn], PG_LRU) ? 1 : 0;
	return nr;
}

static uint32_t used_pages(uint32_t first, uint32_t end)
{
	uint32_t nr = 0;

	for (uint32_t pfn = first; pfn < end; pfn++)
		nr += page_refs(&pm->m.pages[pfn]) == 1 ? 1 : 0;
	return nr;
}

/*
 * A slot in the middle of used pages stays as it is; of the others as many are movable as must be,
 * and none where reclaim or compaction could take them for pages of its lists.
 */
static int check_applied(struct probe_machine *machine, void *arg)
{
	struct probe_slot *slot = &machine->recorded[5];
	const struct probe_state *state = &files.probe.states[0];
	struct text_error err;

	(void)arg;
	assert_int_equal(probe_machine_load(machine, state, &err), 0);
	for (uint32_t block = 1; slot->pfn == 0; block++) {
		uint32_t first = block * NEAP_PAGEBLOCK_PAGES;

		assert_true(first + NEAP_PAGEBLOCK_PAGES < machine->m.max_pfn);
		if (used_pages(first, first + NEAP_PAGEBLOCK_PAGES) == NEAP_PAGEBLOCK_PAGES)
			*slot = (struct probe_slot){ first + 8, 3 };
	}
	uint32_t first = slot->pfn - 8;

	machine->movable[first / NEAP_PAGEBLOCK_PAGES].least = 10;
	assert_int_equal(probe_machine_load(machine, state, &err), 0);
	assert_int_equal(machine->slot[5].pfn, slot->pfn);
	assert_int_equal(lru_pages(first, first + NEAP_PAGEBLOCK_PAGES), 10);
	assert_int_equal(lru_pages(slot->pfn, slot->pfn + 8), 0);
	machine->sleeps = true;
	assert_int_equal(probe_machine_load(machine, state, &err), 0);
	assert_int_equal(lru_pages(first, first + NEAP_PAGEBLOCK_PAGES), 0);
	return 0;
}

/* Slots that were recorded with the same frames would both free them: one has them. */
static int check_overlap(struct probe_machine *machine, void *arg)
{
	struct probe_slot *slot = machine->recorded;
	struct text_error err;

	(void)arg;
	assert_int_equal(probe_machine_load(machine, &files.probe.states[0], &err), 0);
	uint32_t first = NEAP_PAGEBLOCK_PAGES;

	while (used_pages(first, first + NEAP_PAGEBLOCK_PAGES) != NEAP_PAGEBLOCK_PAGES)
		first += NEAP_PAGEBLOCK_PAGES;
	slot[1] = (struct probe_slot){ first + 8, 3 };
	slot[2] = (struct probe_slot){ first + 9, 0 };
	slot[3] = (struct probe_slot){ first + 16, 0 };
	slot[4] = (struct probe_slot){ first + 16, 0 };
	slot[5] = (struct probe_slot){ first, 4 };
	assert_int_equal(probe_machine_load(machine, &files.probe.states[0], &err), 0);
	assert_int_equal(machine->slot[1].pfn, first + 8);
	assert_int_equal(machine->slot[2].pfn, 0);
	assert_int_equal(machine->slot[3].pfn, first + 16);
	assert_int_equal(machine->slot[4].pfn, 0);
	assert_int_equal(machine->slot[5].pfn, 0);
	return 0;
}

static void test_no_frame_in_two_slots(void **state)
{
	(void)state;
	assert_int_equal(probe_machine_run(pm, check_overlap, NULL), 0);
}

static void test_slots_are_left_out(void **state)
{
	(void)state;
	assert_int_equal(probe_machine_run(pm, check_applied, NULL), 0);
}

static int make(void **state)
{
	struct text_error err;

	(void)state;
	return probe_machine_create(&files.probe, NULL, "probe.out", &pm, &err);
}

static int destroy(void **state)
{
	(void)state;
	probe_machine_destroy(pm);
	return 0;
}

static int unpack(void **state)
{
	struct text_error err;
	char path[1024];

	(void)state;
	if (mkdtemp(root) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/tests/golden/probes/samples.tar.xz", util_source_dir());
	if (corpus_unpack(path, root) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/order0", root);
	return probe_files_open(&files, path, &err);
}

static int clean_up(void **state)
{
	(void)state;
	probe_files_close(&files);
	corpus_remove(root);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claim_of_movable_request),
		cmocka_unit_test(test_claim_of_other_request),
		cmocka_unit_test_setup_teardown(test_bounds_narrow, make, destroy),
		cmocka_unit_test_setup_teardown(test_bounds_of_earlier_bursts_forgotten, make,
						destroy),
		cmocka_unit_test_setup_teardown(test_bounds_kept_if_nothing_helps, make, destroy),
		cmocka_unit_test_setup_teardown(test_no_frame_in_two_slots, make, destroy),
		cmocka_unit_test_setup_teardown(test_slots_are_left_out, make, destroy),
	};

	return cmocka_run_group_tests(tests, unpack, clean_up);
}
