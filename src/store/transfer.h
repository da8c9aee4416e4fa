/* A run of adjacent pages on its way to or from a file descriptor. */
#ifndef NEAP_STORE_TRANSFER_H
#define NEAP_STORE_TRANSFER_H

#include <sys/uio.h>

#include "base/base.h"
#include "port/store.h"

#define TRANSFER_PAGES_MAX 64u

struct transfer {
	int fd;
	enum store_op op;
	uint64_t first_page; /* page number in the file */
	uint32_t nr_pages;
	/* One element a page; all are whole pages but the last, which the file's end may cut. */
	struct iovec iov[TRANSFER_PAGES_MAX];
	uint64_t cookie[TRANSFER_PAGES_MAX];
	int err[TRANSFER_PAGES_MAX]; /* out: 0 or negative errno */
};

size_t transfer_bytes(const struct transfer *transfer);

/*
 * Finishes a run of which the first `moved_bytes` bytes have been moved already.
 * => may block in the kernel; on return every page has its result in err[]
 */
void transfer_finish(struct transfer *transfer, size_t moved_bytes);

/*
 * Moves one page (or its first bytes.iov_len bytes). What a read finds missing behind
 * the end of the file is filled with zeroes.
 * => may block in the kernel; 0, -ENOSPC or -EIO
 */
int MUST_CHECK transfer_page(int fd, enum store_op op, uint64_t page, struct iovec bytes);

#endif
