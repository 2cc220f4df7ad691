/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver DIRECTORY LOCATION [WORD=VALUE...]
 *
 * Tortures one lock: contenders as real processes, on simulated hosts, whose
 * processes are killed, stopped and signalled, with chaos beside them. What
 * happens is written into DIRECTORY/journal, what the contenders say into
 * DIRECTORY/err/N and DIRECTORY/events/N; checker reads all that afterwards.
 * Environment: REPOLOCK, the program; ACTOR, what its COMMAND is.
 *
 *   seed=N         the plan; the same seed gives the same plan, contender by
 *                  contender. What the kernel makes of it does not repeat.
 *   seconds=N      new contenders are started for so long,
 *   count=N        and so many at most
 *   contenders=N   at once
 *   hosts=N        simulated, beside the real one
 *   protocol=WORD  lease (default), flock, restic, borg
 *   backing=DIR    where the store's files are if not in LOCATION
 *   also=A,B       locations of the same lock; contenders of the simulated
 *                  hosts 1, 2... take them in turn
 *   users=1        contenders are of four ordinary users in turn
 *   hold=N         milliseconds that each command runs
 *   only=KIND      all commands are of this kind; see actor.c
 *   fates=PERCENT  of the contenders are hit by something
 *   hook=PROGRAM   run as "PROGRAM ACTION begin|end" for the place's chaos
 *   actions=A,B    of that program
 *   calm=1         no chaos beside the contenders
 *   patience=N     seconds that recovery may take here at most
 *   errors=1       the place answers with errors at any time
 *   peer=COMMAND   a program that takes the same lock by itself, run now and
 *                  then by /bin/sh
 *   intime=N       instead: N holders with a lock of their own each, whose
 *                  loss is injected in each way in turn; with hang=1 in one
 *                  way alone: the hook's action "hang" lets the store hang
 */
#include "journal.h"

#include <dirent.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
	MAX_SLOTS = 64,
	MAX_HOSTS = 8,
	MAX_HITS = 8,
	MAX_ACTIONS = 16,
	MAX_LOCATIONS = 4,
	MAX_WORDS = 40,
	FIRST_USER = 20001,
	USERS = 4,
	/* Streams of chance that no contender has. */
	STREAM_CHAOS = 1000000000,
	/* Of orphans that nobody can cover, before we kill them. */
	ORPHAN_SECONDS = 2,
	WATCH_CPU_SECONDS = 3,
	SIDE_SECONDS = 60,
	/* Longer than every TTL, and shorter than a command runs. */
	HANG_AFTER = 1,
	HANG_SECONDS = 6
};

/* --- settings ----------------------------------------------------------- */

static struct {
	const char *directory, *location, *repolock, *actor;
	const char *protocol, *backing, *only, *hook, *peer;
	char *actions[MAX_ACTIONS];
	const char *locations[MAX_LOCATIONS];
	int action_count, location_count;
	uint64_t seed;
	int seconds, count, contenders, hosts, fates, patience, intime, hold;
	bool users, calm, errors, hang;
} set = { .protocol = "lease",
	  .seconds = 30,
	  .count = INT_MAX,
	  .contenders = 6,
	  .fates = 45,
	  .patience = 30,
	  .hold = -1 };

static bool lease(void)
{
	return strcmp(set.protocol, "lease") == 0;
}

__attribute__((format(printf, 3, 4))) static const char *
path_of(char *out, size_t size, const char *format, ...)
{
	int n = snprintf(out, size, "%s/", set.directory);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(out + n, size - (size_t)n, format, args);
	va_end(args);
	return out;
}

