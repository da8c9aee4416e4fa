/*
 * Reports in words.
 *
 *     allocation failure: dd, order 0 (4 KiB), GFP_ATOMIC           what
 *       too little was free: no zone it may use was above its mark  verdict
 *       seen 3 times, from 28.4 to 46.8                             how often
 *       asked for ...                                               the request
 *       0 DMA32  free 152 - unusable 0 < 3/8 min 161 + reserve 0    the tests
 *       ...                                                         what follows from them
 *
 * Every number is the report's or follows from it by the test that stands on the same
 * line. What is said about remedies follows from the cause alone: a lack of a block is
 * not mended by a larger reserve, a limit of a group not by more memory in the machine.
 *
 * What must never happen: a line of more than 80 columns, advice that the report does
 * not support, or a byte of the log that a terminal would obey (decode.c replaces them).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "diag/decode_group.h"
#include "diag/terms.h"

#define COLUMNS 80u
#define INDENT 2u
#define TITLE_COLUMNS 11u

/* Appends a paragraph, each line indented; the first gets a title. */
static void add_paragraph(struct text_buf *out, const char *title, const char *text)
{
	uint32_t indent = INDENT + (title != NULL ? TITLE_COLUMNS : 0);
	uint32_t column = indent;

	text_buf_fill(out, ' ', INDENT);
	if (title != NULL) {
		text_buf_puts(out, title);
		text_buf_fill(out, ' ', TITLE_COLUMNS - strlen(title));
	}
	for (const char *at = text; *at != '\0';) {
		/* Flags are long words; they may be broken after each bar. */
		uint32_t bytes = (uint32_t)strcspn(at, " |");
		uint32_t gap = at > text && at[-1] == ' ' ? 1 : 0;

		bytes += at[bytes] == '|';
		if (column > indent && column + gap + bytes > COLUMNS) {
			text_buf_add(out, "\n", 1);
			text_buf_fill(out, ' ', indent);
			column = indent;
		}
		if (column > indent && gap != 0)
			text_buf_add(out, " ", 1);
		column += (column > indent ? gap : 0) + bytes;
		text_buf_add(out, at, bytes);
		at += bytes;
		at += strspn(at, " ");
	}
	text_buf_add(out, "\n", 1);
}

/* ---- flags ---- */

const char *decode_flag_words(uint32_t bit)
{
	static const struct {
		uint32_t bit;
		const char *words;
	} flags[] = {
		{ GFP_BIT_DMA, "from zone DMA only" },
		{ GFP_BIT_HIGHMEM, "may lie in high memory" },
		{ GFP_BIT_DMA32, "from zones DMA and DMA32 only" },
		{ GFP_BIT_MOVABLE, "movable: zone Movable and CMA blocks may serve it" },
		{ GFP_BIT_RECLAIMABLE, "for objects that a shrinker can free" },
		{ GFP_BIT_HIGH, "may use a part of the reserve below min" },
		{ GFP_BIT_IO, "may start I/O to free memory" },
		{ GFP_BIT_FS, "may enter filesystems to free memory" },
		{ GFP_BIT_ZERO, "zeroed" },
		{ GFP_BIT_ATOMIC, "cannot wait, and matters" },
		{ GFP_BIT_DIRECT_RECLAIM, "may wait, reclaim and compact" },
		{ GFP_BIT_KSWAPD_RECLAIM, "wakes kswapd" },
		{ GFP_BIT_WRITE, "will be written to: dirty pages are spread over nodes" },
		{ GFP_BIT_NOWARN, "no report if it fails" },
		{ GFP_BIT_RETRY_MAYFAIL, "tries long, then fails; nobody is killed for it" },
		{ GFP_BIT_NOFAIL, "must not fail: tries for ever" },
		{ GFP_BIT_NORETRY, "gives up after one light attempt" },
		{ GFP_BIT_MEMALLOC, "no mark binds it: it is to free memory" },
		{ GFP_BIT_COMP, "as one compound page" },
		{ GFP_BIT_NOMEMALLOC, "must leave the emergency reserves alone" },
		{ GFP_BIT_HARDWALL, "keeps to its cpuset" },
		{ GFP_BIT_THISNODE, "from one node only" },
		{ GFP_BIT_ACCOUNT, "charged to a memory group" },
	};

	for (uint32_t i = 0; i < ARRAY_LEN(flags); i++)
		if (flags[i].bit == bit)
			return flags[i].words;
	return NULL;
}

