/*
 * Files through the page cache.
 *
 *   neap_file_read/write ─┐                        ┌─ hw window or tag of the frame
 *   neap_file_page_begin ─┴─ mapping_begin_access ─┤
 *                            (locked, up to date)  └─ mapping_end_access: dirty, maybe waits
 *
 * The engine's mapping holds the pages; the store behind it is a real file (live), a
 * modelled disk, or a modelled disk whose contents are a real file's (store.c). What
 * is done here is bytes: cutting a call into pages, the end of the file, growth.
 *
 * THE END. Stores move whole pages, files end anywhere. A store cuts writes to its
 * last page at its own size; so a file that grows beyond a cut page first has the
 * store lengthened (tail_bytes, file_lengthen()), and a file with a name is cut to
 * its exact size when it is synced and closed (file_cut()). Between, it may be longer
 * by less than two pages of zeroes.
 *
 * A write makes the file longer after the page is there and before it becomes dirty:
 * if no page can be had, the size stays.
 *
 * CLOSING with regions mapped writes back what is dirty and reports its errors; the
 * rest happens when the last region goes.
 *
 * What must never happen: a write error that nobody hears of. The mapping keeps the
 * first one until neap_file_sync() or neap_file_close() returns it.
 *
 * Linux: mm/filemap.c (generic_file_read_iter, generic_perform_write), fs/open.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "api/store.h"
#include "core/aops.h"
#include "core/fadvise.h"
#include "core/lru.h"
#include "core/stall.h"
#include "store/file.h"
#include "store/model.h"

/* The engine numbers the pages of a file with 32 bits. */
#define FILE_BYTES_MAX ((uint64_t)UINT32_MAX << NEAP_PAGE_SHIFT)

static uint64_t file_size(const struct neap_file *file)
{
	return atomic_load_explicit(&file->mapping->bytes, memory_order_acquire);
}

/* ---- life ---- */

static int file_open_mapping(struct task *t, struct neap_file *file, uint64_t bytes)
{
	struct store_geometry geometry;
	int err = mapping_create(t, &file->a->m, file->store, bytes, &file->mapping);

	if (err != 0)
		return err;
	file->store->ops->geometry(file->store, &geometry);
	file->grows = geometry.grows && !file->read_only;
	atomic_store(&file->tail_bytes, bytes % NEAP_PAGE_BYTES != 0 ? bytes : 0);
	return 0;
}

int neap_file_open(struct neap_machine *machine, const char *path, uint64_t bytes, uint32_t flags,
		   struct neap_file **out)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	struct api_file_spec spec = {
		.path = path,
		.bytes = bytes,
		.create = (flags & NEAP_FILE_CREATE) != 0,
		.read_only = (flags & NEAP_FILE_READ_ONLY) != 0,
	};
	struct neap_file *file;
	int err;

	if (t == NULL)
		return api_no_task(a);
	if (flags & ~(NEAP_FILE_CREATE | NEAP_FILE_READ_ONLY))
		return api_fail(a, -EINVAL, "The flags 0x%x are unknown.", flags);
	if (bytes > FILE_BYTES_MAX)
		return api_fail(a, -EINVAL, "A file of %llu bytes is not possible; 16 TiB are.",
				(unsigned long long)bytes);
	file = calloc(1, sizeof(*file));
	if (file == NULL)
		return -ENOMEM;
	api_access_flush(t);
	err = api_store_open_file(a, &spec);
	if (err != 0) {
		free(file);
		return err;
	}
	file->a = a;
	file->store = spec.store;
	file->inner = spec.inner;
	file->fd = spec.fd;
	file->owns_fd = spec.owns_fd;
	file->read_only = spec.read_only;
	err = file_open_mapping(t, file, spec.bytes);
	if (err != 0) {
		spec.store->ops->close(spec.store);
		if (spec.owns_fd)
			(void)close(spec.fd); /* nothing was written through it */
		free(file);
		return api_fail(a, err, "The file could not be opened: no page for its index.");
	}
	(void)pthread_mutex_lock(&a->guard);
	api_list_add(a, &a->files, &file->link);
	(void)pthread_mutex_unlock(&a->guard);
	*out = file;
	return 0;
}

/*
 * Gives a file with a name the size it should have. => 1 if it was longer, 0, or negative errno
 * => the guard is held, or nobody else uses the file: a writer who made it longer between the
 *    caller's look at the size and the cut would lose what is in the store already
 */
