/*
 * The rule.
 *
 *        least        median            most
 *     ----|-------------|----------------|----------------> a counter's difference
 *    inside: this range, longer at both ends by 15 % of the median and 32
 *    near: within a factor of 1.5 of the median, or 64 of it          else: off
 *
 * A row is one counter between two snapshots of one job. Recorded runs of the same
 * job on the same kernel differ, by chance of timing, and the rule asks no more of us
 * than that our value could be one of theirs. Of our runs the median is judged.
 *
 * Some rows have two outcomes and nothing between: a compaction that begins, or does
 * not. There a median means nothing. If the widest gap between the sorted runs leaves
 * at least two on each side and is wider than "near", the row is two groups, each
 * with its own range; each of our runs is judged against both, and the verdict is what
 * the better half of the runs gets.
 *
 * The kernel is judged by the same rule, each run as if it were ours against the
 * others. What it gets is the most that a model of it can be asked for.
 *
 * What must never happen: a constant here that depends on the job, the counter or on
 * what the engine happens to give.
 *
 * The list of counters is that of the recordings' own table of spreads; zones are
 * summed, since where a zone ends differs from boot to boot.
 */
#include "diag/rule.h"

#include <stdlib.h>
#include <string.h>

const char rule_text[] =
	"Compared is each counter between each two following snapshots of a job, and\n"
	"between the first and the last, if it reached 64 in some run of the kernel.\n"
	"  inside  within the kernel's minimum..maximum over its recorded runs, widened\n"
	"          by 15 % of their median and by 32\n"
	"  near    within a factor of 1.5 of the median, or 64\n"
	"  off     neither\n"
	"Ours is the median of our runs. Where the kernel's runs fall into two groups\n"
	"(at least two runs each, further apart than near), one of ours may be in either;\n"
	"at least half must.\n"
	"The kernel is judged by the same rule, each run against the others.\n";

static const char *const counter_names[] = {
	"pgalloc_total",
	"pgfault",
	"pgmajfault",
	"pgscan_kswapd",
	"pgscan_direct",
	"pgsteal_kswapd",
	"pgsteal_direct",
	"pgscan_anon",
	"pgscan_file",
	"pgsteal_anon",
	"pgsteal_file",
	"pswpin",
	"pswpout",
	"zswpin",
	"zswpout",
	"swap_ra",
	"swap_ra_hit",
	"allocstall_total",
	"pageoutrun",
	"kswapd_low_wmark_hit_quickly",
	"kswapd_high_wmark_hit_quickly",
	"pgactivate",
	"pgdeactivate",
	"pgrefill",
	"workingset_refault_anon",
	"workingset_refault_file",
	"slabs_scanned",
	"compact_stall",
	"compact_fail",
	"compact_success",
	"compact_migrate_scanned",
	"compact_free_scanned",
	"compact_isolated",
	"compact_daemon_wake",
	"compact_daemon_migrate_scanned",
	"pgmigrate_success",
	"pgmigrate_fail",
	"thp_fault_alloc",
	"thp_fault_fallback",
	"htlb_buddy_alloc_success",
	"htlb_buddy_alloc_fail",
	"drop_pagecache",
};

uint32_t rule_nr_counters(void)
{
	return ARRAY_LEN(counter_names);
}

const char *rule_counter_name(uint32_t counter)
{
	return counter_names[counter];
}

uint32_t rule_counter_of(const char *name, size_t bytes)
{
	static const char *const zones[] = { "dma", "dma32", "normal", "movable", "device" };
	const char *cut = memrchr(name, '_', bytes);

	for (uint32_t i = 0; i < ARRAY_LEN(counter_names); i++) {
		const char *own = counter_names[i];
		size_t stem = strlen(own) - strlen("_total");

		if (strlen(own) == bytes && memcmp(own, name, bytes) == 0)
			return i;
		if (cut == NULL || stem != (size_t)(cut - name) || memcmp(own, name, stem) != 0 ||
		    strcmp(own + stem, "_total") != 0)
			continue;
		for (uint32_t z = 0; z < ARRAY_LEN(zones); z++)
			if (strlen(zones[z]) == bytes - stem - 1 &&
			    memcmp(zones[z], cut + 1, bytes - stem - 1) == 0)
				return i;
	}
	return ARRAY_LEN(counter_names);
}

static int compare_values(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static struct rule_values sorted(const struct rule_values *values)
{
	struct rule_values copy = *values;

	qsort(copy.value, copy.nr, sizeof(copy.value[0]), compare_values);
	return copy;
}

static int64_t median_of(const int64_t *value, uint32_t nr)
{
	if (nr % 2 == 1)
		return value[nr / 2];
	return (value[nr / 2 - 1] + value[nr / 2]) / 2;
}

int64_t rule_median(const struct rule_values *values)
{
	struct rule_values in_order = sorted(values);

	return median_of(in_order.value, in_order.nr);
}

bool rule_row_counts(const struct rule_values *kernel)
{
	for (uint32_t i = 0; i < kernel->nr; i++)
		if (kernel->value[i] >= RULE_LEAST_MAXIMUM)
			return true;
	return false;
}

static bool is_near(int64_t median, int64_t value)
{
	int64_t distance = value > median ? value - median : median - value;

	if (distance <= RULE_NEAR_COUNT)
		return true;
	return median > 0 && value > 0 && 2 * value <= 3 * median && 2 * median <= 3 * value;
}

/* One value against one group of sorted values. */
static enum rule_verdict judge_group(const int64_t *group, uint32_t nr, int64_t value)
{
	int64_t median = median_of(group, nr);
	int64_t widen = (median > 0 ? median : -median) * RULE_WIDEN_PERCENT / 100;

	widen += RULE_WIDEN_COUNT;
	if (value >= group[0] - widen && value <= group[nr - 1] + widen)
		return RULE_INSIDE;
	return is_near(median, value) ? RULE_NEAR : RULE_OFF;
}

/* In sorted values: where the gap is that makes two groups. => 0 if there is none */
static uint32_t find_gap(const struct rule_values *in_order)
{
	const int64_t *value = in_order->value;
	uint32_t at = 0;

	for (uint32_t i = 1; i < in_order->nr; i++)
		if (at == 0 || value[i] - value[i - 1] > value[at] - value[at - 1])
			at = i;
	if (at < RULE_GROUP_RUNS || in_order->nr - at < RULE_GROUP_RUNS ||
	    is_near(value[at - 1], value[at]))
		return 0;
	return at;
}

bool rule_two_outcomes(const struct rule_values *values, uint32_t *low_nr)
{
	struct rule_values in_order = sorted(values);

	*low_nr = find_gap(&in_order);
	return *low_nr != 0;
}

enum rule_verdict rule_judge(const struct rule_values *kernel, const struct rule_values *values)
{
	struct rule_values in_order = sorted(kernel);
	uint32_t gap = find_gap(&in_order);
	uint32_t nr[NR_RULE_VERDICTS] = { 0 };

	if (gap == 0)
		return judge_group(in_order.value, in_order.nr, rule_median(values));
	for (uint32_t i = 0; i < values->nr; i++) {
		enum rule_verdict low = judge_group(in_order.value, gap, values->value[i]);
		enum rule_verdict high =
			judge_group(in_order.value + gap, in_order.nr - gap, values->value[i]);

		nr[low < high ? low : high]++;
	}
	if (2 * nr[RULE_INSIDE] >= values->nr)
		return RULE_INSIDE;
	return 2 * (nr[RULE_INSIDE] + nr[RULE_NEAR]) >= values->nr ? RULE_NEAR : RULE_OFF;
}
