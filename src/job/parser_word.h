/*
 * Taking the words of a line: by position, as KEY=VALUE, as a flag. Each marks what it took, so
 * that a word that nobody took can be told. Private to the functions that parse commands.
 */
#ifndef NEAP_JOB_PARSER_WORD_H
#define NEAP_JOB_PARSER_WORD_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "job/parser.h"

#define PAGES_MAX ((uint64_t)1 << 32) /* of one object: 16 TiB */

/* => "", which is neither a number nor a name, when the line is shorter */
static inline const char *word(struct parser *p, uint32_t at)
{
	if (at >= p->nr_words)
		return "";
	p->used[at] = true;
	return p->words[at];
}

/* => the value of KEY=VALUE, or NULL */
static inline const char *option(struct parser *p, const char *key)
{
	size_t length = strlen(key);

	for (uint32_t i = 1; i < p->nr_words; i++)
		if (!p->used[i] && strncmp(p->words[i], key, length) == 0 &&
		    p->words[i][length] == '=')
			return word(p, i) + length + 1;
	return NULL;
}

static inline bool flag(struct parser *p, const char *name)
{
	for (uint32_t i = 1; i < p->nr_words; i++) {
		if (!p->used[i] && strcmp(p->words[i], name) == 0) {
			p->used[i] = true;
			return true;
		}
	}
	return false;
}

/* A number of at most `max`, decimal or 0x...; what: its name for the message. */
static inline uint64_t number(struct parser *p, const char *text, const char *what, uint64_t max)
{
	char *end = NULL;
	uint64_t value = 0;

	errno = 0;
	if (text[0] >= '0' && text[0] <= '9')
		value = strtoull(text, &end, 0);
	if (end == NULL || *end != '\0' || errno != 0) {
		parser_error(p, "%s '%.60s' is not a whole number", what, text);
		return 0;
	}
	if (value > max) {
		parser_error(p, "%s %s is too large, the most is %llu", what, text,
			     (unsigned long long)max);
		return 0;
	}
	return value;
}

/* A size in bytes that is not 0, rounded up to pages. */
static inline uint64_t size(struct parser *p, const char *text)
{
	uint64_t bytes = 0;
	size_t used = size_parse(text, &bytes);

	if (used == 0 || text[used] != '\0' || bytes == 0) {
		parser_error(p, "'%.60s' is no size: a number above 0, with K, M, G or T", text);
		return NEAP_PAGE_SIZE;
	}
	if (bytes > PAGES_MAX * NEAP_PAGE_SIZE) {
		parser_error(p, "%s is too large, the most is 16T", text);
		return NEAP_PAGE_SIZE;
	}
	return round_up_u64(bytes, NEAP_PAGE_SIZE);
}

#endif
