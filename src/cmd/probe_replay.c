/*
 * A recorded sequence, from its first line to its last.
 *
 *     state, state, burst     load the first ── each operation: perform, compare
 *                                            └─ at the end: compare with the second state
 *     burst alone             load the nearest state ── perform ── compare free pages at failures
 *     note                    settings and policies for what follows
 *     operation alone         only what it did to the slots
 *
 * A burst that begins from its own state is compared exactly. After its first difference the two
 * machines hold different memory, so the rest of the burst is not compared and counts as not equal.
 *
 * Which pages in use could be moved is not recorded, and decides whether a theft takes the whole
 * pageblock. Where a recorded theft decided otherwise, that says how many there were, and the burst
 * is played again from its beginning (cmd/probe_guess.c); of how many pageblocks something had to
 * be assumed is counted, and printed.
 *
 * A burst without a state begins from the recorded state that stands nearest, made like what is
 * known of the moment: per-CPU lists are emptied if the script says so just before, and
 * cmd/probe_moment.c has the rest. Then only the number of free pages at each failure is compared,
 * and only within what the counter's steps allow: a batch, the threshold of the per-CPU
 * differences, and one.
 *
 * Bursts of a task with PF_MEMALLOC are kept apart: the recorded kernels seem to show no effect of
 * it. (They do: without marks such a request stops only where nothing but the HighAtomic reserve is
 * left, to which it has no right; where that is depends on frames that are not recorded.)
 *
 * Where an interleaving policy stood when a burst began is not recorded. Every node of the mask is
 * tried as the first, and the best counts: the rest of the burst must then fit.
 *
 * What must never happen: a burst that is left out without a word.
 */
#include "cmd/probe_replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/probe_compare.h"
#include "cmd/probe_moment.h"
#include "core/alloc.h"
#include "core/mempolicy.h"
#include "core/pcp.h"
#include "core/sysctl.h"
#include "text/scan.h"

/* Where the walk through the items is. */
struct replay {
	struct probe_machine *pm;
	const struct probe_script *script;
	struct probe_outcome *outcome;
	struct text_error *err;
	uint32_t item;
	uint32_t nr_bursts;    /* so far: index into the script */
	uint32_t nr_freeslots; /* performed so far */
	bool memalloc_note;    /* a comment says so; used when there is no script */
	struct probe_moment moment;
};

/* ---- one burst, exactly ---- */

static const struct probe_op *burst_ops(const struct replay *r, const struct probe_item *burst)
{
	return &r->pm->probe->ops[burst->first];
}

static void say_op(const struct replay *r, const struct probe_item *burst, uint32_t i,
		   struct text_buf *out)
{
	const struct probe_op *op = &burst_ops(r, burst)[i];

	text_buf_printf(out, "  burst %s, operation %u, line %u: ", burst->label, i, op->line);
	probe_describe_op(op, out);
	text_buf_puts(out, "\n");
}

static void count_events(const struct probe *probe, const struct probe_op *op,
			 struct probe_count *count)
{
	for (uint32_t i = 0; i < op->events.nr; i++) {
		if (probe->events[op->events.first + i].kind == PROBE_STEAL)
			count->steals++;
		else
			count->wakes++;
	}
}

/* A kswapd that was woken and waits all the same had been woken before, by its timer. */
static void note_woken(struct probe_machine *pm, const struct probe_item *burst,
		       const struct probe_state *after)
{
	for (uint32_t i = 0; i < after->nodes.nr; i++) {
		const struct probe_node *node = &pm->probe->nodes[after->nodes.first + i];

		if (node->id < pm->m.nr_nodes && node->waiting &&
		    probe_moment_woken(pm->probe, burst, node->id))
			atomic_store(&pm->m.nodes[node->id].kswapd_sleeping, 2);
	}
}

/*
 * Plays the burst from `before` with pm->policy as it is. The slots are the ones from before it,
 * however often it has been played. => 0 or an error
 */
