/*
 * Stores on modelled devices, in virtual time.
 *
 *     submit -> runs of adjacent pages -> model_device: when is it finished?
 *                     |                          |
 *                  request ------- call_at(submitter's CPU, finish) -----> done()
 *
 * A store is a device (model_device: when) and contents (model_data: what). The
 * device decides nothing but times, so one device may serve several stores: a swap
 * area and a file on one throttled disk compete as they would on a real one.
 *
 * A write takes the contents at submit, so frames may change while it is in flight
 * (stable_writes is false); a read delivers them when it is finished. A page that
 * is being written is never read by the engine, so nobody can tell the difference
 * to a device that writes later.
 *
 * Runs of adjacent pages become one request of at most 256 pages, as the block
 * layer merges them. A request lives in one allocation; those of few pages are kept
 * for the next ones. If there is no memory for it, or no timer, it completes at
 * once: early, but complete.
 *
 * Everything here runs under the virtual clock, where one task runs at a time, and
 * nothing here meets a preempt point half way; so there are no locks.
 *
 * What must never happen: a page answered twice or never; a time that depends on
 * an address or on the host's clock.
 *
 * There is no Linux counterpart; mm/page_io.c is the caller's side of this.
 */
#include "store/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/model_data.h"

#define REQUEST_PAGES_MAX 256u
#define REQUEST_PAGES_KEPT 8u /* requests of so few are kept, with room for that many */
#define BEST_BATCH_PAGES 32u

struct model_host {
	struct store_host host;
	struct hw *hw;
	struct rt *rt;
	uint32_t nr_stores;
	struct model_request *kept; /* not in use; linked by next */
};

struct model_store {
	struct store store;
	struct model_host *host;
	struct store_model_device *device; /* NULL: synchronous */
	bool own_device;
	bool swap;
	uint32_t area; /* this store's number on the device */
	uint64_t pages;
	uint64_t in_flight; /* pages */
	struct model_data data;
};

struct model_page {
	uint64_t cookie;
	uint32_t pfn;
	int32_t err; /* of a write, known at submit */
};

struct model_request {
	struct model_store *model;
	struct model_request *next;
	enum store_op op;
	uint32_t nr;
	uint64_t first;
	struct model_page pages[];
};

static struct model_store *model_of(struct store *store)
{
	return container_of(store, struct model_store, store);
}

static struct model_host *host_of(struct store_host *host)
{
	return container_of(host, struct model_host, host);
}

/* ---- contents ---- */

static bool page_allowed(const struct model_store *model, uint64_t page)
{
	return !model->swap || page < model->pages;
}

static int page_write(struct model_store *model, const struct store_page *page)
{
	struct hw *hw = model->host->hw;
	int ret;

	if (!page_allowed(model, page->offset))
		return -EIO;
	if (model->data.tags)
		ret = model_data_put(&model->data, page->offset, NULL,
				     *hw->ops->tag(hw, page->pfn));
	else
		ret = model_data_put(&model->data, page->offset, hw_window(hw, page->pfn), 0);
	if (ret == 0)
		model->pages = max_u64(model->pages, page->offset + 1);
	return ret;
}

static int page_read(struct model_store *model, uint64_t page, uint32_t pfn)
{
	struct hw *hw = model->host->hw;

	if (!page_allowed(model, page))
		return -EIO;
	if (model->data.tags)
		return model_data_get(&model->data, page, NULL, hw->ops->tag(hw, pfn));
	return model_data_get(&model->data, page, hw_window(hw, pfn), NULL);
}

/* What page_read() will touch, random memory all of it, is asked for when the request comes. */
static void page_read_soon(const struct model_store *model, uint64_t page, uint32_t pfn)
{
	struct hw *hw = model->host->hw;

	if (!model->data.tags)
		return;
	__builtin_prefetch(hw->ops->tag(hw, pfn), 1);
	model_data_soon(&model->data, page);
}

/* ---- requests ---- */

static struct model_request *request_get(struct model_host *host, uint32_t nr)
{
	struct model_request *request = host->kept;

	if (nr > REQUEST_PAGES_KEPT || request == NULL)
		return malloc(sizeof(*request) +
			      max_u32(nr, REQUEST_PAGES_KEPT) * sizeof(request->pages[0]));
	host->kept = request->next;
	return request;
}

/* host: not the store's, which may be gone */
static void request_put(struct model_host *host, struct model_request *request)
{
	if (request->nr > REQUEST_PAGES_KEPT) {
		free(request);
		return;
	}
	request->next = host->kept;
	host->kept = request;
}

static void model_answer(struct model_store *model, struct task *t, uint64_t cookie, int err)
{
	CHECK(model->in_flight > 0);
	model->in_flight--;
	model->store.done(model->store.done_ctx, t, cookie, err);
}

