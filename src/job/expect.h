/*
 * `expect`: conditions on counters, which make a job a test.
 */
#ifndef NEAP_JOB_EXPECT_H
#define NEAP_JOB_EXPECT_H

#include <neap/neap.h>

#include "base/base.h"

#define EXPECT_MESSAGE_BYTES 256u

struct expect;

/* What `neap.NAME` may ask for beside the machine's own counters. */
struct expect_facts {
	uint64_t mismatches;
	uint64_t lost_pages;
	uint64_t failed_accesses;
	uint64_t failed_blocks;
};

/*
 * Parses the words after `expect`: FILE.NAME OP NUMBER [and ...].
 * => 0 and *out, or -EINVAL and a sentence in message (EXPECT_MESSAGE_BYTES), or -ENOMEM
 */
int expect_parse(char *const *words, uint32_t nr_words, struct expect **out, char *message);
void expect_free(struct expect *expect);

/*
 * Are all names known to this machine?
 * => 0, or -ENOENT and a sentence; negative errno if the machine cannot be asked
 */
int expect_check_names(const struct expect *expect, struct neap_machine *machine, char *message);

/*
 * => 1 true with the values found, 0 false with a sentence giving the first term that does not
 *    hold and the value found, or a negative errno
 */
int expect_evaluate(const struct expect *expect, struct neap_machine *machine,
		    const struct expect_facts *facts, char *message);

#endif
