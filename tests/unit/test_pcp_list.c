/*
 * Tests of the arrays of per-CPU lists (core/pcp.c): a list that meets the end of its array moves
 * or gets a longer one, and keeps its order; where the host has no address space, half of it goes
 * back to the buddy lists.
 *
 *     room            first              end          room_end
 *      |   .   .   .   | o   o   o   o   o |   .   .   . |
 *                     oldest           newest
 *
 * First the arrays alone, compared with a queue; then with the engine's puts, refills and drains,
 * and with states that are restored.
 */
#include "core_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/isolate.h"
#include "core/restore.h"

#define BASE 1048576u
#define PAGES 65536u

static uint32_t list_room(const struct pcp_list *list)
{
	return (uint32_t)(list->room_end - list->room);
}

static void assert_blocks(const struct pcp_list *list, const uint32_t *oldest, uint32_t nr)
{
	assert_true(list->first >= list->room && list->end <= list->room_end);
	assert_int_equal(pcp_list_nr(list), nr);
	assert_memory_equal(list->first, oldest, nr * sizeof(*oldest));
}

/* ---- arrays alone ---- */

#define START_ROOM 64u
#define QUEUE_ROOM (1u << 18)
#define ROUNDS 50u
#define STEPS 200u

/* A list of mere numbers, and a queue that has the same. */
struct numbers {
	struct core_fixture f;
	struct rng rng;
	struct pcp_list list;
	uint32_t room[START_ROOM];
	uint32_t next;	   /* number */
	uint32_t refusals; /* of puts */
	uint32_t first, end;
	uint32_t queue[QUEUE_ROOM];
};

/* Both are empty, and the array is the first one. */
static void numbers_begin(struct numbers *n)
{
	n->list.first = n->list.end = n->list.room = n->room;
	n->list.room_end = &n->room[START_ROOM];
	n->first = n->end = QUEUE_ROOM / 2;
}

static struct numbers *numbers_open(void)
{
	struct numbers *n = calloc(1, sizeof(*n));

	assert_non_null(n);
	core_setup_normal(&n->f, 1, 4096);
	numbers_begin(n);
	return n;
}

static void numbers_close(struct numbers *n)
{
	core_teardown(&n->f);
	free(n);
}

/* Refused only without address space, and when the array is full. */
static void numbers_put(struct numbers *n)
{
	if (!pcp_list_make_room(n->f.m, &n->list, 1)) {
		assert_true(n->f.hw.refuses);
		assert_int_equal(pcp_list_nr(&n->list), list_room(&n->list));
		n->refusals++;
		return;
	}
	assert_true(n->list.end != n->list.room_end && n->end < QUEUE_ROOM);
	*n->list.end++ = n->queue[n->end++] = n->next++;
}

static void numbers_put_oldest(struct numbers *n)
{
	if (!pcp_list_add_oldest(n->f.m, &n->list, n->next)) {
		assert_true(n->f.hw.refuses);
		assert_int_equal(pcp_list_nr(&n->list), list_room(&n->list));
		n->refusals++;
		return;
	}
	assert_int_not_equal(n->first, 0);
	n->queue[--n->first] = n->next++;
}

static void numbers_step(struct numbers *n)
{
	uint32_t nr = (uint32_t)rng_below(&n->rng, 100);

	switch (rng_below(&n->rng, 5)) {
	case 0: /* taken, newest first */
		for (; nr > 0 && !pcp_list_empty(&n->list); nr--)
			assert_int_equal(*--n->list.end, n->queue[--n->end]);
		break;
	case 1: /* flushed, oldest first */
		for (; nr > 0 && !pcp_list_empty(&n->list); nr--)
			assert_int_equal(*n->list.first++, n->queue[n->first++]);
		break;
	case 2:
		n->f.hw.refuses = rng_below(&n->rng, 2) == 0;
		for (; nr > 0; nr -= min_u32(nr, 2))
			numbers_put_oldest(n);
		break;
	default:
		n->f.hw.refuses = rng_below(&n->rng, 2) == 0;
		for (; nr > 0; nr--)
			numbers_put(n);
	}
}

