/*
 * Random machines: what is written for them must be read as the same document,
 * and a snapshot made from their files must print the same files.
 */
#include "test_text_util.h"

#include "text/extfrag.h"
#include "text/load.h"
#include "text/nodemem.h"
#include "text/nodestat.h"
#include "text/pagetypeinfo.h"
#include "text/pressure.h"
#include "text/sysctls.h"
#include "text/topology.h"

#define ROUNDS 200

/* The same typed contents, and every line in 6.1's form. */
static void assert_same_doc(const struct text_doc *parsed, const struct text_doc *made)
{
	assert_int_equal(parsed->nr_odd, 0);
	assert_int_equal(parsed->nr_unknown, 0);
	assert_int_equal(parsed->nr_lines, made->nr_lines);
	for (uint32_t i = 0; i < made->nr_lines; i++) {
		const struct text_line *a = &parsed->lines[i];
		const struct text_line *b = &made->lines[i];

		assert_int_equal(a->kind, b->kind);
		assert_string_equal(a->name, b->name);
		assert_string_equal(a->word != NULL ? a->word : "", b->word != NULL ? b->word : "");
		assert_true(a->value == b->value);
		assert_int_equal(a->nr_list, b->nr_list);
		for (uint32_t n = 0; n < a->nr_list; n++)
			assert_true(parsed->numbers[a->list + n] == made->numbers[b->list + n]);
	}
}

