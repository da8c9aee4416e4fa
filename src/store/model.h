/*
 * Stores on modelled devices, in virtual time.
 *
 * Completions arrive through rt's call_at() on the submitting CPU, so no reaper is
 * needed. Contents are tags or bytes, as the hardware has them.
 */
#ifndef NEAP_STORE_MODEL_H
#define NEAP_STORE_MODEL_H

#include "base/base.h"
#include "port/hw.h"
#include "port/store.h"
#include "store/model_device.h"

/* => rt keeps virtual time (else -ENOTSUP); hw and rt outlive the host; 0 or negative errno */
int MUST_CHECK store_model_host_create(struct hw *hw, struct rt *rt, struct store_host **out);

struct store_model_spec {
	uint64_t pages;			   /* size; 0 with a backing file = the size of that file */
	bool swap;			   /* of fixed size: a page outside is -EIO */
	bool rotational;		   /* of a device of its own */
	bool synchronous;		   /* completes inside submit() and takes no virtual time */
	bool real_contents;		   /* insist on bytes: -EINVAL on hardware with tags */
	struct store_device_cost cost;	   /* of a device of its own */
	struct store_model_device *device; /* share this one instead; may be NULL */
	const char *backing_path;	   /* an existing file for the contents; NULL = memory */
	uint64_t seed;			   /* of a device of its own */
};

/* => 0; -EINVAL a contradiction in the spec; what open(2) says about backing_path; -ENOMEM */
int MUST_CHECK store_model_open(struct store_host *host, const struct store_model_spec *spec,
				struct store **out);

/* Fills a page before the store is used; NULL data is zeroes. => 0 or negative errno */
int MUST_CHECK store_model_load(struct store *store, uint64_t page, const void *data, uint64_t tag);
/* Looks at a page past the queue: buf with real contents, else *tag. => 0 or negative errno */
int MUST_CHECK store_model_read_page(struct store *store, uint64_t page, void *buf, uint64_t *tag);

#endif