static void die(const char *what)
{
	(void)fprintf(stderr, "driver: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* --- the plan ----------------------------------------------------------- */

enum role {
	ROLE_FRONT,
	ROLE_KEEPER,
	ROLE_WITNESS,
	ROLE_GUARD,
	ROLE_COMMAND,
	ROLE_CLAIM,
	ROLES
};

static const char *const role_names[ROLES] = { "front", "keeper",  "witness",
					       "guard", "command", "claim" };

/* "Signals" for a claim. */
enum { CLAIM_REMOVE = 100, CLAIM_FORCE = 101 };

struct hit {
	enum role role;
	int sig;
	int64_t after; /* of the start or of entering */
	bool done;
};

struct plan {
	bool exclusive, on_lost_kill;
	int ttl, wait, hold, status, kill_after; /* wait: s, -1 for ever */
	int host, user;
	const char *kind, *way;
	bool at_start; /* hits count from there, not from entering */
	struct hit hits[MAX_HITS];
	int hit_count;
};

static const char *const kinds[] = { "session", "daemon",    "chain",
				     "bomb",    "deaf",      "user",
				     "stopped", "zombies",   "traced",
				     "pids",    "subreaper", "leaderless",
				     "group" };
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static void add_hit(struct plan *p, enum role role, int sig, int64_t after)
{
	p->hits[p->hit_count++] =
		(struct hit){ .role = role, .sig = sig, .after = after };
}

static enum role draw_role(struct chance *c)
{
	static const enum role roles[] = {
		ROLE_FRONT,   ROLE_FRONT,   ROLE_FRONT,   ROLE_FRONT,
		ROLE_KEEPER,  ROLE_KEEPER,  ROLE_KEEPER,  ROLE_KEEPER,
		ROLE_COMMAND, ROLE_COMMAND, ROLE_WITNESS, ROLE_GUARD
	};

	return roles[chance_in(c, 0, sizeof(roles) / sizeof(*roles) - 1)];
}

static int draw_signal(struct chance *c, bool guards_turn)
{
	static const int signals[] = { SIGKILL, SIGKILL, SIGSTOP,
				       SIGSTOP, SIGTERM, SIGINT,
				       SIGHUP,  SIGQUIT, SIGTSTP };

	return signals[chance_in(
		c, 0, guards_turn ? 3 : sizeof(signals) / sizeof(*signals) - 1)];
}

static void draw_hit(struct chance *c, struct plan *p, bool pair, int64_t at)
{
	enum role role = draw_role(c);
	int sig = draw_signal(c, pair);

	add_hit(p, role, sig, at);
	if (sig == SIGSTOP || sig == SIGTSTP)
		add_hit(p, role, SIGCONT,
			at + chance_in(c, 100, 2 * p->ttl) * MILLISECOND);
}

static void draw_fate(struct chance *c, struct plan *p)
{
	int64_t at, gap;
	int what = chance_in(c, 0, 99);

	p->at_start = chance_percent(c, 35);
	at = chance_in(c, 0, p->at_start ? 500 : p->hold + 300) * MILLISECOND;
	/* Half of the pairs close together, since both may be lucky ones. */
	gap = chance_in(c, 0, chance_percent(c, 50) ? 50 : 1000) * MILLISECOND;
	if (what < 50) {
		draw_hit(c, p, false, at);
	} else if (what < 93 || !lease()) {
		draw_hit(c, p, true, at);
		draw_hit(c, p, true, at + gap);
	} else {
		p->at_start = false;
		add_hit(p, ROLE_CLAIM,
			chance_percent(c, 50) ? CLAIM_REMOVE : CLAIM_FORCE, at);
	}
}

static struct plan draw_plan(int number)
{
	struct chance chance = chance_of(set.seed, (uint64_t)number),
		      *c = &chance;
	struct plan p = { .way = "-" };
	int length = chance_in(c, 0, 99), wait = chance_in(c, 0, 99);

	p.exclusive = chance_percent(c, 65);
	p.ttl = chance_in(c, 2000, 4000);
	p.wait = wait < 55 ? -1 : wait < 80 ? chance_in(c, 1, 20) : 0;
	p.hold = length < 70   ? chance_in(c, 0, 20)
		 : length < 95 ? chance_in(c, 20, 300)
			       : chance_in(c, 1500, 5000);
	if (set.hold >= 0)
		p.hold = set.hold;
	p.status = chance_percent(c, 70) ? 0 : chance_in(c, 1, 99);
	p.kill_after = chance_in(c, 50, 1500);
	p.on_lost_kill = chance_percent(c, 20);
	p.host = chance_in(c, 0, set.hosts);
	p.user = set.users ? FIRST_USER + number % USERS : 0;
	p.kind = chance_percent(c, 60) ? "plain"
				       : kinds[chance_in(c, 0, KINDS - 1)];
	if (set.only)
		p.kind = set.only;
	if (set.users && strcmp(p.kind, "user") == 0)
		p.kind = "plain";
	if (chance_percent(c, set.fates))
		draw_fate(c, &p);
	return p;
}

/* --- kill in time: each way to lose a lock ------------------------------- */

static void both(struct plan *p, struct chance *c, enum role one, int sig,
		 enum role other, int then)
{
	int64_t at = chance_in(c, 300, 1500) * MILLISECOND;

	add_hit(p, one, sig, at);
	add_hit(p, other, then, at + chance_in(c, 300, 2500) * MILLISECOND);
	/* Nobody is left stopped for ever. */
	if (sig == SIGSTOP)
		add_hit(p, one, SIGCONT, at + 8 * SECOND);
	if (then == SIGSTOP)
		add_hit(p, other, SIGCONT, at + 8 * SECOND);
}

enum { WAYS = 11 };

static struct plan draw_loss(int number)
{
	struct chance chance = chance_of(set.seed, (uint64_t)number),
		      *c = &chance;
	struct plan p = { .exclusive = true, .wait = -1, .hold = 9000 };
	int64_t at = chance_in(c, 300, 2500) * MILLISECOND;
	int way = number % WAYS;

	p.ttl = chance_in(c, 2000, 4000);
	p.kill_after = chance_in(c, 50, 1500);
	p.kind = set.only                ? set.only
		 : chance_percent(c, 30) ? "plain"
					 : kinds[chance_in(c, 0, KINDS - 1)];
	p.on_lost_kill = chance_percent(c, 20);
	p.host = chance_in(c, 0, set.hosts);
	if (set.hang) {
		p.way = "refresh-hanging";
		return p;
	}
	switch (way) {
	case 0:
		p.way = "claim-removed";
		add_hit(&p, ROLE_CLAIM, CLAIM_REMOVE, at);
		break;
	case 1:
		p.way = "forced";
		add_hit(&p, ROLE_CLAIM, CLAIM_FORCE, at);
		break;
	case 2:
		p.way = "keeper-stopped";
		add_hit(&p, ROLE_KEEPER, SIGSTOP, at);
		break;
	case 3:
		p.way = "front-stopped";
		add_hit(&p, ROLE_FRONT, SIGSTOP, at);
		add_hit(&p, ROLE_FRONT, SIGCONT, at + 5 * SECOND);
		break;
	case 4:
		p.way = "keeper-killed";
		add_hit(&p, ROLE_KEEPER, SIGKILL, at);
		break;
	case 5:
		p.way = "front-killed";
		add_hit(&p, ROLE_FRONT, SIGKILL, at);
		break;
	case 6:
		p.way = "front-then-keeper-killed";
		both(&p, c, ROLE_FRONT, SIGKILL, ROLE_KEEPER, SIGKILL);
		break;
	case 7:
		p.way = "both-stopped";
		both(&p, c, ROLE_FRONT, SIGSTOP, ROLE_KEEPER, SIGSTOP);
		break;
	case 8:
		p.way = "front-killed-keeper-stopped";
		both(&p, c, ROLE_FRONT, SIGKILL, ROLE_KEEPER, SIGSTOP);
		break;
	case 9:
		p.way = "keeper-stopped-front-killed";
		both(&p, c, ROLE_KEEPER, SIGSTOP, ROLE_FRONT, SIGKILL);
		break;
	default:
		p.way = "all-stopped";
		add_hit(&p, ROLE_FRONT, SIGSTOP, at);
		add_hit(&p, ROLE_KEEPER, SIGSTOP, at);
		add_hit(&p, ROLE_GUARD, SIGSTOP, at);
		add_hit(&p, ROLE_COMMAND, SIGSTOP, at);
		add_hit(&p, ROLE_COMMAND, SIGCONT, at + 7 * SECOND);
		add_hit(&p, ROLE_FRONT, SIGCONT, at + 7 * SECOND);
		add_hit(&p, ROLE_GUARD, SIGCONT, at + 7 * SECOND);
		add_hit(&p, ROLE_KEEPER, SIGCONT, at + 7 * SECOND);
		break;
	}
	return p;
}

/* --- simulated hosts ----------------------------------------------------- */

struct host {
	pid_t init; /* as we see it */
	int pids, uts, time, mounts;
	int64_t offset, thaw_at;
};

static struct host hosts[MAX_HOSTS + 1];

static volatile sig_atomic_t frozen;

static void on_freeze(int sig)
{
	frozen = sig == SIGUSR1;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	(void)close(fd);
}

/* Process 1 of the host: reaps, and stops all others when told. A stop does
 * not interrupt a fork, so it is repeated while the host is frozen. */
static void host_init(int number, int ready, int driver)
{
	struct pollfd lives = { .fd = driver };
	char path[PATH_MAX], name[32];
	bool was = false;

	(void)signal(SIGUSR1, on_freeze);
	(void)signal(SIGUSR2, on_freeze);
	(void)snprintf(name, sizeof(name), "host%d", number);
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0 ||
	    sethostname(name, strlen(name)) < 0)
		die("a simulated host");
	path_of(path, sizeof(path), "boot%d", number);
	if (mount(path, "/proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL) <
	    0)
		die("boot_id");
	(void)!write(ready, "r", 1);
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (frozen)
			(void)kill(-1, SIGSTOP);
		else if (was)
			(void)kill(-1, SIGCONT);
		was = frozen;
		/* A host ends with the driver. */
		if (poll(&lives, 1, frozen ? 5 : 50) > 0)
			_exit(0);
	}
}

static int open_namespace(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

static void host_start(int number)
{
	struct host *h = &hosts[number];
	struct chance c = chance_of(set.seed,
				    STREAM_CHAOS + 1000 + (uint64_t)number);
	char path[PATH_MAX], text[128];
	int out[2], ready[2], driver[2];
	pid_t middle;
	char r;

	h->offset = chance_in(&c, 1, 90) * 86400 * SECOND;
	(void)snprintf(text, sizeof(text), "%08llx-0000-4000-8000-%012d\n",
		       (unsigned long long)(chance_next(&c) >> 32), number);
	write_file(path_of(path, sizeof(path), "boot%d", number), text);
	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0 ||
	    pipe2(driver, O_CLOEXEC) < 0)
		die("pipe");
	middle = fork();
	if (middle == 0) {
		pid_t init;

		(void)close(driver[1]); /* ours stays open for ever */
		if (unshare(CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWTIME |
			    CLONE_NEWNS) < 0)
			die("unshare");
		(void)snprintf(text, sizeof(text),
			       "monotonic %lld 0\nboottime %lld 0\n",
			       (long long)(h->offset / SECOND),
			       (long long)(h->offset / SECOND));
		write_file("/proc/self/timens_offsets", text);
		init = fork();
		if (init == 0)
			host_init(number, ready[1], driver[0]);
		(void)!write(out[1], &init, sizeof(init));
		_exit(0);
	}
	(void)close(ready[1]);
	(void)close(driver[0]);
	if (read(out[0], &h->init, sizeof(h->init)) != sizeof(h->init) ||
	    waitpid(middle, NULL, 0) < 0 || read(ready[0], &r, 1) != 1)
		die("a simulated host");
	(void)close(out[0]);
	(void)close(out[1]);
	(void)close(ready[0]);
	h->pids = open_namespace(h->init, "pid");
	h->uts = open_namespace(h->init, "uts");
	h->time = open_namespace(h->init, "time");
	h->mounts = open_namespace(h->init, "mnt");
}

/* What is forked afterwards is on the host. */
static void host_enter(int number)
{
	const struct host *h = &hosts[number];

	if (number == 0)
		return;
	if (setns(h->uts, CLONE_NEWUTS) < 0 || setns(h->pids, CLONE_NEWPID) < 0 ||
	    setns(h->time, CLONE_NEWTIME) < 0 ||
	    setns(h->mounts, CLONE_NEWNS) < 0)
		die("setns");
	clock_offset = h->offset;
}

static void host_freeze(int number, int64_t until)
{
	struct host *h = &hosts[number];

	if (h->thaw_at)
		return;
	record(0, "freeze host=%d", number);
	(void)kill(h->init, SIGUSR1);
	h->thaw_at = until;
}

static void hosts_thaw(bool all)
{
	for (int i = 1; i <= set.hosts; i++) {
		struct host *h = &hosts[i];

		if (!h->thaw_at || (!all && now() < h->thaw_at))
			continue;
		record(0, "thaw host=%d", i);
		(void)kill(h->init, SIGUSR2);
		h->thaw_at = 0;
	}
}

/* --- processes ------------------------------------------------------------ */

struct process {
	pid_t parent, group, session;
	char state;
	long cpu; /* milliseconds */
};

static bool process_read(pid_t pid, struct process *p)
{
	char path[64], text[1024], *after;
	unsigned long user, system;
	int fd;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	after = strrchr(text, ')');
	if (!after ||
	    sscanf(after + 2, "%c %d %d %d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		   &p->state, &p->parent, &p->group, &p->session, &user,
		   &system) != 6)
		return false;
	p->cpu = (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
	return true;
}

/* The children of all threads; how many. */
static int children_of(pid_t pid, pid_t *out, int room)
{
	char path[512];
	struct dirent *d;
	DIR *tasks;
	int count = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && (d = readdir(tasks))) {
		FILE *f;
		int child;

		if (*d->d_name == '.')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/children",
			       (int)pid, d->d_name);
		f = fopen(path, "re");
		while (f && fscanf(f, "%d", &child) == 1)
			if (count < room)
				out[count++] = child;
		if (f)
			(void)fclose(f);
	}
	if (tasks)
		(void)closedir(tasks);
	return count;
}

