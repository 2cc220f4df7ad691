/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What restic's own environment says: where the repository is, and its
 * password, from the variables, files and commands that restic itself reads,
 * in its order and with its rules about which exclude each other.
 */
#ifndef LOCK_RESTIC_ENV_H
#define LOCK_RESTIC_ENV_H

#include <stdbool.h>

#include "util/buf.h"
#include "util/call.h"
#include "util/program.h"

enum { RESTIC_TEXT_MAX = 64 * 1024 };

/*
 * The directory that `rest` (what follows "restic:") means; rest "": what
 * RESTIC_REPOSITORY or RESTIC_REPOSITORY_FILE says. RC_MALFORMED: no such
 * thing, or both are set; RC_UNSUPPORTED: one of restic's backends that is
 * not a local directory. Appended to path, which must be empty.
 */
enum rc restic_place(struct buf *path, const char *rest, struct err *e);

/*
 * The password, appended to `password`, which must be empty. RC_ABSENT: there
 * is none in the environment, so somebody must be asked. RC_DENIED: an empty
 * one, or its source failed. none: --insecure-no-password was given; then the
 * environment must not have one (RC_MALFORMED). start: how to start the
 * command that gives it; NULL: program_start.
 */
enum rc restic_password(struct buf *password, bool none, program_start_fn *start,
			const struct call *call, struct err *e);

/* Whether a command gives it. */
bool restic_runs_password_command(void);

/*
 * A command line taken apart without a shell: white space separates, quotes
 * of either kind keep together, a backslash before a quote makes it a letter.
 * One block, words end with NULL: free() it. RC_MALFORMED: no word at all, or
 * a quote that does not end.
 */
enum rc restic_split(char ***words, const char *line, struct err *e);

#endif
