/*
 * Recorded sequences of a kernel's allocator (tests/golden/probes), played by the engine: all
 * equal. And the same with one thing changed in the recording, to see that it is found.
 *
 *     samples.tar.xz ──> recording ──────────────> machine ──> every operation and state equal
 *     more.tar.xz        (more.tar.xz: kinds of sequences that the engine was not written with)
 *     known.tar.xz       (known.tar.xz: what a recording does not say must be found out)
 *                        recording, one change ──> machine ──> the difference, described
 */
#include "test_text_util.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/probe_files.h"
#include "cmd/probe_replay.h"
#include "text_corpus.h"

static char root[] = "/tmp/probe-XXXXXX";

/* A sequence and what playing it came to. */
struct played {
	struct probe_files files;
	struct probe_outcome outcome;
	struct text_error err;
	int error;
};

static void sequence_open(struct played *played, const char *name)
{
	char dir[200];

	snprintf(dir, sizeof(dir), "%s/%s", root, name);
	assert_int_equal(probe_files_open(&played->files, dir, &played->err), 0);
}

static void sequence_play(struct played *played)
{
	struct probe_machine *pm = NULL;
	const struct probe_files *files = &played->files;

	played->error = probe_machine_create(&files->probe, files->has_json ? &files->json : NULL,
					     "probe.out", &pm, &played->err);
	if (played->error != 0)
		return;
	played->error = probe_replay(pm, files->has_script ? &files->script : NULL,
				     &played->outcome, &played->err);
	probe_machine_destroy(pm);
}

static void sequence_close(struct played *played)
{
	probe_outcome_free(&played->outcome);
	probe_files_close(&played->files);
	free(played);
}

static struct played *sequence_new(void)
{
	struct played *played = calloc(1, sizeof(*played));

	assert_non_null(played);
	return played;
}

static void check_equal(const char *name, uint32_t operations, uint32_t states, uint32_t points)
{
	struct played *played = sequence_new();
	const struct probe_outcome *outcome = &played->outcome;

	sequence_open(played, name);
	sequence_play(played);
	if (played->error != 0 || !probe_outcome_is_fine(outcome))
		fail_msg("%s: error %d %s\n%s", name, played->error, played->err.message,
			 text_buf_text(&outcome->difference));
	assert_int_equal(outcome->counted.operations, operations);
	assert_int_equal(outcome->counted.equal_states, states);
	assert_int_equal(outcome->limits.points, points);
	if (outcome->limits.within != points)
		fail_msg("%s", text_buf_text(&outcome->far));
	assert_int_equal(outcome->unknown.bytes, 0);
	sequence_close(played);
}

static void test_per_cpu_lists(void **state)
{
	(void)state;
	check_equal("order0", 1101, 2, 0);
	check_equal("thp-pcp", 300, 1, 0);
}

static void test_steals(void **state)
{
	(void)state;
	check_equal("steal-small", 400, 1, 0);
}

static void test_reserve(void **state)
{
	(void)state;
	check_equal("highatomic", 280, 3, 0);
}

static void test_nodes(void **state)
{
	(void)state;
	check_equal("numa2-full", 1300, 3, 0);
}

/* Machines and mixes that no sequence had when the engine was written. */
static void test_more(void **state)
{
	(void)state;
	check_equal("policies-low", 480, 6, 0);
	check_equal("two-nodes", 900, 1, 0);
	check_equal("atomic", 900, 2, 0);
	check_equal("zones-low", 900, 1, 0);
	check_equal("steal-two-cpus", 1400, 2, 0);
}

/* ---- what a recording does not say ---- */

/* A burst that is played anew begins with the slots that it began with the first time. */
static void test_slots_from_before_the_burst(void **state)
{
	(void)state;
	check_equal("slots-again", 540, 6, 0);
}

/* A pageblock has movable pages, but what slots hold is none of them. */
static void test_slots_are_not_movable(void **state)
{
	(void)state;
	check_equal("slots-movable", 744, 4, 0);
}

/* The second of three nodes has no CPUs: the recorded kernel counts it as the last one. */
static void test_nodes_numbered_by_cpus(void **state)
{
	(void)state;
	check_equal("nodes-numbered", 1259, 8, 0);
}

/* The pageblock that the zone's end cuts was reserved after these bursts: it is taken out again. */
static void test_reserve_at_the_end(void **state)
{
	(void)state;
	check_equal("reserve-at-end", 0, 0, 49);
}

