/*
 * Making a failing job small.
 *
 *     text ──> lines ──> without comments
 *                  └──> without a half, a quarter ... one line   (until nothing more can go)
 *                  └──> without `parallel` and its `end`, without `bg`
 *                  └──> without the words of a line, from the last
 *                  └──> 8000 ──> 4000 ──> ..., 12M ──> 6M ──> ...
 *
 * Whoever asks knows what failed and how to try a candidate; here is only the search. It is the
 * plain one for lists: take away large parts first, then smaller ones, and begin again after each
 * success as long as there are some (Zeller and Hildebrandt, "Simplifying and isolating
 * failure-inducing input", 2002).
 *
 * A candidate that is no job any more is refused by whoever tries it, so that nothing here knows
 * the language but three things: `#` begins a comment, `parallel` needs its `end`, and what
 * `expect` expects is not to be changed. Comments that say "options:" stay: they belong to what
 * failed.
 *
 * What must never happen: a text that was not tried being returned as one that fails.
 */
#include "job/shrink.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MARK "# options:"

struct lines {
	char **line; /* without newlines, each of its own */
	uint32_t nr;
};

/* ---- texts and lines ---- */

static void lines_free(struct lines *lines)
{
	for (uint32_t i = 0; i < lines->nr; i++)
		free(lines->line[i]);
	free(lines->line);
}

static bool lines_split(const char *text, struct lines *out)
{
	uint32_t nr = 1;

	for (const char *c = text; *c != '\0'; c++)
		nr += *c == '\n';
	*out = (struct lines){ .line = calloc(nr, sizeof(char *)) };
	if (out->line == NULL)
		return false;
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		out->line[out->nr] = strndup(text, length);
		if (out->line[out->nr] == NULL) {
			lines_free(out);
			return false;
		}
		out->nr++;
		text += length + (text[length] == '\n');
	}
	return true;
}

/* The text without the lines marked in skip, which may be NULL. => NULL: memory is out */
static char *lines_join(const struct lines *lines, const bool *skip)
{
	size_t bytes = 1, at = 0;
	char *text;

	for (uint32_t i = 0; i < lines->nr; i++)
		bytes += strlen(lines->line[i]) + 1;
	text = malloc(bytes);
	for (uint32_t i = 0; i < lines->nr && text != NULL; i++) {
		size_t length = strlen(lines->line[i]);

		if (skip != NULL && skip[i])
			continue;
		memcpy(text + at, lines->line[i], length);
		text[at + length] = '\n';
		at += length + 1;
	}
	if (text != NULL)
		text[at] = '\0';
	return text;
}

/* Whether the lines that are not skipped fail; memory that is out counts as no. */
static bool fails_without(struct shrink *s, const struct lines *lines, const bool *skip)
{
	char *text;
	bool fails;

	if (s->tries_left == 0)
		return false;
	text = lines_join(lines, skip);
	if (text == NULL)
		return false;
	s->tries_left--;
	s->tried++;
	fails = s->fails(s->ctx, text);
	free(text);
	return fails;
}

/* Takes the marked lines out if the rest fails. */
static bool drop_marked(struct shrink *s, struct lines *lines, const bool *skip)
{
	uint32_t kept = 0;

	if (!fails_without(s, lines, skip))
		return false;
	for (uint32_t i = 0; i < lines->nr; i++) {
		if (skip[i])
			free(lines->line[i]);
		else
			lines->line[kept++] = lines->line[i];
	}
	lines->nr = kept;
	return true;
}

/* ---- whole lines ---- */

static bool is_options(const char *line)
{
	return strncmp(line, OPTIONS_MARK, strlen(OPTIONS_MARK)) == 0;
}

static const char *first_word(const char *line)
{
	return line + strspn(line, " \t");
}

static bool begins_with(const char *line, const char *word)
{
	const char *first = first_word(line);
	size_t length = strlen(word);

	return strncmp(first, word, length) == 0 &&
	       (first[length] == '\0' || isspace((unsigned char)first[length]));
}

static void drop_comments(struct shrink *s, struct lines *lines, bool *skip)
{
	for (uint32_t i = 0; i < lines->nr; i++) {
		const char *first = first_word(lines->line[i]);

		skip[i] = *first == '\0' || (*first == '#' && !is_options(first));
	}
	(void)drop_marked(s, lines, skip); /* or it stays as it is */
}

/* One pass with parts of this size. => whether something went */
static bool drop_parts(struct shrink *s, struct lines *lines, bool *skip, uint32_t size)
{
	bool progress = false;
	uint32_t first = 0;

	while (first < lines->nr && s->tries_left > 0) {
		uint32_t marked = 0;

		for (uint32_t i = 0; i < lines->nr; i++) {
			skip[i] = i >= first && i - first < size && !is_options(lines->line[i]);
			marked += skip[i];
		}
		if (marked > 0 && drop_marked(s, lines, skip))
			progress = true;
		else
			first += size;
	}
	return progress;
}

