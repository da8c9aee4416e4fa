/*
 * neap marks: where a machine's watermarks come from, and what would change them.
 *
 *     neap marks                                    this machine, from its own /proc
 *     neap marks --like DIR                         a saved one
 *     neap marks --set min_free_kbytes=262144 --set watermark_scale_factor=100
 *                                                   as it is and two other ways, side by side
 *     neap marks --want absorb=500M/s:200ms         which setting reaches that, at which cost
 *
 * Everything is arithmetic over the files: nothing is built, nothing is written, and
 * an answer takes a few milliseconds. Reading lowmem_reserve_ratio of the running
 * machine makes its kernel recompute protection, as any reader of that file does.
 *
 * What must never happen: a number that is guessed and not marked as such. Notes go to
 * standard error as every message does; the text says "guessed" itself, too.
 *
 * Exit status 1, a finding: marks that follow neither from the sizes nor from earlier
 * ones, or a want that no setting fulfils.
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
#include "diag/marks.h"
#include "diag/terms.h"

#define LIST_MAX 16u

enum marks_key {
	KEY_ROOT = 256,
	KEY_LIKE,
	KEY_SET,
	KEY_WANT,
	KEY_JSON,
};

struct marks_options {
	const char *dir;
	const char *set[LIST_MAX], *want[LIST_MAX];
	uint32_t nr_sets, nr_wants;
	bool json;
};

/* Everything that was computed, for the text and for the document. */
struct marks_result {
	const char *dir;
	struct marks_machine *machine;
	const char *label[LIST_MAX + 1];
	struct plan *plan[LIST_MAX + 1]; /* the first is the machine's own */
	uint32_t nr_plans;
	struct marks_want want[LIST_MAX];
	struct marks_answer answer[LIST_MAX][MARKS_NR_ANSWERS];
	uint32_t nr_wants;
};

static const struct argp_option marks_option_table[] = {
	{ "root", KEY_ROOT, "DIR", 0, "the machine whose /proc is DIR/proc (/)", 0 },
	{ "like", KEY_LIKE, "DIR", 0, "the machine whose files are saved in DIR", 0 },
	{ "set", KEY_SET, "NAME=VALUE[,NAME=VALUE]", 0,
	  "show the marks after these writes, too; each --set is a column", 0 },
	{ "want", KEY_WANT, "WANT", 0,
	  "find settings for low-min=SIZE or absorb=SIZE/s:TIME, with their cost", 0 },
	{ "json", KEY_JSON, NULL, 0, "print one JSON document", 0 },
	{ "help", '?', NULL, 0, "this list", 0 },
	{ 0 },
};

