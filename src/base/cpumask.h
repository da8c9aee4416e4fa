/* A set of CPU numbers, 0..NEAP_MAX_CPUS-1. */
#ifndef NEAP_BASE_CPUMASK_H
#define NEAP_BASE_CPUMASK_H

#include "base/base.h"

#define NEAP_MAX_CPUS 256u

struct cpumask {
	uint64_t bits[NEAP_MAX_CPUS / 64];
};

static inline void cpumask_set(struct cpumask *mask, uint32_t cpu)
{
	mask->bits[cpu / 64] |= (uint64_t)1 << (cpu % 64);
}

static inline void cpumask_clear(struct cpumask *mask, uint32_t cpu)
{
	mask->bits[cpu / 64] &= ~((uint64_t)1 << (cpu % 64));
}

static inline bool cpumask_test(const struct cpumask *mask, uint32_t cpu)
{
	return (mask->bits[cpu / 64] >> (cpu % 64)) & 1;
}

static inline uint32_t cpumask_count(const struct cpumask *mask)
{
	uint32_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(mask->bits); i++)
		count += (uint32_t)__builtin_popcountll(mask->bits[i]);
	return count;
}

/* The first CPU of the set at or after `from`; NEAP_MAX_CPUS when there is none. */
static inline uint32_t cpumask_next(const struct cpumask *mask, uint32_t from)
{
	for (uint32_t cpu = from; cpu < NEAP_MAX_CPUS; cpu++)
		if (cpumask_test(mask, cpu))
			return cpu;
	return NEAP_MAX_CPUS;
}

static inline bool cpumask_empty(const struct cpumask *mask)
{
	uint64_t any = 0;

	for (size_t i = 0; i < ARRAY_LEN(mask->bits); i++)
		any |= mask->bits[i];
	return any == 0;
}

#endif