/* The flags that decide, first what the request may not do. */
static void add_flags(struct text_buf *out, const struct decode_report *report)
{
	struct text_buf words;
	bool waits = (report->gfp & GFP_BIT_DIRECT_RECLAIM) != 0;

	text_buf_init(&words);
	if (!waits)
		text_buf_puts(&words, "may not wait: no reclaim and no compaction of its own");
	else if ((report->gfp & (GFP_BIT_IO | GFP_BIT_FS)) == (GFP_BIT_IO | GFP_BIT_FS))
		text_buf_puts(&words, "may wait, reclaim and compact");
	else if (report->gfp & GFP_BIT_IO)
		text_buf_puts(&words, "may wait and reclaim, but not enter filesystems");
	else
		text_buf_puts(&words, "may wait and reclaim, but start no I/O");
	if ((report->gfp & GFP_BIT_KSWAPD_RECLAIM) == 0)
		text_buf_puts(&words, "; does not wake kswapd");
	for (uint32_t bit = 1; bit <= GFP_BIT_ACCOUNT; bit <<= 1) {
		const char *word = decode_flag_words(bit);
		uint32_t told = GFP_BITS_RECLAIM | GFP_BIT_IO | GFP_BIT_FS | GFP_BIT_ATOMIC |
				GFP_BIT_NOWARN;

		if ((report->gfp & bit & ~told) != 0 && word != NULL)
			text_buf_printf(&words, "; %s", word);
	}
	if (report->unknown[0] != '\0')
		text_buf_printf(&words, "; not understood: %s", report->unknown);
	add_paragraph(out, "flags", report->flags);
	add_paragraph(out, "", text_buf_text(&words));
	text_buf_free(&words);
}

/* ---- verdicts ---- */

static void add_size(struct text_buf *out, const struct decode_group *group)
{
	terms_bytes_add(out, ((uint64_t)group->page_kb << group->report->order) / 4);
}

static void add_failure_verdict(struct text_buf *out, const struct decode_group *group)
{
	bool block = group->report->order > 0;

	switch (group->verdict.cause) {
	case CAUSE_AMOUNT:
		if (group->verdict.reclaiming && !block)
			text_buf_puts(out,
				      "no page at all was free for it, not even in the reserves");
		else if (block) {
			text_buf_puts(out, "too little was free: a block of ");
			add_size(out, group);
			text_buf_puts(out, " would leave every zone it may use below its mark");
		} else
			text_buf_puts(out, "too little was free: every zone it may use was at or "
					   "below its mark");
		break;
	case CAUSE_ORDER:
		text_buf_puts(out, "enough was free, but not in one piece: no free block of ");
		add_size(out, group);
		break;
	case CAUSE_TYPE:
		text_buf_puts(out, "free blocks of ");
		add_size(out, group);
		text_buf_puts(out, " were there, but of a type that it may not take");
		break;
	case CAUSE_PASSES:
		text_buf_puts(out, "by the report's own numbers it would succeed: memory was freed "
				   "between the failure and the report");
		break;
	case CAUSE_NO_ZONE:
		text_buf_puts(out, "the report lists no zone that it may use");
		break;
	default:
		text_buf_puts(out, group->verdict.nr_zones == 0
					   ? "cannot know why: the log has no Mem-Info of it"
					   : "cannot know why: the free lists are missing");
	}
}

static void add_oom_verdict(struct text_buf *out, const struct decode_group *group)
{
	const struct decode_oom *oom = &group->report->oom;

	if (group->kind == DECODE_GROUP) {
		text_buf_printf(out, "memory group %s reached its limit",
				oom->group[0] != '\0' ? oom->group : "(not named)");
		if (oom->has_usage)
			text_buf_printf(out, " of %" PRIu64 " kB", oom->limit_kb);
		text_buf_puts(out, "; this says nothing about the machine's memory");
		return;
	}
	if (strcmp(oom->constraint, "CONSTRAINT_MEMORY_POLICY") == 0)
		text_buf_printf(out, "out of memory on node %s, to which the task is bound: ",
				group->report->nodemask);
	else if (strcmp(oom->constraint, "CONSTRAINT_CPUSET") == 0)
		text_buf_puts(out, "out of memory in the task's cpuset: ");
	else
		text_buf_puts(out, "out of memory: ");
	add_failure_verdict(out, group);
}

