/*
 * Trace files, read.
 *
 *     # comments
 *              kswapd0-42      [001] .....     6.733871: mm_vmscan_kswapd_wake: nid=0 order=0
 *              task    pid     cpu   state     time      name                   body
 *
 * The form is what trace.c writes, what Linux's trace file has, and what remains of
 * one after a mail or a script squeezed its blanks. A task's name may hold blanks and
 * dashes, so a line is taken apart from its "[cpu]" on, in both directions.
 *
 * Most lines of a trace are single pages allocated and freed. No picture needs them,
 * so they are counted and left out; what remains fits in memory.
 *
 * What must never happen: a line that changes the order of time silently. The log is
 * sorted by those who need an order; a file's CPUs may lag behind each other.
 */
#include "text/trace_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 65536u
#define LINE_BYTES_MAX 4096u

struct trace_block {
	struct trace_block *next;
	size_t used;
	char bytes[BLOCK_BYTES];
};

void trace_log_init(struct trace_log *log)
{
	*log = (struct trace_log){ 0 };
}

void trace_log_free(struct trace_log *log)
{
	for (struct trace_block *block = log->blocks; block != NULL;) {
		struct trace_block *next = block->next;

		free(block);
		block = next;
	}
	free(log->lines);
	trace_log_init(log);
}

bool trace_log_wants(const char *name)
{
	static const char *const many[] = { "mm_page_alloc", "mm_page_free", "mm_page_free_batched",
					    "mm_page_alloc_zone_locked", "mm_page_pcpu_drain" };

	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		if (strcmp(name, many[i]) == 0)
			return false;
	return true;
}

/* => a copy that lives as long as the log, or NULL */
static const char *keep(struct trace_log *log, const char *text)
{
	size_t bytes = strnlen(text, LINE_BYTES_MAX - 1) + 1;

	if (log->blocks == NULL || log->blocks->used + bytes > BLOCK_BYTES) {
		struct trace_block *block = malloc(sizeof(*block));

		if (block == NULL)
			return NULL;
		block->next = log->blocks;
		block->used = 0;
		log->blocks = block;
	}
	char *at = log->blocks->bytes + log->blocks->used;

	memcpy(at, text, bytes - 1);
	at[bytes - 1] = '\0';
	log->blocks->used += bytes;
	return at;
}

int trace_log_add(struct trace_log *log, const struct trace_line *line)
{
	if (!trace_log_wants(line->name)) {
		log->nr_skipped++;
		return 0;
	}
	if (log->nr_lines == log->lines_room) {
		uint32_t room = max_u32(256, 2 * log->lines_room);
		struct trace_line *lines = realloc(log->lines, room * sizeof(*lines));

		if (lines == NULL)
			return -ENOMEM;
		log->lines = lines;
		log->lines_room = room;
	}
	struct trace_line *to = &log->lines[log->nr_lines];

	*to = *line;
	to->task = keep(log, line->task);
	to->name = keep(log, line->name);
	to->body = keep(log, line->body);
	if (to->task == NULL || to->name == NULL || to->body == NULL)
		return -ENOMEM;
	log->nr_lines++;
	return 0;
}

/* ---- the file ---- */

/* Finds "[123]" with a blank before it. => where, or NULL */
static char *find_cpu(char *text)
{
	for (char *at = strchr(text, '['); at != NULL; at = strchr(at + 1, '[')) {
		size_t digits = strspn(at + 1, "0123456789");

		if (digits >= 1 && digits <= 5 && at[1 + digits] == ']' && at > text &&
		    at[-1] == ' ')
			return at;
	}
	return NULL;
}

/* "  kswapd0-42      " becomes "kswapd0". */
static const char *task_name(char *text)
{
	char *end = text + strlen(text);

	while (*text == ' ')
		text++;
	while (end > text && end[-1] == ' ')
		*--end = '\0';
	char *dash = strrchr(text, '-');

	if (dash != NULL)
		*dash = '\0';
	return text;
}

/* "6.733871:" => the position after it, or NULL */
static char *scan_time(char *text, uint64_t *time_ns)
{
	char *end;
	uint64_t seconds, fraction;
	uint64_t unit = NSEC_PER_SEC;

	if (*text < '0' || *text > '9')
		return NULL;
	seconds = strtoull(text, &end, 10);
	if (*end != '.' || seconds > UINT64_MAX / NSEC_PER_SEC / 2)
		return NULL;
	size_t digits = strspn(end + 1, "0123456789");

	if (digits == 0 || digits > 9 || end[1 + digits] != ':')
		return NULL;
	fraction = strtoull(end + 1, NULL, 10);
	for (size_t i = 0; i < digits; i++)
		unit /= 10;
	*time_ns = seconds * NSEC_PER_SEC + fraction * unit;
	return end + digits + 2;
}

