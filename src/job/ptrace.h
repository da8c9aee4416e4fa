/*
 * Reading page-reference traces (format PTRACE1, plain or xz).
 */
#ifndef NEAP_JOB_PTRACE_H
#define NEAP_JOB_PTRACE_H

#include "base/base.h"

#define PTRACE_MESSAGE_BYTES 384u
#define PTRACE_NAME_BYTES 49u

enum ptrace_op {
	PTRACE_R,    /* data read */
	PTRACE_W,    /* data write */
	PTRACE_X,    /* instruction fetch */
	PTRACE_PR,   /* page read by a read-type system call */
	PTRACE_PW,   /* page written by a write-type system call */
	PTRACE_FREE, /* a run of anonymous pages given back */
	NR_PTRACE_OPS,
};

enum ptrace_kind {
	PTRACE_ANON,
	PTRACE_FILE,
	PTRACE_CODE, /* a file page first touched by an instruction fetch */
	NR_PTRACE_KINDS,
};

struct ptrace;
struct ptrace_cursor;

struct ptrace_info {
	char name[PTRACE_NAME_BYTES]; /* printable, terminated */
	uint64_t records, pages, instructions, window_pages, peak_pages;
	uint64_t ticks; /* sum over all records, in units of 256 instructions */
	uint64_t op_records[NR_PTRACE_OPS];
	uint64_t kind_pages[NR_PTRACE_KINDS];
	uint32_t nr_files; /* highest file number + 1 */
};

/* What is known of one page id. */
struct ptrace_page {
	enum ptrace_kind kind;
	bool written_first;  /* its first reference is a PW: its old contents do not matter */
	uint32_t file;	     /* kinds FILE and CODE */
	uint64_t where;	     /* virtual page number, or page offset in the file */
	uint32_t freed_when; /* number of ids that existed when it was freed; UINT32_MAX = never */
};

struct ptrace_record {
	uint64_t ticks; /* since the previous record */
	uint32_t id;
	uint32_t count; /* FREE: number of ids in the run */
	enum ptrace_op op;
	bool fresh; /* first reference to this id */
};

/*
 * Opens a trace: decompresses it into an unlinked file in tmp_dir and checks every record of it.
 * => 0 and *out; -EINVAL: the trace is damaged, -ENOTSUP: this build has no xz; other negative
 * errno: the world failed. message (PTRACE_MESSAGE_BYTES) has file, offset in the decoded stream
 * and reason
 */
int ptrace_open(const char *path, const char *tmp_dir, struct ptrace **out, char *message);
/* NULL is fine. No cursor may be left. */
void ptrace_close(struct ptrace *trace);

const struct ptrace_info *ptrace_info(const struct ptrace *trace);
struct ptrace_page ptrace_page(const struct ptrace *trace, uint32_t id);

/* A cursor reads all records in order; several may exist. => NULL when memory is out */
struct ptrace_cursor *ptrace_cursor_new(const struct ptrace *trace);
void ptrace_cursor_free(struct ptrace_cursor *cursor);
/* => 1 and *record, 0 at the end, negative errno if the spool file cannot be read */
int ptrace_next(struct ptrace_cursor *cursor, struct ptrace_record *record);

#endif
