/*
 * Snapshots from saved files: where commands that reason about another machine
 * start.
 */
#ifndef NEAP_TEXT_LOAD_H
#define NEAP_TEXT_LOAD_H

#include "core/snapshot.h"
#include "text/buddyinfo.h"
#include "text/doc.h"
#include "text/meminfo.h"
#include "text/swaps.h"
#include "text/vmstat.h"
#include "text/zoneinfo.h"

/* The files of one machine. zoneinfo is needed; the others may be NULL. */
struct snapshot_docs {
	const struct zoneinfo_doc *zoneinfo;
	const struct vmstat_doc *vmstat;
	const struct buddyinfo_doc *buddyinfo;
	const struct meminfo_doc *meminfo;
	const struct swaps_doc *swaps;
};

/*
 * A snapshot of what the files say. Machine-wide counters are vmstat's; without it
 * meminfo's where it has them; else sums over zones and nodes. reserve_pages is
 * computed (spec 01, section 6), available_pages as well if there is no meminfo.
 * Not in these files, so 0: blocks per migrate type, reserved_highatomic, time.
 * Nodes have no CPUs and default distances, except that a single node has all CPUs.
 * => 0 and *out, to be freed with free(); -EINVAL with *err filled; -ENOMEM
 */
MUST_CHECK int snapshot_from_docs(const struct snapshot_docs *docs, struct snapshot **out,
				  struct text_error *err);

/*
 * A snapshot of the machine whose files are saved in a directory:
 *
 *     DIR/zoneinfo or DIR/proc/zoneinfo, and vmstat, buddyinfo, meminfo, swaps beside it
 *     DIR/nodeN/{cpulist,distance}, or the same in DIR/sys/devices/system/node/,
 *     DIR/../00-boot/ or DIR/../boot/
 *
 * Without cpulists the CPUs are split evenly over the nodes.
 * => 0 and *out, to be freed with free(); err->message is then empty or a warning: one
 *    sentence on what was missing and what is assumed instead
 * => else -ENOENT (no zoneinfo), -EINVAL, -EFBIG, -EACCES ... with *err filled; -ENOMEM
 */
MUST_CHECK int snapshot_load_dir(const char *dir, struct snapshot **out, struct text_error *err);

#endif
