/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/subcommand.h"
#include "lock/lock.h"
#include "supervise/supervise.h"
#include "util/duration.h"

enum option_kind {
	KIND_FLAG,     /* bool: true */
	KIND_SET,      /* int: .number */
	KIND_COUNT,    /* int: .number is added */
	KIND_ZERO,     /* nsec: 0 */
	KIND_TEXT,     /* const char * */
	KIND_SPAN,     /* nsec in [.low, .high] */
	KIND_PATIENCE, /* nsec, or "forever" */
	KIND_NUMBER,   /* int in [.low, .high] */
	KIND_WORD      /* int: its place among .words */
};

/* Different options of one group contradict each other. */
enum option_group { GROUP_NONE, GROUP_MODE, GROUP_WAIT, GROUP_VOICE, GROUPS };

struct option {
	const char *word;
	const char *value; /* what stands for it in --help; NULL: takes none */
	const char *help;
	const char *variable; /* the default may come from the environment */
	const char *range;    /* low and high in words */
	const char *const *words; /* ended by NULL, in the enum's order */
	nsec low, high;
	size_t at; /* in struct options */
	unsigned owners;
	enum option_kind kind;
	enum option_group group;
	int number; /* what SET stores and COUNT adds */
	char letter;
};

#define AT(member) offsetof(struct options, member)

static const char *const words_on_lost[] = { "term", "kill", NULL };
static const char *const words_descendants[] = { "wait", "kill", "leave", NULL };
static const char *const words_break[] = { "safe", "all", "none", NULL };
static const char *const words_progress[] = { "auto", "always", "never", NULL };

#define DAY (24 * 3600 * NSEC_PER_SEC)

