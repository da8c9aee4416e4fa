/*
 * Stores that keep their pages in files and block devices.
 *
 * One host serves any number of stores. With io_uring it needs the machine's
 * thread neap_io; without (old kernel, forbidden, not compiled in, no_uring) every
 * transfer completes inside submit() and the host says so once through warn().
 */
#ifndef NEAP_STORE_FILE_H
#define NEAP_STORE_FILE_H

#include "base/base.h"
#include "port/hw.h"
#include "port/store.h"
#include "store/swap_header.h"

struct store_file_host_options {
	bool no_uring; /* use plain calls; asked for, so without a warning */
	/* Told, at most once, why the host works without io_uring. May be NULL. */
	void (*warn)(void *ctx, const char *message);
	void *warn_ctx;
	uint32_t nr_slots; /* CPU slots of the machine: own rings for STORE_OWN; 0 = none */
};

/* => hw has real contents (-EINVAL with HW_CAP_TAGS) and outlives the host; 0 or negative errno */
int MUST_CHECK store_file_host_create(struct hw *hw, const struct store_file_host_options *options,
				      struct store_host **out);

/* Does the host use io_uring? For summaries. */
bool store_file_host_uring(const struct store_host *host);

struct store_file_spec {
	const char *path; /* NULL: an unnamed temporary file in `dir`, gone with the process */
	const char *dir;  /* of temporary files; NULL = /tmp */
	uint64_t pages;	  /* new: the size. Existing swap: at most this much is used, 0 = all */
	bool create;	  /* `path` is to be made; a plain file that exists already is refused */
	bool read_only;	  /* plain files only */
	bool swap;	  /* a swap area: with a header in page 0, locked, of fixed size */
	bool keep;	  /* a file made here stays when the store is closed */
	bool no_tmpfile;  /* do without O_TMPFILE, as on a file system that lacks it */
};

/*
 * Opens or makes a file as a store. A swap area at an existing path, with or without
 * `create`, must be a neap swap file, or a block device that mkswap has prepared.
 * => 0, or negative errno and a sentence in err (always terminated)
 */
int MUST_CHECK store_file_open(struct store_host *host, const struct store_file_spec *spec,
			       char *err, size_t err_bytes, struct store **out);

/* => 0, or -EINVAL if the store is no swap area */
int MUST_CHECK store_file_swap_info(const struct store *store, struct swap_header_info *out);

/* The descriptor, for digests; it belongs to the store. */
int store_file_fd(const struct store *store);

/* Writes one page past the engine, to fill a file before it is used. => 0 or negative errno */
int MUST_CHECK store_file_load(struct store *store, uint64_t page, const void *data);

#endif
