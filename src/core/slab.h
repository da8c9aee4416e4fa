/*
 * Slab caches: kernel objects of one size, several to a block of frames.
 *
 * A slab is a block of one order, or a single frame when there is no such block; its descriptor
 * says which of its objects are in use. Slabs are PG_SLAB and counted as slab.
 */
#ifndef NEAP_CORE_SLAB_H
#define NEAP_CORE_SLAB_H

#include "core/machine.h"

#define SLAB_OBJECTS_MAX 64u /* of one slab: one word of its descriptor */

/*
 * The order of the slabs of a cache: the smallest that holds as many objects as a machine with that
 * many CPUs wants and wastes at most a sixteenth, and so on with fewer objects and more waste.
 * object_bytes: 1 to 4096. => 0 to 3
 */
uint32_t slab_order(uint32_t object_bytes, uint32_t nr_cpus);
/* Slabs with free objects that a cache keeps although nothing in them is in use. */
uint32_t slab_kept(uint32_t object_bytes, uint32_t order, uint32_t nr_cpus);

/*
 * reclaimable: its frames are asked for with RECLAIMABLE and counted as reclaimable. The machine's
 * CPUs are known. => no object is in use
 */
void slab_init(struct neap_machine *m, struct slab_cache *cache, uint32_t object_bytes,
	       bool reclaimable);

/*
 * An object; its contents are undefined. May sleep if gfp says so.
 * => first frame of its slab, and which object of it; PFN_NONE if there is no memory
 */
uint32_t slab_alloc(struct task *t, struct slab_cache *cache, uint32_t gfp, uint32_t *number);
/* Never sleeps; nothing is held but pins and page locks. */
void slab_free(struct task *t, struct slab_cache *cache, uint32_t pfn, uint32_t number);
/* The same for objects that have no contents, so that any of the slab is as good. */
void slab_free_any(struct task *t, struct slab_cache *cache, uint32_t pfn);

/* Gives back every slab of which nothing is in use. Nothing held. */
void slab_drain(struct task *t, struct slab_cache *cache);

/* Frames of all slabs. */
static inline uint64_t slab_frames(const struct slab_cache *cache)
{
	return cache->nr_frames;
}

/* => NULL, or what is wrong. Everything stands still. */
const char *slab_verify(struct neap_machine *m, const struct slab_cache *cache);

#endif