/* More thefts in one operation than are recorded: pageblocks' types at the end tell of them. */
static void test_thefts_told_by_types(void **state)
{
	(void)state;
	check_equal("types-unseen", 1459, 6, 0);
}

/* A state like the first one, without CPU 1, stands before all others. */
static void change_late_cpu(struct probe *probe)
{
	struct probe_state *states = calloc(probe->nr_states + 1, sizeof(*states));

	assert_non_null(states);
	memcpy(states + 1, probe->states, probe->nr_states * sizeof(*states));
	states[0] = states[1];
	states[0].pcps.nr = 0;
	states[0].lists.nr = 0;
	free(probe->states);
	probe->states = states;
	probe->nr_states++;
	for (uint32_t i = 0; i < probe->nr_items; i++)
		probe->items[i].first += probe->items[i].kind == PROBE_STATE ? 1 : 0;
}

/* A CPU that was offline in the first state works in later ones. */
static void test_cpu_online_later(void **state)
{
	struct played *played = sequence_new();

	(void)state;
	sequence_open(played, "thp-pcp");
	change_late_cpu(&played->files.probe);
	sequence_play(played);
	assert_int_equal(played->error, 0);
	assert_true(probe_outcome_is_fine(&played->outcome));
	sequence_close(played);
}

static void check_action(const char *note)
{
	struct played *played = sequence_new();

	sequence_open(played, "slots-again");
	for (uint32_t i = 0; i < played->files.probe.nr_notes; i++)
		if (strcmp(played->files.probe.notes[i], "sysctl numa_stat 0") == 0)
			played->files.probe.notes[i] = note;
	sequence_play(played);
	assert_int_equal(played->error, 0);
	assert_true(probe_outcome_is_fine(&played->outcome));
	assert_int_equal(played->outcome.counted.assumed, 1);
	sequence_close(played);
}

/* Files that act when they are written: nothing is done, the next state has what came of it. */
static void test_written_actions(void **state)
{
	(void)state;
	check_action("sysctl compact_memory 1");
	check_action("sysctl nr_hugepages 10");
	check_action("sysctl drop_caches 3");
}

/* Burst b4 begins with a request that goes by an interleaving policy, and is played twice. */
static void change_interleave(struct probe_files *files)
{
	struct probe *probe = &files->probe;

	for (uint32_t i = 0; i < probe->nr_notes; i++)
		if (strcmp(probe->notes[i], "sysctl zone_reclaim_mode 1") == 0)
			probe->notes[i] = "policy 3 7: ok";
	for (uint32_t i = 0; i < probe->nr_items; i++)
		if (probe->items[i].kind == PROBE_BURST && strcmp(probe->items[i].label, "b4") == 0)
			probe->ops[probe->items[i].first].kind = 'p';
	for (uint32_t i = 0; i < files->script.nr_bursts; i++)
		if (strcmp(files->script.bursts[i].label, "b4") == 0)
			files->script.bursts[i].cpu = 1;
}

/* A burst that is played anew begins with the node whose turn it was the first time. */
static void test_turns_from_before_the_burst(void **state)
{
	struct played *played = sequence_new();

	(void)state;
	sequence_open(played, "slots-again");
	change_interleave(&played->files);
	sequence_play(played);
	assert_int_equal(played->error, 0);
	if (!probe_outcome_is_fine(&played->outcome))
		fail_msg("%s", text_buf_text(&played->outcome.difference));
	assert_int_equal(played->outcome.counted.assumed, 1);
	sequence_close(played);
}

static void test_failures(void **state)
{
	struct played *played = sequence_new();

	(void)state;
	check_equal("thresholds", 0, 0, 49);
	/* Requests of a task with PF_MEMALLOC are counted apart. */
	sequence_open(played, "thresholds");
	sequence_play(played);
	assert_int_equal(played->error, 0);
	assert_int_equal(played->outcome.doubtful_limits.points, 2);
	sequence_close(played);
}

/* ---- differences ---- */

/* Plays the sequence after a change. => what was said about the difference is checked */
static void check_different(const char *name, void (*change)(struct probe *probe), uint32_t equal,
			    uint32_t equal_states, const char *words)
{
	struct played *played = sequence_new();

	sequence_open(played, name);
	change(&played->files.probe);
	sequence_play(played);
	const struct probe_outcome *outcome = &played->outcome;

	assert_int_equal(played->error, 0);
	assert_false(probe_outcome_is_fine(outcome));
	if (outcome->counted.equal != equal || outcome->counted.equal_states != equal_states ||
	    strstr(text_buf_text(&outcome->difference), words) == NULL)
		fail_msg("%u operations and %u states equal, and no '%s' in:\n%s",
			 outcome->counted.equal, outcome->counted.equal_states, words,
			 text_buf_text(&outcome->difference));
	sequence_close(played);
}

