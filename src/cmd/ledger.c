/*
 * neap ledger: where memory is.
 *
 *     neap ledger                          this machine
 *     neap ledger --root DIR               a saved one
 *     neap ledger --root BEFORE AFTER      two readings of one machine: what grew
 *     neap ledger --watch 60               this machine, twice
 *     neap ledger meminfo.txt              a pasted file; "-" is standard input
 *
 * Only meminfo is needed. zoneinfo adds what lies on per-CPU lists and the nodes, vmstat
 * what zram and zswap hold.
 *
 * What must never happen: a sum printed from a file whose own rules are broken without
 * saying so.
 *
 * Exit status: 0 fine, 1 a finding (a broken rule, a rest that certainly grew), 2 usage or
 * input, 3 the world failed.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef NEAP_HAVE_JANSSON
#include <jansson.h>
#endif

#include "cmd/cmd.h"
#include "cmd/document.h"
#include "cmd/inputs.h"
#include "diag/ledger.h"

static const struct argp_option option_table[] = {
	{ "root", INPUTS_KEY_ROOT, "DIR", 0, "the machine whose files are in DIR (/)", 0 },
	{ "watch", INPUTS_KEY_WATCH, "SECONDS", 0, "read twice, with this time between", 0 },
	INPUTS_OPTIONS,
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	return inputs_option(state->input, key, value, state);
}

static int print_text(const struct ledger *ledger, const struct ledger *before)
{
	struct paint paint = inputs_paint();
	struct text_buf out;

	text_buf_init(&out);
	ledger_add_text(&out, ledger, before, &paint);
	return document_print_text(&out);
}

#ifdef NEAP_HAVE_JANSSON

static void set_number(json_t *object, const char *key, int64_t value)
{
	(void)json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *json_rows(const struct ledger *ledger)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < NR_LEDGER_ROWS; i++) {
		enum ledger_row id = (enum ledger_row)i;
		json_t *row;

		if (!ledger->row[i].known)
			continue;
		row = json_object();
		document_set_text(row, "row", ledger_row_key(id));
		document_set_text(row, "source", ledger_row_source(id));
		(void)json_object_set_new(row, "part", json_boolean(ledger_row_depth(id) != 0));
		set_number(row, "kb", (int64_t)ledger->row[i].kb);
		(void)json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *json_nodes(const struct ledger *ledger)
{
	json_t *nodes = json_array();

	for (uint32_t i = 0; i < ledger->nr_nodes; i++) {
		const struct ledger_node *node = &ledger->node[i];
		json_t *object = json_object();

		set_number(object, "node", node->id);
		set_number(object, "managed_kb", (int64_t)node->managed_kb);
		set_number(object, "free_kb", (int64_t)node->free_kb);
		set_number(object, "free_cma_kb", (int64_t)node->free_cma_kb);
		set_number(object, "percpu_lists_kb", (int64_t)node->pcp_kb);
		set_number(object, "anon_kb", (int64_t)node->anon_kb);
		set_number(object, "file_kb", (int64_t)node->file_kb);
		set_number(object, "shmem_kb", (int64_t)node->shmem_kb);
		set_number(object, "slab_reclaimable_kb", (int64_t)node->slab_reclaimable_kb);
		set_number(object, "slab_unreclaimable_kb", (int64_t)node->slab_fixed_kb);
		set_number(object, "page_tables_kb", (int64_t)node->tables_kb);
		set_number(object, "stacks_kb", (int64_t)node->stacks_kb);
		set_number(object, "hugetlb_kb", (int64_t)node->huge_kb);
		set_number(object, "rest_kb", node->rest_kb);
		(void)json_array_append_new(nodes, object);
	}
	return nodes;
}

static json_t *json_ledger(const struct ledger *ledger)
{
	json_t *object = json_object();
	json_t *checks = json_array();

	set_number(object, "total_kb", (int64_t)ledger->total_kb);
	(void)json_object_set_new(object, "rows", json_rows(ledger));
	set_number(object, "rest_least_kb", ledger->rest_low_kb);
	set_number(object, "rest_most_kb", ledger->rest_high_kb);
	set_number(object, "drift_kb", (int64_t)ledger->drift_kb);
	(void)json_object_set_new(object, "stacks_in_vmalloc", json_boolean(ledger->stacks_inside));
	if (ledger->has_cma) {
		set_number(object, "cma_total_kb", (int64_t)ledger->cma_total_kb);
		set_number(object, "cma_free_kb", (int64_t)ledger->cma_free_kb);
	}
	for (uint32_t i = 0; i < ledger->nr_checks; i++)
		(void)json_array_append_new(checks, json_string(ledger->check[i].text));
	(void)json_object_set_new(object, "broken_rules", checks);
	(void)json_object_set_new(object, "nodes", json_nodes(ledger));
	return object;
}

static int print_json(const struct ledger *ledger, const struct ledger *before)
{
	json_t *document = json_object();
	struct text_buf verdict;

	text_buf_init(&verdict);
	ledger_verdict_add(&verdict, ledger, before);
	document_set_text(document, "command", "ledger");
	document_set_text(document, "verdict", text_buf_text(&verdict));
	text_buf_free(&verdict);
	(void)json_object_set_new(document, "ledger", json_ledger(ledger));
	if (before != NULL) {
		struct ledger_growth growth = ledger_compare(before, ledger);

		(void)json_object_set_new(document, "before", json_ledger(before));
		set_number(document, "rest_growth_least_kb", growth.least_kb);
		set_number(document, "rest_growth_most_kb", growth.most_kb);
		(void)json_object_set_new(document, "rest_grows", json_boolean(growth.certain));
	}
	return document_print(document);
}

#else

static int print_json(const struct ledger *ledger, const struct ledger *before)
{
	(void)ledger;
	(void)before;
	return document_missing();
}

#endif

/* Makes and prints it. => exit status */
static int run(const void *arg, const struct evidence *before, const struct evidence *after)
{
	const struct inputs *inputs = arg;
	struct ledger first, second;

	if (!ledger_make(after, &second) || (before != NULL && !ledger_make(before, &first))) {
		cmd_error("%s: no meminfo with a MemTotal; the ledger is made of that file",
			  after->where);
		return CMD_USAGE;
	}
	const struct ledger *earlier = before != NULL ? &first : NULL;
	int status = inputs->json ? print_json(&second, earlier) : print_text(&second, earlier);

	if (status != CMD_FINE)
		return status;
	if (second.nr_checks != 0)
		return CMD_FINDING;
	return earlier != NULL && ledger_compare(earlier, &second).certain ? CMD_FINDING : CMD_FINE;
}

int cmd_ledger(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "[FILE...|DIR]",
		.doc = "Shows where a machine's memory is, every page once, and what no line of its"
		       " files names; with two readings, what grew.",
	};
	struct inputs inputs = { .json = false };

	return inputs_run(
		argc, argv,
		&(struct inputs_command){
			.argp = &argp, .options = &inputs, .inputs = &inputs, .run = run });
}
