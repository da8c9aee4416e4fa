/*
 * Sentences beside trace lines.
 *
 *     mm_vmscan_wakeup_kswapd: nid=0 order=0 gfp_flags=GFP_KERNEL
 *     free 4310 < low 4400 in zone Normal: kswapd0 is woken
 *
 * The numbers are the zones' as they were when the event was emitted, read without
 * locks; the words say which test they failed or passed. Fields of the event are taken
 * from its text, so that traces of a kernel could be told as well.
 *
 * For a wake-up the fullest zone decides nothing: one zone below its mark is enough.
 * For going to sleep the fullest decides: one balanced zone is enough (spec 12).
 *
 * What must never happen: a comparison that is not true of the numbers in it. Each
 * sentence with a "<", "=" or ">" is chosen by making the comparison.
 */
#include "diag/reason.h"

#include <inttypes.h>
#include <string.h>

typedef void (*reason_fn)(struct text_buf *out, const struct trace_line *line,
			  const struct reason_zone *zones, uint32_t nr_zones);

static int64_t number(const struct trace_line *line, const char *field)
{
	int64_t value = 0;

	(void)trace_line_number(line, field, &value); /* stays 0 without it */
	return value;
}

/* ---- zones ---- */

enum mark {
	MARK_MIN,
	MARK_LOW,
	MARK_HIGH,
};

static const char *const mark_names[] = { "min", "low", "high" };

static uint64_t mark_of(const struct reason_zone *zone, enum mark mark)
{
	return mark == MARK_MIN ? zone->min : mark == MARK_LOW ? zone->low : zone->high;
}

/*
 * The zone of a node that is furthest below (or above) a mark. A zone exactly at it is below:
 * requests are refused there, and nothing is balanced. => NULL: there is none
 */
static const struct reason_zone *extreme(const struct reason_zone *zones, uint32_t nr_zones,
					 int64_t node, enum mark mark, bool below)
{
	const struct reason_zone *found = NULL;
	uint64_t most = 0;

	for (uint32_t i = 0; i < nr_zones; i++) {
		uint64_t limit = mark_of(&zones[i], mark);
		uint64_t by = below ? limit - zones[i].free : zones[i].free - limit;

		if ((node >= 0 && zones[i].node != node) ||
		    (below ? zones[i].free > limit : zones[i].free <= limit) ||
		    (found != NULL && by <= most))
			continue;
		found = &zones[i];
		most = by;
	}
	return found;
}

static void add_test(struct text_buf *out, const struct reason_zone *zone, enum mark mark)
{
	uint64_t limit = mark_of(zone, mark);

	text_buf_printf(out, "free %" PRIu64 " %c %s %" PRIu64 " in zone %s", zone->free,
			zone->free > limit   ? '>'
			: zone->free < limit ? '<'
					     : '=',
			mark_names[mark], limit, zone->name);
	if (zone->boost > 0)
		text_buf_printf(out, " (boost %" PRIu64 ")", zone->boost);
}

/* => false, nothing said, if no zone of the node is boosted */
static bool add_boost(struct text_buf *out, const struct reason_zone *zones, uint32_t nr_zones,
		      int64_t node)
{
	for (uint32_t i = 0; i < nr_zones; i++) {
		if (zones[i].node != node || zones[i].boost == 0)
			continue;
		text_buf_printf(out, "zone %s is boosted by %" PRIu64, zones[i].name,
				zones[i].boost);
		return true;
	}
	return false;
}

/* ---- kswapd ---- */

static void tell_wakeup(struct text_buf *out, const struct trace_line *line,
			const struct reason_zone *zones, uint32_t nr_zones)
{
	int64_t node = number(line, "nid");
	int64_t order = number(line, "order");
	enum mark mark = MARK_LOW;
	const struct reason_zone *zone = extreme(zones, nr_zones, node, mark, true);

	if (zone == NULL) {
		mark = MARK_HIGH;
		zone = extreme(zones, nr_zones, node, mark, true);
	}
	if (zone != NULL)
		add_test(out, zone, mark);
	else if (order > 0)
		text_buf_printf(out, "enough is free, but not in blocks of order %" PRId64, order);
	else if (!add_boost(out, zones, nr_zones, node))
		text_buf_puts(out, "what is free is reserved for others");
	text_buf_printf(out, ": kswapd%" PRId64 " is woken", node);
}

