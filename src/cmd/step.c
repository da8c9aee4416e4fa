/*
 * A simulated run, stopped where one wants to look.
 *
 *     neap sim --break mm_vmscan_kswapd_wake:'vmstat.pswpout > 100' --print zoneinfo JOB
 *
 *   every trace event ── callback ── is it a stop? ── tell it, print files ── a person
 *                                                                             may go on
 *
 * A stop is inside the engine, in the middle of a reclaim pass if that is where the
 * event is: the task that emitted it stands there, and all others stand still, since
 * virtual time does. Every /proc file can be read; the machine does not notice, and
 * the state at the end is that of a run without stops.
 *
 * With a terminal as standard input each stop asks what to do; otherwise it prints and
 * goes on. --step stops at every event but single pages allocated and freed, of
 * which there are thousands; --break names any event.
 *
 * What must never happen: a break that silently never fires because its event or a
 * name in its condition is misspelt. Both are looked up before the first command.
 */
#include "cmd/step.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <neap/neap.h>

#include "cmd/cmd.h"
#include "cmd/play.h"
#include "cmd/tell.h"
#include "job/expect.h"
#include "job/run.h"
#include "text/trace_read.h"

#define CONDITION_WORDS_MAX 64u
#define WIDTH 200u

struct step_break {
	char event[64];
	struct expect *condition; /* NULL: always */
};

struct step {
	struct options *options;
	struct run_observer observer;
	struct step_break breaks[OPTIONS_LIST_MAX];
	bool stepping; /* stop at the next event */
	bool until;    /* the time is still to come */
	bool over;     /* no further stops */
	bool asks;     /* a person is there */
	int status;    /* of what was found wrong at the start */
	uint64_t nr_stops;
	struct neap_machine *machine;
};

/* ---- what to stop at ---- */

/* Parses the words of a condition. => 0 or -EINVAL after a message; -ENOMEM */
static int parse_condition(const char *option, const char *text, struct expect **out)
{
	char *words[CONDITION_WORDS_MAX];
	char message[EXPECT_MESSAGE_BYTES] = "too many words";
	uint32_t nr = 0;
	char *save = NULL;
	char *copy = strdup(text);
	int error = copy == NULL ? -ENOMEM : 0;

	for (char *word = error == 0 ? strtok_r(copy, " \t", &save) : NULL; word != NULL;
	     word = strtok_r(NULL, " \t", &save)) {
		if (nr == CONDITION_WORDS_MAX) {
			error = -EINVAL;
			break;
		}
		words[nr++] = word;
	}
	if (error == 0)
		error = expect_parse(words, nr, out, message);
	if (error == -EINVAL)
		cmd_error("--break %s: %s", option, message);
	free(copy);
	return error;
}

static bool parse_break(const char *text, struct step_break *to)
{
	size_t length = strcspn(text, ":");
	int error;

	if (length >= sizeof(to->event))
		length = sizeof(to->event) - 1;
	memcpy(to->event, text, length);
	to->event[length] = '\0';
	if (!tell_is_known(to->event)) {
		const char *nearest = tell_nearest(to->event);

		cmd_error("--break %s: there is no trace event '%s'%s%s", text, to->event,
			  nearest != NULL ? "; did you mean " : TELL_WHERE_NAMES_ARE,
			  nearest != NULL ? nearest : "");
		return false;
	}
	if (text[length] != ':')
		return true;
	error = parse_condition(text, text + length + 1, &to->condition);
	if (error == -ENOMEM)
		cmd_error("memory is out");
	return error == 0;
}

static bool breaks_at(const struct step *step, const struct neap_event *event)
{
	static const struct expect_facts no_facts;

	for (uint32_t i = 0; i < step->options->nr_breaks; i++) {
		const struct step_break *b = &step->breaks[i];
		char message[EXPECT_MESSAGE_BYTES];

		if (strcmp(b->event, event->name) == 0 &&
		    (b->condition == NULL ||
		     expect_evaluate(b->condition, step->machine, &no_facts, message) == 1))
			return true;
	}
	return false;
}

/* ---- a stop ---- */

static void print_file(struct step *step, const char *name)
{
	char *text = NULL;
	int64_t bytes = neap_proc_text(step->machine, name, &text);

	if (bytes < 0) {
		cmd_error("%s", neap_machine_error(step->machine));
		return;
	}
	printf("--- %s\n%s", name, text);
	free(text);
}

/* The run ends as it does at Ctrl-C: with its checks and its summary. */
static void quit(struct step *step)
{
	step->over = true;
	raise(SIGINT);
}