/* => completion context; the store may be gone afterwards */
static void request_finish(struct task *t, struct model_request *request)
{
	struct model_host *host = request->model->host;

	for (uint32_t i = 0; i < request->nr; i++) {
		const struct model_page *page = &request->pages[i];
		int err = page->err;

		if (request->op == STORE_READ)
			err = page_read(request->model, request->first + i, page->pfn);
		else if (err == 0 && request->model->host->rt->explore)
			err = page_write(request->model,
					 &(struct store_page){ .offset = request->first + i,
							       .pfn = page->pfn });
		model_answer(request->model, t, page->cookie, err);
	}
	request_put(host, request);
}

static void request_fired(struct task *irq, void *arg, uint64_t a, uint64_t b)
{
	(void)a;
	(void)b;
	request_finish(irq, arg);
}

/* The number of pages at the front that make up one request. */
static uint32_t run_length(const struct store_page *pages, uint32_t nr)
{
	uint32_t run = 1;

	while (run < nr && run < REQUEST_PAGES_MAX && pages[run].offset == pages[0].offset + run)
		run++;
	return run;
}

/* All pages of a write, before the first is cut to the size of a backing file. */
static void extend(struct model_store *model, const struct store_page *pages, uint32_t nr)
{
	uint64_t last = 0;

	if (model->swap || model->data.fd < 0)
		return;
	for (uint32_t i = 0; i < nr; i++)
		if (pages[i].offset < (uint64_t)INT64_MAX >> NEAP_PAGE_SHIFT)
			last = max_u64(last, pages[i].offset);
	model_data_extend(&model->data, last);
}

static void run_now(struct model_store *model, struct task *t, enum store_op op,
		    const struct store_page *pages, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		int err = op == STORE_WRITE ? page_write(model, &pages[i])
					    : page_read(model, pages[i].offset, pages[i].pfn);

		model_answer(model, t, pages[i].cookie, err);
	}
}

static void run_start(struct model_store *model, struct task *t, enum store_op op,
		      const struct store_page *pages, uint32_t nr)
{
	struct model_request *request = NULL;
	uint64_t finish_ns;

	if (model->device != NULL)
		request = request_get(model->host, nr);
	if (request == NULL) {
		run_now(model, t, op, pages, nr);
		return;
	}
	request->model = model;
	request->op = op;
	request->nr = nr;
	request->first = pages[0].offset;
	for (uint32_t i = 0; i < nr; i++) {
		request->pages[i].cookie = pages[i].cookie;
		request->pages[i].pfn = pages[i].pfn;
		request->pages[i].err = op == STORE_WRITE ? page_write(model, &pages[i]) : 0;
		if (op == STORE_READ)
			page_read_soon(model, request->first + i, pages[i].pfn);
	}
	finish_ns = model_device_serve(model->device, rt_now(t), model->area, request->first, nr);
	if (op == STORE_WRITE && t->rt->ops->host_work != NULL)
		t->rt->ops->host_work(t, model_device_host_ns(model->device, nr));
	if (t->rt->ops->call_at(t, task_cpu(t), finish_ns, request_fired, request, 0, 0) != 0)
		request_finish(t, request);
}

/* ---- operations of a store ---- */

static void model_submit(struct store *store, struct task *t, enum store_op op,
			 const struct store_page *pages, uint32_t nr, uint32_t flags)
{
	struct model_store *model = model_of(store);
	uint32_t run;

	(void)flags; /* completions find their way without a reaper, own or not */
	rt_assert_may_sleep(t);
	model->in_flight += nr;
	if (op == STORE_WRITE)
		extend(model, pages, nr);
	for (uint32_t i = 0; i < nr; i += run) {
		run = run_length(pages + i, nr - i);
		run_start(model, t, op, pages + i, run);
	}
}

static void model_geometry(struct store *store, struct store_geometry *out)
{
	const struct model_store *model = model_of(store);

	*out = (struct store_geometry){
		.pages = model->pages,
		.rotational = model->device != NULL && model_device_rotational(model->device),
		.synchronous = model->device == NULL,
		.stable_writes = false,
		.grows = !model->swap,
		.best_batch = BEST_BATCH_PAGES,
	};
}

static void model_discard(struct store *store, struct task *t, uint64_t first, uint64_t nr)
{
	(void)t;
	model_data_drop(&model_of(store)->data, first, nr);
}

static int model_sync(struct store *store, struct task *t)
{
	struct model_store *model = model_of(store);
	uint64_t now_ns = rt_now(t);

	rt_assert_may_sleep(t);
	if (model->device != NULL)
		rt_sleep(t, model_device_flush(model->device, now_ns) - now_ns);
	return 0;
}

static int model_truncate(struct store *store, struct task *t, uint64_t pages)
{
	struct model_store *model = model_of(store);
	int ret;

	rt_assert_may_sleep(t);
	if (model->swap)
		return -EINVAL;
	if (pages == model->pages)
		return 0; /* a last page that the backing file's end cuts stays as it is */
	ret = model_data_resize(&model->data, pages);
	if (ret == 0)
		model->pages = pages;
	return ret;
}

