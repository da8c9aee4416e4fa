/*
 * From the lines of a log to reports.
 *
 *     ... other lines ...                     nothing is open: a quick look at each
 *     dd: page allocation failure ...  ──>    opens a report
 *     CPU: 0 PID: 195 Comm: dd ...            its lines are read in full
 *     Mem-Info: ...                           memory
 *     9559 pages reserved
 *     (the next head, or 200 other lines) ──> closes it: done(report)
 *
 * One report is open at a time and lives in one fixed structure, so memory does not
 * grow with the log. Lines of other messages between a report's own are passed over: on
 * a busy console there always are some.
 *
 * A report may be cut at both ends: a Mem-Info block without a head is a report of its
 * own, a "Killed process" without the rest as well. What is missing stays at zero and
 * is said to be unknown, not guessed.
 *
 * Reports about tasks that hang are of use here only if the task is one of reclaim or
 * compaction, or hangs while it reclaims for itself; others are left out.
 *
 * What must never happen: lines of two reports mixed into one. A head always closes
 * what was open; and a second Mem-Info begins a report of its own.
 *
 * Linux: mm/page_alloc.c, mm/oom_kill.c, kernel/hung_task.c, kernel/watchdog.c.
 */
#include "diag/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OTHER_LINES_MAX 200u

struct decode {
	decode_done done;
	void *arg;
	uint64_t lines, suppressed;
	uint32_t others; /* lines of other messages since the last of the report */
	bool open, keep; /* keep: the report is worth telling */
	struct report_context context;
	struct report_line line;
	struct decode_report report;
};

struct decode *decode_new(decode_done done, void *arg)
{
	struct decode *decode = calloc(1, sizeof(*decode));

	if (decode == NULL)
		return NULL;
	decode->done = done;
	decode->arg = arg;
	return decode;
}

void decode_free(struct decode *decode)
{
	free(decode);
}

uint64_t decode_lines(const struct decode *decode)
{
	return decode->lines;
}

uint64_t decode_suppressed(const struct decode *decode)
{
	return decode->suppressed;
}

/* Copies a piece of a line, cut to the room; bytes that no terminal should get become '?'. */
static void keep_text(char *out, size_t room, const struct logline_slice *from)
{
	size_t bytes = min_u64(from->bytes, room - 1);

	for (size_t i = 0; i < bytes; i++)
		out[i] = from->at[i] >= ' ' && from->at[i] <= '~' ? from->at[i] : '?';
	out[bytes] = '\0';
}

/* Any task that hangs while it reclaims or compacts is of interest. */
static bool trace_matters(const struct decode_report *report)
{
	static const char *const names[] = { "try_to_free_pages", "try_to_compact_pages",
					     "shrink_node", "migrate_pages" };

	for (uint32_t i = 0; i < report->nr_frames; i++)
		for (uint32_t k = 0; k < ARRAY_LEN(names); k++)
			if (strcmp(report->frame[i], names[k]) == 0)
				return true;
	return false;
}

static int close_report(struct decode *decode)
{
	const struct decode_report *report = &decode->report;
	bool tell = decode->open &&
		    (decode->keep || (report->kind == DECODE_HUNG && trace_matters(report)));

	decode->open = false;
	decode->context.last = REPORT_OTHER;
	return tell ? decode->done(decode->arg, &decode->report) : 0;
}

static int open_report(struct decode *decode, enum decode_kind kind, const struct logline *split)
{
	struct decode_report *report = &decode->report;
	int error = close_report(decode);

	/* The large part is emptied only when there is something in it. */
	if (report->has_memory || report->memory.page_kb == 0)
		report_memory_init(&report->memory);
	memset(report, 0, offsetof(struct decode_report, memory));
	report->kind = kind;
	report->line = decode->lines;
	keep_text(report->when, sizeof(report->when), &split->when);
	decode->open = true;
	decode->keep = true;
	decode->others = 0;
	return error;
}

/* ---- the kinds of lines ---- */

