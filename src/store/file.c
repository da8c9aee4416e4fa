/*
 * Stores that keep their pages in files and block devices.
 *
 *     submit(pages) -> runs of adjacent pages -> one vectored transfer each
 *
 *        STORE_OWN       ring of the submitter's slot   reaped in host->wait()
 *        otherwise       the shared ring                reaped in host->reap()
 *        no ring, busy   preadv/pwritev                 complete inside submit()
 *
 * The own ring of a slot belongs to one task at a time: from the first own submit
 * that put a request on it until host->wait() has reaped all of them. Another task
 * of that slot that comes in between uses plain calls, so nobody ever waits for a
 * ring. Own rings are made when first used: a slot that never waits costs nothing.
 *
 * The shared ring is reaped by the machine's thread neap_io. Completions signal an
 * eventfd, and so does kick(), so the reaper sleeps in one place for both.
 *
 * THE END OF A FILE. Pages are whole, files need not be. A read behind the end
 * gives zeroes. A write to the last page stops at the end, so that a file of 5000
 * bytes keeps 5000; a submit with a page behind the last one first extends the file
 * to the end of that page. (Who wants the last page whole truncates to more pages
 * before writing it.) A swap area has a fixed size, and a page outside it is -EIO.
 *
 * Writes are stable_writes: the kernel may copy a page, or checksum it, at any
 * time until it is done.
 *
 * Invariants
 *   1. every page of a submit is answered exactly once;
 *   2. a slot's ring is held exactly while requests of its holder are on it;
 *   3. a store is not touched after its last answer: the one who gets it may close.
 *
 * There is no Linux counterpart; mm/page_io.c is the caller's side of this.
 */
#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "store/file_open.h"
#include "store/ring.h"
#include "store/transfer.h"

#define SHARED_REQUESTS 1024u
#define OWN_REQUESTS 32u
#define BEST_BATCH_PAGES 32u

/* Legend: I immutable, a atomic, h the task that holds the slot. */
struct own_slot {
	_Atomic(struct task *) holder; /* a */
	struct ring *ring;	       /* h: NULL until first used */
	uint32_t in_flight;	       /* h: requests on the ring */
	bool refused;		       /* h: the kernel gave no ring; not asked again */
} CACHE_ALIGNED;

struct file_host {
	struct store_host host;
	struct hw *hw;			    /* I */
	struct store_file_host_options opt; /* I */
	struct ring *shared;		    /* I: NULL without io_uring */
	struct own_slot *own;		    /* I: opt.nr_slots of them */
	int event_fd;			    /* I: completions of the shared ring, and kicks */
	_Atomic uint32_t kicked;	    /* a */
	_Atomic uint32_t warned;	    /* a */
	_Atomic uint32_t nr_stores;	    /* a */
};

struct store_file {
	struct store store;
	struct file_host *host;	     /* I */
	struct file_opened file;     /* I, but size_bytes: see below */
	_Atomic uint64_t size_bytes; /* a */
	_Atomic uint32_t in_flight;  /* a: pages */
	_Atomic uint32_t no_punch;   /* a: holes cannot be punched, or must not be */
	bool swap;		     /* I */
	char *remove_path;	     /* I: to be removed on close, or NULL */
};

static struct file_host *host_of(struct store_host *host)
{
	return container_of(host, struct file_host, host);
}

static struct store_file *file_of(struct store *store)
{
	return container_of(store, struct store_file, store);
}

static const struct store_file *file_of_const(const struct store *store)
{
	return container_of(store, const struct store_file, store);
}

static void host_warn(struct file_host *host, int code)
{
	char message[160];

	if (host->opt.warn == NULL || atomic_exchange(&host->warned, 1) != 0)
		return;
	(void)snprintf(message, sizeof(message),
		       "io_uring is not available (%s): files and swap use plain reads and writes, "
		       "which is slower but does the same",
		       strerror(-code));
	host->opt.warn(host->opt.warn_ctx, message);
}

/* ---- from pages to transfers ---- */

/* One call of submit(): the pages that are not yet part of a transfer. */
struct submission {
	struct store_file *file;
	struct task *t;
	enum store_op op;
	const struct store_page *pages;
	uint32_t nr;
};

static uint64_t file_pages(const struct store_file *file)
{
	return (atomic_load(&file->size_bytes) + NEAP_PAGE_BYTES - 1) >> NEAP_PAGE_SHIFT;
}

