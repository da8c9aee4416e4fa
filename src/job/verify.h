/*
 * The verifier: knows what every page should hold, and says so when it does not.
 *
 * An *object* is a set of pages that is named together: a region, a file, the
 * anonymous pages of a replayed trace. Both views of one file (mapped and read)
 * use one object. A *task* is one thread's share of the verifier.
 *
 * Functions that take a struct neap_page are called between begin and end of an
 * access: they do not block and call no function of the machine.
 */
#ifndef NEAP_JOB_VERIFY_H
#define NEAP_JOB_VERIFY_H

#include <neap/neap.h>
#include <stdio.h>

#include "base/base.h"
#include "job/job.h"

#define VERIFY_RING 256u
#define VERIFY_TEXT_BYTES 1536u

struct verify;
struct verify_object;

enum verify_kind {
	VERIFY_MEMORY,	  /* anonymous: zero until written */
	VERIFY_FILE,	  /* ours: stamped pages, or zero where nothing was loaded */
	VERIFY_USER_FILE, /* the user's bytes: no stamps, a hash a page */
};

/* Writes into buffer how a page of an object is called: "A page 17", "file 3 page 9". */
typedef void (*verify_describe_fn)(void *arg, uint64_t index, char *buffer, size_t bytes);

struct verify_event {
	uint64_t access; /* number of the access in this run */
	uint64_t index;
	uint32_t object;
	uint32_t version;
	uint32_t frame;
	char what; /* 'r' read, 'w' written, 'f' filled anew */
};

struct verify_task {
	struct verify *verify;
	struct verify_task *next; /* all tasks, for histories */
	uint32_t number;
	uint64_t next_access, last_access; /* this task's block of access numbers */
	uint64_t accesses;		   /* made by this task */
	uint64_t whole_pages;		   /* checked from first to last byte */
	uint32_t ring_at;
	bool pending; /* text describes a wrong page that was not settled yet */
	char text[VERIFY_TEXT_BYTES];
	struct verify_event ring[VERIFY_RING];
};

/* How a write changes a page. */
struct verify_write {
	bool whole;	    /* the old contents do not matter, all of the page is written */
	enum job_fill fill; /* with whole: what the rest of the page is filled with */
};

/* Sums over all tasks. */
struct verify_totals {
	uint64_t accesses;
	uint64_t whole_pages;
	uint64_t mismatches;	  /* wrong pages nobody had reported as lost */
	uint64_t lost_pages;	  /* contents gone, and the machine said so */
	uint64_t failed_accesses; /* accesses that returned an error, lost pages included */
	uint64_t unsure_pages;	  /* not checked at the end, because freed and written at once */
};

/* => NULL when memory is out. tags: pages hold one word */
struct verify *verify_new(bool tags);
void verify_free(struct verify *verify);
/* => a new object, or NULL: memory is out, or there are too many */
struct verify_object *verify_add(struct verify *verify, enum verify_kind kind, uint64_t nr_pages,
				 verify_describe_fn describe, void *arg);
/* => a task with a number of its own; it lives as long as the verifier. NULL: memory is out */
struct verify_task *verify_task_new(struct verify *verify);

/* More than one task works from now on (or no longer). */
void verify_set_concurrent(struct verify *verify, bool concurrent);

/*
 * Checks a page that is being read, or checks and stamps one that is being written.
 * => true: as it should be. false: the page is wrong; end the access, then call verify_settle()
 */
bool verify_read(struct verify_task *t, struct verify_object *o, uint64_t index,
		 const struct neap_page *page);
bool verify_write(struct verify_task *t, struct verify_object *o, uint64_t index,
		  const struct neap_page *page, struct verify_write how);
/* As verify_read(), but always the whole page, and not counted as an access. */
bool verify_sweep(struct verify_task *t, struct verify_object *o, uint64_t index,
		  const struct neap_page *page);
/*
 * Ends the matter of a wrong page. reported: the machine has reported that data of this file were
 * lost, so that this is a loss and no mismatch.
 */
void verify_settle(struct verify_task *t, bool reported);

/*
 * A user's page: bytes is how much of it lies before the end of the file. Between the two calls the
 * page belongs to the caller, who may change it.
 * => _begin: false when the page is wrong (settle after the end, as above); _end must follow anyway
 */
bool verify_user_begin(struct verify_task *t, struct verify_object *o, uint64_t index,
		       const struct neap_page *page, size_t bytes);
void verify_user_end(struct verify_object *o, uint64_t index, const struct neap_page *page,
		     size_t bytes, bool changed);

/*
 * Fills a buffer of one page (or *tag) with a file page's first contents; the page is known then.
 */
void verify_load(struct verify_object *o, uint64_t index, void *data, uint64_t *tag);

/*
 * An access failed with an error of the world (-EIO, -ENOSPC). lost: the caller gives the page up;
 * he gives it back between verify_release_begin() and _end().
 */
void verify_failed(struct verify_task *t, struct verify_object *o, uint64_t index, int error,
		   bool lost);

/*
 * The machine reported that data of this file could not be written. From then on an older version
 * in one of its pages is a loss, not a mismatch.
 */
void verify_set_reported(struct verify_object *o);
bool verify_was_reported(const struct verify_object *o);

/* Around neap_release() of pages: in between, nothing is certain about them. */
void verify_release_begin(struct verify_object *o, uint64_t first, uint64_t nr_pages);
/* done: they were given back and read as zero; else they stay uncertain until written. */
void verify_release_end(struct verify_object *o, uint64_t first, uint64_t nr_pages, bool done);
/*
 * Around neap_advise() with NEAP_LAZYFREE: the pages may read as zero from now on, until they are
 * written after the end.
 */
void verify_lazy_begin(struct verify_object *o);
void verify_lazy_end(struct verify_object *o);

/* => does this page hold something that a sweep should look at? */
bool verify_is_live(const struct verify_object *o, uint64_t index);
uint64_t verify_pages(const struct verify_object *o);

struct verify_totals verify_totals(struct verify *verify);
/* Prints the findings kept so far (the first few of each sort), each line with the prefix. */
void verify_print(struct verify *verify, FILE *out, const char *prefix);

#endif
