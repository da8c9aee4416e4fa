/*
 * What tests of the numbered rules of reclaim share (docs/rules.md): situations in one line, the
 * counters that a rule moves and all those that it must not, and trace lines as text.
 *
 * Moments inside the engine are met with a probe: a function called at an event, in the task that
 * emits it. It may change atomic words (a request, a boost, a wish to freeze), which is what
 * another CPU could have done at that moment.
 */
#ifndef NEAP_TESTS_RULES_FIXTURE_H
#define NEAP_TESTS_RULES_FIXTURE_H

#include "machine_fixture.h"

#define RULES_COUNTERS_MAX 64u
#define RULES_NO_REQUEST NR_ZONES
#define RULES_NAP_NS (100 * NSEC_PER_MSEC)
#define RULES_SOME INT64_MAX /* by any number but 0 */

/* The rule's test: its body is body_NAME(). RULE(rule_12_1_1_something, .pages = 64); */
#define RULE(what, ...)                                                                            \
	static void what(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		machine_run(&(struct machine_setup){ __VA_ARGS__ }, body_##what);                  \
	}                                                                                          \
	_Static_assert(true, "a semicolon follows")

/* ---- counters ---- */

/* Every counter that reclaim could move ("Counters touched" of the specification). */
struct rules_counts {
	uint64_t value[RULES_COUNTERS_MAX];
};
struct rules_move {
	const char *name; /* as in /proc/vmstat */
	int64_t by;
};
void rules_count(struct machine_fixture *f, struct rules_counts *out);
/* Those listed moved so since then, and no other. */
void rules_assert_moved(struct machine_fixture *f, const struct rules_counts *since,
			const struct rules_move *moves, size_t nr);
#define assert_moved(f, since, ...)                                                                \
	rules_assert_moved(f, since, (const struct rules_move[]){ __VA_ARGS__ },                   \
			   sizeof((const struct rules_move[]){ __VA_ARGS__ }) /                    \
				   sizeof(struct rules_move))
#define assert_nothing_moved(f, since) rules_assert_moved(f, since, NULL, 0)

/* ---- trace lines ---- */

/* Starts recording; what was recorded before is forgotten. */
void rules_trace(struct machine_fixture *f);
/* Takes what was recorded since. The result is of the test's own; free it with test_free(). */
struct fixture_events *rules_events(struct machine_fixture *f);
/* Of all events whose names occur in these lines ("NAME: body"), there are exactly these. */
void rules_assert_lines(const struct fixture_events *events, const char *const *lines, size_t nr);
#define assert_lines(events, ...)                                                                  \
	rules_assert_lines(events, (const char *const[]){ __VA_ARGS__ },                           \
			   sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))
/* The n-th event with this id as "NAME: body"; valid until the next call. */
const char *rules_line(const struct fixture_events *events, enum event_id id, uint32_t n);

/* ---- probes ---- */

typedef void (*rules_probe)(struct task *t, const struct event_record *record);
/* The probe is called at every event until the machine's end; one a test. */
void rules_set_probe(struct machine_fixture *f, rules_probe probe);
/* The fixture of the running test, for probes. */
struct machine_fixture *rules_running(void);

/* ---- situations ---- */

/* Anonymous pages, written and then not used: inactive, not young. */
struct region *rules_old_region(struct machine_fixture *f, uint64_t nr);
/* Moves pages 0..nr-1 of it to the active list. */
void rules_activate(struct machine_fixture *f, struct region *region, uint64_t nr);
/* Lets kswapd of node 0 come to its full sleep. */
void rules_rest(struct machine_fixture *f);
/* Takes pages until a little less than the mark is free. */
void rules_sink(struct machine_fixture *f, struct fixture_hoard *hoard, enum wmark mark);
/* A request for kswapd of node 0 by somebody who may reclaim. */
void rules_wake(struct machine_fixture *f, uint32_t order, uint32_t highest);
/* Wakes it without any request, as a program does that waits for the reserves. */
void rules_kick(struct machine_fixture *f);
/*
 * nr cached file pages with a taken page between any two, so that freeing the file's makes no
 * blocks, and free memory above the high mark, but in single pages.
 */
struct rules_pieces {
	struct fixture_file *file;
	struct fixture_hoard between, rest;
};
void rules_make_pieces(struct machine_fixture *f, struct rules_pieces *pieces, uint64_t nr);
void rules_end_pieces(struct machine_fixture *f, struct rules_pieces *pieces);
/*
 * From now on no request for zones up to Normal finds node 0 balanced, however much is free: the
 * whole zone is held back for them. (off: as before.)
 */
void rules_never_balanced(struct machine_fixture *f, bool on);
/* Direct reclaim as the allocator enters it. => pages */
uint64_t rules_direct(struct machine_fixture *f, uint32_t gfp, uint32_t order);

#endif