static const struct option options[] = {
	{ .letter = 'r',
	  .word = "repo",
	  .value = "LOCATION",
	  .help = "where the lock is: PATH, lease:PATH, flock:PATH, "
		  "restic:REST, borg:REST; see repolock-locations(7) "
		  "[REPOLOCK_REPOSITORY]",
	  .variable = "REPOLOCK_REPOSITORY",
	  .owners = OPTION_ALL,
	  .kind = KIND_TEXT,
	  .at = AT(repo) },
	{ .word = "name",
	  .value = "NAME",
	  .help = "one of several independent leases there "
		  "[default; REPOLOCK_NAME]",
	  .variable = "REPOLOCK_NAME",
	  .owners = OPTION_ALL,
	  .kind = KIND_TEXT,
	  .at = AT(name) },

	{ .letter = 'x',
	  .word = "exclusive",
	  .help = "keep everybody else out (the default)",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_SET,
	  .group = GROUP_MODE,
	  .at = AT(mode),
	  .number = LOCK_EXCLUSIVE },
	{ .letter = 's',
	  .word = "shared",
	  .help = "let other shared holders in, keep exclusive ones out",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_SET,
	  .group = GROUP_MODE,
	  .at = AT(mode),
	  .number = LOCK_SHARED },
	{ .letter = 'w',
	  .word = "wait",
	  .value = "DURATION",
	  .help = "how long to wait for the lock: 90, 5m, 1h30m; 0 is -n "
		  "[forever; REPOLOCK_WAIT]",
	  .variable = "REPOLOCK_WAIT",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_PATIENCE,
	  .group = GROUP_WAIT,
	  .at = AT(wait) },
	{ .letter = 'n',
	  .word = "nonblock",
	  .help = "do not wait",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_ZERO,
	  .group = GROUP_WAIT,
	  .at = AT(wait) },
	{ .letter = 'E',
	  .word = "conflict-exit-code",
	  .value = "N",
	  .help = "exit code when the lock was not had in time [123]",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_NUMBER,
	  .at = AT(exits.busy),
	  .low = 0,
	  .high = 255 },
	{ .word = "ttl",
	  .value = "DURATION",
	  .help = "how long a lease is good for without being refreshed, 2s "
		  "to 24h [5m; REPOLOCK_TTL]",
	  .variable = "REPOLOCK_TTL",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_SPAN,
	  .at = AT(ttl),
	  .low = 1,
	  .high = NSEC_FOREVER - 1,
	  .range = "more than 0" },
	{ .word = "reason",
	  .value = "TEXT",
	  .help = "why, shown to whoever waits or lists",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_TEXT,
	  .at = AT(reason) },
	{ .word = "max-hold",
	  .value = "DURATION",
	  .help = "end COMMAND after that long (exit code 124) [never]",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_SPAN,
	  .at = AT(max_hold),
	  .low = 1,
	  .high = NSEC_FOREVER - 1,
	  .range = "more than 0" },
	{ .word = "lost-exit-code",
	  .value = "N",
	  .help = "exit code when the lock was lost [122]",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_NUMBER,
	  .at = AT(exits.lost),
	  .low = 1,
	  .high = 255 },
	{ .word = "kill-after",
	  .value = "DURATION",
	  .help = "time between SIGTERM and SIGKILL, at most 24h [10s]",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_SPAN,
	  .at = AT(kill_after),
	  .low = 0,
	  .high = DAY,
	  .range = "at most 24h" },
	{ .word = "on-lost",
	  .value = "term|kill",
	  .help = "what COMMAND gets when the lock was lost: SIGTERM, time, "
		  "SIGKILL; or SIGKILL at once [term]",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_WORD,
	  .at = AT(on_lost),
	  .words = words_on_lost },
	{ .word = "descendants",
	  .value = "wait|kill|leave",
	  .help = "what still runs when COMMAND has ended: hold on until it "
		  "ends; end it; or warn and release [kill]",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_WORD,
	  .at = AT(descendants),
	  .words = words_descendants },
	{ .word = "break-stale",
	  .value = "safe|all|none",
	  .help = "what is cleared while acquiring: what is proved stale; "
		  "also foreign locks stale by age alone; nothing [safe]",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_WORD,
	  .at = AT(break_stale),
	  .words = words_break },
	{ .word = "reentrant",
	  .help = "just run COMMAND if an ancestor holds this very lock",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_FLAG,
	  .at = AT(reentrant) },
	{ .letter = 'c',
	  .word = "command",
	  .value = "LINE",
	  .help = "run this line by /bin/sh -c instead of COMMAND",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_TEXT,
	  .at = AT(shell_line) },
	{ .word = "progress",
	  .value = "auto|always|never",
	  .help = "the waiting line: on a terminal only; everywhere; not at "
		  "all [auto]",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_WORD,
	  .at = AT(progress),
	  .words = words_progress },
	{ .word = "events",
	  .value = "FILE|fd:N",
	  .help = "append what happens as JSON lines [REPOLOCK_EVENTS]",
	  .variable = "REPOLOCK_EVENTS",
	  .owners = OPTION_WITH_LOCK,
	  .kind = KIND_TEXT,
	  .at = AT(events) },

	{ .word = "json",
	  .help = "one JSON document instead of a table",
	  .owners = OPTION_LIST_LOCKS,
	  .kind = KIND_FLAG,
	  .at = AT(json) },
	{ .word = "watch",
	  .help = "again and again until interrupted",
	  .owners = OPTION_LIST_LOCKS,
	  .kind = KIND_FLAG,
	  .at = AT(watch) },
	{ .word = "interval",
	  .value = "DURATION",
	  .help = "with --watch: how often, 100ms to 24h [2s]",
	  .owners = OPTION_LIST_LOCKS,
	  .kind = KIND_SPAN,
	  .at = AT(interval),
	  .low = 100 * NSEC_PER_MSEC,
	  .high = DAY,
	  .range = "from 100ms to 24h" },
	{ .word = "exit-code",
	  .help = "exit 0 when free, 1 with shared holders only, 2 when held "
		  "exclusively",
	  .owners = OPTION_LIST_LOCKS,
	  .kind = KIND_FLAG,
	  .at = AT(exit_code) },

	{ .word = "force",
	  .help = "also locks that are not proved stale; needs ID or --all",
	  .owners = OPTION_UNLOCK,
	  .kind = KIND_FLAG,
	  .at = AT(force) },
	{ .word = "all",
	  .help = "every lock of the location",
	  .owners = OPTION_UNLOCK,
	  .kind = KIND_FLAG,
	  .at = AT(all) },
	{ .letter = 'y',
	  .word = "yes",
	  .help = "do not ask before a live lock is broken",
	  .owners = OPTION_UNLOCK,
	  .kind = KIND_FLAG,
	  .at = AT(yes) },
	{ .word = "dry-run",
	  .help = "say what would be done, do nothing",
	  .owners = OPTION_UNLOCK,
	  .kind = KIND_FLAG,
	  .at = AT(dry_run) },

	{ .word = "insecure-no-password",
	  .help = "the restic repository has an empty password",
	  .owners = OPTION_ALL,
	  .kind = KIND_FLAG,
	  .at = AT(no_password) },
	{ .letter = 'v',
	  .word = "verbose",
	  .help = "say more; twice for debug output",
	  .owners = OPTION_ALL,
	  .kind = KIND_COUNT,
	  .group = GROUP_VOICE,
	  .at = AT(loudness),
	  .number = 1 },
	{ .letter = 'q',
	  .word = "quiet",
	  .help = "say less: no hints and no waiting; twice: no warnings",
	  .owners = OPTION_ALL,
	  .kind = KIND_COUNT,
	  .group = GROUP_VOICE,
	  .at = AT(loudness),
	  .number = -1 },
	{ .letter = 'h',
	  .word = "help",
	  .help = "show this",
	  .owners = OPTION_ALL,
	  .kind = KIND_FLAG,
	  .at = AT(help) },
	{ .letter = 'V',
	  .word = "version",
	  .help = "show the version",
	  .owners = OPTION_ALL,
	  .kind = KIND_FLAG,
	  .at = AT(version) },
};

