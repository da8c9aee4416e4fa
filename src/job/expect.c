/*
 * Conditions on counters.
 *
 *     expect vmstat.pswpout > 0 and vmstat.allocstall_normal == 0 and neap.lost_pages = 0
 *            ---- ------- - -
 *            file name    op number                 up to EXPECT_TERMS_MAX terms, all must hold
 *
 * FILE is one of
 *     vmstat    a line of /proc/vmstat
 *     meminfo   a line of /proc/meminfo, in kB as printed ("meminfo.MemFree")
 *     neap      a counter that no Linux file has: a hidden meter item ("accesses"),
 *               a gauge ("peak_used_pages") or what the verifier saw ("lost_pages")
 *
 * File, operator and number are checked when the job is parsed; names when the
 * machine exists but before the first command, by looking them up in the texts
 * that the machine prints. Values are read from the same texts a user would read,
 * so a job that passes tests the files, too.
 *
 * What was found is said also when a condition holds: a job that measures something
 * shows it in its summary.
 *
 * What must never happen: a misspelt name that reads as 0 and makes a condition
 * true by accident.
 */
#include "job/expect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT_TERMS_MAX 16u
#define NAME_BYTES 64u

enum file {
	FILE_VMSTAT,
	FILE_MEMINFO,
	FILE_NEAP,
	NR_FILES,
};

enum compare {
	COMPARE_EQ,
	COMPARE_NE,
	COMPARE_LT,
	COMPARE_LE,
	COMPARE_GT,
	COMPARE_GE,
};

struct term {
	enum file file;
	enum compare compare;
	char name[NAME_BYTES];
	uint64_t number;
};

struct expect {
	uint32_t nr_terms;
	struct term terms[EXPECT_TERMS_MAX];
};

static const char *const file_names[NR_FILES] = { "vmstat", "meminfo", "neap" };
static const char *const compare_names[] = { "==", "!=", "<", "<=", ">", ">=" };

/* Counters of neap.NAME that the machine keeps in its meter, not in a file. */
static const char *const meter_names[] = {
	"accesses",	     "minor_faults",	 "ptes_walked",	       "pages_zeroed",
	"pages_copied",	     "list_rejects",	 "context_switches",   "ticks_256",
	"io_submits",	     "io_completions",	 "syscall_pages",      "slow_allocations",
	"cma_alloc_success", "cma_alloc_fail",	 "compact_looks",      "node_passes",
	"first_migrations",  "file_pages_added", "file_pages_dirtied", "file_pages_flushed",
	"flush_completions", "read_completions", "tlb_flushes",	       "tlb_answers",
	"tlb_shootdowns",    "fresh_blocks",	 "advice_calls",
};

static bool parse_name(const char *word, struct term *term)
{
	const char *dot = strchr(word, '.');

	if (dot == NULL || dot[1] == '\0' || strlen(dot + 1) >= NAME_BYTES)
		return false;
	for (uint32_t i = 0; i < NR_FILES; i++) {
		if (strlen(file_names[i]) == (size_t)(dot - word) &&
		    memcmp(file_names[i], word, (size_t)(dot - word)) == 0) {
			term->file = (enum file)i;
			memcpy(term->name, dot + 1, strlen(dot + 1) + 1);
			return true;
		}
	}
	return false;
}

static bool parse_compare(const char *word, struct term *term)
{
	if (strcmp(word, "=") == 0)
		word = "==";
	for (uint32_t i = 0; i < ARRAY_LEN(compare_names); i++) {
		if (strcmp(compare_names[i], word) == 0) {
			term->compare = (enum compare)i;
			return true;
		}
	}
	return false;
}

static bool parse_number(const char *word, struct term *term)
{
	char *end;

	if (word[0] < '0' || word[0] > '9')
		return false;
	errno = 0;
	term->number = strtoull(word, &end, 0);
	return *end == '\0' && errno == 0;
}