static struct {
	uint64_t number;
	int64_t next, action_ends;
	int action; /* of the hook; -1 none */
} chaos = { .action = -1 };

/* --- contenders ----------------------------------------------------------- */

enum phase { PHASE_NONE, PHASE_WAITING, PHASE_INSIDE, PHASE_DEAD };

struct contender {
	int number; /* 0: the slot is free */
	struct plan plan;
	enum phase phase;
	bool ended;            /* repolock has */
	bool killed[2], swept; /* front, keeper */
	pid_t runner, pids[ROLES];
	int signs;
	int64_t started, entered, ended_at, watched_at;
	long watched_cpu;
	char id[96], claim[PATH_MAX + 256];
	struct timespec renewed; /* as the claim says */
};

/* When the next one may start in a slot. */
static int64_t slot_free_at[MAX_SLOTS];

static struct contender slots[MAX_SLOTS];

static void find_roles(struct contender *c)
{
	pid_t children[64], grand[64];
	pid_t front = c->pids[ROLE_FRONT];
	int count = children_of(front, children, 64);

	for (int i = 0; i < count; i++) {
		struct process p;
		int below;

		if (!process_read(children[i], &p) || p.state == 'Z')
			continue;
		below = children_of(children[i], grand, 64);
		if (p.session != children[i]) {
			if (below == 0)
				c->pids[ROLE_WITNESS] = children[i];
		} else if (c->pids[ROLE_KEEPER] == 0 && below > 0) {
			c->pids[ROLE_KEEPER] = children[i];
		} else if (children[i] != c->pids[ROLE_KEEPER]) {
			c->pids[ROLE_GUARD] = children[i];
		}
	}
	if (c->pids[ROLE_KEEPER] && !c->pids[ROLE_COMMAND] &&
	    children_of(c->pids[ROLE_KEEPER], grand, 64) > 0)
		c->pids[ROLE_COMMAND] = grand[0];
}

