/*
 * Compaction of small zones, drawn as text (zone_picture.h).
 *
 *   picture, who asks ──> one run ──> picture, result, scanners, hints, counters
 *
 * Each row of the table is one run over one zone. Positions are frames counted from the
 * zone's start. Where a number follows from the rules of spec 20 the comment beside the
 * row says how; all of them were worked through once and stand for "nothing changed".
 *
 * With NEAP_PICTURES set the rows are printed as they came out.
 *
 * What must never happen here: a page whose contents changed (picture_end() compares all
 * of them) or a law that is broken (it verifies the machine, too).
 */
#include "zone_picture.h"

#include "core/compact.h"
#include "core/pageblock.h"

/* Who asks: the columns of spec 20, section 4. */
enum asker {
	ASK_ALL,       /* compact_memory */
	ASK_CLOCK,     /* proactive */
	ASK_DAEMON,    /* kcompactd on request */
	ASK_ASYNC,     /* an allocation, asynchronous */
	ASK_LIGHT,     /* an allocation, light */
	ASK_FULL,      /* an allocation, full */
	ASK_UNMOVABLE, /* an unmovable one, asynchronous */
};

/* What is arranged between drawing and running. */
enum twist {
	PLAIN,
	SKIP_ALL,	/* every pageblock is marked */
	SKIP_FIRST,	/* the first four are */
	SKIP_LAST,	/* the last four are */
	MIDDLE,		/* cached positions: a quarter from either end */
	OUTSIDE,	/* cached positions outside the zone */
	LOW_MARK,	/* too few free pages above the mark */
	MIN_MARK,	/* suitable, but the min mark refuses every target */
	SIGNAL,		/* a fatal signal */
	ISOLATED,	/* half of the node's pages are isolated already */
	NO_UNEVICTABLE, /* the sysctl forbids unevictable pages */
	KSWAPD,		/* kswapd is at work */
	EAGER,		/* proactiveness 100 */
	NOFS,		/* the request may not enter file systems */
	MEETING,	/* cached positions: in one pageblock */
	INSIDE,		/* every pageblock is marked, the migrate position is inside one */
	OFF,		/* proactiveness 0 */
};

struct row {
	const char *name;
	const char *before;
	enum asker asker;
	int32_t order;
	enum twist twist;
	const char *after;
	enum compact_result result;
	uint32_t migrate, free; /* scanners */
	uint32_t cached[3];	/* migrate async, migrate sync, free */
	uint32_t migrate_scanned, free_scanned;
	uint32_t moved, failed;
};

static const struct row rows[] = {
#include "compact_rows.h"
};

/* ---- one run ---- */

static struct compact_control control_of(struct picture *picture, const struct row *row)
{
	struct compact_control cc = { .zone = picture->zone,
				      .order = row->order,
				      .search_order = row->order,
				      .gfp = GFP_KERNEL,
				      .mode = MIGRATE_SYNC_LIGHT };

	switch (row->asker) {
	case ASK_ALL:
		cc.mode = MIGRATE_SYNC;
		cc.whole_zone = true;
		cc.ignore_skip_hint = true;
		break;
	case ASK_CLOCK:
		cc.proactive = true;
		cc.whole_zone = true;
		cc.ignore_skip_hint = true;
		break;
	case ASK_DAEMON:
		break;
	case ASK_ASYNC:
	case ASK_LIGHT:
		cc.gfp = GFP_HIGHUSER_MOVABLE;
		cc.direct = true;
		cc.mode = row->asker == ASK_ASYNC ? MIGRATE_ASYNC : MIGRATE_SYNC_LIGHT;
		break;
	case ASK_FULL:
		cc.gfp = GFP_HIGHUSER_MOVABLE;
		cc.direct = true;
		cc.whole_zone = true;
		cc.ignore_skip_hint = true;
		cc.ignore_block_suitable = true;
		break;
	case ASK_UNMOVABLE:
		cc.direct = true;
		cc.mode = MIGRATE_ASYNC;
		break;
	}
	if (row->twist == NOFS)
		cc.gfp &= ~GFP_BIT_FS;
	return cc;
}

