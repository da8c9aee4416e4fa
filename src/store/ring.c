/*
 * An io_uring with a fixed set of requests.
 *
 *     ring_take -> fill -> ring_start -> (kernel) -> ring_reap -> ring_put
 *        ^                                                           |
 *        +----------------------- pool, LIFO ------------------------+
 *
 * Three parties touch a ring, each its own part, so that none waits for another:
 *
 *     submitters   the submission queue, one at a time through `gate`, a sleeping
 *                  lock: io_uring_enter() copies the pages of a buffered write and
 *                  may take as long as that takes
 *     the reaper   the completion queue, one task at a time by contract
 *     both         the pool of requests, a short spin lock (LOCK_IO)
 *
 * The completion queue has room for every request of the pool at once, so it never
 * overflows. The pool is the limit: when it is empty a submitter sleeps until the
 * reaper gives a request back. LIFO keeps the touched part of the pool small.
 *
 * The kernel cancels what a thread has queued when this thread ends. Such requests
 * come back as -ECANCELED, and like every other error they mean "nothing moved":
 * the reaper moves the pages itself (transfer_finish), and only its result counts.
 *
 * What must never happen:
 *   1. a request that is prepared but not submitted while its submitter sleeps;
 *   2. a request that is lost: each one started is reaped exactly once.
 *
 * There is no Linux counterpart: this is the block layer's side of the fence.
 */
#include "store/ring.h"

#include <errno.h>

#ifdef NEAP_HAVE_LIBURING

#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#define RING_ENTRIES_MAX 128u

/* Legend: I immutable, p pool_lock, g gate, r the one reaper, a atomic. */
struct ring {
	struct io_uring uring;	       /* submission side g, completion side r */
	_Atomic uint32_t gate;	       /* a: 0 free, 1 taken, 2 taken and somebody waits */
	struct spinlock pool_lock;     /* LOCK_IO */
	struct ring_request *pool;     /* p: requests that were used and are free again */
	uint32_t nr_touched;	       /* p: requests beyond were never used and cost no memory */
	struct waitq pool_waiters;     /* a */
	struct ring_request *requests; /* I: nr_requests of them */
	uint32_t nr_requests;	       /* I */
	uint32_t nr_free;	       /* p */
};

int ring_create(uint32_t nr_requests, int event_fd, struct ring **out)
{
	struct io_uring_params params;
	struct ring *ring = calloc(1, sizeof(*ring));
	int ret = -ENOMEM;

	if (ring == NULL)
		return -ENOMEM;
	ring->requests = calloc(nr_requests, sizeof(*ring->requests));
	if (ring->requests == NULL)
		goto out_free;
	memset(&params, 0, sizeof(params));
	params.flags = IORING_SETUP_CQSIZE;
	params.cq_entries = nr_requests;
	ret = io_uring_queue_init_params(min_u32(nr_requests, RING_ENTRIES_MAX), &ring->uring,
					 &params);
	if (ret < 0)
		goto out_free;
	if (event_fd >= 0) {
		ret = io_uring_register_eventfd(&ring->uring, event_fd);
		if (ret < 0)
			goto out_exit;
	}
	ring->nr_requests = nr_requests;
	ring->nr_free = nr_requests;
	*out = ring;
	return 0;

out_exit:
	io_uring_queue_exit(&ring->uring);
out_free:
	free(ring->requests);
	free(ring);
	return ret;
}

void ring_destroy(struct ring *ring)
{
	CHECK(ring->nr_free == ring->nr_requests);
	io_uring_queue_exit(&ring->uring);
	free(ring->requests);
	free(ring);
}

struct ring_request *ring_take(struct ring *ring, struct task *t)
{
	struct ring_request *request;

	spin_lock(t, &ring->pool_lock, LOCK_IO);
	request = ring->pool;
	if (request != NULL)
		ring->pool = request->next;
	else if (ring->nr_touched < ring->nr_requests)
		request = &ring->requests[ring->nr_touched++];
	if (request != NULL)
		ring->nr_free--;
	spin_unlock(t, &ring->pool_lock, LOCK_IO);
	return request;
}

struct ring_request *ring_take_wait(struct ring *ring, struct task *t)
{
	struct ring_request *request = ring_take(ring, t);

	while (request == NULL) { /* event loop */
		uint32_t seq = waitq_begin(t, &ring->pool_waiters);

		request = ring_take(ring, t);
		if (request == NULL)
			(void)waitq_wait(t, &ring->pool_waiters, seq, RT_FOREVER);
		waitq_end(&ring->pool_waiters);
	}
	return request;
}

