/*
 * Every file by which Linux 6.1's memory management is set: values, how text becomes a value and
 * a value text, and what a write has to be followed by (spec 05, sections 7 and 8).
 *
 * Pure: plain data in, plain data out, one writer for a running machine (core/sysctl.c) and for
 * commands that reason about a saved one (core/knobs_plan.c). Nothing is done here; the effects
 * say what the caller has to do or to recompute.
 *
 * A path is the whole one ("/proc/sys/vm/swappiness", "/sys/kernel/mm/lru_gen/enabled",
 * "/sys/devices/system/node/node0/compact") or the name below /proc/sys/vm ("swappiness").
 */
#ifndef NEAP_CORE_KNOBS_H
#define NEAP_CORE_KNOBS_H

#include <stdatomic.h>

#include "base/base.h"
#include "core/snapshot.h"

#define KNOBS_VM_DIR "/proc/sys/vm/"
#define KNOBS_TEXT_BYTES 256u /* room for any value's text */

/* Positions of the words of transparent_hugepage/enabled. */
enum knobs_thp {
	KNOBS_THP_ALWAYS,
	KNOBS_THP_MADVISE,
	KNOBS_THP_NEVER,
};

/* The values. Written by one task at a time; those of a running machine are read as atomics. */
struct knobs {
#define SYSCTL(id, name, initial, lowest, highest, after, kind) _Atomic int32_t id;
#define SYSCTL_WIDE(id, name, initial, lowest, highest, after, kind) _Atomic uint64_t id;
#define SYSCTL_FORM(name, form, kind)
#define KNOB_CHOICE(id, path, words, initial, after, kind) _Atomic int32_t id; /* its position */
#define KNOB_NUMBER(id, path, base, initial, lowest, highest, kind) _Atomic uint64_t id;
#define KNOB_FIXED(id, path, initial, kind) _Atomic uint64_t id;
#include "core/sysctl_items.def"
	_Atomic int32_t lowmem_reserve_ratio[NEAP_NR_ZONES];
	_Atomic int32_t lru_gen_enabled;      /* bit 0: on; 1, 2: its two optimisations */
	_Atomic int32_t vma_ra_enabled;	      /* swap is read ahead by address, not by slot */
	_Atomic uint64_t lru_gen_min_ttl_ms;  /* whole ticks */
	_Atomic int64_t user_min_free_kbytes; /* the last value written by hand; -1: none */
	_Atomic uint64_t nodes;		      /* bit n: node n is there and has its files */
};

/* What a write is followed by. */
enum knob_effect {
	KNOB_MARKS = 1u << 0,	    /* marks, boosts, total reserve, per-CPU limits */
	KNOB_PROTECTION = 1u << 1,  /* protection arrays, total reserve */
	KNOB_LIMITS = 1u << 2,	    /* per-CPU limits */
	KNOB_NODE_RATIOS = 1u << 3, /* limits of node reclaim */
	KNOB_THP = 1u << 4,	    /* min_free_kbytes is reconsidered, then as KNOB_MARKS */
	KNOB_DROP_CACHE = 1u << 5,  /* page cache is dropped */
	KNOB_DROP_SLAB = 1u << 6,   /* slab is shrunk */
	KNOB_COMPACT = 1u << 7,	    /* node (or all, -1) is compacted */
	KNOB_FOLD = 1u << 8,	    /* counter differences of all CPUs are folded */
	KNOB_NUMA_STAT = 1u << 9,   /* NUMA events are zeroed */
	KNOB_HUGEPAGES = 1u << 10,  /* the pool is to have `hugepages` pages, as many as possible */
	KNOB_KCOMPACTD = 1u << 11,  /* kcompactd of each node looks at its work */
	KNOB_FLUSHER = 1u << 12,    /* the flusher looks at its period */
	KNOB_DIRTY = 1u << 16,	    /* writers are held at the new limit of dirty pages */
	KNOB_TIMER = 1u << 13,	    /* the folding of counters has another period */
	KNOB_LRU_GEN = 1u << 14,    /* the multi-generation LRU is switched */
	KNOB_PSI_TRIGGER = 1u << 15, /* a pressure trigger is set up */
};

struct knob_effects {
	uint32_t what; /* KNOB_* */
	int32_t node;
	uint64_t hugepages;
	bool psi_full;
	uint32_t psi_threshold_us, psi_window_us;
};

/* What a running machine does with a write: sysctl_items.def. */
enum knob_kind {
	KNOB_ACTS,
	KNOB_STORED,
	KNOB_NOT_YET,
};

/*
 * Linux 6.1's defaults for one node, transparent huge pages off; values that depend on the
 * machine are 0. The page size of the kernel is 4 KiB, its tick 4 ms.
 */
void knobs_init(struct knobs *k);
/* Sets what boot makes of the memory that is free then: reserves for overcommitted machines. */
void knobs_init_reserves(struct knobs *k, uint64_t free_pages);
/* Transparent huge pages as a kernel starts with them: on from 512 MiB of managed memory. */
void knobs_init_thp(struct knobs *k, uint64_t managed_pages);
void knobs_copy(struct knobs *to, const struct knobs *from);
/* Whether all values are the same. */
bool knobs_equal(const struct knobs *a, const struct knobs *b);

/*
 * As write(2) to a freshly opened file.
 * => bytes consumed, which may be fewer than given; *effects says what follows
 * => negative errno, and nothing follows: -EINVAL, -ERANGE, -ENOENT (no such file), -EIO and
 *    -EACCES (files that nobody writes). Nothing has changed, except leading elements of an array
 */
int64_t knobs_write(struct knobs *k, const char *path, const char *text, size_t bytes,
		    struct knob_effects *effects);
/*
 * Text as a read of the whole file gives it, with its newline.
 * => bytes of text without terminator; -ENOENT; -EACCES write-only; -ERANGE buffer too small;
 *    -ENODATA a file of /proc whose text is not about knobs (src/text has it)
 */
int64_t knobs_read(const struct knobs *k, const char *path, char *buffer, size_t bytes);
/* A read is followed by something, too, for some files. => KNOB_* */
uint32_t knobs_read_effects(const char *path);
/*
 * Takes over the value of a saved file: the inverse of knobs_read(), so also values that cannot be
 * written. The final newline may be missing.
 * => 0; -EINVAL such a file does not say this; -ENOENT; -EACCES, -ENODATA as above
 */
int knobs_parse(struct knobs *k, const char *path, const char *text, size_t bytes);
/* The pool of huge pages has this many now: what nr_hugepages reads back. */
void knobs_set_hugepages(struct knobs *k, uint64_t pages);

/* What a file takes: one of some words, or a whole number from lowest to highest. */
struct knobs_range {
	const char *words; /* separated by spaces; NULL for numbers */
	int64_t lowest;
	uint64_t highest;
};
/* => false: there is no such file, or it takes something else */
bool knobs_range(const char *path, struct knobs_range *range);

/* => the kind of an existing path; KNOB_ACTS for others */
enum knob_kind knobs_kind(const char *path);
/*
 * The i-th file in the order of sysctl_items.def: the name below /proc/sys/vm, or another path.
 * => NULL after the last; the path of files once a node has a '*' for the number
 */
const char *knobs_path(uint32_t i);

static inline int32_t knobs_get(const _Atomic int32_t *value)
{
	return atomic_load_explicit((_Atomic int32_t *)(uintptr_t)value, memory_order_relaxed);
}

static inline uint64_t knobs_get_wide(const _Atomic uint64_t *value)
{
	return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)value, memory_order_relaxed);
}

#endif