/* Functions in which a thread waits, and what for; the most telling first. */
static const struct {
	const char *frame, *words;
} wait_words[] = {
	{ "blk_mq_get_tag", "for a free place in a disk's queue: the disk is slow or stuck" },
	{ "get_request", "for a free request of a disk: the disk is slow or stuck" },
	{ "rq_qos_wait", "for a disk whose writes are throttled" },
	{ "wbt_wait", "for a disk whose writes are throttled" },
	{ "submit_bio_wait", "for a disk to answer" },
	{ "blk_execute_rq", "for a disk to answer" },
	{ "xfs_buf_submit", "for XFS to write a buffer to disk" },
	{ "xfs_buf_iowait", "for XFS to write a buffer to disk" },
	{ "xfs_log_force", "for the log of XFS" },
	{ "jbd2_log_wait_commit", "for a journal commit of ext4" },
	{ "__wait_on_freeing_inode", "for an inode that somebody else is freeing" },
	{ "folio_wait_writeback", "for a page to be written to disk" },
	{ "wait_on_page_writeback", "for a page to be written to disk" },
	{ "wait_on_page_bit", "for a page that is locked or being written" },
	{ "folio_wait_bit", "for a page that is locked or being written" },
	{ "__lock_page", "for a page that somebody else has locked" },
	{ "__folio_lock", "for a page that somebody else has locked" },
	{ "rwsem_down_", "for a semaphore that somebody else holds" },
	{ "call_rwsem_down", "for a semaphore that somebody else holds" },
	{ "__mutex_lock", "for a mutex that somebody else holds" },
	{ "synchronize_rcu", "for an RCU grace period" },
	{ "reclaim_throttle", "because reclaim itself waits for writeback" },
	{ "congestion_wait", "because reclaim itself waits for writeback" },
	{ "wait_for_completion", "for another thread to finish its part" },
	{ "do_shrink_slab", "inside a shrinker" },
	{ "shrink_slab", "inside a shrinker" },
};

const char *decode_wait_words(const struct decode_report *report)
{
	for (uint32_t k = 0; k < ARRAY_LEN(wait_words); k++)
		for (uint32_t i = 0; i < report->nr_frames; i++)
			if (strncmp(report->frame[i], wait_words[k].frame,
				    strlen(wait_words[k].frame)) == 0)
				return wait_words[k].words;
	return NULL;
}

void decode_verdict_add(struct text_buf *out, const struct decode_group *group)
{
	const struct decode_report *report = group->report;
	const char *words = decode_wait_words(report);

	switch (group->kind) {
	case DECODE_OOM:
	case DECODE_GROUP:
		add_oom_verdict(out, group);
		break;
	case DECODE_MEMORY:
		text_buf_puts(out, "nothing failed: somebody asked for the state of memory");
		break;
	case DECODE_HUNG:
		text_buf_printf(out, "%s ", report->comm);
		if (report->spins)
			text_buf_puts(out, "runs without giving its CPU back");
		else if (words != NULL)
			text_buf_printf(out, "waits %s", words);
		else
			text_buf_puts(out, "waits; its trace does not tell for what");
		break;
	default:
		add_failure_verdict(out, group);
	}
}

/* ---- zones ---- */

const char *decode_mark_name(const struct decode_zone *zone, bool reclaiming)
{
	uint32_t flags = zone->query.alloc_flags;
	bool plain = zone->unboosted != UINT64_MAX;

	if (reclaiming)
		return "no mark";
	if ((flags & (ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK)) ==
	    (ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK))
		return plain ? "3/8 min unboosted" : "3/8 min";
	if (flags & ALLOC_MIN_RESERVE)
		return plain ? "min/2 unboosted" : "min/2";
	return plain ? "min unboosted" : "min";
}

static void add_zone_name(struct text_buf *out, const struct report_zone *zone)
{
	const char *name = report_kind_name(zone->kind);

	text_buf_fill(out, ' ', INDENT);
	text_buf_printf(out, "%u %s", zone->node, name);
	text_buf_fill(out, ' ', strlen(name) < 8 ? 8 - strlen(name) : 1);
}

