/*
 * /proc/zoneinfo: every zone of every online node (spec 05, section 1).
 */
#ifndef NEAP_TEXT_ZONEINFO_H
#define NEAP_TEXT_ZONEINFO_H

#include "core/snapshot.h"
#include "text/doc.h"

/* Line kinds, in the order in which a file has them. */
enum zoneinfo_kind {
	ZONEINFO_ZONE = 1,   /* "Node 0, zone      DMA": value = node, name = zone */
	ZONEINFO_NODE_STATS, /* "  per-node stats" */
	ZONEINFO_NODE_STAT,  /* "      nr_dirty     0" of the node */
	ZONEINFO_FREE,	     /* "  pages free     3808": name = "free" */
	ZONEINFO_MARK,	     /* "        min      22" */
	ZONEINFO_PROTECTION, /* "        protection: (0, 444, 444, 444, 444)": list */
	ZONEINFO_ZONE_STAT,  /* "      nr_mlock     0" of the zone; NUMA events, too */
	ZONEINFO_PAGESETS,   /* "  pagesets" */
	ZONEINFO_CPU,	     /* "    cpu: 0" */
	ZONEINFO_PAGESET,    /* "              count: 162" */
	ZONEINFO_THRESHOLD,  /* "  vm stats threshold: 12" */
	ZONEINFO_TAIL,	     /* "  start_pfn:           4096" */
};

/* The page list of one CPU in one zone. Fields that the file lacks are 0. */
struct zoneinfo_pageset {
	uint64_t cpu;
	uint64_t count, high, batch;
	uint64_t high_min, high_max; /* 6.18 */
	uint64_t threshold;
};

struct zoneinfo_zone {
	uint64_t node;
	const char *name;
	uint32_t first_line, end_line; /* its lines in doc.lines, header first */
	bool populated;		       /* present > 0 */
	bool complete;		       /* nothing that every kernel prints is missing */
	const uint64_t *protection;    /* nr_protection numbers, one a zone of the node */
	uint32_t nr_protection;
	const struct zoneinfo_pageset *pagesets; /* nr_pagesets, one an online CPU */
	uint32_t nr_pagesets;
};

struct zoneinfo_doc {
	struct text_doc doc;
	struct zoneinfo_zone *zones;
	uint32_t nr_zones;
	struct zoneinfo_pageset *pagesets; /* of all zones */
	uint32_t nr_pagesets;
};

/* => 0 and *out; -EINVAL, -EFBIG with *err filled; -ENOMEM */
MUST_CHECK int zoneinfo_parse(const char *text, size_t bytes, const char *file_name,
			      struct zoneinfo_doc **out, struct text_error *err);
/*
 * The same for a part of the file, as people quote it. *whole: whether its last zone is complete;
 * if not, *err says what is missing.
 * => 0 and *out; -EINVAL, -EFBIG with *err filled; -ENOMEM
 */
MUST_CHECK int zoneinfo_parse_excerpt(const struct text_input *in, struct zoneinfo_doc **out,
				      bool *whole, struct text_error *err);
/* The file of a machine. => 0 and *out, or -ENOMEM */
MUST_CHECK int zoneinfo_from_snapshot(const struct snapshot *snapshot, struct zoneinfo_doc **out);
int zoneinfo_write(const struct zoneinfo_doc *zoneinfo, struct text_buf *out);
void zoneinfo_free(struct zoneinfo_doc *zoneinfo);

/* => the zone, or NULL if the file lacks it */
const struct zoneinfo_zone *zoneinfo_doc_zone(const struct zoneinfo_doc *zoneinfo, uint64_t node,
					      const char *zone);
/*
 * A number of a zone by the name the file gives it: "free", "min", "managed",
 * "nr_mlock", "numa_hit", "start_pfn", ... => whether the zone has it
 */
bool zoneinfo_doc_get(const struct zoneinfo_doc *zoneinfo, const struct zoneinfo_zone *zone,
		      const char *name, uint64_t *value);
/* A node's number ("nr_active_anon"), as printed: huge items in huge pages. */
bool zoneinfo_doc_node_get(const struct zoneinfo_doc *zoneinfo, uint64_t node, const char *name,
			   uint64_t *value);

/*
 * Makes a snapshot with the nodes, zones and CPUs of the file; machine-wide counters
 * are the sums over zones and nodes. CPUs belong to no node yet. A page is taken to have 4 KiB.
 * => 0 and *out, to be freed with free(); -EINVAL if there are too many nodes, or unknown
 *    zones, with *err filled; -ENOMEM
 */
MUST_CHECK int zoneinfo_to_snapshot(const struct zoneinfo_doc *zoneinfo, const char *file_name,
				    struct snapshot **out, struct text_error *err);

/*
 * Finds zones and page lists in the lines; the parser and the writer call it last.
 * => 0 or -ENOMEM
 */
MUST_CHECK int zoneinfo_index(struct zoneinfo_doc *zoneinfo);

/* => an empty document, or NULL when memory is out */
struct zoneinfo_doc *zoneinfo_new(void);

#endif
