/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * checker DIRECTORY [SILENT-AFTER]
 *
 * Reads what a torture run wrote (journal.h, driver.c) and says which promises
 * were broken, one line each ("FAULT KIND ..."), then counts and times. Exit
 * status 1 if there is any fault.
 *
 *   overlap     two were inside whose locks conflict
 *   validity    a sign of life after the last renewal + TTL
 *   token       a fencing token that went back or came twice
 *   leftover    in the end the lock could not be acquired, or was listed
 *   stuck       a contender that came to no end
 *   early       repolock exited while something of its command ran
 *   silent      waited long and did not say why
 *   busy        spent CPU time while it waited
 *   events      the last --events record is not what the shell saw
 *   untold      a loss without a line on stderr or without its event
 *   false-loss  a loss that nobody caused
 *   end         another exit status than the command's, and nobody caused it
 *   unlock      unlock or list-locks failed or hung
 *
 * Told apart, since no such program can prevent them or since we asked for
 * them: overlaps after unlock --force or after the claim's removal (`forced`),
 * after front and keeper were both killed within UNCOVERED (`orphans`), and on
 * a host that was stopped as a whole (`frozen`).
 */
#include "journal.h"

#include <limits.h>

static const int64_t UNCOVERED = 300 * 1000000LL;
/* From thawing until the kill is done, on a busy machine. */
static const int64_t THAW_PATIENCE = 2 * 1000000000LL;
/* A wait is reported after 5 s; a machine may be slow. */
static int64_t silent_after = 20 * 1000000000LL;

enum {
	BUSY_PERCENT = 10, /* of one processor, while waiting */
	MAX_WINDOWS = 4096,
	MAX_TEXT = 1 << 20
};

struct contender {
	bool known, exclusive, entered, left, dead, ended, swept, stuck;
	bool hit_guards; /* front, keeper or guard, by whatever */
	bool hit_any, claim_hit, removed, kernel_lock, stopped[2];
	int ttl, wait, host, user, status, exit_code, left_status;
	char kind[16], way[32];
	int64_t started, entered_at, left_at, dead_at, ended_at, alive_at;
	int64_t killed[2]; /* front, keeper */
	int64_t claim_at, first_hit;
	int64_t renewed, valid_excess;
	unsigned long long fence;
	int after_end; /* signs of life after `ended` */
	int64_t after_end_at;
};

static struct contender *all;
static int count, room;
static const char *directory;
static int faults;
static long line_number;
static int64_t run_begun, moment; /* of what is being judged */

static struct contender *of(int number)
{
	while (number >= room) {
		int more = room ? room * 2 : 1024;

		all = realloc(all, (size_t)more * sizeof(*all));
		if (!all)
			exit(2);
		memset(all + room, 0, (size_t)(more - room) * sizeof(*all));
		room = more;
	}
	if (number > count)
		count = number;
	all[number].known = true;
	return &all[number];
}

/* Has a lock of its own, which is lost on purpose: meets nobody. */
static bool alone(const struct contender *c)
{
	return *c->way && *c->way != '-';
}

__attribute__((format(printf, 3, 4))) static void
fault(const char *kind, int number, const char *format, ...)
{
	va_list args;

	faults++;
	printf("FAULT %s at %.1f s contender=%d ", kind,
	       (double)(moment - run_begun) / 1e9, number);
	if (number > 0)
		printf("(%s, ttl %d ms, host %d, kind %s%s%s) ",
		       all[number].exclusive ? "exclusive" : "shared",
		       all[number].ttl, all[number].host, all[number].kind,
		       alone(&all[number]) ? ", " : "",
		       alone(&all[number]) ? all[number].way : "");
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	printf("\n");
}

/* --- words of a record ---------------------------------------------------- */

static bool word(const char *line, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);
	const char *at = line;

	while ((at = strstr(at, name))) {
		if ((at == line || at[-1] == ' ') && at[n] == '=') {
			size_t len = strcspn(at + n + 1, " \n");

			if (len >= size)
				len = size - 1;
			memcpy(out, at + n + 1, len);
			out[len] = '\0';
			return true;
		}
		at += n;
	}
	*out = '\0';
	return false;
}

