/*
 * A store that fails on request, wrapped around any other.
 *
 *     submit --> fails? --yes--------------------------------+
 *                  | no                                      v
 *                cut in two? --> inner->submit --> done --> finish --> engine's done
 *                                                   |          ^
 *                                             late? +--timer---+
 *                                      held back?   +--held[]--+
 *
 * What is injected is decided by rules and by a seeded generator, one draw for each
 * rule that is on, in the order of the pages. A failing page never reaches the
 * inner store, so a failed write has written nothing.
 *
 * NOTHING IS STUCK. A completion may be held back only while another page of this
 * store is in flight (and neither held nor answered): whoever is bound to reap that
 * page ends up here again, and the last page in flight takes all held ones with
 * it. The rule needs no clock, no thread and no help from the host, so the wrapper
 * can use the host of the inner store, and it works for every runtime. Everything
 * counts as in flight from the entry of submit(): injected failures, pages not yet
 * handed on, completions whose timer runs.
 *
 * A late completion waits for a timer in virtual time. Live there are no timers:
 * it spins for a short while, which is enough to let other threads overtake it.
 *
 * The lock (LOCK_IO) guards rules, generator and held[]; it is never held while
 * the inner store or the engine is called.
 *
 * Invariants
 *   1. held completions exist only while in_flight > 0;
 *   2. every page submitted is answered exactly once;
 *   3. the wrapper is not touched after its last answer.
 */
#include "store/fault.h"

#include <errno.h>
#include <stdlib.h>

#include "base/rng.h"

#define PIECE_PAGES 32u
#define SPIN_NS_MAX (20 * NSEC_PER_USEC)

struct fault_answer {
	uint64_t cookie;
	int err;
};

/* Legend: I immutable, f lock. */
struct store_fault {
	struct store store;
	struct store *inner;				/* I */
	struct spinlock lock;				/* LOCK_IO */
	struct store_fault_spec rule;			/* f: nth_* count down */
	int nth_error[2];				/* f: by enum store_op */
	struct rng rng;					/* f */
	uint64_t in_flight;				/* f: pages neither held nor answered */
	uint32_t nr_held;				/* f */
	struct fault_answer held[STORE_FAULT_HOLD_MAX]; /* f */
	struct store_fault_counts counts;		/* f */
};

/* Answers taken out of the wrapper under its lock, to be given without it. */
struct fault_batch {
	uint32_t nr;
	struct fault_answer answers[STORE_FAULT_HOLD_MAX + 1];
};

static struct store_fault *fault_of(struct store *store)
{
	return container_of(store, struct store_fault, store);
}

static void fault_lock(struct store_fault *fault, struct task *t)
{
	spin_lock(t, &fault->lock, LOCK_IO);
}

static void fault_unlock(struct store_fault *fault, struct task *t)
{
	spin_unlock(t, &fault->lock, LOCK_IO);
}

/* => lock held; draws only for rules that are on, so that rules do not disturb each other */
static bool chance(struct store_fault *fault, uint32_t permille)
{
	return permille != 0 && rng_below(&fault->rng, 1000) < permille;
}

static int error_or_eio(int error)
{
	return error != 0 ? error : -EIO;
}

/* ---- completions ---- */

/* Takes all held answers in an order chosen by the seed. => lock held */
static void held_take(struct store_fault *fault, struct fault_batch *batch)
{
	for (uint32_t left = fault->nr_held; left > 0; left--) {
		uint32_t pick = (uint32_t)rng_below(&fault->rng, left);

		batch->answers[batch->nr++] = fault->held[pick];
		if (pick != 0)
			fault->counts.overtaken++;
		/* Keep the rest in order of arrival: then pick 0 is "not overtaken". */
		for (uint32_t i = pick; i + 1 < left; i++)
			fault->held[i] = fault->held[i + 1];
	}
	fault->nr_held = 0;
}

/*
 * One page in flight has its result: hold it back, or answer it, and with the last
 * one (or a full table) all that are held.
 * => any context in which done() may be called; the store may be gone afterwards
 */
static void fault_finish(struct store_fault *fault, struct task *t, uint64_t cookie, int err)
{
	const struct fault_answer answer = { .cookie = cookie, .err = err };
	store_done_fn done = fault->store.done;
	void *ctx = fault->store.done_ctx;
	struct fault_batch batch = { .nr = 0 };

	fault_lock(fault, t);
	CHECK(fault->in_flight > 0);
	fault->in_flight--;
	if (fault->in_flight > 0 && fault->nr_held < fault->rule.hold &&
	    chance(fault, fault->rule.reorder_permille)) {
		fault->held[fault->nr_held++] = answer;
		fault->counts.held++;
	} else {
		batch.answers[batch.nr++] = answer;
		if (fault->nr_held > 0 &&
		    (fault->in_flight == 0 || fault->nr_held >= fault->rule.hold)) {
			fault->counts.overtaken++;
			held_take(fault, &batch);
		}
	}
	DCHECK(fault->nr_held == 0 || fault->in_flight > 0);
	fault_unlock(fault, t);
	for (uint32_t i = 0; i < batch.nr; i++)
		done(ctx, t, batch.answers[i].cookie, batch.answers[i].err);
}

