/*
 * hw/soft: frames, their contents, and the function table.
 *
 * All frames of the machine are one reserved range of address space, the direct map, so that
 * a frame number and a pointer are one addition apart:
 *
 *	frames            frames + 4096        frames + pfn * 4096
 *	| frame 0 (never) | frame 1 | ........ | frame pfn | ........ |
 *
 * Reserving costs nothing: the range is private, anonymous and not counted by the host until a
 * page of it is touched. Huge host pages are refused for it, because one touched frame would
 * otherwise make 511 neighbours resident, and a machine's resident set is one of our promises.
 *
 * With tags the direct map is the same, but only frames that hold engine metadata (tables, what
 * the engine reaches by window()) are ever touched; the contents of every other frame is one word:
 *
 *	tags              | 0 | tag of 1 | tag of 2 | ........ |
 *
 * so a simulated machine of 64 GiB fits in the memory that its descriptors need. copy() and
 * zero() then work on tags alone, and a frame's bytes are left as they are.
 *
 * reserve() hands out more such ranges, for the engine's arrays. They are kept in a list
 * that only grows, and are unmapped with the hardware. With real contents an array of some MiB
 * lies on huge host pages, if the host has them: the descriptors of a machine in use are all over
 * the place, and one for each 4 KiB of them would be too many translations. Their memory is less
 * than a hundredth of the frames'.
 *
 * What must never happen: a frame number outside the machine used as an index. Every entry into
 * the hardware CHECKs it, as the engine's own numbers are the only source of them.
 *
 * There is no file in Linux that this answers to: it plays the memory controller and the direct
 * map that the kernel sets up at boot.
 */
#include "hw/soft/soft.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hw/soft/table.h"

#define HUGE_BYTES ((size_t)(2 * MIB))
/* Of larger arrays only what is touched shall cost: these belong to machines of up to 8 GiB. */
#define HUGE_ARRAY_BYTES_MAX ((size_t)(64 * MIB))

/* One range that was reserved. */
struct soft_chunk {
	struct soft_chunk *next;
	void *start;
	size_t bytes;
};

static struct soft *soft_of(struct hw *hw)
{
	return container_of(hw, struct soft, hw);
}

static void soft_check_pfn(const struct soft *soft, uint32_t pfn)
{
	CHECK(pfn != PFN_NONE && pfn < soft->nr_frames);
}

/* Zeroed address space that costs nothing until touched. => NULL: the host has none */
static void *soft_map_memory(size_t bytes)
{
	void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		return NULL;
	/* Refused only by a host without huge pages, and then it is not needed. */
	(void)madvise(start, bytes, MADV_NOHUGEPAGE);
	return start;
}

/* munmap() of a range that was mapped fails only if the range is another one by now. */
static void soft_unmap_memory(void *start, size_t bytes)
{
	int err = munmap(start, bytes);

	CHECK(err == 0);
}

/* The same on huge host pages, as far as whole ones fit in. => NULL: the host has none */
static void *soft_map_huge(size_t bytes)
{
	size_t whole = (size_t)round_up_u64(bytes, NEAP_PAGE_BYTES);
	char *low = soft_map_memory(whole + HUGE_BYTES);

	if (low == NULL)
		return NULL;
	size_t before = (HUGE_BYTES - (uintptr_t)low % HUGE_BYTES) % HUGE_BYTES;
	char *start = low + before;

	if (before != 0)
		soft_unmap_memory(low, before);
	soft_unmap_memory(start + whole, HUGE_BYTES - before);
	/* A host may refuse it; small pages do as well. */
	(void)madvise(start, bytes - bytes % HUGE_BYTES, MADV_HUGEPAGE);
	return start;
}

static bool soft_wants_huge(const struct soft *soft, size_t bytes)
{
	return (soft->hw.caps & HW_CAP_TAGS) == 0 && bytes >= HUGE_BYTES &&
	       bytes <= HUGE_ARRAY_BYTES_MAX;
}

static void *soft_reserve(struct hw *hw, size_t bytes)
{
	struct soft *soft = soft_of(hw);
	struct soft_chunk *chunk;

	if (bytes == 0)
		return NULL;
	chunk = malloc(sizeof(*chunk));
	if (chunk == NULL)
		return NULL;
	chunk->bytes = bytes;
	chunk->start = soft_wants_huge(soft, bytes) ? soft_map_huge(bytes) : soft_map_memory(bytes);
	if (chunk->start == NULL) {
		free(chunk);
		return NULL;
	}
	chunk->next = atomic_load_explicit(&soft->chunks, memory_order_relaxed);
	/* Bounded: fails only when another task's reserve succeeded. */
	while (!atomic_compare_exchange_weak_explicit(&soft->chunks, &chunk->next, chunk,
						      memory_order_release, memory_order_relaxed))
		;
	return chunk->start;
}

/* The direct map already holds all frames, so that announcing some is a question of range. */
static int soft_add_frames(struct hw *hw, uint32_t first, uint32_t nr)
{
	struct soft *soft = soft_of(hw);

	if ((uint64_t)first + nr > soft->nr_frames)
		return -ENOMEM;
	return 0;
}