#define OPTIONS (sizeof(options) / sizeof(options[0]))

/* A parse under way. */
struct parse {
	struct options *o;
	const struct subcommand *command;
	char **next; /* the word after the one looked at */
	bool given[OPTIONS];
	const struct option *in_group[GROUPS];
	struct err *e;
};

static size_t number_of(const struct option *option)
{
	return (size_t)(option - options);
}

static void *place_of(const struct parse *p, const struct option *option)
{
	return (char *)p->o + option->at;
}

/* --- values ------------------------------------------------------------ */

/* How an option is spelled in sentences. */
struct spelling {
	char text[40];
};

static struct spelling spell(const struct option *option)
{
	struct spelling s;

	(void)snprintf(s.text, sizeof(s.text), "--%s", option->word);
	return s;
}

static enum rc take_span(nsec *into, const struct option *option,
			 const char *said_by, const char *value, struct err *e)
{
	nsec span;
	enum rc rc = duration_parse(&span, value, e);

	if (rc != RC_OK)
		return err_context(e, RC_MALFORMED, "%s", said_by);
	if (span < option->low || span > option->high)
		return err_set(e, RC_MALFORMED, "%s: %.60s is not %s", said_by,
			       value, option->range);
	*into = span;
	return RC_OK;
}

static enum rc take_patience(nsec *into, const char *said_by, const char *value,
			     struct err *e)
{
	if (strcmp(value, "forever") == 0) {
		*into = NSEC_FOREVER;
		return RC_OK;
	}
	if (duration_parse(into, value, e) != RC_OK)
		return err_context(e, RC_MALFORMED, "%s", said_by);
	return RC_OK;
}

static enum rc take_number(int *into, const struct option *option,
			   const char *said_by, const char *value, struct err *e)
{
	char *end = NULL;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || *value == '+' ||
	    *value == ' ' || number < option->low || number > option->high)
		return err_set(e, RC_MALFORMED,
			       "%s: '%.60s' is no number from %d to %d", said_by,
			       value, (int)option->low, (int)option->high);
	*into = (int)number;
	return RC_OK;
}

static enum rc take_word(int *into, const struct option *option,
			 const char *said_by, const char *value, struct err *e)
{
	for (int i = 0; option->words[i]; i++) {
		if (strcmp(option->words[i], value) == 0) {
			*into = i;
			return RC_OK;
		}
	}
	return err_set(e, RC_MALFORMED, "%s: '%.60s' is none of %s", said_by,
		       value, option->value);
}

