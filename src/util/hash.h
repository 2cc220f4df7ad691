/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digests, for protocols that name objects by their content. The only home
 * of libcrypto's digests; not linked into the libc-only program.
 */
#ifndef UTIL_HASH_H
#define UTIL_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum { SHA256_SIZE = 32 };

/* RC_FAILED: libcrypto refuses (no memory, or a policy forbids SHA-256). */
enum rc hash_sha256(uint8_t out[SHA256_SIZE], const void *data, size_t len,
		    struct err *e);

#endif
