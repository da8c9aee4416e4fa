/*
 * What tests of the numbered rules of reclaim share.
 *
 *   situation ── act ──┬── rules_assert_moved()  these counters, by so much, no other
 *                      ├── rules_assert_lines()  the trace's text, as Linux prints it
 *                      └── words of the node: requests, flags, failures, boosts
 *
 * Which counters are looked at is the sum of the lists "Counters touched" of the
 * specification's chapters on reclaim. A rule's test names those that its situation
 * moves; that all others stand still is half of what it checks.
 *
 * Free memory is set by taking pages away in ways that wake nobody (machine_hoard).
 *
 * What must never happen here: a probe that sleeps or takes a lock. It runs inside the
 * engine, wherever the event is emitted.
 */
#include "rules_fixture.h"

#include "api/api.h"
#include "core/direct.h"
#include "core/kswapd.h"
#include "core/pcp.h"
#include "text/buf.h"

static const char *const counter_names[] = {
	"pageoutrun",
	"kswapd_low_wmark_hit_quickly",
	"kswapd_high_wmark_hit_quickly",
	"kswapd_inodesteal",
	"pginodesteal",
	"allocstall_dma",
	"allocstall_dma32",
	"allocstall_normal",
	"allocstall_movable",
	"allocstall_device",
	"pgscan_kswapd",
	"pgscan_direct",
	"pgscan_anon",
	"pgscan_file",
	"pgscan_direct_throttle",
	"pgsteal_kswapd",
	"pgsteal_direct",
	"pgsteal_anon",
	"pgsteal_file",
	"pgrefill",
	"pgactivate",
	"pgdeactivate",
	"pgrotated",
	"pgskip_dma",
	"pgskip_dma32",
	"pgskip_normal",
	"pgskip_movable",
	"pglazyfreed",
	"pgdemote_kswapd",
	"pgdemote_direct",
	"thp_swpout",
	"thp_swpout_fallback",
	"slabs_scanned",
	"nr_vmscan_write",
	"nr_vmscan_immediate_reclaim",
	"nr_throttled_written",
	"nr_isolated_anon",
	"nr_isolated_file",
	"zone_reclaim_failed",
	"workingset_refault_anon",
	"workingset_refault_file",
	"workingset_activate_anon",
	"workingset_activate_file",
	"workingset_restore_anon",
	"workingset_restore_file",
	"compact_daemon_wake",
	"compact_stall",
	"pswpin",
	"pswpout",
	"oom_kill",
	"nr_written",
	"pgmajfault",
	"unevictable_pgs_culled",
	"unevictable_pgs_rescued",
};

_Static_assert(sizeof(counter_names) / sizeof(counter_names[0]) <= RULES_COUNTERS_MAX, "room");

/* ---- counters ---- */

void rules_count(struct machine_fixture *f, struct rules_counts *out)
{
	vmstat_fold_all(f->t, f->m);
	for (size_t i = 0; i < ARRAY_LEN(counter_names); i++) {
		bool found;

		out->value[i] = vmstat_by_name(f->m, counter_names[i], &found);
		assert_true(found);
	}
}

static const struct rules_move *find_move(const struct rules_move *moves, size_t nr,
					  const char *name)
{
	for (size_t i = 0; i < nr; i++)
		if (strcmp(moves[i].name, name) == 0)
			return &moves[i];
	return NULL;
}

void rules_assert_moved(struct machine_fixture *f, const struct rules_counts *since,
			const struct rules_move *moves, size_t nr)
{
	struct rules_counts now;
	size_t found = 0;

	rules_count(f, &now);
	for (size_t i = 0; i < ARRAY_LEN(counter_names); i++) {
		const struct rules_move *move = find_move(moves, nr, counter_names[i]);
		int64_t by = (int64_t)(now.value[i] - since->value[i]);

		found += move != NULL;
		if (move != NULL && move->by == RULES_SOME ? by != 0
							   : by == (move != NULL ? move->by : 0))
			continue;
		fail_msg("%s moved by %lld, not by %lld", counter_names[i], (long long)by,
			 move == NULL ? 0 : (long long)move->by);
	}
	assert_int_equal(found, nr); /* no counter is misspelt */
}

/* ---- trace lines ---- */

void rules_trace(struct machine_fixture *f)
{
	assert_int_equal(event_start(f->m), 0);
	test_free(rules_events(f));
}

struct fixture_events *rules_events(struct machine_fixture *f)
{
	struct fixture_events *events = test_malloc(sizeof(*events));

	machine_take_events(f, events);
	return events;
}