/* Takes one line apart, in place. => false: no event */
static bool scan_event(char *text, struct trace_line *line)
{
	char *cpu = find_cpu(text);
	char *at, *colon;

	if (cpu == NULL)
		return false;
	line->cpu = (uint32_t)strtoul(cpu + 1, &at, 10);
	*cpu = '\0';
	at++;
	at += strspn(at, " ");
	/* The state's letters, unless there are none. */
	if (*at < '0' || *at > '9' || strchr(at, '.') == NULL || at[strcspn(at, " :")] != ':') {
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	at = scan_time(at, &line->time_ns);
	if (at == NULL)
		return false;
	at += strspn(at, " ");
	colon = strchr(at, ':');
	if (colon == NULL || colon == at || strcspn(at, " ") < (size_t)(colon - at))
		return false;
	*colon = '\0';
	line->name = at;
	line->body = colon + 1 + strspn(colon + 1, " ");
	line->task = task_name(text);
	return true;
}

/* "# cpu0 dropped events: 12" and Linux's "dropped events: 12" */
static void scan_dropped(const char *text, struct trace_log *log)
{
	static const char words[] = "dropped events: ";
	const char *at = strstr(text, words);

	if (at != NULL)
		log->nr_dropped += strtoull(at + sizeof(words) - 1, NULL, 10);
}

int trace_log_parse(struct trace_log *log, const struct text_input *in, struct text_error *err)
{
	char copy[LINE_BYTES_MAX];
	uint64_t nr_events = 0;

	for (size_t at = 0; at < in->bytes;) {
		const char *newline = memchr(in->text + at, '\n', in->bytes - at);
		size_t length =
			newline != NULL ? (size_t)(newline - in->text) - at : in->bytes - at;
		size_t kept = length < sizeof(copy) ? length : sizeof(copy) - 1;
		struct trace_line line;

		memcpy(copy, in->text + at, kept);
		copy[kept] = '\0';
		at += length + 1;
		scan_dropped(copy, log);
		if (copy[0] == '#' || !scan_event(copy, &line))
			continue;
		nr_events++;
		if (trace_log_add(log, &line) != 0)
			return text_error_no_memory(err, in->file_name);
	}
	if (nr_events > 0)
		return 0;
	text_error_set(err, in->file_name, 0, "there is no trace event in this file");
	return -EINVAL;
}

int trace_log_sort(struct trace_log *log)
{
	bool sorted = true;

	for (uint32_t i = 1; i < log->nr_lines && sorted; i++)
		sorted = log->lines[i - 1].time_ns <= log->lines[i].time_ns;
	if (sorted)
		return 0;
	/* Merging adjacent runs keeps equal times in place, which qsort() does not promise. */
	struct trace_line *from = log->lines;
	struct trace_line *to = malloc(log->lines_room * sizeof(*to));

	if (to == NULL)
		return -ENOMEM;
	for (uint64_t run = 1; run < log->nr_lines; run *= 2) {
		for (uint64_t start = 0; start < log->nr_lines; start += 2 * run) {
			uint64_t middle = min_u64(start + run, log->nr_lines);
			uint64_t end = min_u64(start + 2 * run, log->nr_lines);
			uint64_t left = start, right = middle;

			for (uint64_t at = start; at < end; at++) {
				bool take_left =
					left < middle &&
					(right >= end || from[left].time_ns <= from[right].time_ns);

				to[at] = from[take_left ? left++ : right++];
			}
		}
		struct trace_line *swap = from;

		from = to;
		to = swap;
	}
	log->lines = from;
	free(to);
	return 0;
}

/* ---- fields ---- */

/* => the text after "key=" where key is a whole word, or NULL */
static const char *find_field(const char *body, const char *key)
{
	size_t length = strlen(key);

	for (const char *at = strstr(body, key); at != NULL; at = strstr(at + 1, key))
		if (at[length] == '=' && (at == body || at[-1] == ' '))
			return at + length + 1;
	return NULL;
}

bool trace_line_number(const struct trace_line *line, const char *key, int64_t *value)
{
	const char *at = find_field(line->body, key);
	char *end;

	if (at == NULL)
		return false;
	*value = strtoll(at, &end, 0);
	return end != at;
}

bool trace_line_word(const struct trace_line *line, const char *key, char *word, size_t bytes)
{
	const char *at = find_field(line->body, key);
	size_t length;

	if (at == NULL || bytes == 0)
		return false;
	length = strcspn(at, " ,");
	if (length >= bytes)
		length = bytes - 1;
	memcpy(word, at, length);
	word[length] = '\0';
	return true;
}

bool trace_line_range(const struct trace_line *line, uint64_t *first, uint64_t *end)
{
	const char *at = find_field(line->body, "range");
	char *after;

	if (at == NULL || *at != '(')
		return false;
	*first = strtoull(at + 1, &after, 16);
	after += strspn(after, " ~");
	*end = strtoull(after, NULL, 16);
	return *end >= *first;
}