static void tell_awake(struct text_buf *out, const struct trace_line *line,
		       const struct reason_zone *zones, uint32_t nr_zones)
{
	int64_t node = number(line, "nid");
	const struct reason_zone *zone = extreme(zones, nr_zones, node, MARK_HIGH, true);

	if (zone != NULL) {
		add_test(out, zone, MARK_HIGH);
		text_buf_puts(out, ": it frees pages");
	} else if (number(line, "order") > 0) {
		text_buf_printf(out, "enough is free, but not in blocks of order %" PRId64,
				number(line, "order"));
	} else if (add_boost(out, zones, nr_zones, node)) {
		text_buf_puts(out, ": frees that much, without writing");
	} else {
		text_buf_puts(out, "a zone is above high again already");
	}
}

static void tell_sleep(struct text_buf *out, const struct trace_line *line,
		       const struct reason_zone *zones, uint32_t nr_zones)
{
	const struct reason_zone *zone =
		extreme(zones, nr_zones, number(line, "nid"), MARK_HIGH, false);

	if (zone == NULL) {
		text_buf_puts(out, "it has given up: nothing could be freed, 16 times in a row");
		return;
	}
	add_test(out, zone, MARK_HIGH);
	text_buf_puts(out, " after a nap: it sleeps");
}

/* ---- programs ---- */

static void tell_direct(struct text_buf *out, const struct trace_line *line,
			const struct reason_zone *zones, uint32_t nr_zones)
{
	const struct reason_zone *zone = extreme(zones, nr_zones, -1, MARK_MIN, true);

	if (zone != NULL)
		add_test(out, zone, MARK_MIN);
	else
		text_buf_puts(out, "the try at the min mark failed");
	text_buf_printf(out, ": %s must reclaim itself", line->task);
}

static void tell_direct_end(struct text_buf *out, const struct trace_line *line,
			    const struct reason_zone *zones, uint32_t nr_zones)
{
	(void)zones;
	(void)nr_zones;
	text_buf_printf(out, "%s freed %" PRId64 " pages and tries again", line->task,
			number(line, "nr_reclaimed"));
}

static void tell_throttled(struct text_buf *out, const struct trace_line *line,
			   const struct reason_zone *zones, uint32_t nr_zones)
{
	static const struct {
		const char *word, *why;
	} reasons[] = {
		{ "VMSCAN_THROTTLE_WRITEBACK", "too many pages wait for the disk" },
		{ "VMSCAN_THROTTLE_ISOLATED", "too many pages are in others' hands" },
		{ "VMSCAN_THROTTLE_NOPROGRESS", "nothing could be freed" },
		{ "VMSCAN_THROTTLE_CONGESTED", "only pages under write-out were found" },
	};
	char word[40] = "";

	(void)zones;
	(void)nr_zones;
	(void)trace_line_word(line, "reason", word, sizeof(word)); /* stays empty without it */
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (strcmp(reasons[i].word, word) == 0)
			text_buf_printf(out, "%s: %s waited %" PRId64 " us of at most %" PRId64,
					reasons[i].why, line->task, number(line, "usect_delayed"),
					number(line, "usec_timeout"));
}

/* ---- lists ---- */

static void tell_inactive(struct text_buf *out, const struct trace_line *line,
			  const struct reason_zone *zones, uint32_t nr_zones)
{
	int64_t back = number(line, "nr_activate_anon") + number(line, "nr_activate_file");

	(void)zones;
	(void)nr_zones;
	text_buf_printf(out, "of %" PRId64 ": %" PRId64 " freed", number(line, "nr_scanned"),
			number(line, "nr_reclaimed"));
	if (back > 0)
		text_buf_printf(out, ", %" PRId64 " used again: to active", back);
	if (number(line, "nr_ref_keep") > 0)
		text_buf_printf(out, ", %" PRId64 " get a second chance",
				number(line, "nr_ref_keep"));
	if (number(line, "nr_dirty") > 0)
		text_buf_printf(out, ", %" PRId64 " dirty", number(line, "nr_dirty"));
}

static void tell_active(struct text_buf *out, const struct trace_line *line,
			const struct reason_zone *zones, uint32_t nr_zones)
{
	(void)zones;
	(void)nr_zones;
	text_buf_printf(out,
			"inactive is too short: %" PRId64 " come from active, %" PRId64 " stay",
			number(line, "nr_deactivated"), number(line, "nr_referenced"));
}

static void tell_write(struct text_buf *out, const struct trace_line *line,
		       const struct reason_zone *zones, uint32_t nr_zones)
{
	bool file = strstr(line->body, "RECLAIM_WB_FILE") != NULL;

	(void)zones;
	(void)nr_zones;
	text_buf_printf(out, "its contents exist nowhere else: written to %s before it is freed",
			file ? "its file" : "swap");
}