static void take_request(struct decode_report *report, const struct report_line *line,
			 uint32_t first)
{
	static const struct logline_slice none = { "", 0 };
	bool words = line->nr_words > 1;
	uint32_t flags = line->kind == REPORT_VMALLOC ? 2 : 1;

	keep_text(report->comm, sizeof(report->comm), &line->word[0]);
	decode_flags(report, words ? &line->word[flags] : &none, line->number[first]);
	if (line->nr_words > flags + 1)
		keep_text(report->nodemask, sizeof(report->nodemask), &line->word[flags + 1]);
}

/* "Tainted: G  OE   6.1.0-56-cloud-amd64 #1  Debian": the first word that begins as a version */
static void take_kernel(struct decode_report *report, const struct logline_slice *rest)
{
	for (uint32_t i = 0; i < rest->bytes; i++) {
		const char *at = rest->at + i;
		const char *end = memchr(at, ' ', rest->bytes - i);
		struct logline_slice word = { at, end != NULL ? (uint32_t)(end - at)
							      : rest->bytes - i };

		if ((i == 0 || at[-1] == ' ') && *at >= '0' && *at <= '9' &&
		    memchr(at, '.', word.bytes) != NULL) {
			keep_text(report->kernel, sizeof(report->kernel), &word);
			return;
		}
	}
}

static void take_cpu(struct decode_report *report, const struct report_line *line)
{
	report->pid = (uint32_t)min_u64(line->number[line->nr_numbers - 1], UINT32_MAX);
	if (report->comm[0] == '\0')
		keep_text(report->comm, sizeof(report->comm), &line->word[0]);
	take_kernel(report, &line->word[1]);
}

static void take_frame(struct decode_report *report, const struct report_line *line)
{
	struct text_buf printed;

	/* Lines with "?" are remains on the stack, not the way that was taken. */
	text_buf_init(&printed);
	report_line_print(line, &printed);
	bool certain = strstr(text_buf_text(&printed), "? ") == NULL;

	report->interrupt = report->interrupt || strstr(text_buf_text(&printed), "<IRQ>") != NULL;
	text_buf_free(&printed);
	if (line->kind == REPORT_FRAME && certain && report->nr_frames < DECODE_FRAMES)
		keep_text(report->frame[report->nr_frames++], sizeof(report->frame[0]),
			  &line->word[0]);
}

static void take_task(struct decode_oom *oom, const struct report_line *line)
{
	uint32_t nr = line->nr_numbers;
	struct decode_task task = {
		.pid = (uint32_t)min_u64(line->number[0], UINT32_MAX),
		.rss_pages = line->number[4],
		.swap_pages = line->number[nr - 2],
		.table_bytes = line->number[nr - 3],
		.adj = (int64_t)line->number[nr - 1],
	};

	keep_text(task.comm, sizeof(task.comm), &line->word[0]);
	oom->nr_tasks++;
	if (task.rss_pages + task.swap_pages > oom->largest.rss_pages + oom->largest.swap_pages)
		oom->largest = task;
}

static void take_usage(struct decode_oom *oom, const struct report_line *line)
{
	/* Forms of the kind stand in the order memory, swap, memory+swap, kmem. */
	struct text_buf printed;

	text_buf_init(&printed);
	report_line_print(line, &printed);
	if (strncmp(text_buf_text(&printed), "memory: ", 8) == 0) {
		oom->has_usage = true;
		oom->usage_kb = line->number[0];
		oom->limit_kb = line->number[1];
		oom->failcnt = line->number[2];
	} else if (strncmp(text_buf_text(&printed), "swap: ", 6) == 0) {
		oom->has_swap_usage = true;
		oom->swap_usage_kb = line->number[0];
		oom->swap_limit_kb = line->number[1];
	}
	text_buf_free(&printed);
}

static bool word_is(const struct logline_slice *word, const char *text)
{
	return word->bytes == strlen(text) && memcmp(word->at, text, word->bytes) == 0;
}

