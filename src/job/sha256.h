/*
 * SHA-256 (FIPS 180-4), for the `digest` command: small, so that a job's result
 * can be compared with sha256sum without a cryptographic library.
 */
#ifndef NEAP_JOB_SHA256_H
#define NEAP_JOB_SHA256_H

#include "base/base.h"

#define SHA256_BYTES 32u
#define SHA256_HEX_BYTES 65u /* with the terminator */

struct sha256 {
	uint32_t state[8];
	uint64_t length_bytes;
	uint8_t block[64];
};

void sha256_start(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t bytes);
/* => the digest as lower-case hexadecimal text, terminated; the state is used up */
void sha256_finish(struct sha256 *hash, char hex[SHA256_HEX_BYTES]);

#endif
