/*
 * neap forecast: how many huge pages can be had.
 *
 *     neap forecast hugepages               2 MiB pages: now, after compaction, after reclaim
 *     neap forecast hugepages 512           whether so many can be had
 *     neap forecast hugepages --size 1G 4
 *
 * Nothing is allocated and nothing is written; diag/forecast.c counts.
 *
 * Exit status: 0 it can be had now (or no number was given), 1 not now, 2 usage or input.
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
#include "diag/forecast.h"

enum forecast_key {
	KEY_SIZE = INPUTS_KEY_OWN,
};

struct forecast_options {
	struct inputs inputs;
	uint64_t wanted, huge_kb;
	uint32_t nr_args;
};

static const struct argp_option option_table[] = {
	{ "root", INPUTS_KEY_ROOT, "DIR", 0, "the machine whose files are in DIR (/)", 0 },
	{ "size", KEY_SIZE, "2M|1G", 0, "of a huge page (2M)", 0 },
	INPUTS_OPTIONS,
};

static error_t parse_argument(struct forecast_options *options, const char *value,
			      struct argp_state *state)
{
	char *end = NULL;

	if (options->nr_args++ == 0) {
		if (strcmp(value, "hugepages") == 0)
			return 0;
		cmd_error("forecast: '%s' cannot be forecast; only hugepages can", value);
		return EINVAL;
	}
	if (options->nr_args == 2 && *value >= '0' && *value <= '9') {
		options->wanted = strtoull(value, &end, 10);
		if (*end == '\0' && options->wanted < (uint64_t)1 << 40)
			return 0;
	}
	return inputs_option(&options->inputs, ARGP_KEY_ARG, value, state);
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct forecast_options *options = state->input;

	switch (key) {
	case KEY_SIZE:
		if (strcmp(value, "2M") == 0 || strcmp(value, "1G") == 0) {
			options->huge_kb = value[0] == '2' ? 2048 : 1048576;
			return 0;
		}
		cmd_error("--size: 2M or 1G, not '%s'", value);
		return EINVAL;
	case ARGP_KEY_ARG:
		return parse_argument(options, value, state);
	case ARGP_KEY_END:
		if (options->nr_args != 0)
			return 0;
		cmd_error("forecast: of what? neap forecast hugepages [N]");
		return EINVAL;
	default:
		return inputs_option(&options->inputs, key, value, state);
	}
}

#ifdef NEAP_HAVE_JANSSON

static void set_int(json_t *object, const char *key, uint64_t value)
{
	(void)json_object_set_new(object, key, json_integer((json_int_t)value));
}

static int print_json(const struct state *state, const struct forecast *forecast, uint64_t wanted)
{
	json_t *document = json_object(), *zones = json_array();

	document_set_text(document, "command", "forecast");
	document_set_text(document, "machine", state->evidence->where);
	set_int(document, "huge_kb", forecast->huge_kb);
	set_int(document, "wanted", wanted);
	set_int(document, "now", forecast->now);
	set_int(document, "after_compaction_most", forecast->after_compaction);
	set_int(document, "after_reclaim_most", forecast->after_reclaim);
	(void)json_object_set_new(document, "types_known", json_boolean(state->has_types));
	for (uint32_t i = 0; i < forecast->nr_zones; i++) {
		const struct forecast_zone *zone = &forecast->zone[i];
		json_t *object = json_object();

		set_int(object, "node", state_node_id(state, zone->zone->node));
		document_set_text(object, "zone", state_zone_name(state, zone->zone));
		set_int(object, "room", zone->whole);
		set_int(object, "now", zone->now);
		set_int(object, "after_compaction_most", zone->after_compaction);
		set_int(object, "after_reclaim_most", zone->after_reclaim);
		set_int(object, "kept_pages", zone->kept_pages);
		set_int(object, "reclaimable_pages", zone->reclaimable_pages);
		set_int(object, "movable_pageblocks", zone->movable_blocks);
		set_int(object, "fixed_pageblocks", zone->fixed_blocks);
		(void)json_array_append_new(zones, object);
	}
	(void)json_object_set_new(document, "zones", zones);
	return document_print(document);
}

#else

static int print_json(const struct state *state, const struct forecast *forecast, uint64_t wanted)
{
	(void)state;
	(void)forecast;
	(void)wanted;
	return document_missing();
}

#endif

static int print_text(const struct state *state, const struct forecast *forecast, uint64_t wanted)
{
	struct paint paint = inputs_paint();
	struct text_buf out;

	text_buf_init(&out);
	forecast_add(&out, state, forecast, wanted, &paint);
	return document_print_text(&out);
}

/* Says what kept the forecast from being made. => the exit status */
static int refuse(int error, const struct evidence *evidence, const struct text_error *err)
{
	if (error == -ENODATA)
		cmd_error("%s: zoneinfo and buddyinfo are needed: free pages, marks and blocks",
			  evidence->where);
	else if (error == -ENOMEM)
		cmd_error("memory is out");
	else if (err->message[0] != '\0')
		cmd_error("%s", err->message);
	else
		cmd_error("%s: huge pages of this size are forecast for pages of 4 KiB only",
			  evidence->where);
	return error == -ENOMEM ? CMD_WORLD : CMD_USAGE;
}

static int run(const void *arg, const struct evidence *before UNUSED,
	       const struct evidence *evidence)
{
	const struct forecast_options *options = arg;
	struct forecast *forecast = calloc(1, sizeof(*forecast));
	struct text_error err = { .line = 0 };
	struct state *state = NULL;
	int error = forecast != NULL ? state_new(evidence, &state, &err) : -ENOMEM;
	int status;

	if (error == 0)
		error = forecast_run(state, options->huge_kb, forecast);
	if (error != 0) {
		status = refuse(error, evidence, &err);
	} else {
		status = options->inputs.json ? print_json(state, forecast, options->wanted)
					      : print_text(state, forecast, options->wanted);
		if (status == CMD_FINE && options->wanted > forecast->now)
			status = CMD_FINDING;
	}
	state_free(state);
	free(forecast);
	return status;
}

int cmd_forecast(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "hugepages [N] [FILE|DIR|-]...",
		.doc = "Says how many huge pages a machine could give now, after compaction and"
		       " after reclaim, zone by zone, and what keeps it from giving more.",
	};
	struct forecast_options options = { .huge_kb = 2048 };

	return inputs_run(argc, argv,
			  &(struct inputs_command){ .argp = &argp,
						    .options = &options,
						    .inputs = &options.inputs,
						    .run = run });
}