static int parse_term(char *const *words, struct term *term, char *message)
{
	if (!parse_name(words[0], term)) {
		snprintf(message, EXPECT_MESSAGE_BYTES,
			 "'%.60s' is not FILE.NAME with FILE vmstat, meminfo or neap", words[0]);
		return -EINVAL;
	}
	if (!parse_compare(words[1], term)) {
		snprintf(message, EXPECT_MESSAGE_BYTES,
			 "'%.60s' is not a comparison: ==, !=, <, <=, > or >=", words[1]);
		return -EINVAL;
	}
	if (!parse_number(words[2], term)) {
		snprintf(message, EXPECT_MESSAGE_BYTES, "'%.60s' is not a whole number", words[2]);
		return -EINVAL;
	}
	return 0;
}

int expect_parse(char *const *words, uint32_t nr_words, struct expect **out, char *message)
{
	struct expect *expect;
	int error = 0;

	if (nr_words % 4 != 3 || nr_words / 4 >= EXPECT_TERMS_MAX) {
		snprintf(message, EXPECT_MESSAGE_BYTES,
			 "write FILE.NAME OP NUMBER, up to %u of them joined by 'and'",
			 EXPECT_TERMS_MAX);
		return -EINVAL;
	}
	expect = calloc(1, sizeof(*expect));
	if (expect == NULL)
		return -ENOMEM;
	for (uint32_t at = 0; at < nr_words && error == 0; at += 4) {
		error = parse_term(words + at, &expect->terms[expect->nr_terms++], message);
		if (error == 0 && at + 3 < nr_words && strcmp(words[at + 3], "and") != 0) {
			snprintf(message, EXPECT_MESSAGE_BYTES, "'%.60s' should be 'and'",
				 words[at + 3]);
			error = -EINVAL;
		}
	}
	if (error != 0) {
		free(expect);
		return error;
	}
	*out = expect;
	return 0;
}

void expect_free(struct expect *expect)
{
	free(expect);
}

/* Finds "NAME VALUE" or "NAME:  VALUE kB" at the beginning of a line. */
static bool find_in_text(const char *text, const char *name, uint64_t *value)
{
	size_t length = strlen(name);

	for (const char *line = text; line != NULL && *line != '\0';) {
		const char *next = strchr(line, '\n');

		if (strncmp(line, name, length) == 0 &&
		    (line[length] == ' ' || line[length] == ':')) {
			*value = strtoull(line + length + 1, NULL, 10);
			return true;
		}
		line = next != NULL ? next + 1 : NULL;
	}
	return false;
}

static bool find_in_gauge(struct neap_machine *machine, const char *name, uint64_t *value)
{
	struct neap_gauge gauge;
	struct neap_stalls stalls;

	neap_gauge(machine, &gauge);
	neap_stalls(machine, &stalls);
	const struct {
		const char *name;
		uint64_t value;
	} values[] = {
		{ "free_pages", gauge.free_pages },
		{ "min_pages", gauge.min_pages },
		{ "low_pages", gauge.low_pages },
		{ "high_pages", gauge.high_pages },
		{ "managed_pages", gauge.managed_pages },
		{ "peak_used_pages", gauge.peak_used_pages },
		{ "kswapd_awake", gauge.kswapd_awake },
		{ "nr_kswapd", gauge.nr_kswapd },
		{ "swap_used_pages", gauge.swap_used_pages },
		{ "swap_total_pages", gauge.swap_total_pages },
		{ "stall_count", stalls.count },
		{ "stall_max_ns", stalls.max_ns },
	};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		if (strcmp(values[i].name, name) == 0) {
			*value = values[i].value;
			return true;
		}
	}
	return false;
}

static bool find_in_neap(struct neap_machine *machine, const struct expect_facts *facts,
			 const char *name, uint64_t *value)
{
	const struct {
		const char *name;
		uint64_t value;
	} values[] = {
		{ "mismatches", facts->mismatches },
		{ "lost_pages", facts->lost_pages },
		{ "failed_accesses", facts->failed_accesses },
		{ "failed_blocks", facts->failed_blocks },
	};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		if (strcmp(values[i].name, name) == 0) {
			*value = values[i].value;
			return true;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(meter_names); i++) {
		if (strcmp(meter_names[i], name) == 0) {
			*value = neap_counter(machine, name);
			return true;
		}
	}
	return find_in_gauge(machine, name, value);
}

