/*
 * An explanation as text.
 *
 *     kswapd0 cannot rest: too little can be reclaimed ...      the verdict: one line
 *       node 0: kswapd sleeps; no boost ...                     the state
 *
 *     1. kswapd0 cannot rest ...                                findings
 *          zoneinfo: node 0 Normal: free 372 - ... < high 980
 *        do     add swap ...
 *        not    raise min_free_kbytes ...
 *        check  pageoutrun ...
 *
 *     notes                                                     true and harmless
 *       - the marks are stale since boot ...
 *
 *     cannot know                                               what is missing
 *       - buddyinfo is missing; it would tell ...
 *
 * By default at most three findings and four notes, of which only the titles; --all shows
 * everything with its numbers. Lines are folded at 80 columns at blanks.
 *
 * What must never happen: a finding that is left out without saying how many more there are.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "diag/explain_part.h"

#define FINDINGS_SHOWN 3u
#define NOTES_SHOWN 4u
#define WIDTH 79u

/* One paragraph from column `first`, later lines from `indent`, folded at blanks. */
static void add_folded(struct text_buf *out, const char *text, size_t bytes, uint32_t first,
		       uint32_t indent)
{
	uint32_t column = first;
	bool at_start = true;

	while (bytes > 0) {
		size_t word = 0;

		while (word < bytes && text[word] != ' ')
			word++;
		if (!at_start && column + 1 + word > WIDTH) {
			text_buf_puts(out, "\n");
			text_buf_fill(out, ' ', indent);
			column = indent;
		} else if (!at_start) {
			text_buf_puts(out, " ");
			column++;
		}
		text_buf_add(out, text, word);
		column += (uint32_t)word;
		at_start = false;
		text += word;
		bytes -= word;
		while (bytes > 0 && *text == ' ') {
			text++;
			bytes--;
		}
	}
	text_buf_puts(out, "\n");
}

/* Each line of `lines` behind a word that stands before the first only. */
static void add_lines(struct text_buf *out, const struct text_buf *lines, const char *word,
		      uint32_t indent)
{
	const char *at = text_buf_text(lines);
	bool first = true;

	while (*at != '\0') {
		size_t length = strcspn(at, "\n");

		text_buf_fill(out, ' ', indent);
		if (*word != '\0')
			text_buf_printf(out, "%-7s", first ? word : "");
		add_folded(out, at, length, indent + (*word != '\0' ? 7 : 0),
			   indent + (*word != '\0' ? 7 : 2));
		first = false;
		at += length + (at[length] == '\n');
	}
}

/* ---- the state ---- */

static void add_kswapd(struct text_buf *out, const struct explain *x, uint32_t n)
{
	static const char *const words[] = {
		[KSWAPD_UNKNOWN] = "may sleep or not, nothing tells",
		[KSWAPD_SLEEPS] = "sleeps",
		[KSWAPD_RESTS] = "rests",
		[KSWAPD_AWAKE] = "is awake",
		[KSWAPD_GAVE_UP] = "gave up",
	};
	const struct explain_node *node = &x->node[n];

	/* A balanced node is why it sleeps, but no proof: it may be in its last round, or its nap.
	 */
	if (node->kswapd == KSWAPD_UNKNOWN && node->balanced)
		text_buf_printf(out, "kswapd%u should be asleep (its node is balanced)",
				state_node_id(x->state, n));
	else
		text_buf_printf(out, "kswapd%u %s", state_node_id(x->state, n),
				words[node->kswapd]);
	if (node->kswapd == KSWAPD_UNKNOWN && !node->balanced)
		text_buf_puts(out, " (below its high mark)");
	if (node->boost_pages != 0)
		text_buf_printf(out, ", boost %" PRIu64 " pages", node->boost_pages);
	else
		text_buf_puts(out, node->boost_known ? ", no boost" : ", boost not known");
}

void explain_state_add(struct text_buf *out, const struct explain *x)
{
	for (uint32_t n = 0; x->state != NULL && n < x->state->machine.nr_nodes; n++) {
		/* Many nodes are told one by one only where they differ from the first. */
		if (n > 0 && x->node[n].kswapd == x->node[0].kswapd &&
		    x->node[n].boost_pages == x->node[0].boost_pages &&
		    x->node[n].balanced == x->node[0].balanced)
			continue;
		text_buf_puts(out, n > 0 ? "; " : "");
		add_kswapd(out, x, n);
	}
	if (x->state != NULL)
		text_buf_puts(out, "; ");
	switch (x->direct) {
	case DIRECT_NEVER:
		text_buf_puts(out, "no task has reclaimed for itself since boot");
		break;
	case DIRECT_BEFORE:
		text_buf_puts(out, x->before != NULL ? "no task reclaimed for itself in between"
						     : "tasks reclaimed for themselves at some time"
						       " since boot");
		break;
	case DIRECT_BETWEEN:
		text_buf_printf(out, "tasks reclaimed for themselves %" PRIu64 " times in between",
				x->direct_count);
		break;
	case DIRECT_UNKNOWN:
		text_buf_puts(out, "direct reclaim not known");
		break;
	}
}

