/*
 * neap conform --json: the same results with stable keys.
 *
 * One document: the rule, the jobs, each with its rows (the kernel's runs and ours as
 * they are, not only medians), scores in per mille. Units: counters are events or
 * pages, as in /proc/vmstat.
 *
 * What must never happen: a number here that the tables do not show.
 */
#include <inttypes.h>

#include "cmd/cmd.h"
#include "cmd/conform.h"
#include "cmd/document.h"

#ifdef NEAP_HAVE_JANSSON
#include <jansson.h>

static json_t *json_values(const struct rule_values *values)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < values->nr; i++)
		(void)json_array_append_new(array, json_integer(values->value[i]));
	return array;
}

static json_t *json_score(const struct conform_score *score)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "rows", (json_int_t)score->rows, "inside",
			 (json_int_t)score->ours[RULE_INSIDE], "near",
			 (json_int_t)score->ours[RULE_NEAR], "off",
			 (json_int_t)score->ours[RULE_OFF], "inside_permille",
			 (json_int_t)conform_inside(score), "kernel_inside_permille",
			 (json_int_t)conform_kernel_inside(score));
}

static json_t *json_witness(const struct witness *witness, uint32_t counter)
{
	json_t *first = json_array();
	json_t *object = json_pack("{s:I}", "events", (json_int_t)witness->nr_events);

	if (witness_sum(counter) != NULL)
		(void)json_object_set_new(object, "sum", json_integer((json_int_t)witness->sum));
	for (uint32_t i = 0; i < witness->nr_lines; i++)
		(void)json_array_append_new(first, json_string(witness->line[i]));
	(void)json_object_set_new(object, "first", first);
	return object;
}

/* The traces' word on a row that is off: always an object, whose "traced" says how much. */
static json_t *json_evidence(const struct conform_job *job, uint32_t row)
{
	static const char *const words[NR_WITNESS_STATUSES] = { "whole", "part", "outside",
								"no event" };
	const struct witness *pair =
		job->witnesses != NULL && row < job->nr_witnesses ? job->witnesses[row] : NULL;
	uint32_t counter = job->rows[row].counter;
	json_t *object;

	if (pair == NULL)
		return json_pack("{s:s}", "traced", "no run");
	object = json_pack("{s:s}", "traced", words[pair[0].status]);
	if (pair[0].status == WITNESS_NONE)
		return object;
	document_set_text(object, "event", witness_events(counter));
	if (witness_sum(counter) != NULL)
		document_set_text(object, "summed", witness_sum(counter));
	if (pair[0].status == WITNESS_OUTSIDE)
		return object;
	(void)json_object_set_new(object, "kernel", json_witness(&pair[0], counter));
	(void)json_object_set_new(object, "ours", json_witness(&pair[1], counter));
	return object;
}

static json_t *json_rows(const struct conform_job *job)
{
	static const char *const words[NR_RULE_VERDICTS] = { "inside", "near", "off" };
	json_t *array = json_array();

	for (uint32_t i = 0; i < job->nr_rows; i++) {
		const struct record_row *row = &job->rows[i];
		const struct record *run = &job->kernel.run[0];
		json_t *object =
			json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "from", run->label[row->from], "to",
				  run->label[row->to], "counter", rule_counter_name(row->counter),
				  "verdict", words[row->verdict], "ours", json_values(&row->ours),
				  "kernel", json_values(&row->kernel));

		if (row->verdict == RULE_OFF)
			(void)json_object_set_new(object, "evidence", json_evidence(job, i));
		(void)json_array_append_new(array, object);
	}
	return array;
}

/* Of each recorded run: the other threads of its host; -1: as the cost table says. */
static json_t *json_hosts(const struct conform_job *job)
{
	json_t *array = json_array();

	for (uint32_t run = 0; run < job->kernel.nr; run++)
		(void)json_array_append_new(array, json_integer(job->host_others_permille[run]));
	return array;
}

static json_t *json_job(const struct conform_job *job)
{
	struct conform_score score = conform_score_job(job);
	json_t *object = json_pack("{s:s}", "job", job->name);

	if (job->refused != NULL || job->failed != NULL) {
		(void)json_object_set_new(object, job->refused != NULL ? "refused" : "failed",
					  json_string(job->refused != NULL ? job->refused
									   : job->failed));
		return object;
	}
	(void)json_object_set_new(object, "boots", json_integer(job->nr_boots));
	(void)json_object_set_new(object, "host_others_permille", json_hosts(job));
	(void)json_object_set_new(object, "score", json_score(&score));
	(void)json_object_set_new(object, "kswapd_share_permille",
				  json_integer(record_kswapd_share(&job->ours)));
	(void)json_object_set_new(object, "kernel_kswapd_share_permille",
				  json_integer(record_kswapd_share(&job->kernel)));
	(void)json_object_set_new(object, "rows", json_rows(job));
	if (job->evidence != NULL)
		(void)json_object_set_new(
			object, "decisions",
			json_pack("{s:I,s:I,s:I,s:s}", "kernel", (json_int_t)job->decisions[0],
				  "ours", (json_int_t)job->decisions[1], "edit_distance",
				  (json_int_t)job->distance, "evidence", job->evidence));
	return object;
}

bool conform_print_json(const struct conform *conform, FILE *out)
{
	struct conform_score total = { 0 };
	json_t *jobs = json_array();
	json_t *document;
	int error;

	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		struct conform_score score = conform_score_job(&conform->job[i]);

		conform_score_add(&total, &score);
		(void)json_array_append_new(jobs, json_job(&conform->job[i]));
	}
	document = json_pack("{s:s,s:s,s:I,s:o,s:I,s:I,s:I,s:o}", "command", "conform", "rule",
			     rule_text, "seeds", (json_int_t)conform->options->nr_seeds, "score",
			     json_score(&total), "jobs_played", (json_int_t)total.played,
			     "jobs_refused", (json_int_t)total.refused, "jobs_failed",
			     (json_int_t)total.failed, "jobs", jobs);
	error = document == NULL ? -1 : json_dumpf(document, out, JSON_INDENT(1));
	json_decref(document);
	fputc('\n', out);
	/* What could not be written is said at the end, for all commands. */
	if (error != 0 && ferror(out) == 0)
		cmd_error("memory is out");
	return error == 0;
}
#else
bool conform_print_json(const struct conform *conform, FILE *out)
{
	(void)conform;
	(void)out;
	cmd_error("--json: this neap was built without jansson");
	return false;
}
#endif