static int play_exactly(struct replay *r, const struct probe_item *burst,
			const struct probe_state *before, struct probe_count *count,
			struct text_buf *out)
{
	struct probe_machine *pm = r->pm;
	const struct probe_op *ops = burst_ops(r, burst);
	const struct probe_state *after = before + 1;
	uint32_t i = 0;
	bool equal = true;

	memcpy(pm->recorded, pm->kept, sizeof(pm->recorded));
	int error = probe_machine_load(pm, before, r->err);

	if (error == 0)
		note_woken(pm, burst, after);
	*count = (struct probe_count){ .operations = burst->nr, .bursts = 1 };
	for (; error == 0 && equal && i < burst->nr; i++) {
		struct text_buf what;

		if (!probe_machine_perform(pm, &ops[i]))
			return -ENOMEM;
		text_buf_init(&what);
		equal = probe_compare_op(pm, &ops[i], after, &what);
		if (equal) {
			count->equal++;
			count_events(pm->probe, &ops[i], count);
		} else {
			count->claim = probe_compare_claim(pm, &ops[i]);
			say_op(r, burst, i, out);
			text_buf_puts(out, text_buf_text(&what));
		}
		text_buf_free(&what);
		probe_machine_note(pm, &ops[i]);
	}
	for (; error == 0 && i < burst->nr; i++)
		probe_machine_note(pm, &ops[i]);
	if (error != 0 || !equal)
		return error;
	text_buf_printf(out, "  burst %s, state afterwards, line %u:\n", burst->label, after->line);
	if (probe_compare_state(pm, after, out)) {
		count->equal_states = 1;
		text_buf_reset(out);
	}
	return 0;
}

static bool uses_policy(const struct replay *r, const struct probe_item *burst)
{
	for (uint32_t i = 0; i < burst->nr; i++)
		if (burst_ops(r, burst)[i].kind == 'p')
			return true;
	return false;
}

/* Direct reclaim and compaction would look for the pages that are only said to be movable. */
static bool may_sleep(const struct replay *r, const struct probe_item *burst)
{
	for (uint32_t i = 0; i < burst->nr; i++)
		if (burst_ops(r, burst)[i].kind != 'f' &&
		    (burst_ops(r, burst)[i].gfp & GFP_BIT_DIRECT_RECLAIM))
			return true;
	return false;
}

static bool learn(struct probe_machine *pm, const struct probe_state *after,
		  const struct probe_count *count)
{
	if (count->equal_states == count->bursts)
		return false;
	return probe_guess_learn(pm, &count->claim) || probe_guess_learn_unseen(pm, after);
}

/* Plays the burst, again whenever a recorded decision says that pages could be moved. */
static int play_assuming(struct replay *r, const struct probe_item *burst,
			 const struct probe_state *before, struct probe_count *count,
			 struct text_buf *out)
{
	const struct probe_policy policy = r->pm->policy;
	int error = play_exactly(r, burst, before, count, out);

	while (error == 0 && !r->pm->sleeps && learn(r->pm, before + 1, count)) {
		text_buf_reset(out);
		r->pm->policy = policy; /* it turned */
		error = play_exactly(r, burst, before, count, out);
	}
	return error;
}

static void add_count(struct probe_count *sum, const struct probe_count *count)
{
	sum->operations += count->operations;
	sum->equal += count->equal;
	sum->bursts += count->bursts;
	sum->equal_states += count->equal_states;
	sum->steals += count->steals;
	sum->wakes += count->wakes;
}

