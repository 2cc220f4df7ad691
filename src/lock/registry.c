/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/registry.h"

#include <string.h>

/*
 * Weak: a program into which a protocol is not linked finds NULL here. One
 * line for the table below and one for its protocol is all that a new scheme
 * takes.
 */
#define PROTOCOL(word)                                                         \
	extern const struct lock_ops lock_##word __attribute__((weak))

PROTOCOL(lease);
PROTOCOL(flock);
PROTOCOL(restic);
PROTOCOL(borg);

const struct lock_scheme lock_schemes[] = {
	{ .scheme = "", .ops = &lock_lease, .example = "PATH" },
	{ .scheme = "lease", .ops = &lock_lease, .example = "lease:PATH" },
	{ .scheme = "file", .ops = &lock_lease, .example = "file:///PATH" },
	{ .scheme = "flock", .ops = &lock_flock, .example = "flock:PATH" },
	{ .scheme = "restic", .ops = &lock_restic, .example = "restic:REPOSITORY" },
	{ .scheme = "borg", .ops = &lock_borg, .example = "borg:REPOSITORY" },
	{ .scheme = NULL },
};

const struct lock_scheme *lock_scheme_find(const char *scheme)
{
	for (const struct lock_scheme *s = lock_schemes; s->scheme; s++) {
		if (strcmp(s->scheme, scheme) == 0)
			return s;
	}
	return NULL;
}