/* The texts of the files that the terms ask for; NULL for those not asked for. */
struct texts {
	char *text[NR_FILES];
};

static void texts_free(struct texts *texts)
{
	for (uint32_t i = 0; i < NR_FILES; i++)
		free(texts->text[i]);
}

static int texts_load(const struct expect *expect, struct neap_machine *machine,
		      struct texts *texts)
{
	*texts = (struct texts){ 0 };
	for (uint32_t i = 0; i < expect->nr_terms; i++) {
		enum file file = expect->terms[i].file;
		int64_t bytes;

		if (file == FILE_NEAP || texts->text[file] != NULL)
			continue;
		bytes = neap_proc_text(machine, file_names[file], &texts->text[file]);
		if (bytes < 0) {
			texts->text[file] = NULL;
			texts_free(texts);
			return (int)bytes;
		}
	}
	return 0;
}

static bool term_value(const struct term *term, struct neap_machine *machine,
		       const struct expect_facts *facts, const struct texts *texts, uint64_t *value)
{
	if (term->file == FILE_NEAP)
		return find_in_neap(machine, facts, term->name, value);
	return find_in_text(texts->text[term->file], term->name, value);
}

static bool term_holds(const struct term *term, uint64_t value)
{
	switch (term->compare) {
	case COMPARE_EQ:
		return value == term->number;
	case COMPARE_NE:
		return value != term->number;
	case COMPARE_LT:
		return value < term->number;
	case COMPARE_LE:
		return value <= term->number;
	case COMPARE_GT:
		return value > term->number;
	case COMPARE_GE:
		return value >= term->number;
	}
	return false;
}

int expect_check_names(const struct expect *expect, struct neap_machine *machine, char *message)
{
	static const struct expect_facts no_facts;
	struct texts texts;
	int error = texts_load(expect, machine, &texts);
	uint64_t value;

	if (error != 0)
		return error;
	for (uint32_t i = 0; i < expect->nr_terms && error == 0; i++) {
		const struct term *term = &expect->terms[i];

		if (!term_value(term, machine, &no_facts, &texts, &value)) {
			snprintf(message, EXPECT_MESSAGE_BYTES, "%s has no line '%s'",
				 file_names[term->file], term->name);
			error = -ENOENT;
		}
	}
	texts_free(&texts);
	return error;
}

/* Adds "vmstat.pswpout 0" to what was found; names that no longer fit are left out at the end. */
static void add_found(char *message, const struct term *term, uint64_t value)
{
	size_t used = strlen(message), room = EXPECT_MESSAGE_BYTES - used;
	int length = snprintf(message + used, room, "%s%s.%s %" PRIu64, used > 0 ? ", " : "",
			      file_names[term->file], term->name, value);

	if (length < 0 || (size_t)length >= room)
		message[used] = '\0';
}

int expect_evaluate(const struct expect *expect, struct neap_machine *machine,
		    const struct expect_facts *facts, char *message)
{
	struct texts texts;
	int result = texts_load(expect, machine, &texts);
	uint64_t value = 0;

	if (result != 0)
		return result;
	result = 1;
	message[0] = '\0';
	for (uint32_t i = 0; i < expect->nr_terms && result == 1; i++) {
		const struct term *term = &expect->terms[i];

		if (!term_value(term, machine, facts, &texts, &value)) {
			snprintf(message, EXPECT_MESSAGE_BYTES, "%s has no line '%s'",
				 file_names[term->file], term->name);
			result = -ENOENT;
		} else if (!term_holds(term, value)) {
			snprintf(message, EXPECT_MESSAGE_BYTES,
				 "expected %s.%s %s %" PRIu64 ", but it is %" PRIu64,
				 file_names[term->file], term->name, compare_names[term->compare],
				 term->number, value);
			result = 0;
		} else {
			add_found(message, term, value);
		}
	}
	texts_free(&texts);
	return result;
}