static void take_stat(struct decode_oom *oom, const struct report_line *line)
{
	const struct {
		const char *name;
		uint64_t *bytes;
	} stats[] = {
		{ "anon", &oom->anon_bytes },	{ "file", &oom->file_bytes },
		{ "shmem", &oom->shmem_bytes }, { "kernel", &oom->kernel_bytes },
		{ "slab", &oom->slab_bytes },
	};

	for (uint32_t i = 0; i < ARRAY_LEN(stats); i++)
		if (word_is(&line->word[0], stats[i].name))
			*stats[i].bytes = line->number[0];
}

static void take_killed(struct decode_report *report, const struct report_line *line)
{
	struct decode_oom *oom = &report->oom;
	bool uid_first = line->nr_words == 1 && line->nr_numbers == 6;
	uint32_t at = uid_first ? 2 : 1; /* total-vm */

	if (oom->has_victim)
		return;
	oom->has_victim = true;
	oom->victim.pid = (uint32_t)min_u64(line->number[0], UINT32_MAX);
	keep_text(oom->victim.comm, sizeof(oom->victim.comm), &line->word[line->nr_words - 1]);
	oom->victim_anon_kb = line->number[at + 1];
	oom->victim_file_kb = line->number[at + 2];
	oom->victim_shmem_kb = line->nr_numbers > at + 3 ? line->number[at + 3] : 0;
	if (line->nr_words > 1 &&
	    memmem(line->word[0].at, line->word[0].bytes, "cgroup", 6) != NULL)
		report->kind = DECODE_GROUP;
}

static void take_constraint(struct decode_report *report, const struct report_line *line)
{
	keep_text(report->oom.constraint, sizeof(report->oom.constraint), &line->word[0]);
	keep_text(report->nodemask, sizeof(report->nodemask), &line->word[1]);
	if (word_is(&line->word[0], "CONSTRAINT_MEMCG")) {
		report->kind = DECODE_GROUP;
		keep_text(report->oom.group, sizeof(report->oom.group), &line->word[4]);
	}
}

/* Threads whose hanging has to do with memory. */
static bool thread_matters(const char *comm)
{
	return strncmp(comm, "kswapd", 6) == 0 || strncmp(comm, "kcompactd", 9) == 0 ||
	       strncmp(comm, "khugepaged", 10) == 0;
}

/* Lines that open a report. => whether it was one; *error */
static bool take_head(struct decode *decode, const struct logline *split, int *error)
{
	const struct report_line *line = &decode->line;
	struct decode_report *report = &decode->report;

	switch (line->kind) {
	case REPORT_FAILURE:
		*error = open_report(decode, DECODE_FAILURE, split);
		report->order = (uint32_t)min_u64(line->number[0], 63);
		take_request(report, line, 1);
		return true;
	case REPORT_VMALLOC:
		*error = open_report(decode, DECODE_FAILURE, split);
		take_request(report, line, 1);
		return true;
	case REPORT_STALL:
		*error = open_report(decode, DECODE_STALL, split);
		report->value = line->number[0];
		report->order = (uint32_t)min_u64(line->number[1], 63);
		take_request(report, line, 2);
		return true;
	case REPORT_OOM:
		*error = open_report(decode, DECODE_OOM, split);
		report->order = (uint32_t)min_u64(line->number[1], 63);
		take_request(report, line, 0);
		return true;
	case REPORT_SLUB:
		*error = open_report(decode, DECODE_SLUB, split);
		decode_flags(report, &line->word[0], line->number[line->nr_numbers - 1]);
		return true;
	case REPORT_SYSRQ:
		*error = open_report(decode, DECODE_MEMORY, split);
		return true;
	case REPORT_HUNG:
	case REPORT_LOCKUP:
		*error = open_report(decode, DECODE_HUNG, split);
		report->spins = line->kind == REPORT_LOCKUP;
		report->value = line->number[1];
		keep_text(report->comm, sizeof(report->comm), &line->word[0]);
		decode->keep = thread_matters(report->comm);
		return true;
	case REPORT_RCU:
		/* Who it was is told by the line with the CPU. */
		*error = open_report(decode, DECODE_HUNG, split);
		report->spins = true;
		decode->keep = false;
		return true;
	default:
		return false;
	}
}