/* Plays it for every first node that an interleaving policy may have had, else once. */
static int replay_exactly(struct replay *r, const struct probe_item *burst,
			  const struct probe_state *before)
{
	struct probe_outcome *outcome = r->outcome;
	struct probe_policy *policy = &r->pm->policy;
	bool turns = policy->mode == MEMPOLICY_INTERLEAVE && uses_policy(r, burst);
	uint64_t nodes = turns ? policy->nodes : 1;
	struct probe_count best = { .operations = 0 };
	struct text_buf best_text;
	int error = 0;

	memcpy(r->pm->kept, r->pm->recorded, sizeof(r->pm->kept));
	probe_guess_begin(r->pm);
	text_buf_init(&best_text);
	for (uint32_t n = 0; n < 64 && error == 0; n++) {
		struct probe_count count;
		struct text_buf text;

		if (((nodes >> n) & 1) == 0)
			continue;
		if (turns)
			policy->last = (n + 63) % 64;
		text_buf_init(&text);
		error = play_assuming(r, burst, before, &count, &text);
		if (best.operations == 0 ||
		    count.equal + count.equal_states > best.equal + best.equal_states) {
			best = count;
			text_buf_reset(&best_text);
			text_buf_puts(&best_text, text_buf_text(&text));
		}
		text_buf_free(&text);
	}
	if (r->pm->memalloc) {
		add_count(&outcome->doubtful, &best);
	} else {
		add_count(&outcome->counted, &best);
		if (outcome->difference.bytes == 0)
			text_buf_puts(&outcome->difference, text_buf_text(&best_text));
	}
	text_buf_free(&best_text);
	return error;
}

/* ---- one burst, from a state nearby ---- */

/* The state whose line in the recording is nearest to this item; the earlier one if two are. */
static const struct probe_state *nearest_state(const struct replay *r)
{
	const struct probe *probe = r->pm->probe;
	const struct probe_state *nearest = NULL;
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < probe->nr_items; i++) {
		uint32_t distance = i < r->item ? r->item - i : i - r->item;

		if (probe->items[i].kind == PROBE_STATE && distance < best) {
			best = distance;
			nearest = &probe->states[probe->items[i].first];
		}
	}
	return nearest;
}

/* How far a failure may be from the recorded one: the steps in which the counter moves. */
static uint64_t limit_bound(const struct zone *zone, uint32_t cpu)
{
	return racy_read(zone->pcp[cpu].batch) + (uint64_t)zone->pcp[cpu].threshold + 1;
}

static bool is_failure(const struct probe_op *op)
{
	return op->kind == 't' || (op->kind != 'f' && op->pfn == 0);
}

static void say_far(struct replay *r, const struct probe_item *burst, const struct probe_op *op,
		    const struct probe_column *want, const struct probe_column *have)
{
	struct text_buf *out = &r->outcome->far;

	text_buf_printf(out, "  burst %s, line %u: ", burst->label, op->line);
	probe_describe_op(op, out);
	text_buf_printf(out, ": zone %u.%u free at the failure: kernel %lld, neap %lld\n",
			want->place.node, want->place.zone, (long long)want->free,
			(long long)have->free);
}

/* One failed request: every zone that it could use must be near. */
static void compare_limit(struct replay *r, const struct probe_item *burst,
			  const struct probe_op *op)
{
	struct probe_machine *pm = r->pm;
	struct probe_limits *limits =
		pm->memalloc ? &r->outcome->doubtful_limits : &r->outcome->limits;
	uint32_t highest = gfp_highest_zone(op->gfp);
	bool within = true;

	for (uint32_t i = 0; i < pm->result.nr_columns; i++) {
		const struct probe_column *want = &pm->probe->columns[op->columns.first + i];
		const struct probe_column *have = &pm->result.column[i];
		const struct zone *zone = probe_machine_zone(pm, want->place);
		int64_t off = want->free - have->free;
		uint64_t far = (uint64_t)(off < 0 ? -off : off);

		if (want->place.zone > highest ||
		    ((op->gfp & GFP_BIT_THISNODE) && want->place.node != op->node))
			continue;
		limits->off_most = max_u64(limits->off_most, far);
		if (within && far > limit_bound(zone, op->cpu)) {
			within = false;
			if (!pm->memalloc)
				say_far(r, burst, op, want, have);
		}
	}
	limits->points++;
	limits->within += within ? 1 : 0;
}

