/*
 * Writing trace events to a file while the machine runs.
 *
 *   ring of CPU 0 ─┐  pending[0] ─┐
 *   ring of CPU 1 ─┼─ pending[1] ─┼─ oldest first ── text ── file
 *   ...            ┘              ┘
 *
 * The engine's rings are one a CPU, each in order of time. We hold the oldest record
 * of each and always write the oldest of those. A record is written only when it is
 * a little older than now, so that a CPU that is late with its own is waited for.
 *
 *   live       a thread of ours empties the rings every 50 ms
 *   simulated  whoever accesses, faults or sleeps looks whether a ring is half full
 *              (api_trace_poll()); that takes no virtual time, so a traced
 *              simulation is the same simulation
 *
 * A ring that fills up in between drops its newest records. How many, for each CPU,
 * is said in comment lines at the end of the file, as Linux's per-CPU stats are. The
 * header at the top names the total and is written last, into room left for it.
 *
 * Formats come from core/event_items.def, with conversions of our own (%G flags, %L
 * list, %F reclaim flags, %R reason); they are turned into those of src/text once.
 *
 * What must never happen: two readers of one ring. The reader thread is joined
 * before the rest is read; in the simulator one task runs at a time, and a task that
 * reads does not meet a preempt point.
 *
 * Linux: kernel/trace/trace.c (trace_pipe).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "core/event.h"
#include "text/trace.h"

#define READER_PERIOD_NS (50 * NSEC_PER_MSEC)
#define LIVE_MARGIN_NS NSEC_PER_MSEC
#define SIM_MARGIN_NS (100 * NSEC_PER_USEC)
#define FLUSH_BYTES 65536u
#define HEADER_ROOM_BYTES 64u
#define FORMAT_BYTES 400u
#define NO_REASON UINT32_MAX

/* How one kind of event is printed. */
struct trace_form {
	char format[FORMAT_BYTES];
	char kinds[EVENT_MAX_ARGS + 1];
	uint32_t reason; /* index of the value printed by %R; NO_REASON */
};

struct trace {
	struct api_machine *a;
	int fd;
	int error;	     /* the first of writing */
	uint64_t written;    /* events */
	size_t header_bytes; /* room at the top of the file */
	struct text_buf text;
	struct trace_form form[NR_EVENTS];
	bool pending_valid[NEAP_MAX_CPUS];
	struct event_record pending[NEAP_MAX_CPUS];
	uint64_t lost_before[NEAP_MAX_CPUS];
	/* live only */
	pthread_t reader;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under lock */
};

static const struct {
	const char *name;
	const char *format;
} trace_items[NR_EVENTS] = {
#define EVENT(id, system, name, nargs, format) [TE_##id] = { name, format },
#include "core/event_items.def"
#undef EVENT
};

/* ---- formats ---- */

/*
 * The kind that src/text wants for one conversion of ours; the conversion's last
 * letter decides.
 */
static char form_kind(char letter)
{
	switch (letter) {
	case 'G':
		return 'g';
	case 'L':
		return 'l';
	case 'F':
		return 'r';
	case 'Z':
		return 'z';
	case 'M':
	case 'W':
	case 'C':
	case 'Y':
	case 'P':
	case 'Q':
		return letter;
	default:
		return 'n';
	}
}

/* Turns a format of the table into one of src/text. %R stays: its word is put in later. */
static void form_prepare(struct trace_form *form, const char *format)
{
	size_t at = 0;
	uint32_t nr_kinds = 0;
	uint32_t nr_values = 0;

	form->reason = NO_REASON;
	for (; *format != '\0'; format++) {
		CHECK(at + 2 < sizeof(form->format));
		form->format[at++] = *format;
		if (*format != '%')
			continue;
		while (format[1] == 'l' || format[1] == '-' ||
		       (format[1] >= '0' && format[1] <= '9')) {
			form->format[at++] = *++format;
			CHECK(at + 2 < sizeof(form->format));
		}
		format++;
		if (*format == 'R') {
			form->reason = nr_values++;
			form->format[at++] = 'R';
			continue;
		}
		CHECK(nr_kinds < EVENT_MAX_ARGS);
		form->kinds[nr_kinds++] = form_kind(*format);
		form->format[at++] = form_kind(*format) == 'n' ? *format : 's';
		nr_values++;
	}
	form->format[at] = '\0';
	form->kinds[nr_kinds] = '\0';
}

static const char *reason_word(uint64_t reason)
{
	static const char *const words[NR_VMSCAN_WAITS] = {
		[WAIT_WRITEBACK] = "VMSCAN_THROTTLE_WRITEBACK",
		[WAIT_ISOLATED] = "VMSCAN_THROTTLE_ISOLATED",
		[WAIT_NOPROGRESS] = "VMSCAN_THROTTLE_NOPROGRESS",
		[WAIT_CONGESTED] = "VMSCAN_THROTTLE_CONGESTED",
	};

	return reason < NR_VMSCAN_WAITS ? words[reason] : "0x0";
}

/* ---- writing ---- */

