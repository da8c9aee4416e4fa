/*
 * neap request: would this allocation succeed now, and where would it fail?
 *
 *     neap request --order 3 --gfp GFP_ATOMIC
 *     neap request --order 9 --gfp GFP_TRANSHUGE --node 1 --root saved/
 *     neap request --order 0 --gfp 0xcc0 zoneinfo.txt buddyinfo.txt
 *
 * The engine's allocator is asked on the state of the machine, as diag/request.c says; nothing is
 * allocated. Without --node the first node with memory is the requesting task's.
 *
 * What must never happen: an answer about another request than the one asked for. Flags
 * that are not understood, or contradict each other, are errors of usage.
 *
 * Exit status: 0 it succeeds without waiting, 1 it fails or has to wait, 2 usage or input.
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
#include "diag/request.h"
#include "text/gfp.h"

enum request_key {
	KEY_ORDER = INPUTS_KEY_OWN,
	KEY_GFP,
	KEY_NODE,
};

struct request_options {
	struct inputs inputs;
	uint32_t order, gfp, node;
	bool has_node;
};

static const struct argp_option option_table[] = {
	{ "order", KEY_ORDER, "N", 0, "ask for 2^N pages (0)", 0 },
	{ "gfp", KEY_GFP, "FLAGS", 0, "names with | between, or a number (GFP_KERNEL)", 0 },
	{ "node", KEY_NODE, "N", 0, "from a CPU of this node", 0 },
	{ "root", INPUTS_KEY_ROOT, "DIR", 0, "the machine whose files are in DIR (/)", 0 },
	INPUTS_OPTIONS,
};

static error_t parse_number(const char *option, const char *value, uint32_t *out)
{
	char *end = NULL;
	unsigned long number = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end != '\0' || number > 1023) {
		cmd_error("--%s: write a number, not '%s'", option, value);
		return EINVAL;
	}
	*out = (uint32_t)number;
	return 0;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct request_options *options = state->input;

	switch (key) {
	case KEY_ORDER:
		return parse_number("order", value, &options->order);
	case KEY_NODE:
		options->has_node = true;
		return parse_number("node", value, &options->node);
	case KEY_GFP:
		if (gfp_flags_parse(value, &options->gfp) == 0)
			return 0;
		cmd_error("--gfp: '%s' holds a name that 6.1 does not have; write for example"
			  " GFP_KERNEL|__GFP_NOWARN, or a number as in 0xcc0",
			  value);
		return EINVAL;
	default:
		return inputs_option(&options->inputs, key, value, state);
	}
}

/* The index of the node with this id, or the first with memory. => false, said */
static bool find_node(const struct state *state, const struct request_options *options,
		      uint32_t *index)
{
	const struct snapshot *snapshot = state->evidence->snapshot;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		const struct snapshot_node *node = &snapshot->node[n];

		if (options->has_node ? node->id != options->node : !node->has_memory)
			continue;
		*index = n;
		return true;
	}
	cmd_error(options->has_node
			  ? "--node %u: the machine has no node of that number with memory"
			  : "no node has memory",
		  options->node);
	return false;
}

#ifdef NEAP_HAVE_JANSSON

static void set_int(json_t *object, const char *key, int64_t value)
{
	(void)json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *json_walk(const struct state *state, const struct dry_walk *walk)
{
	static const char *const results[] = {
		[DRY_MARK] = "below_mark",  [DRY_NOTHING] = "no_block", [DRY_OWN] = "block",
		[DRY_OTHER] = "other_type", [DRY_CMA] = "cma",		[DRY_RESERVE] = "reserve",
	};
	json_t *list = json_array();

	for (uint32_t i = 0; i < walk->nr; i++) {
		const struct dry_step *step = &walk->step[i];
		json_t *object = json_object();

		set_int(object, "node", state_node_id(state, step->zone->node));
		document_set_text(object, "zone", state_zone_name(state, step->zone));
		set_int(object, "free_pages", step->terms.free);
		set_int(object, "unusable_pages", step->terms.unusable);
		set_int(object, "cma_pages", step->terms.cma);
		set_int(object, "mark_pages", step->terms.mark);
		set_int(object, "reserve_pages", step->terms.reserve);
		(void)json_object_set_new(object, "order_failed",
					  json_boolean(step->terms.order_failed));
		document_set_text(object, "result", results[step->result]);
		(void)json_array_append_new(list, object);
	}
	return list;
}

static int print_json(const struct state *state, const struct request *request)
{
	json_t *document = json_object();
	char flags[GFP_TEXT_BYTES];

	(void)gfp_flags_format(request->gfp, flags, sizeof(flags));
	document_set_text(document, "command", "request");
	document_set_text(document, "machine", state->evidence->where);
	set_int(document, "order", request->order);
	document_set_text(document, "gfp", flags);
	set_int(document, "node", state_node_id(state, request->node));
	document_set_text(document, "verdict", request_verdict_word(request->verdict));
	document_set_text(document, "why", request->why);
	(void)json_object_set_new(document, "types_known", json_boolean(state->has_types));
	(void)json_object_set_new(document, "oom", json_boolean(request->oom));
	(void)json_object_set_new(document, "first_walk", json_walk(state, &request->fast));
	(void)json_object_set_new(document, "second_walk", json_walk(state, &request->slow));
	return document_print(document);
}

#else

static int print_json(const struct state *state, const struct request *request)
{
	(void)state;
	(void)request;
	return document_missing();
}

#endif

static int print_text(const struct state *state, const struct request *request)
{
	struct paint paint = inputs_paint();
	struct text_buf out;

	text_buf_init(&out);
	request_add(&out, state, request, &paint);
	return document_print_text(&out);
}

static int run(const void *arg, const struct evidence *before UNUSED,
	       const struct evidence *evidence)
{
	const struct request_options *options = arg;
	struct text_error err = { .line = 0 };
	struct request *request = calloc(1, sizeof(*request));
	struct state *state = NULL;
	uint32_t node = 0;
	int error = request != NULL ? state_new(evidence, &state, &err) : -ENOMEM;
	int status = CMD_FINE;

	if (error != 0) {
		if (error == -ENODATA)
			cmd_error("%s: without a zoneinfo no request can be tested; it has the"
				  " free pages and the marks",
				  evidence->where);
		else
			cmd_error("%s", error == -ENOMEM ? "memory is out" : err.message);
		status = error == -ENOMEM ? CMD_WORLD : CMD_USAGE;
	} else if (!find_node(state, options, &node)) {
		status = CMD_USAGE;
	} else {
		request_run(state, options->gfp, options->order, node, request);
		status = options->inputs.json ? print_json(state, request)
					      : print_text(state, request);
		if (status == CMD_FINE && request->verdict >= REQUEST_UNKNOWN)
			status = CMD_USAGE;
		else if (status == CMD_FINE && request->verdict >= REQUEST_STALLS)
			status = CMD_FINDING;
	}
	state_free(state);
	free(request);
	return status;
}

int cmd_request(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "[FILE|DIR|-]...",
		.doc = "Says whether an allocation would succeed on a machine as it is now: the"
		       " zones tried, their marks and reserves, and the first step that would"
		       " fail.",
	};
	struct request_options options = { .gfp = GFP_KERNEL };

	return inputs_run(argc, argv,
			  &(struct inputs_command){ .argp = &argp,
						    .options = &options,
						    .inputs = &options.inputs,
						    .run = run });
}