/* Free blocks by size, largest last, with the letters of those that are refused. */
static void add_blocks(struct text_buf *out, const struct decode_group *group,
		       const struct decode_zone *zone)
{
	uint32_t largest = 0;
	uint64_t blocks = 0;
	char letters[NEAP_NR_TYPES + 1];
	uint32_t nr = 0;

	for (uint32_t order = 0; order < REPORT_ORDERS; order++) {
		blocks += zone->zone.nr_free[order];
		if (zone->zone.nr_free[order] != 0)
			largest = order;
	}
	if (!zone->zone.has_blocks)
		return;
	text_buf_fill(out, ' ', INDENT + 10);
	if (blocks == 0) {
		text_buf_puts(out, "no free block\n");
		return;
	}
	if (zone->answer == DECODE_TYPE) {
		for (uint32_t type = 0; type < NEAP_NR_TYPES; type++)
			if (zone->refused >> type & 1)
				letters[nr++] = report_type_letter(type);
		letters[nr] = '\0';
		text_buf_printf(out, "%" PRIu64 " free block%s large enough, all of type %s\n",
				zone->blocks, zone->blocks == 1 ? "" : "s", letters);
		return;
	}
	text_buf_printf(out, "%" PRIu64 " free block%s, the largest ", blocks,
			blocks == 1 ? "" : "s");
	terms_bytes_add(out, ((uint64_t)group->page_kb << largest) / 4);
	text_buf_puts(out, "\n");
}

/* The comparison that decided, with its terms. */
static void add_test(struct text_buf *out, const struct decode_group *group,
		     const struct decode_zone *zone)
{
	const struct watermark_terms *terms = &zone->terms;
	int64_t usable = terms->free - terms->unusable, wanted = terms->mark + terms->reserve;

	text_buf_printf(out, "free %" PRId64 " - unusable %" PRId64 " %c ", terms->free,
			terms->unusable,
			usable > wanted	   ? '>'
			: usable == wanted ? '='
					   : '<');
	if (group->verdict.reclaiming)
		text_buf_puts(out, "(no mark binds it)");
	else
		text_buf_printf(out, "%s %" PRId64 " + reserve %" PRId64,
				decode_mark_name(zone, false), terms->mark, terms->reserve);
}

/* One zone's test, as the allocator made it. */
static void add_zone(struct text_buf *out, const struct decode_group *group,
		     const struct decode_zone *zone, const struct paint *paint)
{
	const struct watermark_terms *terms = &zone->terms;
	bool bad = zone->answer == DECODE_AMOUNT || zone->answer == DECODE_ORDER ||
		   zone->answer == DECODE_TYPE;
	struct text_buf test;

	add_zone_name(out, &zone->zone);
	if (zone->answer == DECODE_ABOVE) {
		text_buf_puts(out, "not for this request: it asks for lower zones\n");
		return;
	}
	text_buf_init(&test);
	add_test(&test, group, zone);
	paint_colour(out, paint, bad ? PAINT_RED : PAINT_GREEN);
	text_buf_puts(out, text_buf_text(&test));
	paint_colour(out, paint, PAINT_PLAIN);
	if (zone->answer == DECODE_AMOUNT) {
		/* Large machines have large numbers. */
		if (test.bytes > 48) {
			text_buf_puts(out, ":\n");
			text_buf_fill(out, ' ', INDENT + 9);
		} else {
			text_buf_puts(out, ":");
		}
		text_buf_printf(out, " %" PRId64 " short",
				terms->mark + terms->reserve + 1 - (terms->free - terms->unusable));
	}
	text_buf_puts(out, "\n");
	text_buf_free(&test);
	if (zone->answer == DECODE_ORDER || zone->answer == DECODE_TYPE ||
	    (zone->answer == DECODE_AMOUNT && zone->query.order != 0 && zone->blocks == 0))
		add_blocks(out, group, zone);
}

/* One zone against its marks, when nobody asked for anything. */
static void add_state(struct text_buf *out, const struct decode_group *group,
		      const struct decode_zone *zone)
{
	const struct report_values *kb = &zone->zone.kb;
	uint32_t page_kb = group->page_kb;
	uint64_t free_pages = report_values_get(kb, RI_FREE) / page_kb;
	uint64_t min = report_values_get(kb, RI_MIN) / page_kb;
	uint64_t low = report_values_get(kb, RI_LOW) / page_kb;
	uint64_t high = report_values_get(kb, RI_HIGH) / page_kb;
	uint64_t boost = report_values_get(kb, RI_BOOST) / page_kb;

	uint64_t kept =
		(report_values_get(kb, RI_FREE_CMA) + report_values_get(kb, RI_HIGHATOMIC)) /
		page_kb;
	uint64_t usable = free_pages > kept ? free_pages - kept : 0;

	add_zone_name(out, &zone->zone);
	text_buf_printf(out, "free %" PRIu64, free_pages);
	if (kept != 0)
		text_buf_printf(out, " - CMA, reserved %" PRIu64, kept);
	text_buf_printf(out, "; min %" PRIu64 " low %" PRIu64 " high %" PRIu64, min, low, high);
	if (boost != 0)
		text_buf_printf(out, " (boost %" PRIu64 ")", boost);
	text_buf_puts(out, ":");
	if (kept != 0 && boost != 0) {
		text_buf_puts(out, "\n");
		text_buf_fill(out, ' ', INDENT + 9);
	}
	text_buf_puts(out, usable < min	    ? " below min"
			   : usable < low   ? " below low"
			   : usable <= high ? " between low and high"
					    : " above high");
	text_buf_puts(out, "\n");
}