static void fault_late(struct task *irq, void *arg, uint64_t cookie, uint64_t err)
{
	fault_finish(arg, irq, cookie, (int)(int64_t)err);
}

/* Live, a completion can only be late by keeping its reaper busy. */
static void spin(struct task *t, uint64_t ns)
{
	uint64_t start_ns = rt_now(t);

	ns = min_u64(ns, SPIN_NS_MAX);
	for (uint32_t i = 0; i < 1000000 && rt_now(t) - start_ns < ns; i++)
		atomic_signal_fence(memory_order_seq_cst);
}

/* The inner store's done. */
static void fault_done(void *ctx, struct task *t, uint64_t cookie, int err)
{
	struct store_fault *fault = ctx;
	uint64_t late_ns = 0;

	fault_lock(fault, t);
	if (fault->rule.delay_ns != 0 && chance(fault, fault->rule.delay_permille)) {
		late_ns = 1 + rng_below(&fault->rng, fault->rule.delay_ns);
		fault->counts.delayed++;
	}
	fault_unlock(fault, t);
	if (late_ns != 0 && t->rt->virtual_time &&
	    t->rt->ops->call_at(t, task_cpu(t), rt_now(t) + late_ns, fault_late, fault, cookie,
				(uint64_t)(int64_t)err) == 0)
		return;
	if (late_ns != 0 && !t->rt->virtual_time)
		spin(t, late_ns);
	fault_finish(fault, t, cookie, err);
}

/* ---- submission ---- */

/* Has the countdown of an Nth rule reached its page? */
static bool nth_hit(uint64_t *nth)
{
	return *nth != 0 && --*nth == 0;
}

/* Decides the fate of one page. => lock held; 0 = hand it on, else the error to report */
static int page_fate(struct store_fault *fault, enum store_op op, uint64_t page)
{
	struct store_fault_spec *rule = &fault->rule;
	bool read = op == STORE_READ;
	uint32_t ops = rule->bad_ops != 0 ? rule->bad_ops : 1u << STORE_READ | 1u << STORE_WRITE;
	bool by_chance = chance(fault, read ? rule->read_permille : rule->write_permille);
	bool by_range = page >= rule->bad_first && page - rule->bad_first < rule->bad_pages &&
			(ops & 1u << op);
	int err = 0;

	if (by_chance || by_range)
		err = error_or_eio(rule->error);
	if (nth_hit(read ? &rule->nth_read : &rule->nth_write))
		err = error_or_eio(fault->nth_error[op]);
	if (read) {
		fault->counts.reads++;
		fault->counts.failed_reads += err != 0;
	} else {
		fault->counts.writes++;
		fault->counts.failed_writes += err != 0;
	}
	return err;
}

/* A piece of a submit, sorted into pages to hand on and pages to fail. */
struct piece {
	struct store_page good[PIECE_PAGES];
	struct fault_answer bad[PIECE_PAGES];
	uint32_t nr_good;
	uint32_t nr_bad;
	uint32_t cut; /* hand on so many first, and the rest in a submit of its own; 0 = no cut */
};

static void piece_sort(struct store_fault *fault, struct task *t, enum store_op op,
		       const struct store_page *pages, struct piece *piece)
{
	uint32_t nr = piece->nr_good;

	piece->nr_good = 0;
	fault_lock(fault, t);
	for (uint32_t i = 0; i < nr; i++) {
		int err = page_fate(fault, op, pages[i].offset);

		if (err == 0)
			piece->good[piece->nr_good++] = pages[i];
		else
			piece->bad[piece->nr_bad++] =
				(struct fault_answer){ .cookie = pages[i].cookie, .err = err };
	}
	if (piece->nr_good > 1 && chance(fault, fault->rule.short_permille)) {
		piece->cut = 1 + (uint32_t)rng_below(&fault->rng, piece->nr_good - 1);
		fault->counts.cuts++;
	}
	fault_unlock(fault, t);
}