static error_t take(const char *value, const char **list, uint32_t *nr, const char *option)
{
	if (*nr == LIST_MAX) {
		cmd_error("--%s: at most %u of them", option, LIST_MAX);
		return EINVAL;
	}
	list[(*nr)++] = value;
	return 0;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct marks_options *options = state->input;

	switch (key) {
	case '?':
		cmd_help(state);
		return 0;
	case ARGP_KEY_ARG:
		cmd_error("marks takes no FILE; write --like %s for a saved machine", value);
		return EINVAL;
	case KEY_ROOT:
	case KEY_LIKE:
		if (options->dir != NULL) {
			cmd_error("one machine at a time: %s or %s", options->dir, value);
			return EINVAL;
		}
		options->dir = value;
		return 0;
	case KEY_SET:
		return take(value, options->set, &options->nr_sets, "set");
	case KEY_WANT:
		return take(value, options->want, &options->nr_wants, "want");
	case KEY_JSON:
		options->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- computing ---- */

static int load_machine(struct marks_result *result)
{
	struct text_error err = { .line = 0 };
	int error = marks_machine_load(result->dir, &result->machine, &err);

	if (error != 0) {
		if (err.line != 0)
			cmd_error("%s:%u: %s", err.file, err.line, err.message);
		else
			cmd_error("%s: %s", err.file, err.message);
		return error == -ENOMEM || error == -EACCES ? CMD_WORLD : CMD_USAGE;
	}
	if (err.message[0] != '\0')
		cmd_error("%s: %s", result->dir, err.message);
	result->plan[0] = &result->machine->printed;
	result->label[0] = "now";
	result->nr_plans = 1;
	return CMD_FINE;
}

/* Each --set is a plan of its own, written into the machine as it is. */
static int compute_sets(struct marks_result *result, const struct marks_options *options)
{
	struct text_error err = { .line = 0 };

	for (uint32_t i = 0; i < options->nr_sets; i++) {
		struct plan *plan = malloc(sizeof(*plan));

		if (plan == NULL) {
			cmd_error("memory is out");
			return CMD_WORLD;
		}
		result->label[result->nr_plans] = options->set[i];
		result->plan[result->nr_plans++] = plan;
		if (marks_apply(result->machine, options->set[i], plan, &err) != 0) {
			cmd_error("--set %s: %s", err.file, err.message);
			return CMD_USAGE;
		}
	}
	return CMD_FINE;
}

/* => CMD_FINDING if a want cannot be fulfilled */
static int compute_wants(struct marks_result *result, const struct marks_options *options)
{
	struct text_error err = { .line = 0 };
	struct plan *scratch = malloc(sizeof(*scratch));
	int status = CMD_FINE;

	if (scratch == NULL) {
		cmd_error("memory is out");
		return CMD_WORLD;
	}
	for (uint32_t i = 0; i < options->nr_wants; i++) {
		struct marks_answer *answers = result->answer[i];

		if (marks_want_parse(options->want[i], &result->want[i], &err) != 0) {
			cmd_error("--want %s: %s", err.file, err.message);
			status = CMD_USAGE;
			break;
		}
		marks_answer(result->machine, &result->want[i], scratch, answers);
		result->nr_wants++;
		if (!answers[0].reachable && !answers[1].reachable)
			status = CMD_FINDING;
	}
	free(scratch);
	return status;
}

static void free_result(struct marks_result *result)
{
	for (uint32_t i = 1; i < result->nr_plans; i++)
		free(result->plan[i]);
	free(result->machine);
}

/* ---- text ---- */

static int print_text(const struct marks_result *result)
{
	struct text_buf out;

	text_buf_init(&out);
	if (result->nr_plans == 1 && result->nr_wants == 0)
		marks_add(&out, result->machine);
	if (result->nr_plans > 1) {
		marks_columns_add(&out, result->label, (const struct plan *const *)result->plan,
				  result->nr_plans);
		marks_stale_add(&out, result->machine);
	}
	for (uint32_t i = 0; i < result->nr_wants; i++) {
		if (out.bytes != 0)
			text_buf_puts(&out, "\n");
		marks_answer_add(&out, result->machine, &result->want[i], result->answer[i]);
	}
	return document_print_text(&out);
}

/* ---- JSON ---- */

#ifdef NEAP_HAVE_JANSSON

static void set_pages(json_t *object, const char *key, uint64_t pages)
{
	(void)json_object_set_new(object, key, json_integer((json_int_t)pages));
}

/* terms: the marks were computed by us, so that their terms are known */
static json_t *json_zone(const struct plan *plan, uint32_t node, uint32_t index, bool terms)
{
	const struct plan_zone *zone = &plan->zone[node][index];
	json_t *object = json_object();
	json_t *protection = json_array();

	set_pages(object, "node", node);
	document_set_text(object, "zone", terms_zone_name(plan, index));
	set_pages(object, "managed_pages", zone->managed);
	set_pages(object, "boost_pages", zone->boost);
	set_pages(object, "min_pages", zone->marks.min + zone->boost);
	set_pages(object, "low_pages", zone->marks.low + zone->boost);
	set_pages(object, "high_pages", zone->marks.high + zone->boost);
	set_pages(object, "promo_pages", zone->marks.promo + zone->boost);
	if (terms) {
		set_pages(object, "share_pages", zone->marks.share);
		set_pages(object, "gap_pages", zone->marks.gap);
		set_pages(object, "gap_quarter_pages", zone->marks.gap_min);
		set_pages(object, "gap_scale_pages", zone->marks.gap_scale);
	}
	set_pages(object, "extra_pages", zone->extra);
	for (uint32_t j = 0; j < plan->nr_zones; j++)
		(void)json_array_append_new(protection,
					    json_integer((json_int_t)zone->protection[j]));
	(void)json_object_set_new(object, "protection_pages", protection);
	set_pages(object, "percpu_high_pages", zone->high);
	set_pages(object, "percpu_batch_pages", zone->batch);
	set_pages(object, "threshold_pages", (uint64_t)zone->threshold_normal);
	return object;
}

static json_t *json_setting(const char *label, const struct plan *plan, bool terms)
{
	json_t *object = json_object();
	json_t *zones = json_array();
	struct plan_totals totals;

	plan_sum(plan, &totals);
	document_set_text(object, "setting", label);
	set_pages(object, "min_free_kbytes", (uint64_t)plan->knobs.min_free_kbytes);
	set_pages(object, "watermark_scale_factor", (uint64_t)plan->knobs.watermark_scale_factor);
	set_pages(object, "min_pages", totals.min);
	set_pages(object, "low_pages", totals.low);
	set_pages(object, "high_pages", totals.high);
	set_pages(object, "reserved_pages", plan->reserve_pages);
	for (uint32_t n = 0; n < plan->nr_nodes; n++)
		for (uint32_t i = 0; i < plan->nr_zones; i++)
			if (plan->zone[n][i].managed != 0)
				(void)json_array_append_new(zones, json_zone(plan, n, i, terms));
	(void)json_object_set_new(object, "zones", zones);
	return object;
}

static json_t *json_stale(const struct marks_machine *machine)
{
	const struct stale *stale = &machine->stale;
	json_t *object = json_object();
	json_t *zones = json_array();

	(void)json_object_set_new(object, "marks", json_boolean(stale->marks));
	(void)json_object_set_new(object, "protection", json_boolean(stale->protection));
	(void)json_object_set_new(object, "explained", json_boolean(stale->explained));
	for (uint32_t i = 0; i < stale->nr_changed; i++) {
		const struct stale_zone *zone = &stale->changed[i];
		json_t *then = json_object();

		set_pages(then, "node", zone->node);
		document_set_text(then, "zone", terms_zone_name(&machine->printed, zone->index));
		set_pages(then, "least_pages", zone->least);
		set_pages(then, "most_pages", zone->most);
		(void)json_array_append_new(zones, then);
	}
	(void)json_object_set_new(object, "zones_then", zones);
	return object;
}

static json_t *json_want(const struct marks_want *want, const struct marks_answer *answers)
{
	json_t *object = json_object();
	json_t *list = json_array();

	document_set_text(object, "want", want->text);
	set_pages(object, "wanted_pages", want->pages);
	for (uint32_t i = 0; i < MARKS_NR_ANSWERS; i++) {
		json_t *answer = json_object();

		document_set_text(answer, "name", answers[i].name);
		(void)json_object_set_new(answer, "reachable", json_boolean(answers[i].reachable));
		set_pages(answer, "value", (uint64_t)answers[i].value);
		set_pages(answer, "gap_pages", answers[i].totals.gap);
		set_pages(answer, "min_pages", answers[i].totals.min);
		set_pages(answer, "high_pages", answers[i].totals.high);
		set_pages(answer, "reserved_pages", answers[i].reserve_pages);
		(void)json_array_append_new(list, answer);
	}
	(void)json_object_set_new(object, "answers", list);
	return object;
}

static int print_json(const struct marks_result *result)
{
	const struct marks_machine *machine = result->machine;
	json_t *document = json_object();
	json_t *settings = json_array(), *wants = json_array();

	document_set_text(document, "command", "marks");
	document_set_text(document, "machine", result->dir);
	(void)json_object_set_new(document, "guessed", json_boolean(machine->min_free_guessed));
	(void)json_array_append_new(settings, json_setting("now", &machine->printed, false));
	(void)json_array_append_new(settings, json_setting("recomputed", &machine->fresh, true));
	for (uint32_t i = 1; i < result->nr_plans; i++)
		(void)json_array_append_new(settings,
					    json_setting(result->label[i], result->plan[i], false));
	(void)json_object_set_new(document, "settings", settings);
	(void)json_object_set_new(document, "stale", json_stale(machine));
	for (uint32_t i = 0; i < result->nr_wants; i++)
		(void)json_array_append_new(wants, json_want(&result->want[i], result->answer[i]));
	(void)json_object_set_new(document, "wants", wants);
	return document_print(document);
}

#else

static int print_json(const struct marks_result *result)
{
	(void)result;
	return document_missing();
}

#endif

int cmd_marks(int argc, char **argv)
{
	static const struct argp argp = {
		.options = marks_option_table,
		.parser = parse_option,
		.doc = "Explains the watermarks of a machine: the terms of each, whether they"
		       " follow from the present sizes, what other settings give, and which give"
		       " a wanted distance between low and min.",
	};
	struct marks_options options = { .dir = NULL };
	struct marks_result result = { .dir = NULL };
	int status, printed;

	if (cmd_parse(&argp, argc, argv, &options) != CMD_FINE)
		return CMD_USAGE;
	result.dir = options.dir != NULL ? options.dir : "/";
	status = load_machine(&result);
	if (status == CMD_FINE)
		status = compute_sets(&result, &options);
	if (status == CMD_FINE)
		status = compute_wants(&result, &options);
	if (status == CMD_FINE || status == CMD_FINDING) {
		const struct stale *stale = &result.machine->stale;

		printed = options.json ? print_json(&result) : print_text(&result);
		if (printed != CMD_FINE)
			status = printed;
		else if ((stale->marks || stale->protection) && !stale->explained)
			status = CMD_FINDING;
	}
	free_result(&result);
	return status;
}
