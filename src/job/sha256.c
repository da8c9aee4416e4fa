/*
 * SHA-256, straight from the standard's description.
 *
 * A message is cut into blocks of 64 bytes. Each block is stretched to 64 words
 * (the schedule) and stirred into eight words of state in 64 rounds:
 *
 *     message  [ block ][ block ][ rest 80 00.. length ]
 *                  |        |            |
 *     state ----> stir --> stir -----> stir ----> digest
 *
 * The round constants are the first 32 bits of the fractional parts of the cube
 * roots of the first 64 primes, the start values those of the square roots of
 * the first 8. They are kept as tables because that is how everybody checks them.
 *
 * What must never happen: reading past `data`, or a length that wraps. Lengths
 * are counted in 64 bits of bytes; the standard's limit of 2^64 bits is far
 * beyond any file neap can hold.
 *
 * This is here to compare files with sha256sum, not to keep secrets: it makes no
 * promise about timing.
 */
#include "job/sha256.h"

#include <string.h>

static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static inline uint32_t rotate_right(uint32_t x, uint32_t by)
{
	return (x >> by) | (x << (32 - by));
}

static uint32_t load_big_endian(const uint8_t *at)
{
	return ((uint32_t)at[0] << 24) | ((uint32_t)at[1] << 16) | ((uint32_t)at[2] << 8) | at[3];
}

static void make_schedule(const uint8_t *block, uint32_t schedule[64])
{
	for (uint32_t i = 0; i < 16; i++)
		schedule[i] = load_big_endian(block + (size_t)4 * i);
	for (uint32_t i = 16; i < 64; i++) {
		uint32_t a = schedule[i - 15];
		uint32_t b = schedule[i - 2];
		uint32_t s0 = rotate_right(a, 7) ^ rotate_right(a, 18) ^ (a >> 3);
		uint32_t s1 = rotate_right(b, 17) ^ rotate_right(b, 19) ^ (b >> 10);

		schedule[i] = schedule[i - 16] + s0 + schedule[i - 7] + s1;
	}
}

static void stir_block(uint32_t state[8], const uint8_t *block)
{
	uint32_t schedule[64];
	uint32_t v[8];

	make_schedule(block, schedule);
	memcpy(v, state, sizeof(v));
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t s1 =
			rotate_right(v[4], 6) ^ rotate_right(v[4], 11) ^ rotate_right(v[4], 25);
		uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
		uint32_t t1 = v[7] + s1 + choice + round_constants[i] + schedule[i];
		uint32_t s0 =
			rotate_right(v[0], 2) ^ rotate_right(v[0], 13) ^ rotate_right(v[0], 22);
		uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);

		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + s0 + majority;
	}
	for (uint32_t i = 0; i < 8; i++)
		state[i] += v[i];
}

void sha256_start(struct sha256 *hash)
{
	static const uint32_t start[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memcpy(hash->state, start, sizeof(start));
	hash->length_bytes = 0;
}

void sha256_add(struct sha256 *hash, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	while (bytes > 0) {
		size_t used = (size_t)(hash->length_bytes % 64);
		size_t part = 64 - used < bytes ? 64 - used : bytes;

		memcpy(hash->block + used, from, part);
		hash->length_bytes += part;
		from += part;
		bytes -= part;
		if (hash->length_bytes % 64 == 0)
			stir_block(hash->state, hash->block);
	}
}

void sha256_finish(struct sha256 *hash, char hex[SHA256_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t bits = hash->length_bytes * 8;
	uint8_t tail[8];
	uint8_t pad = 0x80;

	sha256_add(hash, &pad, 1);
	pad = 0;
	while (hash->length_bytes % 64 != 56)
		sha256_add(hash, &pad, 1);
	for (uint32_t i = 0; i < 8; i++)
		tail[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_add(hash, tail, sizeof(tail));
	for (uint32_t i = 0; i < SHA256_BYTES; i++) {
		uint8_t byte = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));

		hex[2 * i] = digits[byte >> 4];
		hex[2 * i + 1] = digits[byte & 15];
	}
	hex[2 * SHA256_BYTES] = '\0';
}