static void fault_submit(struct store *store, struct task *t, enum store_op op,
			 const struct store_page *pages, uint32_t nr, uint32_t flags)
{
	struct store_fault *fault = fault_of(store);
	struct store *inner = fault->inner;

	rt_assert_may_sleep(t);
	fault_lock(fault, t);
	fault->in_flight += nr;
	fault_unlock(fault, t);
	while (nr > 0) {
		struct piece piece = { .nr_good = min_u32(nr, PIECE_PAGES) };

		pages += piece.nr_good;
		nr -= piece.nr_good;
		piece_sort(fault, t, op, pages - piece.nr_good, &piece);
		/* After its last page the wrapper may be gone: pages are counted, not asked for. */
		if (piece.cut > 0)
			inner->ops->submit(inner, t, op, piece.good, piece.cut, flags);
		if (piece.nr_good > piece.cut)
			inner->ops->submit(inner, t, op, piece.good + piece.cut,
					   piece.nr_good - piece.cut, flags);
		for (uint32_t i = 0; i < piece.nr_bad; i++)
			fault_finish(fault, t, piece.bad[i].cookie, piece.bad[i].err);
	}
}

/* ---- the other operations ---- */

static void fault_geometry(struct store *store, struct store_geometry *out)
{
	struct store *inner = fault_of(store)->inner;

	inner->ops->geometry(inner, out);
}

static void fault_discard(struct store *store, struct task *t, uint64_t first, uint64_t nr)
{
	struct store *inner = fault_of(store)->inner;

	inner->ops->discard(inner, t, first, nr);
}

static int fault_sync(struct store *store, struct task *t)
{
	struct store_fault *fault = fault_of(store);
	bool fails = false;
	int err;

	fault_lock(fault, t);
	if (fault->rule.nth_sync != 0 && --fault->rule.nth_sync == 0) {
		fails = true;
		fault->counts.failed_syncs++;
	}
	err = error_or_eio(fault->rule.error);
	fault_unlock(fault, t);
	return fails ? err : fault->inner->ops->sync(fault->inner, t);
}

static int fault_truncate(struct store *store, struct task *t, uint64_t pages)
{
	struct store *inner = fault_of(store)->inner;

	return inner->ops->truncate(inner, t, pages);
}

static void fault_close(struct store *store)
{
	struct store_fault *fault = fault_of(store);

	CHECK(fault->in_flight == 0 && fault->nr_held == 0);
	fault->inner->ops->close(fault->inner);
	free(fault);
}

static const struct store_ops fault_store_ops = {
	.submit = fault_submit,
	.geometry = fault_geometry,
	.discard = fault_discard,
	.sync = fault_sync,
	.truncate = fault_truncate,
	.close = fault_close,
};

/* ---- rules ---- */

/* => lock held, or nobody else knows the wrapper yet */
static void rules_apply(struct store_fault *fault, const struct store_fault_spec *spec)
{
	fault->rule = *spec;
	fault->rule.hold = min_u32(spec->hold, STORE_FAULT_HOLD_MAX);
	fault->nth_error[STORE_READ] = spec->error;
	fault->nth_error[STORE_WRITE] = spec->error;
}

int store_fault_wrap(struct store *inner, const struct store_fault_spec *spec, struct store **out)
{
	struct store_fault *fault;

	if (spec->error > 0 || spec->hold > STORE_FAULT_HOLD_MAX)
		return -EINVAL;
	fault = calloc(1, sizeof(*fault));
	if (fault == NULL)
		return -ENOMEM;
	fault->store.ops = &fault_store_ops;
	fault->store.host = inner->host;
	fault->inner = inner;
	rng_seed(&fault->rng, spec->seed);
	rules_apply(fault, spec);
	inner->done = fault_done;
	inner->done_ctx = fault;
	*out = &fault->store;
	return 0;
}

void store_fault_set(struct store *store, struct task *t, const struct store_fault_spec *spec)
{
	struct store_fault *fault = fault_of(store);

	CHECK(spec->error <= 0);
	fault_lock(fault, t);
	rules_apply(fault, spec);
	fault_unlock(fault, t);
}

void store_fault_arm(struct store *store, struct task *t, enum store_op op, uint64_t nth, int error)
{
	struct store_fault *fault = fault_of(store);

	CHECK(error <= 0);
	fault_lock(fault, t);
	if (op == STORE_READ)
		fault->rule.nth_read = nth;
	else
		fault->rule.nth_write = nth;
	fault->nth_error[op] = error;
	fault_unlock(fault, t);
}

void store_fault_counts(struct store *store, struct task *t, struct store_fault_counts *out)
{
	struct store_fault *fault = fault_of(store);

	fault_lock(fault, t);
	*out = fault->counts;
	fault_unlock(fault, t);
}