void *soft_window(struct hw *hw, uint32_t pfn)
{
	struct soft *soft = soft_of(hw);

	soft_check_pfn(soft, pfn);
	return soft->frames + ((uint64_t)pfn << NEAP_PAGE_SHIFT);
}

static uint64_t *soft_tag(struct hw *hw, uint32_t pfn)
{
	struct soft *soft = soft_of(hw);

	soft_check_pfn(soft, pfn);
	return soft->tags == NULL ? NULL : &soft->tags[pfn];
}

static void soft_copy(struct hw *hw, uint32_t to, uint32_t from)
{
	struct soft *soft = soft_of(hw);

	soft_check_pfn(soft, to);
	soft_check_pfn(soft, from);
	CHECK(to != from);
	if (soft->tags != NULL)
		soft->tags[to] = soft->tags[from];
	else
		memcpy(soft_window(hw, to), soft_window(hw, from), NEAP_PAGE_BYTES);
}

/*
 * The first line, so that the page's translation is known when the copy begins; the processor
 * fetches the other lines by itself, and asking for more of them gained nothing.
 */
static void soft_soon(struct hw *hw, uint32_t pfn)
{
	struct soft *soft = soft_of(hw);

	soft_check_pfn(soft, pfn);
	if (soft->tags != NULL)
		return;
	__builtin_prefetch(soft_window(hw, pfn));
}

static void soft_zero(struct hw *hw, uint32_t pfn)
{
	struct soft *soft = soft_of(hw);

	soft_check_pfn(soft, pfn);
	if (soft->tags != NULL)
		soft->tags[pfn] = 0;
	else
		memset(soft_window(hw, pfn), 0, NEAP_PAGE_BYTES);
}

static const struct hw_ops soft_ops = {
	.reserve = soft_reserve,
	.add_frames = soft_add_frames,
	.space_create = soft_op_space_create,
	.space_destroy = soft_op_space_destroy,
	.map = soft_op_map,
	.unmap = soft_op_unmap,
	.protect = soft_op_protect,
	.allow_write = soft_op_allow_write,
	.harvest = soft_op_harvest,
	.harvest_one = soft_op_harvest_one,
	.spot_look = soft_op_spot_look,
	.spot_take = soft_op_spot_take,
	.clean = soft_op_clean,
	.set_word = soft_op_set_word,
	.get = soft_op_get,
	.scan = soft_op_scan,
	.flush = soft_op_flush,
	.add_table = soft_op_add_table,
	.leaf_table = soft_op_leaf_table,
	.release_tables = soft_op_release_tables,
	.access_begin = soft_op_access_begin,
	.access_end = soft_op_access_end,
	.window = soft_window,
	.tag = soft_tag,
	.copy = soft_copy,
	.soon = soft_soon,
	.entry_hint = soft_op_entry_hint,
	.zero = soft_zero,
};

int hw_soft_create(uint32_t nr_frames_total, bool tags, struct hw **out)
{
	struct soft *soft;

	if (nr_frames_total < 2)
		return -EINVAL;
	soft = calloc(1, sizeof(*soft));
	if (soft == NULL)
		return -ENOMEM;
	soft->hw.ops = &soft_ops;
	soft->hw.caps = HW_CAP_SHARED | HW_CAP_YOUNG | HW_CAP_CONTIGUITY;
	soft->hw.caps |= tags ? HW_CAP_TAGS : HW_CAP_WINDOW_MAPPED;
	soft->nr_frames = nr_frames_total;
	soft->frames = soft_map_memory((size_t)nr_frames_total << NEAP_PAGE_SHIFT);
	if (soft->frames == NULL)
		goto out_free;
	soft->hw.direct = soft->frames;
	soft->hw.nr_direct = nr_frames_total - 1;
	soft->used = soft_reserve(&soft->hw, nr_frames_total * sizeof(*soft->used));
	if (soft->used == NULL)
		goto out_destroy;
	if (tags) {
		soft->tags = soft_reserve(&soft->hw, nr_frames_total * sizeof(*soft->tags));
		if (soft->tags == NULL)
			goto out_destroy;
	}
	*out = &soft->hw;
	return 0;

out_destroy:
	hw_soft_destroy(&soft->hw);
	return -ENOMEM;
out_free:
	free(soft);
	return -ENOMEM;
}

void hw_soft_destroy(struct hw *hw)
{
	struct soft *soft = soft_of(hw);
	struct soft_chunk *chunk = atomic_load_explicit(&soft->chunks, memory_order_acquire);

	CHECK(atomic_load_explicit(&soft->nr_spaces, memory_order_acquire) == 0);
	while (chunk != NULL) { /* bounded: the list is finite and nobody adds to it */
		struct soft_chunk *next = chunk->next;

		soft_unmap_memory(chunk->start, chunk->bytes);
		free(chunk);
		chunk = next;
	}
	soft_unmap_memory(soft->frames, (size_t)soft->nr_frames << NEAP_PAGE_SHIFT);
	free(soft);
}