static void change_frame(struct probe *probe)
{
	probe->ops[5].pfn ^= 1;
}

static void change_column(struct probe *probe)
{
	probe->columns[probe->ops[7].columns.first].exact++;
}

static void change_order(struct probe *probe)
{
	const struct probe_state *after = &probe->states[1];

	for (uint32_t i = 0; i < after->lists.nr; i++) {
		const struct probe_range *range = &probe->lists[after->lists.first + i].pfns;
		uint32_t *pfn = &probe->pfns[range->first];

		if (range->nr < 2)
			continue;
		uint32_t first = pfn[0];

		pfn[0] = pfn[1];
		pfn[1] = first;
		return;
	}
	fail_msg("the sample has no list of two");
}

static void change_shorter(struct probe *probe)
{
	const struct probe_state *after = &probe->states[1];

	probe->lists[after->lists.first].pfns.nr--;
}

/* A list that the kernel had and the recording lost. */
static void change_missing(struct probe *probe)
{
	probe->states[1].lists.nr--;
}

static void change_type(struct probe *probe)
{
	struct probe_run *run = &probe->runs[probe->states[1].runs.first];

	run->type = run->type == MT_MOVABLE ? MT_UNMOVABLE : MT_MOVABLE;
}

static void change_pcp(struct probe *probe)
{
	probe->pcps[probe->states[1].pcps.first].free_factor++;
}

static void change_zone(struct probe *probe)
{
	probe->zones[probe->states[1].zones.first].boost++;
}

static void change_node(struct probe *probe)
{
	probe->nodes[probe->states[1].nodes.first].waiting ^= true;
}

static void test_differences(void **state)
{
	(void)state;
	check_different("thp-pcp", change_frame, 5, 0, "operation 5, line");
	check_different("thp-pcp", change_frame, 5, 0, "kernel ");
	check_different("thp-pcp", change_column, 7, 0, "free/exact/highatomic");
	check_different("thp-pcp", change_order, 300, 0, ", place 1\n");
	check_different("thp-pcp", change_shorter, 300, 0, "[end]");
	check_different("thp-pcp", change_missing, 300, 0, "[end]");
	check_different("thp-pcp", change_type, 300, 0, "pageblock at ");
	check_different("thp-pcp", change_pcp, 300, 0, "free_factor: kernel");
	check_different("thp-pcp", change_zone, 300, 0, "boost: kernel");
	check_different("thp-pcp", change_node, 300, 0, "kswapd waiting: kernel");
}

/* The first operation with an event. */
static struct probe_op *op_with_event(struct probe *probe)
{
	for (uint32_t i = 0; i < probe->nr_ops; i++)
		if (probe->ops[i].events.nr != 0)
			return &probe->ops[i];
	fail_msg("the sample has no event");
	return NULL;
}

static void change_lost_event(struct probe *probe)
{
	op_with_event(probe)->events.nr--;
}

static void change_steal(struct probe *probe)
{
	probe->events[op_with_event(probe)->events.first].change ^= 1;
}

static void test_event_differences(void **state)
{
	struct played *played = sequence_new();
	uint32_t before;

	(void)state;
	sequence_open(played, "thp-pcp");
	before = (uint32_t)(op_with_event(&played->files.probe) - played->files.probe.ops);
	probe_files_close(&played->files);
	free(played);
	check_different("thp-pcp", change_lost_event, before, 0, "kernel  none");
	check_different("thp-pcp", change_steal, before, 0, "extfrag");
}

/* ---- input ---- */

/* What cannot be a state of an allocator is refused, with its line, and nothing stops. */
static void check_refused(void (*change)(struct probe *probe))
{
	struct played *played = sequence_new();

	sequence_open(played, "thp-pcp");
	change(&played->files.probe);
	sequence_play(played);
	assert_int_equal(played->error, -EINVAL);
	assert_true(played->err.line != 0 && strlen(played->err.message) > 20);
	sequence_close(played);
}

static void change_twice(struct probe *probe)
{
	const struct probe_range *range = &probe->lists[probe->states[0].lists.first].pfns;

	probe->pfns[range->first + 1] = probe->pfns[range->first];
}

static void change_outside(struct probe *probe)
{
	probe->pfns[probe->lists[probe->states[0].lists.first].pfns.first] = 1u << 30;
}

