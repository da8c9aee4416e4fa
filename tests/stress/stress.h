/*
 * The stress program: what its files share. stress.c describes it.
 */
#ifndef NEAP_TESTS_STRESS_H
#define NEAP_TESTS_STRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <neap/neap.h>

#define PAGE_WORDS (NEAP_PAGE_SIZE / sizeof(uint64_t))
#define NR_ANON 8u
#define NR_FILES 3u
#define NR_AREAS (NR_ANON + NR_FILES)
#define NR_MAPPINGS 2u
#define MAX_THREADS 16u

#define likely(x) __builtin_expect(!!(x), 1)

struct options {
	uint64_t seed;	     /* live: the run's; simulated: the first one */
	uint64_t seconds;    /* how long to go on */
	uint64_t nr_seeds;   /* simulated: at most this many; 0 = as time allows */
	uint64_t nr_ops;     /* simulated: operations of each thread */
	uint64_t memory;     /* bytes */
	uint32_t nr_threads; /* workers */
	bool heal;	     /* heal.c instead of everything else */
	bool sim;	     /* simulated, exploring */
	bool uring;
	bool compact; /* simulated: compaction in every run */
	bool faults;  /* make I/O fail now and then */
	bool plug;    /* live: memory and CPUs come and go all the time */
};

/* What the program knows about one page. state: readers at it, or -1 while one changes it. */
struct cell {
	_Atomic int32_t state;
	uint32_t version;      /* contents as of the last whole write; 0 = zeroes */
	uint32_t word_version; /* of the page's own word since then; 0 = not written */
};

/*
 * One region of memory, or one file with two mappings. users: tasks inside, or -1
 * while it is made anew; map_users likewise for each mapping.
 */
struct area {
	_Atomic int32_t users;
	_Atomic int32_t map_users[NR_MAPPINGS];
	uint32_t id;
	uint32_t nr_pages;
	uint64_t key; /* of the contents; another one for each life */
	struct neap_file *file;
	struct neap_region *region[NR_MAPPINGS]; /* anonymous areas use the first */
	struct cell *cells;
};

enum counter {
	COUNT_READ,
	COUNT_WRITE,
	COUNT_PIN,
	COUNT_RELEASE,
	COUNT_REBUILD,
	COUNT_SYNC,
	COUNT_BLOCK,
	COUNT_BIG,     /* blocks of high order that were there */
	COUNT_COMPACT, /* compactions by request */
	COUNT_ENOMEM,  /* refusals of memory */
	COUNT_EIO,     /* errors that were asked for */
	COUNT_BUSY,    /* operations left out because somebody else was at the page */
	NR_COUNTERS,
};

/* Bits of world.profile: what a run has more of. */
#define PROFILE_CHURN 1u   /* making anew, mapping and releasing */
#define PROFILE_HOT 2u	   /* the same few pages */
#define PROFILE_COMPACT 4u /* holes, blocks of high order and compaction */
#define NR_PROFILES 8u

struct world {
	const struct options *opt;
	struct neap_machine *machine;
	uint64_t seed;
	uint32_t first_hot;  /* memory block that comes and goes */
	uint64_t nr_plugged; /* how often something did */
	uint64_t plug_slowest_ns;
	uint64_t memory; /* bytes of the machine */
	struct area area[NR_AREAS];
	_Atomic uint64_t next_key;
	_Atomic uint32_t profile; /* PROFILE_* */
	_Atomic uint32_t stop;
	_Atomic uint32_t pause; /* workers are to stand still */
	_Atomic uint32_t nr_paused;
	_Atomic uint64_t count[NR_COUNTERS];
};

/* ---- contents.c ---- */

uint64_t mix(uint64_t value);
/* The place in a page of the word that is also written alone. */
uint32_t contents_word_index(const struct area *area, uint32_t page);
uint64_t contents_word(const struct area *area, uint32_t page, uint32_t index);
void contents_fill(const struct area *area, uint32_t page, uint64_t *to);
/* Stops the program with a report if `data` is not the page. step: look at each step-th word. */
void contents_check(const struct world *w, const struct area *area, uint32_t page,
		    const uint64_t *data, uint32_t step);
/* Prints what went wrong, and the seed, and stops the program. */
void fail(const struct world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* ---- world.c ---- */

/* => inside a task of the machine */
void world_create(struct world *w);
void world_destroy(struct world *w);
/* Destroys and makes anew what is inside. => false: somebody is using it */
bool area_rebuild(struct world *w, struct area *area);
/* One mapping of a file anew. => false: somebody is using it */
bool area_remap(struct world *w, struct area *area, uint32_t mapping);
/* Looks at every page. => nobody else is at work */
void world_check(struct world *w);

/* Has a transfer of each file soon fail, if that is wanted. => nobody else is at work */
void world_fault_files(struct world *w, uint64_t random);

/* Counting locks: at most tried, never waited for. */
bool users_enter(_Atomic int32_t *users);
void users_leave(_Atomic int32_t *users);
bool users_take(_Atomic int32_t *users);
void users_give(_Atomic int32_t *users);

void world_count(struct world *w, enum counter counter);
/* Judges the result of an operation. => true: it was done; false: it was refused, as may happen */
bool world_accepts(struct world *w, int64_t result, const char *what);

/* ---- heal.c ---- */

/* Compaction beside four threads. Prints what it measured; a fault stops the program. */
void heal_run(struct world *w);

/* ---- guard.c ---- */

#define GUARD_MAIN MAX_THREADS /* actors: the workers by their numbers, and main() */
#define GUARD_ACTORS (MAX_THREADS + 1)
#define GUARD_PATIENCE_S 120u /* of processor time of the whole program, for one operation */

/* tell: prints what an actor is doing, before the program is ended. Once a program. */
void guard_begin(void (*tell_actor)(uint32_t actor));
void guard_end(void);
/* From now on the actor must make a step in that time, again and again; 0: it need not any more. */
void guard_expect(uint32_t actor, uint32_t patience_s);
void guard_step(uint32_t actor);

/* ---- worker.c ---- */

struct worker {
	struct world *world;
	uint32_t id;
	uint64_t rng;
	uint64_t ops_left;	/* UINT64_MAX: until told to stop */
	_Atomic uint32_t doing; /* index of the operation at work */
	struct neap_thread *thread;
};

/* Body of a worker: arg is the struct worker. => 0 */
int worker_main(void *arg);
const char *worker_operation(const struct worker *worker);
uint64_t rng_next(uint64_t *state);

#endif