/* => how often the list got a longer array, which is at least twice as long each time */
static uint32_t numbers_round(struct numbers *n)
{
	uint32_t grown = 0;

	numbers_begin(n);
	for (uint32_t step = 0; step < STEPS; step++) {
		const uint32_t *array = n->list.room;
		uint32_t room = list_room(&n->list);

		numbers_step(n);
		assert_blocks(&n->list, &n->queue[n->first], n->end - n->first);
		grown += n->list.room != array;
		assert_true(list_room(&n->list) == room || list_room(&n->list) >= 2 * room);
	}
	return grown;
}

/* Whatever happens to a list, it has what a queue has. */
static void test_a_list_is_a_queue(void **state)
{
	struct numbers *n = numbers_open();
	uint32_t grown = 0;

	(void)state;
	rng_seed(&n->rng, core_seed());
	for (uint32_t round = 0; round < ROUNDS; round++)
		grown += numbers_round(n);
	assert_true(grown >= ROUNDS && n->refusals >= ROUNDS);
	numbers_close(n);
}

/* What was outgrown is never given back: a list that gets longer bit by bit must not pile it up. */
static void test_a_slowly_longer_list_seldom_grows(void **state)
{
	struct numbers *n = numbers_open();
	uint32_t before = n->f.hw.nr_reserved;
	uint32_t most = 0;

	(void)state;
	for (uint32_t length = 1; length < 1000; length++) {
		while (n->end - n->first < length + 100)
			numbers_put(n);
		for (uint32_t i = 0; i < 100; i++)
			assert_int_equal(*n->list.first++, n->queue[n->first++]);
		most = max_u32(most, length + 100);
		assert_true(list_room(&n->list) <= max_u32(START_ROOM, 4 * most));
	}
	/* 64, and twice as long each time. */
	assert_true(n->f.hw.nr_reserved - before <= 6);
	assert_blocks(&n->list, &n->queue[n->first], n->end - n->first);
	numbers_close(n);
}

/* Several at once: only if all of them have room; those that are there stay in any case. */
static void test_room_for_many_at_once(void **state)
{
	struct numbers *n = numbers_open();

	(void)state;
	for (uint32_t i = 0; i < 40; i++)
		numbers_put(n);
	n->f.hw.refuses = true;
	assert_true(pcp_list_make_room(n->f.m, &n->list, START_ROOM - 40));
	assert_false(pcp_list_make_room(n->f.m, &n->list, START_ROOM - 39));
	assert_blocks(&n->list, &n->queue[n->first], 40);
	n->f.hw.refuses = false;
	assert_true(pcp_list_make_room(n->f.m, &n->list, 1000));
	assert_true(n->list.room_end - n->list.end >= 1000);
	assert_blocks(&n->list, &n->queue[n->first], 40);
	/* Longer than numbers of frames reach. */
	assert_false(pcp_list_make_room(n->f.m, &n->list, UINT32_MAX));
	assert_blocks(&n->list, &n->queue[n->first], 40);
	numbers_close(n);
}

/* ---- the lists of a CPU ---- */

struct bed {
	struct core_fixture f;
	struct zone *zone;
	struct pcp *pcp;
	struct pcp_list *list; /* of Movable blocks of the order */
	uint32_t order;
	uint32_t pfn[8192];
};

/* One CPU with one long set of lists; batch 1 leaves nothing on a list that is emptied. */
static struct bed *bed_open(uint32_t order, uint32_t batch)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	core_setup_normal(&bed->f, 1, PAGES);
	bed->zone = &bed->f.m->nodes[0].zone[ZONE_NORMAL];
	bed->pcp = &bed->zone->pcp[0];
	core_pcp_limits(bed->pcp, batch, PAGES);
	bed->order = order;
	bed->list = &bed->pcp->list[pcp_list_index(order, MT_MOVABLE)];
	return bed;
}

static void bed_close(struct bed *bed)
{
	core_teardown(&bed->f);
	free(bed);
}

static uint32_t bed_take_one(struct bed *bed)
{
	const struct alloc_request request = { .gfp = GFP_HIGHUSER_MOVABLE, .order = bed->order };
	uint32_t pfn = alloc_pages(bed->f.t, &request);

	assert_int_not_equal(pfn, PFN_NONE);
	return pfn;
}

