/*
 * contig.c: a range of frames, emptied and taken.
 *
 *   pageblocks  |   A    |   B    |   C    |        set aside (core/isolate.h)
 *   range           first|---------|end
 *   before      .u.ff..u.|ufuu.u.uf|uf..fuu          u in use, f free
 *   moved       .u.ff..u.|fffffffff|uf..fuu          migration, to the rest of the zone
 *   taken       .u.ff..u.|#########|uf..fuu          off the free lists, to the last frame
 *
 *   1. LRU batches off, so that every page of an LRU list can be seen there
 *   2. the pageblocks are set aside: nothing is allocated from them any more, and what becomes
 *      free stays free
 *   3. per-CPU lists of the zone are drained
 *   4. bites of pages are isolated and moved, five times at most before the range is called busy;
 *      huge pages are split first
 *   5. is everything free now? Then all of it is taken off the lists; what a free block has
 *      beyond the range's ends is given back
 *   6. the pageblocks get their type back, in every case
 *
 * The search for any range tries one candidate after the other, and looks at nothing but whether
 * the frames are there: whether they can be moved turns out in the attempt.
 *
 * What must never happen:
 *   1. a pageblock that stays set aside
 *   2. a frame of the range taken while somebody else uses it: it comes off a free list, in strict
 *      mode, or not at all
 *
 * Linux: alloc_contig_range(), alloc_contig_pages() of mm/page_alloc.c, 6.1. DIFF: targets are of
 * the same zone; clean pages of files are moved, too, instead of being reclaimed; a transparent
 * huge page is split and its parts are moved; a page of the pool of huge pages makes a range busy.
 */
#include "core/contig.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/compact.h"
#include "core/isolate.h"
#include "core/lru.h"
#include "core/migrate.h"
#include "core/pcp.h"
#include "core/thp.h"
#include "core/zonelist.h"

#define TRIES_MOST 5u /* calls of migration that left something */
#define TARGET_GFP (GFP_USER | GFP_BIT_MOVABLE | GFP_BIT_RETRY_MAYFAIL)

/* ---- moving away ---- */

/* Where pages of the zone may go: a list of this zone alone. */
struct targets {
	struct zonelist list;
	struct zoneref ref[2];
	uint32_t gfp;
};

static void targets_init(struct targets *targets, struct zone *zone)
{
	targets->gfp = TARGET_GFP;
	targets->ref[0] = (struct zoneref){ .zone = zone, .index = zone->type };
	targets->ref[1] = (struct zoneref){ .zone = NULL };
	atomic_init(&targets->list.ref, targets->ref);
	for (uint32_t limit = 0; limit < NR_ZONES; limit++)
		atomic_init(&targets->list.first[limit],
			    &targets->ref[limit >= zone->type ? 0 : 1]);
	if (zone->type == ZONE_DMA)
		targets->gfp |= GFP_BIT_DMA; /* nothing is kept for others */
	if (zone->type == ZONE_MOVABLE)
		targets->gfp |= GFP_BIT_HIGHMEM;
}

static uint32_t target_get(struct task *t, void *arg)
{
	const struct targets *targets = arg;

	return alloc_page_from(t, &targets->list, targets->gfp);
}

static void target_put(struct task *t, void *arg, uint32_t pfn)
{
	(void)arg;
	page_put(t, machine_page(t->machine, pfn));
}

/* Empties the range as far as it can. => 0, -EINTR, -ENOMEM, -EBUSY. Nothing is isolated then. */
static int move_away(struct task *t, struct compact_control *cc, uint32_t first, uint32_t end)
{
	struct targets targets;
	struct migrate_control control = { .mode = MIGRATE_SYNC,
					   .reason = MIGRATE_FOR_CONTIG,
					   .get_target = target_get,
					   .put_target = target_put,
					   .arg = &targets };
	uint32_t tries = 0;
	int err = 0;

	targets_init(&targets, cc->zone);
	thp_split_range(t, first, end);
	while ((first < end || cc->nr_migrate != 0) && err == 0) {
		if (t->flags & PF_EXITING) {
			err = -EINTR;
		} else if (cc->nr_migrate == 0) {
			tries = 0;
			err = compact_scan_range(t, cc, first, end, &first);
			err = err == -EAGAIN ? 0 : err;
		} else if (++tries == TRIES_MOST) {
			err = -EBUSY;
		}
		if (err != 0 || cc->nr_migrate == 0)
			continue;
		int left = migrate_pages(t, &cc->migrate, &control);

		err = left < 0 ? left : 0;
		cc->nr_migrate = left > 0 ? (uint32_t)left : 0;
	}
	migrate_putback(t, &cc->migrate);
	cc->nr_migrate = 0;
	return err;
}