/* May a transfer of this page start? Plain files are open-ended as far as offsets go. */
static bool page_allowed(const struct store_file *file, enum store_op op, uint64_t page)
{
	if (page >= (uint64_t)INT64_MAX >> NEAP_PAGE_SHIFT)
		return false;
	if (file->swap || (file->file.block && op == STORE_WRITE))
		return page < file_pages(file);
	return true;
}

/*
 * Extends the file to hold the pages of a write, all of them before the first is
 * cut to size: a page that was the last one no longer is.
 */
static void file_extend(struct store_file *file, const struct store_page *pages, uint32_t nr)
{
	uint64_t size = atomic_load(&file->size_bytes);
	uint64_t last = 0;

	for (uint32_t i = 0; i < nr; i++)
		if (page_allowed(file, STORE_WRITE, pages[i].offset))
			last = max_u64(last, pages[i].offset);
	while (last << NEAP_PAGE_SHIFT >= size) { /* retried when another task changed the size */
		if (atomic_compare_exchange_weak(&file->size_bytes, &size,
						 (last + 1) << NEAP_PAGE_SHIFT))
			break;
	}
}

/* The number of bytes of a page of the file that a write moves; less only for the last page. */
static size_t write_bytes(const struct store_file *file, uint64_t page)
{
	uint64_t start = page << NEAP_PAGE_SHIFT;
	uint64_t size = atomic_load(&file->size_bytes);

	/* Truncated at the same time: the caller's mistake. The whole page is the safe answer. */
	return start < size ? (size_t)min_u64(size - start, NEAP_PAGE_BYTES) : NEAP_PAGE_BYTES;
}

/* Appends one page to a transfer. => false if it is not adjacent, or the transfer is full */
static bool transfer_add(struct submission *s, struct transfer *transfer,
			 const struct store_page *page)
{
	struct hw *hw = s->file->host->hw;
	uint32_t at = transfer->nr_pages;

	if (at == TRANSFER_PAGES_MAX)
		return false;
	if (at > 0 && (page->offset != transfer->first_page + at ||
		       transfer->iov[at - 1].iov_len != NEAP_PAGE_BYTES))
		return false;
	if (at == 0)
		transfer->first_page = page->offset;
	transfer->iov[at].iov_base = hw_window(hw, page->pfn);
	transfer->iov[at].iov_len =
		s->op == STORE_WRITE ? write_bytes(s->file, page->offset) : NEAP_PAGE_BYTES;
	transfer->cookie[at] = page->cookie;
	transfer->nr_pages = at + 1;
	return true;
}

/*
 * Fills a transfer with the next run of adjacent pages. A page that cannot be is
 * answered on the way.
 * => false: no pages are left, nothing was filled
 */
static bool submission_next(struct submission *s, struct transfer *transfer)
{
	struct store *store = &s->file->store;

	transfer->fd = s->file->file.fd;
	transfer->op = s->op;
	transfer->nr_pages = 0;
	while (s->nr > 0) {
		if (!page_allowed(s->file, s->op, s->pages->offset)) {
			if (transfer->nr_pages > 0)
				break;
			atomic_fetch_sub(&s->file->in_flight, 1);
			store->done(store->done_ctx, s->t, s->pages->cookie, -EIO);
		} else if (!transfer_add(s, transfer, s->pages)) {
			break;
		}
		s->pages++;
		s->nr--;
	}
	return transfer->nr_pages > 0;
}

/* Answers all pages of a finished transfer. => the store may be gone afterwards */
static void file_answer(struct store_file *file, struct task *t, const struct transfer *transfer)
{
	store_done_fn done = file->store.done;
	void *ctx = file->store.done_ctx;

	DCHECK(atomic_load(&file->in_flight) >= transfer->nr_pages);
	atomic_fetch_sub(&file->in_flight, transfer->nr_pages);
	for (uint32_t i = 0; i < transfer->nr_pages; i++)
		done(ctx, t, transfer->cookie[i], transfer->err[i]);
}

/* ---- submitting ---- */

static void submit_plain(struct submission *s)
{
	struct transfer transfer;
	struct store_file *file = s->file;

	while (submission_next(s, &transfer)) {
		transfer_finish(&transfer, 0);
		file_answer(file, s->t, &transfer);
	}
}