static void change_count(struct probe *probe)
{
	probe->zones[probe->states[0].zones.first].free += 5;
}

static void change_pcp_count(struct probe *probe)
{
	probe->pcps[probe->states[0].pcps.first].count += 1;
}

static void change_batch(struct probe *probe)
{
	probe->pcps[probe->states[0].pcps.first].batch = 0;
}

static void change_threshold(struct probe *probe)
{
	probe->pcps[probe->states[0].pcps.first].threshold = 200;
}

static void change_zonelist(struct probe *probe)
{
	probe->places[probe->nodes[probe->states[0].nodes.first].places.first].zone = 3;
}

static void change_huge(struct probe *probe)
{
	probe->zones[probe->states[0].zones.first].spanned = 1u << 28;
}

static void change_run(struct probe *probe)
{
	probe->runs[probe->states[0].runs.first].nr = 1u << 22;
}

static void change_cpu(struct probe *probe)
{
	probe->ops[3].cpu = 200;
}

static void change_column_zone(struct probe *probe)
{
	probe->columns[probe->ops[3].columns.first].place.node = 5;
}

static void change_gfp(struct probe *probe)
{
	for (uint32_t i = 0; i < probe->nr_ops; i++)
		if (probe->ops[i].kind == 'a')
			probe->ops[i].gfp |= 0x18;
}

static void test_refused(void **state)
{
	static void (*const changes[])(struct probe * probe) = {
		change_twice, change_outside,  change_count,	 change_pcp_count,
		change_batch, change_zonelist, change_threshold, change_huge,
		change_run,   change_cpu,      change_gfp,	 change_column_zone,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		check_refused(changes[i]);
}

static void write_file(const char *name, const char *text)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void check_files(const char *name, int error, const char *words)
{
	struct played *played = sequence_new();
	char dir[200];

	snprintf(dir, sizeof(dir), "%s/%s", root, name);
	assert_int_equal(probe_files_open(&played->files, dir, &played->err), error);
	if (strstr(played->err.message, words) == NULL)
		fail_msg("no '%s' in: %s", words, played->err.message);
	free(played);
}

static void test_files(void **state)
{
	char dir[200];

	(void)state;
	check_files("nowhere", -ENOENT, "neither probe.out");
	snprintf(dir, sizeof(dir), "%s/broken", root);
	assert_int_equal(mkdir(dir, 0700), 0);
	write_file("broken/probe.out.xz", "\3757zXZ is what it begins with");
#ifdef NEAP_HAVE_LZMA
	check_files("broken", -EINVAL, "damaged");
#else
	check_files("broken", -ENOTSUP, "liblzma");
#endif
	write_file("broken/probe.out", "## state a\nfoo\n");
	check_files("broken", -EINVAL, "no line that begins");
	write_file("broken/probe.out", "# nothing\n");
	write_file("broken/a.probe", "drain\n");
	write_file("broken/b.probe", "drain\n");
	check_files("broken", -EINVAL, "two scripts");
}

/* A script of another recording is noticed. */
static void test_other_script(void **state)
{
	struct played *played = sequence_new();
	struct probe_script own;

	(void)state;
	sequence_open(played, "order0");
	own = played->files.script;
	memcpy(own.bursts[1].label, "other", 6);
	sequence_play(played);
	assert_int_equal(played->error, -EINVAL);
	assert_non_null(strstr(played->err.message, "script"));
	sequence_close(played);
}

static int unpack(void **state)
{
	static const char *const names[] = { "samples", "more", "known" };
	char archive[1024];

	(void)state;
	if (mkdtemp(root) == NULL)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(archive, sizeof(archive), "%s/tests/golden/probes/%s.tar.xz",
			 util_source_dir(), names[i]);
		int error = corpus_unpack(archive, root);

		if (error != 0)
			return error;
	}
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	corpus_remove(root);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_per_cpu_lists),
		cmocka_unit_test(test_steals),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_more),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_event_differences),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_other_script),
		cmocka_unit_test(test_slots_from_before_the_burst),
		cmocka_unit_test(test_turns_from_before_the_burst),
		cmocka_unit_test(test_slots_are_not_movable),
		cmocka_unit_test(test_nodes_numbered_by_cpus),
		cmocka_unit_test(test_thefts_told_by_types),
		cmocka_unit_test(test_reserve_at_the_end),
		cmocka_unit_test(test_written_actions),
		cmocka_unit_test(test_cpu_online_later),
	};

	return cmocka_run_group_tests(tests, unpack, clean_up);
}
