/*
 * The contents of a modelled device.
 *
 *     chunks   [ . | * | . | * ]            one pointer per 16384 pages
 *                    |       |
 *                  mmap    mmap             128 KiB of tags, or 64 MiB of bytes
 *
 * A simulated swap area may be far larger than the memory of the machine that
 * simulates it, and most of it is never written. So contents are sparse twice:
 * a chunk exists once one of its pages has been written, and of a chunk only the
 * touched parts cost memory (it is mapped without reservation). A page that was
 * never written reads as zeroes, or as tag 0.
 *
 * With a backing file the bytes go there instead, so that a job over a real file
 * leaves it as a plain program would have. The end of the file is respected like
 * in store/file: a write to the last page stops at the end, a write behind it
 * extends the file by whole pages.
 *
 * What must never happen: a lost page. When no chunk can be had the write is
 * -ENOSPC, like on a disk that is full.
 */
#include "store/model_data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "store/transfer.h"

#define MODEL_CHUNK_PAGES 16384u

static size_t page_bytes(const struct model_data *data)
{
	return data->tags ? sizeof(uint64_t) : NEAP_PAGE_BYTES;
}

static size_t chunk_bytes(const struct model_data *data)
{
	return MODEL_CHUNK_PAGES * page_bytes(data);
}

int model_data_init(struct model_data *data, bool tags, int fd)
{
	struct stat st;

	*data = (struct model_data){ .tags = tags, .fd = fd };
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || tags) {
		close(fd);
		data->fd = -1;
		return -EINVAL;
	}
	data->size_bytes = (uint64_t)st.st_size;
	return 0;
}

void model_data_destroy(struct model_data *data)
{
	for (uint64_t i = 0; i < data->nr_chunks; i++)
		if (data->chunks[i] != NULL)
			munmap(data->chunks[i], chunk_bytes(data));
	free(data->chunks);
	if (data->fd >= 0)
		close(data->fd);
	*data = (struct model_data){ .fd = -1 };
}

/* Where a page's contents lie, or NULL if it was never written. */
static void *slot_find(const struct model_data *data, uint64_t page)
{
	uint64_t chunk = page / MODEL_CHUNK_PAGES;

	if (chunk >= data->nr_chunks || data->chunks[chunk] == NULL)
		return NULL;
	return (char *)data->chunks[chunk] + (page % MODEL_CHUNK_PAGES) * page_bytes(data);
}

/* Makes the table long enough for a chunk. The table doubles, so that growing stays cheap. */
static int table_grow(struct model_data *data, uint64_t chunk)
{
	uint64_t nr = max_u64(max_u64(data->nr_chunks * 2, 16), chunk + 1);
	void **chunks;

	if (chunk < data->nr_chunks)
		return 0;
	if (chunk >= (uint64_t)INT64_MAX / MODEL_CHUNK_PAGES / NEAP_PAGE_BYTES)
		return -ENOSPC;
	chunks = realloc(data->chunks, nr * sizeof(*chunks));
	if (chunks == NULL)
		return -ENOSPC;
	memset(chunks + data->nr_chunks, 0, (nr - data->nr_chunks) * sizeof(*chunks));
	data->chunks = chunks;
	data->nr_chunks = nr;
	return 0;
}

/* Makes room for a page. => 0 or -ENOSPC */
static int slot_make(struct model_data *data, uint64_t page)
{
	uint64_t chunk = page / MODEL_CHUNK_PAGES;
	int ret = table_grow(data, chunk);
	void *memory;

	if (ret != 0 || data->chunks[chunk] != NULL)
		return ret;
	memory = mmap(NULL, chunk_bytes(data), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOSPC;
	data->chunks[chunk] = memory;
	return 0;
}

void model_data_extend(struct model_data *data, uint64_t last)
{
	if (last << NEAP_PAGE_SHIFT >= data->size_bytes)
		data->size_bytes = (last + 1) << NEAP_PAGE_SHIFT;
}

static int file_put(struct model_data *data, uint64_t page, const void *bytes)
{
	uint64_t start = page << NEAP_PAGE_SHIFT;
	char copy[NEAP_PAGE_BYTES];
	struct iovec iov = { .iov_base = copy, .iov_len = sizeof(copy) };

	if (page >= (uint64_t)INT64_MAX >> NEAP_PAGE_SHIFT)
		return -ENOSPC;
	model_data_extend(data, page);
	iov.iov_len = (size_t)min_u64(data->size_bytes - start, NEAP_PAGE_BYTES);
	memcpy(copy, bytes, sizeof(copy)); /* an iovec cannot say that it is only read */
	return transfer_page(data->fd, STORE_WRITE, page, iov);
}

int model_data_put(struct model_data *data, uint64_t page, const void *bytes, uint64_t tag)
{
	int ret;

	if (data->fd >= 0)
		return file_put(data, page, bytes);
	ret = slot_make(data, page);
	if (ret != 0)
		return ret;
	if (data->tags)
		memcpy(slot_find(data, page), &tag, sizeof(tag));
	else
		memcpy(slot_find(data, page), bytes, NEAP_PAGE_BYTES);
	return 0;
}

void model_data_soon(const struct model_data *data, uint64_t page)
{
	const void *slot = slot_find(data, page);

	if (slot != NULL)
		__builtin_prefetch(slot);
}

int model_data_get(struct model_data *data, uint64_t page, void *bytes, uint64_t *tag)
{
	void *to = data->tags ? (void *)tag : bytes;
	const void *from;

	CHECK(to != NULL);
	if (data->fd >= 0) {
		struct iovec iov = { .iov_base = bytes, .iov_len = NEAP_PAGE_BYTES };

		return transfer_page(data->fd, STORE_READ, page, iov);
	}
	from = slot_find(data, page);
	if (from == NULL)
		memset(to, 0, page_bytes(data));
	else
		memcpy(to, from, page_bytes(data));
	return 0;
}

void model_data_drop(struct model_data *data, uint64_t first, uint64_t nr)
{
	uint64_t limit = data->nr_chunks * MODEL_CHUNK_PAGES;
	uint64_t end = first + min_u64(nr, UINT64_MAX - first);
	uint64_t page = first;

	if (data->fd >= 0)
		return;
	end = min_u64(end, limit);
	while (page < end) {
		uint64_t left = MODEL_CHUNK_PAGES - page % MODEL_CHUNK_PAGES;
		uint64_t run = min_u64(left, end - page);
		char *at = slot_find(data, page);

		page += run;
		if (at == NULL)
			continue;
		/* Bytes are whole pages of the host and are given back; tags share theirs. */
		if (data->tags || madvise(at, run * page_bytes(data), MADV_DONTNEED) != 0)
			memset(at, 0, run * page_bytes(data));
	}
}

int model_data_resize(struct model_data *data, uint64_t pages)
{
	if (data->fd < 0) {
		model_data_drop(data, pages, UINT64_MAX - pages);
		return 0;
	}
	if (pages > (uint64_t)INT64_MAX >> NEAP_PAGE_SHIFT)
		return -EFBIG;
	if (ftruncate(data->fd, (off_t)(pages << NEAP_PAGE_SHIFT)) != 0)
		return -errno;
	data->size_bytes = pages << NEAP_PAGE_SHIFT;
	return 0;
}
