/*
 * What the figures are drawn from.
 *
 *     events ──> how often each happened
 *                sums of the fields that tell amounts, apart for daemons and programs
 *                where the scanners of the longest compaction run went
 *     vmstat ──> the counters that no event tells (naps of kswapd), end minus beginning
 *
 * Facts are found by name, so that a figure says what it needs and an event that this
 * version does not know does no harm: it is counted and not asked for.
 *
 * Runs of compaction may overlap on several nodes. Positions are kept for one at a
 * time: the one that began while none was being followed.
 *
 * What must never happen: a number in a figure that the run does not have. A name
 * without a fact counts 0, and a figure whose main event never happened is refused.
 */
#include "diag/figure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diag/figure_draw.h"

void figure_facts_init(struct figure_facts *facts)
{
	memset(facts, 0, sizeof(*facts));
}

static void add(struct figure_facts *facts, const char *name, uint64_t value)
{
	for (uint32_t i = 0; i < facts->nr_facts; i++) {
		if (strcmp(facts->fact[i].name, name) == 0) {
			facts->fact[i].value += value;
			return;
		}
	}
	if (facts->nr_facts == FIGURE_FACTS_MAX)
		return;
	struct figure_fact *fact = &facts->fact[facts->nr_facts++];

	(void)snprintf(fact->name, sizeof(fact->name), "%s", name);
	fact->value = value;
}

uint64_t figure_fact(const struct figure_facts *facts, const char *name)
{
	for (uint32_t i = 0; i < facts->nr_facts; i++)
		if (strcmp(facts->fact[i].name, name) == 0)
			return facts->fact[i].value;
	return 0;
}

/* ---- events ---- */

/* A field whose sum is kept. */
struct sum {
	const char *event, *field, *fact;
};

static const struct sum sums[] = {
	{ "mm_vmscan_direct_reclaim_end", "nr_reclaimed", "freed.direct" },
	{ "mm_vmscan_lru_shrink_inactive", "nr_scanned", "inactive.scanned" },
	{ "mm_vmscan_lru_shrink_inactive", "nr_reclaimed", "inactive.freed" },
	{ "mm_vmscan_lru_shrink_inactive", "nr_activate_anon", "inactive.activated" },
	{ "mm_vmscan_lru_shrink_inactive", "nr_activate_file", "inactive.activated" },
	{ "mm_vmscan_lru_shrink_active", "nr_taken", "active.taken" },
	{ "mm_vmscan_lru_shrink_active", "nr_deactivated", "active.deactivated" },
	{ "mm_compaction_isolate_migratepages", "nr_scanned", "migrate.scanned" },
	{ "mm_compaction_isolate_migratepages", "nr_taken", "migrate.taken" },
	{ "mm_compaction_isolate_freepages", "nr_scanned", "free.scanned" },
	{ "mm_compaction_isolate_freepages", "nr_taken", "free.taken" },
	{ "mm_compaction_migratepages", "nr_migrated", "moved" },
	{ "mm_compaction_migratepages", "nr_failed", "not_moved" },
};

static bool is_daemon(const char *task, const char *name)
{
	return strncmp(task, name, strlen(name)) == 0;
}

static void note_priority(struct figure_facts *facts, const struct trace_line *line)
{
	int64_t priority;

	if (!is_daemon(line->task, "kswapd") || !trace_line_number(line, "priority", &priority) ||
	    priority <= 0)
		return;
	if (facts->lowest_priority == 0 || priority < (int64_t)facts->lowest_priority)
		facts->lowest_priority = (uint32_t)priority;
}

/* Results of compaction's tests and runs: "suitable.continue", "end.success". */
static void note_result(struct figure_facts *facts, const struct trace_line *line)
{
	static const char *const events[] = { "mm_compaction_suitable", "mm_compaction_finished",
					      "mm_compaction_end" };
	char word[24], name[48];

	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (strcmp(line->name, events[i]) != 0)
			continue;
		if (!trace_line_word(line, i == 2 ? "status" : "ret", word, sizeof(word)))
			return;
		(void)snprintf(name, sizeof(name), "%s.%s", events[i] + strlen("mm_compaction_"),
			       word);
		add(facts, name, 1);
	}
}

static void run_begin(struct figure_facts *facts, const struct trace_line *line)
{
	int64_t start, end;

	if (facts->in_run || !trace_line_number(line, "zone_start", &start) ||
	    !trace_line_number(line, "zone_end", &end))
		return;
	facts->in_run = true;
	facts->nr_positions = 0;
	facts->zone_start_pfn = (uint32_t)start;
	facts->zone_end_pfn = (uint32_t)end;
}

static void run_end(struct figure_facts *facts)
{
	if (facts->in_run && facts->nr_positions > facts->nr_best) {
		memcpy(facts->best, facts->position, facts->nr_positions * sizeof(facts->best[0]));
		facts->nr_best = facts->nr_positions;
		facts->best_start_pfn = facts->zone_start_pfn;
		facts->best_end_pfn = facts->zone_end_pfn;
		facts->run_complete = true;
	}
	facts->in_run = false;
}

