/*
 * Tests of core/free_late.c: late frees leave what prompt ones leave, and nobody who could tell
 * comes before them.
 *
 *     seed ──> the same steps on two machines: bursts of frees, requests, drains
 *                  prompt: the last reference dropped, free_pages()
 *                  late:   free_page_put()
 *          ──> every request gets the same frame; every list and count is the same
 */
#include "core_fixture.h"

#include "base/rng.h"
#include "core/event.h"
#include "core/free_late.h"
#include "core/hotplug_cpu.h"
#include "core/isolate.h"
#include "core/pageblock.h"

#define BASE 1048576u
#define PAGES 16384u
#define HELD_MAX 6000u
#define STEPS 400u
#define SEEDS 20u

static struct zone *normal(struct core_fixture *f)
{
	return &f->m->nodes[0].zone[ZONE_NORMAL];
}

/* A machine whose lists overflow soon. */
static void setup_short_lists(struct core_fixture *f, uint32_t cpus)
{
	core_setup_normal(f, cpus, PAGES);
	for (uint32_t cpu = 0; cpu < cpus; cpu++)
		core_pcp_limits(&normal(f)->pcp[cpu], 7, 120);
}

static void take_pages(struct core_fixture *f, uint32_t *pfn, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		pfn[i] = alloc_page(f->t, GFP_KERNEL);
		assert_int_not_equal(pfn[i], PFN_NONE);
	}
}

/* Takes pages and gives them back until the CPU frees late, and some frames wait. */
static uint32_t begin_late(struct core_fixture *f, uint32_t *pfn, uint32_t nr)
{
	uint32_t given = 0;

	take_pages(f, pfn, nr);
	while (given < nr && f->m->cpus[task_cpu(f->t)].nr_late < 5)
		free_page_put(f->t, pfn[given++]);
	assert_int_equal(f->m->cpus[task_cpu(f->t)].nr_late, 5);
	for (uint32_t i = given - 4; i < given; i++)
		assert_int_equal(page_refs(&f->m->pages[pfn[i]]), 1);
	return given;
}

/* The same on a new machine of one CPU. */
static uint32_t setup_late(struct core_fixture *f, uint32_t *pfn, uint32_t nr)
{
	setup_short_lists(f, 1);
	return begin_late(f, pfn, nr);
}

/* ---- the same as prompt frees ---- */

struct world {
	struct core_fixture f;
	struct rng rng;
	bool late;
	uint64_t most_late; /* frames that ever waited */
	uint32_t nr;
	uint32_t pfn[HELD_MAX];
	uint32_t order[HELD_MAX];
};

static void world_take(struct world *w, uint32_t order)
{
	const uint32_t owned = w->nr % 3 != 0 ? GFP_BIT_OWNED : 0;
	const struct alloc_request request = { .gfp = GFP_BIT_MOVABLE | GFP_BIT_NOWARN | owned,
					       .order = order };
	uint32_t pfn = alloc_pages(w->f.t, &request);

	if (pfn == PFN_NONE)
		return;
	w->pfn[w->nr] = pfn;
	w->order[w->nr++] = order;
}

static void world_give(struct world *w)
{
	uint32_t i = (uint32_t)rng_below(&w->rng, w->nr);
	uint32_t pfn = w->pfn[i];
	uint32_t order = w->order[i];

	w->nr--;
	w->pfn[i] = w->pfn[w->nr];
	w->order[i] = w->order[w->nr];
	if (w->late && order == 0)
		free_page_put(w->f.t, pfn);
	else
		core_free(&w->f, pfn, order);
	w->most_late = max_u64(w->most_late, w->f.m->cpus[task_cpu(w->f.t)].nr_late);
}

static void world_step(struct world *w)
{
	uint32_t nr = (uint32_t)rng_below(&w->rng, 400);

	switch (rng_below(&w->rng, 8)) {
	case 0:
	case 1:
	case 2:
		for (uint32_t i = 0; i < nr && w->nr < HELD_MAX; i++)
			world_take(w, 0);
		break;
	case 3:
		for (uint32_t i = 0; i < nr / 16 && w->nr < HELD_MAX; i++)
			world_take(w, (uint32_t)rng_below(&w->rng, 5));
		break;
	case 4:
		pcp_drain_all(w->f.t, w->f.m, NULL);
		break;
	case 5:
		/* Other CPUs may see a free later, as if this one were slower. */
		free_late_settle(w->f.t);
		fake_rt_cpu(&w->f.rt, (uint32_t)rng_below(&w->rng, 2));
		break;
	default:
		for (uint32_t i = 0; i < 2 * nr && w->nr > 0; i++)
			world_give(w);
		break;
	}
}

