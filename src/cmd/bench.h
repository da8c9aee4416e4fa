/*
 * What a bench is: a function that performs one repetition on a machine of its own and
 * fills one value for each of its lines.
 *
 *   struct bench "alloc" ── line "alloc.pair"   one number, with its unit and aim
 *                      └─── line "alloc.round"  ...
 *
 * A bench of the allocator can also be run with a malloc in our place; that happens in
 * another process (cmd/bench_peer.h).
 */
#ifndef NEAP_CMD_BENCH_H
#define NEAP_CMD_BENCH_H

#include <neap/neap.h>

#include "base/base.h"

#define BENCH_LINES_MAX 16u
#define BENCH_SETTINGS_MAX 6u
#define BENCH_PEERS_MAX 4u

struct bench_line {
	const char *name; /* GROUP.WHAT; NULL ends the lines */
	const char *what; /* what is counted, in words */
	const char *unit; /* "ns", "x" for a ratio, "%" */
	double aim;	  /* at most this; 0 = there is no aim */
};

/* One repetition. */
struct bench_run {
	struct neap_machine *machine;
	bool quick;    /* a tenth of the work */
	double *value; /* one for each line, to be filled */
};

struct bench {
	const char *group;
	/* Name and value pairs of neap_config_set(); ends with NULL. */
	const char *settings[BENCH_SETTINGS_MAX][2];
	const struct bench_line *lines;
	/*
	 * Performs one repetition inside neap_run(). Set-up is not timed.
	 * => 0 and run->value, or negative errno
	 */
	int (*run)(struct bench_run *run);
	/* The same lines with malloc and free in the allocator's place; NULL = has no peers. */
	int (*run_peer)(bool quick, double *value);
};

/* All benches; the last is NULL (cmd/bench_table.c). */
extern const struct bench *const bench_table[];

/* Each is defined in a file of bench/. */
extern const struct bench bench_access, bench_sim, bench_cycle, bench_fault, bench_fault_tags,
	bench_swap, bench_stream;
extern const struct bench bench_alloc_hot, bench_alloc_bulk, bench_alloc_mixed;
extern const struct bench bench_reclaim_clean, bench_reclaim_kept, bench_reclaim_mixed;
extern const struct bench bench_compact_migrate, bench_compact_scan;

/* => the real clock: for what waits, and for single calls */
uint64_t bench_clock_ns(void);
/*
 * => time that the calling thread has had a processor. For work that only computes: another program
 * that takes the processor away meanwhile does not count. Reading it costs a system call.
 */
uint64_t bench_cpu_ns(void);

/*
 * Brackets of what is timed, for counting instructions (cmd/bench_count.c). pause and resume: what
 * lies between is not counted. line: a name of bench.lines; operations: done since begin.
 */
void bench_count_begin(void);
void bench_count_pause(void);
void bench_count_resume(void);
void bench_count_end(const char *line, uint64_t operations);

/* The other allocators, in the order of their columns. */
struct bench_peer {
	const char *name;
	const char *library; /* loaded before all others; NULL = the C library's own malloc */
	const char *symbol;  /* only this library has it */
	const char *package; /* Debian's */
};

extern const struct bench_peer bench_peers[BENCH_PEERS_MAX];

/*
 * One repetition with a peer in the allocator's place, in a process of its own. `index`: of the
 * bench in bench_table.
 * => 0 and value[]; -ENOPKG if the library is not there; or negative errno
 */
int bench_peer_run(const struct bench_peer *peer, uint32_t index, bool quick, double *value);

/*
 * The other end, in that process: `words` is what bench_peer_run() passed. => the exit status of
 * the process
 */
int bench_peer_main(const char *words, bool quick);

#endif