static void trace_flush(struct trace *trace)
{
	size_t done = 0;

	while (done < trace->text.bytes && trace->error == 0) {
		ssize_t n = write(trace->fd, trace->text.at + done, trace->text.bytes - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			trace->error = -errno;
	}
	if (trace->text.error != 0 && trace->error == 0)
		trace->error = trace->text.error;
	text_buf_reset(&trace->text);
}

/* A record as src/text prints it, and room for what it points to. */
struct trace_view {
	struct trace_event event;
	char format[FORMAT_BYTES + 64];
	uint64_t values[EVENT_MAX_ARGS];
};

static void trace_view_make(struct trace_view *view, const struct trace_form *form,
			    const struct event_record *record)
{
	uint32_t nr = 0;

	view->event = (struct trace_event){
		.name = trace_items[record->id].name,
		.format = form->format,
		.kinds = form->kinds,
		.values = record->arg,
	};
	if (form->reason == NO_REASON)
		return;
	const char *mark = strstr(form->format, "%R");

	(void)snprintf(view->format, sizeof(view->format), "%.*s%s%s", (int)(mark - form->format),
		       form->format, reason_word(record->arg[form->reason]), mark + 2);
	for (uint32_t i = 0; i < EVENT_MAX_ARGS; i++)
		if (i != form->reason)
			view->values[nr++] = record->arg[i];
	view->event.format = view->format;
	view->event.values = view->values;
}

static void trace_write_record(struct trace *trace, const struct event_record *record)
{
	struct trace_view view;
	struct trace_prefix prefix = {
		.task = record->comm,
		.pid = record->task,
		.cpu = record->cpu,
		.time_ns = record->time_ns,
	};

	trace_view_make(&view, &trace->form[record->id], record);
	int err = trace_event_write(&trace->text, &prefix, &view.event);

	if (err != 0 && trace->error == 0)
		trace->error = err;
	trace->written++;
	if (trace->text.bytes >= FLUSH_BYTES)
		trace_flush(trace);
}

const char *api_event_name(uint32_t id)
{
	return id < NR_EVENTS ? trace_items[id].name : NULL;
}

const char *api_event_format(uint32_t id)
{
	return id < NR_EVENTS ? trace_items[id].format : NULL;
}

int api_event_body(struct text_buf *out, const struct event_record *record)
{
	struct trace_form form = { .reason = NO_REASON };
	struct trace_view view;

	form_prepare(&form, trace_items[record->id].format);
	trace_view_make(&view, &form, record);
	return trace_body_write(out, view.event.format, view.event.kinds, view.event.values);
}

/* Writes everything that happened before limit_ns, in order of time. */
static void trace_drain(struct trace *trace, uint64_t limit_ns)
{
	struct neap_machine *m = &trace->a->m;

	for (;;) { /* event loop: ends when the rings hold nothing older */
		uint32_t oldest = UINT32_MAX;

		for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
			if (!trace->pending_valid[cpu])
				trace->pending_valid[cpu] =
					event_take(m, cpu, &trace->pending[cpu]);
			if (trace->pending_valid[cpu] &&
			    (oldest == UINT32_MAX ||
			     trace->pending[cpu].time_ns < trace->pending[oldest].time_ns))
				oldest = cpu;
		}
		if (oldest == UINT32_MAX || trace->pending[oldest].time_ns > limit_ns)
			break;
		trace_write_record(trace, &trace->pending[oldest]);
		trace->pending_valid[oldest] = false;
	}
}

/* ---- who drains ---- */

static void *reader_main(void *arg)
{
	struct trace *trace = arg;
	struct task *t = api_task(trace->a);
	bool stop = false;

	while (!stop) { /* event loop */
		struct timespec until;

		(void)clock_gettime(CLOCK_REALTIME, &until);
		uint64_t ns = (uint64_t)until.tv_nsec + READER_PERIOD_NS;

		until.tv_sec += (time_t)(ns / NSEC_PER_SEC);
		until.tv_nsec = (long)(ns % NSEC_PER_SEC);
		(void)pthread_mutex_lock(&trace->lock);
		if (!trace->stop)
			(void)pthread_cond_timedwait(&trace->wake, &trace->lock, &until);
		stop = trace->stop;
		(void)pthread_mutex_unlock(&trace->lock);
		if (t != NULL) {
			uint64_t now_ns = rt_now(t);

			trace_drain(trace, now_ns - min_u64(now_ns, LIVE_MARGIN_NS));
			trace_flush(trace);
		}
	}
	if (t != NULL)
		rt_live_detach(trace->a->rt);
	return NULL;
}

void api_trace_poll(struct api_machine *a, struct task *t)
{
	struct trace *trace = a->trace;
	bool half_full = false;

	if (trace == NULL)
		return;
	for (uint32_t cpu = 0; cpu < a->m.nr_cpus && !half_full; cpu++) {
		const struct event_ring *ring = &a->m.cpus[cpu].ring;

		half_full = atomic_load(&ring->head) - atomic_load(&ring->tail) >
			    EVENT_RING_RECORDS / 2;
	}
	if (half_full) {
		uint64_t now_ns = rt_now(t);

		trace_drain(trace, now_ns - min_u64(now_ns, SIM_MARGIN_NS));
		trace_flush(trace);
	}
}

