/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The location that was asked for: parsed, its passwords kept from `ps`, and
 * the right program for it running.
 */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include <stdbool.h>

#include "cli/options.h"
#include "lock/lock.h"
#include "util/location.h"

enum place_kind { PLACE_PLAIN, PLACE_RESTIC, PLACE_BORG };

/*
 * Parse o->repo; the error names the option or the variable. *location is the
 * caller's: location_release.
 */
enum rc place_parse(struct location *location, const struct options *o,
		    struct err *e);

/*
 * Be the right program for it: where the location's protocol is not linked
 * into this one, repolock-native is executed in our place, with argv as it was
 * given; returns only when that cannot be, or need not. Then a password that
 * stands in argv is told once, and written over there.
 */
enum rc place_settle(const struct location *location, const struct options *o,
		     char **argv, struct err *e);

/* Does a bare path hold a restic or borg repository? A few looks at names
 * and at the first bytes of `config`; never fails. */
enum place_kind place_look(const struct location *location);

/* Are the keys of the restic repository at a bare path this user's alone?
 * Otherwise somebody may have put them there, and neither the password nor its
 * command is for them unless restic: was said. */
bool place_keys_are_ours(const struct location *location);

/* "restic", "borg": both the program's name and the scheme. */
const char *place_word(enum place_kind kind);

/* Execute repolock-native in our place; returns only on failure. */
enum rc place_exec_native(char **argv, struct err *e);

/* What with-lock, list-locks and unlock wish alike. */
struct lock_wish place_wish(const struct location *location,
			    const struct options *o, const struct self *self);

#endif