/* => the run goes on */
static bool obey(struct step *step, char *line)
{
	line[strcspn(line, "\r\n")] = '\0';
	line += strspn(line, " ");
	switch (line[0]) {
	case '\0':
	case 's':
		step->stepping = true;
		return true;
	case 'c':
		step->stepping = false;
		return true;
	case 'q':
		quit(step);
		return true;
	case 'p':
		line += strcspn(line, " ");
		line += strspn(line, " ");
		if (*line != '\0') {
			print_file(step, line);
			return false;
		}
		break;
	default:
		break;
	}
	puts("s  go to the next event     c  go on to the next break\n"
	     "p FILE  print a /proc file: zoneinfo, vmstat, buddyinfo, sys/vm/swappiness ...\n"
	     "q  end the run");
	return false;
}

static void ask(struct step *step)
{
	char line[256];

	do {
		printf("(s)tep (c)ontinue (p)rint FILE (q)uit > ");
		fflush(stdout);
		if (fgets(line, sizeof(line), stdin) == NULL) {
			/* End of input: nobody is there any more. */
			putchar('\n');
			step->asks = false;
			step->stepping = step->options->step;
			return;
		}
	} while (!obey(step, line)); /* event loop */
}

static void stop(struct step *step, const struct neap_event *event)
{
	struct text_buf text;

	text_buf_init(&text);
	tell_add(&text, step->machine, event, WIDTH);
	fputs(text_buf_text(&text), stdout);
	text_buf_free(&text);
	step->nr_stops++;
	for (uint32_t i = 0; i < step->options->nr_prints; i++)
		print_file(step, step->options->prints[i]);
	if (step->asks)
		ask(step);
}

static void on_event(void *ctx, const struct neap_event *event)
{
	struct step *step = ctx;
	bool reached = step->until && event->time_ns >= step->options->until_ns;

	if (step->over)
		return;
	if (reached)
		step->until = false;
	if (reached || (step->stepping && trace_log_wants(event->name)) || breaks_at(step, event))
		stop(step, event);
}

/* ---- the run ---- */

static bool names_are_known(struct step *step, struct neap_machine *machine)
{
	char message[EXPECT_MESSAGE_BYTES] = "";

	for (uint32_t i = 0; i < step->options->nr_breaks; i++) {
		struct expect *condition = step->breaks[i].condition;

		if (condition == NULL || expect_check_names(condition, machine, message) == 0)
			continue;
		cmd_error("--break %s: %s", step->options->breaks[i], message);
		return false;
	}
	for (uint32_t i = 0; i < step->options->nr_prints; i++) {
		char *text = NULL;

		if (neap_proc_text(machine, step->options->prints[i], &text) < 0) {
			cmd_error("--print %s: %s", step->options->prints[i],
				  neap_machine_error(machine));
			return false;
		}
		free(text);
	}
	return true;
}

static void on_start(void *ctx, struct neap_machine *machine)
{
	struct step *step = ctx;

	step->machine = machine;
	if (!names_are_known(step, machine)) {
		step->status = CMD_USAGE;
		step->options->silent = true; /* there is no result to be shown */
		quit(step);
	} else if (neap_trace_callback(machine, on_event, step) != 0) {
		cmd_error("%s", neap_machine_error(machine));
		step->status = CMD_WORLD;
		quit(step);
	}
}

static void on_finish(void *ctx, struct neap_machine *machine)
{
	(void)ctx;
	(void)neap_trace_callback(machine, NULL, NULL); /* taking it away cannot fail here */
}

int step_play(struct options *options)
{
	struct step step = {
		.options = options,
		.stepping = options->step,
		.until = options->until,
		.asks = isatty(STDIN_FILENO) != 0,
	};
	int status = CMD_FINE;

	for (uint32_t i = 0; i < options->nr_breaks && status == CMD_FINE; i++)
		status = parse_break(options->breaks[i], &step.breaks[i]) ? CMD_FINE : CMD_USAGE;
	step.observer =
		(struct run_observer){ .ctx = &step, .started = on_start, .finished = on_finish };
	options->observer = &step.observer;
	if (status == CMD_FINE)
		status = play(options);
	options->observer = NULL;
	if (step.status != CMD_FINE)
		status = step.status;
	else if (status == CMD_FINE && step.nr_stops == 0)
		cmd_error("%s: the run never came to a stop", options->files[0]);
	for (uint32_t i = 0; i < options->nr_breaks; i++)
		expect_free(step.breaks[i].condition);
	return status;
}
