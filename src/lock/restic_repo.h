/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An opened restic repository: its store, and its master key, found by trying
 * the password on the key files. Nothing is written by opening it. The
 * password is asked for, tried and wiped within open; the master key is kept
 * (every refresh needs it) and wiped by close. From open on no core of this
 * process is dumped, and no process of its user reads its memory.
 */
#ifndef LOCK_RESTIC_REPO_H
#define LOCK_RESTIC_REPO_H

#include "lock/lock.h"
#include "lock/restic_crypto.h"
#include "lock/restic_key.h"
#include "store/store.h"

/* restic tries no more, so a password that only fits a later key file does
 * not open the repository for it either. */
enum { RESTIC_KEYS_TRIED = 20 };

struct restic_repo {
	struct store *store;
	struct restic_crypto *crypto;
	struct restic_keys *master;
	struct restic_config config;
};

/* rest: what follows "restic:". *repo must be all zero, and goes to
 * restic_repo_close whatever this comes back with. */
enum rc restic_repo_open(struct restic_repo *repo, const char *rest,
			 const struct lock_wish *wish, const struct call *call,
			 struct err *e);
void restic_repo_close(struct restic_repo *repo);

/* 64 hex digits, in either case: what restic takes for a file's name. */
bool restic_is_id(const char *name);

/* The name that a file with this content has. */
enum rc restic_id_of(char id[65], const struct buf *content, struct err *e);

#endif