/* Takes blocks; pfn[] has them in no order. */
static void bed_take(struct bed *bed, uint32_t nr)
{
	const uint32_t step = 1009; /* a prime that divides no nr here */

	assert_true(nr <= ARRAY_LEN(bed->pfn) && nr % step != 0);
	for (uint32_t i = 0; i < nr; i++)
		bed->pfn[i * step % nr] = bed_take_one(bed);
	assert_int_equal(bed->pcp->count, 0);
}

/* Gives pfn[first..end-1] back. */
static void bed_give(struct bed *bed, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++)
		core_free(&bed->f, bed->pfn[i], bed->order);
}

static void bed_drain(struct bed *bed, uint32_t pages)
{
	cpu_pin(bed->f.t);
	pcp_drain(bed->f.t, bed->zone, pages);
	cpu_unpin(bed->f.t);
}

static uint64_t bed_free(const struct bed *bed)
{
	return zone_stat_exact(bed->zone, NR_FREE_PAGES);
}

/* The list has pfn[first..end-1], and the buddy lists have all others. */
static void bed_check(struct bed *bed, uint32_t first, uint32_t end)
{
	assert_blocks(bed->list, &bed->pfn[first], end - first);
	assert_int_equal(bed->pcp->count, (end - first) << bed->order);
	core_verify(&bed->f, 0);
}

static void test_a_full_array_moves_its_few_blocks_to_its_start(void **state)
{
	struct bed *bed = bed_open(0, 1);
	const uint32_t room = list_room(bed->list);
	const uint32_t *array = bed->list->room;

	(void)state;
	bed_take(bed, room + 1);
	bed_give(bed, 0, room);
	assert_ptr_equal(bed->list->end, bed->list->room_end);
	bed_drain(bed, room - 100);
	bed_give(bed, room, room + 1);
	assert_ptr_equal(bed->list->room, array);
	assert_ptr_equal(bed->list->first, array);
	assert_int_equal(list_room(bed->list), room);
	bed_check(bed, room - 100, room + 1);
	bed_close(bed);
}

static void test_a_full_array_grows_and_keeps_its_order(void **state)
{
	(void)state;
	for (uint32_t order = 0; order <= NEAP_COSTLY_ORDER; order++) {
		struct bed *bed = bed_open(order, 1);
		const uint32_t room = list_room(bed->list);
		const uint32_t nr = 3 * room + 1;

		bed_take(bed, nr);
		bed_give(bed, 0, room);
		assert_int_equal(list_room(bed->list), room);
		bed_give(bed, room, nr);
		assert_true(list_room(bed->list) >= 4 * room);
		bed_check(bed, 0, nr);
		for (uint32_t i = nr; i-- > 0;)
			assert_int_equal(bed_take_one(bed), bed->pfn[i]);
		bed_close(bed);
	}
}

/* The oldest go, whatever array they are in; an empty list goes on in the long one. */
static void test_drains_after_growth(void **state)
{
	struct bed *bed = bed_open(0, 1);
	const uint32_t room = list_room(bed->list);
	const uint32_t nr = 3 * room + 1;

	(void)state;
	bed_take(bed, nr);
	bed_give(bed, 0, nr);
	uint32_t grown = list_room(bed->list);

	bed_drain(bed, 100);
	bed_check(bed, 100, nr);
	bed_drain(bed, nr - 101);
	bed_check(bed, nr - 1, nr);
	pcp_drain_all(bed->f.t, bed->f.m, NULL);
	bed_check(bed, 0, 0);
	bed_take(bed, nr);
	bed_give(bed, 0, nr);
	assert_int_equal(list_room(bed->list), grown);
	bed_check(bed, 0, nr);
	bed_close(bed);
}

/* Larger lists give way in the same flush: the first list's blocks do not come twice. */
static void test_a_drain_goes_on_with_the_next_list(void **state)
{
	struct bed *bed = bed_open(0, 1);
	const struct pcp_list *pairs = &bed->pcp->list[pcp_list_index(1, MT_MOVABLE)];
	const uint32_t nr = list_room(bed->list) + 500;
	uint32_t pair[3];

	(void)state;
	bed_take(bed, nr);
	bed->order = 1;
	for (uint32_t i = 0; i < 3; i++)
		pair[i] = bed_take_one(bed);
	for (uint32_t i = 0; i < 3; i++)
		core_free(&bed->f, pair[i], 1);
	bed->order = 0;
	bed_give(bed, 0, nr);
	bed_drain(bed, nr + 1); /* the second page of the pair overshoots */
	assert_true(pcp_list_empty(bed->list));
	assert_blocks(pairs, &pair[1], 2);
	assert_int_equal(bed->pcp->count, 4);
	core_verify(&bed->f, 0);
	bed_close(bed);
}

