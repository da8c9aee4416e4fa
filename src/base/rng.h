/*
 * Seeded random numbers: xorshift64* steps (Vigna 2014), the same generator
 * that job files use for page sequences, so that one seed means one sequence
 * everywhere. State 0 is forbidden; rng_seed() never produces it.
 */
#ifndef NEAP_BASE_RNG_H
#define NEAP_BASE_RNG_H

#include "base/base.h"

struct rng {
	uint64_t state;
};

/* Spreads a small seed over 64 bits (splitmix64 finalizer) and avoids state 0. */
static inline void rng_seed(struct rng *rng, uint64_t seed)
{
	uint64_t z = seed + 0x9E3779B97F4A7C15u;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	z ^= z >> 31;
	rng->state = z != 0 ? z : 88172645463325252u;
}

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t s = rng->state;

	s ^= s >> 12;
	s ^= s << 25;
	s ^= s >> 27;
	rng->state = s;
	return s * 0x2545F4914F6CDD1Du;
}

/* A value in 0..below-1; `below` must not be 0. The bias is below 2^-32 for 32-bit ranges. */
static inline uint64_t rng_below(struct rng *rng, uint64_t below)
{
	return (uint64_t)(((unsigned __int128)rng_next(rng) * below) >> 64);
}

/* A 64-bit mix of a value (splitmix64 finalizer); used for stamps and hashes, not for security. */
static inline uint64_t mix_u64(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

#endif
