/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cryptography of a restic repository: scrypt makes a key of a password,
 * and a sealed box (nonce, AES-256-CTR, Poly1305-AES) holds every file but
 * the key files. Pure computation: no file is touched, nothing waits, but
 * restic_derive takes some tenths of a second and much memory.
 *
 * Also the encoding inside a box: plain JSON, or, from repository version 2
 * on, perhaps zstd.
 */
#ifndef LOCK_RESTIC_CRYPTO_H
#define LOCK_RESTIC_CRYPTO_H

#include <stdint.h>

#include "util/buf.h"

enum {
	RESTIC_SALT_SIZE = 64,
	RESTIC_BOX_OVERHEAD = 32, /* nonce and tag */
	RESTIC_PLAIN_MAX = 64 * 1024
};

/* scrypt's parameters, as a key file gives them. */
struct restic_kdf {
	uint64_t n;
	uint64_t r;
	uint64_t p;
	unsigned char salt[RESTIC_SALT_SIZE];
};

/* What opens and seals boxes. A secret: wipe it when done. */
struct restic_keys {
	unsigned char encrypt[32];
	unsigned char mac_k[16];
	unsigned char mac_r[16]; /* as stored: Poly1305 itself clamps it */
};

/*
 * Zeroed room for keys that are kept: of its own pages, locked where that is
 * allowed, not in a core dump. NULL: no memory. Only with a restic_crypto.
 */
struct restic_keys *restic_keys_new(void);
void restic_keys_free(struct restic_keys *keys); /* wipes; accepts NULL */

/* The algorithms, fetched once. */
struct restic_crypto;

/* RC_UNSUPPORTED: the libraries have not what is needed (a FIPS build). */
enum rc restic_crypto_open(struct restic_crypto **crypto, struct err *e);
void restic_crypto_close(struct restic_crypto *crypto); /* accepts NULL */

/* What may still be spent on making keys of one password, in bytes that scrypt
 * mixes: scrypt cannot be interrupted, and a key file may come from anybody. */
struct restic_budget {
	uint64_t left;
};
struct restic_budget restic_budget_whole(void);

/* RC_MALFORMED: parameters that scrypt forbids; RC_UNSUPPORTED: they take more
 * memory than any real key file, or more work than is left. Spends nothing. */
enum rc restic_kdf_check(const struct restic_kdf *kdf,
			 const struct restic_budget *budget, struct err *e);

/* Make the user's keys from the password. Checks kdf first, and spends. */
enum rc restic_derive(struct restic_crypto *crypto, struct restic_keys *keys,
		      const void *password, size_t len,
		      const struct restic_kdf *kdf,
		      struct restic_budget *budget, struct err *e);

/* Append what is in the box to plain. RC_DENIED: another key sealed it, or it
 * was damaged; RC_MALFORMED: too short or too long to be a box. */
enum rc restic_box_open(struct restic_crypto *crypto,
			const struct restic_keys *keys, const void *box,
			size_t len, struct buf *plain, struct err *e);

/* Append the box to `box`, under a fresh nonce. */
enum rc restic_box_seal(struct restic_crypto *crypto,
			const struct restic_keys *keys, const void *plain,
			size_t len, struct buf *box, struct err *e);

/* Append the JSON inside an opened box to `json`, at most RESTIC_PLAIN_MAX
 * bytes. `version` is the repository's. */
enum rc restic_inner_decode(int version, const void *plain, size_t len,
			    struct buf *json, struct err *e);

#endif
