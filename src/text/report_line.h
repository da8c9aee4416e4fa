/*
 * One line of what a kernel says when memory is short: read and printed.
 *
 * The lines are those of allocation failures, Mem-Info blocks (SysRq-m), OOM reports and hung
 * threads (spec 02, section 8; spec 14, part D), as Linux 6.1 prints them, and the forms of other
 * kernels from 3.10 to 6.18 where they differ. A line that was read is printed back from its
 * numbers and words; nothing points to a fixed form of text.
 */
#ifndef NEAP_TEXT_REPORT_LINE_H
#define NEAP_TEXT_REPORT_LINE_H

#include "base/base.h"
#include "text/buf.h"
#include "text/logline.h"

/* In brackets: number[] / word[] of the kinds that have any, in their order. */
enum report_kind {
	REPORT_OTHER,	   /* not a line of these reports */
	REPORT_FAILURE,	   /* order, gfp / comm, flags, nodemask, cpuset, mems_allowed */
	REPORT_STALL,	   /* ms, order, gfp / comm, flags, nodemask ... (4.9 to 4.14) */
	REPORT_VMALLOC,	   /* bytes, gfp / comm, what failed, flags, nodemask ... */
	REPORT_SUPPRESSED, /* times / who */
	REPORT_CPU,	   /* cpu, [uid,] pid / comm, taint and kernel */
	REPORT_HARDWARE,   /* - / name */
	REPORT_TRACE,	   /* "Call Trace:" */
	REPORT_TRACE_MARK, /* " <TASK>" / its word */
	REPORT_FRAME,	   /* offset, size / symbol [, module]; value "?" in word[2] */
	REPORT_REGISTERS,  /* - / name, contents */
	REPORT_MEMINFO,	   /* "Mem-Info:" */
	REPORT_GLOBAL,	   /* values */
	REPORT_NODE,	   /* values; node */
	REPORT_ZONE,	   /* values; node, word[0] = zone */
	REPORT_RESERVE,	   /* lowmem_reserve[]: one value a zone */
	REPORT_BLOCKS,	   /* values = blocks, total kB last; node, word[0] = zone */
	REPORT_HUGE,	   /* node, total, free, surplus, size kB */
	REPORT_PAGECACHE,  /* pages */
	REPORT_SWAPCACHE,  /* pages */
	REPORT_SWAP_STATS, /* add, delete, find, of */
	REPORT_SWAP_FREE,  /* kB */
	REPORT_SWAP_TOTAL, /* kB */
	REPORT_RAM,	   /* pages */
	REPORT_HIGHMEM,	   /* pages */
	REPORT_RESERVED,   /* pages */
	REPORT_CMA_PAGES,  /* pages */
	REPORT_POISONED,   /* pages */
	REPORT_SYSRQ,	   /* "sysrq: Show Memory" */
	REPORT_SLUB,	   /* node, gfp / flags */
	REPORT_SLUB_CACHE, /* object, buffer, order, min order / cache */
	REPORT_SLUB_NODE,  /* node, slabs, objects, free */
	REPORT_OOM,	   /* gfp, order, adj / comm, flags [, nodemask] */
	REPORT_OOM_CPUSET, /* - / comm, cpuset, mems_allowed */
	REPORT_OOM_IN,	   /* - / group of the task, group of the limit (4.x) */
	REPORT_USAGE,	   /* usage kB, limit kB, failcnt / what */
	REPORT_STATS,	   /* "Memory cgroup stats for X:" / group [, the rest] */
	REPORT_STAT,	   /* value / name */
	REPORT_SLABS,	   /* head of the list of unreclaimable slabs */
	REPORT_SLAB,	   /* used kB, total kB / cache */
	REPORT_TASKS,	   /* "Tasks state ..." */
	REPORT_TASK_HEAD,  /* titles of the columns / titles */
	REPORT_TASK,	   /* a row: numbers, oom_score_adj last / name */
	REPORT_CONSTRAINT, /* pid, uid / constraint, nodes, cpuset, mems, [domain,] group, task */
	REPORT_KILLED,	   /* pid, total, anon, file, shmem kB ... / message, comm */
	REPORT_SACRIFICE,  /* pid, score / message, comm (before 5.1) */
	REPORT_REAPED,	   /* pid, anon, file, shmem kB / comm */
	REPORT_GROUP_KILL, /* - / group */
	REPORT_NO_VICTIM,  /* nobody could be killed */
	REPORT_HUNG,	   /* pid, seconds / comm */
	REPORT_HUNG_HINT,  /* the line that says how to switch the message off */
	REPORT_TAINT,	   /* - / taint and kernel */
	REPORT_TASK_STATE, /* - / comm, state */
	REPORT_LOCKUP,	   /* cpu, seconds, pid / who says so, comm */
	REPORT_RCU,	   /* - / the rest */
	NR_REPORT_KINDS,
};