static char *number_text(char *out, size_t size, const char *before, int value)
{
	(void)snprintf(out, size, "%s%d", before, value);
	return out;
}

static void execute(const char *const *words)
{
	char *argv[MAX_WORDS] = { NULL };

	for (int i = 0; i < MAX_WORDS - 1 && words[i]; i++)
		argv[i] = strdup(words[i]);
	(void)execv(argv[0], argv);
	_exit(99);
}

/* In the process that becomes repolock. */
static void contender_exec(const struct contender *c, int slot)
{
	const struct plan *p = &c->plan;
	char ttl[32], wait[32], grace[32], number[32], hold[32], status[32],
		name[32], events[PATH_MAX], err[PATH_MAX];
	const char *argv[MAX_WORDS];
	int n = 0, fd;

	path_of(events, sizeof(events), "events/%d", c->number);
	path_of(err, sizeof(err), "err/%d", c->number);
	fd = open(err, O_WRONLY | O_CREAT | O_APPEND, 0666);
	if (fd < 0 || dup2(fd, 2) < 0)
		_exit(99);
	argv[n++] = set.repolock;
	argv[n++] = "with-lock";
	argv[n++] = "-r";
	argv[n++] = set.locations[p->host % set.location_count];
	if (!p->exclusive)
		argv[n++] = "-s";
	if (p->wait >= 0) {
		argv[n++] = "--wait";
		argv[n++] = number_text(wait, sizeof(wait), "", p->wait);
	}
	if (lease()) {
		argv[n++] = "--ttl";
		(void)snprintf(ttl, sizeof(ttl), "%d.%03ds", p->ttl / 1000,
			       p->ttl % 1000);
		argv[n++] = ttl;
	}
	if (set.intime) {
		argv[n++] = "--name";
		argv[n++] = number_text(name, sizeof(name), "k", slot);
	}
	argv[n++] = "--kill-after";
	(void)snprintf(grace, sizeof(grace), "%d.%03ds", p->kill_after / 1000,
		       p->kill_after % 1000);
	argv[n++] = grace;
	if (p->on_lost_kill)
		argv[n++] = "--on-lost=kill";
	argv[n++] = "--events";
	argv[n++] = events;
	argv[n++] = "--";
	argv[n++] = set.actor;
	argv[n++] = set.directory;
	argv[n++] = number_text(number, sizeof(number), "", c->number);
	argv[n++] = p->exclusive ? "exclusive" : "shared";
	argv[n++] = p->kind;
	argv[n++] = number_text(hold, sizeof(hold), "", p->hold);
	argv[n++] = number_text(status, sizeof(status), "", p->status);
	argv[n] = NULL;
	if (p->user &&
	    (setgroups(0, NULL) < 0 ||
	     setresgid((gid_t)p->user, (gid_t)p->user, (gid_t)p->user) < 0 ||
	     setresuid((uid_t)p->user, (uid_t)p->user, (uid_t)p->user) < 0))
		_exit(99);
	if (p->user)
		(void)unsetenv("XDG_RUNTIME_DIR");
	execute(argv);
}

/* Between us and repolock: enters the host, waits for the end and says how it
 * was. So the front's parent is on no host, as a container's is. */
static void runner(const struct contender *c, int slot, int tell)
{
	struct rusage usage;
	pid_t front;
	int status;

	host_enter(c->plan.host);
	front = fork();
	if (front == 0) {
		(void)setpgid(0, 0);
		contender_exec(c, slot);
	}
	(void)!write(tell, &front, sizeof(front));
	(void)close(tell);
	while (wait4(front, &status, 0, &usage) < 0 && errno == EINTR)
		;
	record(c->number, "end %s=%d cpu=%ld",
	       WIFEXITED(status) ? "exit" : "signal",
	       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
	       (long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
		       (long)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) /
			       1000);
	_exit(0);
}

static void contender_start(int slot, int number)
{
	struct contender *c = &slots[slot];
	struct plan p = set.intime ? draw_loss(number) : draw_plan(number);
	char path[PATH_MAX];
	int tell[2];

	*c = (struct contender){ .number = number,
				 .plan = p,
				 .phase = PHASE_WAITING };
	path_of(path, sizeof(path), "signs/%d", number);
	if (mkfifo(path, 0666) < 0 || chmod(path, 0666) < 0)
		die(path);
	c->signs = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (c->signs < 0 || pipe2(tell, O_CLOEXEC) < 0)
		die(path);
	record(number,
	       "start mode=%s ttl=%d wait=%d kind=%s hold=%d status=%d grace=%d "
	       "host=%d user=%d hits=%d way=%s",
	       p.exclusive ? "exclusive" : "shared", p.ttl, p.wait, p.kind,
	       p.hold, p.status, p.kill_after, p.host, p.user, p.hit_count,
	       p.way);
	c->started = c->watched_at = now();
	c->runner = fork();
	if (c->runner == 0) {
		(void)close(tell[0]);
		runner(c, slot, tell[1]);
	}
	(void)close(tell[1]);
	if (read(tell[0], &c->pids[ROLE_FRONT], sizeof(pid_t)) != sizeof(pid_t))
		die("a runner");
	(void)close(tell[0]);
}

