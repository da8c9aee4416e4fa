/*
 * Block-layer requests of pages that are written to swap: where their memory comes from.
 */
#ifndef NEAP_CORE_BIO_H
#define NEAP_CORE_BIO_H

#include "core/machine.h"

#define BIO_BYTES 192u		/* 120 of a bio, four vectors, aligned to cache lines */
#define BIO_PER_SLAB 21u	/* in a frame */
#define BIO_VECTORS_BYTES 4096u /* 256 vectors: file systems ask for as many as there can be */
#define BIO_NONE 0u		/* no request: the model is off, or the transfer needs none */

/* From now on every page written to swap needs a request. => nothing is in flight */
void bio_enable(struct neap_machine *m);

/*
 * A request for one page. If there is no memory for it, one of the pool's reserve; if that is in
 * use, sleeps until a request is finished: the caller has sent what it gathered. May sleep.
 * => BIO_NONE if the model is off
 */
uint32_t bio_get(struct task *t);
/* The same without sleeping. => BIO_NONE also if there is none now: then call bio_get() */
uint32_t bio_try_get(struct task *t);
/*
 * The vectors of a request of a file's pages: a frame's worth, however few of them are needed. Does
 * not wait for memory, and never fails in a way that matters: the pool has two.
 * => BIO_NONE: the model is off, or the pool's were taken. Never sleeps.
 */
uint32_t bio_get_vectors(struct task *t);
/* Never sleeps. */
void bio_put_vectors(struct task *t, uint32_t vectors);
/*
 * A request of that many pages of swap is sent: its table of segments comes from a slab of this
 * CPU, which gets one, and keeps it, when it needs its first table of that size. Never sleeps.
 */
void bio_use_segments(struct task *t, uint32_t nr_segments);
/* The request is finished. Never sleeps. */
void bio_put(struct task *t, uint32_t bio);

/* => NULL, or what is wrong. Everything stands still. */
const char *bio_verify(struct neap_machine *m);

#endif