static const char *line_of(const struct event_record *record)
{
	static char line[512];
	struct text_buf text;

	text_buf_init(&text);
	assert_int_equal(api_event_body(&text, record), 0);
	(void)snprintf(line, sizeof(line), "%s: %s", api_event_name(record->id),
		       text_buf_text(&text));
	text_buf_free(&text);
	return line;
}

static bool names_event(const char *line, const struct event_record *record)
{
	const char *name = api_event_name(record->id);
	size_t length = strlen(name);

	return strncmp(line, name, length) == 0 && line[length] == ':';
}

void rules_assert_lines(const struct fixture_events *events, const char *const *lines, size_t nr)
{
	size_t at = 0;

	for (uint32_t i = 0; i < events->nr; i++) {
		bool wanted = false;

		for (size_t k = 0; k < nr && !wanted; k++)
			wanted = names_event(lines[k], &events->record[i]);
		if (!wanted)
			continue;
		if (at == nr)
			fail_msg("one line too many: %s", line_of(&events->record[i]));
		assert_string_equal(line_of(&events->record[i]), lines[at]);
		at++;
	}
	assert_int_equal(at, nr);
}

const char *rules_line(const struct fixture_events *events, enum event_id id, uint32_t n)
{
	return line_of(machine_event_at(events, id, n));
}

/* ---- probes ---- */

static struct machine_fixture *running;

void rules_set_probe(struct machine_fixture *f, rules_probe probe)
{
	running = f;
	f->m->event_hook = probe;
	event_hook_start(f->m);
}

struct machine_fixture *rules_running(void)
{
	return running;
}

/* ---- situations ---- */

struct region *rules_old_region(struct machine_fixture *f, uint64_t nr)
{
	struct region *region = machine_region(f, nr);

	machine_fill(f, region, 0, nr);
	lru_drain_all(f->t);
	machine_age(f, region, 0, nr);
	return region;
}

void rules_activate(struct machine_fixture *f, struct region *region, uint64_t nr)
{
	for (uint64_t page = 0; page < nr; page++)
		lru_activate(f->t, machine_page_at(f, region, page));
	lru_drain_all(f->t);
}

void rules_rest(struct machine_fixture *f)
{
	machine_settle(f);
	rt_sleep(f->t, 2 * NSEC_PER_SEC);
	assert_int_equal(atomic_load(&f->node->kswapd_sleeping), 1);
}

void rules_sink(struct machine_fixture *f, struct fixture_hoard *hoard, enum wmark mark)
{
	machine_hoard(f, hoard, zone_mark(f->zone, mark) - 1);
	vmstat_fold_all(f->t, f->m);
}

void rules_wake(struct machine_fixture *f, uint32_t order, uint32_t highest)
{
	kswapd_wake(f->t, f->zone, GFP_KERNEL, order, highest);
}

void rules_kick(struct machine_fixture *f)
{
	atomic_store(&f->node->kswapd_sleeping, 0);
	waitq_wake(f->t, &f->node->kswapd_wait, 1);
}

void rules_make_pieces(struct machine_fixture *f, struct rules_pieces *pieces, uint64_t nr)
{
	uint64_t value;

	*pieces = (struct rules_pieces){ .file = machine_file(f, nr) };
	for (uint64_t page = 0; page < nr; page++) {
		pieces->file->mapping->readahead = UINT64_MAX;
		assert_int_equal(machine_file_read(f, pieces->file, page, &value), 0);
		page_clear(machine_file_page(f, pieces->file, page), PG_REFERENCED);
		machine_hoard_one(f, &pieces->between);
	}
	rules_rest(f);
	machine_hoard(f, &pieces->rest, 4);
	machine_release_scattered(f, &pieces->rest, zone_mark(f->zone, WMARK_HIGH) + 20);
	vmstat_fold_all(f->t, f->m);
}

void rules_end_pieces(struct machine_fixture *f, struct rules_pieces *pieces)
{
	machine_release(f, &pieces->rest, UINT64_MAX);
	machine_release(f, &pieces->between, UINT64_MAX);
}

void rules_never_balanced(struct machine_fixture *f, bool on)
{
	for (uint32_t z = 0; z <= ZONE_NORMAL; z++) {
		struct zone *zone = &f->node->zone[z];

		atomic_store(&zone->reserve[ZONE_NORMAL], on ? zone_managed(zone) : 0);
		marks_refresh(zone);
	}
}

uint64_t rules_direct(struct machine_fixture *f, uint32_t gfp, uint32_t order)
{
	const struct direct_request request = {
		.zonelist = &f->node->fallback,
		.highest = gfp_highest_zone(gfp),
		.order = order,
		.gfp = gfp,
	};

	f->t->flags |= PF_MEMALLOC;
	uint64_t freed = direct_reclaim(f->t, &request);

	f->t->flags &= ~PF_MEMALLOC;
	return freed;
}
