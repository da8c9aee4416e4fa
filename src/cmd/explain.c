/*
 * neap explain: what is wrong with a machine, why, and what to do.
 *
 *     neap explain                          this machine, now
 *     neap explain --watch 10               and what happens in ten seconds
 *     neap explain --root saved/            a copied tree, a sosreport, a snapshot
 *     neap explain before/ after/           two readings of one machine
 *     neap explain zoneinfo.txt meminfo.txt | -
 *     neap explain --set min_free_kbytes=262144
 *
 * diag/explain.c does the work; here are the options and the document.
 *
 * What must never happen: an exit status 1 without a finding in the text, or the
 * reverse: scripts rely on it.
 *
 * Exit status: 0 nothing is wrong, 1 a finding, 2 usage or input, 3 the world failed.
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
#include "diag/explain.h"

enum explain_key {
	KEY_SET = INPUTS_KEY_OWN,
	KEY_ALL,
};

struct explain_options {
	struct inputs inputs;
	const char *set;
	bool all;
};

static const struct argp_option option_table[] = {
	{ "root", INPUTS_KEY_ROOT, "DIR", 0,
	  "the machine whose files are in DIR (/); twice: two readings", 0 },
	{ "watch", INPUTS_KEY_WATCH, "SECONDS", 0,
	  "read twice, this long apart, for what happens now", 0 },
	{ "set", KEY_SET, "NAME=VALUE[,NAME=VALUE]", 0,
	  "also say what these writes would do at this moment; nothing is written", 0 },
	{ "all", KEY_ALL, NULL, 0, "all findings and notes, with their numbers", 0 },
	INPUTS_OPTIONS,
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct explain_options *options = state->input;

	switch (key) {
	case KEY_SET:
		options->set = value;
		return 0;
	case KEY_ALL:
		options->all = true;
		return 0;
	default:
		return inputs_option(&options->inputs, key, value, state);
	}
}

#ifdef NEAP_HAVE_JANSSON

static json_t *json_lines(const struct text_buf *lines)
{
	const char *at = text_buf_text(lines);
	json_t *list = json_array();

	while (*at != '\0') {
		size_t length = strcspn(at, "\n");

		(void)json_array_append_new(list, json_stringn(at, length));
		at += length + (at[length] == '\n');
	}
	return list;
}

static json_t *json_item(const struct explain_item *item)
{
	json_t *object = json_object();

	document_set_text(object, "id", item->id);
	document_set_text(object, "level", explain_level_word(item->level));
	document_set_text(object, "title", text_buf_text(&item->title));
	(void)json_object_set_new(object, "evidence", json_lines(&item->proof));
	(void)json_object_set_new(object, "do", json_lines(&item->what_to));
	(void)json_object_set_new(object, "not", json_lines(&item->not_to));
	(void)json_object_set_new(object, "check", json_lines(&item->check));
	return object;
}

static json_t *json_nodes(const struct explain *x)
{
	static const char *const words[] = { "unknown", "sleeps", "rests", "awake", "gave_up" };
	json_t *list = json_array();

	for (uint32_t n = 0; x->state != NULL && n < x->state->machine.nr_nodes; n++) {
		json_t *object = json_object();

		(void)json_object_set_new(object, "node", json_integer(state_node_id(x->state, n)));
		document_set_text(object, "kswapd", words[x->node[n].kswapd]);
		if (x->node[n].kswapd_because != NULL)
			document_set_text(object, "kswapd_because", x->node[n].kswapd_because);
		(void)json_object_set_new(object, "balanced", json_boolean(x->node[n].balanced));
		(void)json_object_set_new(object, "boost_pages",
					  x->node[n].boost_known
						  ? json_integer((json_int_t)x->node[n].boost_pages)
						  : json_null());
		(void)json_array_append_new(list, object);
	}
	return list;
}

static int print_json(const struct explain *x)
{
	static const char *const direct[] = { "unknown", "never", "before", "between" };
	json_t *document = json_object(), *items = json_array();
	struct text_buf verdict;

	text_buf_init(&verdict);
	explain_verdict_add(&verdict, x);
	document_set_text(document, "command", "explain");
	document_set_text(document, "machine", x->after->where);
	document_set_text(document, "verdict", text_buf_text(&verdict));
	(void)json_object_set_new(document, "findings", json_integer(x->nr_findings));
	document_set_text(document, "kernel", x->after->kernel.said);
	(void)json_object_set_new(document, "page_kb",
				  json_integer((json_int_t)snapshot_page_kb(x->after->snapshot)));
	(void)json_object_set_new(document, "nodes", json_nodes(x));
	document_set_text(document, "direct_reclaim", direct[x->direct]);
	(void)json_object_set_new(document, "direct_reclaim_count",
				  json_integer((json_int_t)x->direct_count));
	for (uint32_t i = 0; i < x->nr_items; i++)
		(void)json_array_append_new(items, json_item(&x->item[i]));
	(void)json_object_set_new(document, "items", items);
	text_buf_free(&verdict);
	return document_print(document);
}

#else

static int print_json(const struct explain *x)
{
	(void)x;
	return document_missing();
}

#endif

static int print_text(const struct explain *x, bool all)
{
	struct paint paint = inputs_paint();
	struct text_buf out;

	text_buf_init(&out);
	explain_add(&out, x, all, &paint);
	if (out.error == 0)
		out.error = x->error;
	return document_print_text(&out);
}

static int run(const void *arg, const struct evidence *before, const struct evidence *after)
{
	const struct explain_options *options = arg;
	struct text_error err = { .line = 0 };
	struct explain *x = NULL;
	int error = explain_new(before, after, options->set, &x, &err);
	int status;

	if (error != 0) {
		cmd_error("%s: %s", err.file, err.message);
		return error == -ENOMEM ? CMD_WORLD : CMD_USAGE;
	}
	status = options->inputs.json ? print_json(x) : print_text(x, options->all);
	if (status == CMD_FINE && x->nr_findings != 0)
		status = CMD_FINDING;
	explain_free(x);
	return status;
}

int cmd_explain(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "[FILE|DIR|-]...",
		.doc = "Says what is wrong with a machine's memory, with the numbers that show it,"
		       " what to do and what not: from its /proc files, however they were saved.",
	};
	struct explain_options options = { .set = NULL };

	return inputs_run(argc, argv,
			  &(struct inputs_command){ .argp = &argp,
						    .options = &options,
						    .inputs = &options.inputs,
						    .run = run });
}
