/*
 * The flusher thread, and the limit on dirty pages.
 *
 *   dirtyable = free - reserves + file pages on the LRU
 *   limit = dirtyable x dirty_ratio percent                   (or dirty_bytes)
 *   background = dirtyable x dirty_background_ratio percent   (or dirty_background_bytes)
 *
 *   0 ─────────── background ───────── (bg+limit)/2 ─────── limit
 *     writers run       flusher works     flusher works     writers wait
 *
 * The flusher sleeps without limit while nothing is dirty. It works when the
 * background limit is passed, when reclaim asks (too many dirty pages at the end
 * of the LRU), and every dirty_writeback_centisecs (5 s) for files that have been dirty
 * for dirty_expire_centisecs (30 s).
 *
 * The limit falls when programs take memory, and writers are not stopped at once for that: what
 * holds them follows the limit up at once, and down by a part in 32 of what lies between (or
 * between it and what is dirty) each 200 ms in which somebody writes above the middle. Writing the
 * limit's knobs sets it.
 *
 *   limit   ━━━━━━━━━━┓
 *   held at ──────────╲___
 *                     ┗━━━━━━━━━━━━━━━━
 *
 * What must never happen: the flusher waiting for memory that only its own
 * write-out can free. It runs with PF_MEMALLOC, so its few allocations use the
 * reserves and never enter reclaim.
 *
 * Linux: mm/page-writeback.c (domain_dirty_limits(), update_dirty_limit()),
 * fs/fs-writeback.c. DIFF: writers above what holds them wait in steps of at most 200 ms
 * until they are below it; there is no bandwidth estimate that paces them before, so what
 * holds them falls only while less is dirty.
 */
#include "core/writeback.h"

#include "core/aops.h"
#include "core/freezer.h"
#include "core/sysctl.h"
#include "core/vmstat.h"

#define FLUSH_ROUND_PAGES 1024u
#define CENTISEC_NS (10 * NSEC_PER_MSEC)
#define WRITER_PAUSE_NS (200 * NSEC_PER_MSEC)
#define HELD_STEP_NS (200 * NSEC_PER_MSEC)
#define HELD_SHIFT 5u /* steps of 1 / 32 */

uint64_t writeback_dirtyable_pages(struct neap_machine *m)
{
	uint64_t free = machine_zone_stat(m, NR_FREE_PAGES);
	uint64_t reserve = atomic_load_explicit(&m->reserve_pages, memory_order_relaxed);

	return free - min_u64(free, reserve) + machine_node_stat(m, NR_INACTIVE_FILE) +
	       machine_node_stat(m, NR_ACTIVE_FILE);
}

/*
 * A limit: that many bytes if they are set, else a share of `pages`. Linux turns percent into parts
 * of a page first, so that 20 % are 819 / 4096.
 */
static uint64_t limit_pages(uint64_t pages, uint64_t bytes, int32_t percent)
{
	uint64_t parts = (uint64_t)percent * NEAP_PAGE_BYTES / 100;

	if (bytes != 0)
		return (bytes + NEAP_PAGE_BYTES - 1) / NEAP_PAGE_BYTES;
	return pages * parts / NEAP_PAGE_BYTES;
}

void writeback_limits(struct neap_machine *m, uint64_t *background, uint64_t *limit)
{
	const struct knobs *k = &m->sysctl;
	uint64_t pages = writeback_dirtyable_pages(m);

	*limit = limit_pages(pages, knobs_get_wide(&k->dirty_bytes), knobs_get(&k->dirty_ratio));
	*background = limit_pages(pages, knobs_get_wide(&k->dirty_background_bytes),
				  knobs_get(&k->dirty_background_ratio));
	if (*background >= *limit)
		*background = *limit / 2;
}

void writeback_wake(struct task *t, struct neap_machine *m)
{
	atomic_store(&m->flush_requested, 1);
	waitq_wake(t, &m->flush_wait, 1);
}

void writeback_note_dirty(struct task *t, struct neap_machine *m)
{
	waitq_wake(t, &m->flush_wait, 1);
}

static uint64_t dirty_pages(struct neap_machine *m)
{
	return machine_node_stat(m, NR_DIRTY);
}

/* What is dirty or on its way to a device, differences that CPUs keep included. */
static uint64_t unwritten_exact(const struct neap_machine *m)
{
	uint64_t pages = 0;

	for (uint32_t n = 0; n < m->nr_nodes; n++)
		pages += node_stat_exact(&m->nodes[n], NR_DIRTY) +
			 node_stat_exact(&m->nodes[n], NR_WRITEBACK);
	return pages;
}

void writeback_reset_held(struct task *t, struct neap_machine *m)
{
	uint64_t background, limit;

	writeback_limits(m, &background, &limit);
	/* The time first: whoever makes a step after that finds that it is not due. */
	atomic_store(&m->dirty_held_ns, rt_now(t));
	atomic_store(&m->dirty_held_pages, limit);
}

/*
 * How much may be dirty before writers are held, given the limit now. Who comes first after a
 * step's time makes the step; a race is worth a step. => at least `limit`
 */
static uint64_t held_at(struct task *t, struct neap_machine *m, uint64_t limit, uint64_t dirty)
{
	uint64_t held = atomic_load_explicit(&m->dirty_held_pages, memory_order_relaxed);
	uint64_t then_ns = atomic_load_explicit(&m->dirty_held_ns, memory_order_relaxed);
	uint64_t least = max_u64(limit, dirty);
	uint64_t now_ns = rt_now(t);

	if (now_ns < then_ns + HELD_STEP_NS ||
	    !atomic_compare_exchange_strong(&m->dirty_held_ns, &then_ns, now_ns))
		return max_u64(held, limit);
	if (held < limit)
		held = limit;
	else if (held > least)
		held -= (held - least) >> HELD_SHIFT;
	atomic_store_explicit(&m->dirty_held_pages, held, memory_order_relaxed);
	return held;
}

