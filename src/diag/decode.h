/*
 * Memory reports in a kernel log: found, put together, and judged by their own numbers.
 */
#ifndef NEAP_DIAG_DECODE_H
#define NEAP_DIAG_DECODE_H

#include "core/watermark.h"
#include "text/gfp.h"
#include "text/report_memory.h"

enum decode_kind {
	DECODE_FAILURE, /* an allocation failed */
	DECODE_STALL,	/* an allocation took very long (4.9 to 4.14) */
	DECODE_OOM,	/* the OOM killer, for the machine or a part of it */
	DECODE_GROUP,	/* the OOM killer, for a memory group at its limit */
	DECODE_MEMORY,	/* a Mem-Info block that somebody asked for */
	DECODE_SLUB,	/* the slab allocator got no page */
	DECODE_HUNG,	/* a kernel thread of reclaim or compaction makes no progress */
	NR_DECODE_KINDS,
};

#define DECODE_COMM_BYTES 32u
#define DECODE_FRAMES 24u

struct decode_task {
	char comm[DECODE_COMM_BYTES];
	uint32_t pid;
	uint64_t rss_pages, swap_pages, table_bytes;
	int64_t adj;
};

/* What an OOM report says beside its Mem-Info. */
struct decode_oom {
	char constraint[32]; /* "CONSTRAINT_MEMCG"; "" before 4.19 */
	char group[128];     /* whose limit, if a group's */
	bool has_victim, has_usage, has_swap_usage;
	struct decode_task victim;
	uint64_t victim_anon_kb, victim_file_kb, victim_shmem_kb;
	uint64_t usage_kb, limit_kb, failcnt;
	uint64_t swap_usage_kb, swap_limit_kb;
	uint64_t anon_bytes, file_bytes, shmem_bytes, kernel_bytes, slab_bytes; /* group's stats */
	uint32_t nr_tasks;
	struct decode_task largest; /* of the table: by memory and swap */
	bool nobody;		    /* no killable process */
	bool group_kill;	    /* memory.oom.group: all tasks of the group were killed */
};

/* One report as its lines tell it. */
struct decode_report {
	enum decode_kind kind;
	uint64_t line; /* of the log, where it begins: 1.. */
	char when[40]; /* as the log writes it; "" if it does not */
	char comm[DECODE_COMM_BYTES];
	uint32_t pid;
	char kernel[64];
	uint32_t order;
	bool has_flags;		    /* gfp is understood */
	uint32_t gfp;		    /* with 6.1's bits, whatever the kernel's are */
	uint32_t gfp_raw;	    /* as the log has it */
	char flags[GFP_TEXT_BYTES]; /* the words of the log; ours if it has none */
	char unknown[64]; /* words that are not understood, of kernels that had more flags */
	char nodemask[64];
	char cache[40]; /* DECODE_SLUB */
	uint64_t value; /* seconds hung, ms stalled */
	bool spins;	/* DECODE_HUNG: it runs and does not come back, instead of waiting */
	bool interrupt; /* an interrupt asked: the task below it has no part in it */
	uint32_t nr_frames;
	char frame[DECODE_FRAMES][48]; /* certain ones only, no "?" */
	struct decode_oom oom;
	bool has_memory; /* a Mem-Info block was there */
	struct report_memory memory;
};

struct decode;

/* Called for each complete report; it is valid only during the call. => 0, or -ENOMEM: stop */
typedef int (*decode_done)(void *arg, const struct decode_report *report);

/* => NULL when memory is out */
struct decode *decode_new(decode_done done, void *arg);
/* One line of the log, without its newline; "#012" in it begins another. => 0 or done's error */
int decode_line(struct decode *decode, const char *line, uint32_t bytes);
/* The log is over. => 0 or done's error */
int decode_end(struct decode *decode);
void decode_free(struct decode *decode);
/* Lines read, reports that the kernel says it has left out. */
uint64_t decode_lines(const struct decode *decode);
uint64_t decode_suppressed(const struct decode *decode);

/*
 * Flags in the words of any kernel, or its number alone (before 4.6).
 * => whether all of them are understood; else report->unknown names the rest
 */
bool decode_flags(struct decode_report *report, const struct logline_slice *words, uint64_t raw);

/* ---- the judgement ---- */

enum decode_answer {
	DECODE_ABOVE,  /* the request may not use this zone */
	DECODE_AMOUNT, /* too few pages above the mark */
	DECODE_ORDER,  /* pages enough, but no block of the order */
	DECODE_TYPE,   /* blocks of the order are there, of a type it may not take */
	DECODE_PASSES, /* by these numbers it would succeed */
	DECODE_UNSURE, /* the free lists are missing */
	NR_DECODE_ANSWERS,
};

enum decode_cause {
	CAUSE_UNKNOWN, /* no Mem-Info, or flags that are not understood */
	CAUSE_NO_ZONE, /* no zone listed may serve it */
	CAUSE_AMOUNT,
	CAUSE_ORDER,
	CAUSE_TYPE,
	CAUSE_PASSES, /* memory was freed between the failure and the report */
	CAUSE_LIMIT,  /* a group's limit, not the machine's memory */
	CAUSE_SHOWN,  /* nothing failed */
	CAUSE_HANGS,
	NR_DECODE_CAUSES,
};

#define DECODE_ZONES 16u

struct decode_zone {
	struct report_zone zone;
	enum decode_answer answer;
	struct watermark_query query;
	struct watermark_terms terms;
	uint64_t unboosted; /* mark of a second test without the boost; UINT64_MAX: there is none */
	uint16_t refused;   /* bit = migrate type with blocks of the order that it may not take */
	uint64_t blocks;    /* of the order and above */
	bool high_ok;	    /* more is free than the high mark: kswapd may rest */
};

struct decode_verdict {
	enum decode_cause cause;
	bool reclaiming; /* the task was reclaiming itself: no mark binds it */
	uint32_t limit;	 /* column of lowmem_reserve[]; NEAP_NR_ZONES: unknown */
	uint32_t alloc_flags;
	uint32_t nr_zones, nr_more; /* kept; eligible ones beyond these */
	struct decode_zone zone[DECODE_ZONES];
	uint64_t shown_free_pages, all_free_pages; /* in the listed zones, in the machine */
};

/* Runs the engine's mark test on each zone of the report. */
void decode_judge(const struct decode_report *report, struct decode_verdict *verdict);

/* Where memory was, from a Mem-Info block of the whole machine. Pages. */
struct decode_use {
	const char *name;
	uint64_t pages;
};

#define DECODE_USES 12u

/* => how many rows; the last is the rest that no line names; 0 if the block is incomplete */
uint32_t decode_usage(const struct report_memory *memory, struct decode_use rows[DECODE_USES],
		      uint64_t *total_pages);

/* => "failure", "oom" ...: keys of the JSON document */
const char *decode_kind_word(enum decode_kind kind);
const char *decode_cause_word(enum decode_cause cause);
const char *decode_answer_word(enum decode_answer answer);

#endif