/* ---- taking ---- */

/* The head of the free block that contains `first`; `first` itself if that is not free. */
static uint32_t block_around(const struct neap_machine *m, uint32_t first)
{
	for (uint32_t order = 0; order <= NEAP_MAX_ORDER; order++) {
		uint32_t head = first & ~((1u << order) - 1);
		uint64_t flags = page_flags(machine_page(m, head));

		if (flags & PG_BUDDY)
			return head + (1u << page_order_of(flags)) > first ? head : first;
	}
	return first;
}

/* All of the range must be free: takes it. => 0 or -EBUSY */
static int take(struct task *t, struct compact_control *cc, uint32_t first, uint32_t end)
{
	struct page *pages = t->machine->pages;
	uint32_t from = block_around(t->machine, first);

	if (isolate_test(t, cc->zone, from, end) != PFN_NONE ||
	    compact_free_range(t, cc, from, end) == 0)
		return -EBUSY;
	while (!list_empty(&cc->free)) {
		uint32_t pfn = list_pop(pages, &cc->free);

		if (pfn < first || pfn >= end)
			page_put(t, &pages[pfn]);
		else
			page_set(&pages[pfn], PG_KERNEL);
	}
	cc->nr_free = 0;
	return 0;
}

int contig_alloc(struct task *t, struct zone *zone, uint32_t first, uint32_t end, uint32_t type)
{
	struct compact_control cc = {
		.zone = zone,
		.order = COMPACT_WHOLE,
		.gfp = GFP_KERNEL,
		.mode = MIGRATE_SYNC,
		.ignore_skip_hint = true,
		.no_set_skip_hint = true,
	};

	rt_assert_may_sleep(t);
	lru_disable(t);
	int err = isolate_set(t, zone, first, end, type);

	if (err == 0) {
		pcp_drain_all(t, t->machine, zone);
		err = move_away(t, &cc, first, end);
		/* Whoever was in the way may be gone: only what is there now counts. */
		if (err == 0 || err == -EBUSY)
			err = take(t, &cc, first, end);
		isolate_clear(t, zone, first, end, type);
	}
	lru_enable(t);
	return err;
}

/* ---- any range ---- */

/*
 * Frames that boot took, that are not there, or that are another zone's, cannot be had by any
 * effort.
 */
static bool range_is_there(const struct zone *zone, uint64_t first, uint64_t end)
{
	for (uint64_t pfn = first; pfn < end; pfn++)
		if (pfn - zone->reserved_first < zone->nr_reserved ||
		    pfn - zone->absent_first < zone->nr_absent ||
		    !zone_has_frame(zone, (uint32_t)pfn))
			return false;
	return true;
}

/* => as contig_alloc_pages(), or -EBUSY */
static int search_zone(struct task *t, struct zone *zone, uint32_t nr_pages, uint32_t *first)
{
	uint64_t zone_last = (uint64_t)zone->start_pfn + zone_spanned(zone);
	uint64_t pfn = ((uint64_t)zone->start_pfn + nr_pages - 1) / nr_pages * nr_pages;

	for (; pfn + nr_pages <= zone_last; pfn += nr_pages) {
		if (!range_is_there(zone, pfn, pfn + nr_pages))
			continue;
		int err = contig_alloc(t, zone, (uint32_t)pfn, (uint32_t)(pfn + nr_pages),
				       MT_MOVABLE);

		*first = (uint32_t)pfn;
		if (err == 0 || err == -EINTR)
			return err;
		rt_preempt(t);
	}
	return -EBUSY;
}

int contig_alloc_pages(struct task *t, uint32_t node, uint32_t nr_pages, uint32_t *first)
{
	const struct zoneref *ref;

	CHECK(nr_pages != 0);
	zonelist_for_each(ref, &t->machine->nodes[node].fallback, gfp_highest_zone(GFP_KERNEL),
			  NULL)
	{
		int err = search_zone(t, ref->zone, nr_pages, first);

		if (err == 0 || err == -EINTR)
			return err;
	}
	return -ENOMEM;
}

void contig_free(struct task *t, uint32_t first, uint32_t nr_pages)
{
	for (uint32_t pfn = first; pfn < first + nr_pages; pfn++) {
		struct page *page = machine_page(t->machine, pfn);

		CHECK(page_test(page, PG_KERNEL));
		page_clear(page, PG_KERNEL);
		/* Not always the last reference: an old table entry may have led somebody here. */
		page_put(t, page);
	}
}