static int number_in(const char *line, const char *name)
{
	char text[32];

	return word(line, name, text, sizeof(text)) ? (int)strtol(text, NULL, 10)
						    : 0;
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* --- windows in which things may fail -------------------------------------- */

struct window {
	int64_t from, to;
	int host; /* frozen ones; 0: the place as a whole */
	bool force;
};

static struct window windows[MAX_WINDOWS];
static int window_count;

static void window_open(int64_t from, int host, bool force)
{
	if (window_count < MAX_WINDOWS)
		windows[window_count++] = (struct window){ from, INT64_MAX,
							   host, force };
}

static void window_close(int64_t to, int host, bool force)
{
	for (int i = 0; i < window_count; i++)
		if (windows[i].to == INT64_MAX && windows[i].host == host &&
		    windows[i].force == force)
			windows[i].to = to;
}

static bool place_troubled(int64_t from, int64_t to)
{
	for (int i = 0; i < window_count; i++)
		if (windows[i].host == 0 && !windows[i].force &&
		    windows[i].from <= to && windows[i].to >= from)
			return true;
	return false;
}

static bool host_frozen(int host, int64_t from, int64_t to)
{
	for (int i = 0; host && i < window_count; i++)
		if (windows[i].host == host && windows[i].from <= to &&
		    (windows[i].to == INT64_MAX ||
		     windows[i].to + THAW_PATIENCE >= from))
			return true;
	return false;
}

static bool forced_by_all(int64_t from, int64_t to)
{
	for (int i = 0; i < window_count; i++)
		if (windows[i].force && windows[i].from <= to &&
		    windows[i].to >= from)
			return true;
	return false;
}

/* --- what excuses whoever is inside too long -------------------------------- */

static bool orphaned(const struct contender *c)
{
	int64_t apart = c->killed[0] - c->killed[1];

	return c->killed[0] && c->killed[1] && apart < UNCOVERED &&
	       -apart < UNCOVERED;
}

static bool forced(const struct contender *c, int64_t at)
{
	return (c->claim_hit && c->claim_at <= at) ||
	       forced_by_all(c->started, at);
}

enum excuse {
	EXCUSE_NONE,
	EXCUSE_FORCED,
	EXCUSE_ORPHANS,
	EXCUSE_FROZEN,
	EXCUSES
};
static int overlaps[EXCUSES];

static enum excuse excuse_of(const struct contender *c, int64_t at)
{
	if (orphaned(c))
		return EXCUSE_ORPHANS;
	if (host_frozen(c->host, at, at))
		return EXCUSE_FROZEN;
	if (forced(c, at))
		return EXCUSE_FORCED;
	return EXCUSE_NONE;
}

/* --- who is inside ----------------------------------------------------------- */

static int inside[1024];
static int inside_count;

static void go_in(int number)
{
	if (inside_count < 1024)
		inside[inside_count++] = number;
}

static void go_out(int number)
{
	for (int i = 0; i < inside_count; i++)
		if (inside[i] == number) {
			memmove(&inside[i], &inside[i + 1],
				(size_t)(--inside_count - i) * sizeof(int));
			return;
		}
}

static bool conflict(int one, int other)
{
	return all[one].exclusive || all[other].exclusive;
}

struct pair {
	int early, late;
	int64_t at;
	long line;
};
static struct pair *pairs;
static int pair_count, pair_room;

/* To be judged in the end, when every cause is known. */
static void met(int early, int late, int64_t at)
{
	for (int i = 0; i < pair_count; i++)
		if (pairs[i].early == early && pairs[i].late == late)
			return;
	if (pair_count == pair_room) {
		pair_room = pair_room ? pair_room * 2 : 64;
		pairs = realloc(pairs, (size_t)pair_room * sizeof(*pairs));
		if (!pairs)
			exit(2);
	}
	pairs[pair_count++] = (struct pair){ early, late, at, line_number };
}

/* The kernel lock says that somebody is there, not who: if one of those who
 * may be it is excused, it was that one. */
static void met_somebody(int late, int64_t at)
{
	int best = 0;

	for (int i = 0; i < inside_count; i++) {
		int early = inside[i];

		if (early == late || !conflict(early, late))
			continue;
		if (!best || excuse_of(&all[early], at) != EXCUSE_NONE)
			best = early;
	}
	met(best, late, at);
}

/* --- records --------------------------------------------------------------------- */

static unsigned long long greatest, greatest_exclusive;
static int greatest_holder;
static int entries, backwards;

static void check_token(int number, int64_t at)
{
	struct contender *c = &all[number];
	unsigned long long bar = c->exclusive ? greatest : greatest_exclusive;

	if (c->fence == 0)
		return;
	/* Whoever removes a claim by hand removes what its token is known by. */
	if (c->fence <= bar && excuse_of(c, at) == EXCUSE_NONE && !alone(c) &&
	    !(greatest_holder && c->fence == bar && all[greatest_holder].removed)) {
		fault("token", number,
		      "has %llu, after somebody had %llu; line %ld", c->fence,
		      bar, line_number);
		backwards++;
	}
	if (c->fence > greatest) {
		greatest = c->fence;
		greatest_holder = number;
	}
	if (c->exclusive && c->fence > greatest_exclusive)
		greatest_exclusive = c->fence;
}

static void on_enter(int number, int64_t at, const char *rest)
{
	struct contender *c = of(number);
	char text[32];

	c->entered = true;
	c->entered_at = c->alive_at = at;
	(void)word(rest, "fence", text, sizeof(text));
	c->fence = strtoull(text, NULL, 10);
	entries++;
	/* Holders with a lock of their own each meet nobody. */
	if (alone(c))
		return;
	check_token(number, at);
	if (strstr(rest, "overlap=1"))
		met_somebody(number, at);
	go_in(number);
}

static void on_alive(int number, int64_t at)
{
	struct contender *c = of(number);
	int64_t valid = c->renewed + c->ttl * MILLISECOND;
	bool later = false;

	if (at > c->alive_at)
		c->alive_at = at;
	if (c->ended) {
		c->after_end++;
		c->after_end_at = at;
	}
	if (c->renewed && at - valid > c->valid_excess)
		c->valid_excess = at - valid;
	for (int i = 0; i < inside_count; i++) {
		if (later && conflict(number, inside[i]))
			met(number, inside[i], at);
		later = later || inside[i] == number;
	}
}

static void on_hit(int number, int64_t at, const char *rest)
{
	struct contender *c = of(number);
	char role[16], sig[16];

	(void)word(rest, "role", role, sizeof(role));
	(void)word(rest, "sig", sig, sizeof(sig));
	c->hit_any = true;
	if (!c->first_hit)
		c->first_hit = at;
	if (strcmp(role, "claim") == 0) {
		c->claim_hit = true;
		c->removed = c->removed || strcmp(sig, "removed") == 0;
		c->claim_at = at;
	}
	if (strcmp(role, "front") == 0 || strcmp(role, "keeper") == 0 ||
	    strcmp(role, "guard") == 0)
		c->hit_guards = true;
	if (strcmp(sig, "STOP") == 0 && strcmp(role, "front") == 0)
		c->stopped[0] = true;
	if (strcmp(sig, "STOP") == 0 && strcmp(role, "keeper") == 0)
		c->stopped[1] = true;
	if (strcmp(sig, "KILL") == 0 && strcmp(role, "front") == 0)
		c->killed[0] = at;
	if (strcmp(sig, "KILL") == 0 && strcmp(role, "keeper") == 0)
		c->killed[1] = at;
}

static void on_start(int number, int64_t at, const char *rest)
{
	struct contender *c = of(number);
	char mode[16];

	c->started = at;
	c->exclusive = word(rest, "mode", mode, sizeof(mode)) &&
		       strcmp(mode, "exclusive") == 0;
	c->ttl = number_in(rest, "ttl");
	c->wait = number_in(rest, "wait");
	c->host = number_in(rest, "host");
	c->user = number_in(rest, "user");
	c->status = number_in(rest, "status");
	(void)word(rest, "kind", c->kind, sizeof(c->kind));
	(void)word(rest, "way", c->way, sizeof(c->way));
}

static void on_end(int number, int64_t at, const char *rest)
{
	struct contender *c = of(number);
	char text[16];

	c->ended = true;
	c->ended_at = at;
	c->exit_code = word(rest, "signal", text, sizeof(text))
			       ? 128 + number_in(rest, "signal")
			       : number_in(rest, "exit");
}

static long worst_cpu, worst_of;

static void on_waits(int number, int64_t at, const char *rest)
{
	long cpu = number_in(rest, "cpu"), span = number_in(rest, "of");

	if (span <= 0)
		return;
	if (worst_of == 0 || cpu * worst_of > worst_cpu * span) {
		worst_cpu = cpu;
		worst_of = span;
	}
	if (cpu * 100 > span * BUSY_PERCENT &&
	    !place_troubled(at - span * MILLISECOND, at))
		fault("busy", number,
		      "spent %ld ms of CPU time in %ld ms of waiting; line %ld",
		      cpu, span, line_number);
}

static void on_side_ended(int64_t at, const char *rest)
{
	char what[48];
	int status = number_in(rest, "exit");
	int64_t begun = at - number_in(rest, "ms") * MILLISECOND;

	if (sscanf(rest, "side-ended %47s", what) != 1)
		return;
	if (strcmp(what, "force-all") == 0)
		window_close(at, 0, true);
	if (starts(what, "hook-") || starts(what, "force-one") ||
	    starts(what, "peer"))
		return;
	if (starts(what, "last-")) {
		if (status != 0 || strstr(rest, "signal="))
			fault("leftover", 0, "%s: %s", what, rest);
		return;
	}
	if ((status > 1 || strstr(rest, "signal=")) && !place_troubled(begun, at))
		fault("unlock", 0, "%s; line %ld", rest, line_number);
}

static void on_run(int64_t at, const char *rest)
{
	int host = number_in(rest, "host");

	if (starts(rest, "freeze "))
		window_open(at, host, false);
	else if (starts(rest, "thaw "))
		window_close(at, host, false);
	else if (starts(rest, "begin "))
		window_open(at, 0, false);
	else if (starts(rest, "over "))
		window_close(at, 0, false);
	else if (starts(rest, "side force-all"))
		window_open(at, 0, true);
	else if (starts(rest, "side-ended "))
		on_side_ended(at, rest);
	else if (starts(rest, "side-hangs ") &&
		 !place_troubled(at - 60 * SECOND, at))
		fault("unlock", 0, "%s; line %ld", rest, line_number);
	else if (starts(rest, "run "))
		printf("%s\n", rest);
}

static void on_record(int64_t at, int number, const char *rest)
{
	if (number == 0)
		on_run(at, rest);
	else if (starts(rest, "alive"))
		on_alive(number, at);
	else if (starts(rest, "enter "))
		on_enter(number, at, rest);
	else if (starts(rest, "start "))
		on_start(number, at, rest);
	else if (starts(rest, "hit "))
		on_hit(number, at, rest);
	else if (starts(rest, "end "))
		on_end(number, at, rest);
	else if (starts(rest, "waits "))
		on_waits(number, at, rest);
	else if (starts(rest, "leave ")) {
		of(number)->left = true;
		of(number)->left_at = at;
		of(number)->left_status = number_in(rest, "status");
	} else if (starts(rest, "renewed")) {
		of(number)->renewed = at;
		of(number)->kernel_lock = number_in(rest, "kernel") != 0;
	} else if (starts(rest, "dead")) {
		of(number)->dead = true;
		of(number)->dead_at = at;
		go_out(number);
	} else if (starts(rest, "orphans")) {
		of(number)->swept = true;
	} else if (starts(rest, "stuck")) {
		of(number)->stuck = true;
		if (!of(number)->ended)
			fault("stuck", number, "%s", rest);
	}
}

/* --- what a contender said ---------------------------------------------------- */

static char *text_of(const char *folder, int number)
{
	static char text[MAX_TEXT];
	char path[PATH_MAX];
	size_t n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s/%d", directory, folder, number);
	f = fopen(path, "re");
	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		(void)fclose(f);
	}
	text[n] = '\0';
	return text;
}