static bool drop_lines(struct shrink *s, struct lines *lines, bool *skip)
{
	bool progress = false, again;

	for (uint32_t size = max_u32(lines->nr / 2, 1); size > 1; size /= 2)
		progress |= drop_parts(s, lines, skip, size);
	do {
		again = drop_parts(s, lines, skip, 1);
		progress |= again;
	} while (again);
	return progress;
}

/* `parallel` and its `end` go together; what stands between runs one after the other then. */
static bool drop_pairs(struct shrink *s, struct lines *lines, bool *skip)
{
	bool progress = false;

	for (uint32_t i = 0; i < lines->nr; i++) {
		uint32_t end = i;

		if (!begins_with(lines->line[i], "parallel"))
			continue;
		while (end < lines->nr && !begins_with(lines->line[end], "end"))
			end++;
		for (uint32_t k = 0; k < lines->nr; k++)
			skip[k] = k == i || k == end;
		if (drop_marked(s, lines, skip)) {
			progress = true;
			i--;
		}
	}
	return progress;
}

/* ---- within a line ---- */

/* Puts `with` in the place of the line if that fails, too; takes it over in any case. */
static bool replace_line(struct shrink *s, struct lines *lines, uint32_t i, char *with)
{
	char *old = lines->line[i];

	if (with == NULL)
		return false;
	lines->line[i] = with;
	if (fails_without(s, lines, NULL)) {
		free(old);
		return true;
	}
	lines->line[i] = old;
	free(with);
	return false;
}

/* Drops words from the end of a line, and `bg` at its begin. */
static bool drop_words(struct shrink *s, struct lines *lines, uint32_t i)
{
	bool progress = false;
	const char *space;

	if (begins_with(lines->line[i], "bg"))
		progress = replace_line(s, lines, i,
					strdup(first_word(first_word(lines->line[i]) + 2)));
	while ((space = strrchr(lines->line[i], ' ')) != NULL &&
	       space > first_word(lines->line[i])) {
		if (!replace_line(s, lines, i,
				  strndup(lines->line[i], (size_t)(space - lines->line[i]))))
			break;
		progress = true;
	}
	return progress;
}

/* A copy of the line with the number at this place halved. => NULL: there is none to halve */
static char *with_half(const char *line, size_t at)
{
	char number[24], *copy;
	char *end;
	unsigned long long value = strtoull(line + at, &end, 10);
	int length = snprintf(number, sizeof(number), "%llu", value / 2);
	size_t bytes = strlen(line) + sizeof(number);

	if (value < 2 || value >= UINT64_C(1) << 62 || length < 0)
		return NULL;
	copy = malloc(bytes);
	if (copy != NULL)
		snprintf(copy, bytes, "%.*s%s%s", (int)at, line, number, end);
	return copy;
}

static bool halve_numbers(struct shrink *s, struct lines *lines, uint32_t i)
{
	bool progress = false;

	for (size_t at = 1; at < strlen(lines->line[i]); at++) {
		char before = lines->line[i][at - 1];
		char *half;

		if (!isdigit((unsigned char)lines->line[i][at]) || (before != ' ' && before != '='))
			continue;
		while ((half = with_half(lines->line[i], at)) != NULL &&
		       replace_line(s, lines, i, half))
			progress = true;
	}
	return progress;
}

static bool shorten_lines(struct shrink *s, struct lines *lines)
{
	bool progress = false;

	for (uint32_t i = 0; i < lines->nr && s->tries_left > 0; i++) {
		/* Another number in what is expected would be another failure. */
		if (is_options(lines->line[i]) || begins_with(lines->line[i], "expect"))
			continue;
		progress |= drop_words(s, lines, i);
		progress |= halve_numbers(s, lines, i);
	}
	return progress;
}

/* ---- all of it ---- */

char *shrink_job(struct shrink *s, const char *text)
{
	struct lines lines;
	char *small = NULL;
	bool *skip, progress;

	if (!lines_split(text, &lines))
		return NULL;
	skip = calloc(lines.nr + 1, sizeof(*skip));
	if (skip != NULL) {
		drop_comments(s, &lines, skip);
		do {
			progress = drop_lines(s, &lines, skip);
			progress |= drop_pairs(s, &lines, skip);
			progress |= shorten_lines(s, &lines);
		} while (progress && s->tries_left > 0);
		small = lines_join(&lines, NULL);
	}
	free(skip);
	lines_free(&lines);
	return small;
}
