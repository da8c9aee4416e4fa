/*
 * Recorded decisions of a kernel's allocator: states of every free list and per-CPU list, and the
 * operations performed between two of them. Linux has no such file; a test module inside the
 * recorded kernel wrote it.
 */
#ifndef NEAP_TEXT_PROBE_H
#define NEAP_TEXT_PROBE_H

#include "core/snapshot.h"
#include "text/doc.h"

#define PROBE_LABEL_BYTES 64u
#define PROBE_LISTS_PCP 14u  /* per-CPU lists: 3 * order + type, then the two of order 9 */
#define PROBE_EVENTS_MAX 10u /* events kept of one operation; later ones were not recorded */
#define PROBE_NO_CPU UINT16_MAX
#define PROBE_NO_TYPE UINT8_MAX /* a pageblock that has no type: no memory there */

/* Part of one of the arrays of struct probe. */
struct probe_range {
	uint32_t first;
	uint32_t nr;
};

struct probe_place {
	uint8_t node;
	uint8_t zone; /* enum zone_type */
};

struct probe_node {
	uint32_t id;
	uint32_t failures;	   /* of kswapd */
	uint32_t order;		   /* that kswapd is asked for */
	uint32_t highest;	   /* zone index asked for; NEAP_NR_ZONES = no request */
	bool waiting;		   /* kswapd sleeps */
	struct probe_range places; /* the fallback order */
};

struct probe_zone {
	struct probe_place place;
	uint32_t start_pfn, spanned, present, managed;
	uint64_t mark[4]; /* min, low, high, promo, without boost; pages */
	uint64_t boost, highatomic, drift_mark;
	int64_t free;  /* the global counter */
	int64_t exact; /* with the differences of all CPUs */
	uint64_t reserve[NEAP_NR_ZONES];
	uint32_t flags; /* 1 boosted, 2 reclaim active */
};

/* nr pageblocks of one type from pageblock-aligned pfn on. */
struct probe_run {
	struct probe_place place;
	uint8_t type; /* enum migrate_type or PROBE_NO_TYPE */
	uint32_t pfn;
	uint32_t nr;
};

/* A free list (cpu is PROBE_NO_CPU) or a list of one CPU. */
struct probe_list {
	struct probe_place place;
	uint16_t cpu;
	uint8_t index; /* order of a free list; number of a per-CPU list */
	uint8_t type;  /* of a free list */
	struct probe_range pfns;
};

struct probe_pcp {
	struct probe_place place;
	uint16_t cpu;
	uint32_t count, high, batch, free_factor, expire;
	int32_t diff; /* of the free counter */
	int32_t threshold;
};

struct probe_state {
	char label[PROBE_LABEL_BYTES];
	uint32_t line;
	struct probe_range nodes, zones, runs, lists, pcps;
};

/* A zone's free pages after an operation, or at a failure. */
struct probe_column {
	struct probe_place place;
	int64_t free;
	int64_t exact;
	uint64_t highatomic;
};

enum probe_event_kind {
	PROBE_STEAL, /* a block was taken from another type's list */
	PROBE_WAKE,  /* kswapd was woken */
};

struct probe_event {
	uint32_t line;
	uint8_t kind;	/* enum probe_event_kind */
	uint8_t order;	/* asked for */
	uint8_t found;	/* steal: order of the block */
	uint8_t type;	/* steal: asked for */
	uint8_t other;	/* steal: the block's */
	uint8_t change; /* steal: 1 if the pageblock has the asked type now */
	uint8_t node;	/* wake */
	uint8_t zone;	/* wake: highest zone index of the request */
	uint32_t pfn;	/* steal */
};

struct probe_op {
	uint32_t line;
	char kind; /* a allocate, p with the task's policy, f free, t until failure */
	uint16_t cpu;
	uint32_t slot, order, gfp, node;
	uint32_t pfn;		  /* the result: frame, or 0; for t the last one */
	struct probe_place place; /* of pfn, if not 0 */
	uint64_t count, hash;	  /* t: blocks got, and a hash of their frames in order */
	struct probe_range columns, events;
};

enum probe_item_kind {
	PROBE_STATE, /* first: index of the state */
	PROBE_BURST, /* first, nr: its operations */
	PROBE_ALONE, /* first: one operation outside a burst */
	PROBE_NOTE,  /* first: index of a line of text, without "# " */
};

/* What the file has, in its order. */
struct probe_item {
	uint8_t kind; /* enum probe_item_kind */
	uint32_t line;
	uint32_t first, nr;
	char label[PROBE_LABEL_BYTES]; /* of a burst */
};

/* All of it. Ranges refer to these arrays. */
struct probe {
	struct probe_item *items;
	struct probe_state *states;
	struct probe_node *nodes;
	struct probe_place *places;
	struct probe_zone *zones;
	struct probe_run *runs;
	struct probe_list *lists;
	struct probe_pcp *pcps;
	uint32_t *pfns;
	struct probe_op *ops;
	struct probe_column *columns;
	struct probe_event *events;
	const char **notes;
	uint32_t nr_items, nr_states, nr_nodes, nr_places, nr_zones, nr_runs, nr_lists, nr_pcps,
		nr_pfns, nr_ops, nr_columns, nr_events, nr_notes;
	char *text; /* what notes point into */
};

/*
 * Parses a whole recording. The text need not be terminated.
 * => 0 and *out, to be freed with probe_free(); -EINVAL with *err filled, -EFBIG, -ENOMEM: *out is
 *    empty then
 * => every number fits its field, and every node, zone, type, order and list index exists; whether
 *    a state is one that an allocator can have is not checked here
 */
MUST_CHECK int probe_parse(const struct text_input *in, struct probe *out, struct text_error *err);
void probe_free(struct probe *probe);

/* The letter of a migrate type as recordings write it; '-' for none. */
char probe_type_letter(uint32_t type);

#endif