/* What a value of Mem-Info's lines counts. Pages in REPORT_GLOBAL, else kB. */
enum report_item {
	RI_ACTIVE_ANON,
	RI_INACTIVE_ANON,
	RI_ISOLATED_ANON,
	RI_ACTIVE_FILE,
	RI_INACTIVE_FILE,
	RI_ISOLATED_FILE,
	RI_UNEVICTABLE,
	RI_DIRTY,
	RI_WRITEBACK,
	RI_UNSTABLE,
	RI_SLAB_RECLAIMABLE,
	RI_SLAB_UNRECLAIMABLE,
	RI_MAPPED,
	RI_SHMEM,
	RI_PAGETABLES,
	RI_SEC_PAGETABLES,
	RI_BOUNCE,
	RI_KERNEL_MISC,
	RI_FREE,
	RI_FREE_PCP,
	RI_FREE_CMA,
	RI_SHMEM_THP,
	RI_SHMEM_PMDMAPPED,
	RI_ANON_THP,
	RI_WRITEBACK_TMP,
	RI_KERNEL_STACK,
	RI_SHADOW_STACK,
	RI_UNRECLAIMABLE, /* 1 = yes */
	RI_BOOST,
	RI_MIN,
	RI_LOW,
	RI_HIGH,
	RI_PROMO,
	RI_HIGHATOMIC,
	RI_FREE_HIGHATOMIC,
	RI_WRITEPENDING,
	RI_PRESENT,
	RI_MANAGED,
	RI_MLOCKED,
	RI_LOCAL_PCP,
	RI_PAGES_SCANNED,
	RI_ZSPAGES,
	RI_BALLOON,
	RI_GPU_ACTIVE,
	RI_GPU_RECLAIM,
	NR_REPORT_ITEMS,
	RI_OTHER = NR_REPORT_ITEMS, /* a name that this version does not know */
};

#define REPORT_WORDS 8u
#define REPORT_NUMBERS 12u
#define REPORT_VALUES 40u
#define REPORT_ORDERS 16u

enum report_unit {
	REPORT_UNIT_NONE,
	REPORT_UNIT_SMALL, /* kB */
	REPORT_UNIT_LARGE, /* KB: the same amount, as Linux spells it for the reserve */
};

struct report_value {
	uint16_t item;	    /* enum report_item; of REPORT_BLOCKS: letters, bit = migrate type */
	uint8_t unit;	    /* enum report_unit */
	uint8_t size_shift; /* of REPORT_BLOCKS: kB of a block as a power of two */
	uint64_t value;
	struct logline_slice name; /* of RI_OTHER */
};

struct report_line {
	enum report_kind kind;
	uint8_t form; /* which of the kind's forms */
	bool known;   /* 6.1 has lines of this form */
	int32_t node; /* -1: names none */
	uint32_t nr_numbers, nr_words, nr_values;
	uint64_t number[REPORT_NUMBERS]; /* signed ones as two's complement */
	struct logline_slice word[REPORT_WORDS];
	struct report_value value[REPORT_VALUES];
};

/* What the meaning of a line depends on: the line before it. Zeroed at the beginning of a log. */
struct report_context {
	enum report_kind last;
	uint8_t task_form; /* of the table of tasks that is being read */
};

/*
 * Reads the kernel's text of one line. Slices of *out point into it.
 * => out->kind REPORT_OTHER if it is none of these lines; fields beyond the counts are undefined
 */
void report_line_read(const struct logline_slice *text, struct report_context *context,
		      struct report_line *out);
/*
 * Whether the line could begin a report: a quick look, for logs that are mostly about other
 * things. May say yes to other lines, never no to a first line of a report.
 */
bool report_line_begins(const struct logline_slice *text);

/* Appends the line as its kernel printed it, without newline. => 0 or the buffer's error */
int report_line_print(const struct report_line *line, struct text_buf *out);

/* => "active_anon", "free_pcp": the label in the text, without colon */
const char *report_item_name(enum report_item item);
/* => the letter of a migrate type in lists of free blocks: U M E H C I */
char report_type_letter(uint32_t type);

/* ---- making lines ---- */

void report_line_init(struct report_line *line, enum report_kind kind, int32_t node);
/* A word; the text must outlive the line. */
void report_line_word(struct report_line *line, const char *text);
void report_line_number(struct report_line *line, uint64_t number);
void report_line_value(struct report_line *line, enum report_item item, uint64_t value);

#endif