/* kswapd's view of each node: one good zone is enough. */
static void add_balance(struct text_buf *out, const struct decode_group *group)
{
	const struct decode_verdict *verdict = &group->verdict;

	for (uint32_t i = 0; i < verdict->nr_zones; i++) {
		uint32_t node = verdict->zone[i].zone.node;
		bool rests = false;
		char text[120];

		if (i > 0 && verdict->zone[i - 1].zone.node == node)
			continue;
		for (uint32_t k = i; k < verdict->nr_zones; k++)
			rests = rests ||
				(verdict->zone[k].zone.node == node && verdict->zone[k].high_ok);
		snprintf(text, sizeof(text),
			 rests ? "node %u: kswapd may rest, a zone is above its high mark"
			       : "node %u: kswapd has work, no zone is above its high mark",
			 node);
		add_paragraph(out, NULL, text);
	}
}

/* What the tests above subtracted, said once. */
static void add_unusable(struct text_buf *out, const struct decode_group *group)
{
	const struct decode_verdict *verdict = &group->verdict;
	uint64_t own = ((uint64_t)1 << group->report->order) - 1;
	bool more = false;
	char text[160];

	for (uint32_t i = 0; i < verdict->nr_zones; i++)
		more = more || verdict->zone[i].terms.unusable > (int64_t)own;
	if (own == 0 && !more)
		return;
	snprintf(text, sizeof(text), "unusable: %s%s%s",
		 own != 0 ? "the other pages of the block asked for" : "",
		 own != 0 && more ? ", " : "",
		 more ? "and pages reserved for atomic requests or free for movable pages only"
		      : "");
	add_paragraph(out, NULL, text);
}

static void add_zones(struct text_buf *out, const struct decode_group *group,
		      const struct paint *paint)
{
	const struct decode_verdict *verdict = &group->verdict;

	for (uint32_t i = 0; i < verdict->nr_zones; i++) {
		if (group->kind == DECODE_MEMORY)
			add_state(out, group, &verdict->zone[i]);
		else
			add_zone(out, group, &verdict->zone[i], paint);
	}
	if (verdict->nr_more != 0) {
		text_buf_fill(out, ' ', INDENT);
		text_buf_printf(out, "and %u more zones\n", verdict->nr_more);
	}
	if (group->kind == DECODE_MEMORY)
		add_balance(out, group);
	else
		add_unusable(out, group);
}

/* What the letters in the log's free lists stand for, as far as they appear. */
static void add_letters(struct text_buf *out, const struct decode_group *group)
{
	static const char *const words[NEAP_NR_TYPES] = {
		[MT_UNMOVABLE] = "U unmovable",
		[MT_MOVABLE] = "M movable",
		[MT_RECLAIMABLE] = "E reclaimable",
		[MT_HIGHATOMIC] = "H kept for atomic requests above order 0",
		[MT_CMA] = "C lent by CMA to movable pages",
		[MT_ISOLATE] = "I isolated, about to be taken away",
	};
	struct text_buf text;

	text_buf_init(&text);
	for (uint32_t type = 0; type < NEAP_NR_TYPES; type++) {
		bool seen = false;

		for (uint32_t i = 0; i < group->verdict.nr_zones; i++)
			seen = seen || group->verdict.zone[i].zone.nonempty[type] != 0;
		if (seen)
			text_buf_printf(&text, "%s%s", text.bytes != 0 ? ", " : "", words[type]);
	}
	if (text.bytes != 0)
		add_paragraph(out, "letters", text_buf_text(&text));
	text_buf_free(&text);
}

/* ---- what follows ---- */

