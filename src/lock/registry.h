/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which schemes there are, and which protocol answers to each. registry.c is
 * the only file that names them all.
 *
 * There are two programs made of the same sources: `repolock`, which knows
 * the local protocols and is linked statically, so that it starts as fast as
 * flock(1), and `repolock-native`, linked with everything, which repolock
 * executes in its own place when a location needs it. A protocol that is not
 * linked into the running program has ops == NULL here.
 */
#ifndef LOCK_REGISTRY_H
#define LOCK_REGISTRY_H

#include "lock/lock.h"

struct lock_scheme {
	const char *scheme; /* "" is the bare path */
	const struct lock_ops *ops;
	const char *example; /* for errors and help: "flock:PATH" */
};

/* NULL: no such scheme. */
const struct lock_scheme *lock_scheme_find(const char *scheme);

/* All of them, ended by one whose scheme is NULL; in the manual's order. */
extern const struct lock_scheme lock_schemes[];

#endif