static int replay_nearby(struct replay *r, const struct probe_item *burst,
			 const struct probe_script_burst *context)
{
	struct probe_machine *pm = r->pm;
	const struct probe_op *ops = burst_ops(r, burst);
	const struct probe_state *state = nearest_state(r);
	int error = probe_machine_load(pm, state, r->err);

	if (error != 0)
		return error;
	if (context != NULL && context->drained)
		pcp_drain_all(pm->t, &pm->m, NULL);
	probe_moment_apply(&r->moment, pm, r->item);
	for (uint32_t i = 0; i < burst->nr; i++) {
		bool full = pm->recorded[ops[i].slot].pfn != 0;

		if (!probe_machine_perform(pm, &ops[i]))
			return -ENOMEM;
		if (is_failure(&ops[i]) && (ops[i].kind == 't' || !full))
			compare_limit(r, burst, &ops[i]);
		probe_machine_note(pm, &ops[i]);
	}
	probe_moment_see_boost(&r->moment, pm, burst);
	return 0;
}

/* ---- items ---- */

/* What the script says about the burst. => NULL without a script; -EINVAL through *error */
static const struct probe_script_burst *burst_context(struct replay *r,
						      const struct probe_item *burst, int *error)
{
	const struct probe_script *script = r->script;
	const struct probe_script_burst *context;

	*error = 0;
	if (script == NULL)
		return NULL;
	context = r->nr_bursts < script->nr_bursts ? &script->bursts[r->nr_bursts] : NULL;
	if (context != NULL && strcmp(context->label, burst->label) == 0)
		return context;
	text_error_set(r->err, r->pm->file_name, burst->line,
		       "burst %s is not the script's burst number %u (%s); is the script another"
		       " recording's?",
		       burst->label, r->nr_bursts + 1, context != NULL ? context->label : "none");
	*error = -EINVAL;
	return NULL;
}

/* The state that stands right before the burst's end state. => NULL if it was recorded without */
static const struct probe_state *burst_before(const struct replay *r,
					      const struct probe_item *burst)
{
	const struct probe *probe = r->pm->probe;
	const struct probe_item *items = probe->items;
	char label[PROBE_LABEL_BYTES + 16];
	const struct probe_state *before;

	if (r->item < 2 || items[r->item - 1].kind != PROBE_STATE ||
	    items[r->item - 2].kind != PROBE_STATE)
		return NULL;
	before = &probe->states[items[r->item - 2].first];
	snprintf(label, sizeof(label), "%s-before", burst->label);
	if (strcmp(before->label, label) != 0)
		return NULL;
	snprintf(label, sizeof(label), "%s-after", burst->label);
	return strcmp(before[1].label, label) == 0 ? before : NULL;
}

static void free_slots(struct replay *r, const struct probe_script_burst *context)
{
	if (context == NULL || context->nr_freeslots == r->nr_freeslots)
		return;
	memset(r->pm->recorded, 0, sizeof(r->pm->recorded));
	r->nr_freeslots = context->nr_freeslots;
}

static int replay_burst(struct replay *r, const struct probe_item *burst)
{
	const struct probe_op *ops = burst_ops(r, burst);
	const struct probe_state *before = burst_before(r, burst);
	const struct probe_script_burst *context;
	int error;

	if (burst->nr == 0)
		return 0;
	context = burst_context(r, burst, &error);
	if (error != 0)
		return error;
	for (uint32_t i = 0; i < burst->nr; i++)
		if (!probe_machine_accepts(r->pm, &ops[i], r->err))
			return -EINVAL;
	free_slots(r, context);
	r->pm->memalloc = context != NULL ? context->memalloc : r->memalloc_note;
	r->pm->cpu = context != NULL ? context->cpu : 0;
	r->pm->sleeps = may_sleep(r, burst);
	if (context != NULL && context->drained)
		probe_machine_remember(r->pm, false);
	error = before != NULL ? replay_exactly(r, burst, before)
			       : replay_nearby(r, burst, context);
	probe_machine_remember(r->pm, before != NULL && error == 0);
	r->pm->memalloc = false;
	r->nr_bursts++;
	return error;
}

/* Files that do something when they are written. What came of it is in the states that follow. */
static bool is_action(const char *file)
{
	static const char *const names[] = { "compact_memory", "drop_caches", "nr_hugepages",
					     "nr_hugepages_mempolicy", "stat_refresh" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(file, names[i]) == 0)
			return true;
	return false;
}

