/*
 * What is known of a machine: the files that somebody saved, copied, pasted, or that can be read
 * here and now, whichever of them there are.
 */
#ifndef NEAP_DIAG_EVIDENCE_H
#define NEAP_DIAG_EVIDENCE_H

#include "core/snapshot.h"
#include "text/buddyinfo.h"
#include "text/doc.h"
#include "text/meminfo.h"
#include "text/swaps.h"
#include "text/vmstat.h"
#include "text/zoneinfo.h"

enum evidence_file {
	EVIDENCE_ZONEINFO,
	EVIDENCE_VMSTAT,
	EVIDENCE_BUDDYINFO,
	EVIDENCE_PAGETYPEINFO,
	EVIDENCE_MEMINFO,
	EVIDENCE_SWAPS,
	EVIDENCE_PRESSURE,
	EVIDENCE_SYSCTLS,
	NR_EVIDENCE_FILES,
};

enum evidence_state {
	EVIDENCE_MISSING,
	EVIDENCE_READ,
	EVIDENCE_REFUSED, /* it is there, but may not be read */
	EVIDENCE_BROKEN,  /* it is no such file */
};

struct evidence_source {
	enum evidence_state state;
	char path[64];	   /* as it was found below the directory; "pasted" */
	char problem[200]; /* if refused or broken */
};

/* Releases are 100 * major + minor. */
struct evidence_kernel {
	char said[64];	      /* "6.1.0-18-amd64" if a file says it, else "" */
	uint32_t least, most; /* what the files are possible for; most 0: no limit known */
	const char *because;  /* the name that sets the lower limit; NULL if none does */
};

#define EVIDENCE_NO_LIMIT UINT64_MAX

/* A memory group of cgroup v2. */
struct evidence_group {
	bool known; /* there is a memory.current */
	uint64_t current_bytes;
	uint64_t max_bytes, high_bytes; /* EVIDENCE_NO_LIMIT: none */
	uint64_t swap_bytes, swap_max_bytes;
	uint64_t nr_high, nr_max, nr_oom, nr_oom_kill; /* memory.events */
	bool has_events, has_stat, has_pressure;
	uint64_t anon_bytes, file_bytes, shmem_bytes, slab_reclaimable_bytes; /* memory.stat */
	struct snapshot_psi psi_some;
};

struct evidence {
	char where[160]; /* "this machine", a directory, "pasted text" */
	bool live;
	uint64_t time_ns; /* when it was read, if live; monotonic */
	struct evidence_source source[NR_EVIDENCE_FILES];
	struct zoneinfo_doc *zoneinfo;
	struct vmstat_doc *vmstat;
	struct buddyinfo_doc *buddyinfo;
	struct meminfo_doc *meminfo;
	struct swaps_doc *swaps;
	struct text_doc *pagetypeinfo, *pressure, *sysctls;
	/* All of it in one; without a zoneinfo it has no nodes. Never NULL after a load. */
	struct snapshot *snapshot;
	struct evidence_kernel kernel;
	struct evidence_group group;
	char warning[320]; /* of parts that were guessed; "" */
};

/*
 * The machine whose files are below a directory, "/" being this one: a copied tree, a snapshot of
 * ours, what sosreport or must-gather leave. If nothing is at its top, the directories below are
 * searched.
 * => 0 and *out, to be freed with evidence_free(); -ENOENT (nothing there), -EEXIST (several
 *    machines), -ENOMEM ... with *err filled
 */
MUST_CHECK int evidence_load(const char *dir, struct evidence **out, struct text_error *err);
/*
 * The files in a text: one of them, or several one after the other, as people paste them. `where`
 * is what errors call it.
 * => 0 and *out; -EINVAL (nothing that is understood), -ENOMEM with *err filled
 */
MUST_CHECK int evidence_from_text(const char *where, const char *text, size_t bytes,
				  struct evidence **out, struct text_error *err);
void evidence_free(struct evidence *evidence);

bool evidence_has(const struct evidence *evidence, enum evidence_file file);
/* => "zoneinfo" ... "sys/vm" */
const char *evidence_name(enum evidence_file file);

/* ---- numbers, whatever the kernel calls them ---- */

enum evidence_counter {
	COUNTER_ALLOCSTALL,  /* times that a task reclaimed for itself */
	COUNTER_PAGEOUTRUN,  /* runs of kswapd */
	COUNTER_LOW_QUICKLY, /* woken in its nap */
	COUNTER_HIGH_QUICKLY,
	COUNTER_SCAN_KSWAPD,
	COUNTER_SCAN_DIRECT,
	COUNTER_STEAL_KSWAPD,
	COUNTER_STEAL_DIRECT,
	COUNTER_REFAULT, /* pages read back, anon and file */
	COUNTER_REFAULT_ACTIVATE,
	COUNTER_SWAP_IN,
	COUNTER_SWAP_OUT,
	COUNTER_COMPACT_STALL,
	COUNTER_COMPACT_FAIL,
	COUNTER_COMPACT_SUCCESS,
	COUNTER_THP_FALLBACK,
	COUNTER_THP_ALLOC,
	COUNTER_OOM_KILL,
	NR_EVIDENCE_COUNTERS,
};

/* Sums of all names that stand for it in this file. => whether there is one */
bool evidence_counter(const struct vmstat_doc *vmstat, enum evidence_counter counter,
		      uint64_t *value);
/* => "allocstall", "pgscan_kswapd" ...: what to look for */
const char *evidence_counter_name(enum evidence_counter counter);
/* A line of meminfo in KiB. => whether it is there */
bool evidence_kb(const struct evidence *evidence, const char *label, uint64_t *kb);
/* A number of /proc/sys/vm. => whether it is known */
bool evidence_setting(const struct evidence *evidence, const char *name, int64_t *value);

#endif
