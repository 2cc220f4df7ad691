/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/restic_crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "util/text.h"

enum { NONCE_SIZE = 16, TAG_SIZE = 16, MAC_KEY_SIZE = 32 };

/* Boxes larger than this are no locks; it also keeps lengths within int. */
enum { BOX_MAX = RESTIC_PLAIN_MAX + RESTIC_BOX_OVERHEAD };

#define MIB (UINT64_C(1) << 20)

/* Of memory, for one key. restic takes 60 MiB at most for those it makes, other
 * programs 128. */
#define SCRYPT_MEMORY_MAX (256 * MIB)
/* Of bytes mixed, r * N * p blocks, for all keys that are tried: some ten
 * seconds. restic takes half a second for one, which is 256 MiB at most on the
 * fastest machines, and tries 20. */
#define SCRYPT_WORK_MAX (4096 * MIB)

struct restic_crypto {
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *provider;
	EVP_CIPHER *ctr;
	EVP_CIPHER *block;
	EVP_MAC *mac;
};

enum rc restic_crypto_open(struct restic_crypto **crypto, struct err *e)
{
	struct restic_crypto *c = calloc(1, sizeof(*c));
	bool sodium;

	if (!c)
		return err_set(e, RC_RETRY, "out of memory");
	/* A context of our own, with the default provider named: the system's
	 * openssl.cnf may allow FIPS algorithms only, which these are not. */
	c->library = OSSL_LIB_CTX_new();
	if (c->library)
		c->provider = OSSL_PROVIDER_load(c->library, "default");
	if (c->provider) {
		c->ctr = EVP_CIPHER_fetch(c->library, "AES-256-CTR", NULL);
		c->block = EVP_CIPHER_fetch(c->library, "AES-128-ECB", NULL);
		c->mac = EVP_MAC_fetch(c->library, "POLY1305", NULL);
	}
	/* It finds out what the processor can; scrypt without it is slow. */
	sodium = sodium_init() >= 0;
	if (!c->ctr || !c->block || !c->mac || !sodium) {
		restic_crypto_close(c);
		return err_set(e, RC_UNSUPPORTED,
			       "libcrypto's default provider lacks AES or "
			       "Poly1305, or libsodium cannot begin; restic's "
			       "format needs both");
	}
	*crypto = c;
	return RC_OK;
}

void restic_crypto_close(struct restic_crypto *c)
{
	if (!c)
		return;
	EVP_MAC_free(c->mac);
	EVP_CIPHER_free(c->block);
	EVP_CIPHER_free(c->ctr);
	if (c->provider)
		(void)OSSL_PROVIDER_unload(c->provider);
	OSSL_LIB_CTX_free(c->library);
	free(c);
}

struct restic_keys *restic_keys_new(void)
{
	struct restic_keys *keys = sodium_malloc(sizeof(*keys));

	if (keys)
		sodium_memzero(keys, sizeof(*keys));
	return keys;
}

void restic_keys_free(struct restic_keys *keys)
{
	if (keys)
		sodium_free(keys);
}

/* --- scrypt --- */

struct restic_budget restic_budget_whole(void)
{
	return (struct restic_budget){ .left = SCRYPT_WORK_MAX };
}

static double in_mib(double bytes)
{
	return bytes / (double)MIB;
}

static enum rc too_dear(const struct restic_kdf *kdf,
			const struct restic_budget *budget, struct err *e)
{
	double row = 128.0 * (double)kdf->r;

	return err_set(e, RC_UNSUPPORTED,
		       "scrypt with N %llu, r %llu, p %llu takes %.6g MiB of "
		       "memory and mixes %.6g MiB; limit: %.6g MiB, and %.6g "
		       "of %.6g MiB are left for all keys (restic makes N "
		       "32768, r 8)",
		       (unsigned long long)kdf->n, (unsigned long long)kdf->r,
		       (unsigned long long)kdf->p,
		       in_mib(row * ((double)kdf->n + (double)kdf->p)),
		       in_mib(row * (double)kdf->n * (double)kdf->p),
		       in_mib((double)SCRYPT_MEMORY_MAX),
		       in_mib((double)budget->left),
		       in_mib((double)SCRYPT_WORK_MAX));
}