/*
 * Puts the submission on a ring. With `may_wait` a used-up ring is waited for, and
 * the whole submission is started; otherwise the rest stays in *s.
 * => the number of requests started
 */
static uint32_t submit_ring(struct submission *s, struct ring *ring, bool may_wait)
{
	struct ring_request *chain = NULL;
	struct ring_request **tail = &chain;
	uint32_t started = 0;

	while (s->nr > 0) {
		struct ring_request *request = ring_take(ring, s->t);

		if (request == NULL) {
			if (chain != NULL)
				ring_start(ring, s->t, chain);
			chain = NULL;
			tail = &chain;
			if (!may_wait)
				break;
			request = ring_take_wait(ring, s->t);
		}
		if (!submission_next(s, &request->transfer)) {
			ring_put(ring, s->t, request);
			break;
		}
		request->owner = s->file;
		request->next = NULL;
		*tail = request;
		tail = &request->next;
		started++;
	}
	if (chain != NULL)
		ring_start(ring, s->t, chain);
	return started;
}

/* ---- own rings ---- */

/*
 * The slot whose ring the task holds, or NULL. Not always its present CPU's: that may have gone
 * offline in between.
 */
static struct own_slot *own_held(struct file_host *host, const struct task *t)
{
	uint32_t cpu = task_cpu(t);

	for (uint32_t i = 0; i < host->opt.nr_slots; i++) {
		struct own_slot *slot = &host->own[(cpu + i) % host->opt.nr_slots];

		if (atomic_load_explicit(&slot->holder, memory_order_relaxed) == t)
			return slot;
	}
	return NULL;
}

/*
 * The slot's ring for the task, unless another task holds it or there is none.
 * => NULL, or a slot that is held by t
 */
static struct own_slot *own_take(struct file_host *host, struct task *t)
{
	struct task *holder = NULL;
	uint32_t cpu = task_cpu(t);

	if (host->shared == NULL || cpu >= host->opt.nr_slots)
		return NULL;
	struct own_slot *slot = own_held(host, t);

	if (slot != NULL)
		return slot;
	slot = &host->own[cpu];
	if (!atomic_compare_exchange_strong(&slot->holder, &holder, t))
		return NULL;
	CHECK(slot->in_flight == 0);
	if (slot->ring == NULL && !slot->refused) {
		int ret = ring_create(OWN_REQUESTS, -1, &slot->ring);

		if (ret != 0) {
			slot->ring = NULL;
			slot->refused = true;
			host_warn(host, ret);
		}
	}
	if (slot->ring != NULL)
		return slot;
	atomic_store(&slot->holder, NULL);
	return NULL;
}

static void own_release(struct own_slot *slot)
{
	CHECK(slot->in_flight == 0);
	atomic_store(&slot->holder, NULL);
}

/* Settles and answers one reaped request. */
static void request_finish(struct ring *ring, struct task *t, struct ring_request *request)
{
	transfer_finish(&request->transfer, request->moved_bytes);
	file_answer(request->owner, t, &request->transfer);
	ring_put(ring, t, request);
}

static void own_reap_all(struct own_slot *slot, struct task *t)
{
	while (slot->in_flight > 0) { /* event loop */
		struct ring_request *request = ring_reap(slot->ring);

		if (request == NULL) {
			ring_wait(slot->ring);
			continue;
		}
		slot->in_flight--;
		request_finish(slot->ring, t, request);
	}
}

/* ---- operations of a store ---- */

static void file_submit(struct store *store, struct task *t, enum store_op op,
			const struct store_page *pages, uint32_t nr, uint32_t flags)
{
	struct store_file *file = file_of(store);
	struct submission s = { .file = file, .t = t, .op = op, .pages = pages, .nr = nr };
	struct own_slot *slot = NULL;

	rt_assert_may_sleep(t);
	if (nr == 0)
		return;
	atomic_fetch_add(&file->in_flight, nr);
	if (op == STORE_WRITE && !file->swap && !file->file.block)
		file_extend(file, pages, nr);
	if (file->host->shared != NULL && !(flags & STORE_OWN)) {
		(void)submit_ring(&s, file->host->shared, true);
		return;
	}
	if (flags & STORE_OWN)
		slot = own_take(file->host, t);
	if (slot != NULL) {
		slot->in_flight += submit_ring(&s, slot->ring, false);
		if (slot->in_flight == 0)
			own_release(slot);
	}
	if (s.nr > 0)
		submit_plain(&s);
}