/* said_by: the option or variable, for sentences. value: NULL for flags. */
static enum rc take(struct parse *p, const struct option *option,
		    const char *said_by, const char *value)
{
	void *place = place_of(p, option);

	switch (option->kind) {
	case KIND_FLAG:
		*(bool *)place = true;
		return RC_OK;
	case KIND_SET:
		*(int *)place = option->number;
		return RC_OK;
	case KIND_COUNT:
		*(int *)place += option->number;
		return RC_OK;
	case KIND_ZERO:
		*(nsec *)place = 0;
		return RC_OK;
	case KIND_TEXT:
		*(const char **)place = value;
		return RC_OK;
	case KIND_SPAN:
		return take_span(place, option, said_by, value, p->e);
	case KIND_PATIENCE:
		return take_patience(place, said_by, value, p->e);
	case KIND_NUMBER:
		return take_number(place, option, said_by, value, p->e);
	case KIND_WORD:
		return take_word(place, option, said_by, value, p->e);
	}
	abort(); /* an option of a kind that there is not */
}

/* An option that was given; said_by as the user spelled it. */
static enum rc take_given(struct parse *p, const struct option *option,
			  const char *said_by, const char *value)
{
	const struct option **other = &p->in_group[option->group];

	if (option->group != GROUP_NONE && *other && *other != option)
		return err_set(p->e, RC_MALFORMED,
			       "--%s and --%s contradict each other",
			       (*other)->word, option->word);
	*other = option;
	p->given[number_of(option)] = true;
	return take(p, option, said_by, value);
}

/* --- finding ----------------------------------------------------------- */

static bool is_ours(const struct parse *p, const struct option *option)
{
	return (option->owners & (unsigned)p->command->owner) != 0;
}

static const struct option *find_word(const char *word, size_t len)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		if (strlen(options[i].word) == len &&
		    memcmp(options[i].word, word, len) == 0)
			return &options[i];
	}
	return NULL;
}

static const struct option *find_letter(char letter)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		if (options[i].letter == letter)
			return &options[i];
	}
	return NULL;
}

/* Would this word have been taken as an option of ours? */
static bool is_option(const struct parse *p, const char *word)
{
	const struct option *option = NULL;

	if (word[0] != '-' || word[1] == '\0')
		return false;
	if (word[1] == '-')
		option = find_word(word + 2, strcspn(word + 2, "="));
	else if (word[2] == '\0')
		option = find_letter(word[1]);
	return option && is_ours(p, option);
}

enum { NEAR_ENOUGH = 2, LONGEST_WORD = 40 };

/* Levenshtein's distance; words longer than LONGEST_WORD are far. */
static size_t distance(const char *a, const char *b)
{
	size_t row[LONGEST_WORD + 1];
	size_t len_a = strlen(a), len_b = strlen(b);

	if (len_a > LONGEST_WORD || len_b > LONGEST_WORD)
		return LONGEST_WORD;
	for (size_t j = 0; j <= len_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);
			size_t add = row[j - 1] + 1, drop = row[j] + 1;

			diagonal = row[j];
			row[j] = add < drop ? add : drop;
			if (change < row[j])
				row[j] = change;
		}
	}
	return row[len_b];
}

const char *options_nearest(const char *word, const char *const *words,
			    size_t count)
{
	const char *best = NULL;
	size_t best_distance = NEAR_ENOUGH + 1;

	for (size_t i = 0; i < count; i++) {
		size_t far = distance(word, words[i]);

		/* Somebody who wrote a beginning meant the rest. */
		if (strlen(word) >= 3 &&
		    strncmp(word, words[i], strlen(word)) == 0)
			far = 1;
		if (far < best_distance && far < strlen(words[i])) {
			best_distance = far;
			best = words[i];
		}
	}
	return best;
}