static void tell_extfrag(struct text_buf *out, const struct trace_line *line,
			 const struct reason_zone *zones, uint32_t nr_zones)
{
	static const char *const types[] = { "unmovable", "movable", "reclaimable" };
	uint64_t wanted = (uint64_t)number(line, "alloc_migratetype");
	uint64_t from = (uint64_t)number(line, "fallback_migratetype");

	(void)zones;
	(void)nr_zones;
	text_buf_printf(out, "%s used up: order %" PRId64 " of %s is taken%s",
			wanted < ARRAY_LEN(types) ? types[wanted] : "such",
			number(line, "fallback_order"),
			from < ARRAY_LEN(types) ? types[from] : "others",
			number(line, "change_ownership") != 0 ? ", with its pageblock" : "");
}

/* ---- compaction ---- */

static void tell_compact_begin(struct text_buf *out, const struct trace_line *line,
			       const struct reason_zone *zones, uint32_t nr_zones)
{
	(void)zones;
	(void)nr_zones;
	text_buf_printf(out,
			"used pages from frame %#" PRIx64 " up, free ones from %#" PRIx64 " down",
			(uint64_t)number(line, "migrate_pfn"), (uint64_t)number(line, "free_pfn"));
}

static void tell_compact_end(struct text_buf *out, const struct trace_line *line,
			     const struct reason_zone *zones, uint32_t nr_zones)
{
	static const struct {
		const char *word, *why;
	} results[] = {
		{ "success", "a block of the wanted order is free" },
		{ "partial_skipped", "the scanners met, but a part was left out" },
		{ "complete", "the scanners met: the whole zone was tried" },
		{ "contended", "others needed the locks" },
		{ "skipped", "too little is free, or no fragmentation is at fault" },
	};
	char word[24] = "";

	(void)zones;
	(void)nr_zones;
	(void)trace_line_word(line, "status", word, sizeof(word)); /* stays empty without it */
	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		if (strcmp(results[i].word, word) == 0)
			text_buf_puts(out, results[i].why);
}

static void tell_kcompactd(struct text_buf *out, const struct trace_line *line,
			   const struct reason_zone *zones, uint32_t nr_zones)
{
	bool begins = strcmp(line->name, "mm_compaction_kcompactd_wake") == 0;

	(void)zones;
	(void)nr_zones;
	if (begins)
		text_buf_printf(out, "it works until a block of order %" PRId64 " is free",
				number(line, "order"));
	else
		text_buf_printf(out,
				"a block of order %" PRId64 " is wanted: kcompactd%" PRId64
				" is woken",
				number(line, "order"), number(line, "nid"));
}

static void tell_direct_compact(struct text_buf *out, const struct trace_line *line,
				const struct reason_zone *zones, uint32_t nr_zones)
{
	(void)zones;
	(void)nr_zones;
	text_buf_printf(out, "no block of order %" PRId64 " is free: %s makes one itself",
			number(line, "order"), line->task);
}

static void tell_moved(struct text_buf *out, const struct trace_line *line,
		       const struct reason_zone *zones, uint32_t nr_zones)
{
	(void)zones;
	(void)nr_zones;
	text_buf_printf(out, "%" PRId64 " pages live elsewhere now, %" PRId64 " could not be moved",
			number(line, "nr_migrated"), number(line, "nr_failed"));
}

void reason_add(struct text_buf *out, const struct trace_line *line,
		const struct reason_zone *zones, uint32_t nr_zones)
{
	static const struct {
		const char *event;
		reason_fn tell;
	} reasons[] = {
		{ "mm_vmscan_wakeup_kswapd", tell_wakeup },
		{ "mm_vmscan_kswapd_wake", tell_awake },
		{ "mm_vmscan_kswapd_sleep", tell_sleep },
		{ "mm_vmscan_direct_reclaim_begin", tell_direct },
		{ "mm_vmscan_direct_reclaim_end", tell_direct_end },
		{ "mm_vmscan_throttled", tell_throttled },
		{ "mm_vmscan_lru_shrink_inactive", tell_inactive },
		{ "mm_vmscan_lru_shrink_active", tell_active },
		{ "mm_vmscan_write_folio", tell_write },
		{ "mm_page_alloc_extfrag", tell_extfrag },
		{ "mm_compaction_begin", tell_compact_begin },
		{ "mm_compaction_end", tell_compact_end },
		{ "mm_compaction_kcompactd_wake", tell_kcompactd },
		{ "mm_compaction_wakeup_kcompactd", tell_kcompactd },
		{ "mm_compaction_try_to_compact_pages", tell_direct_compact },
		{ "mm_compaction_migratepages", tell_moved },
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (strcmp(reasons[i].event, line->name) == 0)
			reasons[i].tell(out, line, zones, nr_zones);
}