/* Of the last record of --events. */
static bool member(const char *line, const char *name, char *out, size_t size)
{
	char key[40];
	const char *at;
	size_t len;

	(void)snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(line, key);
	if (!at)
		return false;
	at += strlen(key);
	if (*at == '"')
		at++;
	len = strcspn(at, "\",}");
	if (len >= size)
		len = size - 1;
	memcpy(out, at, len);
	out[len] = '\0';
	return true;
}

static bool lost_event(int number)
{
	return strstr(text_of("events", number), "\"event\":\"lost\"") != NULL;
}

static void check_events(int number)
{
	const struct contender *c = &all[number];
	char *text = text_of("events", number), *last, value[64];
	size_t n = strlen(text);

	/* Hit before it was repolock at all. */
	if (n == 0 && c->hit_any && !c->entered)
		return;
	if (c->killed[0] || c->stuck || place_troubled(c->started, c->ended_at))
		return;
	if (n && text[n - 1] == '\n')
		text[n - 1] = '\0';
	last = strrchr(text, '\n');
	last = last ? last + 1 : text;
	if (!strstr(last, "\"event\":\"ended\"")) {
		fault("events", number,
		      "the last record is not `ended` (exit code %d): %.80s",
		      c->exit_code, last);
		return;
	}
	if (!member(last, "exit_code", value, sizeof(value)) ||
	    strtol(value, NULL, 10) != c->exit_code) {
		fault("events", number, "exit_code %s, but the shell saw %d",
		      value, c->exit_code);
		return;
	}
	if (member(last, "outcome", value, sizeof(value)) &&
	    strcmp(value, "exited") == 0 && c->left &&
	    (!member(last, "status", value, sizeof(value)) ||
	     strtol(value, NULL, 10) != c->left_status))
		fault("events", number, "status %s, but the command's was %d",
		      value, c->left_status);
}

