/*
 * Checking recorded kernel log texts of memory reports, with the /proc files of the moment.
 */
#ifndef NEAP_TEST_REPORT_CORPUS_H
#define NEAP_TEST_REPORT_CORPUS_H

#include "base/base.h"
#include "core/snapshot.h"
#include "text/report_memory.h"

struct report_corpus {
	uint32_t texts, lines;
	uint32_t failures, ooms, blocks; /* heads of reports, Mem-Info blocks */
	uint32_t written;		 /* SysRq-m blocks written from the state */
	uint32_t values, equal;		 /* of them: numbers; those that are the text's */
	uint32_t moved;			 /* not equal, and the state itself changed meanwhile */
	uint32_t undetermined;		 /* not in the state */
};

/* Unpacks the recorded texts that the repository ships. => the directory's name, to be removed */
const char *report_corpus_unpack(void);
/* Reads a whole file; fails the test if it cannot. Free the text. */
char *report_corpus_read(const char *path, size_t *bytes);
/* Every text below DIR/MACHINE/LABEL.txt is printed back; SysRq-m is written from the state. */
void report_corpus_check(struct report_corpus *corpus, const char *root);
/* The state of a moment: DIR/FILE + suffix, zoneinfo and buddyinfo; the rest as there is. */
struct snapshot *report_corpus_state(const char *dir, const char *suffix);

#endif