/* The zone that came nearest to serving the request. */
static const struct decode_zone *nearest_zone(const struct decode_verdict *verdict)
{
	const struct decode_zone *best = NULL;
	int64_t least = INT64_MAX;

	for (uint32_t i = 0; i < verdict->nr_zones; i++) {
		const struct decode_zone *zone = &verdict->zone[i];
		int64_t missing = zone->terms.mark + zone->terms.reserve -
				  (zone->terms.free - zone->terms.unusable);

		if (zone->answer == DECODE_AMOUNT && missing < least) {
			best = zone;
			least = missing;
		}
	}
	return best;
}

static void add_amount_notes(struct text_buf *out, const struct decode_group *group)
{
	const struct decode_zone *zone = nearest_zone(&group->verdict);
	struct text_buf text;
	bool waits = (group->report->gfp & GFP_BIT_DIRECT_RECLAIM) != 0;

	if (zone == NULL)
		return;
	text_buf_init(&text);
	uint64_t full = report_values_get(&zone->zone.kb, RI_MIN) / group->page_kb;

	if (!waits && (uint64_t)zone->terms.mark < full)
		text_buf_printf(&text,
				"In zone %s requests that can wait stop at min %" PRIu64
				", this one at %" PRId64 ": the %" PRIu64
				" pages between are for such bursts and were used up. A larger "
				"min_free_kbytes widens that part by 5/8 of what it adds, and "
				"costs all of it.",
				report_kind_name(zone->zone.kind), full, zone->terms.mark,
				full - (uint64_t)zone->terms.mark);
	else if (!waits)
		text_buf_puts(&text,
			      "It may not wait and has no right to the reserve below min, so "
			      "it fails as soon as its zones are at min. Its caller is "
			      "expected to have another way.");
	else if (group->kind == DECODE_FAILURE)
		text_buf_puts(&text, "It was allowed to reclaim and did not get above the mark.");
	if (text.bytes != 0)
		add_paragraph(out, "note", text_buf_text(&text));
	text_buf_free(&text);
}

static void add_block_notes(struct text_buf *out, const struct decode_group *group)
{
	bool waits = (group->report->gfp & GFP_BIT_DIRECT_RECLAIM) != 0;

	add_paragraph(
		out, "note",
		waits ? "This is fragmentation, not a lack of memory: the zones were above "
			"their marks, so a larger min_free_kbytes would not have helped. It was "
			"allowed to compact; what cannot be moved lies in the way."
		      : "This is fragmentation, not a lack of memory: the zones were above "
			"their marks, so a larger min_free_kbytes would not have helped. It may "
			"not wait, so it cannot compact: it finds what compaction has left.");
}

static void add_type_notes(struct text_buf *out, const struct decode_group *group)
{
	uint16_t refused = 0;

	for (uint32_t i = 0; i < group->verdict.nr_zones; i++)
		refused |= group->verdict.zone[i].refused;
	if (refused & (1u << MT_CMA))
		add_paragraph(out, "note",
			      "CMA blocks (C) are for movable pages until their owner takes them; "
			      "this request is not movable.");
	if (refused & (1u << MT_HIGHATOMIC))
		add_paragraph(
			out, "note",
			"Reserved blocks (H) are for requests above order 0 that cannot wait; "
			"this request can.");
	if (refused & (1u << MT_ISOLATE))
		add_paragraph(
			out, "note",
			"Isolated blocks (I) are being taken out of use, by hot-unplug, CMA or "
			"a huge page allocation.");
}

/* Free memory that the request could not use. */
static void add_elsewhere(struct text_buf *out, const struct decode_group *group)
{
	const struct decode_verdict *verdict = &group->verdict;
	struct text_buf text;

	if (verdict->nr_more != 0 || verdict->nr_zones == 0 ||
	    verdict->all_free_pages <= verdict->shown_free_pages + verdict->shown_free_pages / 8 ||
	    group->kind == DECODE_MEMORY || group->kind == DECODE_GROUP)
		return;
	text_buf_init(&text);
	terms_bytes_add(&text,
			(verdict->all_free_pages - verdict->shown_free_pages) * group->page_kb / 4);
	text_buf_puts(&text, " more were free in zones or nodes that it may not use.");
	add_paragraph(out, "elsewhere", text_buf_text(&text));
	text_buf_free(&text);
}

static void add_notes(struct text_buf *out, const struct decode_group *group)
{
	switch (group->verdict.cause) {
	case CAUSE_AMOUNT:
		add_amount_notes(out, group);
		break;
	case CAUSE_ORDER:
		add_block_notes(out, group);
		break;
	case CAUSE_TYPE:
		add_type_notes(out, group);
		break;
	default:
		break;
	}
	add_elsewhere(out, group);
	if (group->hopeless != 0 && group->kind != DECODE_GROUP)
		add_paragraph(out, "note",
			      "all_unreclaimable? yes: kswapd tried 16 times in a row without "
			      "freeing a page and has given up until somebody else frees some.");
}