static int file_cut(struct neap_file *file, uint64_t bytes)
{
	struct stat status;

	if (file->fd < 0 || file->read_only)
		return 0;
	if (fstat(file->fd, &status) != 0)
		return -errno;
	if ((uint64_t)status.st_size <= bytes || !S_ISREG(status.st_mode))
		return 0;
	return ftruncate(file->fd, (off_t)bytes) == 0 ? 1 : -errno;
}

/* Makes a cut durable. cut: what file_cut() said. => 0 or negative errno */
static int file_cut_done(struct neap_file *file, int cut)
{
	if (cut > 0)
		return fsync(file->fd) == 0 ? 0 : -errno;
	return cut;
}

int api_file_close(struct task *t, struct neap_file *file)
{
	struct api_machine *a = file->a;
	uint64_t bytes = file_size(file);
	bool mapped;
	int err, cut;

	(void)pthread_mutex_lock(&a->guard);
	mapped = file->nr_regions != 0;
	file->closed = true;
	(void)pthread_mutex_unlock(&a->guard);
	if (mapped)
		return mapping_sync(t, file->mapping);
	err = mapping_destroy(t, file->mapping);
	cut = file_cut_done(file, file_cut(file, bytes));
	(void)pthread_mutex_lock(&a->guard);
	api_list_remove(a, &file->link);
	(void)pthread_mutex_unlock(&a->guard);
	file->store->ops->close(file->store);
	if (file->owns_fd && close(file->fd) != 0 && cut == 0)
		cut = -errno;
	free(file);
	return err != 0 ? err : cut;
}

int neap_file_close(struct neap_file *file)
{
	if (file == NULL)
		return 0;
	struct api_machine *a = file->a;
	struct task *t = api_task(a);
	int err;

	if (t == NULL)
		return api_no_task(a);
	api_access_flush(t);
	err = api_file_close(t, file);
	if (err != 0)
		return api_fail(a, err, "The file was not written back completely: %s.",
				strerror(-err));
	return 0;
}

uint64_t neap_file_bytes(const struct neap_file *file)
{
	return file_size(file);
}

int neap_file_sync(struct neap_file *file)
{
	struct task *t = api_task(file->a);
	int err, cut;

	if (t == NULL)
		return api_no_task(file->a);
	api_access_flush(t);
	err = mapping_sync(t, file->mapping);
	(void)pthread_mutex_lock(&file->a->guard);
	cut = file_cut(file, file_size(file));
	(void)pthread_mutex_unlock(&file->a->guard);
	cut = file_cut_done(file, cut);
	if (err == 0)
		err = cut;
	rt_preempt(t);
	if (err != 0)
		return api_fail(file->a, err, "The file was not written back completely: %s.",
				strerror(-err));
	return 0;
}

int64_t neap_file_drop(struct neap_file *file)
{
	struct task *t = api_task(file->a);

	if (t == NULL)
		return api_no_task(file->a);
	api_access_flush(t);
	int64_t dropped = (int64_t)file->mapping->ops->invalidate(t, file->mapping);

	rt_preempt(t);
	return dropped;
}

static void advise_file(struct task *t, struct mapping *mapping, uint64_t first, uint64_t nr,
			enum neap_advice advice)
{
	switch (advice) {
	case NEAP_NORMAL:
		fadvise_pattern(mapping, REGION_NORMAL);
		return;
	case NEAP_RANDOM:
		fadvise_pattern(mapping, REGION_RANDOM);
		return;
	case NEAP_SEQUENTIAL:
		fadvise_pattern(mapping, REGION_SEQUENTIAL);
		return;
	case NEAP_WILLNEED:
		fadvise_willneed(t, mapping, first, nr);
		return;
	case NEAP_DONTNEED:
		fadvise_dontneed(t, mapping, first, nr);
		return;
	case NEAP_COLD:
	case NEAP_PAGEOUT:
	case NEAP_LAZYFREE:
	case NEAP_POPULATE_READ:
	case NEAP_POPULATE_WRITE:
		return;
	}
}

int neap_file_advise(struct neap_file *file, uint64_t first_page, uint64_t nr_pages,
		     enum neap_advice advice)
{
	struct task *t = api_task(file->a);

