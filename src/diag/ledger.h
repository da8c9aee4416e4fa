/*
 * Where a machine's memory is: every page once, and what nobody accounts for.
 */
#ifndef NEAP_DIAG_LEDGER_H
#define NEAP_DIAG_LEDGER_H

#include "diag/evidence.h"
#include "diag/paint.h"

/* Rows of the tree, in its order. A part is of the row above it that has the next lower depth. */
enum ledger_row {
	LEDGER_FREE,
	LEDGER_FREE_ANY,
	LEDGER_FREE_CMA,
	LEDGER_PCP,
	LEDGER_ANON,
	LEDGER_ANON_HUGE,
	LEDGER_CACHE,
	LEDGER_CACHE_FILES,
	LEDGER_CACHE_SHMEM,
	LEDGER_BUFFERS,
	LEDGER_SWAPCACHE,
	LEDGER_SLAB,
	LEDGER_SLAB_RECLAIMABLE,
	LEDGER_SLAB_FIXED,
	LEDGER_MISC,
	LEDGER_TABLES,
	LEDGER_SEC_TABLES,
	LEDGER_VMALLOC,
	LEDGER_STACKS,
	LEDGER_PERCPU,
	LEDGER_HUGETLB,
	LEDGER_HUGETLB_FREE,
	LEDGER_COMPRESSED,
	LEDGER_WRITEBACK,
	LEDGER_BALLOON,
	NR_LEDGER_ROWS,
};

struct ledger_entry {
	bool known; /* the files say it */
	uint64_t kb;
	uint64_t least_kb; /* counted with this little in the upper bound of the rest */
};

#define LEDGER_CHECKS 12u
#define LEDGER_NODES 16u

/* A rule of the file that is broken: the numbers cannot all stand under their labels. */
struct ledger_check {
	char text[240];
};

struct ledger_node {
	uint32_t id;
	uint64_t managed_kb, free_kb, free_cma_kb, pcp_kb, anon_kb, file_kb, shmem_kb;
	uint64_t slab_reclaimable_kb, slab_fixed_kb, tables_kb, stacks_kb, huge_kb;
	int64_t rest_kb;
};

struct ledger {
	uint64_t total_kb;
	struct ledger_entry row[NR_LEDGER_ROWS];
	int64_t rest_low_kb, rest_high_kb; /* what no row names, as a range */
	uint64_t drift_kb;		   /* by which counters may lag, all rows together */
	bool stacks_inside;		   /* of VmallocUsed */
	bool has_cma;
	uint64_t cma_total_kb, cma_free_kb;
	uint64_t swap_total_kb, swap_free_kb;
	uint64_t file_lru_kb; /* pages that can be dropped or written back */
	uint32_t nr_checks;
	struct ledger_check check[LEDGER_CHECKS];
	uint32_t nr_nodes, nr_more_nodes;
	struct ledger_node node[LEDGER_NODES];
};

/* => false if there is no meminfo with a MemTotal */
bool ledger_make(const struct evidence *evidence, struct ledger *ledger);

/* How much the rest grew from one reading to the next, at least and at most. May be negative. */
struct ledger_growth {
	int64_t least_kb, most_kb;
	bool certain; /* it grew by more than the numbers may be off, and more than any row */
};

struct ledger_growth ledger_compare(const struct ledger *before, const struct ledger *after);

/* ---- text, at most 80 columns ---- */

/* before: NULL, or the first of two readings: a column of changes. */
void ledger_add_text(struct text_buf *out, const struct ledger *ledger, const struct ledger *before,
		     const struct paint *paint);
/* The first line: a broken rule, a rest that grows, or that nothing is wrong. No newline. */
void ledger_verdict_add(struct text_buf *out, const struct ledger *ledger,
			const struct ledger *before);
/* => "free", "tmpfs and shared memory" ... */
const char *ledger_row_name(enum ledger_row row);
/* => "MemFree", "Cached - Shmem": where the number comes from */
const char *ledger_row_source(enum ledger_row row);
/* => 0 for rows that count, 1 for parts of them */
uint32_t ledger_row_depth(enum ledger_row row);
/* => "free", "cache_shmem" ...: key of the JSON document */
const char *ledger_row_key(enum ledger_row row);

#endif
