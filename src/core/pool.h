/*
 * Pools: small objects with dense ids, in the machine's own frames.
 *
 * An object never moves while it lives, so both its id (from descriptors) and
 * its pointer are stable. A chunk is one frame of objects of one size; chunk
 * frames are PG_SLAB and counted as unreclaimable slab. Ids start at 1.
 *
 *   directory[chunk] -> frame -> object[(id - 1) % per_chunk]
 */
#ifndef NEAP_CORE_POOL_H
#define NEAP_CORE_POOL_H

#include "port/hw.h"
#include "port/rt.h"

#define POOL_MAX_CHUNKS 4096u
/* Exact as long as (highest id) * per_chunk < 2^40; pool.c asserts it. */
#define POOL_FACTOR_SHIFT 40u

struct pool {
	struct spinlock lock;  /* LOCK_SPACE guards what follows */
	uint32_t object_bytes; /* I */
	uint32_t per_chunk;    /* I */
	uint64_t chunk_factor; /* I: x * chunk_factor >> POOL_FACTOR_SHIFT = x / per_chunk */
	uint32_t nr_chunks;
	uint32_t nr_used;
	uint32_t free_id; /* head of the list of freed ids; an object's first 4 bytes link it */
	uint32_t next_id; /* never used yet */
	_Atomic uint32_t *directory; /* I: frame of each chunk */
	struct hw *hw;		     /* I */
};

/*
 * object_bytes: at least 8, at most 4096. directory: POOL_MAX_CHUNKS zeroed entries that live as
 * long as the pool.
 */
void pool_init(struct pool *pool, struct hw *hw, uint32_t object_bytes,
	       _Atomic uint32_t *directory);

/*
 * A new zeroed object. May sleep (allocates GFP_KERNEL).
 * => NULL when no frame could be had or the directory is full
 */
void *pool_alloc(struct task *t, struct pool *pool, uint32_t *id_out);
void pool_free(struct task *t, struct pool *pool, uint32_t id);

/* The object of a live id. */
static inline void *pool_get(const struct pool *pool, uint32_t id)
{
	uint32_t slot = id - 1;
	uint32_t chunk = (uint32_t)(slot * pool->chunk_factor >> POOL_FACTOR_SHIFT);
	uint32_t pfn = atomic_load_explicit(&pool->directory[chunk], memory_order_acquire);
	char *base = hw_window(pool->hw, pfn);

	return base + (size_t)(slot - chunk * pool->per_chunk) * pool->object_bytes;
}

/* The highest id ever given out; 0 if none. */
static inline uint32_t pool_last_id(const struct pool *pool)
{
	return pool->next_id - 1;
}

/* Gives the chunks' frames back. All objects are freed. */
void pool_destroy(struct task *t, struct pool *pool);

#endif