/* ---- a host without address space ---- */

/* Half of a full list goes back, the oldest half. */
static void check_refused_put(struct bed *bed)
{
	const uint32_t room = list_room(bed->list);

	bed_take(bed, 2 * room);
	bed->f.hw.refuses = true;
	bed_give(bed, 0, room);
	uint64_t free_pages = bed_free(bed);

	assert_ptr_equal(bed->list->end, bed->list->room_end);
	for (uint32_t at = room; at + room / 2 <= 2 * room; at += room / 2) {
		bed_give(bed, at, at + 1);
		assert_int_equal(bed_free(bed) - free_pages, (uint64_t)(room / 2) << bed->order);
		assert_blocks(bed->list, &bed->pfn[at - room / 2], room / 2 + 1);
		free_pages = bed_free(bed);
		bed_give(bed, at + 1, at + room / 2);
		assert_int_equal(bed_free(bed), free_pages);
	}
	bed_check(bed, room, 2 * room);
	assert_int_equal(list_room(bed->list), room);
	/* As soon as there is some, the list gets longer again. */
	bed->f.hw.refuses = false;
	core_free(&bed->f, bed_take_one(bed), bed->order);
	bed_check(bed, room, 2 * room);
}

static void test_a_refused_put_returns_half_the_list(void **state)
{
	(void)state;
	for (uint32_t order = 0; order <= NEAP_COSTLY_ORDER; order++) {
		struct bed *bed = bed_open(order, 1);

		check_refused_put(bed);
		bed_close(bed);
	}
}

/* Also while the blocks have to go back one by one. */
static void test_a_refused_put_beside_isolated_pageblocks(void **state)
{
	struct bed *bed = bed_open(0, 1);
	const uint32_t first = BASE + PAGES - NEAP_PAGEBLOCK_PAGES;

	(void)state;
	const uint32_t room = list_room(bed->list);

	bed_take(bed, room + 1);
	assert_int_equal(isolate_set(bed->f.t, bed->zone, first, BASE + PAGES, MT_MOVABLE), 0);
	bed->f.hw.refuses = true;
	bed_give(bed, 0, room);
	uint64_t free_pages = bed_free(bed);

	bed_give(bed, room, room + 1);
	assert_int_equal(bed_free(bed) - free_pages, room / 2);
	assert_blocks(bed->list, &bed->pfn[room / 2], room / 2 + 1);
	isolate_clear(bed->f.t, bed->zone, first, BASE + PAGES, MT_MOVABLE);
	pcp_drain_all(bed->f.t, bed->f.m, NULL);
	core_verify(&bed->f, 0);
	bed_close(bed);
}

/* More than half full, but not quite: the blocks move, though soon again. */
static void test_a_refused_put_uses_all_the_room(void **state)
{
	struct bed *bed = bed_open(0, 1);
	const uint32_t room = list_room(bed->list);

	(void)state;
	bed_take(bed, room + 100);
	bed_give(bed, 0, room);
	bed_drain(bed, 100);
	bed->f.hw.refuses = true;
	bed_give(bed, room, room + 100);
	assert_int_equal(list_room(bed->list), room);
	bed_check(bed, 100, room + 100);
	bed_close(bed);
}

/* A batch that is longer than the array. => pages on the lists after a request */
static uint32_t refill_pages(uint32_t order, uint32_t batch, bool refuses)
{
	struct bed *bed = bed_open(order, batch << order);
	uint32_t room = list_room(bed->list);
	uint32_t most = refuses ? min_u32(room, batch) : batch;

	bed->f.hw.refuses = refuses;
	uint32_t first = bed_take_one(bed);
	uint32_t left = bed->pcp->count;

	assert_int_equal(bed_free(bed), PAGES - (most << order));
	core_verify(&bed->f, 1u << order);
	/* In the order of the buddy lists, and the next batch after it. */
	for (uint32_t i = 1; i <= most; i++)
		assert_int_equal(bed_take_one(bed), first + (i << order));
	core_verify(&bed->f, (most + 1) << order);
	bed_close(bed);
	return left;
}

