/*
 * Who hears of failed requests.
 *
 *     alloc_full() ── no page ──> alloc_warn() ── NOWARN? ──────────────> nothing
 *                                      │ one in ten seconds
 *                                      ├── too soon: counted ───────────> nothing
 *                                      └── failure_hook(t, failure)       a report in text
 *                                          (src/api/failure.c)
 *
 * A request that fails does so again, often thousands of times in a row; one report of
 * the machine's state tells what a thousand would. The others are counted, and the next
 * report says how many there were.
 *
 * The period begins with the first report and is kept in one word, so that of several
 * tasks that fail at once exactly one is told.
 *
 * What must never happen: a hook that sleeps, or that takes what the failing task may
 * hold. The hook reads the machine as a snapshot does and writes a file.
 *
 * Linux: warn_alloc() of mm/page_alloc.c, lib/ratelimit.c. DIFF: a failure for which Linux
 * would call its OOM killer is told here as well, since there is none.
 */
#include "core/alloc_warn.h"

#include "core/gfp.h"

/* Is there any page that only zone DMA's requests may have? */
static bool has_dma(const struct neap_machine *m)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		if (zone_managed(&m->nodes[n].zone[ZONE_DMA]) != 0)
			return true;
	return false;
}

/* Whether a report is due. => counts the failure if it is not */
static bool warn_is_due(struct task *t, struct neap_machine *m)
{
	/* 0 means that there was none; the clock begins there. */
	uint64_t now_ns = rt_now(t) + 1;
	uint64_t begin_ns = atomic_load_explicit(&m->failure_begin_ns, memory_order_relaxed);

	if ((begin_ns == 0 || now_ns - begin_ns > ALLOC_WARN_PERIOD_NS) &&
	    atomic_compare_exchange_strong_explicit(&m->failure_begin_ns, &begin_ns, now_ns,
						    memory_order_relaxed, memory_order_relaxed))
		return true;
	atomic_fetch_add_explicit(&m->failures_suppressed, 1, memory_order_relaxed);
	return false;
}

void alloc_warn(struct task *t, const struct alloc_failure *failure)
{
	struct neap_machine *m = t->machine;
	struct alloc_failure told = *failure;
	void (*hook)(struct task *, const struct alloc_failure *) =
		atomic_load_explicit(&m->failure_hook, memory_order_acquire);

	if (hook == NULL || (failure->gfp & GFP_BIT_NOWARN) || !warn_is_due(t, m))
		return;
	if ((failure->gfp & GFP_BIT_DMA) && !has_dma(m))
		return;
	told.suppressed =
		atomic_exchange_explicit(&m->failures_suppressed, 0, memory_order_relaxed);
	told.show_all_nodes = (failure->gfp & GFP_BIT_DIRECT_RECLAIM) == 0 ||
			      (t->flags & (PF_MEMALLOC | PF_OOM_VICTIM | PF_IRQ)) != 0;
	hook(t, &told);
}
