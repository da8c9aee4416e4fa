/*
 * The recorder's script language.
 *
 *     machine nodes=256M cpus=1            what it ran on
 *     burst LABEL [nostate] ... end        operations with all CPUs held
 *     a SLOT ORDER GFP NODE [cCPU]         allocate; p: through the task's policy
 *     f SLOT [cCPU]                        free
 *     t ORDER GFP NODE [cCPU]              allocate until the first failure, then free
 *     state LABEL                          a state alone
 *     hog NODE.ZONE KEEP GFP ORDER         use up a zone;   unhog EVERY OFFSET   give some back
 *     drain   freeslots   cpu N            all per-CPU lists; all slots; the task's CPU
 *     sched fifo|normal   memalloc on|off  the task's policy and rights
 *     policy MODE MASK    sysctl NAME VALUE    sh COMMAND
 *
 * A script is walked once, from the top, and leaves one record for each burst that has operations:
 * these are the bursts of the recording, in their order. Everything else only changes what the next
 * record says.
 *
 * Lines are checked as strictly as the recorder needs them: it would skip a line that it cannot
 * read, and a script with such a line does not mean what its author thinks.
 *
 * What must never happen: a burst counted that the recording does not have, which would shift all
 * that follow.
 */
#include "text/probe_script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/snapshot.h"
#include "text/mem.h"
#include "text/probe_parser.h"
#include "text/scan.h"

#define BYTES_MAX ((size_t)1 << 24)
#define SLOT_MOST 65535u
#define FACTOR_MOST 1000000u

struct walk {
	struct probe_script *script;
	struct probe_parser place;	/* for messages */
	struct probe_script_burst next; /* what the next burst will say */
	bool inside;			/* between burst and end */
};

/* " GFP", hexadecimal. */
static const char *scan_gfp(const char *at)
{
	size_t digits;

	at = scan_literal(at, " ");
	digits = at != NULL ? strspn(at, "0123456789abcdefABCDEF") : 0;
	return digits >= 1 && digits <= 8 ? at + digits : NULL;
}

static const char *scan_number(const char *at, uint32_t most)
{
	uint32_t value;

	return probe_scan_upto(scan_literal(at, " "), most, &value);
}

/* " cCPU", or nothing, to the end. */
static bool ends_with_cpu(const char *at)
{
	uint32_t cpu;

	if (scan_end(at))
		return true;
	return scan_end(probe_scan_upto(scan_literal(at, " c"), NEAP_MAX_CPUS - 1, &cpu));
}

/* ---- operations ---- */

static int note_op(struct walk *w, bool valid)
{
	if (!valid)
		return probe_refuse(&w->place, "an operation is a SLOT ORDER GFP NODE, p as a,"
					       " f SLOT or t ORDER GFP NODE, then maybe cCPU");
	if (w->inside)
		w->next.nr_ops++;
	else
		w->next.drained = false;
	return 0;
}

static int parse_allocate(struct walk *w, const char *at)
{
	at = scan_number(scan_number(at, SLOT_MOST), NEAP_NR_ORDERS - 1);
	return note_op(w, ends_with_cpu(scan_number(scan_gfp(at), NEAP_MAX_NODES - 1)));
}

static int parse_free(struct walk *w, const char *at)
{
	return note_op(w, ends_with_cpu(scan_number(at, SLOT_MOST)));
}

static int parse_until(struct walk *w, const char *at)
{
	at = scan_gfp(scan_number(at, NEAP_NR_ORDERS - 1));
	return note_op(w, ends_with_cpu(scan_number(at, NEAP_MAX_NODES - 1)));
}

/* ---- bursts ---- */

static int parse_burst(struct walk *w, const char *at)
{
	const char *label = scan_literal(at, " ");
	const char *end = scan_word(label);
	const char *nostate = scan_literal(end, " nostate");

	if (w->inside)
		return probe_refuse(&w->place, "a burst begins before the last one's end");
	if (end == NULL || (!scan_end(end) && !scan_end(nostate)))
		return probe_refuse(&w->place, "a burst is: burst LABEL [nostate]");
	size_t bytes = (size_t)(end - label);

	if (bytes >= PROBE_SCRIPT_LABEL_BYTES)
		bytes = PROBE_SCRIPT_LABEL_BYTES - 1;
	memset(w->next.label, 0, sizeof(w->next.label));
	memcpy(w->next.label, label, bytes);
	w->next.line = w->place.line;
	w->next.states = nostate == NULL;
	w->next.nr_ops = 0;
	w->inside = true;
	return 0;
}

static int parse_end(struct walk *w, const char *at)
{
	struct probe_script *script = w->script;

	if (!w->inside || !scan_end(at))
		return probe_refuse(&w->place, "an end stands alone, after a burst");
	w->inside = false;
	if (w->next.nr_ops == 0)
		return 0; /* recorded as a state without operations */
	struct probe_script_burst *burst =
		probe_push(&script->bursts, &script->nr_bursts, sizeof(*burst));

	if (burst == NULL)
		return -ENOMEM;
	*burst = w->next;
	w->next.drained = false;
	return 0;
}

/* ---- between bursts ---- */

static int parse_state(struct walk *w, const char *at)
{
	return scan_end(scan_word(scan_literal(at, " ")))
		       ? 0
		       : probe_refuse(&w->place, "a state is: state LABEL");
}

static int parse_hog(struct walk *w, const char *at)
{
	struct probe_place place;
	uint64_t keep;

	at = probe_scan_place(scan_literal(at, " "), &place);
	at = scan_gfp(scan_i64(scan_literal(at, " "), &keep));
	w->next.drained = false;
	return scan_end(scan_number(at, NEAP_NR_ORDERS - 1))
		       ? 0
		       : probe_refuse(&w->place, "a hog is: hog NODE.ZONE KEEP GFP ORDER");
}

