/*
 * What programs say about pages of their regions: from the words of neap.h to the
 * engine's.
 *
 *   neap_advise ─┬─ patterns ........ a field of the region, for the whole of it
 *                ├─ DONTNEED ........ neap_release()
 *                ├─ POPULATE_* ...... faults, one by one (core/fault.c)
 *                └─ the rest ........ core/advice.c
 *
 * Linux splits a mapping where advice of a pattern ends; regions are never split, so a
 * pattern for a part of one is refused rather than given to all of it.
 *
 * What must never happen: advice that is taken and does nothing without saying so. What
 * Linux refuses (EINVAL) is refused here.
 *
 * Linux: mm/madvise.c.
 */
#include <errno.h>

#include "api/api.h"
#include "core/advice.h"
#include "core/fault.h"
#include "core/vmstat.h"

static int advise_pattern(struct neap_region *region, uint64_t first, uint64_t nr,
			  enum region_pattern pattern)
{
	if (first != 0 || nr != region->nr_pages)
		return api_fail(region->a, -EINVAL,
				"A pattern of access is said of a whole region, not of %llu of its"
				" %llu pages.",
				(unsigned long long)nr, (unsigned long long)region->nr_pages);
	atomic_store_explicit(&region->region->pattern, pattern, memory_order_relaxed);
	return 0;
}

static int advise_dontneed(struct neap_region *region, uint64_t first, uint64_t nr)
{
	if (region->region->flags & REGION_LOCKED)
		return -EINVAL;
	int64_t held = neap_release(region, first, nr);

	return held < 0 ? (int)held : 0;
}

/* => as core/advice.h, and -ENOTSUP: there is no such advice */
static int advise_pages(struct task *t, struct neap_region *region, uint64_t first, uint64_t nr,
			enum neap_advice advice)
{
	switch (advice) {
	case NEAP_COLD:
		return advice_cold(t, region->region, first, nr);
	case NEAP_PAGEOUT:
		return advice_pageout(t, region->region, first, nr);
	case NEAP_WILLNEED:
		return advice_willneed(t, region->region, first, nr);
	case NEAP_LAZYFREE:
		return advice_free(t, region->region, first, nr);
	case NEAP_DONTNEED:
		return advise_dontneed(region, first, nr);
	case NEAP_NORMAL:
		return advise_pattern(region, first, nr, REGION_NORMAL);
	case NEAP_RANDOM:
		return advise_pattern(region, first, nr, REGION_RANDOM);
	case NEAP_SEQUENTIAL:
		return advise_pattern(region, first, nr, REGION_SEQUENTIAL);
	case NEAP_POPULATE_READ:
		return fault_populate(t, region->region, first, nr, false);
	case NEAP_POPULATE_WRITE:
		return region->read_only ? -EACCES
					 : fault_populate(t, region->region, first, nr, true);
	}
	return -ENOTSUP;
}

int neap_advise(struct neap_region *region, uint64_t first_page, uint64_t nr_pages,
		enum neap_advice advice)
{
	struct task *t = api_task(region->a);

	if (t == NULL)
		return api_no_task(region->a);
	if (!api_range_is_valid(region, first_page, nr_pages))
		return api_fail(region->a, -EINVAL, "The pages are not all within the region.");
	if (nr_pages == 0)
		return 0;
	api_access_flush(t);
	event_add(t, EV_SIM_ADVICE, 1);
	int err = advise_pages(t, region, first_page, nr_pages, advice);

	rt_preempt(t);
	return err;
}