/* "kernel 6.1.0-18-amd64", or what the files are possible for. */
static void add_machine(struct text_buf *out, const struct explain *x)
{
	const struct evidence_kernel *kernel = &x->after->kernel;

	text_buf_puts(out, x->after->where);
	if (kernel->said[0] != '\0')
		text_buf_printf(out, ", kernel %s", kernel->said);
	else if (kernel->because != NULL)
		text_buf_printf(out, ", a kernel from %u.%u on (by %s)", kernel->least / 100,
				kernel->least % 100, kernel->because);
	if (kernel->said[0] == '\0' && kernel->most != 0)
		text_buf_printf(out, ", before %u.%u", kernel->most / 100, kernel->most % 100);
	if (snapshot_page_kb(x->after->snapshot) != 4)
		text_buf_printf(out, ", pages of %" PRIu64 " KiB",
				snapshot_page_kb(x->after->snapshot));
	if (x->after->snapshot->has_highmem)
		text_buf_puts(out, ", 32-bit with HighMem");
}

/* ---- items ---- */

static const struct explain_item *first_of(const struct explain *x, enum explain_level level)
{
	for (uint32_t i = 0; i < x->nr_items; i++)
		if (x->item[i].level == level)
			return &x->item[i];
	return NULL;
}

void explain_verdict_add(struct text_buf *out, const struct explain *x)
{
	const struct explain_item *finding = first_of(x, EXPLAIN_FINDING);
	const struct explain_item *unknown = first_of(x, EXPLAIN_UNKNOWN);
	bool blind = x->after->zoneinfo == NULL && x->after->vmstat == NULL;

	if (finding != NULL)
		text_buf_puts(out, text_buf_text(&finding->title));
	else if (blind && unknown != NULL && unknown->rank == RANK_KSWAPD)
		text_buf_printf(out, "cannot know %s", text_buf_text(&unknown->title));
	else if (blind)
		text_buf_puts(out, "nothing wrong is shown, and not much is known");
	else
		text_buf_puts(out, "nothing is wrong");
}

static void add_finding(struct text_buf *out, const struct explain_item *item, uint32_t number,
			const struct paint *paint)
{
	char head[16];
	int length = snprintf(head, sizeof(head), "%u. ", number);

	text_buf_puts(out, "\n");
	text_buf_puts(out, head);
	paint_colour(out, paint, PAINT_RED);
	add_folded(out, text_buf_text(&item->title), item->title.bytes, (uint32_t)length, 3);
	paint_colour(out, paint, PAINT_PLAIN);
	add_lines(out, &item->proof, "", 5);
	add_lines(out, &item->what_to, "do", 3);
	add_lines(out, &item->not_to, "not", 3);
	add_lines(out, &item->check, "check", 3);
}

static void add_findings(struct text_buf *out, const struct explain *x, bool all,
			 const struct paint *paint)
{
	uint32_t number = 0;

	for (uint32_t i = 0; i < x->nr_items; i++) {
		if (x->item[i].level != EXPLAIN_FINDING)
			continue;
		number++;
		if (all || number <= FINDINGS_SHOWN)
			add_finding(out, &x->item[i], number, paint);
	}
	if (!all && number > FINDINGS_SHOWN)
		text_buf_printf(out, "\n%u more finding%s: --all\n", number - FINDINGS_SHOWN,
				number - FINDINGS_SHOWN == 1 ? "" : "s");
}

static void add_list(struct text_buf *out, const struct explain *x, enum explain_level level,
		     bool all)
{
	uint32_t number = 0;

	for (uint32_t i = 0; i < x->nr_items; i++) {
		const struct explain_item *item = &x->item[i];

		if (item->level != level)
			continue;
		if (number++ == 0)
			text_buf_puts(out, level == EXPLAIN_NOTE ? "\nnotes\n" : "\ncannot know\n");
		if (!all && number > NOTES_SHOWN)
			continue;
		text_buf_puts(out, "  - ");
		add_folded(out, text_buf_text(&item->title), item->title.bytes, 4, 4);
		if (all || (level == EXPLAIN_UNKNOWN && item->rank == RANK_KSWAPD))
			add_lines(out, &item->proof, "", 6);
	}
	if (!all && number > NOTES_SHOWN)
		text_buf_printf(out, "  %u more: --all\n", number - NOTES_SHOWN);
}

void explain_add(struct text_buf *out, const struct explain *x, bool all, const struct paint *paint)
{
	struct text_buf line;

	text_buf_init(&line);
	explain_verdict_add(&line, x);
	paint_colour(out, paint, x->nr_findings != 0 ? PAINT_RED : PAINT_GREEN);
	add_folded(out, text_buf_text(&line), line.bytes, 0, 0);
	paint_colour(out, paint, PAINT_PLAIN);
	text_buf_reset(&line);
	add_machine(&line, x);
	text_buf_puts(out, "  ");
	add_folded(out, text_buf_text(&line), line.bytes, 2, 2);
	text_buf_reset(&line);
	explain_state_add(&line, x);
	text_buf_puts(out, "  ");
	add_folded(out, text_buf_text(&line), line.bytes, 2, 2);
	if (x->after->warning[0] != '\0') {
		text_buf_puts(out, "  ");
		add_folded(out, x->after->warning, strlen(x->after->warning), 2, 2);
	}
	add_findings(out, x, all, paint);
	add_list(out, x, EXPLAIN_NOTE, all);
	add_list(out, x, EXPLAIN_UNKNOWN, all);
	if (line.error != 0)
		out->error = line.error;
	text_buf_free(&line);
}
