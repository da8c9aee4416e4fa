/*
 * Shrinkers: how much a cache is asked to give up (spec 14, part A).
 *
 *   freeable n objects, priority p, seeks s
 *
 *     delta = (n >> p) * 4 / s        n / 2 if objects cost nothing to make again
 *     total = min((deferred >> p) + delta, 2 n)
 *
 *        total ──batch──batch──batch──┬── rest: less than a batch and less than all
 *                 scan()              └──> deferred, for the next call on this node
 *
 * So at one priority a cache loses the same share as the page lists do, twice that with
 * the usual seeks of 2; a small cache saves up until there is a batch to be had.
 *
 * The table of shrinkers is read by everybody who reclaims and changed seldom. Readers
 * only try: while a shrinker comes or goes, nothing is shrunk. Whoever changes the table
 * announces himself, waits until the last reader is out, and a reader that sees him
 * leaves after the cache it is at.
 *
 *   readers word   bit 31: the table is being changed     below: readers inside
 *
 * What must never happen: a function called after its shrinker was unregistered; work
 * lost between two calls that run at once. Each takes all of the deferred work, and adds
 * what it leaves.
 *
 * Linux: shrink_slab(), do_shrink_slab() of mm/vmscan.c; drop_slab() of fs/drop_caches.c,
 * 6.1. DIFF: no memory groups.
 */
#include "core/shrinker.h"

#include <errno.h>

#include "core/event.h"
#include "core/gfp.h"
#include "core/sleeplock.h"
#include "core/vmstat.h"

#define CHANGING 0x80000000u

/* ---- the table ---- */

int shrinker_init(struct neap_machine *m)
{
	m->shrinkers = m->hw->ops->reserve(m->hw, NEAP_MAX_SHRINKERS * sizeof(*m->shrinkers));
	return m->shrinkers != NULL ? 0 : -ENOMEM;
}

/* => false: the table is being changed */
static bool readers_enter(struct neap_machine *m)
{
	uint32_t seen = atomic_load(&m->shrinker_readers);

	while (!(seen & CHANGING))
		if (atomic_compare_exchange_weak(&m->shrinker_readers, &seen, seen + 1))
			return true;
	return false;
}

/* => somebody waits to change the table */
static bool readers_wanted_out(struct neap_machine *m)
{
	return (atomic_load(&m->shrinker_readers) & CHANGING) != 0;
}

static void readers_leave(struct task *t, struct neap_machine *m)
{
	if (atomic_fetch_sub(&m->shrinker_readers, 1) == (CHANGING | 1))
		rt_wake(t, &m->shrinker_readers, UINT32_MAX);
}

static void change_begin(struct task *t, struct neap_machine *m)
{
	sleeplock_take(t, &m->shrinkers_changing);
	uint32_t seen = atomic_fetch_or(&m->shrinker_readers, CHANGING) | CHANGING;

	/* event loop: a reader leaves after the cache it is at */
	while (seen != CHANGING) {
		(void)rt_wait(t, &m->shrinker_readers, seen, SLEEPLOCK_LOOK_NS);
		seen = atomic_load(&m->shrinker_readers);
	}
}

static void change_end(struct task *t, struct neap_machine *m)
{
	atomic_store(&m->shrinker_readers, 0);
	sleeplock_release(t, &m->shrinkers_changing);
}

int shrinker_register(struct task *t, struct neap_machine *m, const struct shrinker_spec *spec)
{
	int number = -ENOSPC;

	change_begin(t, m);
	if (m->nr_shrinkers < NEAP_MAX_SHRINKERS) {
		struct shrinker *shrinker = &m->shrinkers[m->nr_shrinkers++];

		*shrinker = (struct shrinker){ .spec = *spec, .number = ++m->shrinker_last };
		if (spec->batch == 0)
			shrinker->spec.batch = SHRINKER_BATCH;
		number = (int)shrinker->number;
	}
	change_end(t, m);
	return number;
}