void ring_put(struct ring *ring, struct task *t, struct ring_request *request)
{
	spin_lock(t, &ring->pool_lock, LOCK_IO);
	request->next = ring->pool;
	ring->pool = request;
	ring->nr_free++;
	DCHECK(ring->nr_free <= ring->nr_requests);
	spin_unlock(t, &ring->pool_lock, LOCK_IO);
	waitq_wake(t, &ring->pool_waiters, 1);
}

/* ---- the submission queue ---- */

static void gate_enter(struct ring *ring, struct task *t)
{
	uint32_t expect = 0;

	if (atomic_compare_exchange_strong(&ring->gate, &expect, 1))
		return;
	while (atomic_exchange(&ring->gate, 2) != 0) /* event loop */
		(void)rt_wait(t, &ring->gate, 2, RT_FOREVER);
}

static void gate_leave(struct ring *ring, struct task *t)
{
	if (atomic_exchange(&ring->gate, 0) == 2)
		rt_wake(t, &ring->gate, 1);
}

/*
 * Hands everything prepared to the kernel. The kernel may be short of memory for
 * a while; nothing can be taken back from the queue, so this waits for better times.
 * => gate held, may sleep
 */
static void queue_flush(struct ring *ring, struct task *t)
{
	while (io_uring_sq_ready(&ring->uring) > 0) { /* event loop */
		int ret = io_uring_submit(&ring->uring);

		CHECK(ret >= 0 || ret == -EAGAIN || ret == -EBUSY || ret == -EINTR ||
		      ret == -ENOMEM);
		if (ret <= 0)
			rt_yield(t);
	}
}

static void queue_one(struct ring *ring, struct task *t, struct ring_request *request)
{
	const struct transfer *transfer = &request->transfer;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	uint64_t at = transfer->first_page << NEAP_PAGE_SHIFT;

	if (sqe == NULL) {
		queue_flush(ring, t);
		sqe = io_uring_get_sqe(&ring->uring);
		CHECK(sqe != NULL);
	}
	if (transfer->op == STORE_READ)
		io_uring_prep_readv(sqe, transfer->fd, transfer->iov, transfer->nr_pages, at);
	else
		io_uring_prep_writev(sqe, transfer->fd, transfer->iov, transfer->nr_pages, at);
	io_uring_sqe_set_data(sqe, request);
	atomic_store_explicit(&request->started, 1, memory_order_release);
}

void ring_start(struct ring *ring, struct task *t, struct ring_request *chain)
{
	gate_enter(ring, t);
	while (chain != NULL) {
		struct ring_request *next = chain->next; /* once flushed it is the reaper's */

		queue_one(ring, t, chain);
		chain = next;
	}
	queue_flush(ring, t);
	gate_leave(ring, t);
}

/* ---- the completion queue ---- */

struct ring_request *ring_reap(struct ring *ring)
{
	struct io_uring_cqe *cqe = NULL;
	struct ring_request *request;
	int32_t result;

	if (io_uring_peek_cqe(&ring->uring, &cqe) != 0 || cqe == NULL)
		return NULL;
	request = io_uring_cqe_get_data(cqe);
	result = cqe->res;
	io_uring_cqe_seen(&ring->uring, cqe);
	CHECK(atomic_exchange_explicit(&request->started, 0, memory_order_acquire) == 1);
	request->moved_bytes = result > 0 ? (size_t)result : 0;
	CHECK(request->moved_bytes <= transfer_bytes(&request->transfer));
	return request;
}

void ring_wait(struct ring *ring)
{
	struct io_uring_cqe *cqe;
	int ret;

	do { /* event loop */
		ret = io_uring_wait_cqe(&ring->uring, &cqe);
		CHECK(ret == 0 || ret == -EINTR || ret == -EAGAIN);
	} while (ret != 0);
}

#else

int ring_create(uint32_t nr_requests, int event_fd, struct ring **out)
{
	(void)nr_requests;
	(void)event_fd;
	(void)out;
	return -ENOSYS;
}

static NORETURN void ring_absent(const void *ring, const void *what)
{
	(void)ring;
	(void)what;
	check_fail(__FILE__, __LINE__, "a ring is used that ring_create() refused");
}

void ring_destroy(struct ring *ring)
{
	ring_absent(ring, NULL);
}

struct ring_request *ring_take(struct ring *ring, struct task *t)
{
	ring_absent(ring, t);
}

struct ring_request *ring_take_wait(struct ring *ring, struct task *t)
{
	ring_absent(ring, t);
}

void ring_put(struct ring *ring, struct task *t, struct ring_request *request)
{
	(void)t;
	ring_absent(ring, request);
}

void ring_start(struct ring *ring, struct task *t, struct ring_request *chain)
{
	(void)t;
	ring_absent(ring, chain);
}

struct ring_request *ring_reap(struct ring *ring)
{
	ring_absent(ring, NULL);
}

void ring_wait(struct ring *ring)
{
	ring_absent(ring, NULL);
}

#endif
