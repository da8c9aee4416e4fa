/*
 * What stands behind the handles of neap.h, for the files of this directory.
 *
 *   struct api_machine ── m          the engine's machine; the public handle points at it
 *        ├── rt, hw, host            what it was built on
 *        ├── space                   one address space: all regions of the program
 *        ├── regions, files, blocks  what the program has and may forget to give back
 *        └── swap[]                  stores behind the swap areas
 *
 * Lock letters: I immutable after creation, g the machine's guard (a mutex held for
 * a few lines, never across a wait or an engine call), a atomic, o the caller's.
 */
#ifndef NEAP_API_API_H
#define NEAP_API_API_H

#include <pthread.h>

#include <neap/neap.h>

#include "api/config.h"
#include "core/machine.h"
#include "core/space.h"
#include "core/vmstat.h"
#include "hw/soft/soft.h"
#include "rt/live/live.h"
#include "rt/sim/sim.h"
#include "store/model_device.h"

#define API_ERROR_BYTES CONFIG_ERROR_BYTES
/* Resident accesses are counted, and preempt points met, in runs of this many. */
#define API_ACCESS_RUN 64u
/* Faults that take longer are stalls. */
#define API_STALL_NS (20 * NSEC_PER_USEC)

struct trace;
struct failure_log;

/* A list in order of creation; a link that is in no list is all zero. */
struct api_link {
	struct api_link *next;
	struct api_link *prev;
};

/* What stands behind the engine's area of the same number. */
struct api_swap {
	struct store *store; /* the outermost; NULL: nothing */
	struct store *inner; /* the one that moves pages; same as store without faults */
};

struct api_machine {
	struct neap_machine m;		 /* first: the public pointer is this one */
	struct rt *rt;			 /* I */
	struct hw *hw;			 /* I */
	struct store_host *host;	 /* I */
	struct space *space;		 /* I */
	bool sim;			 /* I */
	bool tags;			 /* I */
	bool faults;			 /* I: stores can be made to fail */
	bool started;			 /* the engine's threads run */
	_Atomic uint32_t nr_freezes;	 /* by neap_freeze() */
	struct store_model_device *disk; /* I: simulated files; NULL live */
	struct store_model_device *swap_disk[CONFIG_SWAP_DISKS]; /* I: simulated swap; NULL live */
	bool disk_rotational, swap_rotational;			 /* I */
	uint64_t fault_nth[NR_CONFIG_FAULTS]; /* I, after like.c: rules for stores opened later */
	int fault_error;		      /* I */
	uint32_t fault_permille;	      /* the same: of the pages read or written */
	bool explore;			      /* I: devices are late and out of order, too */
	uint64_t seed;			      /* I: of what stores draw */
	char tmp[CONFIG_PATH_BYTES];	      /* I */
	pthread_mutex_t guard;
	struct api_swap swap[NEAP_MAX_SWAPS];		   /* g */
	uint32_t nr_swaps_made;				   /* g: names the next one */
	struct api_link regions, files, blocks, shrinkers; /* g: heads */
	struct trace *trace;				   /* g: NULL while none is written */
	struct failure_log *failures; /* set once, before the hook; failure.c */
	_Atomic uint32_t trace_drain; /* a: simulator: the rings want draining now and then */
	void (*watcher)(void *ctx, const struct neap_event *event); /* set before the hook starts */
	void *watcher_ctx;
	char error[API_ERROR_BYTES]; /* g */
};

struct api_pin {
	uint32_t pfn;
	uint32_t count : 31;
	uint32_t written : 1;
};

struct neap_region {
	/* The hot path's fields, in one cache line. */
	struct api_machine *a;	   /* I */
	struct hw_space *hw_space; /* I */
	uint64_t start_vpn;	   /* I */
	uint64_t nr_pages;	   /* I */
	struct region *region;	   /* I */
	bool read_only;		   /* I: of a file opened so */
	bool tags;		   /* I: as the machine */
	/* The rest. */
	struct neap_file *file; /* I: NULL = anonymous */
	struct api_pin *pins;	/* g: by page; NULL until one was pinned */
	uint64_t nr_pinned;	/* g */
	struct api_link link;	/* g */
} CACHE_ALIGNED;

/* => the pages lie within the region */
static inline bool api_range_is_valid(const struct neap_region *region, uint64_t first, uint64_t nr)
{
	return first <= region->nr_pages && nr <= region->nr_pages - first;
}

