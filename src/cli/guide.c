/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/guide.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/place.h"
#include "cli/say.h"
#include "lock/lock.h"
#include "util/file.h"

/* What the wrapped program does about the lock of its repository. */
enum need { NEED_NOTHING, NEED_SHARED, NEED_EXCLUSIVE };

/* --- words of a command line ------------------------------------------------------ */

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool among(const char *word, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(word, *words) == 0)
			return true;
	}
	return false;
}

/* Past `sudo`, `nice` and the like, where their options do not blur what
 * follows. */
static char *const *past_wrappers(char *const *argv)
{
	static const char *const wrappers[] = { "sudo",   "doas",   "nice",
						"ionice", "env",    "time",
						"nohup",  "setsid", "chronic",
						NULL };

	while (argv[0] && argv[1] && argv[1][0] != '-' &&
	       among(basename_of(argv[0]), wrappers))
		argv++;
	return argv;
}

static bool has(char *const *argv, const char *word)
{
	for (; *argv; argv++) {
		if (strcmp(*argv, word) == 0)
			return true;
	}
	return false;
}

/* The first word that is neither an option nor the value of one. */
static char *const *verb_of(char *const *argv, const char *const *with_value)
{
	for (argv++; *argv; argv++) {
		if ((*argv)[0] != '-')
			return argv;
		if (among(*argv, with_value) && argv[1])
			argv++;
	}
	return NULL;
}

/* --- which repository -------------------------------------------------------------- */