	if (t == NULL)
		return api_no_task(file->a);
	api_access_flush(t);
	event_add(t, EV_SIM_ADVICE, 1);
	if ((unsigned int)advice >= 32 || !(NEAP_FILE_ADVICE >> advice & 1))
		return api_fail(file->a, -EINVAL,
				"Of a file can be said normal, random, sequential, willneed and"
				" dontneed; the rest is said of regions.");
	advise_file(t, file->mapping, first_page, nr_pages, advice);
	rt_preempt(t);
	return 0;
}

int neap_file_load(struct neap_file *file, uint64_t page_index, const void *data, uint64_t tag)
{
	static const char zeroes[NEAP_PAGE_BYTES];
	struct api_machine *a = file->a;
	struct task *t = api_task(a);
	uint32_t pfn;

	if (t == NULL)
		return api_no_task(a);
	if (page_index >= (file_size(file) + NEAP_PAGE_BYTES - 1) >> NEAP_PAGE_SHIFT)
		return api_fail(a, -EINVAL, "Page %llu is behind the end of the file.",
				(unsigned long long)page_index);
	pfn = mapping_find(t, file->mapping, page_index);
	if (pfn != PFN_NONE) {
		page_put(t, machine_page(&a->m, pfn));
		return api_fail(a, -EBUSY, "Page %llu is in the page cache already.",
				(unsigned long long)page_index);
	}
	if (a->sim)
		return store_model_load(file->inner, page_index, data, tag);
	return store_file_load(file->inner, page_index, data != NULL ? data : zeroes);
}

/* ---- pages ---- */

/*
 * The page at index, locked and up to date. *faulted: it was not cached.
 * => 0 and *pfn; file_page_done() follows
 */
static int file_page_get(struct task *t, struct neap_file *file, uint64_t index, uint32_t flags,
			 struct neap_page *page)
{
	struct neap_machine *m = t->machine;
	uint64_t begin_ns = rt_now(t);
	uint64_t spent_ns;
	int got;

	got = file->mapping->ops->write_begin(t, file->mapping, index, flags | MAPPING_ACCESSED,
					      &page->frame);
	spent_ns = rt_now(t) - begin_ns;
	if (spent_ns > API_STALL_NS)
		stall_record(t, spent_ns);
	if (got < 0)
		return got;
	page->faulted = got != 0;
	page->tag = file->a->tags ? m->hw->ops->tag(m->hw, page->frame) : NULL;
	page->data = file->a->tags ? NULL : hw_window(m->hw, page->frame);
	return 0;
}

static void file_page_done(struct task *t, struct neap_file *file, uint32_t pfn, bool written)
{
	struct api_machine *a = file->a;

	file->mapping->ops->write_end(t, file->mapping, pfn, written);
	rt_preempt(t);
	if (unlikely(atomic_load_explicit(&a->trace_drain, memory_order_relaxed)))
		api_trace_poll(a, t);
}

int neap_file_page_begin(struct neap_file *file, uint64_t page_index, uint32_t flags,
			 struct neap_page *page)
{
	struct api_machine *a = file->a;
	struct task *t = api_task(a);
	bool write = (flags & NEAP_PAGE_WRITE) != 0;
	bool overwrite = (flags & NEAP_PAGE_OVERWRITE) == NEAP_PAGE_OVERWRITE;
	int err;

	if (t == NULL)
		return api_no_task(a);
	if (page_index >= (file_size(file) + NEAP_PAGE_BYTES - 1) >> NEAP_PAGE_SHIFT)
		return api_fail(a, -EINVAL, "Page %llu is behind the end of the file.",
				(unsigned long long)page_index);
	if (write && file->read_only)
		return api_fail(a, -EACCES, "The file was opened read-only.");
	api_access_flush(t);
	err = file_page_get(t, file, page_index,
			    (overwrite ? MAPPING_OVERWRITE : 0) | (write ? MAPPING_WRITTEN : 0),
			    page);
	if (err != 0)
		return err;
	page->private_[2] = t;
	page->private_[3] = write ? page : NULL;
	return 0;
}

void neap_file_page_end(struct neap_file *file, struct neap_page *page)
{
	file_page_done(page->private_[2], file, page->frame, page->private_[3] != NULL);
}

/* ---- bytes ---- */

