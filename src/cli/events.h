/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where --events goes: a file that is appended to, or a descriptor that the
 * caller opened. Of a path only links of root or our own user are followed, so
 * that nobody else chooses which file of ours is written to.
 */
#ifndef CLI_EVENTS_H
#define CLI_EVENTS_H

#include "util/err.h"

/* where: FILE or "fd:N". *fd is the caller's, close-on-exec, above 2. */
enum rc events_open(int *fd, const char *where, struct err *e);

#endif