static void file_geometry(struct store *store, struct store_geometry *out)
{
	const struct store_file *file = file_of(store);

	*out = (struct store_geometry){
		.pages = file_pages(file),
		.rotational = file->file.rotational,
		.synchronous = false,
		.stable_writes = true,
		.grows = !file->swap && !file->file.block,
		.best_batch = BEST_BATCH_PAGES,
	};
}

static void file_discard(struct store *store, struct task *t, uint64_t first, uint64_t nr)
{
	struct store_file *file = file_of(store);

	rt_assert_may_sleep(t);
	if (nr == 0 || first >= file_pages(file) || atomic_load(&file->no_punch) != 0)
		return;
	nr = min_u64(nr, file_pages(file) - first);
	if (fallocate(file->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(first << NEAP_PAGE_SHIFT), (off_t)(nr << NEAP_PAGE_SHIFT)) != 0 &&
	    errno != EINTR)
		atomic_store(&file->no_punch, 1); /* best effort: the space stays in use */
}

static int file_sync(struct store *store, struct task *t)
{
	const struct store_file *file = file_of(store);

	rt_assert_may_sleep(t);
	for (uint32_t attempt = 0; attempt < 100; attempt++) {
		if (fdatasync(file->file.fd) == 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
	return -EINTR;
}

static int file_truncate(struct store *store, struct task *t, uint64_t pages)
{
	struct store_file *file = file_of(store);

	rt_assert_may_sleep(t);
	if (file->swap || file->file.block)
		return -EINVAL;
	if (pages > (uint64_t)INT64_MAX >> NEAP_PAGE_SHIFT)
		return -EFBIG;
	if (pages == file_pages(file))
		return 0; /* a last page that the file's end cuts stays as it is */
	if (ftruncate(file->file.fd, (off_t)(pages << NEAP_PAGE_SHIFT)) != 0)
		return -errno;
	atomic_store(&file->size_bytes, pages << NEAP_PAGE_SHIFT);
	return 0;
}

static void file_close(struct store *store)
{
	struct store_file *file = file_of(store);

	CHECK(atomic_load(&file->in_flight) == 0);
	if (file->remove_path != NULL)
		file_open_remove(file->remove_path, &file->file);
	close(file->file.fd);
	atomic_fetch_sub(&file->host->nr_stores, 1);
	free(file->remove_path);
	free(file);
}

static const struct store_ops file_store_ops = {
	.submit = file_submit,
	.geometry = file_geometry,
	.discard = file_discard,
	.sync = file_sync,
	.truncate = file_truncate,
	.close = file_close,
};

int store_file_open(struct store_host *store_host, const struct store_file_spec *spec, char *err,
		    size_t err_bytes, struct store **out)
{
	struct file_host *host = host_of(store_host);
	struct store_file *file = calloc(1, sizeof(*file));
	bool keep = spec->path == NULL || spec->keep;
	int ret;

	if (err_bytes > 0)
		(void)snprintf(err, err_bytes, "no memory to open a store: close something");
	if (file == NULL)
		return -ENOMEM;
	if (!keep) {
		file->remove_path = strdup(spec->path);
		if (file->remove_path == NULL) {
			free(file);
			return -ENOMEM;
		}
	}
	ret = file_open(spec, &file->file, err, err_bytes);
	if (ret != 0) {
		free(file->remove_path);
		free(file);
		return ret;
	}
	if (!file->file.made) {
		free(file->remove_path);
		file->remove_path = NULL;
	}
	file->store.ops = &file_store_ops;
	file->store.host = store_host;
	file->host = host;
	file->swap = spec->swap;
	/* Holes are punched only where the contents are neap's own. */
	file->no_punch = file->file.block || !(file->file.made || spec->swap);
	atomic_store(&file->size_bytes, file->file.size_bytes);
	atomic_fetch_add(&host->nr_stores, 1);
	*out = &file->store;
	return 0;
}

int store_file_swap_info(const struct store *store, struct swap_header_info *out)
{
	const struct store_file *file = file_of_const(store);

	if (!file->swap)
		return -EINVAL;
	*out = file->file.swap;
	return 0;
}

int store_file_fd(const struct store *store)
{
	return file_of_const(store)->file.fd;
}

int store_file_load(struct store *store, uint64_t page, const void *data)
{
	struct store_file *file = file_of(store);
	char copy[NEAP_PAGE_BYTES];
	struct iovec bytes = { .iov_base = copy };

	if (!page_allowed(file, STORE_WRITE, page))
		return -EIO;
	memcpy(copy, data, sizeof(copy)); /* an iovec cannot say that it is only read */
	if (!file->swap && !file->file.block)
		file_extend(file, &(struct store_page){ .offset = page }, 1);
	bytes.iov_len = write_bytes(file, page);
	return transfer_page(file->file.fd, STORE_WRITE, page, bytes);
}

/* ---- operations of the host ---- */

static void host_wait(struct store_host *store_host, struct task *t, _Atomic uint32_t *word,
		      uint32_t expect)
{
	struct own_slot *slot = own_held(host_of(store_host), t);

	rt_assert_may_sleep(t);
	if (slot != NULL) {
		own_reap_all(slot, t);
		own_release(slot);
	}
	while (atomic_load(word) == expect) /* event loop */
		(void)rt_wait(t, word, expect, RT_FOREVER);
}

static uint32_t host_reap_ready(struct file_host *host, struct task *t)
{
	uint32_t delivered = 0;

	while (host->shared != NULL) { /* event loop: ends when the ring is empty */
		struct ring_request *request = ring_reap(host->shared);

		if (request == NULL)
			break;
		delivered += request->transfer.nr_pages;
		request_finish(host->shared, t, request);
	}
	return delivered;
}

static uint32_t host_reap(struct store_host *store_host, struct task *t)
{
	struct file_host *host = host_of(store_host);
	uint64_t signals;

	rt_assert_may_sleep(t);
	for (;;) { /* event loop */
		uint32_t delivered = host_reap_ready(host, t);

		if (atomic_exchange(&host->kicked, 0) != 0 || delivered > 0)
			return delivered;
		ssize_t n = read(host->event_fd, &signals, sizeof(signals));
		CHECK(n == (ssize_t)sizeof(signals) || errno == EINTR);
	}
}

static void host_kick(struct store_host *store_host)
{
	struct file_host *host = host_of(store_host);
	const uint64_t one = 1;

	atomic_store(&host->kicked, 1);
	ssize_t n = write(host->event_fd, &one, sizeof(one));
	CHECK(n == (ssize_t)sizeof(one) || errno == EINTR || errno == EAGAIN);
}

static void host_destroy(struct store_host *store_host)
{
	struct file_host *host = host_of(store_host);

	CHECK(atomic_load(&host->nr_stores) == 0);
	if (host->shared != NULL)
		ring_destroy(host->shared);
	for (uint32_t i = 0; i < host->opt.nr_slots; i++) {
		CHECK(atomic_load(&host->own[i].holder) == NULL);
		if (host->own[i].ring != NULL)
			ring_destroy(host->own[i].ring);
	}
	close(host->event_fd);
	free(host->own);
	free(host);
}

static const struct store_host_ops file_host_ops = {
	.wait = host_wait,
	.reap = host_reap,
	.kick = host_kick,
	.destroy = host_destroy,
};

int store_file_host_create(struct hw *hw, const struct store_file_host_options *options,
			   struct store_host **out)
{
	struct file_host *host;
	size_t own_bytes = max_u32(options->nr_slots, 1) * sizeof(struct own_slot);
	int ret = -ENOMEM;

	if (hw->caps & HW_CAP_TAGS)
		return -EINVAL;
	host = calloc(1, sizeof(*host));
	if (host == NULL)
		return -ENOMEM;
	host->own = aligned_alloc(_Alignof(struct own_slot), own_bytes);
	if (host->own == NULL)
		goto out_free;
	memset(host->own, 0, own_bytes);
	host->hw = hw;
	host->opt = *options;
	host->event_fd = eventfd(0, EFD_CLOEXEC);
	if (host->event_fd < 0) {
		ret = -errno;
		goto out_free;
	}
	host->host.ops = &file_host_ops;
	if (!options->no_uring) {
		ret = ring_create(SHARED_REQUESTS, host->event_fd, &host->shared);
		if (ret != 0) {
			host->shared = NULL;
			host_warn(host, ret);
		}
	}
	host->host.needs_reaper = host->shared != NULL;
	*out = &host->host;
	return 0;

out_free:
	free(host->own);
	free(host);
	return ret;
}

bool store_file_host_uring(const struct store_host *host)
{
	return container_of(host, const struct file_host, host)->shared != NULL;
}