#define CHECK_TYPE(type)                                                                           \
	static struct type##_doc *check_##type(const struct snapshot *snapshot)                    \
	{                                                                                          \
		struct type##_doc *made = NULL;                                                    \
		struct type##_doc *parsed = NULL;                                                  \
		struct text_error err;                                                             \
		struct text_buf text, again;                                                       \
                                                                                                   \
		text_buf_init(&text);                                                              \
		text_buf_init(&again);                                                             \
		assert_int_equal(type##_from_snapshot(snapshot, &made), 0);                        \
		assert_int_equal(type##_write(made, &text), 0);                                    \
		if (type##_parse(text.at, text.bytes, #type, &parsed, &err) != 0)                  \
			fail_msg("%s: %s", err.file, err.message);                                 \
		assert_same_doc(&parsed->doc, &made->doc);                                         \
		assert_int_equal(type##_write(parsed, &again), 0);                                 \
		util_assert_text(again.at, text.at);                                               \
		type##_free(made);                                                                 \
		text_buf_free(&text);                                                              \
		text_buf_free(&again);                                                             \
		return parsed;                                                                     \
	}

CHECK_TYPE(vmstat)
CHECK_TYPE(zoneinfo)
CHECK_TYPE(buddyinfo)
CHECK_TYPE(meminfo)
CHECK_TYPE(swaps)

/* Parses what a made document prints and compares both. Frees the made one. => the parsed one */
static struct text_doc *check_doc(struct text_doc *made)
{
	struct text_doc *parsed = NULL;
	struct text_error err;
	struct text_buf text, again;

	assert_non_null(made);
	text_buf_init(&text);
	text_buf_init(&again);
	assert_int_equal(text_doc_write(made, &text), 0);
	struct text_input in = { text_buf_text(&text), text.bytes, made->format->title };
	if (made->nr_lines == 0) {
		text_buf_free(&text);
		return made;
	}
	if (text_doc_load(made->format, &in, &parsed, &err) != 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.message);
	assert_same_doc(parsed, made);
	assert_int_equal(text_doc_write(parsed, &again), 0);
	util_assert_text(text_buf_text(&again), text_buf_text(&text));
	text_doc_free(made);
	text_buf_free(&text);
	text_buf_free(&again);
	return parsed;
}

#define CHECK_PLAIN(type)                                                                          \
	static struct text_doc *check_##type(const struct snapshot *snapshot)                      \
	{                                                                                          \
		struct text_doc *made = NULL;                                                      \
                                                                                                   \
		assert_int_equal(type##_from_snapshot(snapshot, &made), 0);                        \
		return check_doc(made);                                                            \
	}

CHECK_PLAIN(pagetypeinfo)
CHECK_PLAIN(pressure)
CHECK_PLAIN(sysctls)
CHECK_PLAIN(extfrag_index)
CHECK_PLAIN(unusable_index)

/* The files of a node: parsed back, they give the node's CPUs, distances and huge pages. */
static void check_node(const struct snapshot *snapshot, const struct snapshot_node *node)
{
	struct snapshot_node again;
	struct text_doc *doc = NULL;

	memset(&again, 0, sizeof(again));
	assert_int_equal(topology_cpulist_from_snapshot(node, &doc), 0);
	doc = check_doc(doc);
	assert_true(topology_cpulist_mask(doc, &again.cpus));
	assert_memory_equal(&again.cpus, &node->cpus, sizeof(node->cpus));
	text_doc_free(doc);
	assert_int_equal(topology_distance_from_snapshot(snapshot, node, &doc), 0);
	doc = check_doc(doc);
	assert_false(topology_distance_fill(doc, &again, snapshot->nr_nodes + 1));
	assert_true(topology_distance_fill(doc, &again, snapshot->nr_nodes));
	assert_memory_equal(again.distance, node->distance, sizeof(node->distance));
	text_doc_free(doc);
	assert_int_equal(nodemem_from_snapshot(node, &doc), 0);
	doc = check_doc(doc);
	nodemem_fill_node(doc, &again);
	assert_true(again.huge_total == node->huge_total && again.huge_free == node->huge_free &&
		    again.huge_surplus == node->huge_surplus);
	text_doc_free(doc);
	assert_int_equal(nodestat_from_snapshot(node, &doc), 0);
	doc = check_doc(doc);
	nodestat_fill_node(doc, &again);
	for (uint32_t i = 0; i < NR_NODE_ITEMS; i++)
		assert_true(
			again.stat[i] == node->stat[i] ||
			(vmstat_node_is_huge((enum node_item)i) &&
			 again.stat[i] / VMSTAT_HUGE_PAGES == node->stat[i] / VMSTAT_HUGE_PAGES));
	text_doc_free(doc);
	assert_int_equal(nodestat_numa_from_snapshot(node, &doc), 0);
	text_doc_free(check_doc(doc));
}

static void assert_same_files(const struct snapshot *a, const struct snapshot *b)
{
	for (const struct text_file *file = text_files; file->name != NULL; file++) {
		struct text_buf text_a, text_b;

		text_buf_init(&text_a);
		text_buf_init(&text_b);
		assert_int_equal(file->write(a, &text_a), 0);
		assert_int_equal(file->write(b, &text_b), 0);
		util_assert_text(text_buf_text(&text_b), text_buf_text(&text_a));
		text_buf_free(&text_a);
		text_buf_free(&text_b);
	}
}

static void check_machine(const struct snapshot *snapshot)
{
	struct zoneinfo_doc *zoneinfo = check_zoneinfo(snapshot);
	struct vmstat_doc *vmstat = check_vmstat(snapshot);
	struct buddyinfo_doc *buddyinfo = check_buddyinfo(snapshot);
	struct meminfo_doc *meminfo = check_meminfo(snapshot);
	struct swaps_doc *swaps = check_swaps(snapshot);
	struct text_doc *pagetypeinfo = check_pagetypeinfo(snapshot);
	struct text_doc *pressure = check_pressure(snapshot);
	struct text_doc *sysctls = check_sysctls(snapshot);
	struct snapshot_docs docs = { zoneinfo, vmstat,	      buddyinfo, meminfo,
				      swaps,	pagetypeinfo, pressure,	 sysctls };
	struct snapshot *again = NULL;
	struct text_error err;

	if (snapshot_from_docs(&docs, &again, &err) != 0)
		fail_msg("%s: %s", err.file, err.message);
	assert_same_files(snapshot, again);
	for (uint32_t i = 0; i < snapshot->nr_nodes; i++)
		check_node(snapshot, &snapshot->node[i]);
	for (uint32_t i = 0; i < snapshot->nr_swaps; i++)
		assert_string_equal(again->swap[i].path, snapshot->swap[i].path);
	free(again);
	zoneinfo_free(zoneinfo);
	vmstat_free(vmstat);
	buddyinfo_free(buddyinfo);
	meminfo_free(meminfo);
	swaps_free(swaps);
	text_doc_free(pagetypeinfo);
	text_doc_free(pressure);
	text_doc_free(sysctls);
	text_doc_free(check_extfrag_index(snapshot));
	text_doc_free(check_unusable_index(snapshot));
}

static void test_random_machines(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, util_seed());
	for (int i = 0; i < ROUNDS; i++) {
		struct snapshot *snapshot = util_snapshot_random(&rng);

		check_machine(snapshot);
		free(snapshot);
	}
}

/* Changes one byte of a file: either refused, or printed back with that change. */
static void mutate_file(struct rng *rng, const struct text_file *file, struct text_buf *text)
{
	struct text_error err;
	struct text_buf out;
	size_t at = rng_below(rng, text->bytes);
	char old = text->at[at];

	text_buf_init(&out);
	text->at[at] = (char)rng_next(rng);
	struct text_input in = { text->at, text->bytes, file->name };
	if (file->reprint(&in, &out, NULL, &err) == 0)
		assert_true(text_buf_equals(&out, text->at, text->bytes));
	else
		assert_true(strlen(err.message) > 10);
	text->at[at] = old;
	text_buf_free(&out);
}

static void test_random_damage(void **state)
{
	static const char *const others[] = { "node0/meminfo",	"node0/vmstat",
					      "node0/numastat", "node0/distance",
					      "node0/cpulist",	"sys/vm/dirty_ratio" };
	struct rng rng;
	struct text_buf text;

	(void)state;
	text_buf_init(&text);
	rng_seed(&rng, util_seed());
	for (int i = 0; i < ROUNDS / 10; i++) {
		struct snapshot *snapshot = util_snapshot_random(&rng);

		for (const struct text_file *file = text_files; file->name != NULL; file++) {
			text_buf_reset(&text);
			assert_int_equal(file->write(snapshot, &text), 0);
			for (int n = 0; n < 20 && text.bytes > 0; n++)
				mutate_file(&rng, file, &text);
		}
		for (size_t o = 0; o < ARRAY_LEN(others); o++) {
			text_buf_reset(&text);
			if (text_proc_write(snapshot, others[o], &text) != 0)
				continue; /* this machine has no such setting */
			for (int n = 0; n < 20 && text.bytes > 0; n++)
				mutate_file(&rng, text_file_find(others[o]), &text);
		}
		free(snapshot);
	}
	text_buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_machines),
		cmocka_unit_test(test_random_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