static void note_position(struct figure_facts *facts, const struct trace_line *line)
{
	bool free_scanner = strcmp(line->name, "mm_compaction_isolate_freepages") == 0;
	uint64_t first, end;
	int64_t taken = 0;

	if (!free_scanner && strcmp(line->name, "mm_compaction_isolate_migratepages") != 0)
		return;
	if (!facts->in_run || facts->nr_positions == FIGURE_POSITIONS_MAX ||
	    !trace_line_range(line, &first, &end) || first < facts->zone_start_pfn ||
	    end > facts->zone_end_pfn)
		return;
	(void)trace_line_number(line, "nr_taken", &taken); /* 0 without it */
	facts->position[facts->nr_positions++] =
		(struct figure_position){ free_scanner, (uint32_t)first, (uint32_t)end,
					  (uint32_t)taken };
}

static void note_compaction(struct figure_facts *facts, const struct trace_line *line)
{
	note_result(facts, line);
	if (strcmp(line->name, "mm_compaction_begin") == 0) {
		add(facts, is_daemon(line->task, "kcompactd") ? "runs.kcompactd" : "runs.direct",
		    1);
		run_begin(facts, line);
	} else if (strcmp(line->name, "mm_compaction_end") == 0) {
		run_end(facts);
	} else {
		note_position(facts, line);
	}
}

void figure_facts_event(struct figure_facts *facts, const struct trace_line *line)
{
	int64_t value;

	add(facts, line->name, 1);
	for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
		if (strcmp(sums[i].event, line->name) != 0 ||
		    !trace_line_number(line, sums[i].field, &value) || value < 0)
			continue;
		add(facts, sums[i].fact, (uint64_t)value);
		if (strcmp(sums[i].fact, "inactive.freed") == 0 && is_daemon(line->task, "kswapd"))
			add(facts, "freed.kswapd", (uint64_t)value);
	}
	if (strncmp(line->name, "mm_compaction_", strlen("mm_compaction_")) == 0)
		note_compaction(facts, line);
	else
		note_priority(facts, line);
}

/* ---- counters ---- */

void figure_facts_vmstat(struct figure_facts *facts, const char *text, bool add_it)
{
	static const char *const names[] = {
		"pageoutrun",
		"kswapd_low_wmark_hit_quickly",
		"kswapd_high_wmark_hit_quickly",
		"compact_stall",
		"compact_success",
		"compact_fail",
		"compact_daemon_wake",
		"pgmigrate_success",
		"pgmigrate_fail",
		"pswpout",
		"pgsteal_kswapd",
		"pgsteal_direct",
	};

	for (const char *line = text; *line != '\0';) {
		size_t length = strcspn(line, "\n");

		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			size_t name = strlen(names[i]);
			char fact[48];
			uint64_t value;

			if (strncmp(line, names[i], name) != 0 || line[name] != ' ')
				continue;
			value = strtoull(line + name, NULL, 10);
			(void)snprintf(fact, sizeof(fact), "vmstat.%s", names[i]);
			add(facts, fact, add_it ? value : 0 - value);
		}
		line += length + (line[length] == '\n');
	}
}

/* ---- choosing ---- */

static const struct {
	const char *name;
	const char *title;
	const char *needs; /* a fact that must not be 0 */
	const char *why;   /* what to do if it is */
	void (*draw)(const struct figure_facts *facts, struct canvas *canvas);
} figures[] = {
	{ "call-path", "The way of a reclaim", "mm_vmscan_lru_shrink_inactive",
	  "nothing was reclaimed in this run; try a smaller machine", figure_draw_call_path },
	{ "kswapd", "kswapd's states", "mm_vmscan_kswapd_wake", "kswapd never woke in this run",
	  figure_draw_kswapd },
	{ "nap", "How kswapd goes to sleep", "mm_vmscan_kswapd_wake",
	  "kswapd never woke in this run", figure_draw_nap },
	{ "balance", "kswapd's balance loop", "mm_vmscan_kswapd_wake",
	  "kswapd never woke in this run", figure_draw_balance },
	{ "kcompactd", "kcompactd's loop", "mm_compaction_kcompactd_wake",
	  "kcompactd never woke in this run", figure_draw_kcompactd },
	{ "layers", "Who compacts, and with what", "mm_compaction_begin",
	  "nothing was compacted in this run", figure_draw_layers },
	{ "scanners", "Two scanners move towards each other", "mm_compaction_begin",
	  "nothing was compacted in this run", figure_draw_scanners },
};

const char *figure_names(void)
{
	return "call-path, kswapd, nap, balance, kcompactd, layers, scanners";
}

bool figure_is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(figures); i++)
		if (strcmp(figures[i].name, name) == 0)
			return true;
	return false;
}

int figure_print(const struct figure_facts *facts, const char *name, const struct paint *paint,
		 struct text_buf *out, const char **why)
{
	struct canvas *canvas;
	char title[256];
	int error = 0;
	size_t i = 0;

	while (i < ARRAY_LEN(figures) && strcmp(figures[i].name, name) != 0)
		i++;
	if (i == ARRAY_LEN(figures))
		return -ENOENT;
	if (figure_fact(facts, figures[i].needs) == 0) {
		*why = figures[i].why;
		return -ENODATA;
	}
	canvas = malloc(sizeof(*canvas));
	if (canvas == NULL)
		return -ENOMEM;
	canvas_init(canvas);
	figures[i].draw(facts, canvas);
	(void)snprintf(title, sizeof(title), "%s: %s", figures[i].title, facts->title);
	if (paint != NULL) {
		text_buf_printf(out, "%s\n\n", title);
		error = canvas_print(canvas, paint, out);
	} else {
		error = canvas_svg(canvas, title, out);
	}
	free(canvas);
	return error;
}
