/*
 * Trace lines that matter, with the reason beside each.
 *
 *       4.038 ms main: mm_vmscan_wakeup_kswapd nid=0 order=0 gfp_flags=GFP_KERNEL
 *                free 225 < low 226 in zone Normal: kswapd0 is woken
 *
 * A job names the events it wants told (`tell EVENT [COUNT] [skip=N]`).
 * The machine calls back at every event; those that are wanted are put into words at
 * once, because the reason is in numbers that are gone a moment later. Live, several
 * threads come by at the same time: a mutex keeps their lines apart.
 *
 * What must never happen: a reason in numbers of a later moment. Nothing is kept to be
 * explained afterwards.
 */
#include "cmd/tell.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "diag/reason.h"

#define NODES_MAX 64u
#define ZONES_MAX 4u
#define REASON_ZONES_MAX 32u
#define WIDTH 79u
#define REASON_COLUMN 11

struct tell {
	const struct job *job;
	struct neap_machine *machine;
	_Atomic uint64_t seen[JOB_TELLS_MAX]; /* events of each line's name */
	pthread_mutex_t mutex;
	struct text_buf text; /* under mutex */
};

static const char *const event_names[] = {
#define EVENT(id, system, name, nargs, format) name,
#include "core/event_items.def"
#undef EVENT
};

bool tell_is_known(const char *event)
{
	for (size_t i = 0; i < ARRAY_LEN(event_names); i++)
		if (strcmp(event_names[i], event) == 0)
			return true;
	return false;
}

const char *tell_nearest(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(event_names); i++)
		if (*word != '\0' && strstr(event_names[i], word) != NULL)
			return event_names[i];
	return NULL;
}

static uint32_t read_zones(struct neap_machine *machine, struct reason_zone *zones)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < NODES_MAX * ZONES_MAX && nr < REASON_ZONES_MAX; i++) {
		struct neap_zone_gauge gauge;
		int error = neap_zone_gauge(machine, i / ZONES_MAX, i % ZONES_MAX, &gauge);

		if (error == -EINVAL)
			break;
		if (error != 0)
			continue;
		zones[nr++] = (struct reason_zone){
			.node = i / ZONES_MAX,
			.name = gauge.name,
			.free = gauge.free_pages,
			.min = gauge.min_pages,
			.low = gauge.low_pages,
			.high = gauge.high_pages,
			.boost = gauge.boost_pages,
		};
	}
	return nr;
}

void tell_add(struct text_buf *out, struct neap_machine *machine, const struct neap_event *event,
	      uint32_t width)
{
	struct reason_zone zones[REASON_ZONES_MAX];
	struct trace_line line = { .time_ns = event->time_ns, .cpu = event->cpu };
	char body[512], time[32], text[640];
	uint64_t us = event->time_ns / NSEC_PER_USEC;
	size_t before;

	(void)neap_event_text(event, body, sizeof(body)); /* longer ones may be cut */
	line.task = event->task_name;
	line.name = event->name;
	line.body = body;
	(void)snprintf(time, sizeof(time), "%" PRIu64 ".%03u ms", us / 1000, (uint32_t)(us % 1000));
	(void)snprintf(text, sizeof(text), "%*s %s: %s %s", REASON_COLUMN - 1, time,
		       event->task_name, event->name, body);
	if (strlen(text) > width)
		(void)snprintf(text + width - 3, 4, "...");
	text_buf_printf(out, "%s\n", text);
	before = out->bytes;
	text_buf_fill(out, ' ', REASON_COLUMN);
	reason_add(out, &line, zones, read_zones(machine, zones));
	/* Nothing to say: the indentation goes, too. */
	if (out->error == 0 && out->bytes == before + REASON_COLUMN) {
		out->bytes = before;
		out->at[before] = '\0';
	} else {
		text_buf_puts(out, "\n");
	}
}

bool tell_check(const struct job *job)
{
	bool known = true;

	for (uint32_t i = 0; i < job->nr_tells; i++) {
		if (tell_is_known(job->tells[i].event))
			continue;
		const char *nearest = tell_nearest(job->tells[i].event);

		cmd_error("%s:%u: there is no trace event '%.60s'%s%s", job->path,
			  job->tells[i].line, job->tells[i].event,
			  nearest != NULL ? "; did you mean " : TELL_WHERE_NAMES_ARE,
			  nearest != NULL ? nearest : "");
		known = false;
	}
	return known;
}

struct tell *tell_new(const struct job *job)
{
	struct tell *tell = job->nr_tells > 0 ? calloc(1, sizeof(*tell)) : NULL;

	if (tell == NULL)
		return NULL;
	tell->job = job;
	pthread_mutex_init(&tell->mutex, NULL);
	text_buf_init(&tell->text);
	return tell;
}

/* Counts an event of a line's name. => it is among those to be told */
static bool is_wanted(const struct job_tell *tell, _Atomic uint64_t *seen)
{
	uint64_t before = atomic_fetch_add_explicit(seen, 1, memory_order_relaxed);

	return before >= tell->skip && before - tell->skip < tell->count;
}

static void on_event(void *ctx, const struct neap_event *event)
{
	struct tell *tell = ctx;

	for (uint32_t i = 0; i < tell->job->nr_tells; i++) {
		if (strcmp(tell->job->tells[i].event, event->name) != 0 ||
		    !is_wanted(&tell->job->tells[i], &tell->seen[i]))
			continue;
		pthread_mutex_lock(&tell->mutex);
		tell_add(&tell->text, tell->machine, event, WIDTH);
		pthread_mutex_unlock(&tell->mutex);
		break;
	}
}

void tell_start(void *ctx, struct neap_machine *machine)
{
	struct tell *tell = ctx;

	tell->machine = machine;
	if (neap_trace_callback(machine, on_event, tell) != 0)
		cmd_error("%s: events cannot be told: %s", tell->job->path,
			  neap_machine_error(machine));
}

void tell_finish(void *ctx, struct neap_machine *machine)
{
	(void)ctx;
	(void)neap_trace_callback(machine, NULL, NULL); /* taking it away cannot fail here */
}

const char *tell_text(const struct tell *tell)
{
	return text_buf_text(&tell->text);
}

void tell_free(struct tell *tell)
{
	if (tell == NULL)
		return;
	text_buf_free(&tell->text);
	pthread_mutex_destroy(&tell->mutex);
	free(tell);
}
