/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * actor DIRECTORY CONTENDER MODE KIND HOLD STATUS
 *
 * The COMMAND of every contender of a torture run. Writes into
 * DIRECTORY/journal that it entered, that it is alive (each of its processes,
 * every few milliseconds) and that it leaves after HOLD milliseconds with
 * STATUS. Whether somebody is inside beside it is found out without repolock:
 * the kernel lock of DIRECTORY/inside is one of the whole tree, since all of
 * its processes share the open description. DIRECTORY/signs/CONTENDER is a
 * fifo that all of them keep open: its reader is given the lock's id on a
 * line, and sees when the last one is dead.
 *
 * KIND is what the tree is like, see kinds[].
 */
#include "journal.h"

#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum {
	BOMB = 50,
	OTHER_USER = 65534,
	/* What nobody kills ends by itself, so that a failed run does too. */
	LONGEST_LIFE = 40,
	/* A chain without end would be one for the machine as well. */
	CHAIN_LIFE = 5
};

static int contender;
static bool exclusive;
static int inside = -1;
static bool alone; /* nobody who should not be there is inside */
static int64_t begun, leaves;

static void sign_of_life(const char *what)
{
	bool before = alone;

	alone = flock(inside, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0;
	record(contender, "%s%s", what, alone ? "" : " overlap=1");
	if (before && !alone)
		record(contender, "lost-inside");
}

static void live_until(int64_t when, int tick)
{
	while (now() < when) {
		sign_of_life("alive");
		pause_until(now() + tick * MILLISECOND);
	}
}

static void live_long(void)
{
	live_until(begun + LONGEST_LIFE * SECOND, 10);
	_exit(0);
}

/* The child goes on with what follows, the parent returns false. */
static bool in_child(void)
{
	return fork() == 0;
}

/* --- kinds: each makes its processes and returns in the one that leaves --- */

static void plain(void)
{
}

static void own_session(void)
{
	if (in_child()) {
		(void)setsid();
		live_long();
	}
}

static void double_fork(void)
{
	if (in_child()) {
		(void)setsid();
		if (in_child())
			live_long();
		_exit(0);
	}
	(void)wait(NULL);
}

static void chain(void)
{
	int64_t end;

	if (!in_child())
		return;
	/* From when the command leaves: it is then that one has to be quick. */
	end = leaves + CHAIN_LIFE * SECOND;
	while (now() < end) {
		if (fork() > 0)
			_exit(0);
		sign_of_life("alive");
		pause_until(now() + MILLISECOND);
	}
	_exit(0);
}

static void bomb(void)
{
	for (int i = 0; i < BOMB; i++)
		if (in_child()) {
			live_until(begun + LONGEST_LIFE * SECOND, 100);
			_exit(0);
		}
}

static void deaf(void)
{
	(void)signal(SIGTERM, SIG_IGN);
	if (in_child())
		live_long();
}

static void other_user(void)
{
	if (!in_child())
		return;
	if (setgroups(0, NULL) < 0 ||
	    setresgid(OTHER_USER, OTHER_USER, OTHER_USER) < 0 ||
	    setresuid(OTHER_USER, OTHER_USER, OTHER_USER) < 0)
		_exit(0);
	live_long();
}

static void stopped(void)
{
	for (int i = 0; i < 3; i++)
		if (in_child()) {
			(void)raise(SIGSTOP);
			live_long();
		}
}

static void zombies(void)
{
	if (!in_child())
		return;
	for (int i = 0; i < 10; i++)
		if (in_child())
			_exit(0);
	(void)raise(SIGSTOP);
	live_long();
}

static void traced(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		live_long();
	if (in_child()) {
		if (ptrace(PTRACE_SEIZE, child, 0, 0) == 0)
			for (;;) {
				if (waitpid(child, &status, __WALL) < 0 ||
				    !WIFSTOPPED(status))
					break;
				(void)ptrace(PTRACE_CONT, child, 0,
					     WSTOPSIG(status) == SIGSTOP
						     ? 0
						     : WSTOPSIG(status));
			}
		live_long();
	}
}

static void own_pids(void)
{
	if (!in_child())
		return;
	if (unshare(CLONE_NEWPID) == 0 && in_child()) {
		if (in_child())
			live_long();
		live_long();
	}
	live_long();
}

static void subreaper(void)
{
	if (!in_child())
		return;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (in_child()) {
		if (in_child())
			live_long();
		_exit(0);
	}
	live_long();
}

static void *thread(void *unused)
{
	(void)unused;
	live_long();
	return NULL;
}

static void leaderless(void)
{
	pthread_t t;

	if (!in_child())
		return;
	if (pthread_create(&t, NULL, thread, NULL) == 0)
		pthread_exit(NULL);
	_exit(0);
}

static void own_group(void)
{
	(void)setpgid(0, 0);
	if (in_child())
		live_long();
}

static const struct kind {
	const char *name;
	void (*make)(void);
} kinds[] = {
	{ "plain", plain },
	{ "session", own_session },
	{ "daemon", double_fork },
	{ "chain", chain },
	{ "bomb", bomb },
	{ "deaf", deaf },
	{ "user", other_user },
	{ "stopped", stopped },
	{ "zombies", zombies },
	{ "traced", traced },
	{ "pids", own_pids },
	{ "subreaper", subreaper },
	{ "leaderless", leaderless },
	{ "group", own_group },
};

static const struct kind *kind_of(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : "-";
}

static int open_in(const char *directory, const char *name, int flags)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return open(path, flags, 0666);
}

int main(int argc, char **argv)
{
	const struct kind *kind = argc == 7 ? kind_of(argv[4]) : NULL;
	char name[64];
	int signs, status;

	if (!kind) {
		(void)fprintf(stderr, "actor DIRECTORY CONTENDER MODE KIND "
				      "HOLD STATUS\n");
		return 2;
	}
	contender = (int)strtol(argv[2], NULL, 10);
	exclusive = strcmp(argv[3], "exclusive") == 0;
	status = (int)strtol(argv[6], NULL, 10);
	(void)snprintf(name, sizeof(name), "signs/%d", contender);
	clock_correct();
	/* Children keep these three; none of them is closed on exec. */
	journal_fd = open_in(argv[1], "journal", O_WRONLY | O_APPEND);
	inside = open_in(argv[1], "inside", O_RDWR);
	signs = open_in(argv[1], name, O_WRONLY | O_NONBLOCK);
	if (journal_fd < 0 || inside < 0 || signs < 0)
		return 2;
	begun = now();
	leaves = begun + strtol(argv[5], NULL, 10) * MILLISECOND;
	alone = flock(inside, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0;
	record(contender, "enter mode=%s fence=%s id=%s%s", argv[3],
	       variable("REPOLOCK_HELD_FENCE"), variable("REPOLOCK_HELD_ID"),
	       alone ? "" : " overlap=1");
	(void)snprintf(name, sizeof(name), "%.60s\n",
		       variable("REPOLOCK_HELD_ID"));
	(void)!write(signs, name, strlen(name));
	kind->make();
	live_until(leaves, 10);
	record(contender, "leave status=%d", status);
	return status;
}