static void model_close(struct store *store)
{
	struct model_store *model = model_of(store);

	CHECK(model->in_flight == 0);
	CHECK(model->host->nr_stores > 0);
	model->host->nr_stores--;
	if (model->device != NULL)
		model_device_detach(model->device);
	if (model->own_device)
		store_model_device_destroy(model->device);
	model_data_destroy(&model->data);
	free(model);
}

static const struct store_ops model_store_ops = {
	.submit = model_submit,
	.geometry = model_geometry,
	.discard = model_discard,
	.sync = model_sync,
	.truncate = model_truncate,
	.close = model_close,
};

/* ---- opening ---- */

static int open_contents(struct model_store *model, const struct store_model_spec *spec)
{
	bool tags = (model->host->hw->caps & HW_CAP_TAGS) != 0;
	int fd = -1;
	int ret;

	if (tags && (spec->real_contents || spec->backing_path != NULL))
		return -EINVAL;
	if (spec->backing_path != NULL) {
		fd = open(spec->backing_path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0 && (errno == EACCES || errno == EROFS))
			fd = open(spec->backing_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			return -errno;
	}
	ret = model_data_init(&model->data, tags, fd);
	model->pages = spec->pages;
	if (ret == 0 && spec->pages == 0)
		model->pages = (model->data.size_bytes + NEAP_PAGE_BYTES - 1) >> NEAP_PAGE_SHIFT;
	return ret;
}

static int open_device(struct model_store *model, const struct store_model_spec *spec)
{
	int ret = 0;

	if (spec->synchronous)
		return 0;
	model->device = spec->device;
	if (model->device == NULL) {
		ret = store_model_device_create(&spec->cost, spec->rotational, spec->seed,
						&model->device);
		model->own_device = ret == 0;
	}
	if (ret == 0)
		model->area = model_device_attach(model->device);
	return ret;
}

int store_model_open(struct store_host *host, const struct store_model_spec *spec,
		     struct store **out)
{
	struct model_store *model;
	int ret;

	if (spec->swap && spec->pages < 2)
		return -EINVAL;
	model = calloc(1, sizeof(*model));
	if (model == NULL)
		return -ENOMEM;
	model->store.ops = &model_store_ops;
	model->store.host = host;
	model->host = host_of(host);
	model->swap = spec->swap;
	model->data.fd = -1;
	ret = open_contents(model, spec);
	if (ret == 0)
		ret = open_device(model, spec);
	if (ret != 0) {
		model_data_destroy(&model->data);
		free(model);
		return ret;
	}
	model->host->nr_stores++;
	*out = &model->store;
	return 0;
}

int store_model_load(struct store *store, uint64_t page, const void *data, uint64_t tag)
{
	static const char zeroes[NEAP_PAGE_BYTES];
	struct model_store *model = model_of(store);
	int ret;

	if (!page_allowed(model, page))
		return -EIO;
	ret = model_data_put(&model->data, page, data != NULL ? data : zeroes, tag);
	if (ret == 0)
		model->pages = max_u64(model->pages, page + 1);
	return ret;
}

int store_model_read_page(struct store *store, uint64_t page, void *buf, uint64_t *tag)
{
	struct model_store *model = model_of(store);

	if (!page_allowed(model, page))
		return -EIO;
	return model_data_get(&model->data, page, buf, tag);
}

/* ---- operations of the host ---- */

static void host_wait(struct store_host *host, struct task *t, _Atomic uint32_t *word,
		      uint32_t expect)
{
	(void)host;
	rt_assert_may_sleep(t);
	/* The caller has told that the task waits (rt_tell()). */
	while (atomic_load(word) == expect) { /* event loop */
		rt_explore(t);
		(void)t->rt->ops->wait(t, word, expect, RT_FOREVER);
	}
}

static uint32_t host_reap(struct store_host *host, struct task *t)
{
	(void)host;
	(void)t;
	return 0; /* completions come through call_at(): there is nothing to wait for here */
}

static void host_kick(struct store_host *host)
{
	(void)host;
}

static void host_destroy(struct store_host *host)
{
	struct model_host *model = host_of(host);
	struct model_request *next;

	CHECK(model->nr_stores == 0);
	for (struct model_request *request = model->kept; request != NULL; request = next) {
		next = request->next;
		free(request);
	}
	free(model);
}

static const struct store_host_ops model_host_ops = {
	.wait = host_wait,
	.reap = host_reap,
	.kick = host_kick,
	.destroy = host_destroy,
};

int store_model_host_create(struct hw *hw, struct rt *rt, struct store_host **out)
{
	struct model_host *host;

	if (!rt->virtual_time)
		return -ENOTSUP;
	host = calloc(1, sizeof(*host));
	if (host == NULL)
		return -ENOMEM;
	host->host.ops = &model_host_ops;
	host->hw = hw;
	host->rt = rt;
	*out = &host->host;
	return 0;
}
