/*
 * The rule by which counters are compared with recorded runs of a kernel. There is one, for all
 * jobs and all rows, and for the kernel itself.
 */
#ifndef NEAP_DIAG_RULE_H
#define NEAP_DIAG_RULE_H

#include "base/base.h"

#define RULE_LEAST_MAXIMUM 64 /* rows that never reach this say nothing */
#define RULE_WIDEN_PERCENT 15 /* of the median, to both sides of the recorded range */
#define RULE_WIDEN_COUNT 32   /* and this many more */
#define RULE_NEAR_COUNT 64    /* as near as this, or within a factor of 3/2 of the median */
#define RULE_GROUP_RUNS 2u    /* runs that a second outcome must have to be one */
#define RULE_RUNS_MAX 32u

enum rule_verdict {
	RULE_INSIDE,
	RULE_NEAR,
	RULE_OFF,
	NR_RULE_VERDICTS,
};

/* Counters of one row: how often something happened between two snapshots, in several runs. */
struct rule_values {
	uint32_t nr;
	int64_t value[RULE_RUNS_MAX];
};

/* The rule in a few lines of text, for the head of every table. */
extern const char rule_text[];

/* The counters that are compared, by their names in /proc/vmstat; sums end in _total. */
uint32_t rule_nr_counters(void);
const char *rule_counter_name(uint32_t counter);
/* The counter that a line of vmstat goes into. => rule_nr_counters() if into none */
uint32_t rule_counter_of(const char *name, size_t bytes);

/* Whether a row is compared at all: its maximum is at least RULE_LEAST_MAXIMUM. */
bool rule_row_counts(const struct rule_values *kernel);
/* The middle value, of an even number the mean of the middle two, rounded to zero. nr >= 1 */
int64_t rule_median(const struct rule_values *values);
/*
 * Whether the runs fall into two groups: => true and *low_nr, how many of the sorted values are in
 * the lower one
 */
bool rule_two_outcomes(const struct rule_values *values, uint32_t *low_nr);
/* What the rule says about values beside those of the kernel. Both have at least one. */
enum rule_verdict rule_judge(const struct rule_values *kernel, const struct rule_values *values);

#endif