/* A line that belongs to what is open, or begins a report that lost its head. */
static int take_rest(struct decode *decode, const struct logline *split)
{
	const struct report_line *line = &decode->line;
	struct decode_report *report = &decode->report;
	int error = 0;

	bool block = line->kind == REPORT_GLOBAL || line->kind == REPORT_NODE ||
		     line->kind == REPORT_ZONE;

	if ((line->kind == REPORT_MEMINFO && (!decode->open || report->has_memory)) ||
	    (block && !decode->open))
		error = open_report(decode, DECODE_MEMORY, split);
	if (!decode->open && (line->kind == REPORT_KILLED || line->kind == REPORT_CONSTRAINT ||
			      line->kind == REPORT_SACRIFICE || line->kind == REPORT_NO_VICTIM))
		error = open_report(decode, DECODE_OOM, split);
	if (!decode->open || error != 0)
		return error;
	decode->others = 0;
	if (report_memory_take(&report->memory, line)) {
		report->has_memory = true;
		return 0;
	}
	switch (line->kind) {
	case REPORT_CPU:
		take_cpu(report, line);
		if (report->kind == DECODE_HUNG)
			decode->keep = thread_matters(report->comm);
		break;
	case REPORT_FRAME:
	case REPORT_TRACE_MARK:
		take_frame(report, line);
		break;
	case REPORT_SLUB_CACHE:
		keep_text(report->cache, sizeof(report->cache), &line->word[0]);
		report->order = (uint32_t)min_u64(line->number[2], 63);
		break;
	case REPORT_TASK:
		take_task(&report->oom, line);
		break;
	case REPORT_USAGE:
		report->kind = DECODE_GROUP;
		take_usage(&report->oom, line);
		break;
	case REPORT_STATS:
		keep_text(report->oom.group, sizeof(report->oom.group), &line->word[0]);
		break;
	case REPORT_STAT:
		take_stat(&report->oom, line);
		break;
	case REPORT_CONSTRAINT:
		take_constraint(report, line);
		break;
	case REPORT_KILLED:
		take_killed(report, line);
		break;
	case REPORT_GROUP_KILL:
		report->oom.group_kill = true;
		break;
	case REPORT_NO_VICTIM:
		report->oom.nobody = true;
		break;
	default:
		break;
	}
	return 0;
}

/* One line after its prefix was split off. */
static int take_line(struct decode *decode, const struct logline *split)
{
	int error = 0;

	if (!decode->open && !report_line_begins(&split->text))
		return 0;
	report_line_read(&split->text, &decode->context, &decode->line);
	if (decode->line.kind == REPORT_SUPPRESSED)
		decode->suppressed += decode->line.number[0];
	if (decode->line.kind != REPORT_OTHER) {
		if (take_head(decode, split, &error))
			return error;
		return take_rest(decode, split);
	}
	if (decode->open && ++decode->others > OTHER_LINES_MAX)
		error = close_report(decode);
	return error;
}

int decode_line(struct decode *decode, const char *line, uint32_t bytes)
{
	struct logline split;
	int error = 0;

	if (bytes > 0 && line[bytes - 1] == '\r')
		bytes--;
	decode->lines++;
	logline_split(line, bytes, &split);
	/* rsyslog writes the newlines inside a statement as #012. */
	while (decode->open && error == 0) {
		const char *mark = memmem(split.text.at, split.text.bytes, "#012", 4);
		struct logline part = split;

		if (mark == NULL)
			break;
		part.text.bytes = (uint32_t)(mark - split.text.at);
		error = take_line(decode, &part);
		split.text.bytes -= part.text.bytes + 4;
		split.text.at = mark + 4;
	}
	return error != 0 ? error : take_line(decode, &split);
}

int decode_end(struct decode *decode)
{
	return close_report(decode);
}
