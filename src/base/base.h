/*
 * The vocabulary every other file uses: sizes, attributes, small arithmetic.
 *
 * This header includes nothing of ours and calls nothing. It may be included
 * by any layer. A *page* is always 4096 bytes; a *pfn* is the index of a frame
 * in the machine's frame numbering; 0 is never a usable frame and means "none".
 */
#ifndef NEAP_BASE_BASE_H
#define NEAP_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEAP_PAGE_SHIFT 12u
#define NEAP_PAGE_BYTES 4096u
#define PFN_NONE 0u

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

#define NSEC_PER_USEC ((uint64_t)1000)
#define NSEC_PER_MSEC ((uint64_t)1000000)
#define NSEC_PER_SEC ((uint64_t)1000000000)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define CACHE_ALIGNED __attribute__((aligned(64)))
#define UNUSED __attribute__((unused))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Position of the highest set bit plus one; 0 for 0. */
static inline uint32_t fls_u64(uint64_t x)
{
	return x == 0 ? 0 : 64u - (uint32_t)__builtin_clzll(x);
}

static inline uint64_t round_down_u64(uint64_t x, uint64_t to)
{
	return x - x % to;
}

static inline uint64_t round_up_u64(uint64_t x, uint64_t to)
{
	return round_down_u64(x + to - 1, to);
}

/* Integer square root, rounded down. */
static inline uint64_t isqrt_u64(uint64_t x)
{
	uint64_t root = 0;

	for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
		if (x >= root + bit) {
			x -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return root;
}

#endif
