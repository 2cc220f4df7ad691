/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/hash.h"

#include <openssl/evp.h>

enum rc hash_sha256(uint8_t out[SHA256_SIZE], const void *data, size_t len,
		    struct err *e)
{
	unsigned size = 0;

	if (EVP_Digest(data, len, out, &size, EVP_sha256(), NULL) != 1 ||
	    size != SHA256_SIZE)
		return err_set(e, RC_FAILED, "libcrypto cannot do SHA-256");
	return RC_OK;
}
