/* The contents of a modelled device. */
#ifndef NEAP_STORE_MODEL_DATA_H
#define NEAP_STORE_MODEL_DATA_H

#include "base/base.h"

struct model_data {
	bool tags;	     /* I: a page is one 64-bit tag; otherwise 4096 bytes */
	int fd;		     /* I: real contents lie in this file; -1 = in memory */
	uint64_t size_bytes; /* of that file */
	void **chunks;	     /* by page / MODEL_CHUNK_PAGES; NULL = never written, all zero */
	uint64_t nr_chunks;
};

/* => fd belongs to the data from now on, also after an error; 0 or -errno */
int MUST_CHECK model_data_init(struct model_data *data, bool tags, int fd);
void model_data_destroy(struct model_data *data);

/* Stores one page: `bytes` with real contents, `tag` otherwise. => 0, -ENOSPC, -EIO */
int MUST_CHECK model_data_put(struct model_data *data, uint64_t page, const void *bytes,
			      uint64_t tag);
/* The page will be fetched soon: asks for the memory that holds it. */
void model_data_soon(const struct model_data *data, uint64_t page);
/* Fetches one page into `bytes` (real contents) or *tag. => 0 or -EIO */
int MUST_CHECK model_data_get(struct model_data *data, uint64_t page, void *bytes, uint64_t *tag);
/* Extends a backing file, if need be, to hold page `last` whole. The rest is put's work. */
void model_data_extend(struct model_data *data, uint64_t last);
/* Makes pages read as zero again. Contents in a file are left alone. */
void model_data_drop(struct model_data *data, uint64_t first, uint64_t nr);
/* Cuts or extends to `pages` pages. => 0 or negative errno */
int MUST_CHECK model_data_resize(struct model_data *data, uint64_t pages);

#endif