static void assert_same_list(const struct core_fixture *a, const struct list *of_a,
			     const struct core_fixture *b, const struct list *of_b)
{
	uint32_t pfn = of_a->first;

	for (uint32_t k = of_b->first; k != PFN_NONE; k = b->m->pages[k].next) {
		assert_int_equal(pfn, k);
		pfn = a->m->pages[pfn].next;
	}
	assert_int_equal(pfn, PFN_NONE);
}

static void assert_same_blocks(const struct pcp_list *a, const struct pcp_list *b)
{
	assert_int_equal(pcp_list_nr(a), pcp_list_nr(b));
	for (uint32_t i = 0; i < pcp_list_nr(a); i++)
		assert_int_equal(a->first[i], b->first[i]);
}

static void assert_same_state(struct core_fixture *a, struct core_fixture *b)
{
	struct zone *x = normal(a);
	struct zone *y = normal(b);

	for (uint32_t cpu = 0; cpu < 2; cpu++) {
		assert_int_equal(x->pcp[cpu].count, y->pcp[cpu].count);
		assert_int_equal(x->pcp[cpu].free_factor, y->pcp[cpu].free_factor);
		for (uint32_t i = 0; i < NR_PCP_LISTS; i++)
			assert_same_blocks(&x->pcp[cpu].list[i], &y->pcp[cpu].list[i]);
		assert_null(pcp_verify(x, cpu));
	}
	for (uint32_t order = 0; order < NR_ORDERS; order++)
		for (uint32_t type = 0; type < NR_TYPES; type++)
			assert_same_list(a, &x->area[order].list[type], b,
					 &y->area[order].list[type]);
	assert_null(buddy_verify(x));
	assert_int_equal(zone_stat(x, NR_FREE_PAGES), zone_stat(y, NR_FREE_PAGES));
	assert_int_equal(zone_stat_exact(x, NR_FREE_PAGES), zone_stat_exact(y, NR_FREE_PAGES));
	for (uint32_t i = 0; i < NR_METER_ITEMS; i++)
		assert_int_equal(machine_event(a->m, (enum meter_item)i),
				 machine_event(b->m, (enum meter_item)i));
}

static void test_late_frees_leave_what_prompt_ones_leave(void **state)
{
	static struct world late, prompt;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		setup_short_lists(&late.f, 2);
		setup_short_lists(&prompt.f, 2);
		rng_seed(&late.rng, seed);
		rng_seed(&prompt.rng, seed);
		late.late = true;
		late.nr = prompt.nr = 0;
		for (uint32_t step = 0; step < STEPS; step++) {
			world_step(&late);
			world_step(&prompt);
			assert_int_equal(late.nr, prompt.nr);
			assert_memory_equal(late.pfn, prompt.pfn, late.nr * sizeof(late.pfn[0]));
		}
		assert_int_equal(late.most_late, LATE_FREES);
		free_late_settle_all(late.f.t, late.f.m);
		assert_same_state(&late.f, &prompt.f);
		core_teardown(&late.f);
		core_teardown(&prompt.f);
	}
}

/* ---- who comes after them ---- */

static void test_requests_come_after_late_frees(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[4000];

	(void)state;
	uint32_t given = setup_late(&f, pfn, 4000);

	/* The newest of them is the first to be taken again. */
	assert_int_equal(alloc_page(f.t, GFP_KERNEL), pfn[given - 1]);
	assert_int_equal(f.m->cpus[0].nr_late, 0);
	assert_int_equal(page_refs(&f.m->pages[pfn[given - 2]]), 0);
	core_teardown(&f);
}

static void test_other_frees_come_after_late_ones(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[4000];

	(void)state;
	uint32_t given = setup_late(&f, pfn, 4000);
	const struct pcp_list *list = &normal(&f)->pcp[0].list[pcp_list_index(0, MT_UNMOVABLE)];

	core_free(&f, pfn[given], 0);
	assert_int_equal(list->end[-1], pfn[given]);
	assert_int_equal(list->end[-2], pfn[given - 1]);
	assert_int_equal(f.m->cpus[0].nr_late, 0);
	core_teardown(&f);
}

static void test_a_drain_of_another_cpu_takes_its_late_frees(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[4000];

	(void)state;
	setup_short_lists(&f, 2);
	uint32_t given = begin_late(&f, pfn, 4000);

	fake_rt_cpu(&f.rt, 1);
	pcp_drain_all(f.t, f.m, NULL);
	assert_int_equal(f.m->cpus[0].nr_late, 0);
	assert_int_equal(core_pcp_pages(normal(&f)), 0);
	assert_int_equal(zone_stat_exact(normal(&f), NR_FREE_PAGES), PAGES - 4000 + given);
	core_teardown(&f);
}

