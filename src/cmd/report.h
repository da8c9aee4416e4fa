/*
 * Results of run and sim, for people and for programs.
 */
#ifndef NEAP_CMD_REPORT_H
#define NEAP_CMD_REPORT_H

#include <stdio.h>

#include "base/base.h"
#include "job/run.h"

/* One run and what it was. */
struct report {
	const char *path; /* of the job or trace */
	bool live;
	uint64_t seed; /* simulated runs */
	const struct run_result *result;
};

/* The summary, without the state line. */
void report_print(const struct report *report, FILE *out);

/* The lines that a run had to say beside it. NULL: nothing. */
void report_print_notes(const char *notes, FILE *out);

struct report_json;

/*
 * => a document for this command, or NULL: this build has no JSON, or memory is out (said on
 * stderr)
 */
struct report_json *report_json_new(bool live);
void report_json_add(struct report_json *document, const struct report *report);
/* Prints and frees. => false when memory was out somewhere */
bool report_json_print(struct report_json *document, FILE *out);

#endif