static void test_a_refused_refill_takes_fewer(void **state)
{
	(void)state;
	assert_int_equal(refill_pages(0, 3000, false), 2999);
	assert_int_equal(refill_pages(0, 3000, true), 1023);
	assert_int_equal(refill_pages(2, 700, false), 699 * 4);
	assert_int_equal(refill_pages(2, 700, true), 255 * 4);
	assert_int_equal(refill_pages(NEAP_PAGEBLOCK_ORDER, 20, false), 19 * 512);
	assert_int_equal(refill_pages(NEAP_PAGEBLOCK_ORDER, 20, true), 15 * 512);
}

/* ---- restored states ---- */

/* Restores single frames, newest first. => how many were taken */
static uint32_t restore_frames(struct bed *bed, uint32_t nr)
{
	restore_begin(bed->f.m);
	for (uint32_t i = 0; i < nr; i++) {
		int error = restore_pcp_block(bed->zone, 0, MT_MOVABLE, bed->pfn[i], MT_MOVABLE);

		if (error != 0) {
			assert_int_equal(error, -ENOMEM);
			return i;
		}
		assert_int_equal(pcp_list_oldest(bed->list), bed->pfn[i]);
		assert_int_equal(pcp_list_newest(bed->list), bed->pfn[0]);
	}
	return nr;
}

/* Recorded lists longer than an array is at first come out in their order. */
static void test_restored_lists_grow_and_keep_their_order(void **state)
{
	struct bed *bed = bed_open(0, 1);
	const uint32_t nr = 2 * list_room(bed->list) + 500;
	struct task *t = bed->f.t;

	(void)state;
	bed_take(bed, nr + 1);
	assert_int_equal(restore_frames(bed, nr), nr);
	assert_int_equal(bed->pcp->count, nr);
	assert_null(pcp_verify(bed->zone, 0));
	/* One more is the newest. */
	core_free(&bed->f, bed->pfn[nr], 0);
	assert_null(pcp_verify(bed->zone, 0));
	cpu_pin(t);
	assert_int_equal(pcp_take(t, bed->zone, 0, MT_MOVABLE, 0), bed->pfn[nr]);
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(pcp_take(t, bed->zone, 0, MT_MOVABLE, 0), bed->pfn[i]);
	cpu_unpin(t);
	assert_int_equal(bed->pcp->count, 0);
	bed_close(bed);
}

/* Without address space the array is filled; what has no place in it stays where it was. */
static void test_restored_lists_without_address_space(void **state)
{
	struct bed *bed = bed_open(0, 1);
	const uint32_t room = list_room(bed->list);

	(void)state;
	bed_take(bed, room + 500);
	bed->f.hw.refuses = true;
	assert_int_equal(restore_frames(bed, room + 500), room);
	assert_int_equal(bed->pcp->count, room);
	assert_null(pcp_verify(bed->zone, 0));
	for (uint32_t i = 0; i < room; i++)
		assert_int_equal(*(bed->list->end - 1 - i), bed->pfn[i]);
	assert_int_equal(restore_free_block(bed->zone, bed->pfn[room], 0, MT_MOVABLE), 0);
	/* Restoring begins anew with the array that there is. */
	assert_int_equal(restore_frames(bed, room), room);
	assert_null(pcp_verify(bed->zone, 0));
	bed_close(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list_is_a_queue),
		cmocka_unit_test(test_a_slowly_longer_list_seldom_grows),
		cmocka_unit_test(test_room_for_many_at_once),
		cmocka_unit_test(test_a_full_array_moves_its_few_blocks_to_its_start),
		cmocka_unit_test(test_a_full_array_grows_and_keeps_its_order),
		cmocka_unit_test(test_drains_after_growth),
		cmocka_unit_test(test_a_drain_goes_on_with_the_next_list),
		cmocka_unit_test(test_a_refused_put_returns_half_the_list),
		cmocka_unit_test(test_a_refused_put_beside_isolated_pageblocks),
		cmocka_unit_test(test_a_refused_put_uses_all_the_room),
		cmocka_unit_test(test_a_refused_refill_takes_fewer),
		cmocka_unit_test(test_restored_lists_grow_and_keep_their_order),
		cmocka_unit_test(test_restored_lists_without_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