static void test_a_cpu_that_goes_leaves_no_late_frees(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[4000];

	(void)state;
	setup_short_lists(&f, 2);
	uint32_t given = begin_late(&f, pfn, 4000);

	fake_rt_cpu(&f.rt, 1);
	assert_int_equal(hotplug_cpu_offline(f.t, 0), 0);
	assert_int_equal(f.m->cpus[0].nr_late, 0);
	assert_int_equal(zone_stat_exact(normal(&f), NR_FREE_PAGES), PAGES - 4000 + given);
	core_teardown(&f);
}

static void test_pageblocks_set_aside_see_no_late_frees(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[4000];

	(void)state;
	uint32_t given = setup_late(&f, pfn, 4000);
	uint32_t first = pfn[given - 1] & ~(NEAP_PAGEBLOCK_PAGES - 1);

	/* Nothing in the pageblock is in use but what waits to be freed. */
	for (uint32_t i = given; i < 4000; i++)
		if ((pfn[i] & ~(NEAP_PAGEBLOCK_PAGES - 1)) == first)
			core_free(&f, pfn[i], 0);
	assert_int_equal(
		isolate_set(f.t, normal(&f), first, first + NEAP_PAGEBLOCK_PAGES, MT_MOVABLE), 0);
	assert_int_equal(f.m->cpus[0].nr_late, 0);
	/* As long as it is, no free is late. */
	for (uint32_t i = given; i < 4000; i++)
		if (page_refs(&f.m->pages[pfn[i]]) != 0)
			free_page_put(f.t, pfn[i]);
	assert_int_equal(f.m->cpus[0].nr_late, 0);
	core_teardown(&f);
}

/* Between the look at all CPUs and the first pageblock none begin, either. */
static void test_forbidden_late_frees_do_not_begin(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[4000];

	(void)state;
	uint32_t given = setup_late(&f, pfn, 4000);

	free_late_forbid(f.t, f.m);
	assert_int_equal(page_refs(&f.m->pages[pfn[given - 1]]), 0);
	for (; given < 2500; given++) {
		free_page_put(f.t, pfn[given]);
		assert_int_equal(f.m->cpus[0].nr_late, 0);
	}
	free_late_allow(f.m);
	while (given < 4000 && f.m->cpus[0].nr_late == 0)
		free_page_put(f.t, pfn[given++]);
	assert_int_not_equal(f.m->cpus[0].nr_late, 0);
	core_teardown(&f);
}

/* ---- the array that they go to ---- */

#define MANY 4096u /* several times what a list has room for at first */

/* Whoever flushes without having seen that frees are late finds all that the count promises. */
static void test_a_flush_beside_late_frees_finds_all_that_is_counted(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[4000];

	(void)state;
	uint32_t given = setup_late(&f, pfn, 4000);
	struct pcp *pcp = &normal(&f)->pcp[0];
	uint32_t prompt = pcp->count;

	/* Some have been performed. */
	while (given < 4000 && pcp->count < prompt + 20)
		free_page_put(f.t, pfn[given++]);
	uint32_t count = pcp->count;

	assert_true(count >= prompt + 20);
	f.m->cpus[0].nr_late = 0; /* as such a task has read it */
	cpu_pin(f.t);
	pcp_drain(f.t, normal(&f), count);
	assert_int_equal(pcp->count, 0);
	assert_null(pcp_verify(normal(&f), 0));
	cpu_unpin(f.t);
	assert_null(buddy_verify(normal(&f)));
	core_teardown(&f);
}

static uint32_t list_room(struct core_fixture *f, uint32_t type)
{
	const struct pcp_list *list = &normal(f)->pcp[0].list[pcp_list_index(0, type)];

	return (uint32_t)(list->room_end - list->room);
}

/* Types take turns, and arrays that are full move or grow and do not flush before the set is. */
static void test_late_frees_of_many_pages_and_types(void **state)
{
	static struct core_fixture late, prompt;
	struct core_fixture *world[2] = { &late, &prompt };
	static uint32_t pfn[3 * MANY];

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct core_fixture *f = world[i];

		setup_short_lists(f, 2);
		uint32_t room = list_room(f, MT_UNMOVABLE);

		assert_true(room < MANY);
		take_pages(f, pfn, 3 * MANY);
		for (uint32_t k = 0; k < 3 * MANY; k++) {
			/* The first ones begin it; arrays are full; types take turns. */
			if (k == 1000)
				core_pcp_limits(&normal(f)->pcp[0], 7, 2 * MANY);
			if (k == 2 * MANY)
				for (uint32_t b = 0; b < PAGES; b += 2 * NEAP_PAGEBLOCK_PAGES)
					pageblock_set_type(f->m, BASE + b, MT_MOVABLE);
			if (f == &late)
				free_page_put(f->t, pfn[k]);
			else
				core_free(f, pfn[k], 0);
		}
		if (f == &late)
			assert_int_not_equal(f->m->cpus[0].nr_late, 0);
		assert_true(list_room(f, MT_UNMOVABLE) > room);
		assert_true(list_room(f, MT_MOVABLE) > room);
		free_late_settle_all(f->t, f->m);
	}
	assert_same_state(&late, &prompt);
	core_teardown(&late);
	core_teardown(&prompt);
}