enum rc restic_kdf_check(const struct restic_kdf *kdf,
			 const struct restic_budget *budget, struct err *e)
{
	const uint64_t limit = UINT64_C(1) << 30;

	if (kdf->n < 2 || (kdf->n & (kdf->n - 1)) != 0)
		return err_set(e, RC_MALFORMED,
			       "scrypt's N is no power of two above 1");
	if (kdf->r < 1 || kdf->p < 1 || kdf->r >= limit || kdf->p >= limit ||
	    kdf->r * kdf->p >= limit)
		return err_set(e, RC_MALFORMED,
			       "scrypt's r and p are out of bounds");
	/* By division: the products could overflow. */
	if (kdf->n > SCRYPT_MEMORY_MAX / 128 / kdf->r ||
	    kdf->p > SCRYPT_MEMORY_MAX / 128 / kdf->r ||
	    kdf->p > budget->left / 128 / kdf->r / kdf->n)
		return too_dear(kdf, budget, e);
	return RC_OK;
}

/* By libsodium, whose scrypt uses the processor's vectors: a quarter less time
 * than libcrypto's, and this is most of the time of opening a repository. */
enum rc restic_derive(struct restic_crypto *c, struct restic_keys *keys,
		      const void *password, size_t len,
		      const struct restic_kdf *kdf,
		      struct restic_budget *budget, struct err *e)
{
	unsigned char out[sizeof(keys->encrypt) + sizeof(keys->mac_k) +
			  sizeof(keys->mac_r)];
	const unsigned char none = 0;
	const unsigned char *given = len > 0 ? password : &none;
	enum rc rc = restic_kdf_check(kdf, budget, e);

	(void)c; /* having it, libsodium has begun */
	if (rc)
		return rc;
	budget->left -= 128 * kdf->r * kdf->n * kdf->p;
	if (crypto_pwhash_scryptsalsa208sha256_ll(
		    given, len, kdf->salt, sizeof(kdf->salt), kdf->n,
		    (uint32_t)kdf->r, (uint32_t)kdf->p, out, sizeof(out)) != 0) {
		rc = err_set(
			e, RC_RETRY, "scrypt did not get its %llu MiB of memory",
			(unsigned long long)(128 * kdf->r * (kdf->n + kdf->p) >>
					     20));
		goto out;
	}
	memcpy(keys->encrypt, out, 32);
	memcpy(keys->mac_k, out + 32, 16);
	memcpy(keys->mac_r, out + 48, 16);
out:
	OPENSSL_cleanse(out, sizeof(out));
	return rc;
}

/* --- the sealed box --- */

