/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a restic repository's key file, master key and config say: text in,
 * struct out, no file, no cryptography.
 */
#ifndef LOCK_RESTIC_KEY_H
#define LOCK_RESTIC_KEY_H

#include "lock/restic_crypto.h"

struct restic_key_file {
	struct restic_kdf kdf;
	unsigned char box[1024]; /* the master key, sealed by the user's */
	size_t box_len;
};

struct restic_config {
	int version;
	char id[65];
};

/* RC_MALFORMED: it is no key file; RC_UNSUPPORTED: of a kind that restic
 * itself does not know. kdf is not checked for what it costs. */
enum rc restic_key_parse(struct restic_key_file *key, const char *text,
			 size_t len, struct err *e);

/* The master key, from what is in key.box. Refuses keys of zeros. */
enum rc restic_master_parse(struct restic_keys *keys, const char *text,
			    size_t len, struct err *e);

/* RC_UNSUPPORTED: a version that this program does not know: nothing must be
 * written then. */
enum rc restic_config_parse(struct restic_config *config, const char *text,
			    size_t len, struct err *e);

#endif