/* ---- start and stop ---- */

/* Leaves room for the header, whose numbers are known at the end. */
static void trace_reserve_header(struct trace *trace)
{
	uint32_t nr_cpus = trace->a->m.nr_cpus;

	(void)trace_header_write(&trace->text, 0, 0, nr_cpus);
	(void)text_buf_puts(&trace->text, "#");
	(void)text_buf_fill(&trace->text, ' ', HEADER_ROOM_BYTES);
	(void)text_buf_puts(&trace->text, "\n");
	trace->header_bytes = trace->text.bytes;
	trace_flush(trace);
}

/* Writes the header with its numbers, and a blank comment over the rest of the room. */
static void trace_finish_header(struct trace *trace)
{
	struct text_buf header;

	text_buf_init(&header);
	(void)trace_header_write(&header, trace->written, trace->written, trace->a->m.nr_cpus);
	if (header.error == 0 && header.bytes + 2 <= trace->header_bytes) {
		(void)text_buf_puts(&header, "#");
		(void)text_buf_fill(&header, ' ', trace->header_bytes - header.bytes - 1);
		(void)text_buf_puts(&header, "\n");
	}
	if (header.error == 0 && trace->error == 0 &&
	    pwrite(trace->fd, text_buf_text(&header), trace->header_bytes, 0) !=
		    (ssize_t)trace->header_bytes)
		trace->error = errno != 0 ? -errno : -EIO;
	text_buf_free(&header);
}

static void trace_finish_file(struct trace *trace)
{
	struct neap_machine *m = &trace->a->m;

	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
		(void)text_buf_printf(
			&trace->text, "# cpu%u dropped events: %llu\n", cpu,
			(unsigned long long)(event_lost(m, cpu) - trace->lost_before[cpu]));
	trace_flush(trace);
	trace_finish_header(trace);
	if (close(trace->fd) != 0 && trace->error == 0)
		trace->error = -errno;
}

static void trace_free(struct trace *trace)
{
	text_buf_free(&trace->text);
	(void)pthread_cond_destroy(&trace->wake);
	(void)pthread_mutex_destroy(&trace->lock);
	free(trace);
}

static struct trace *trace_new(struct api_machine *a)
{
	struct trace *trace = calloc(1, sizeof(*trace));

	if (trace == NULL)
		return NULL;
	trace->a = a;
	trace->fd = -1;
	text_buf_init(&trace->text);
	(void)pthread_mutex_init(&trace->lock, NULL);
	(void)pthread_cond_init(&trace->wake, NULL);
	for (uint32_t id = 0; id < NR_EVENTS; id++)
		form_prepare(&trace->form[id], trace_items[id].format);
	return trace;
}

/* Forgets what earlier traces left in the rings. */
static void rings_empty(struct trace *trace)
{
	struct neap_machine *m = &trace->a->m;
	struct event_record record;

	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		while (m->cpus[cpu].ring.record != NULL && event_take(m, cpu, &record))
			continue;
		trace->lost_before[cpu] = event_lost(m, cpu);
	}
}

int neap_trace_start(struct neap_machine *machine, const char *path)
{
	struct api_machine *a = api_of(machine);
	struct trace *trace;
	int err = 0;

	if (a->trace != NULL)
		return api_fail(a, -EBUSY, "A trace is being written already; stop it first.");
	trace = trace_new(a);
	if (trace == NULL)
		return -ENOMEM;
	trace->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (trace->fd < 0) {
		err = api_fail(a, -errno, "The trace file %s could not be made: %s.", path,
			       strerror(errno));
		trace_free(trace);
		return err;
	}
	trace_reserve_header(trace);
	rings_empty(trace);
	err = event_start(machine);
	a->trace = trace;
	if (err == 0 && !a->sim)
		err = -pthread_create(&trace->reader, NULL, reader_main, trace);
	if (err != 0) {
		event_stop(machine);
		a->trace = NULL;
		(void)close(trace->fd); /* the error is the earlier one */
		trace_free(trace);
		return api_fail(a, err, "The trace could not be started: %s.", strerror(-err));
	}
	atomic_store(&a->trace_drain, a->sim ? 1 : 0);
	return 0;
}

int api_trace_close(struct api_machine *a)
{
	struct trace *trace = a->trace;
	int err;

	if (trace == NULL)
		return 0;
	atomic_store(&a->trace_drain, 0);
	event_stop(&a->m);
	if (!a->sim) {
		(void)pthread_mutex_lock(&trace->lock);
		trace->stop = true;
		(void)pthread_cond_signal(&trace->wake);
		(void)pthread_mutex_unlock(&trace->lock);
		(void)pthread_join(trace->reader, NULL);
	}
	trace_drain(trace, UINT64_MAX);
	trace_finish_file(trace);
	a->trace = NULL;
	err = trace->error;
	trace_free(trace);
	return err;
}

int neap_trace_stop(struct neap_machine *machine)
{
	struct api_machine *a = api_of(machine);
	int err = api_trace_close(a);

	if (err != 0)
		return api_fail(a, err, "The trace file could not be written completely: %s.",
				strerror(-err));
	return 0;
}