/* ---- OOM ---- */

static void add_task(struct text_buf *out, const char *title, const struct decode_task *task,
		     uint32_t page_kb)
{
	struct text_buf text;

	text_buf_init(&text);
	text_buf_printf(&text, "%s (pid %u), ", task->comm, task->pid);
	terms_bytes_add(&text, task->rss_pages * page_kb / 4);
	text_buf_puts(&text, " in memory, ");
	terms_bytes_add(&text, task->swap_pages * page_kb / 4);
	text_buf_printf(&text, " swapped out, oom_score_adj %" PRId64, task->adj);
	add_paragraph(out, title, text_buf_text(&text));
	text_buf_free(&text);
}

static void add_uses(struct text_buf *out, const struct decode_group *group)
{
	if (group->nr_uses == 0)
		return;
	add_paragraph(out, NULL, "where the machine's memory was:");
	for (uint32_t i = 0; i < group->nr_uses; i++) {
		struct text_buf size;

		if (group->use[i].pages == 0)
			continue;
		text_buf_init(&size);
		terms_bytes_add(&size, group->use[i].pages * group->page_kb / 4);
		text_buf_fill(out, ' ', INDENT + (size.bytes < 12 ? 12 - size.bytes : 0));
		text_buf_printf(out, "%s  %3" PRIu64 " %%  %s\n", text_buf_text(&size),
				group->use[i].pages * 100 / max_u64(group->total_pages, 1),
				group->use[i].name);
		text_buf_free(&size);
	}
}

static void add_limit(struct text_buf *out, const struct decode_oom *oom)
{
	struct text_buf text;

	if (!oom->has_usage)
		return;
	text_buf_init(&text);
	text_buf_printf(&text, "%" PRIu64 " of %" PRIu64 " kB used, limit hit %" PRIu64 " times",
			oom->usage_kb, oom->limit_kb, oom->failcnt);
	if (oom->anon_bytes + oom->file_bytes + oom->kernel_bytes != 0)
		text_buf_printf(&text,
				": anonymous %" PRIu64 ", files %" PRIu64 " (tmpfs %" PRIu64
				" of it), kernel %" PRIu64 " kB",
				oom->anon_bytes / 1024, oom->file_bytes / 1024,
				oom->shmem_bytes / 1024, oom->kernel_bytes / 1024);
	add_paragraph(out, "group", text_buf_text(&text));
	if (oom->has_swap_usage && oom->swap_limit_kb == 0)
		add_paragraph(out, "",
			      "it may not swap (limit 0), so anonymous memory and tmpfs "
			      "cannot be reclaimed from it");
	else if (oom->has_swap_usage && oom->swap_usage_kb >= oom->swap_limit_kb)
		add_paragraph(out, "", "its share of swap is used up as well");
	text_buf_free(&text);
}

static void add_oom(struct text_buf *out, const struct decode_group *group)
{
	const struct decode_oom *oom = &group->report->oom;
	struct text_buf text;

	text_buf_init(&text);
	if (oom->has_victim) {
		text_buf_printf(&text,
				"%s (pid %u): anonymous %" PRIu64 " kB, file %" PRIu64
				" kB, shared %" PRIu64 " kB",
				oom->victim.comm, oom->victim.pid, oom->victim_anon_kb,
				oom->victim_file_kb, oom->victim_shmem_kb);
		if (oom->group_kill)
			text_buf_puts(&text, "; memory.oom.group: the whole group is killed");
		add_paragraph(out, "killed", text_buf_text(&text));
	} else if (oom->nobody) {
		add_paragraph(out, "killed", "nobody: no task may be killed");
	}
	text_buf_free(&text);
	if (oom->nr_tasks > 0 && oom->largest.pid != oom->victim.pid)
		add_task(out, "largest", &oom->largest, group->page_kb);
	add_limit(out, oom);
	if (group->kind != DECODE_OOM)
		return;
	if (group->has_swap && group->swap_total_kb == 0)
		add_paragraph(out, "swap", "none: anonymous memory cannot be reclaimed");
	else if (group->has_swap) {
		text_buf_init(&text);
		text_buf_printf(&text, "%" PRIu64 " of %" PRIu64 " kB free", group->swap_free_kb,
				group->swap_total_kb);
		add_paragraph(out, "swap", text_buf_text(&text));
		text_buf_free(&text);
	}
	add_uses(out, group);
}

