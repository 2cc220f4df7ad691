/* SPDX-License-Identifier: BSD-2-Clause */
/* What main() dispatches to. */
#ifndef CLI_SUBCOMMAND_H
#define CLI_SUBCOMMAND_H

#include "cli/options.h"

struct subcommand {
	const char *name;
	const char *summary;
	const char *usage;             /* what follows the name */
	const char *notes;             /* what --help says below the options */
	const struct exit_line *exits; /* ended by one whose code is NULL */
	enum option_owner owner;
	/* argv: the whole call, for repolock-native; words: the part of it
	 * that begins with the sub-command's name. Returns the exit status,
	 * if it returns. */
	int (*run)(const struct subcommand *self, char **argv, char **words);
};

extern const struct subcommand subcommand_with_lock;
extern const struct subcommand subcommand_list_locks;
extern const struct subcommand subcommand_unlock;

#endif