int shrinker_unregister(struct task *t, struct neap_machine *m, uint32_t number)
{
	uint32_t at = 0;

	change_begin(t, m);
	uint32_t nr = m->nr_shrinkers;

	while (at < nr && m->shrinkers[at].number != number)
		at++;
	if (at < nr)
		m->nr_shrinkers--;
	/* The others keep their order. */
	for (uint32_t i = at; i + 1 < nr; i++)
		m->shrinkers[i] = m->shrinkers[i + 1];
	change_end(t, m);
	return at < nr ? 0 : -ENOENT;
}

/* ---- one cache ---- */

void shrinker_compute(struct shrinker_terms *terms, int32_t priority, uint32_t seeks)
{
	uint64_t n = terms->freeable;

	terms->delta = seeks != 0 ? (n >> priority) * 4 / seeks : n / 2;
	terms->total = min_u64((terms->deferred >> priority) + terms->delta, 2 * n);
}

uint64_t shrinker_left(const struct shrinker_terms *terms, uint64_t scanned)
{
	uint64_t left = terms->deferred + terms->delta;

	return min_u64(left - min_u64(left, scanned), 2 * terms->freeable);
}

/* => objects given up */
static uint64_t shrink(struct task *t, struct shrinker *shrinker, struct shrink_request *request,
		       int32_t priority)
{
	const struct shrinker_spec *spec = &shrinker->spec;
	_Atomic uint64_t *deferred = &shrinker->deferred[request->node->id];
	struct shrinker_terms terms = { .freeable = spec->count(t, spec->ctx, request) };
	uint64_t scanned = 0;
	uint64_t freed = 0;
	uint64_t result = 0;

	if (terms.freeable == 0)
		return 0;
	terms.deferred = atomic_exchange(deferred, 0);
	shrinker_compute(&terms, priority, spec->seeks);
	event_emit(t, MM_SHRINK_SLAB_START, shrinker->number, request->node->id, terms.deferred,
		   request->gfp, terms.freeable, terms.delta, terms.total, (uint64_t)priority);
	uint64_t total = terms.total;

	while (total >= spec->batch || total >= terms.freeable) {
		request->nr_to_scan = min_u64(spec->batch, total);
		request->nr_scanned = request->nr_to_scan;
		result = spec->scan(t, spec->ctx, request);
		if (result == SHRINK_STOP)
			break;
		freed += result;
		event_add(t, EV_SLABS_SCANNED, request->nr_scanned);
		total -= min_u64(total, request->nr_scanned);
		scanned += request->nr_scanned;
		rt_preempt(t);
		/* A cache that looked at nothing would be asked for ever. */
		if (request->nr_scanned == 0)
			break;
	}
	uint64_t next = shrinker_left(&terms, scanned);
	uint64_t now = atomic_fetch_add(deferred, next) + next;

	event_emit(t, MM_SHRINK_SLAB_END, shrinker->number, request->node->id, terms.deferred, now,
		   total, freed);
	return freed;
}

uint64_t shrinker_shrink_node(struct task *t, struct node *node, uint32_t gfp, int32_t priority)
{
	struct neap_machine *m = t->machine;
	uint64_t freed = 0;

	if (!readers_enter(m))
		return 0;
	for (uint32_t i = 0; i < m->nr_shrinkers; i++) {
		struct shrinker *shrinker = &m->shrinkers[i];
		struct shrink_request request = { .node = shrinker->spec.per_node ? node
										  : &m->nodes[0],
						  .gfp = gfp };

		freed += shrink(t, shrinker, &request, priority);
		if (readers_wanted_out(m)) {
			freed = max_u64(freed, 1);
			break;
		}
	}
	readers_leave(t, m);
	return freed;
}

void shrinker_drop_all(struct task *t, struct neap_machine *m)
{
	uint32_t memalloc = t->flags & PF_MEMALLOC;

	/* What is freed is not the business of a reclaim that may be under way; nor is memory got.
	 */
	t->flags |= PF_MEMALLOC;
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		uint64_t freed;
		uint32_t round = 0;

		do { /* bounded: each round must give twice as much as the one before */
			freed = shrinker_shrink_node(t, &m->nodes[n], GFP_KERNEL, 0);
			freed >>= round++;
		} while (freed > 1 && round < 64 && !(t->flags & PF_EXITING));
	}
	t->flags = (t->flags & ~PF_MEMALLOC) | memalloc;
}
