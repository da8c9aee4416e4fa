/*
 * A run of adjacent pages on its way to or from a file descriptor.
 *
 *     file    | p | p+1 | p+2 | p+3 |          one vectored request
 *               |    |     |     |
 *     iov       f7   f2    f90   f1            frames lie anywhere
 *     err       0    0    -EIO   0             one result a page
 *
 * The kernel may move less than was asked for: at the end of a file, when the
 * disk fills up, at an unreadable block, after a signal. It then tells how much
 * was moved, but not why it stopped. So a run is finished like this:
 *
 *     1. pages that were moved whole are done;
 *     2. the rest is asked for again with one vectored call;
 *     3. when that moves not even one page, its first page is moved alone, and
 *        what the kernel says about this one page is the result of this page.
 *
 * Each round settles at least one page, so the number of calls is at most twice
 * the number of pages, and an error hits exactly the pages that caused it. A page
 * that was moved in part is moved again from its start: it is the same bytes.
 *
 * Results are the two that the contract names. A quota, a file size limit and a
 * full disk are all -ENOSPC, because the remedy is the same; everything else is
 * -EIO. A write that moves nothing and reports nothing is an error as well: it
 * would be tried for ever otherwise.
 *
 * What must never happen: a page without a result, or a page reported as written
 * of which a byte is missing.
 */
#include "store/transfer.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* A regular file or disk does not answer EAGAIN; this bounds what something stranger may do. */
#define IDLE_ATTEMPTS_MAX 1000u

static int error_of(int saved_errno)
{
	switch (saved_errno) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return -ENOSPC;
	default:
		return -EIO;
	}
}

size_t transfer_bytes(const struct transfer *transfer)
{
	size_t last = transfer->nr_pages - 1;

	return last * NEAP_PAGE_BYTES + transfer->iov[last].iov_len;
}

int transfer_page(int fd, enum store_op op, uint64_t page, struct iovec bytes)
{
	off_t at = (off_t)(page << NEAP_PAGE_SHIFT);
	size_t moved = 0;
	uint32_t idle = 0;

	while (moved < bytes.iov_len && idle < IDLE_ATTEMPTS_MAX) {
		char *from = (char *)bytes.iov_base + moved;
		size_t left = bytes.iov_len - moved;
		ssize_t n = op == STORE_READ ? pread(fd, from, left, at + (off_t)moved)
					     : pwrite(fd, from, left, at + (off_t)moved);

		if (n > 0) {
			moved += (size_t)n;
		} else if (n == 0 && op == STORE_READ) {
			memset(from, 0, left);
			return 0;
		} else if (n < 0 && errno != EINTR && errno != EAGAIN) {
			return error_of(errno);
		} else if (n == 0) {
			return -EIO;
		} else {
			idle++;
		}
	}
	return moved == bytes.iov_len ? 0 : -EIO;
}

/* Asks for pages first.. with one call. => the number of pages that were moved whole */
static uint32_t run_once(const struct transfer *transfer, uint32_t first)
{
	const struct iovec *iov = &transfer->iov[first];
	int nr = (int)(transfer->nr_pages - first);
	off_t at = (off_t)((transfer->first_page + first) << NEAP_PAGE_SHIFT);
	ssize_t n = transfer->op == STORE_READ ? preadv(transfer->fd, iov, nr, at)
					       : pwritev(transfer->fd, iov, nr, at);

	if (n <= 0)
		return 0; /* the next page, moved alone, finds out why */
	if ((size_t)n == transfer_bytes(transfer) - (size_t)first * NEAP_PAGE_BYTES)
		return (uint32_t)nr;
	return (uint32_t)((size_t)n / NEAP_PAGE_BYTES);
}

void transfer_finish(struct transfer *transfer, size_t moved_bytes)
{
	uint32_t nr = transfer->nr_pages;
	uint32_t settled = moved_bytes == transfer_bytes(transfer)
				   ? nr
				   : (uint32_t)(moved_bytes / NEAP_PAGE_BYTES);

	for (uint32_t i = 0; i < nr; i++)
		transfer->err[i] = 0;
	while (settled < nr) {
		uint32_t whole = nr - settled > 1 ? run_once(transfer, settled) : 0;

		if (whole == 0) {
			transfer->err[settled] = transfer_page(transfer->fd, transfer->op,
							       transfer->first_page + settled,
							       transfer->iov[settled]);
			whole = 1;
		}
		settled += whole;
	}
}
