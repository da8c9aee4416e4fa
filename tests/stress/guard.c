/*
 * The guard: tells a program that hangs from one that is slow.
 *
 *   actors     main ── step ── step ───────────── step
 *              worker 0 ─ step ─ step ─ step ─ ...        a step for each operation
 *              worker 1 ─ step ─ ?
 *   guard      looks once a second
 *
 * Many may share the computer, so a time on the wall says nothing: a thread may not
 * have run. What the guard counts is the time on processors that the whole program
 * has had since the actor's last step. Who is ready gets his part of it, so an actor
 * that makes no step while the others use up two minutes waits for what does not come,
 * or turns in a circle. Where all sleep no such time passes: nobody's step for five
 * minutes on the wall is a hang as well.
 *
 * It is a thread of its own, of which the machine knows nothing, and not a signal: a
 * signal would run on the small stack of a fiber and end system calls early.
 *
 * What must never happen: a hang that is not told; a step that costs more than an addition.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "stress.h"

#define NSEC_PER_SEC UINT64_C(1000000000)
#define STANDSTILL_SECONDS 300u

struct actor {
	_Atomic uint64_t steps;
	_Atomic uint32_t patience_s; /* of processor time; 0: nobody waits for it now */
	uint64_t seen;		     /* the guard's: steps, */
	uint64_t since_ns;	     /* and the program's processor time when they changed */
};

static struct actor actors[GUARD_ACTORS];
static pthread_t guard_thread;
static _Atomic uint32_t stop;
static void (*tell)(uint32_t actor);

static uint64_t time_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

void guard_expect(uint32_t actor, uint32_t patience_s)
{
	atomic_fetch_add(&actors[actor].steps, 1);
	atomic_store(&actors[actor].patience_s, patience_s);
}

void guard_step(uint32_t actor)
{
	atomic_fetch_add_explicit(&actors[actor].steps, 1, memory_order_relaxed);
}

/* => whether the actor made a step, or need not make one */
static bool actor_look(struct actor *actor, uint64_t cpu_ns)
{
	uint64_t steps = atomic_load(&actor->steps);
	uint32_t patience_s = atomic_load(&actor->patience_s);

	if (steps != actor->seen || patience_s == 0) {
		actor->seen = steps;
		actor->since_ns = cpu_ns;
		return patience_s != 0;
	}
	return false;
}

/* Ends the program. */
static void hangs(uint32_t actor, const char *meanwhile)
{
	fprintf(stderr, "stress: no step of %s %" PRIu32 " while %s\n",
		actor == GUARD_MAIN ? "the watcher" : "worker", actor, meanwhile);
	for (uint32_t i = 0; i < GUARD_ACTORS; i++)
		if (atomic_load(&actors[i].patience_s) != 0)
			tell(i);
	abort();
}

static void *guard_main(void *arg)
{
	uint64_t any_ns = time_of(CLOCK_MONOTONIC);

	(void)arg;
	while (atomic_load(&stop) == 0) { /* event loop */
		uint64_t cpu_ns = time_of(CLOCK_PROCESS_CPUTIME_ID);
		uint64_t now_ns = time_of(CLOCK_MONOTONIC);
		uint32_t nr_waited = 0, first = 0;
		bool any = false;

		for (uint32_t i = GUARD_ACTORS; i-- > 0;) {
			uint64_t patience_s = atomic_load(&actors[i].patience_s);

			any |= actor_look(&actors[i], cpu_ns);
			if (patience_s == 0)
				continue;
			nr_waited++;
			first = i;
			if (cpu_ns - actors[i].since_ns > patience_s * NSEC_PER_SEC)
				hangs(i, "the program had its processor time");
		}
		if (any || nr_waited == 0)
			any_ns = now_ns;
		else if (now_ns - any_ns > STANDSTILL_SECONDS * NSEC_PER_SEC)
			hangs(first, "nobody made one for minutes");
		nanosleep(&(struct timespec){ .tv_sec = 0, .tv_nsec = 200 * 1000 * 1000 }, NULL);
	}
	return NULL;
}

void guard_begin(void (*tell_actor)(uint32_t actor))
{
	tell = tell_actor;
	int err = pthread_create(&guard_thread, NULL, guard_main, NULL);

	if (err != 0) {
		fprintf(stderr, "stress: no thread for the guard: error %d\n", err);
		exit(3);
	}
}

void guard_end(void)
{
	atomic_store(&stop, 1);
	(void)pthread_join(guard_thread, NULL); /* it is there, and nobody else waits for it */
}