static bool aes(const EVP_CIPHER *cipher, const unsigned char *key,
		const unsigned char *iv, const unsigned char *in,
		unsigned char *out, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;
	/* CTR is its own inverse, and ECB is only ever used forwards. */
	bool ok = ctx && EVP_EncryptInit_ex2(ctx, cipher, key, iv, NULL) == 1 &&
		  EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
		  EVP_EncryptUpdate(ctx, out, &n, in, (int)len) == 1 &&
		  n == (int)len;

	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

/* Poly1305 under r and AES(k, nonce), over the ciphertext alone. */
static bool box_tag(struct restic_crypto *c, const struct restic_keys *keys,
		    const unsigned char *nonce, const unsigned char *text,
		    size_t len, unsigned char tag[TAG_SIZE])
{
	unsigned char key[MAC_KEY_SIZE];
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(c->mac);
	size_t n = 0;
	bool ok;

	memcpy(key, keys->mac_r, 16);
	ok = ctx && aes(c->block, keys->mac_k, NULL, nonce, key + 16, 16) &&
	     EVP_MAC_init(ctx, key, sizeof(key), NULL) == 1 &&
	     (len == 0 || EVP_MAC_update(ctx, text, len) == 1) &&
	     EVP_MAC_final(ctx, tag, &n, TAG_SIZE) == 1 && n == TAG_SIZE;
	EVP_MAC_CTX_free(ctx);
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}

static enum rc crypto_failed(struct err *e)
{
	return err_set(e, RC_FAILED, "libcrypto refused to compute");
}

enum rc restic_box_open(struct restic_crypto *c, const struct restic_keys *keys,
			const void *box, size_t len, struct buf *plain,
			struct err *e)
{
	const unsigned char *nonce = box;
	const unsigned char *text = nonce + NONCE_SIZE;
	unsigned char tag[TAG_SIZE];
	unsigned char *out = NULL;
	size_t inside;
	enum rc rc;

	if (len < RESTIC_BOX_OVERHEAD)
		return err_set(e, RC_MALFORMED,
			       "only %zu bytes, too short to be sealed", len);
	if (len > BOX_MAX)
		return err_set(e, RC_MALFORMED, "longer than %d bytes", BOX_MAX);
	inside = len - RESTIC_BOX_OVERHEAD;
	if (!box_tag(c, keys, nonce, text, inside, tag))
		return crypto_failed(e);
	if (CRYPTO_memcmp(tag, text + inside, TAG_SIZE) != 0)
		return err_set(e, RC_DENIED, "the seal does not fit the key");
	out = malloc(inside + 1);
	if (!out)
		return err_set(e, RC_RETRY, "out of memory");
	if (aes(c->ctr, keys->encrypt, nonce, text, out, inside))
		rc = buf_add(plain, out, inside, e);
	else
		rc = crypto_failed(e);
	OPENSSL_cleanse(out, inside);
	free(out);
	return rc;
}

static bool all_zero(const unsigned char *bytes, size_t len)
{
	unsigned char any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any == 0;
}

enum rc restic_box_seal(struct restic_crypto *c, const struct restic_keys *keys,
			const void *plain, size_t len, struct buf *box,
			struct err *e)
{
	unsigned char *out;
	unsigned char *text;
	enum rc rc;

	if (len > RESTIC_PLAIN_MAX)
		return err_set(e, RC_MALFORMED, "longer than %d bytes",
			       RESTIC_PLAIN_MAX);
	out = malloc(len + RESTIC_BOX_OVERHEAD);
	if (!out)
		return err_set(e, RC_RETRY, "out of memory");
	text = out + NONCE_SIZE;
	do /* restic takes a nonce of zeros for a mistake */
		random_bytes(out, NONCE_SIZE);
	while (all_zero(out, NONCE_SIZE));
	if (aes(c->ctr, keys->encrypt, out, plain, text, len) &&
	    box_tag(c, keys, out, text, len, text + len))
		rc = buf_add(box, out, len + RESTIC_BOX_OVERHEAD, e);
	else
		rc = crypto_failed(e);
	free(out);
	return rc;
}

/* --- inside the box --- */

static enum rc inflate(const unsigned char *frame, size_t len, struct buf *json,
		       struct err *e)
{
	/* restic's frames do not tell how long their content is. */
	char *out = malloc(RESTIC_PLAIN_MAX);
	size_t n;
	enum rc rc;

	if (!out)
		return err_set(e, RC_RETRY, "out of memory");
	n = ZSTD_decompress(out, RESTIC_PLAIN_MAX, frame, len);
	if (ZSTD_isError(n))
		rc = err_set(e, RC_MALFORMED, "zstd: %s", ZSTD_getErrorName(n));
	else
		rc = buf_add(json, out, n, e);
	free(out);
	return rc;
}

enum rc restic_inner_decode(int version, const void *plain, size_t len,
			    struct buf *json, struct err *e)
{
	const unsigned char *bytes = plain;

	if (len > RESTIC_PLAIN_MAX)
		return err_set(e, RC_MALFORMED, "longer than %d bytes",
			       RESTIC_PLAIN_MAX);
	if (version < 2 || len == 0 || bytes[0] == '{' || bytes[0] == '[')
		return buf_add(json, plain, len, e);
	if (bytes[0] == 2)
		return inflate(bytes + 1, len - 1, json, e);
	return err_set(e, RC_MALFORMED, "unknown encoding %u inside",
		       (unsigned)bytes[0]);
}
