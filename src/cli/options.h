/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words in: every option of every sub-command stands in one table, from which
 * come parsing, the defaults out of the environment, `--help`, the guess at a
 * typo, and what the tests compare with manual and completions.
 *
 * Nothing here prints but options_help, and nothing looks at a location: an
 * option is checked for itself and against the other options, no further.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/exit.h"
#include "util/clock.h"
#include "util/err.h"

/* Whose option it is; bits. */
enum option_owner {
	OPTION_WITH_LOCK = 1 << 0,
	OPTION_LIST_LOCKS = 1 << 1,
	OPTION_UNLOCK = 1 << 2,
	OPTION_ALL = (1 << 3) - 1
};

enum progress_when { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

/* What was asked for. Strings are lent by argv and the environment. */
struct options {
	const char *repo;
	const char *repo_from; /* who said so: "-r", "REPOLOCK_REPOSITORY" */
	const char *name;      /* "default" unless given */
	int loudness;          /* -v adds one, -q takes one */
	bool no_password;
	bool help;
	bool version;

	int mode; /* enum lock_mode */
	nsec wait;
	nsec ttl; /* 0: the protocol's own */
	const char *reason;
	nsec max_hold;
	nsec kill_after;
	int on_lost;     /* enum supervise_on_lost */
	int descendants; /* enum supervise_descendants */
	int break_stale; /* enum lock_break */
	bool reentrant;
	const char *shell_line;
	int progress; /* enum progress_when */
	const char *events;
	struct exit_choice exits;

	bool json;
	bool watch;
	nsec interval;
	bool exit_code;

	bool force;
	bool all;
	bool yes;
	bool dry_run;

	bool name_chosen; /* by option or environment */
	bool name_given;  /* by option, not by the environment */
	bool ttl_given;   /* likewise */
	bool repo_given;  /* likewise: `ps` shows it */
	char **operands;  /* COMMAND and its arguments; IDs; ended by NULL */
	size_t operand_count;
};

struct subcommand; /* cli/subcommand.h */

/*
 * Parse words[1] and what follows, up to the first word that is no option or
 * `--`; take from the environment what was not given. RC_MALFORMED: one
 * sentence that names the argument or variable, and what is right.
 * With --help or --version seen, returns at once: nothing else is checked.
 */
enum rc options_parse(struct options *o, const struct subcommand *command,
		      char **words, struct err *e);

/* `repolock SUBCOMMAND --help`. */
void options_help(const struct subcommand *command, FILE *out);

/* --help and --version of a sub-command; the exit status. */
int options_answer(const struct options *o, const struct subcommand *command);

/* The nearest of count words to `word`, or NULL when none is near. */
const char *options_nearest(const char *word, const char *const *words,
			    size_t count);

#endif