/* Of front and keeper, before the command runs. */
static long waiting_cpu(struct contender *c)
{
	struct process p;
	long sum = 0;

	find_roles(c);
	if (process_read(c->pids[ROLE_FRONT], &p))
		sum += p.cpu;
	if (c->pids[ROLE_KEEPER] && process_read(c->pids[ROLE_KEEPER], &p))
		sum += p.cpu;
	return sum;
}

static void watch_cpu(struct contender *c)
{
	int64_t span = now() - c->watched_at;
	long cpu;

	if (c->phase != PHASE_WAITING || c->ended ||
	    span < WATCH_CPU_SECONDS * SECOND)
		return;
	cpu = waiting_cpu(c);
	record(c->number, "waits cpu=%ld of=%lld", cpu - c->watched_cpu,
	       (long long)(span / MILLISECOND));
	c->watched_cpu = cpu;
	c->watched_at = now();
}

static void on_sign(struct contender *c, short events)
{
	char text[128];
	ssize_t n = read(c->signs, text, sizeof(text) - 1);

	if (n > 0 && c->phase == PHASE_WAITING) {
		text[n] = '\0';
		text[strcspn(text, "\n")] = '\0';
		(void)snprintf(c->id, sizeof(c->id), "%.95s", text);
		c->entered = now();
		c->phase = PHASE_INSIDE;
		find_roles(c);
		return;
	}
	if (n == 0 && (events & POLLHUP) && c->phase == PHASE_INSIDE) {
		record(c->number, "dead");
		c->phase = PHASE_DEAD;
	}
}

/* --- hits ----------------------------------------------------------------- */

static pid_t side(const char *what, const char *const *argv);

static const char *lease_directory(char *out, size_t size, int slot)
{
	char name[32] = "default";

	if (set.intime)
		(void)snprintf(name, sizeof(name), "k%d", slot);
	(void)snprintf(out, size, "%s/.repolock/%s", set.backing, name);
	return out;
}

static void claim_remove(struct contender *c, int slot)
{
	char directory[PATH_MAX], path[PATH_MAX + 300];
	struct dirent *d;
	DIR *all;

	lease_directory(directory, sizeof(directory), slot);
	all = opendir(directory);
	while (all && *c->id && (d = readdir(all)))
		if ((*d->d_name == 'x' || *d->d_name == 's') &&
		    strstr(d->d_name, c->id)) {
			(void)snprintf(path, sizeof(path), "%s/%s", directory,
				       d->d_name);
			record(c->number, "hit role=claim sig=removed");
			(void)unlink(path);
		}
	if (all)
		(void)closedir(all);
}

static void claim_force(const struct contender *c, int slot)
{
	char name[32];
	const char *argv[] = { set.repolock,
			       "unlock",
			       "-r",
			       set.location,
			       "--force",
			       "--yes",
			       "--name",
			       set.intime ? number_text(name, sizeof(name), "k",
							slot)
					  : "default",
			       c->id,
			       NULL };

	record(c->number, "hit role=claim sig=forced");
	(void)side("force-one", argv);
}

static void carry_out(struct contender *c, int slot, struct hit *h)
{
	pid_t pid;

	h->done = true;
	if (h->role == ROLE_CLAIM) {
		if (c->phase != PHASE_INSIDE)
			return;
		if (h->sig == CLAIM_REMOVE)
			claim_remove(c, slot);
		else
			claim_force(c, slot);
		return;
	}
	find_roles(c);
	pid = c->pids[h->role];
	if (pid <= 0 || (c->ended && h->role != ROLE_KEEPER))
		return;
	if (kill(pid, h->sig) < 0)
		return;
	if (h->sig == SIGKILL && h->role <= ROLE_KEEPER)
		c->killed[h->role] = true;
	record(c->number, "hit role=%s sig=%s pid=%d", role_names[h->role],
	       sigabbrev_np(h->sig), (int)pid);
}

static int64_t hit_time(const struct contender *c, const struct hit *h)
{
	if (h->done || (!c->plan.at_start && !c->entered))
		return INT64_MAX;
	return (c->plan.at_start ? c->started : c->entered) + h->after;
}

static void hit_all_due(int slot)
{
	struct contender *c = &slots[slot];

	/* One after the other, the earliest first. */
	for (;;) {
		struct hit *next = NULL;

		for (int i = 0; i < c->plan.hit_count; i++) {
			struct hit *h = &c->plan.hits[i];

			if (hit_time(c, h) <= now() &&
			    (!next || h->after < next->after))
				next = h;
		}
		if (!next)
			return;
		carry_out(c, slot, next);
	}
}

/* --- the end of a contender ------------------------------------------------ */

/* Every process whose arguments say that it is of this contender's command. */
static int kill_actors(const struct contender *c)
{
	struct dirent *d;
	DIR *proc = opendir("/proc");
	char number[32];
	int count = 0;

	(void)snprintf(number, sizeof(number), "%d", c->number);
	while (proc && (d = readdir(proc))) {
		char path[300], text[PATH_MAX * 2];
		const char *a, *b;
		ssize_t n;
		int fd;

		if (*d->d_name < '1' || *d->d_name > '9')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", d->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text) - 3);
		(void)close(fd);
		if (n <= 0)
			continue;
		memset(text + n, 0, 3);
		a = text + strlen(text) + 1;
		b = a < text + n ? a + strlen(a) + 1 : a;
		if (strcmp(text, set.actor) != 0 ||
		    strcmp(a, set.directory) != 0 || b >= text + n ||
		    strcmp(b, number) != 0)
			continue;
		(void)kill((pid_t)strtol(d->d_name, NULL, 10), SIGKILL);
		count++;
	}
	if (proc)
		(void)closedir(proc);
	return count;
}