static void check_loss(int number)
{
	const struct contender *c = &all[number];
	bool event, cause;

	if (c->exit_code != 122 || (c->left && c->left_status == 122))
		return;
	event = lost_event(number);
	cause = c->hit_guards || forced(c, c->ended_at) ||
		host_frozen(c->host, c->started, c->ended_at) ||
		place_troubled(c->started, c->ended_at);
	if (!event || !*text_of("err", number))
		fault("untold", number, "the lock was lost: %s, %s",
		      event ? "an event" : "no event",
		      *text_of("err", number) ? "a message" : "no message");
	if (!cause)
		fault("false-loss", number, "nobody caused it: %.200s",
		      text_of("err", number));
}

static void check_end(int number)
{
	const struct contender *c = &all[number];

	if (c->hit_any || forced(c, c->ended_at) || c->exit_code == 122 ||
	    host_frozen(c->host, c->started, c->ended_at) ||
	    place_troubled(c->started, c->ended_at))
		return;
	if (c->entered && c->left && c->exit_code == c->status)
		return;
	if (!c->entered && c->exit_code == 123 && c->wait >= 0)
		return;
	fault("end", number, "exit code %d, wait %d, %s: %.300s", c->exit_code,
	      c->wait,
	      c->left      ? "left"
	      : c->entered ? "entered"
			   : "never entered",
	      text_of("err", number));
}