/* "sysctl NAME VALUE": the kernel's knob, and ours. */
static void apply_sysctl(struct replay *r, const char *name)
{
	const char *end = scan_word(name);
	const char *value = scan_literal(end, " ");
	char file[64];
	char text[64];

	if (value == NULL || end - name >= (ptrdiff_t)sizeof(file))
		return;
	memcpy(file, name, (size_t)(end - name));
	file[end - name] = '\0';
	if (is_action(file))
		return;
	int bytes = snprintf(text, sizeof(text), "%s\n", value);

	if (bytes < 0 || (size_t)bytes >= sizeof(text) ||
	    sysctl_write(r->pm->t, &r->pm->m, file, text, (size_t)bytes) != bytes)
		text_buf_printf(&r->outcome->unknown, "  sysctl %s %s\n", file, value);
}

/* "policy MODE MASK: ok" */
static void apply_policy(struct replay *r, const char *at)
{
	struct probe_policy policy = { .last = 0 };
	const char *mask = scan_literal(scan_u32(at, &policy.mode), " ");
	char *end = NULL;

	if (mask == NULL)
		return;
	policy.nodes = strtoull(mask, &end, 16);
	if (policy.mode == MEMPOLICY_PREFERRED && policy.nodes == 0)
		policy.mode = MEMPOLICY_LOCAL; /* that is how it was asked for in former times */
	if (mempolicy_check(&r->pm->m, policy.mode, &policy.nodes) != 0)
		return;
	if (strcmp(end, ": ok") == 0 || *end == '\0')
		r->pm->policy = policy;
}

static void replay_note(struct replay *r, const char *note)
{
	const char *setting = scan_literal(note, "sysctl ");
	const char *policy = scan_literal(note, "policy ");

	if (setting != NULL)
		apply_sysctl(r, setting);
	else if (policy != NULL)
		apply_policy(r, policy);
	else if (strstr(note, "PF_MEMALLOC task") != NULL)
		r->memalloc_note = true;
}

static int replay_item(struct replay *r)
{
	const struct probe *probe = r->pm->probe;
	const struct probe_item *item = &probe->items[r->item];
	int error = 0;

	switch ((enum probe_item_kind)item->kind) {
	case PROBE_STATE:
		probe_moment_see_state(&r->moment, probe, &probe->states[item->first]);
		break;
	case PROBE_BURST:
		error = replay_burst(r, item);
		if (item->nr != 0)
			probe_moment_see_op(&r->moment, probe,
					    &probe->ops[item->first + item->nr - 1]);
		break;
	case PROBE_ALONE:
		probe_machine_note(r->pm, &probe->ops[item->first]);
		probe_moment_see_op(&r->moment, probe, &probe->ops[item->first]);
		break;
	case PROBE_NOTE:
		replay_note(r, probe->notes[item->first]);
		break;
	}
	return error;
}

static int replay_all(struct probe_machine *pm, void *arg)
{
	struct replay *r = arg;
	int error = 0;

	for (r->item = 0; r->item < pm->probe->nr_items && error == 0; r->item++)
		error = replay_item(r);
	return error;
}

int probe_replay(struct probe_machine *pm, const struct probe_script *script,
		 struct probe_outcome *outcome, struct text_error *err)
{
	struct replay replay = { .pm = pm, .script = script, .outcome = outcome, .err = err };

	memset(outcome, 0, sizeof(*outcome));
	text_buf_init(&outcome->difference);
	text_buf_init(&outcome->far);
	text_buf_init(&outcome->unknown);
	text_error_clear(err);
	int error = probe_machine_run(pm, replay_all, &replay);

	outcome->counted.assumed = probe_guess_count(pm);
	if (error == 0 && (outcome->difference.error != 0 || outcome->far.error != 0))
		error = -ENOMEM;
	return error;
}

void probe_outcome_free(struct probe_outcome *outcome)
{
	text_buf_free(&outcome->difference);
	text_buf_free(&outcome->far);
	text_buf_free(&outcome->unknown);
}

bool probe_outcome_is_fine(const struct probe_outcome *outcome)
{
	return outcome->counted.equal == outcome->counted.operations &&
	       outcome->counted.equal_states == outcome->counted.bursts;
}
