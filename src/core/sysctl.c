/*
 * sysctl.c: knobs of a running machine.
 *
 *   sysctl_write ── knobs_write ──> value in machine.sysctl
 *                        └──> effects ──┬─ marks, protection, per-CPU limits, node limits
 *                                       ├─ NUMA events zeroed, counters folded
 *                                       ├─ flusher and timer woken: their period changed
 *                                       ├─ page cache dropped
 *                                       └─ pool of huge pages resized
 *
 * The rules of the files are in core/knobs.c and the same for every user. Here is what is done
 * about a write, and what is not: a write that Linux would act on and this version does not is
 * refused by -ENOTSUP instead of being stored without meaning (kind NOT_YET in
 * sysctl_items.def). It is not refused if the value is the one in force already, because then
 * nothing is left undone.
 *
 * Writers are serialised by a sleeping lock (machine.sysctl_lock), since a write recomputes marks
 * of all zones; readers of values take none. What takes long, such as dropping the page cache,
 * happens after the lock was given back. A read that makes Linux recompute something does so here,
 * too, unless a write is under way.
 *
 * What must never happen: a value in machine.sysctl whose effect is missing.
 *
 * Linux: the handlers in mm/page_alloc.c, mm/page-writeback.c, mm/vmstat.c, mm/hugetlb.c,
 * fs/drop_caches.c; 6.1.
 */
#include "core/sysctl.h"

#include <errno.h>

#include "core/compact.h"
#include "core/hugepool.h"
#include "core/kcompactd.h"
#include "core/marks.h"
#include "core/pcp.h"
#include "core/shrinker.h"
#include "core/sleeplock.h"
#include "core/vmstat.h"
#include "core/writeback.h"

void sysctl_init(struct neap_machine *m)
{
	uint64_t nodes = 0;

	knobs_init(&m->sysctl);
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		nodes |= (uint64_t)1 << n;
	atomic_store(&m->sysctl.nodes, nodes);
}

void sysctl_init_reserves(struct neap_machine *m)
{
	knobs_init_reserves(&m->sysctl, machine_zone_stat(m, NR_FREE_PAGES));
}

/* ---- reading ---- */

int64_t sysctl_read(struct neap_machine *m, const char *name, char *buffer, size_t bytes)
{
	uint32_t effects = knobs_read_effects(name) & (KNOB_PROTECTION | KNOB_NODE_RATIOS);

	if (effects != 0 && sleeplock_try(&m->sysctl_lock)) {
		if (effects & KNOB_PROTECTION)
			marks_setup_protection(m);
		if (effects & KNOB_NODE_RATIOS)
			marks_setup_ratios(m);
		/* Without a task nobody is woken; who waits looks again in a moment. */
		atomic_store(&m->sysctl_lock, 0);
	}
	return knobs_read(&m->sysctl, name, buffer, bytes);
}

/* ---- writing ---- */

/* What a write recomputes. => sysctl_lock held */
static void sysctl_recompute(struct task *t, struct neap_machine *m, uint32_t effects)
{
	if (effects & KNOB_MARKS)
		marks_setup(t, m);
	if (effects & KNOB_PROTECTION)
		marks_setup_protection(m);
	if (effects & KNOB_LIMITS)
		pcp_limits_setup(m);
	if (effects & KNOB_NODE_RATIOS)
		marks_setup_ratios(m);
	if ((effects & KNOB_THP) && sysctl_get(&m->sysctl.thp_enabled) == KNOBS_THP_NEVER)
		marks_setup_automatic(t, m);
	else if (effects & KNOB_THP)
		marks_setup_raised(t, m);
	if (effects & KNOB_NUMA_STAT)
		vmstat_numa_reset(t, m);
}

/* The files read back what could be had. May sleep. */
static void sysctl_resize_pool(struct task *t, struct neap_machine *m, uint64_t want)
{
	uint64_t pages = hugepool_resize(t, m, want);

	sleeplock_take(t, &m->sysctl_lock);
	knobs_set_hugepages(&m->sysctl, pages);
	sleeplock_release(t, &m->sysctl_lock);
}

/* What a write sets in motion. => nothing held. May sleep. */
static void sysctl_perform(struct task *t, struct neap_machine *m, const struct knob_effects *done)
{
	uint32_t effects = done->what;

	if ((effects & KNOB_COMPACT) && done->node < 0)
		compact_all(t, m);
	else if (effects & KNOB_COMPACT)
		compact_node(t, &m->nodes[done->node]);
	if (effects & KNOB_KCOMPACTD)
		kcompactd_trigger(t, m);
	if (effects & KNOB_TIMER)
		waitq_wake(t, &m->timer_wait, 1);
	if (effects & KNOB_DIRTY)
		writeback_reset_held(t, m);
	if (effects & KNOB_FLUSHER)
		waitq_wake(t, &m->flush_wait, 1);
	if (effects & KNOB_FOLD)
		vmstat_fold_all(t, m);
	if (effects & KNOB_DROP_CACHE) {
		writeback_drop_clean(t, m);
		event_add(t, EV_DROP_PAGECACHE, 1);
	}
	if (effects & KNOB_DROP_SLAB) {
		shrinker_drop_all(t, m);
		event_add(t, EV_DROP_SLAB, 1);
	}
	if (effects & KNOB_HUGEPAGES)
		sysctl_resize_pool(t, m, done->hugepages);
}

/* Would this write do something that a machine cannot do? => false also if it is an error anyway */
static bool write_is_beyond(const struct neap_machine *m, const char *name, const char *text,
			    size_t bytes)
{
	struct knob_effects effects;
	struct knobs trial;

	if (knobs_kind(name) != KNOB_NOT_YET)
		return false;
	knobs_copy(&trial, &m->sysctl);
	if (knobs_write(&trial, name, text, bytes, &effects) < 0)
		return false;
	return !knobs_equal(&trial, &m->sysctl);
}

int64_t sysctl_write(struct task *t, struct neap_machine *m, const char *name, const char *text,
		     size_t bytes)
{
	struct knob_effects effects = { .what = 0 };
	int64_t result = -ENOTSUP;

	rt_assert_may_sleep(t);
	sleeplock_take(t, &m->sysctl_lock);
	if (!write_is_beyond(m, name, text, bytes)) {
		result = knobs_write(&m->sysctl, name, text, bytes, &effects);
		sysctl_recompute(t, m, effects.what);
	}
	sleeplock_release(t, &m->sysctl_lock);
	sysctl_perform(t, m, &effects);
	return result;
}