static const char *owner_name(unsigned owners)
{
	if (owners & OPTION_WITH_LOCK)
		return subcommand_with_lock.name;
	if (owners & OPTION_LIST_LOCKS)
		return subcommand_list_locks.name;
	return subcommand_unlock.name;
}

static enum rc refuse_unknown(const struct parse *p, const char *word, size_t len)
{
	const char *ours[OPTIONS];
	const char *near;
	char cut[LONGEST_WORD + 1];
	size_t count = 0;

	(void)snprintf(cut, sizeof(cut), "%.*s", (int)len, word);
	for (size_t i = 0; i < OPTIONS; i++) {
		if (is_ours(p, &options[i]))
			ours[count++] = options[i].word;
	}
	near = options_nearest(cut, ours, count);
	if (near)
		return err_set(p->e, RC_MALFORMED,
			       "unknown option --%s (did you mean --%s?)", cut,
			       near);
	return err_set(p->e, RC_MALFORMED, "unknown option --%s", cut);
}

static enum rc refuse_foreign(const struct parse *p, const struct option *option)
{
	return err_set(p->e, RC_MALFORMED,
		       "--%s is an option of 'repolock %s', not of '%s'",
		       option->word, owner_name(option->owners),
		       p->command->name);
}

/* --- words ------------------------------------------------------------- */

/* The value that stands in the next word. */
static enum rc next_value(struct parse *p, const struct option *option,
			  const char *said_by, const char **value)
{
	if (!*p->next)
		return err_set(p->e, RC_MALFORMED, "%s needs a value: %s %s",
			       said_by, said_by, option->value);
	if (is_option(p, *p->next))
		return err_set(p->e, RC_MALFORMED,
			       "%s needs a value, and %.40s is an option; "
			       "write --%s=%.40s if it is meant",
			       said_by, *p->next, option->word, *p->next);
	*value = *p->next++;
	return RC_OK;
}

static enum rc parse_long(struct parse *p, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct option *option = find_word(word, len);
	const char *value = word[len] == '=' ? word + len + 1 : NULL;
	struct spelling said_by;
	enum rc rc;

	if (!option)
		return refuse_unknown(p, word, len);
	if (!is_ours(p, option))
		return refuse_foreign(p, option);
	said_by = spell(option);
	if (value && !option->value)
		return err_set(p->e, RC_MALFORMED, "%s takes no value",
			       said_by.text);
	if (!value && option->value) {
		rc = next_value(p, option, said_by.text, &value);
		if (rc != RC_OK)
			return rc;
	}
	return take_given(p, option, said_by.text, value);
}