static bool same_place(const char *a, const char *b)
{
	struct stat sa, sb;

	if (strcmp(a, b) == 0)
		return true;
	return stat(a, &sa) == 0 && stat(b, &sb) == 0 &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* The first line of a file, as restic's --repository-file has it. */
static bool first_line(const char *file, char *line, size_t size)
{
	struct err ignored;
	ssize_t len;
	int fd;

	if (file_open_named(&fd, file, FILE_REGULAR, &ignored) != RC_OK)
		return false;
	len = read(fd, line, size - 1);
	close(fd);
	if (len <= 0)
		return false;
	line[len] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	return line[0] != '\0';
}

/* What restic would take if it were not told; "" when not known. */
static void restic_default(char *repo, size_t size)
{
	const char *set = getenv("RESTIC_REPOSITORY");
	const char *file = getenv("RESTIC_REPOSITORY_FILE");

	repo[0] = '\0';
	if (set && *set)
		(void)snprintf(repo, size, "%s", set);
	else if (file && *file && !first_line(file, repo, size))
		repo[0] = '\0';
}

/* The value of one of the options: an own word, or behind "=", or right behind
 * a letter. */
static const char *value_of(char *const *argv, const char *const *names)
{
	for (; *argv; argv++) {
		size_t len = strcspn(*argv, "=");

		for (size_t i = 0; names[i]; i++) {
			if (strcmp(*argv, names[i]) == 0)
				return argv[1];
			if ((*argv)[len] == '=' && strlen(names[i]) == len &&
			    strncmp(*argv, names[i], len) == 0)
				return *argv + len + 1;
			if (names[i][1] != '-' && (*argv)[0] == '-' &&
			    (*argv)[1] == names[i][1] && (*argv)[2] != '\0')
				return *argv + 2;
		}
	}
	return NULL;
}

static bool restic_works_on(char *const *argv, const char *repo)
{
	static const char *const named[] = { "-r", "--repo", NULL };
	static const char *const by_file[] = { "--repository-file", NULL };
	static const char *const from[] = { "--from-repo", "--repo2", NULL };
	const char *said = value_of(argv, named);
	const char *file = value_of(argv, by_file);
	const char *source = value_of(argv, from);
	char usual[PATH_MAX], wanted[PATH_MAX];

	restic_default(usual, sizeof(usual));
	(void)snprintf(wanted, sizeof(wanted), "%s", *repo ? repo : usual);
	if (file && first_line(file, usual, sizeof(usual)))
		said = usual;
	if (source && same_place(source, wanted))
		return true;
	return same_place(said ? said : usual, wanted);
}

/* REPO::ARCHIVE, or REPO; "::" alone is BORG_REPO. */
static bool borg_works_on(char *const *argv, const char *repo)
{
	const char *usual = getenv("BORG_REPO");
	bool named = false;
	char word[PATH_MAX];

	if (!usual)
		usual = "";
	if (!*repo)
		repo = usual;
	for (argv++; *argv; argv++) {
		char *archive;

		(void)snprintf(word, sizeof(word), "%s",
			       strncmp(*argv, "--repo=", 7) == 0 ? *argv + 7
								 : *argv);
		archive = strstr(word, "::");
		if (archive)
			*archive = '\0';
		if (*word && same_place(word, repo))
			return true;
		named = named || (archive && *word);
	}
	return !named && *usual && same_place(usual, repo);
}

/* --- what it needs ------------------------------------------------------------------- */

static enum need restic_need(char *const *argv, const char **what)
{
	static const char *const with_value[] = { "-r",
						  "--repo",
						  "--repository-file",
						  "-p",
						  "--password-file",
						  "--password-command",
						  "--key-hint",
						  "--cache-dir",
						  "--cacert",
						  "--tls-client-cert",
						  "--limit-download",
						  "--limit-upload",
						  "-o",
						  "--option",
						  "--compression",
						  "--pack-size",
						  "--retry-lock",
						  "--http-user-agent",
						  "--stuck-request-timeout",
						  NULL };
	static const char *const none[] = {
		"unlock",      "init",       "cache",    "version",
		"self-update", "options",    "generate", "features",
		"help",        "completion", NULL
	};
	static const char *const exclusive[] = { "check",   "forget",
						 "prune",   "tag",
						 "migrate", "rebuild-index",
						 "repair",  NULL };
	/* --no-lock means nothing to these, but when nothing is written. */
	static const char *const always[] = { "backup", "forget", "prune", NULL };
	static const char *const key[] = { "remove", "passwd", NULL };
	char *const *verb = verb_of(argv, with_value);
	bool dry = has(argv, "--dry-run") || has(argv, "-n");

	*what = verb ? *verb : "";
	if (!verb || among(*verb, none) ||
	    (has(argv, "--no-lock") && (dry || !among(*verb, always))))
		return NEED_NOTHING;
	if (strcmp(*verb, "list") == 0 && has(verb, "locks"))
		return NEED_NOTHING;
	if (strcmp(*verb, "backup") == 0 && dry)
		return NEED_NOTHING;
	if (among(*verb, exclusive) ||
	    (strcmp(*verb, "rewrite") == 0 && has(verb, "--forget")))
		return NEED_EXCLUSIVE;
	if (strcmp(*verb, "key") == 0 && verb[1] && among(verb[1], key))
		return NEED_EXCLUSIVE;
	return NEED_SHARED;
}

/* borg 1 lets nobody write beside a shared lock; borg 2 does. */
static bool is_borg_2(const char *repo)
{
	char path[PATH_MAX];
	struct stat st;
	const char *usual = getenv("BORG_REPO");

	(void)snprintf(path, sizeof(path), "%s/config",
		       *repo || !usual ? repo : usual);
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static enum need borg_need(char *const *argv, const char *repo, const char **what)
{
	static const char *const with_value[] = { "-r",
						  "--repo",
						  "--lock-wait",
						  "--umask",
						  "--remote-path",
						  "--upload-ratelimit",
						  "--upload-buffer",
						  "--rsh",
						  "--debug-topic",
						  "--socket",
						  NULL };
	static const char *const none[] = {
		"break-lock", "key",     "serve",       "help", "repo-space",
		"init",       "rcreate", "repo-create", NULL
	};
	static const char *const readers[] = { "list",       "info",
					       "extract",    "mount",
					       "umount",     "diff",
					       "export-tar", NULL };
	static const char *const alone_2[] = { "check",       "compact",
					       "repo-delete", "repo-compress",
					       "with-lock",   NULL };
	char *const *verb = verb_of(argv, with_value);

	*what = verb ? *verb : "";
	if (!verb || has(argv, "--bypass-lock") || among(*verb, none))
		return NEED_NOTHING;
	if (is_borg_2(repo))
		return among(*verb, alone_2) ? NEED_EXCLUSIVE : NEED_SHARED;
	return among(*verb, readers) ? NEED_SHARED : NEED_EXCLUSIVE;
}

/* --- refusing ------------------------------------------------------------------------ */

/* Of `sh -c LINE` the words of a plain LINE; those of a script are its own
 * affair. Lent from a static place. */
static char *const *words_of_line(const char *line)
{
	static char copy[1024];
	static char *words[64];
	size_t count = 0;
	char *rest = copy, *word;

	(void)snprintf(copy, sizeof(copy), "%s", line);
	while (count < 63 && (word = strsep(&rest, " \t")) != NULL) {
		if (*word)
			words[count++] = word;
	}
	words[count] = NULL;
	return words;
}

static enum rc refuse(const struct location *location, bool would_share,
		      const char *program, const char *verb, struct err *e)
{
	const char *path = location->rest, *borg = getenv("BORG_REPO");
	char lease[80] = "a lease on a local directory";
	char usual[PATH_MAX];

	if (!*path && strcmp(program, "restic") == 0) {
		restic_default(usual, sizeof(usual));
		path = usual;
	} else if (!*path && borg) {
		path = borg;
	}

	if (path[0] == '/' || path[0] == '.')
		(void)snprintf(lease, sizeof(lease), "the lease, -r %.60s", path);
	if (would_share)
		return err_set(e, RC_UNSUPPORTED,
			       "%s %.20s would be kept out by our exclusive "
			       "lock of its own repository; take --shared, "
			       "which lets it in, or %s",
			       program, verb, lease);
	return err_set(e, RC_UNSUPPORTED,
		       "%s %.20s takes the exclusive lock itself and would be "
		       "kept out by ours; run it without repolock, or under "
		       "%s",
		       program, verb, lease);
}

enum rc guide_check(const struct location *location, const struct options *o,
		    char *const *argv, struct err *e)
{
	const char *program = location->scheme;
	bool restic = strcmp(program, "restic") == 0;
	const char *verb;
	enum need need;

	if (!restic && strcmp(program, "borg") != 0)
		return RC_OK;
	argv = past_wrappers(o->shell_line ? words_of_line(o->shell_line) : argv);
	if (!argv[0] || strcmp(basename_of(argv[0]), program) != 0)
		return RC_OK;
	need = restic ? restic_need(argv, &verb)
		      : borg_need(argv, location->rest, &verb);
	if (need == NEED_NOTHING ||
	    (need == NEED_SHARED && o->mode == LOCK_SHARED))
		return RC_OK;
	if (!(restic ? restic_works_on(argv, location->rest)
		     : borg_works_on(argv, location->rest)))
		return RC_OK;
	return refuse(location, need == NEED_SHARED, program, verb, e);
}

void guide_hint(const struct location *location, const struct options *o)
{
	const char *word;

	if (location->scheme[0] != '\0' || o->loudness < 0 ||
	    isatty(STDERR_FILENO) != 1)
		return;
	word = place_word(place_look(location));
	if (*word)
		say("%s is a %s repository: this lease keeps out what runs "
		    "behind repolock, not %s itself; -r %s:%s takes %s's own "
		    "lock (lease:%s or -q leaves this out)",
		    location->shown, word, word, word, location->shown, word,
		    location->shown);
}
