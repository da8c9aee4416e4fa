/*
 * The progress line.
 *
 *     redis 45% 1.21M/s ETA 12s free 240<low kswapd 1/2 swap in 5.12k out 812 ...
 *     | must  | |------------ as many of these as the width allows ------------|
 *
 * "free 240<low": 240 pages are free, fewer than the low mark. Swap rates are pages a
 * second.
 *
 * Whoever finishes a batch of accesses polls; the poll is a look at a coarse clock
 * unless it is time to draw (5 times a second on a terminal, every 5 seconds in a
 * file or pipe). A task that finds another one drawing goes on: progress never holds
 * anybody up. The terminal's width is asked at every drawing, so a changed window
 * needs no signal handler.
 *
 * The line goes to standard error, results to standard output.
 *
 * What must never happen: influence on the run. In the simulator polls happen at
 * points that depend on the real clock, so they may read the machine's gauges and
 * nothing else; the virtual clock does not see them.
 */
#include "job/progress.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define TERMINAL_PERIOD_NS (200 * NSEC_PER_MSEC)
#define PLAIN_PERIOD_NS (5 * NSEC_PER_SEC)
#define RSS_PERIOD_NS (500 * NSEC_PER_MSEC)
#define DEFAULT_COLUMNS 80u

struct progress {
	FILE *out; /* NULL: no lines, only the memory is sampled */
	bool terminal;
	bool drawn; /* a line stands on the terminal */
	bool checking;
	const char *name;
	uint64_t total;
	uint64_t period_ns;
	uint64_t start_ns;
	uint64_t next_ns;	 /* atomic: when to draw or sample next */
	pthread_mutex_t drawing; /* the rest */
	uint64_t last_ns, last_done, last_swapins, last_swapouts;
	uint64_t draw_ns;
	double accesses_per_s;
	uint64_t rss_peak_bytes;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* ---- the line ---- */

/* "12", "1.23k", "34.5M", "456M": at most five characters below a million million. */
static void format_rate(double rate, char buffer[16])
{
	static const char units[] = { ' ', 'k', 'M', 'G' };
	uint32_t unit = 0;

	while (rate >= 1000 && unit + 1 < ARRAY_LEN(units)) {
		rate /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(buffer, 16, "%.0f", rate);
	else
		snprintf(buffer, 16, "%.*f%c",
			 rate < 10    ? 2
			 : rate < 100 ? 1
				      : 0,
			 rate, units[unit]);
}

static void format_eta(double eta_s, char buffer[32])
{
	uint64_t s = eta_s < 0 || eta_s > 1e8 ? 0 : (uint64_t)ceil(eta_s);

	if (eta_s < 0 || eta_s > 1e8)
		snprintf(buffer, 32, "?");
	else if (s < 100)
		snprintf(buffer, 32, "%" PRIu64 "s", s);
	else if (s < 6000)
		snprintf(buffer, 32, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else
		snprintf(buffer, 32, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
}

/* Appends a field if it fits; => whether it did. The first field is cut instead. */
static bool add_field(char *line, size_t columns, const char *format, ...) PRINTF_LIKE(3, 4);

static bool add_field(char *line, size_t columns, const char *format, ...)
{
	char field[128];
	size_t length = strlen(line);
	va_list args;
	int bytes;

	va_start(args, format);
	bytes = vsnprintf(field, sizeof(field), format, args);
	va_end(args);
	if (bytes < 0)
		return false;
	if (length == 0) {
		snprintf(line, columns + 1, "%s", field);
		return true;
	}
	if (length + 1 + strlen(field) > columns)
		return false;
	snprintf(line + length, columns + 1 - length, " %s", field);
	return true;
}

void progress_format(const struct progress_view *view, size_t columns,
		     char line[PROGRESS_LINE_BYTES])
{
	const struct neap_gauge *g = &view->gauge;
	char rate[16], in[16], out[16], eta[32];
	bool room;

	if (columns >= PROGRESS_LINE_BYTES)
		columns = PROGRESS_LINE_BYTES - 1;
	line[0] = '\0';
	format_rate(view->accesses_per_s, rate);
	format_rate(view->swapins_per_s, in);
	format_rate(view->swapouts_per_s, out);
	format_eta(view->eta_s, eta);
	if (view->checking)
		add_field(line, columns, "%.16s checking", view->name);
	else if (view->total > 0)
		add_field(line, columns, "%.16s %.0f%%", view->name,
			  100.0 * (double)view->done / (double)view->total);
	else
		add_field(line, columns, "%.16s %" PRIu64, view->name, view->done);
	room = add_field(line, columns, "%s/s", rate);
	if (!view->checking && view->total > 0)
		room = room && add_field(line, columns, "ETA %s", eta);
	room = room && add_field(line, columns, "free %" PRIu64 "%s", g->free_pages,
				 g->free_pages < g->min_pages	 ? "<min"
				 : g->free_pages < g->low_pages	 ? "<low"
				 : g->free_pages < g->high_pages ? "<high"
								 : ">high");
	room = room && add_field(line, columns, "kswapd %u/%u", g->kswapd_awake, g->nr_kswapd);
	room = room && add_field(line, columns, "swap in %s out %s", in, out);
	room = room && add_field(line, columns, "min %" PRIu64 " low %" PRIu64 " high %" PRIu64,
				 g->min_pages, g->low_pages, g->high_pages);
	if (g->swap_total_pages > 0)
		room = room && add_field(line, columns, "swap used %" PRIu64 "/%" PRIu64,
					 g->swap_used_pages, g->swap_total_pages);
}

/* ---- drawing ---- */

size_t progress_columns(FILE *out)
{
	struct winsize size;

	if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col < 2)
		return DEFAULT_COLUMNS;
	return size.ws_col;
}

struct progress *progress_new(FILE *out, const char *name, uint64_t total)
{
	struct progress *progress = calloc(1, sizeof(*progress));

	if (progress == NULL)
		return NULL;
	progress->out = out;
	progress->terminal = out != NULL && isatty(fileno(out));
	progress->name = name;
	progress->total = total;
	progress->period_ns = progress->terminal ? TERMINAL_PERIOD_NS : PLAIN_PERIOD_NS;
	progress->start_ns = clock_ns();
	progress->last_ns = progress->start_ns;
	progress->draw_ns = progress->start_ns + progress->period_ns;
	progress->next_ns = progress->start_ns + RSS_PERIOD_NS;
	pthread_mutex_init(&progress->drawing, NULL);
	return progress;
}

void progress_free(struct progress *progress)
{
	if (progress == NULL)
		return;
	if (progress->drawn) {
		fputs("\r\033[K", progress->out);
		fflush(progress->out);
	}
	pthread_mutex_destroy(&progress->drawing);
	free(progress);
}

void progress_set_checking(struct progress *progress)
{
	if (progress == NULL)
		return;
	pthread_mutex_lock(&progress->drawing);
	progress->checking = true;
	pthread_mutex_unlock(&progress->drawing);
}

/* Rates since the last drawing, the accesses' smoothed. */
static void make_view(struct progress *p, struct neap_machine *machine, uint64_t done,
		      struct progress_view *view)
{
	uint64_t now_ns = clock_ns();
	uint64_t swapins = neap_counter(machine, "pswpin");
	uint64_t swapouts = neap_counter(machine, "pswpout");
	double seconds = (double)(now_ns - p->last_ns) / 1e9;
	double rate;

	if (seconds <= 0)
		seconds = 1e-3;
	rate = (double)(done - p->last_done) / seconds;
	p->accesses_per_s = p->accesses_per_s == 0 ? rate : 0.7 * p->accesses_per_s + 0.3 * rate;
	*view = (struct progress_view){
		.name = p->name,
		.done = done,
		.total = p->total,
		.accesses_per_s = p->accesses_per_s,
		.swapins_per_s = (double)(swapins - p->last_swapins) / seconds,
		.swapouts_per_s = (double)(swapouts - p->last_swapouts) / seconds,
		.eta_s = -1,
		.checking = p->checking,
	};
	if (p->accesses_per_s > 0 && p->total >= done)
		view->eta_s = (double)(p->total - done) / p->accesses_per_s;
	neap_gauge(machine, &view->gauge);
	p->last_ns = now_ns;
	p->last_done = done;
	p->last_swapins = swapins;
	p->last_swapouts = swapouts;
}

static void draw(struct progress *p, struct neap_machine *machine, uint64_t done)
{
	struct progress_view view;
	char line[PROGRESS_LINE_BYTES];

	make_view(p, machine, done, &view);
	if (p->terminal) {
		/* One column less: a full line makes some terminals scroll. */
		progress_format(&view, progress_columns(p->out) - 1, line);
		fprintf(p->out, "\r%s\033[K", line);
		p->drawn = true;
	} else {
		progress_format(&view, 200, line);
		fprintf(p->out, "%s\n", line);
	}
	fflush(p->out);
}

void progress_poll(struct progress *p, struct neap_machine *machine, uint64_t done)
{
	uint64_t now_ns;
	uint64_t rss;

	if (p == NULL)
		return;
	now_ns = clock_ns();
	if (now_ns < __atomic_load_n(&p->next_ns, __ATOMIC_RELAXED))
		return;
	if (pthread_mutex_trylock(&p->drawing) != 0)
		return;
	rss = progress_rss_bytes();
	p->rss_peak_bytes = max_u64(p->rss_peak_bytes, rss);
	if (p->out != NULL && now_ns >= p->draw_ns) {
		draw(p, machine, done);
		p->draw_ns = now_ns + p->period_ns;
	}
	__atomic_store_n(&p->next_ns, now_ns + (p->terminal ? p->period_ns : RSS_PERIOD_NS),
			 __ATOMIC_RELAXED);
	pthread_mutex_unlock(&p->drawing);
}

/* ---- memory of this process ---- */

static uint64_t status_kb(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

uint64_t progress_rss_bytes(void)
{
	char status[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return 0;
	got = read(fd, status, sizeof(status) - 1);
	close(fd);
	if (got <= 0)
		return 0;
	status[got] = '\0';
	return (status_kb(status, "RssAnon:") + status_kb(status, "RssShmem:")) * KIB;
}

uint64_t progress_rss_peak_bytes(struct progress *progress)
{
	uint64_t now = progress_rss_bytes();

	if (progress == NULL)
		return now;
	pthread_mutex_lock(&progress->drawing);
	progress->rss_peak_bytes = max_u64(progress->rss_peak_bytes, now);
	now = progress->rss_peak_bytes;
	pthread_mutex_unlock(&progress->drawing);
	return now;
}
