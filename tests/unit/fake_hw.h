/*
 * Hardware without page tables: frames with contents, and memory for the engine's
 * arrays. Operations on address spaces are NULL: a test that needs them needs
 * hw/soft.
 */
#ifndef NEAP_TESTS_FAKE_HW_H
#define NEAP_TESTS_FAKE_HW_H

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "port/hw.h"

#define FAKE_HW_RESERVES 2048u

struct fake_hw {
	struct hw hw;
	struct hw_ops ops;
	char *frames; /* window of frame 0 */
	uint32_t nr_frames;
	void *reserved[FAKE_HW_RESERVES];
	size_t reserved_bytes[FAKE_HW_RESERVES];
	uint32_t nr_reserved;
	uint32_t fail_reserve; /* countdown: the reserve that meets 1 fails */
	bool refuses;	       /* every reserve fails */
	uint64_t nr_zeroed;
};

static inline struct fake_hw *fake_hw_of(struct hw *hw)
{
	return container_of(hw, struct fake_hw, hw);
}

static inline void *fake_hw_map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static inline void *fake_hw_reserve(struct hw *hw, size_t bytes)
{
	struct fake_hw *fake = fake_hw_of(hw);

	if (fake->fail_reserve != 0 && --fake->fail_reserve == 0)
		return NULL;
	if (fake->refuses || fake->nr_reserved == FAKE_HW_RESERVES)
		return NULL;
	void *at = fake_hw_map(bytes);

	fake->reserved[fake->nr_reserved] = at;
	fake->reserved_bytes[fake->nr_reserved] = bytes;
	fake->nr_reserved += at != NULL ? 1 : 0;
	return at;
}

static inline int fake_hw_add_frames(struct hw *hw, uint32_t first, uint32_t nr)
{
	return (uint64_t)first + nr <= fake_hw_of(hw)->nr_frames ? 0 : -ENOMEM;
}

static inline void *fake_hw_window(struct hw *hw, uint32_t pfn)
{
	return fake_hw_of(hw)->frames + (size_t)pfn * NEAP_PAGE_BYTES;
}

static inline uint64_t *fake_hw_tag(struct hw *hw, uint32_t pfn)
{
	(void)hw;
	(void)pfn;
	return NULL;
}

static inline void fake_hw_copy(struct hw *hw, uint32_t to, uint32_t from)
{
	memcpy(fake_hw_window(hw, to), fake_hw_window(hw, from), NEAP_PAGE_BYTES);
}

static inline void fake_hw_soon(struct hw *hw, uint32_t pfn)
{
	(void)hw;
	(void)pfn;
}

static inline void fake_hw_zero(struct hw *hw, uint32_t pfn)
{
	fake_hw_of(hw)->nr_zeroed++;
	memset(fake_hw_window(hw, pfn), 0, NEAP_PAGE_BYTES);
}

/* => 0 or -ENOMEM */
static inline int fake_hw_init(struct fake_hw *fake, uint32_t nr_frames)
{
	memset(fake, 0, sizeof(*fake));
	fake->ops = (struct hw_ops){
		.reserve = fake_hw_reserve,
		.add_frames = fake_hw_add_frames,
		.window = fake_hw_window,
		.tag = fake_hw_tag,
		.copy = fake_hw_copy,
		.soon = fake_hw_soon,
		.zero = fake_hw_zero,
	};
	fake->hw.ops = &fake->ops;
	fake->nr_frames = nr_frames;
	fake->frames = fake_hw_map((size_t)nr_frames * NEAP_PAGE_BYTES);
	return fake->frames == NULL ? -ENOMEM : 0;
}

static inline void fake_hw_destroy(struct fake_hw *fake)
{
	for (uint32_t i = 0; i < fake->nr_reserved; i++)
		munmap(fake->reserved[i], fake->reserved_bytes[i]);
	munmap(fake->frames, (size_t)fake->nr_frames * NEAP_PAGE_BYTES);
}

#endif