static void check_silent(int number)
{
	const struct contender *c = &all[number];
	int64_t until = c->entered ? c->entered_at : c->ended_at;

	if (!until || until - c->started < silent_after || c->hit_any ||
	    host_frozen(c->host, c->started, until))
		return;
	if (!strstr(text_of("err", number), "waiting"))
		fault("silent", number, "waited %lld ms and said nothing of it",
		      (long long)((until - c->started) / MILLISECOND));
}

static void check_early(int number)
{
	const struct contender *c = &all[number];

	if (orphaned(c))
		return;
	if (c->swept)
		fault("early", number,
		      "what its command started still ran 2 s after the end");
	else if (c->after_end && !c->killed[0])
		fault("early", number,
		      "its command was alive %lld us after the end, %d signs of it",
		      (long long)((c->after_end_at - c->ended_at) / 1000),
		      c->after_end);
}

/* While both are stopped, or one is and the other dead, the kernel lock is held
 * by whoever is stopped: nobody else comes in. */
static bool kernel_protects(const struct contender *c)
{
	return c->kernel_lock && (c->stopped[0] || c->stopped[1]) &&
	       (c->stopped[0] || c->killed[0]) &&
	       (c->stopped[1] || c->killed[1]);
}

static void check_validity(int number)
{
	const struct contender *c = &all[number];

	if (c->valid_excess == 0 || kernel_protects(c) ||
	    excuse_of(c, c->alive_at) == EXCUSE_FROZEN || orphaned(c) ||
	    strcmp(c->way, "all-stopped") == 0)
		return;
	fault("validity", number, "alive %lld ms past the last renewal + TTL",
	      (long long)(c->valid_excess / MILLISECOND));
}

static void check_pairs(void)
{
	int told = -1;

	for (int i = 0; i < pair_count; i++) {
		const struct pair *p = &pairs[i];
		enum excuse e = p->early ? excuse_of(&all[p->early], p->at)
					 : EXCUSE_NONE;

		overlaps[e]++;
		/* One that is never killed meets everybody who comes. */
		if (e != EXCUSE_NONE || p->early == told)
			continue;
		told = p->early;
		moment = p->at;
		fault("overlap", p->early,
		      "was inside beside contender=%d (%s, host %d), line %ld",
		      p->late, all[p->late].exclusive ? "exclusive" : "shared",
		      all[p->late].host, p->line);
	}
}

