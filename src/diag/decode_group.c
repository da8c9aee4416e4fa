/*
 * Groups of equal reports.
 *
 *     report ──> signature: kind, order, flags, cause, zone limit, who (without numbers)
 *                    |
 *                    ├── known: count, last time, names        the rest is dropped
 *                    └── new:   kept, with its verdict
 *
 * A log repeats itself: a driver that fails once fails a thousand times. What differs
 * between two reports of one signature (which CPU, how many pages short) is not worth a
 * second page; that it happened again is.
 *
 * Names of kernel threads are compared without what stands after '/', ':' or '-' and
 * without final digits, so kworker/0:1 and kworker/3:2 are one.
 *
 * Memory: at most DECODE_GROUPS_MAX groups are kept, whatever the log's length.
 *
 * What must never happen: a report that is neither told nor counted.
 */
#include "diag/decode_group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The part of a name that stays the same from thread to thread. => its bytes */
static size_t comm_stem(const char *comm)
{
	size_t bytes = strcspn(comm, "/:");

	while (bytes > 1 && comm[bytes - 1] >= '0' && comm[bytes - 1] <= '9')
		bytes--;
	return bytes;
}

static bool same_comm(const char *a, const char *b)
{
	size_t bytes = comm_stem(a);

	return comm_stem(b) == bytes && memcmp(a, b, bytes) == 0;
}

static bool same_group(const struct decode_group *group, const struct decode_report *report,
		       const struct decode_verdict *verdict)
{
	const struct decode_report *first = group->report;

	if (group->kind != report->kind || first->order != report->order ||
	    first->gfp != report->gfp || group->verdict.cause != verdict->cause ||
	    group->verdict.limit != verdict->limit || strcmp(first->cache, report->cache) != 0)
		return false;
	/* Failures of one request by many programs are one trouble; a kill is its victim's. */
	if (report->kind == DECODE_OOM || report->kind == DECODE_GROUP)
		return same_comm(first->oom.victim.comm, report->oom.victim.comm) &&
		       strcmp(first->oom.group, report->oom.group) == 0 &&
		       strcmp(first->oom.constraint, report->oom.constraint) == 0;
	return report->kind != DECODE_HUNG ||
	       (same_comm(first->comm, report->comm) && first->spins == report->spins);
}

static void note_comm(struct decode_group *group, const char *comm)
{
	for (uint32_t i = 0; i < group->nr_comms; i++)
		if (same_comm(group->comm[i], comm))
			return;
	if (group->nr_comms == DECODE_COMMS) {
		group->nr_more_comms++;
		return;
	}
	memcpy(group->comm[group->nr_comms++], comm, DECODE_COMM_BYTES);
}

/* Keeps a report without its large part. */
static struct decode_report *keep_report(const struct decode_report *report)
{
	struct decode_report *kept = malloc(sizeof(*kept) - sizeof(kept->memory));

	if (kept != NULL)
		memcpy(kept, report, offsetof(struct decode_report, memory));
	return kept;
}

static struct decode_group *new_group(const struct decode_report *report,
				      const struct decode_verdict *verdict)
{
	struct decode_group *group = calloc(1, sizeof(*group));
	const struct report_memory *memory = &report->memory;

	if (group == NULL)
		return NULL;
	group->kind = report->kind;
	group->report = keep_report(report);
	if (group->report == NULL) {
		free(group);
		return NULL;
	}
	group->verdict = *verdict;
	group->first_line = report->line;
	memcpy(group->first_when, report->when, sizeof(group->first_when));
	group->page_kb = report->has_memory ? memory->page_kb : 4;
	if (!report->has_memory)
		return group;
	group->nr_uses = decode_usage(memory, group->use, &group->total_pages);
	group->has_swap = memory->has_swap;
	group->swap_free_kb = memory->swap_free_kb;
	group->swap_total_kb = memory->swap_total_kb;
	for (uint32_t i = 0; i < memory->nr_nodes; i++)
		if (report_values_get(&memory->node[i].kb, RI_UNRECLAIMABLE) != 0)
			group->hopeless++;
	return group;
}

int decode_groups_add(struct decode_groups *groups, const struct decode_report *report)
{
	struct decode_verdict verdict;
	struct decode_group *group = NULL;

	decode_judge(report, &verdict);
	groups->nr_reports++;
	for (uint32_t i = 0; i < groups->nr && group == NULL; i++)
		if (same_group(groups->group[i], report, &verdict))
			group = groups->group[i];
	if (group == NULL && groups->nr == DECODE_GROUPS_MAX) {
		groups->nr_left_out++;
		return 0;
	}
	if (group == NULL) {
		group = new_group(report, &verdict);
		if (group == NULL)
			return -ENOMEM;
		groups->group[groups->nr++] = group;
	}
	group->count++;
	group->last_line = report->line;
	memcpy(group->last_when, report->when, sizeof(group->last_when));
	note_comm(group, report->comm);
	return 0;
}

void decode_groups_free(struct decode_groups *groups)
{
	for (uint32_t i = 0; i < groups->nr; i++) {
		free(groups->group[i]->report);
		free(groups->group[i]);
	}
	memset(groups, 0, sizeof(*groups));
}

bool decode_groups_finding(const struct decode_groups *groups)
{
	for (uint32_t i = 0; i < groups->nr; i++)
		if (groups->group[i]->kind != DECODE_MEMORY)
			return true;
	return groups->nr_left_out != 0;
}
