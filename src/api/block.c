/*
 * Kernel-like blocks: frames taken as a driver or a network stack would take them,
 * without any page table or LRU list.
 *
 *   struct neap_block ── pfn, order      frames are PG_KERNEL while they are held
 *
 * They weigh on the machine: nothing can reclaim them. The request goes through the
 * same entry as everybody's (alloc_pages), with the caller's flags, so that jobs can
 * ask for atomic, order-3 or node-bound memory and see the allocator's real answer.
 *
 * A range is frames in a row that no order describes; each is a block of its own.
 *
 * What must never happen: a block freed twice, or with another order. The handle is
 * the only way to it.
 *
 * Linux: __get_free_pages() and free_pages() as modules call them.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/api.h"
#include "core/alloc.h"
#include "core/cma.h"
#include "core/contig.h"
#include "core/free_late.h"
#include "core/lru.h"
#include "core/mempolicy.h"
#include "core/shrinker.h"

#define GFP_KNOWN_BITS 0xffffffu

struct neap_block {
	uint32_t pfn;
	uint32_t order;
	uint32_t nr_range;    /* frames of a range, each for itself; 0: a block of the order */
	bool is_cma;	      /* the range is of the contiguous memory area */
	struct api_link link; /* g */
};

int neap_block_alloc(struct neap_machine *machine, uint32_t order, uint32_t gfp, int node,
		     struct neap_block **out)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	struct neap_block *block;

	if (t == NULL)
		return api_no_task(a);
	if (order > NEAP_MAX_ORDER || (gfp & ~GFP_KNOWN_BITS) != 0)
		return api_fail(a, -EINVAL,
				"A block of order %u with flags 0x%x is not possible;"
				" orders are 0 to %u, flags those of Linux 6.1.",
				order, gfp, NEAP_MAX_ORDER);
	if (node < NEAP_ANY_NODE || node >= (int)machine->nr_nodes)
		return api_fail(a, -EINVAL, "Node %d does not exist; the machine has %u.", node,
				machine->nr_nodes);
	block = calloc(1, sizeof(*block));
	if (block == NULL)
		return -ENOMEM;
	api_access_flush(t);
	struct alloc_request request = {
		.gfp = gfp | GFP_BIT_OWNED, /* nothing leads to the block but *out */
		.order = order,
		.node = node >= 0 ? (uint32_t)node : 0,
	};

	block->order = order;
	block->pfn = node >= 0 ? alloc_pages(t, &request) : mempolicy_alloc(t, request.gfp, order);
	if (block->pfn == PFN_NONE) {
		free(block);
		return -ENOMEM;
	}
	page_set(machine_page(machine, block->pfn), PG_KERNEL);
	(void)pthread_mutex_lock(&a->guard);
	api_list_add(a, &a->blocks, &block->link);
	(void)pthread_mutex_unlock(&a->guard);
	rt_preempt(t);
	*out = block;
	return 0;
}

/* The end of both functions below: err of the allocation. => 0 or -ENOMEM */
static int range_done(struct task *t, struct neap_block *block, int err, struct neap_block **out)
{
	struct api_machine *a = api_of(t->machine);

	if (err != 0) {
		free(block);
		return -ENOMEM; /* a task that ends gets no memory either */
	}
	(void)pthread_mutex_lock(&a->guard);
	api_list_add(a, &a->blocks, &block->link);
	(void)pthread_mutex_unlock(&a->guard);
	rt_preempt(t);
	*out = block;
	return 0;
}

int neap_range_alloc(struct neap_machine *machine, uint64_t bytes, int node,
		     struct neap_block **out)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	uint64_t nr_pages = bytes / NEAP_PAGE_BYTES + (bytes % NEAP_PAGE_BYTES != 0);

	if (t == NULL)
		return api_no_task(a);
	if (bytes == 0 || nr_pages > UINT32_MAX)
		return api_fail(a, -EINVAL, "A range of %llu bytes is not possible here.",
				(unsigned long long)bytes);
	if (node < NEAP_ANY_NODE || node >= (int)machine->nr_nodes)
		return api_fail(a, -EINVAL, "Node %d does not exist; the machine has %u.", node,
				machine->nr_nodes);
	struct neap_block *block = calloc(1, sizeof(*block));

	if (block == NULL)
		return -ENOMEM;
	api_access_flush(t);
	block->nr_range = (uint32_t)nr_pages;
	int err =
		contig_alloc_pages(t, node >= 0 ? (uint32_t)node : machine->cpus[task_cpu(t)].node,
				   block->nr_range, &block->pfn);

	return range_done(t, block, err, out);
}

int neap_cma_alloc(struct neap_machine *machine, uint64_t bytes, struct neap_block **out)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	uint64_t nr_pages = bytes / NEAP_PAGE_BYTES + (bytes % NEAP_PAGE_BYTES != 0);

	if (t == NULL)
		return api_no_task(a);
	if (bytes == 0 || machine->cma.nr_pages == 0)
		return api_fail(a, -EINVAL, "The machine has no contiguous memory area (cma).");
	struct neap_block *block = calloc(1, sizeof(*block));

	if (block == NULL)
		return -ENOMEM;
	api_access_flush(t);
	block->is_cma = true;
	block->nr_range = (uint32_t)min_u64(nr_pages, UINT32_MAX);
	return range_done(t, block, cma_alloc(t, machine, block->nr_range, &block->pfn), out);
}

/* => the block is in no list any more */
static void block_release(struct task *t, struct neap_block *block)
{
	/* In a shrinker of the program this is what reclaim wants to know. */
	shrinker_tally_freed(t, block->nr_range != 0 ? block->nr_range : 1u << block->order);
	if (block->is_cma) {
		cma_release(t, t->machine, block->pfn, block->nr_range);
	} else if (block->nr_range != 0) {
		contig_free(t, block->pfn, block->nr_range);
	} else {
		/*
		 * Not always the last reference: if the block came by the long way, an old table
		 * entry may have led somebody here. Freeing clears all flags; the descriptor is not
		 * touched before.
		 */
		free_pages_put(t, block->pfn, block->order);
	}
	free(block);
}

void neap_block_free(struct neap_machine *machine, struct neap_block *block)
{
	struct api_machine *a = api_of(machine);

	if (block == NULL)
		return;
	struct task *t = api_task(a);

	if (t == NULL) {
		(void)api_no_task(a);
		return;
	}
	(void)pthread_mutex_lock(&a->guard);
	api_list_remove(a, &block->link);
	(void)pthread_mutex_unlock(&a->guard);
	block_release(t, block);
	rt_preempt(t);
}

void api_blocks_free(struct task *t, struct api_machine *a)
{
	while (a->blocks.next != &a->blocks) {
		struct neap_block *block = container_of(a->blocks.next, struct neap_block, link);

		api_list_remove(a, &block->link);
		block_release(t, block);
	}
}