static void skip_blocks(struct picture *picture, uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++)
		compact_skip_set(picture->f->m,
				 picture->zone->start_pfn + i * NEAP_PAGEBLOCK_PAGES);
}

static void add_isolated(struct picture *picture, int64_t pages)
{
	struct task *t = picture->f->t;

	cpu_pin(t);
	node_stat_add(t, picture->f->node, NR_ISOLATED_ANON, pages);
	cpu_unpin(t);
	vmstat_fold_all(t, picture->f->m);
}

static void set_positions(struct zone *zone, uint32_t migrate, uint32_t free_pfn)
{
	atomic_store(&zone->compact_cached_migrate[0], migrate);
	atomic_store(&zone->compact_cached_migrate[1], migrate);
	atomic_store(&zone->compact_cached_free, free_pfn);
}

static void arrange(struct picture *picture, enum twist twist)
{
	struct machine_fixture *f = picture->f;
	struct zone *zone = picture->zone;
	uint32_t quarter = picture->nr_blocks / 4 * NEAP_PAGEBLOCK_PAGES;
	uint64_t free_pages = zone_stat_exact(zone, NR_FREE_PAGES);

	switch (twist) {
	case SKIP_ALL:
		skip_blocks(picture, 0, picture->nr_blocks);
		break;
	case SKIP_FIRST:
		skip_blocks(picture, 0, 4);
		break;
	case SKIP_LAST:
		skip_blocks(picture, picture->nr_blocks - 4, 4);
		break;
	case MIDDLE:
		set_positions(zone, zone->start_pfn + quarter, zone_end(zone) - quarter);
		break;
	case OUTSIDE:
		set_positions(zone, zone_end(zone) + 5, zone->start_pfn - 1);
		break;
	case LOW_MARK:
		atomic_store(&zone->mark[WMARK_LOW], free_pages - 500);
		marks_refresh(zone);
		break;
	case MIN_MARK:
		atomic_store(&zone->mark[WMARK_MIN], free_pages);
		atomic_store(&zone->mark[WMARK_LOW], 0);
		marks_refresh(zone);
		break;
	case SIGNAL:
		f->t->flags |= PF_EXITING;
		break;
	case ISOLATED:
		add_isolated(picture, (int64_t)picture->nr_pages);
		break;
	case NO_UNEVICTABLE:
		atomic_store(&f->m->sysctl.compact_unevictable_allowed, 0);
		break;
	case KSWAPD:
		atomic_store(&f->node->kswapd_sleeping, 0);
		break;
	case EAGER:
		atomic_store(&f->m->sysctl.compaction_proactiveness, 100);
		break;
	case MEETING:
		set_positions(zone, zone->start_pfn + quarter, zone->start_pfn + quarter + 100);
		break;
	case INSIDE:
		skip_blocks(picture, 0, picture->nr_blocks);
		set_positions(zone, zone->start_pfn + quarter + 64, zone_end(zone) - 1);
		break;
	case OFF:
		atomic_store(&f->m->sysctl.compaction_proactiveness, 0);
		break;
	case PLAIN:
	case NOFS:
		break;
	}
}

static void undo(struct picture *picture, enum twist twist)
{
	picture->f->t->flags &= ~PF_EXITING;
	if (twist == ISOLATED)
		add_isolated(picture, -(int64_t)picture->nr_pages);
	if (twist == KSWAPD)
		atomic_store(&picture->f->node->kswapd_sleeping, 1);
}

/* ---- comparing ---- */

static const char *const result_names[] = {
	"NOT_SUITABLE_ZONE", "SKIPPED",		"DEFERRED",  "NO_SUITABLE_PAGE", "CONTINUE",
	"COMPLETE",	     "PARTIAL_SKIPPED", "CONTENDED", "SUCCESS",
};

static const char *const asker_names[] = { "ALL",   "CLOCK", "DAEMON",	 "ASYNC",
					   "LIGHT", "FULL",  "UNMOVABLE" };