static int parse_unhog(struct walk *w, const char *at)
{
	w->next.drained = false;
	return scan_end(scan_number(scan_number(at, FACTOR_MOST), FACTOR_MOST))
		       ? 0
		       : probe_refuse(&w->place, "an unhog is: unhog EVERY OFFSET");
}

static int parse_drain(struct walk *w, const char *at)
{
	w->next.drained = true;
	return scan_end(at) ? 0 : probe_refuse(&w->place, "a drain takes nothing");
}

static int parse_freeslots(struct walk *w, const char *at)
{
	w->next.nr_freeslots++;
	w->next.drained = false;
	return scan_end(at) ? 0 : probe_refuse(&w->place, "freeslots takes nothing");
}

static int parse_cpu(struct walk *w, const char *at)
{
	uint32_t cpu = 0;

	at = probe_scan_upto(scan_literal(at, " "), NEAP_MAX_CPUS - 1, &cpu);
	w->next.cpu = (uint16_t)cpu;
	return scan_end(at) ? 0 : probe_refuse(&w->place, "a CPU is: cpu NUMBER");
}

static int parse_sched(struct walk *w, const char *at)
{
	bool realtime = scan_end(scan_literal(at, " fifo"));

	if (!realtime && !scan_end(scan_literal(at, " normal")))
		return probe_refuse(&w->place, "a policy is: sched fifo|normal");
	w->next.realtime = realtime;
	return 0;
}

static int parse_memalloc(struct walk *w, const char *at)
{
	bool on = scan_end(scan_literal(at, " on"));

	if (!on && !scan_end(scan_literal(at, " off")))
		return probe_refuse(&w->place, "the right is: memalloc on|off");
	w->next.memalloc = on;
	return 0;
}

static int parse_policy(struct walk *w, const char *at)
{
	return scan_end(scan_gfp(scan_number(at, 99)))
		       ? 0
		       : probe_refuse(&w->place, "a policy is: policy MODE MASK");
}

static int parse_two_words(struct walk *w, const char *at)
{
	at = scan_word(scan_literal(at, " "));
	return scan_literal(at, " ") != NULL
		       ? 0
		       : probe_refuse(&w->place, "a setting is: sysctl NAME VALUE");
}

static int parse_shell(struct walk *w, const char *at)
{
	(void)w;
	(void)at;
	return 0;
}

static int parse_machine(struct walk *w, const char *at)
{
	(void)w;
	(void)at;
	return 0;
}

static int parse_line(struct walk *w, const char *text)
{
	static const struct {
		const char *word;
		int (*parse)(struct walk *w, const char *at);
		bool inside; /* may stand in a burst */
	} kinds[] = {
		{ "a", parse_allocate, true },
		{ "p", parse_allocate, true },
		{ "f", parse_free, true },
		{ "t", parse_until, true },
		{ "end", parse_end, true },
		{ "burst", parse_burst, true },
		{ "state", parse_state, false },
		{ "hog", parse_hog, false },
		{ "unhog", parse_unhog, false },
		{ "drain", parse_drain, false },
		{ "freeslots", parse_freeslots, false },
		{ "cpu", parse_cpu, false },
		{ "sched", parse_sched, false },
		{ "memalloc", parse_memalloc, false },
		{ "policy", parse_policy, false },
		{ "sysctl", parse_two_words, false },
		{ "sh", parse_shell, false },
		{ "machine", parse_machine, false },
	};
	size_t bytes = strcspn(text, " ");

	if (text[0] == '#' || text[0] == '\0')
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strlen(kinds[i].word) != bytes || memcmp(text, kinds[i].word, bytes) != 0)
			continue;
		if (w->inside && !kinds[i].inside)
			return probe_refuse(&w->place, "%s cannot stand in a burst", kinds[i].word);
		return kinds[i].parse(w, text + bytes);
	}
	return probe_refuse(&w->place, "a script has no command \"%.20s\"", text);
}

static int parse_lines(struct walk *w, char *text, size_t bytes)
{
	char *end = text + bytes;
	int error = 0;

	for (char *at = text; at < end && error == 0;) {
		char *newline = memchr(at, '\n', (size_t)(end - at));

		w->place.line++;
		if (newline == NULL)
			return probe_refuse(&w->place, "the script is cut off: its last line has"
						       " no end");
		*newline = '\0';
		if (strlen(at) != (size_t)(newline - at))
			return probe_refuse(&w->place, "the line has a NUL: this is no text");
		error = parse_line(w, at);
		at = newline + 1;
	}
	if (error == 0 && w->inside)
		return probe_refuse(&w->place, "the last burst has no end");
	return error;
}

int probe_script_parse(const struct text_input *in, struct probe_script *out,
		       struct text_error *err)
{
	struct walk w = { .script = out, .place = { .file_name = in->file_name, .err = err } };
	char *text;
	int error;

	memset(out, 0, sizeof(*out));
	text_error_clear(err);
	if (in->bytes == 0 || in->bytes > BYTES_MAX) {
		text_error_set(err, in->file_name, 0,
			       in->bytes == 0 ? "the script is empty"
					      : "the script is larger than 16 MiB");
		return in->bytes == 0 ? -EINVAL : -EFBIG;
	}
	text = text_mem_resize(NULL, in->bytes);
	if (text == NULL)
		return text_error_no_memory(err, in->file_name);
	memcpy(text, in->text, in->bytes);
	error = parse_lines(&w, text, in->bytes);
	free(text);
	if (error != 0)
		probe_script_free(out);
	return error == -ENOMEM ? text_error_no_memory(err, in->file_name) : error;
}

void probe_script_free(struct probe_script *script)
{
	free(script->bursts);
	memset(script, 0, sizeof(*script));
}
