/*
 * One access of a job to one page: begin, verify, end, and what to do about errors.
 */
#ifndef NEAP_JOB_ACCESS_H
#define NEAP_JOB_ACCESS_H

#include <neap/neap.h>

#include "base/base.h"
#include "job/verify.h"

/* Something with pages that a job accesses. */
struct access_target {
	struct neap_region *region; /* mapped memory; NULL: through read- and write-type calls */
	struct neap_file *file;	    /* the file behind it; NULL for anonymous memory */
	struct verify_object *object;
	uint64_t user_bytes; /* a user's file: its length; else 0 */
};

enum access_kind {
	ACCESS_READ,
	ACCESS_WRITE,
	ACCESS_EXEC,	  /* an instruction fetch; region only */
	ACCESS_OVERWRITE, /* the whole page is written */
};

struct access {
	enum access_kind kind;
	uint64_t page;	    /* in the region or file */
	uint64_t index;	    /* in the verifier's object */
	uint64_t nth;	    /* number of the access within its command: what a user's page gets */
	enum job_fill fill; /* ACCESS_OVERWRITE: the page's new contents */
};

/*
 * Performs one access. => may block
 * => 0, also when the world failed it (-EIO, -ENOSPC): that is counted by the verifier
 * => another negative errno: the machine cannot go on like this (-ENOMEM, -ENOTSUP...)
 */
int access_perform(struct verify_task *t, const struct access_target *target,
		   const struct access *access);

/* Checks the whole page, for the sweep at the end. Results as above. */
int access_sweep(struct verify_task *t, const struct access_target *target,
		 const struct access *access);

#endif