/* ---- a group ---- */

static void add_head(struct text_buf *out, const struct decode_group *group)
{
	static const char *const kinds[NR_DECODE_KINDS] = {
		[DECODE_FAILURE] = "allocation failure",
		[DECODE_STALL] = "allocation stall",
		[DECODE_OOM] = "out of memory",
		[DECODE_GROUP] = "out of memory in a group",
		[DECODE_MEMORY] = "state of memory",
		[DECODE_SLUB] = "slab allocation failure",
		[DECODE_HUNG] = "hanging thread",
	};
	const struct decode_report *report = group->report;

	text_buf_puts(out, kinds[group->kind]);
	if (report->comm[0] != '\0')
		text_buf_printf(out, ": %s", report->comm);
	else if (report->cache[0] != '\0')
		text_buf_printf(out, ": %s", report->cache);
	if (report->has_flags) {
		text_buf_printf(out, ", order %u (", report->order);
		add_size(out, group);
		text_buf_puts(out, ")");
	}
	if (group->kind == DECODE_STALL)
		text_buf_printf(out, ", %" PRIu64 " ms", report->value);
	if (group->kind == DECODE_HUNG && report->value != 0)
		text_buf_printf(out, ", %" PRIu64 " s", report->value);
	text_buf_puts(out, "\n");
}

static void add_seen(struct text_buf *out, const struct decode_group *group)
{
	struct text_buf text;

	text_buf_init(&text);
	if (group->count > 1)
		text_buf_printf(&text, "%" PRIu64 " times, from line %" PRIu64 " to line %" PRIu64,
				group->count, group->first_line, group->last_line);
	else
		text_buf_printf(&text, "once, line %" PRIu64, group->first_line);
	if (group->first_when[0] != '\0')
		text_buf_printf(&text, ", at %s", group->first_when);
	if (group->count > 1 && group->last_when[0] != '\0')
		text_buf_printf(&text, " and last at %s", group->last_when);
	for (uint32_t i = 1; i < group->nr_comms; i++)
		text_buf_printf(&text, "%s%s", i == 1 ? "; also for " : ", ", group->comm[i]);
	if (group->nr_more_comms != 0)
		text_buf_puts(&text, " and others");
	add_paragraph(out, "seen", text_buf_text(&text));
	text_buf_free(&text);
}

static void add_frames(struct text_buf *out, const struct decode_report *report)
{
	struct text_buf text;

	text_buf_init(&text);
	for (uint32_t i = 0; i < report->nr_frames && text.bytes < 300; i++)
		text_buf_printf(&text, "%s%s", i != 0 ? " < " : "", report->frame[i]);
	if (text.bytes != 0)
		add_paragraph(out, "trace", text_buf_text(&text));
	text_buf_free(&text);
}

void decode_group_add_text(struct text_buf *out, const struct decode_group *group,
			   const struct paint *paint)
{
	const struct decode_report *report = group->report;
	struct text_buf verdict;

	text_buf_init(&verdict);
	decode_verdict_add(&verdict, group);
	add_head(out, group);
	paint_colour(out, paint, group->kind == DECODE_MEMORY ? PAINT_PLAIN : PAINT_YELLOW);
	add_paragraph(out, NULL, text_buf_text(&verdict));
	paint_colour(out, paint, PAINT_PLAIN);
	text_buf_free(&verdict);
	add_seen(out, group);
	if (report->has_flags)
		add_flags(out, report);
	if (report->interrupt && group->kind == DECODE_FAILURE)
		add_paragraph(out, "task",
			      "an interrupt asked; the task it interrupted has no part "
			      "in it");
	if (group->verdict.reclaiming)
		add_paragraph(out, "task", "it was reclaiming itself, so that no mark binds it");
	/* A group's limit is not a matter of zones. */
	if (group->kind != DECODE_GROUP)
		add_zones(out, group, paint);
	add_notes(out, group);
	if (group->kind == DECODE_OOM || group->kind == DECODE_GROUP)
		add_oom(out, group);
	if (group->kind == DECODE_HUNG)
		add_frames(out, report);
	if (group->kind != DECODE_GROUP)
		add_letters(out, group);
	if (verdict.error != 0)
		out->error = verdict.error;
}