static void print_row(const struct row *row)
{
	print_message("%s\n\t\"%s\", COMPACT_%s, 0x%x, 0x%x,\n\t{ 0x%x, 0x%x, 0x%x },"
		      " %u, %u, %u, %u\n\t(%s %s)\n",
		      row->name, row->after, result_names[row->result], row->migrate, row->free,
		      row->cached[0], row->cached[1], row->cached[2], row->migrate_scanned,
		      row->free_scanned, row->moved, row->failed, asker_names[row->asker],
		      row->before);
}

static bool row_same(const struct row *a, const struct row *b)
{
	return strcmp(a->after, b->after) == 0 && a->result == b->result &&
	       a->migrate == b->migrate && a->free == b->free &&
	       memcmp(a->cached, b->cached, sizeof(a->cached)) == 0 &&
	       a->migrate_scanned == b->migrate_scanned && a->free_scanned == b->free_scanned &&
	       a->moved == b->moved && a->failed == b->failed;
}

static uint32_t from_start(const struct zone *zone, uint32_t pfn)
{
	return pfn < zone->start_pfn ? 0 : pfn - zone->start_pfn;
}

static void note_positions(struct row *out, const struct compact_control *cc)
{
	struct zone *zone = cc->zone;

	/* A run that did not begin has no positions. */
	out->migrate = cc->migrate_pfn == 0 ? 0 : from_start(zone, cc->migrate_pfn);
	out->free = cc->free_pfn == 0 ? 0 : from_start(zone, cc->free_pfn);
	for (uint32_t i = 0; i < 2; i++)
		out->cached[i] = from_start(zone, atomic_load(&zone->compact_cached_migrate[i]));
	out->cached[2] = from_start(zone, atomic_load(&zone->compact_cached_free));
}

static const struct row *current;

static void body_row(struct machine_fixture *f)
{
	static char drawn[4 * PICTURE_BLOCKS_MAX];
	struct picture picture;
	struct row out = *current;

	picture_build(&picture, f, current->before);
	arrange(&picture, current->twist);
	uint64_t moved = machine_events(f, EV_PGMIGRATE_SUCCESS);
	struct compact_control cc = control_of(&picture, current);

	/* As the allocator does: who reclaims does not sleep for page locks. */
	f->t->flags |= cc.direct ? PF_MEMALLOC : 0;
	out.result = compact_zone(f->t, &cc);
	f->t->flags &= ~PF_MEMALLOC;
	undo(&picture, current->twist);
	assert_true(list_empty(&cc.free) && list_empty(&cc.migrate));
	assert_int_equal(cc.nr_free + cc.nr_migrate, 0);
	note_positions(&out, &cc);
	out.migrate_scanned = (uint32_t)cc.nr_migrate_scanned;
	out.free_scanned = (uint32_t)cc.nr_free_scanned;
	out.moved = (uint32_t)(machine_events(f, EV_PGMIGRATE_SUCCESS) - moved);
	out.failed = (uint32_t)machine_events(f, EV_PGMIGRATE_FAIL);
	assert_int_equal(machine_events(f, EV_COMPACT_MIGRATE_SCANNED), cc.nr_migrate_scanned);
	assert_int_equal(machine_events(f, EV_COMPACT_FREE_SCANNED), cc.nr_free_scanned);
	machine_settle(f);
	picture_draw(&picture, drawn);
	out.after = drawn;
	if (getenv("NEAP_PICTURES") != NULL) {
		print_row(&out);
	} else if (!row_same(&out, current)) {
		print_row(current);
		print_row(&out);
		fail_msg("%s: the run did something else", current->name);
	}
	picture_end(&picture);
}

static void test_rows(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
		current = &rows[i];
		machine_run(&(struct machine_setup){ .pages = 4096,
						     .proactiveness = 20,
						     .dma_pages = picture_blocks(current->before) *
								  NEAP_PAGEBLOCK_PAGES },
			    body_row);
	}
	print_message("%u pictures\n", (uint32_t)ARRAY_LEN(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
