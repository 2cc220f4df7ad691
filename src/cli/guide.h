/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advice before anything is locked: calls that would block themselves are
 * refused, and a lease on a repository that has a lock of its own is pointed
 * out.
 */
#ifndef CLI_GUIDE_H
#define CLI_GUIDE_H

#include "cli/options.h"
#include "util/location.h"

/*
 * RC_UNSUPPORTED when COMMAND is restic or borg, works on the very repository
 * whose native lock is asked for, and would be kept out by it for ever; with
 * the two right ways in the sentence. argv: COMMAND's, as it will run.
 */
enum rc guide_check(const struct location *location, const struct options *o,
		    char *const *argv, struct err *e);

/* One line on stderr, if it is a terminal and the user did not say -q. */
void guide_hint(const struct location *location, const struct options *o);

#endif