/* What is left when front and keeper were both killed by us, or when repolock
 * has ended long ago, would be in everybody's way. */
static void sweep(struct contender *c)
{
	if (!c->ended || c->phase == PHASE_DEAD || c->swept ||
	    now() < c->ended_at + ORPHAN_SECONDS * SECOND)
		return;
	if (c->pids[ROLE_KEEPER] && !c->killed[1]) {
		struct process p;

		/* Alone, the keeper may still be about to kill. */
		if (process_read(c->pids[ROLE_KEEPER], &p) && p.state != 'Z' &&
		    now() < c->ended_at + 20 * SECOND)
			return;
	}
	if (c->phase == PHASE_INSIDE)
		record(c->number, "orphans");
	record(c->number, "swept count=%d", kill_actors(c));
	c->swept = true;
}

/* Whoever we stopped is continued first. */
static bool still_stopped(const struct contender *c)
{
	bool stopped[ROLES] = { false };

	for (int i = 0; i < c->plan.hit_count; i++) {
		const struct hit *h = &c->plan.hits[i];

		if (h->sig == SIGSTOP || h->sig == SIGTSTP)
			stopped[h->role] = h->done;
		else if (h->sig == SIGCONT && h->done)
			stopped[h->role] = false;
	}
	for (int i = 0; i < ROLES; i++)
		if (stopped[i])
			return true;
	return false;
}

static void release_slot(struct contender *c)
{
	char path[PATH_MAX];

	if (still_stopped(c))
		return;
	if (c->phase == PHASE_WAITING && !c->swept && c->pids[ROLE_KEEPER])
		return; /* an orphan may have started the command */
	(void)close(c->signs);
	(void)unlink(path_of(path, sizeof(path), "signs/%d", c->number));
	/* While the place is gone, each would fail at once. */
	slot_free_at[c - slots] = now() +
				  (chaos.action >= 0 ? 500 : 10) * MILLISECOND;
	*c = (struct contender){ 0 };
}

/* --- chaos beside the contenders ------------------------------------------- */

static struct side_process {
	pid_t pid;
	char what[48];
	int64_t since;
} sides[64];

static pid_t side(const char *what, const char *const *argv)
{
	struct side_process *s = NULL;
	char path[PATH_MAX];

	for (int i = 0; i < 64 && !s; i++)
		if (sides[i].pid == 0)
			s = &sides[i];
	if (!s)
		return 0;
	(void)snprintf(s->what, sizeof(s->what), "%s", what);
	s->since = now();
	record(0, "side %s", what);
	s->pid = fork();
	if (s->pid == 0) {
		int fd = open(path_of(path, sizeof(path), "sides"),
			      O_WRONLY | O_CREAT | O_APPEND, 0666);

		(void)dup2(fd, 1);
		(void)dup2(fd, 2);
		execute(argv);
	}
	return s->pid;
}

static void side_ended(pid_t pid, int status)
{
	for (int i = 0; i < 64; i++)
		if (sides[i].pid == pid) {
			record(0, "side-ended %s %s=%d ms=%lld", sides[i].what,
			       WIFEXITED(status) ? "exit" : "signal",
			       WIFEXITED(status) ? WEXITSTATUS(status)
						 : WTERMSIG(status),
			       (long long)((now() - sides[i].since) /
					   MILLISECOND));
			sides[i].pid = 0;
		}
}

static void sides_watch(void)
{
	for (int i = 0; i < 64; i++)
		if (sides[i].pid &&
		    now() > sides[i].since + SIDE_SECONDS * SECOND) {
			record(0, "side-hangs %s", sides[i].what);
			(void)kill(sides[i].pid, SIGKILL);
			sides[i].since = INT64_MAX / 2;
		}
}

static void hook(const char *step)
{
	const char *argv[] = { set.hook, set.actions[chaos.action], step, NULL };
	char what[48];

	record(0, "%s action=%s", step, set.actions[chaos.action]);
	(void)snprintf(what, sizeof(what), "hook-%.30s",
		       set.actions[chaos.action]);
	(void)side(what, argv);
}

/* Waits for a hook: two of them at once would be in each other's way. */
static void hook_done(void)
{
	for (int i = 0; i < 64; i++) {
		int status;

		if (sides[i].pid == 0 || strncmp(sides[i].what, "hook-", 5) != 0)
			continue;
		if (waitpid(sides[i].pid, &status, 0) > 0)
			side_ended(sides[i].pid, status);
	}
}

static int64_t hang_ends;

static void hang_over(void)
{
	if (!hang_ends)
		return;
	hook("end");
	hook_done();
	record(0, "over action=hang");
	hang_ends = 0;
}

/* A batch of holders at a time: the store hangs for all of them. True: no more
 * of them now. */
static bool hanging(bool more)
{
	bool ready = true, free = true;

	for (int i = 0; i < set.contenders; i++) {
		const struct contender *c = &slots[i];

		free = free && c->number == 0;
		if (c->number || more)
			ready = ready && c->phase == PHASE_INSIDE &&
				now() > c->entered + HANG_AFTER * SECOND;
	}
	if (chaos.action < 0 && ready && !free) {
		chaos.action = 0;
		hook("begin");
		hook_done();
		hang_ends = now() + HANG_SECONDS * SECOND;
	} else if (hang_ends && now() > hang_ends) {
		hang_over();
	} else if (!hang_ends && free) {
		chaos.action = -1;
	}
	return chaos.action == 0;
}

