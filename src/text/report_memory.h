/*
 * A Mem-Info block as numbers: what its lines say together.
 */
#ifndef NEAP_TEXT_REPORT_MEMORY_H
#define NEAP_TEXT_REPORT_MEMORY_H

#include "core/plan.h"
#include "core/snapshot.h"
#include "text/report_line.h"

#define REPORT_ZONES_MAX (NEAP_MAX_NODES * NEAP_NR_ZONES)

struct report_values {
	uint64_t has; /* bit = enum report_item */
	uint64_t value[NR_REPORT_ITEMS];
};

struct report_node {
	uint32_t id;
	struct report_values kb;
};

struct report_zone {
	uint32_t node;
	enum plan_kind kind;
	struct report_values kb;
	uint32_t nr_reserve;
	uint64_t reserve_pages[NEAP_NR_ZONES]; /* lowmem_reserve[] */
	bool has_blocks;
	uint64_t nr_free[REPORT_ORDERS];
	uint16_t nonempty[NEAP_NR_TYPES]; /* bit = order that has a block of the type */
	uint64_t blocks_kb;
};

struct report_memory {
	bool complete;		    /* the line after which nothing of the block follows was seen */
	uint32_t page_kb;	    /* from the free lists; 4 if there are none */
	struct report_values pages; /* the machine's */
	uint32_t nr_nodes, nr_zones;
	int32_t last_node; /* while reading: for lines that lost their node */
	uint64_t pagecache_pages, swapcache_pages;
	uint64_t swap_free_kb, swap_total_kb;
	uint64_t ram_pages, highmem_pages, reserved_pages, cma_pages, poisoned_pages;
	bool has_swap, has_ram, has_cma;
	/* Last, and undefined beyond the counts: emptying a block must not touch all of it. */
	struct report_node node[NEAP_MAX_NODES];
	struct report_zone zone[REPORT_ZONES_MAX];
};

/* An empty block. */
void report_memory_init(struct report_memory *memory);
/* Enters what a line says. Lines of other kinds change nothing. => whether it was of the block */
bool report_memory_take(struct report_memory *memory, const struct report_line *line);

/* => the value, or 0 if the block does not say it */
uint64_t report_values_get(const struct report_values *values, enum report_item item);
bool report_values_has(const struct report_values *values, enum report_item item);

/*
 * The zone kinds that lowmem_reserve's columns stand for: those the kernel was built with, by
 * their number and the zones that are listed.
 * => how many, at most NEAP_NR_ZONES
 */
uint32_t report_memory_columns(const struct report_memory *memory,
			       enum plan_kind kind[NEAP_NR_ZONES]);
/* => the kind of that name; NR_PLAN_KINDS if there is none */
enum plan_kind report_zone_kind(const struct logline_slice *name);
const char *report_kind_name(enum plan_kind kind);

/* ---- writing ---- */

/* What the request that a report is about may use: the block shows only that. */
struct report_filter {
	uint64_t nodes; /* bit = node id */
	uint32_t limit; /* highest zone index */
	uint32_t cpu;	/* whose list "local_pcp" is */
	bool giant;	/* the processor maps 1 GiB at once, so there are pools of that size */
};

/*
 * Appends the Mem-Info block of a machine as Linux 6.1 prints it, one line each, without prefix.
 * => 0 or the buffer's error
 */
int report_memory_write(const struct snapshot *snapshot, const struct report_filter *filter,
			struct text_buf *out);

/* A request that failed. */
struct report_request {
	const char *comm;
	uint32_t gfp, order;
	uint32_t pid;
	const uint64_t *nodemask; /* NULL: all */
	uint64_t mems;		  /* nodes that the task's memory may come from; 0: all */
	const char *kernel;	  /* "neap 0.1.0" */
};

/* The same below the lines of an allocation failure. There is no kernel stack to show. */
int report_failure_write(const struct snapshot *snapshot, const struct report_request *request,
			 const struct report_filter *filter, struct text_buf *out);

/* ---- whole texts ---- */

struct report_counts {
	uint32_t nr_lines;
	uint32_t nr_unknown; /* not a line of a report */
	uint32_t nr_odd;     /* understood, but not printed back as it stood */
};

/*
 * Reads a kernel log line by line and appends what is printed from the parsed lines, with their
 * prefixes; lines that are odd or unknown are copied, so the bytes are those of the input.
 * => 0; -ENOMEM
 */
int report_reprint(const char *text, size_t bytes, struct text_buf *out,
		   struct report_counts *counts);

#endif
