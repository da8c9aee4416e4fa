/*
 * Checking a directory tree of saved machines: every file of ours is printed back, and
 * every snapshot directory survives the way through a snapshot.
 */
#ifndef NEAP_TEST_TEXT_CORPUS_H
#define NEAP_TEST_TEXT_CORPUS_H

#include "base/base.h"

#define CORPUS_TYPES_MAX 64u

/* How often what was found. */
struct corpus_type {
	char name[40]; /* "vmstat", "nodeN meminfo" */
	uint32_t files;
	uint32_t odd, unknown; /* lines of another form or name than 6.1's */
	uint32_t same;	       /* files that came out of the directory's snapshot unchanged */
	uint32_t other;	       /* files that did not */
};

struct corpus {
	bool is_61; /* a line of another form is a failure */
	uint32_t nr_types;
	struct corpus_type type[CORPUS_TYPES_MAX];
	uint32_t nr_dirs;     /* snapshot directories */
	uint32_t nr_settings; /* single files of sys/vm */
	uint32_t nr_not_ours;
};

/*
 * Checks all files below a directory. Fails the test with a message that names the file if one
 * is not printed back byte for byte, is not understood, or does not survive the snapshot though
 * no other file was read between (zoneinfo, buddyinfo ..., but not those computed from them).
 */
void corpus_check(struct corpus *corpus, const char *root);

/* The counts of a file type ("vmstat", "nodeN vmstat"); zeroes if none was found. */
struct corpus_type corpus_find(const struct corpus *corpus, const char *name);

/* Prints a table of what was checked. */
void corpus_print(const struct corpus *corpus);

/* Unpacks an .tar.xz archive into a directory. => 0, or the shell's status */
int corpus_unpack(const char *archive, const char *dir);

/* Removes a directory and all below it. */
void corpus_remove(const char *dir);

#endif
