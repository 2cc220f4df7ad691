/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/say.h"
#include "cli/subcommand.h"
#include "lock/registry.h"

static const struct subcommand *const subcommands[] = {
	&subcommand_with_lock,
	&subcommand_list_locks,
	&subcommand_unlock,
};

enum { SUBCOMMANDS = sizeof(subcommands) / sizeof(subcommands[0]) };

/*
 * Descriptors 0 to 2 that the caller left closed would go to the first file
 * that we open, and messages into it. Close-on-exec gives COMMAND, or
 * repolock-native, exactly what we got. Before anything else is opened.
 */
static void fill_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", O_RDWR | O_CLOEXEC);
	}
}

static const struct subcommand *find(const char *name)
{
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		if (strcmp(subcommands[i]->name, name) == 0)
			return subcommands[i];
	}
	return NULL;
}

static int help(void)
{
	(void)printf("Usage: repolock SUBCOMMAND [OPTIONS] ...\n\n"
		     "Lock a repository while a command runs, and keep the "
		     "lock until it has ended.\n\n");
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		(void)printf("  repolock %-10s %s\n      %s\n",
			     subcommands[i]->name, subcommands[i]->usage,
			     subcommands[i]->summary);
	(void)printf("\nOptions:\n"
		     "  -h, --help      show this\n"
		     "  -V, --version   show the version\n"
		     "\nLOCATION is one of:\n");
	for (const struct lock_scheme *s = lock_schemes; s->scheme; s++)
		(void)printf("  %s\n", s->example);
	(void)printf("\nSee 'repolock SUBCOMMAND --help', repolock(1) and "
		     "repolock-locations(7).\n");
	return fflush(stdout) == 0 ? 0 : exit_failed();
}

static int version(void)
{
	(void)puts("repolock " REPOLOCK_VERSION);
	return fflush(stdout) == 0 ? 0 : exit_failed();
}

static int refuse(const char *word)
{
	const char *names[SUBCOMMANDS];
	const char *near;
	struct err e;

	for (size_t i = 0; i < SUBCOMMANDS; i++)
		names[i] = subcommands[i]->name;
	near = options_nearest(word, names, SUBCOMMANDS);
	if (word[0] == '-')
		(void)err_set(&e, RC_MALFORMED,
			      "'%.60s' stands where a sub-command is wanted: "
			      "with-lock, list-locks or unlock",
			      word);
	else if (near)
		(void)err_set(&e, RC_MALFORMED,
			      "there is no sub-command '%.60s' (did you mean "
			      "%s?)",
			      word, near);
	else
		(void)err_set(&e, RC_MALFORMED,
			      "there is no sub-command '%.60s', only "
			      "with-lock, list-locks and unlock",
			      word);
	say_usage("", &e);
	return exit_failed();
}

int main(int argc, char **argv)
{
	const struct subcommand *command;
	const char *name;

	fill_standard_descriptors();
	if (argc < 1)
		return exit_failed();
	/* Called through a link: ln -s repolock with-lock. */
	name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	if (strcmp(name, subcommand_with_lock.name) == 0)
		return subcommand_with_lock.run(&subcommand_with_lock, argv,
						argv);
	if (argc < 2) {
		struct err e;

		(void)err_set(&e, RC_MALFORMED,
			      "a sub-command is wanted: with-lock, list-locks "
			      "or unlock");
		say_usage("", &e);
		return exit_failed();
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return help();
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return version();
	command = find(argv[1]);
	return command ? command->run(command, argv, argv + 1) : refuse(argv[1]);
}