/* --- figures -------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void figures(const char *what, int64_t *values, int n)
{
	if (n == 0)
		return;
	qsort(values, (size_t)n, sizeof(*values), by_size);
	printf("%-32s %5d  min %7.1f  median %7.1f  max %7.1f ms\n", what, n,
	       (double)values[0] / 1e6, (double)values[n / 2] / 1e6,
	       (double)values[n - 1] / 1e6);
}

/* From the last sign of life to the end of what others may rely on. */
static void tell_margins(void)
{
	static const char *const ways[] = { "refresh-hanging",
					    "claim-removed",
					    "forced",
					    "keeper-stopped",
					    "front-stopped",
					    "keeper-killed",
					    "front-killed",
					    "front-then-keeper-killed",
					    "both-stopped",
					    "front-killed-keeper-stopped",
					    "keeper-stopped-front-killed",
					    "all-stopped" };
	int64_t *values = calloc((size_t)count + 1, sizeof(*values));

	for (size_t w = 0; values && w < sizeof(ways) / sizeof(*ways); w++) {
		int n = 0;

		for (int i = 1; i <= count; i++)
			if (all[i].known && all[i].entered && all[i].renewed &&
			    !kernel_protects(&all[i]) &&
			    strcmp(all[i].way, ways[w]) == 0)
				values[n++] = all[i].renewed +
					      all[i].ttl * MILLISECOND -
					      (all[i].dead ? all[i].dead_at
							   : all[i].alive_at);
		figures(ways[w], values, n);
	}
	free(values);
}

/* From the first hit of somebody inside until another one enters, if one that
 * waits for ever was there. */
static void tell_recovery(void)
{
	int64_t *values = calloc((size_t)count + 1, sizeof(*values));
	int n = 0;

	for (int i = 1; values && i <= count; i++) {
		const struct contender *c = &all[i];
		int64_t next = INT64_MAX;
		bool waits = false;

		if (!c->first_hit || !c->entered || alone(c) ||
		    c->first_hit < c->entered_at || c->left_at ||
		    !(c->killed[0] || c->killed[1] || c->claim_hit))
			continue;
		for (int k = 1; k <= count; k++) {
			const struct contender *o = &all[k];

			if (k == i || !conflict(i, k))
				continue;
			if (o->started < c->first_hit && o->wait < 0 &&
			    o->entered && o->entered_at > c->first_hit)
				waits = true;
			if (o->entered && o->entered_at > c->first_hit &&
			    o->entered_at < next)
				next = o->entered_at;
		}
		if (waits)
			values[n++] = next - c->first_hit;
	}
	figures("from a hit to the next holder", values, n);
	free(values);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX], line[2048];
	int hit = 0, lost = 0;
	FILE *f;

	if (argc < 2 || argc > 3) {
		(void)fprintf(stderr, "checker DIRECTORY [SILENT-AFTER]\n");
		return 2;
	}
	if (argc == 3)
		silent_after = strtol(argv[2], NULL, 10) * SECOND;
	directory = argv[1];
	(void)snprintf(path, sizeof(path), "%s/journal", directory);
	f = fopen(path, "re");
	if (!f) {
		perror(path);
		return 2;
	}
	while (fgets(line, sizeof(line), f)) {
		char *rest;
		int64_t at = strtoll(line, &rest, 10);
		int number = (int)strtol(rest, &rest, 10);

		line_number++;
		(void)strtol(rest, &rest, 10);
		rest += strspn(rest, " ");
		rest[strcspn(rest, "\n")] = '\0';
		if (number < 0 || number > 100000000)
			continue;
		run_begun = run_begun ? run_begun : at;
		moment = at;
		on_record(at, number, rest);
	}
	(void)fclose(f);
	check_pairs();
	for (int i = 1; i <= count; i++) {
		if (!all[i].known)
			continue;
		hit += all[i].hit_any;
		moment = all[i].ended ? all[i].ended_at : all[i].alive_at;
		lost += all[i].exit_code == 122;
		check_validity(i);
		check_early(i);
		if (!all[i].ended)
			continue;
		check_events(i);
		check_loss(i);
		check_end(i);
		check_silent(i);
	}
	tell_margins();
	tell_recovery();
	printf("%d contenders, %d entered, %d hit, %d lost; overlaps: %d forced, "
	       "%d orphans, %d frozen; worst wait: %ld ms of CPU time in %ld ms\n",
	       count, entries, hit, lost, overlaps[EXCUSE_FORCED],
	       overlaps[EXCUSE_ORPHANS], overlaps[EXCUSE_FROZEN], worst_cpu,
	       worst_of);
	printf("%d faults\n", faults);
	return faults > 0;
}