/* A list that cannot become longer gives half of it back, and late frees go on behind the rest. */
static void test_late_frees_without_address_space_lose_nothing(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[3 * MANY];

	(void)state;
	setup_short_lists(&f, 1);
	uint32_t room = list_room(&f, MT_UNMOVABLE);
	uint32_t given = begin_late(&f, pfn, 3 * MANY);

	f.hw.refuses = true;
	core_pcp_limits(&normal(&f)->pcp[0], 7, 2 * MANY);
	uint64_t counted = zone_stat_exact(normal(&f), NR_FREE_PAGES);

	for (; given < 3 * MANY; given++)
		free_page_put(f.t, pfn[given]);
	assert_int_not_equal(f.m->cpus[0].nr_late, 0);
	free_late_settle_all(f.t, f.m);
	assert_true(zone_stat_exact(normal(&f), NR_FREE_PAGES) > counted);
	assert_int_equal(list_room(&f, MT_UNMOVABLE), room);
	assert_true(normal(&f)->pcp[0].count <= room);
	core_verify(&f, 0);
	/* The newest are there in the order of the calls. */
	const struct pcp_list *list = &normal(&f)->pcp[0].list[pcp_list_index(0, MT_UNMOVABLE)];

	assert_true(pcp_list_nr(list) >= room / 2);
	for (uint32_t i = 1; i <= pcp_list_nr(list); i++)
		assert_int_equal(*(list->end - i), pfn[3 * MANY - i]);
	core_teardown(&f);
}

/* ---- the rest ---- */

static void test_a_frame_with_another_reference_stays(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[4000];

	(void)state;
	uint32_t given = setup_late(&f, pfn, 4000);
	struct page *page = &f.m->pages[pfn[given]];

	page_get(page);
	free_page_put(f.t, pfn[given]);
	free_late_settle(f.t);
	assert_int_equal(page_refs(page), 1);
	core_free(&f, pfn[given], 0);
	assert_null(pcp_verify(normal(&f), 0));
	core_teardown(&f);
}

static void test_virtual_time_has_no_late_frees(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[4000];

	(void)state;
	setup_short_lists(&f, 1);
	f.rt.rt.virtual_time = true;
	take_pages(&f, pfn, 4000);
	for (uint32_t i = 0; i < 4000; i++) {
		free_page_put(f.t, pfn[i]);
		assert_int_equal(f.m->cpus[0].nr_late, 0);
		assert_int_equal(page_refs(&f.m->pages[pfn[i]]), 0);
	}
	core_teardown(&f);
}

static void test_traced_frees_are_prompt(void **state)
{
	struct core_fixture f;
	static uint32_t pfn[4000];

	(void)state;
	uint32_t given = setup_late(&f, pfn, 4000);

	atomic_store(&f.m->tracing, 1);
	free_page_put(f.t, pfn[given]);
	atomic_store(&f.m->tracing, 0);
	assert_int_equal(f.m->cpus[0].nr_late, 0);
	assert_int_equal(page_refs(&f.m->pages[pfn[given]]), 0);
	core_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_frees_leave_what_prompt_ones_leave),
		cmocka_unit_test(test_requests_come_after_late_frees),
		cmocka_unit_test(test_other_frees_come_after_late_ones),
		cmocka_unit_test(test_a_drain_of_another_cpu_takes_its_late_frees),
		cmocka_unit_test(test_a_cpu_that_goes_leaves_no_late_frees),
		cmocka_unit_test(test_pageblocks_set_aside_see_no_late_frees),
		cmocka_unit_test(test_forbidden_late_frees_do_not_begin),
		cmocka_unit_test(test_a_flush_beside_late_frees_finds_all_that_is_counted),
		cmocka_unit_test(test_late_frees_of_many_pages_and_types),
		cmocka_unit_test(test_late_frees_without_address_space_lose_nothing),
		cmocka_unit_test(test_a_frame_with_another_reference_stays),
		cmocka_unit_test(test_virtual_time_has_no_late_frees),
		cmocka_unit_test(test_traced_frees_are_prompt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
