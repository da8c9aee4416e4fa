/*
 * Explaining a machine.
 *
 *     evidence ──> state, marks ──> rules, one after the other ──> items ──> ranked
 *                  (the engine's     explain_node.c    kswapd          finding
 *                   structures)      explain_stall.c   who waits       note
 *                                    explain_zone.c    requests        unknown
 *                                    explain_use.c     what memory is
 *                                    explain_knob.c    settings
 *
 * A rule looks at numbers, runs the engine's test on them where a decision is concerned, and adds
 * an item if there is something to say. Which level an item has is the heart of it:
 *
 *   finding   The input itself shows a failure or a stall: a request that would fail now, tasks
 *             that waited, a kswapd that cannot stop. Exit status 1.
 *   note      True, and harmless as far as the input shows: marks that are stale since boot,
 *             an inert setting, stalls long ago. What is only unusual is a note.
 *   unknown   A file is missing that would decide.
 *
 * So a large reserve or a changed knob is a finding only where requests stall or kswapd works
 * because of it, which is tried: the same tests with the kernel's own settings.
 *
 * What must never happen: a finding on a machine with nothing wrong. Three or more false alarms
 * and nobody reads the fourth. Numbers near a limit, nearer than the differences that CPUs
 * keep to themselves, count as being on the good side.
 */
#include "diag/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diag/explain_part.h"
#include "diag/terms.h"

#define NSEC_PER_S 1e9

/* ---- items ---- */

struct explain_item *explain_item(struct explain *x, enum explain_level level, uint32_t rank,
				  const char *id)
{
	struct explain_item *item = &x->item[min_u32(x->nr_items, EXPLAIN_ITEMS_MAX - 1)];

	if (x->nr_items < EXPLAIN_ITEMS_MAX)
		x->nr_items++;
	text_buf_reset(&item->title);
	text_buf_reset(&item->proof);
	text_buf_reset(&item->what_to);
	text_buf_reset(&item->not_to);
	text_buf_reset(&item->check);
	item->level = level;
	item->rank = rank;
	item->id = id;
	return item;
}

static void add_line(struct text_buf *out, const char *format, va_list args)
{
	char line[512];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(line, sizeof(line), format, args);
#pragma GCC diagnostic pop
	if (out->bytes != 0)
		text_buf_puts(out, "\n");
	text_buf_puts(out, line);
}

#define LINE_FUNCTION(name, field)                                                                 \
	void explain_##name(struct explain_item *item, const char *format, ...)                    \
	{                                                                                          \
		va_list args;                                                                      \
                                                                                                   \
		va_start(args, format);                                                            \
		add_line(&item->field, format, args);                                              \
		va_end(args);                                                                      \
	}

LINE_FUNCTION(title, title)
LINE_FUNCTION(proof, proof)
LINE_FUNCTION(do, what_to)
LINE_FUNCTION(not, not_to)
LINE_FUNCTION(check, check)

const char *explain_kb_size(uint64_t kb, char buf[24])
{
	struct text_buf out;

	text_buf_init(&out);
	terms_bytes_add(&out, kb / 4);
	snprintf(buf, 24, "%s", text_buf_text(&out));
	text_buf_free(&out);
	return buf;
}

const char *explain_size(const struct explain *x, uint64_t pages, char buf[24])
{
	return explain_kb_size(
		min_u64(pages, (uint64_t)1 << 50) * snapshot_page_kb(x->after->snapshot), buf);
}

/* ---- shared questions ---- */

bool explain_grown(const struct explain *x, enum evidence_counter counter, uint64_t *growth)
{
	uint64_t before = 0, after = 0;

	if (x->before == NULL || !evidence_counter(x->before->vmstat, counter, &before) ||
	    !evidence_counter(x->after->vmstat, counter, &after) || after < before)
		return false;
	*growth = after - before;
	return true;
}

bool explain_is_stalling(const struct explain *x)
{
	/* Averages of pressure reach back: they do not say that it is this state that stalls. */
	for (uint32_t i = 0; i < x->nr_items; i++)
		if (x->item[i].level == EXPLAIN_FINDING && x->item[i].rank < RANK_CAUSE &&
		    strcmp(x->item[i].id, "memory-pressure") != 0)
			return true;
	return false;
}

const struct explain_item *explain_find(const struct explain *x, const char *id)
{
	for (uint32_t i = 0; i < x->nr_items; i++)
		if (strcmp(x->item[i].id, id) == 0)
			return &x->item[i];
	return NULL;
}

const char *explain_level_word(enum explain_level level)
{
	static const char *const words[] = { "finding", "note", "unknown" };

	return words[level];
}

/* ---- the whole ---- */

static int compare_items(const void *a, const void *b)
{
	const struct explain_item *first = a, *second = b;

	if (first->level != second->level)
		return first->level < second->level ? -1 : 1;
	if (first->rank != second->rank)
		return first->rank < second->rank ? -1 : 1;
	return strcmp(first->id, second->id);
}

static void finish(struct explain *x)
{
	qsort(x->item, x->nr_items, sizeof(x->item[0]), compare_items);
	for (uint32_t i = 0; i < x->nr_items; i++) {
		const struct explain_item *item = &x->item[i];

		x->nr_findings += item->level == EXPLAIN_FINDING;
		if (item->title.error != 0 || item->proof.error != 0 || item->what_to.error != 0 ||
		    item->not_to.error != 0 || item->check.error != 0)
			x->error = -ENOMEM;
	}
}

/* The engine's structures and the marks, where a zoneinfo allows. => 0 or a negative errno */
static int prepare(struct explain *x, struct text_error *err)
{
	int error = state_new(x->after, &x->state, err);

	if (error == -ENODATA)
		return 0;
	return error != 0 ? error : marks_machine_new(x->after->snapshot, &x->marks, err);
}

static void run_rules(struct explain *x)
{
	explain_nodes(x);
	explain_stalls(x);
	explain_group(x);
	explain_requests(x);
	explain_use(x);
	explain_blocks(x);
	explain_settings(x);
	explain_missing(x);
}

int explain_new(const struct evidence *before, const struct evidence *after, const char *set,
		struct explain **out, struct text_error *err)
{
	struct explain *x = calloc(1, sizeof(*x));
	int error;

	*out = NULL;
	if (x == NULL)
		return text_error_no_memory(err, after->where);
	x->before = before;
	x->after = after;
	x->set = set;
	if (before != NULL && before->live && after->live)
		x->seconds = (double)(after->time_ns - before->time_ns) / NSEC_PER_S;
	error = prepare(x, err);
	if (error == 0 && set != NULL && x->marks != NULL) {
		struct plan *plan = malloc(sizeof(*plan));

		error = plan != NULL ? marks_apply(x->marks, set, plan, err) : -ENOMEM;
		free(plan);
	}
	if (error != 0) {
		explain_free(x);
		return error;
	}
	run_rules(x);
	if (set != NULL)
		explain_try(x);
	finish(x);
	*out = x;
	return 0;
}

void explain_free(struct explain *x)
{
	if (x == NULL)
		return;
	for (uint32_t i = 0; i < EXPLAIN_ITEMS_MAX; i++) {
		text_buf_free(&x->item[i].title);
		text_buf_free(&x->item[i].proof);
		text_buf_free(&x->item[i].what_to);
		text_buf_free(&x->item[i].not_to);
		text_buf_free(&x->item[i].check);
	}
	state_free(x->state);
	free(x->marks);
	free(x);
}
