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
	const struct text_doc *pagetypeinfo;
	const struct text_doc *pressure;
	const struct text_doc *sysctls; /* of text/sysctls.h, all in one */
};

/*
 * A snapshot of what the files say. Machine-wide counters are vmstat's; without it
 * meminfo's where it has them; else sums over zones and nodes. reserve_pages is
 * computed (spec 01, section 6), available_pages as well if there is no meminfo.
 * A zone's reserved_highatomic is the size of its HighAtomic pageblocks. Not in these
 * files, so 0: time, and huge pages per node. Nodes have no CPUs and default distances,
 * except that a single node has all CPUs.
 * => 0 and *out, to be freed with free(); -EINVAL with *err filled; -ENOMEM
 */
MUST_CHECK int snapshot_from_docs(const struct snapshot_docs *docs, struct snapshot **out,
				  struct text_error *err);

/*
 * A snapshot of the machine whose files are saved in a directory:
 *
 *     DIR/zoneinfo or DIR/proc/zoneinfo, and vmstat, buddyinfo, pagetypeinfo, meminfo, swaps,
 *     pressure_memory or pressure/memory beside it
 *     DIR/nodeN/{cpulist,distance,meminfo,vmstat}, or in DIR/sys/devices/system/node/
 *     CPUs and distances else from machine.json in DIR or above, or of the boot
 *     DIR/sysctl_vm.txt, DIR/sys/vm/ or DIR/proc/sys/vm/, else of the boot
 *     DIR/thp_enabled, sys_kernel_mm.txt or sys/kernel/mm/..., else of the boot
 *
 * "Of the boot" is DIR/../00-boot/ or DIR/../boot/. A file that is missing leaves what it
 * would have said at 0, or at what load.c, load_node.c and load_settings.c say. DIR may be
 * "/": the machine this runs on.
 * => 0 and *out, to be freed with free(); err->message is then empty or a warning: one
 *    sentence on what was missing and what is assumed instead
 * => else -ENOENT (no zoneinfo), -EINVAL, -EFBIG, -EACCES ... with *err filled; -ENOMEM
 */
MUST_CHECK int snapshot_load_dir(const char *dir, struct snapshot **out, struct text_error *err);

#endif