/* "-nv", "-w5m", "-w 5m": a letter that takes a value takes what follows. */
static enum rc parse_letters(struct parse *p, const char *letters)
{
	for (; *letters; letters++) {
		const struct option *option = find_letter(*letters);
		char said_by[3] = { '-', *letters, '\0' };
		const char *value = NULL;
		enum rc rc;

		if (!option)
			return err_set(p->e, RC_MALFORMED, "unknown option %s",
				       said_by);
		if (!is_ours(p, option))
			return refuse_foreign(p, option);
		if (option->value && letters[1] != '\0') {
			value = letters + 1;
			letters += strlen(letters) - 1;
		} else if (option->value) {
			rc = next_value(p, option, said_by, &value);
			if (rc != RC_OK)
				return rc;
		}
		rc = take_given(p, option, said_by, value);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc parse_words(struct parse *p)
{
	while (*p->next && !p->o->help && !p->o->version) {
		const char *word = *p->next;
		enum rc rc;

		if (word[0] != '-' || word[1] == '\0')
			break;
		p->next++;
		if (strcmp(word, "--") == 0)
			break;
		rc = word[1] == '-' ? parse_long(p, word + 2)
				    : parse_letters(p, word + 1);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* An explicit option wins; so does one that contradicts the variable's. */
static enum rc take_environment(struct parse *p)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option *option = &options[i];
		const char *value;
		enum rc rc;

		if (!option->variable || !is_ours(p, option) || p->given[i] ||
		    (option->group != GROUP_NONE && p->in_group[option->group]))
			continue;
		value = getenv(option->variable);
		if (!value || *value == '\0')
			continue;
		rc = take(p, option, option->variable, value);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* --- one option against another ----------------------------------------- */

static enum rc check_name(const char *name, const char *said_by, struct err *e)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t len = strlen(name);

	if (len == 0)
		return err_set(e, RC_MALFORMED, "%s is empty", said_by);
	if (len > 64)
		return err_set(e, RC_MALFORMED,
			       "%s is longer than 64 characters", said_by);
	if (strspn(name, allowed) != len || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return err_set(e, RC_MALFORMED,
			       "%s: '%.80s' is no name: letters, digits, '.', "
			       "'_' and '-' only",
			       said_by, name);
	return RC_OK;
}

static enum rc check_location(const struct options *o, struct err *e)
{
	if (!o->repo)
		return err_set(e, RC_MALFORMED,
			       "no location: give -r LOCATION or set "
			       "REPOLOCK_REPOSITORY");
	if (*o->repo == '\0')
		return err_set(e, RC_MALFORMED, "the location of -r is empty");
	return RC_OK;
}

static enum rc check_with_lock(const struct options *o, struct err *e)
{
	if (o->shell_line && o->operand_count > 0)
		return err_set(e, RC_MALFORMED,
			       "-c takes the whole command in one word, and "
			       "'%.60s' follows it",
			       o->operands[0]);
	if (o->shell_line && *o->shell_line == '\0')
		return err_set(e, RC_MALFORMED, "the line of -c is empty");
	if (!o->shell_line && o->operand_count == 0)
		return err_set(e, RC_MALFORMED,
			       "no COMMAND to run under the lock");
	if (!o->shell_line && *o->operands[0] == '\0')
		return err_set(e, RC_MALFORMED, "COMMAND is empty");
	return RC_OK;
}

static enum rc check_list_locks(const struct parse *p)
{
	const struct options *o = p->o;

	if (o->operand_count > 0)
		return err_set(p->e, RC_MALFORMED,
			       "'%.60s' is one word too many; a location is "
			       "given as -r %.60s",
			       o->operands[0], o->operands[0]);
	if (o->watch && o->exit_code)
		return err_set(p->e, RC_MALFORMED,
			       "--watch and --exit-code contradict each other: "
			       "--watch does not end by itself");
	if (!o->watch && p->given[number_of(find_word("interval", 8))])
		return err_set(p->e, RC_MALFORMED,
			       "--interval means nothing without --watch");
	return RC_OK;
}

static enum rc check_unlock(const struct parse *p)
{
	const struct options *o = p->o;

	for (size_t i = 0; i < o->operand_count; i++) {
		if (*o->operands[i] == '\0')
			return err_set(p->e, RC_MALFORMED, "an ID is empty");
		if (is_option(p, o->operands[i]))
			return err_set(p->e, RC_MALFORMED,
				       "options go before the IDs, and %.40s "
				       "stands behind",
				       o->operands[i]);
	}
	if (o->all && o->operand_count > 0)
		return err_set(p->e, RC_MALFORMED,
			       "--all and ID '%.60s' contradict each other",
			       o->operands[0]);
	if (o->force && !o->all && o->operand_count == 0)
		return err_set(p->e, RC_MALFORMED,
			       "--force needs an ID, or --all for every lock");
	return RC_OK;
}

static enum rc check(const struct parse *p)
{
	const struct options *o = p->o;
	enum rc rc;

	switch (p->command->owner) {
	case OPTION_WITH_LOCK:
		rc = check_with_lock(o, p->e);
		break;
	case OPTION_LIST_LOCKS:
		rc = check_list_locks(p);
		break;
	case OPTION_UNLOCK:
		rc = check_unlock(p);
		break;
	case OPTION_ALL:
	default:
		rc = RC_OK;
		break;
	}
	if (rc == RC_OK)
		rc = check_location(o, p->e);
	if (rc == RC_OK)
		rc = check_name(o->name,
				o->name_given ? "--name" : "REPOLOCK_NAME", p->e);
	return rc;
}

static const char usual_name[] = "default";

static void set_usual(struct options *o)
{
	*o = (struct options){
		.name = usual_name,
		.mode = LOCK_EXCLUSIVE,
		.wait = NSEC_FOREVER,
		.max_hold = NSEC_FOREVER,
		.kill_after = 10 * NSEC_PER_SEC,
		.on_lost = ON_LOST_TERM,
		.descendants = DESCENDANTS_KILL,
		.break_stale = LOCK_BREAK_SAFE,
		.progress = PROGRESS_AUTO,
		.interval = 2 * NSEC_PER_SEC,
	};
	exit_choose_usual(&o->exits);
}

/* --ttl=... of a whole command line: who is asked once, when all is known. */
static void note_given(struct parse *p)
{
	struct options *o = p->o;

	o->name_given = p->given[number_of(find_word("name", 4))];
	o->ttl_given = p->given[number_of(find_word("ttl", 3))];
	o->repo_given = p->given[number_of(find_word("repo", 4))];
	o->repo_from = o->repo_given ? "-r" : "REPOLOCK_REPOSITORY";
}

enum rc options_parse(struct options *o, const struct subcommand *command,
		      char **words, struct err *e)
{
	struct parse p = { .o = o, .command = command, .next = words + 1, .e = e };
	enum rc rc;

	set_usual(o);
	rc = parse_words(&p);
	if (rc != RC_OK || o->help || o->version)
		return rc;
	note_given(&p);
	o->operands = p.next;
	while (o->operands[o->operand_count])
		o->operand_count++;
	rc = take_environment(&p);
	if (rc != RC_OK)
		return rc;
	o->name_chosen = o->name != usual_name;
	return check(&p);
}

/* --- help --------------------------------------------------------------- */

enum { HELP_INDENT = 26, HELP_WIDTH = 79 };

/* Wrapped at HELP_WIDTH; the first line goes on from where `column` is. */
static void help_text(FILE *out, const char *text, int column)
{
	const char *gap = "";

	if (column >= HELP_INDENT) {
		(void)fprintf(out, "\n");
		column = 0;
	}
	(void)fprintf(out, "%*s", HELP_INDENT - column, "");
	column = HELP_INDENT;
	while (*text) {
		int len = (int)strcspn(text, " ");

		if (column + (int)strlen(gap) + len > HELP_WIDTH) {
			(void)fprintf(out, "\n%*s", HELP_INDENT, "");
			column = HELP_INDENT;
			gap = "";
		}
		column += fprintf(out, "%s%.*s", gap, len, text);
		gap = " ";
		text += len + (text[len] == ' ');
	}
	(void)fprintf(out, "\n");
}

static void help_option(FILE *out, const struct option *option)
{
	char left[80];
	int column;

	column = snprintf(left, sizeof(left), "  %c%c%c --%s%s%s",
			  option->letter ? '-' : ' ',
			  option->letter ? option->letter : ' ',
			  option->letter ? ',' : ' ', option->word,
			  option->value ? " " : "",
			  option->value ? option->value : "");
	(void)fprintf(out, "%s", left);
	help_text(out, option->help, column);
}

void options_help(const struct subcommand *command, FILE *out)
{
	(void)fprintf(out, "Usage: repolock %s %s\n\n%s\n\nOptions:\n",
		      command->name, command->usage, command->summary);
	for (size_t i = 0; i < OPTIONS; i++) {
		if (options[i].owners & (unsigned)command->owner)
			help_option(out, &options[i]);
	}
	if (command->notes)
		(void)fprintf(out, "\n%s", command->notes);
	(void)fprintf(out, "\nExit codes:\n");
	for (const struct exit_line *line = command->exits; line->code; line++)
		(void)fprintf(out, "  %-10s %s\n", line->code, line->when);
	(void)fprintf(out, "\nSee repolock-%s(1) and repolock-locations(7).\n",
		      command->name);
}

int options_answer(const struct options *o, const struct subcommand *command)
{
	if (o->help)
		options_help(command, stdout);
	else
		(void)printf("repolock %s\n", REPOLOCK_VERSION);
	return fflush(stdout) == 0 ? 0 : exit_failed();
}