/*
 * Is a writer to wait? Asks the flusher for help on the way. On a small machine the limit is less
 * than what counters may lag by: nobody waits for pages that only a counter knows.
 */
static bool writer_must_wait(struct task *t, struct neap_machine *m)
{
	uint64_t dirty = dirty_pages(m) + machine_node_stat(m, NR_WRITEBACK);
	uint64_t background, limit;

	writeback_limits(m, &background, &limit);
	if (dirty <= (background + limit) / 2)
		return false;
	if (dirty_pages(m) != 0)
		writeback_wake(t, m);
	limit = held_at(t, m, limit, dirty);
	return dirty > limit && !atomic_load(&m->stopping) && unwritten_exact(m) > limit;
}

void writeback_balance_dirty(struct task *t, struct neap_machine *m)
{
	bool wait = writer_must_wait(t, m);

	/* event loop: at most until the write-out of what is dirty now is over */
	for (uint32_t rounds = 0; rounds < 50 && wait; rounds++) {
		/* A waiter before it looks again: a write that ends between must not be missed. */
		uint32_t seq = waitq_begin(t, &m->dirty_wait);

		wait = writer_must_wait(t, m);
		if (wait)
			waitq_wait(t, &m->dirty_wait, seq, WRITER_PAUSE_NS);
		waitq_end(&m->dirty_wait);
	}
}

/* ---- the flusher ---- */

/* The mapping after id (0 = the first), kept alive by its user count. => NULL at the end */
static struct mapping *next_mapping(struct task *t, struct neap_machine *m, struct mapping *after)
{
	struct mapping *next = NULL;

	spin_lock(t, &m->mapping_list_lock, LOCK_SPACE);
	uint32_t id = after == NULL ? m->first_mapping : after->next_mapping;

	/* The link of a file that left the list may be stale: the walk ends early. */
	if (after != NULL && after->unlisted)
		id = 0;
	if (id != 0) {
		next = pool_get(&m->mappings, id);
		atomic_fetch_add(&next->users, 1);
	}
	spin_unlock(t, &m->mapping_list_lock, LOCK_SPACE);
	return next;
}

void writeback_drop_clean(struct task *t, struct neap_machine *m)
{
	struct mapping *mapping = next_mapping(t, m, NULL);

	while (mapping != NULL) {
		(void)mapping->ops->invalidate(t, mapping); /* what is in use stays */
		struct mapping *next = next_mapping(t, m, mapping);

		mapping_leave(t, mapping);
		mapping = next;
	}
}

/* One walk over all files. => pages submitted */
static uint64_t flush_round(struct task *t, struct neap_machine *m, bool all)
{
	uint64_t submitted = 0;
	uint64_t now_ns = rt_now(t);
	uint64_t age_ns = (uint64_t)sysctl_get(&m->sysctl.dirty_expire_centisecs) * CENTISEC_NS;
	struct mapping *mapping = next_mapping(t, m, NULL);

	while (mapping != NULL) {
		uint64_t since = atomic_load(&mapping->dirtied_when_ns);

		if (since != 0 && (all || now_ns >= since + age_ns))
			submitted += mapping->ops->write_pages(t, mapping, FLUSH_ROUND_PAGES);
		struct mapping *next = next_mapping(t, m, mapping);

		mapping_leave(t, mapping);
		mapping = next;
	}
	return submitted;
}

static bool above_background(struct neap_machine *m)
{
	uint64_t background, limit;

	writeback_limits(m, &background, &limit);
	return dirty_pages(m) > background;
}

/* Exact: a page that is only in a CPU's difference of the counter must not be forgotten. */
static bool any_dirty(const struct neap_machine *m)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		if (node_stat_exact(&m->nodes[n], NR_DIRTY) != 0)
			return true;
	return false;
}

/* How long the flusher sleeps while files are dirty: 0 switches periodic work off. */
static uint64_t flush_period_ns(struct neap_machine *m)
{
	int32_t centisecs = sysctl_get(&m->sysctl.dirty_writeback_centisecs);

	return centisecs > 0 ? (uint64_t)centisecs * CENTISEC_NS : RT_FOREVER;
}

static void flush_sleep(struct task *t, struct neap_machine *m)
{
	uint32_t seq = waitq_begin(t, &m->flush_wait);

	if (!atomic_load(&m->flush_requested) && !freezer_should_stop(m))
		waitq_wait(t, &m->flush_wait, seq, any_dirty(m) ? flush_period_ns(m) : RT_FOREVER);
	waitq_end(&m->flush_wait);
}

int writeback_thread(struct task *t, void *machine)
{
	struct neap_machine *m = machine;

	t->machine = m;
	/* event loop */
	while (!atomic_load(&m->stopping)) {
		flush_sleep(t, m);
		if (freezer_wait(t, m, NULL))
			continue;
		if (atomic_load(&m->stopping))
			break;
		bool asked = atomic_exchange(&m->flush_requested, 0) != 0;

		do {
			if (flush_round(t, m, asked || above_background(m)) == 0)
				break;
			rt_preempt(t);
		} while (above_background(m) && !freezer_should_stop(m)); /* event loop */
	}
	return 0;
}
