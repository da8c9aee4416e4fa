/*
 * An io_uring with a fixed set of requests.
 *
 * Without liburing (NEAP_HAVE_LIBURING not defined) ring_create() fails with
 * -ENOSYS and nothing else is ever called.
 */
#ifndef NEAP_STORE_RING_H
#define NEAP_STORE_RING_H

#include "base/base.h"
#include "port/rt.h"
#include "store/transfer.h"

struct ring;

struct ring_request {
	struct ring_request *next; /* pool, or the chain being built by the submitter */
	void *owner;		   /* of the user of the ring */
	_Atomic uint32_t started;  /* orders the submitter's writes before the reaper's reads */
	size_t moved_bytes;	   /* out, when reaped */
	struct transfer transfer;
};

/*
 * event_fd: an eventfd that every completion signals; -1 for a ring whose reaper
 * sleeps in ring_wait().
 * => 0 or negative errno, such as -ENOSYS, -EPERM, -ENOMEM
 */
int MUST_CHECK ring_create(uint32_t nr_requests, int event_fd, struct ring **out);
/* => nothing in flight, no task inside */
void ring_destroy(struct ring *ring);

/* => never sleeps; NULL when all requests are in use */
struct ring_request *ring_take(struct ring *ring, struct task *t);
/* => may sleep; the caller has no request that it has not started */
struct ring_request *ring_take_wait(struct ring *ring, struct task *t);
void ring_put(struct ring *ring, struct task *t, struct ring_request *request);

/* Starts a chain of requests linked by `next`. => may sleep */
void ring_start(struct ring *ring, struct task *t, struct ring_request *chain);

/*
 * The next finished request, or NULL. Its moved_bytes says how much was moved; an
 * error of the kernel counts as nothing moved: transfer_finish() finds out again.
 * => one task at a time
 */
struct ring_request *ring_reap(struct ring *ring);
/* Blocks until ring_reap() has something. => one task at a time */
void ring_wait(struct ring *ring);

#endif