/* Checks what reads and writes have in common. => 0 or the error */
static int file_check(struct api_machine *a, struct task *t)
{
	if (t == NULL)
		return api_no_task(a);
	if (a->tags)
		return api_fail(
			a, -ENOTSUP,
			"The machine keeps tags instead of contents: bytes cannot be read or"
			" written.");
	api_access_flush(t);
	return 0;
}

int64_t neap_file_read(struct neap_file *file, uint64_t offset, void *buffer, size_t bytes)
{
	struct api_machine *a = file->a;
	struct task *t = api_task(a);
	uint64_t size = file_size(file);
	char *to = buffer;
	size_t done = 0;
	int err = file_check(a, t);

	if (err != 0)
		return err;
	bytes = (size_t)min_u64(bytes, offset < size ? size - offset : 0);
	while (done < bytes) {
		uint64_t at = offset + done;
		size_t part = (size_t)min_u64(bytes - done, NEAP_PAGE_BYTES - at % NEAP_PAGE_BYTES);
		struct neap_page page;

		err = file_page_get(t, file, at >> NEAP_PAGE_SHIFT, 0, &page);
		if (err != 0)
			break;
		memcpy(to + done, (char *)page.data + at % NEAP_PAGE_BYTES, part);
		file_page_done(t, file, page.frame, false);
		done += part;
	}
	return done != 0 || err == 0 ? (int64_t)done : err;
}

/* Makes the store keep whole pages up to `end`, if its last one was cut. => 0 or negative errno */
static int file_lengthen(struct task *t, struct neap_file *file, uint64_t end)
{
	uint64_t tail = atomic_load_explicit(&file->tail_bytes, memory_order_acquire);
	int err = 0;

	if (likely(tail == 0 || end <= tail))
		return 0;
	/* Under the guard, so that no other writer goes on before the store is longer. */
	(void)pthread_mutex_lock(&file->a->guard);
	tail = atomic_load(&file->tail_bytes);
	if (tail != 0) {
		/* One page more than there are: to the number it has, a store need not change. */
		err = file->store->ops->truncate(file->store, t, (tail >> NEAP_PAGE_SHIFT) + 2);
		if (err == 0)
			atomic_store(&file->tail_bytes, 0);
	}
	(void)pthread_mutex_unlock(&file->a->guard);
	return err;
}

/* The file has at least `end` bytes from now on. */
static void file_extend(struct neap_file *file, uint64_t end)
{
	if (likely(file_size(file) >= end))
		return;
	(void)pthread_mutex_lock(&file->a->guard);
	if (file_size(file) < end)
		mapping_set_bytes(file->mapping, end);
	(void)pthread_mutex_unlock(&file->a->guard);
}

static int file_write_part(struct task *t, struct neap_file *file, uint64_t at, const void *from,
			   size_t part)
{
	struct neap_page page;
	int err = file_lengthen(t, file, at + part);

	if (err == 0)
		err = file_page_get(
			t, file, at >> NEAP_PAGE_SHIFT,
			MAPPING_WRITTEN | (part == NEAP_PAGE_BYTES ? MAPPING_OVERWRITE : 0), &page);
	if (err != 0)
		return err;
	memcpy((char *)page.data + at % NEAP_PAGE_BYTES, from, part);
	file_extend(file, at + part);
	file_page_done(t, file, page.frame, true);
	return 0;
}

int64_t neap_file_write(struct neap_file *file, uint64_t offset, const void *buffer, size_t bytes)
{
	struct api_machine *a = file->a;
	struct task *t = api_task(a);
	const char *from = buffer;
	uint64_t limit = file->grows ? FILE_BYTES_MAX : file_size(file);
	size_t done = 0;
	int err = file_check(a, t);

	if (err != 0)
		return err;
	if (file->read_only)
		return api_fail(a, -EACCES, "The file was opened read-only.");
	if (bytes != 0 && offset >= limit)
		return api_fail(a, file->grows ? -EFBIG : -ENOSPC,
				"The file cannot have more than %llu bytes.",
				(unsigned long long)limit);
	bytes = (size_t)min_u64(bytes, limit - min_u64(offset, limit));
	while (done < bytes) {
		uint64_t at = offset + done;
		size_t part = (size_t)min_u64(bytes - done, NEAP_PAGE_BYTES - at % NEAP_PAGE_BYTES);

		err = file_write_part(t, file, at, from + done, part);
		if (err != 0)
			break;
		done += part;
	}
	return done != 0 || err == 0 ? (int64_t)done : err;
}
