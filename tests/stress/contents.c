/*
 * What a page holds, and the report when it does not.
 *
 *   word i of a page   hash(key of the area's life, page, version) + i * odd
 *   word k of it       the same, or hash(.., version of the word) once it was
 *                      written alone; k depends on the page
 *   version 0          zeroes (never written, or given back)
 *
 * So a wrong word tells where it comes from: another page, an older version or life
 * of the same page, or nothing of ours at all; the report tries these.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "stress.h"

#define WORD_STEP UINT64_C(0x9e3779b97f4a7c15)

uint64_t mix(uint64_t value)
{
	value ^= value >> 32;
	value *= UINT64_C(0xd6e8feb86659fd93);
	value ^= value >> 32;
	value *= UINT64_C(0xd6e8feb86659fd93);
	return value ^ value >> 32;
}

uint32_t contents_word_index(const struct area *area, uint32_t page)
{
	return (uint32_t)(mix(area->key * 31 + page) % PAGE_WORDS);
}

static uint64_t base_of(const struct area *area, uint32_t page, uint32_t version)
{
	return mix(mix(area->key + page) + version);
}

static uint64_t word_of(const struct area *area, uint32_t page, const struct cell *cell, uint32_t i)
{
	if (cell->word_version != 0 && i == contents_word_index(area, page))
		return mix(base_of(area, page, cell->version) + cell->word_version);
	return cell->version == 0 ? 0 : base_of(area, page, cell->version) + i * WORD_STEP;
}

uint64_t contents_word(const struct area *area, uint32_t page, uint32_t index)
{
	return word_of(area, page, &area->cells[page], index);
}

void contents_fill(const struct area *area, uint32_t page, uint64_t *to)
{
	uint64_t word = base_of(area, page, area->cells[page].version);

	for (uint32_t i = 0; i < PAGE_WORDS; i++, word += WORD_STEP)
		to[i] = word;
}

void fail(const struct world *w, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "stress: FAILED with seed %" PRIu64 "%s: ", w->seed,
		w->opt->sim ? " (simulated)" : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	fflush(stderr);
	abort();
}

/* Looks for the page whose contents `word` at place i is. => false: none of this area */
static bool find_source(const struct area *area, uint32_t i, uint64_t word, uint32_t *page,
			uint32_t *version)
{
	for (*page = 0; *page < area->nr_pages; (*page)++)
		for (*version = 1; *version <= area->cells[*page].version + 1; (*version)++)
			if (word == base_of(area, *page, *version) + i * WORD_STEP)
				return true;
	return false;
}

static void report(const struct world *w, const struct area *area, uint32_t page,
		   const uint64_t *data, uint32_t i)
{
	const struct cell *cell = &area->cells[page];
	uint32_t wrong = 0, zeroes = 0, from_page, from_version;

	for (uint32_t at = 0; at < PAGE_WORDS; at++) {
		wrong += data[at] != contents_word(area, page, at);
		zeroes += data[at] == 0;
	}
	fprintf(stderr,
		"stress: area %u (%s) page %u, version %u, word version %u: word %u is"
		" %016" PRIx64 ", should be %016" PRIx64 "; %u words are wrong, %u are zero\n",
		area->id, area->file != NULL ? "file" : "anonymous", page, cell->version,
		cell->word_version, i, data[i], contents_word(area, page, i), wrong, zeroes);
	for (uint32_t a = 0; a < NR_AREAS; a++)
		if (data[i] != 0 && find_source(&w->area[a], i, data[i], &from_page, &from_version))
			fprintf(stderr, "stress: this is area %u page %u version %u\n", a,
				from_page, from_version);
	fail(w, "wrong contents");
}

void contents_check(const struct world *w, const struct area *area, uint32_t page,
		    const uint64_t *data, uint32_t step)
{
	const struct cell *cell = &area->cells[page];
	uint32_t own = contents_word_index(area, page);
	uint64_t base = base_of(area, page, cell->version);

	for (uint32_t i = page % step; i < PAGE_WORDS; i += step) {
		uint64_t want = cell->version == 0 ? 0 : base + i * WORD_STEP;

		if (__builtin_expect(data[i] != want, 0) &&
		    (i != own || data[i] != word_of(area, page, cell, i)))
			report(w, area, page, data, i);
	}
	if (data[own] != word_of(area, page, cell, own))
		report(w, area, page, data, own);
}