static void chaos_step(void)
{
	struct chance one, *c = &one;
	const char *argv[8] = { set.repolock, "unlock", "-r", set.location };
	int what;

	if (chaos.action >= 0 && now() >= chaos.action_ends) {
		hook("end");
		hook_done();
		record(0, "over action=%s", set.actions[chaos.action]);
		chaos.action = -1;
	}
	if (now() < chaos.next)
		return;
	if (set.peer && chaos.number % 3 == 0) {
		const char *peer[] = { "/bin/sh", "-c", set.peer, NULL };

		(void)side("peer", peer);
	}
	one = chance_of(set.seed, STREAM_CHAOS + 2000 + chaos.number++);
	chaos.next = now() + chance_in(c, 300, 2500) * MILLISECOND;
	what = chance_in(c, 0, 99);
	if (what < 30) {
		(void)side("unlock", argv);
	} else if (what < 60) {
		argv[1] = "list-locks";
		argv[4] = chance_percent(c, 50) ? "--json" : NULL;
		(void)side("list", argv);
	} else if (what < 66) {
		argv[4] = "--force";
		argv[5] = "--all";
		argv[6] = "--yes";
		(void)side("force-all", argv);
	} else if (what < 72) {
		/* Some of them past every TTL. */
		if (set.hosts)
			host_freeze(chance_in(c, 1, set.hosts),
				    now() + chance_in(c, 300,
						      chance_percent(c, 70)
							      ? 1500
							      : 9000) *
						    MILLISECOND);
	} else if (what < 82 && set.action_count && chaos.action < 0) {
		chaos.action = chance_in(c, 0, set.action_count - 1);
		chaos.action_ends = now() + chance_in(c, 200, 2500) * MILLISECOND;
		hook("begin");
		hook_done();
	}
}

/* --- what reaches the store ------------------------------------------------- */

/* Looked at, not watched: a file that was made without a name tells inotify of
 * its directory nothing. */
static void note_renewal(struct contender *c, int slot)
{
	char directory[PATH_MAX];
	struct stat st;

	if (!lease() || c->phase != PHASE_INSIDE || !*c->id)
		return;
	lease_directory(directory, sizeof(directory), slot);
	if (!*c->claim) {
		struct dirent *d;
		DIR *names = opendir(directory);

		while (names && (d = readdir(names)))
			if ((*d->d_name == 'x' || *d->d_name == 's') &&
			    strstr(d->d_name, c->id))
				(void)snprintf(c->claim, sizeof(c->claim),
					       "%s/%.200s", directory, d->d_name);
		if (names)
			(void)closedir(names);
	}
	if (!*c->claim || stat(c->claim, &st) < 0 ||
	    (st.st_mtim.tv_sec == c->renewed.tv_sec &&
	     st.st_mtim.tv_nsec == c->renewed.tv_nsec))
		return;
	c->renewed = st.st_mtim;
	record(c->number, "renewed kernel=%d",
	       strcmp(c->claim + strlen(c->claim) - 2, ".k") == 0);
}

/* --- the loop ---------------------------------------------------------------- */

static void reap(void)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		side_ended(pid, status);
		for (int i = 0; i < set.contenders; i++)
			if (slots[i].number && slots[i].runner == pid) {
				slots[i].ended = true;
				slots[i].ended_at = now();
			}
	}
}

static int64_t next_due(void)
{
	int64_t next = now() + 10 * MILLISECOND;

	for (int i = 0; i < set.contenders; i++)
		for (int h = 0; slots[i].number && h < slots[i].plan.hit_count;
		     h++) {
			int64_t t = hit_time(&slots[i], &slots[i].plan.hits[h]);

			next = t < next ? t : next;
		}
	return next;
}

static void wait_for_something(void)
{
	struct pollfd fds[MAX_SLOTS];
	int which[MAX_SLOTS], count = 0;
	int64_t left = next_due() - now();
	struct timespec t = { .tv_nsec = left > 0 ? left : 0 };

	for (int i = 0; i < set.contenders; i++)
		if (slots[i].number && slots[i].phase != PHASE_DEAD) {
			which[count] = i;
			fds[count++] = (struct pollfd){ .fd = slots[i].signs,
							.events = POLLIN };
		}
	(void)ppoll(fds, (nfds_t)count, &t, NULL);
	/* First of all: these stamps are what is measured. */
	for (int i = 0; i < count; i++)
		if (fds[i].revents)
			on_sign(&slots[which[i]], fds[i].revents);
	for (int i = 0; i < set.contenders; i++)
		note_renewal(&slots[i], i);
}

static bool turn(bool more, int *number)
{
	bool busy = false;

	wait_for_something();
	reap();
	for (int i = 0; i < set.contenders; i++) {
		struct contender *c = &slots[i];

		if (c->number) {
			hit_all_due(i);
			watch_cpu(c);
			sweep(c);
			if (c->ended && (c->phase != PHASE_INSIDE))
				release_slot(c);
		}
		if (!c->number && more && *number < set.count &&
		    now() >= slot_free_at[i])
			contender_start(i, ++*number);
		busy = busy || c->number;
	}
	hosts_thaw(false);
	sides_watch();
	return busy;
}

/* Nobody is hit any more; everybody has to come to an end. */
static void give_up(void)
{
	for (int i = 0; i < set.contenders; i++) {
		struct contender *c = &slots[i];

		if (!c->number)
			continue;
		record(c->number, "stuck phase=%d", (int)c->phase);
		for (int r = 0; r < ROLE_CLAIM; r++)
			if (c->pids[r] > 0)
				(void)kill(c->pids[r], SIGKILL);
		(void)kill_actors(c);
	}
}

static void last_acquisition(void)
{
	char wait[32];
	const char *acquire[] = {
		set.repolock, "with-lock",
		"-r",         set.location,
		"--wait",     number_text(wait, sizeof(wait), "", set.patience),
		"--",         "true",
		NULL
	};
	const char *list[] = { set.repolock, "list-locks",  "-r",
			       set.location, "--exit-code", NULL };
	int status = 0;
	pid_t pid;

	pid = side("last-acquisition", acquire);
	(void)waitpid(pid, &status, 0);
	side_ended(pid, status);
	pid = side("last-list", list);
	(void)waitpid(pid, &status, 0);
	side_ended(pid, status);
}