struct neap_file {
	struct api_machine *a;
	struct store *store;	     /* I: the outermost */
	struct store *inner;	     /* I */
	struct mapping *mapping;     /* I */
	bool read_only;		     /* I */
	bool grows;		     /* I */
	int fd;			     /* I: of a file with a name, to cut it to size; else -1 */
	bool owns_fd;		     /* I */
	bool closed;		     /* g: waits for its last region */
	uint32_t nr_regions;	     /* g */
	_Atomic uint64_t tail_bytes; /* a: size at which the store would cut a page; 0 = none */
	struct api_link link;	     /* g */
};

static inline struct api_machine *api_of(struct neap_machine *machine)
{
	return container_of(machine, struct api_machine, m);
}

static inline const struct api_machine *api_of_const(const struct neap_machine *machine)
{
	return container_of(machine, const struct api_machine, m);
}

/* ---- machine.c ---- */

#define KNOB_TAKES_BYTES 160u
/* The end of a sentence about a refused value: what the file takes, or "" if that is long. */
const char *api_knob_takes(const char *path, char text[KNOB_TAKES_BYTES]);

/* Keeps a sentence for neap_machine_error(). => err itself */
int api_fail(struct api_machine *a, int err, const char *format, ...) PRINTF_LIKE(3, 4);

void api_list_add(struct api_machine *a, struct api_link *head, struct api_link *link);
void api_list_remove(struct api_machine *a, struct api_link *link);

/* ---- failure.c ---- */

/* Closes the file of reports, if there is one. The engine's threads have ended. */
void api_failure_close(struct api_machine *a);

/* ---- thread.c: tasks ---- */

/* Makes the calling thread a task. => NULL: no memory */
struct task *api_task_attach(struct api_machine *a);
/* The error of a call that found no task. */
int api_no_task(struct api_machine *a);

/* The caller's task if it is at hand, without any call. => NULL: ask api_task() */
static ALWAYS_INLINE struct task *api_task_known(struct api_machine *a)
{
	return likely(!a->sim) ? rt_live_current_known(a->rt) : rt_sim_current(a->rt);
}

/* The caller's task. => NULL: no memory for one (live), or outside neap_run() (simulated) */
static ALWAYS_INLINE struct task *api_task(struct api_machine *a)
{
	if (likely(!a->sim)) {
		struct task *t = rt_live_current(a->rt);

		return likely(t != NULL) ? t : api_task_attach(a);
	}
	return rt_sim_current(a->rt);
}

/*
 * Calls fn(t, arg) as a task, on a simulated machine also from outside neap_run().
 * => its result, or a negative errno if there can be no task
 */
int api_call(struct api_machine *a, int (*fn)(struct task *t, void *arg), void *arg);

/* Counts the accesses since the last time. => nothing held */
void api_access_flush(struct task *t);
/* Counts a full run of accesses and meets a preempt point. */
void api_access_point(struct api_machine *a, struct task *t);

/* One more resident access by the caller. */
static ALWAYS_INLINE void api_access_count(struct api_machine *a, struct task *t)
{
	if (unlikely(++t->access_run >= API_ACCESS_RUN))
		api_access_point(a, t);
}

/* ---- region.c, file.c, block.c: what destruction needs ---- */

void api_region_destroy(struct task *t, struct neap_region *region);
/* => 0 or the first write error not yet reported */
int api_file_close(struct task *t, struct neap_file *file);
void api_blocks_free(struct task *t, struct api_machine *a);
/* The same for shrinkers, which are called no more afterwards. */
void api_shrinkers_free(struct task *t, struct api_machine *a);

/* ---- store.c: opening what pages are kept in ---- */

/* Wraps a store for error injection if the machine has that. *store changes. => 0 or -ENOMEM */
int MUST_CHECK api_store_wrap(struct api_machine *a, struct store **store, bool swap);

/* The nth next operation from now on fails with `error` (0 = -EIO; the sign does not matter). */
struct api_fault {
	uint64_t nth; /* 0 = none */
	int error;
};

/* Arms every store of the kind; each counts for itself. => 0 */
int api_store_inject(struct api_machine *a, struct task *t, enum config_fault kind,
		     struct api_fault fault);

/* ---- trace.c ---- */

struct event_record;
struct text_buf;

/* Linux's name of an event, and the table's format. => NULL: no such event */
const char *api_event_name(uint32_t id);
const char *api_event_format(uint32_t id);
/* Appends what follows the name in a trace file. => 0 or negative errno */
int MUST_CHECK api_event_body(struct text_buf *out, const struct event_record *record);

/* Writes what the rings hold if they are filling up; the simulator's way. */
void api_trace_poll(struct api_machine *a, struct task *t);
int api_trace_close(struct api_machine *a);

#endif
