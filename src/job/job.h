/*
 * A job, parsed: what a .job file says, as data. The parser (parse.h) makes it,
 * the executor (run.h) plays it; nothing changes it in between, so that one job
 * can be played many times.
 */
#ifndef NEAP_JOB_JOB_H
#define NEAP_JOB_JOB_H

#include <neap/neap.h>

#include "base/base.h"
#include "job/pageseq.h"

struct expect;
struct ptrace;

#define JOB_NAME_BYTES 32u
#define JOB_NO_OBJECT UINT32_MAX
#define JOB_TELLS_MAX 16u

enum job_kind {
	JOB_ANON,    /* anonymous memory */
	JOB_FILE,    /* a file, read and written through the page cache */
	JOB_MAPPING, /* a shared mapping of a file */
	JOB_BLOCK,   /* kernel-like blocks */
	JOB_TRACE,   /* a page-reference trace, replayed as a process */
};

/* Something a job names. */
struct job_object {
	char name[JOB_NAME_BYTES];
	enum job_kind kind;
	uint32_t line;
	uint64_t bytes;
	uint32_t flags; /* anon: NEAP_LOCKED, NEAP_HUGE, NEAP_NO_HUGE; mapping: NEAP_EXEC */
	int node;	/* anon, block: node or NEAP_ANY_NODE */
	enum neap_policy policy; /* anon */
	uint64_t policy_nodes;	 /* anon */
	uint32_t file;		 /* mapping: object number of its file */
	char *path;		 /* file: path= or NULL; trace: its file */
	bool exists;		 /* file with path: was there when the job was parsed */
	struct ptrace *trace;	 /* trace: open after job_open_traces() */
};

enum job_op {
	JOB_OP_ANON,
	JOB_OP_FILE,
	JOB_OP_MAPFILE,
	JOB_OP_TOUCH,
	JOB_OP_READ,
	JOB_OP_WRITE,
	JOB_OP_FREE,
	JOB_OP_ADVISE,
	JOB_OP_FILL,
	JOB_OP_SYSCTL,
	JOB_OP_HUGEPAGES,
	JOB_OP_THP,
	JOB_OP_DROP,
	JOB_OP_SHRINK, /* count: pages */
	JOB_OP_SWAPON,
	JOB_OP_SWAPOFF,
	JOB_OP_FSYNC,
	JOB_OP_CPU,
	JOB_OP_CPU_STATE,     /* on: whether it comes or goes */
	JOB_OP_MEMORY_ADD,    /* count: bytes */
	JOB_OP_MEMORY_STATE,  /* count: block; on; advice by name: default, kernel, movable */
	JOB_OP_MEMORY_REMOVE, /* count: first block; every: how many */
	JOB_OP_POLICY,	      /* policy, nodes */
	JOB_OP_MEMS,	      /* nodes; 0 = all */
	JOB_OP_SLEEP,
	JOB_OP_SNAPSHOT,
	JOB_OP_EVERY,
	JOB_OP_TRACE,
	JOB_OP_WAIT,
	JOB_OP_PARALLEL, /* begin; the commands up to JOB_OP_END run as one thread each */
	JOB_OP_END,
	JOB_OP_ALLOC,
	JOB_OP_RANGE,
	JOB_OP_CMA,
	JOB_OP_RELEASE,
	JOB_OP_REPLAY,
	JOB_OP_DIGEST,
	JOB_OP_FREEZE, /* on: false is thaw */
	JOB_OP_EXPECT,
	JOB_OP_NOTHING, /* accepted, and true already: khugepaged off */
};

enum job_fill {
	JOB_FILL_PATTERN, /* what every new page is filled with */
	JOB_FILL_RANDOM,
	JOB_FILL_HALF,
	JOB_FILL_TEXT,
};

/* One command. Fields that an operation does not name below are zero. */
struct job_command {
	enum job_op op;
	uint32_t line;
	bool background;	  /* bg: runs beside the script until `wait` */
	uint32_t object;	  /* number of the object it works on */
	enum pageseq_order order; /* touch, read, write */
	uint64_t count; /* touch, read, write: accesses; alloc: blocks; drop, cpu, swapon, swapoff:
			   number */
	uint64_t seed;	/* touch, read, write */
	uint32_t threads;	 /* touch */
	bool read_only;		 /* touch */
	uint64_t every, offset;	 /* free: pages offset, offset + every, ... */
	enum neap_advice advice; /* advise */
	enum job_fill fill;	 /* fill */
	uint64_t sleep_ms;	 /* sleep, every */
	bool on;		 /* trace */
	uint32_t block_order;	 /* alloc */
	uint32_t gfp;		 /* alloc */
	bool may_fail;		 /* alloc: try */
	enum neap_policy policy; /* policy */
	uint64_t nodes;		 /* policy, mems: bits */
	char *name;		 /* sysctl: its name; thp: policy; snapshot, every: the label */
	/* sysctl: the text to write; swapon: priority; thp: the word of defrag, or NULL */
	char *text;
	struct expect *expect; /* expect */
};

/* The `machine` line. Strings are NULL when the line does not say. */
struct job_machine {
	bool given;
	uint32_t line;
	char *spec;	/* nodes=, dist=, ...: what the configuration takes, without cpus= */
	char *cpus;	/* a number */
	char *swap;	/* a size: the first swap disk */
	char *swap2;	/* a size: the second one, for swapon 2 */
	bool noswapon;	/* the first one waits for swapon 1 */
	char *cma;	/* a size: the contiguous memory area */
	bool rebind;	/* kswapds follow their nodes' CPUs */
	char *settings; /* set=: NAME:VALUE;NAME:VALUE */
	char *hotplug;	/* a size: memory that can be added, or NULL */
	char *block;	/* a size: of a memory block, or NULL */
	char *memory;	/* memory=: a size in one zone a node, not a PC's; then spec is empty */
};

/* `tell EVENT [COUNT] [skip=N]`: COUNT events of that name are printed with their reasons. */
struct job_tell {
	uint32_t line;
	char *event;
	uint64_t count;
	uint64_t skip; /* the first ones, which are not printed */
};

struct job {
	char *path; /* as given by the user */
	struct job_machine machine;
	struct job_object *objects;
	uint32_t nr_objects;
	struct job_command *commands;
	uint32_t nr_commands;
	struct job_tell tells[JOB_TELLS_MAX];
	uint32_t nr_tells;
	bool has_trace_window;	 /* says `trace on` */
	uint32_t nr_snapshots;	 /* snapshot commands, `every` not counted */
	uint32_t digest_line;	 /* of the first digest, 0 if there is none */
	uint32_t path_line;	 /* of the first file with path=, 0 if there is none */
	uint32_t replay_line;	 /* of the first replay */
	char *replay_memory;	 /* memory= of the replays: "1/4" or a size; NULL = default */
	uint64_t total_accesses; /* of all commands, for percentages */
};

void job_free(struct job *job);

#endif