static void prepare(void)
{
	static const char *const folders[] = { "", "signs", "events", "err",
					       "run" };
	char path[PATH_MAX];
	int fd;

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		path_of(path, sizeof(path), "%s", folders[i]);
		if (mkdir(path, 0777) < 0 && errno != EEXIST)
			die(path);
		(void)chmod(path, strcmp(folders[i], "run") == 0 ? 0700 : 0777);
	}
	if (!journal_open(path_of(path, sizeof(path), "journal")))
		die(path);
	(void)chmod(path, 0666);
	fd = open(path_of(path, sizeof(path), "inside"),
		  O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		die(path);
	(void)fchmod(fd, 0666);
	(void)close(fd);
	(void)setenv("XDG_RUNTIME_DIR", path_of(path, sizeof(path), "run"), 1);
	(void)setenv("LC_ALL", "C.UTF-8", 1);
}

/* So that a place where nothing can be locked is told at once. */
static void warm_up(int names)
{
	for (int i = 0; i < names; i++) {
		char name[32] = "default";
		const char *argv[] = { set.repolock, "with-lock", "-r",
				       set.location, "--name",    name,
				       "--",         "true",      NULL };
		int status = 0;
		pid_t pid;

		if (set.intime)
			(void)snprintf(name, sizeof(name), "k%d", i);
		if (!lease())
			argv[4] = "--", argv[5] = "true", argv[6] = NULL;
		pid = fork();
		if (pid == 0) {
			execute(argv);
		}
		(void)waitpid(pid, &status, 0);
		if (status != 0) {
			(void)fprintf(stderr, "driver: %s cannot be locked\n",
				      set.location);
			exit(3);
		}
	}
	if (set.users) { /* the first one's directories would be root's own */
		char path[PATH_MAX];

		(void)snprintf(path, sizeof(path), "%s/.repolock", set.backing);
		(void)chmod(path, 01777);
		(void)chmod(lease_directory(path, sizeof(path), 0), 01777);
	}
}

static int number_of(const char *value)
{
	return (int)strtol(value, NULL, 10);
}

static void setting(char *word)
{
	char *value = strchr(word, '=');

	if (!value) {
		errno = EINVAL;
		die(word);
	}
	*value++ = '\0';
	if (strcmp(word, "seed") == 0)
		set.seed = strtoull(value, NULL, 10);
	else if (strcmp(word, "seconds") == 0)
		set.seconds = number_of(value);
	else if (strcmp(word, "count") == 0)
		set.count = number_of(value);
	else if (strcmp(word, "contenders") == 0)
		set.contenders = number_of(value);
	else if (strcmp(word, "hosts") == 0)
		set.hosts = number_of(value);
	else if (strcmp(word, "protocol") == 0)
		set.protocol = value;
	else if (strcmp(word, "backing") == 0)
		set.backing = value;
	else if (strcmp(word, "users") == 0)
		set.users = number_of(value) != 0;
	else if (strcmp(word, "only") == 0)
		set.only = *value ? value : NULL;
	else if (strcmp(word, "hold") == 0)
		set.hold = number_of(value);
	else if (strcmp(word, "fates") == 0)
		set.fates = number_of(value);
	else if (strcmp(word, "hook") == 0)
		set.hook = value;
	else if (strcmp(word, "actions") == 0)
		for (char *a = strtok(value, ",");
		     a && set.action_count < MAX_ACTIONS; a = strtok(NULL, ","))
			set.actions[set.action_count++] = a;
	else if (strcmp(word, "also") == 0)
		for (char *a = strtok(value, ",");
		     a && set.location_count < MAX_LOCATIONS;
		     a = strtok(NULL, ","))
			set.locations[set.location_count++] = a;
	else if (strcmp(word, "calm") == 0)
		set.calm = number_of(value) != 0;
	else if (strcmp(word, "peer") == 0)
		set.peer = value;
	else if (strcmp(word, "errors") == 0)
		set.errors = number_of(value) != 0;
	else if (strcmp(word, "hang") == 0)
		set.hang = number_of(value) != 0;
	else if (strcmp(word, "patience") == 0)
		set.patience = number_of(value);
	else if (strcmp(word, "intime") == 0)
		set.intime = number_of(value);
	else {
		errno = EINVAL;
		die(word);
	}
}

int main(int argc, char **argv)
{
	struct sched_param first = { .sched_priority = 1 };
	int64_t until, give_up_at;
	int number = 0;

	set.repolock = getenv("REPOLOCK");
	set.actor = getenv("ACTOR");
	if (argc < 3 || !set.repolock || !set.actor) {
		(void)fprintf(stderr, "driver DIRECTORY LOCATION [WORD=VALUE...], "
				      "REPOLOCK and ACTOR in the environment\n");
		return 2;
	}
	set.directory = argv[1];
	set.location = set.backing = argv[2];
	set.locations[set.location_count++] = argv[2];
	for (int i = 3; i < argc; i++)
		setting(argv[i]);
	if (set.contenders > MAX_SLOTS || set.hosts > MAX_HOSTS) {
		errno = ERANGE;
		die("contenders or hosts");
	}
	if (set.intime)
		set.count = set.intime;
	prepare();
	/* What is stamped late is measured against us. */
	(void)sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &first);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int i = 1; i <= set.hosts; i++)
		host_start(i);
	warm_up(set.intime ? set.contenders : 1);
	record(0, "run seed=%llu protocol=%s location=%s patience=%d",
	       (unsigned long long)set.seed, set.protocol, set.location,
	       set.patience);
	if (set.errors)
		record(0, "begin action=errors");
	until = now() + (set.intime ? (set.intime / set.contenders + 1) * 25
				    : set.seconds) *
				SECOND;
	chaos.next = now() + SECOND;
	while (now() < until && (number < set.count || turn(false, &number))) {
		(void)turn(!set.hang || !hanging(number < set.count), &number);
		if (!set.calm && !set.intime)
			chaos_step();
	}
	record(0, "drain");
	hosts_thaw(true);
	hang_over();
	if (chaos.action >= 0 && !set.hang) {
		chaos.action_ends = 0;
		chaos.next = INT64_MAX;
		chaos_step();
	}
	give_up_at = now() + 2 * set.patience * SECOND;
	while (turn(false, &number))
		if (now() > give_up_at) {
			give_up();
			break;
		}
	if (!set.intime)
		last_acquisition();
	record(0, "over");
	for (int i = 1; i <= set.hosts; i++)
		(void)kill(hosts[i].init, SIGKILL);
	return 0;
}
