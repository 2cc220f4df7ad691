/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every test runs in a process of its own (Check forks), which is made a
 * subreaper, as keeper and front are. What a test starts ends with it: each
 * child waits on a pipe whose other end the test process alone holds.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise/tree.h"

/* Tests take /proc and descriptors away, which a search for leaks needs; and
 * nothing under test allocates. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

enum { NOBODY = 65534, MANY = 150, TRIES = 60000 };

static const nsec PATIENCE = 60 * NSEC_PER_SEC;

/* Wait for a condition, a minute at least. */
#define AWAIT(condition)                                                       \
	for (int tries_ = 0; !(condition); tries_++) {                         \
		ck_assert_int_lt(tries_, TRIES);                               \
		usleep(1000);                                                  \
	}

/* Seen by all processes of a test. */
static struct shared {
	_Atomic int ready;  /* how many are up */
	_Atomic int usr1;   /* how often a child got SIGUSR1 */
	_Atomic int conts;  /* how often a child got SIGCONT */
	_Atomic long moves; /* raised without end by whoever runs */
	_Atomic pid_t pid;  /* of the last one that came up */
} * shared;

static int leash[2];

static void on_usr1(int sig)
{
	(void)sig;
	shared->usr1++;
}

static void on_cont(int sig)
{
	(void)sig;
	shared->conts++;
}

static void set_up(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	ck_assert_int_eq(pipe2(leash, O_CLOEXEC), 0);
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
}

static struct tree below(void)
{
	return (struct tree){ .root = getpid() };
}

/* The life of a child: say "here", and stay until the test process ends. */
static void stay(void)
{
	struct pollfd end = { .fd = leash[0], .events = POLLIN };

	close(leash[1]);
	shared->pid = getpid();
	shared->ready++;
	while (poll(&end, 1, -1) < 0)
		continue;
	_exit(0);
}

static pid_t fork_staying(void)
{
	int before = shared->ready;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		signal(SIGUSR1, on_usr1);
		signal(SIGCONT, on_cont);
		stay();
	}
	AWAIT(shared->ready > before);
	return pid;
}

/* A daemon: forked twice, in a session of its own. Its pid. */
static pid_t fork_daemon(void)
{
	int before = shared->ready;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setsid();
		if (fork() == 0)
			stay();
		_exit(0);
	}
	AWAIT(shared->ready > before);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return shared->pid;
}

static bool is_there(pid_t pid)
{
	return kill(pid, 0) == 0 || errno == EPERM;
}

static char state_of(pid_t pid)
{
	char path[64];
	char text[512] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return '-';
	if (fgets(text, sizeof text, f) == NULL)
		strcpy(text, ") -");
	fclose(f);
	return strrchr(text, ')')[2];
}

static bool add_live(void *context, const struct tree_process *p)
{
	unsigned *live = context;

	*live += p->live;
	return true;
}

static unsigned live_in(const struct tree *t)
{
	unsigned live = 0;

	ck_assert_int_eq(tree_each(t, add_live, &live), RC_OK);
	return live;
}

static unsigned live(void)
{
	struct tree t = below();

	return live_in(&t);
}

/* --- finding ---------------------------------------------------------- */

START_TEST(without_children_the_tree_is_bare)
{
	struct tree t = below();
	struct tree_count count;

	ck_assert(tree_is_bare());
	ck_assert(tree_reap(&t));
	ck_assert_uint_eq(live(), 0);
	ck_assert_int_eq(tree_kill(&t, 0, NULL, NULL, &count), RC_OK);
	ck_assert_int_eq(count.left, TREE_LEFT_NONE);
}
END_TEST

START_TEST(a_child_is_found_and_the_tree_not_bare)
{
	fork_staying();
	ck_assert(!tree_is_bare());
	ck_assert_uint_eq(live(), 1);
}
END_TEST

struct found {
	pid_t wanted;
	int seen;
	struct tree_process process;
};

static bool look_for(void *context, const struct tree_process *p)
{
	struct found *f = context;

	if (p->id.pid != f->wanted)
		return true;
	f->seen++;
	f->process = *p;
	return true;
}

static struct found find(pid_t pid)
{
	struct tree t = below();
	struct found f = { .wanted = pid };

	ck_assert_int_eq(tree_each(&t, look_for, &f), RC_OK);
	return f;
}

START_TEST(a_daemon_in_its_own_session_is_found)
{
	struct found f = find(fork_daemon());

	ck_assert_int_eq(f.seen, 1);
	ck_assert_int_eq(f.process.parent, getpid());
}
END_TEST

START_TEST(a_grandchild_below_another_subreaper_is_found)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		fork_daemon();
		stay();
	}
	AWAIT(shared->ready == 2);
	ck_assert_uint_eq(live(), 2);
}
END_TEST

START_TEST(the_parent_and_its_other_children_are_not_ours)
{
	pid_t pid;
	int status;

	fork_staying();
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		fork_staying();
		_exit((int)live());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
}
END_TEST

static const char *const odd_names[] = { "a b) S 1 (c", ") Z 1 1", "new\nline",
					 "", "123456789012345" };

START_TEST(a_process_is_described_whatever_its_name)
{
	const char *name = odd_names[_i];
	struct found f;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_NAME, name);
		stay();
	}
	AWAIT(shared->ready == 1);
	f = find(pid);
	ck_assert_int_eq(f.seen, 1);
	ck_assert_str_eq(f.process.name, name);
	ck_assert_int_eq(f.process.parent, getpid());
	ck_assert_uint_gt(f.process.id.start, 0);
	ck_assert(f.process.live);
	ck_assert(strchr("RSD", f.process.state) != NULL);
}
END_TEST

START_TEST(a_zombie_is_shown_but_not_counted)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	AWAIT(state_of(pid) == 'Z');
	ck_assert_int_eq(find(pid).seen, 1);
	ck_assert(!find(pid).process.live);
	ck_assert_uint_eq(live(), 0);
}
END_TEST

static void *stay_thread(void *unused)
{
	(void)unused;
	stay();
	return NULL;
}

START_TEST(a_process_whose_first_thread_ended_counts)
{
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, stay_thread, NULL) == 0)
			syscall(SYS_exit, 0); /* this thread alone */
		_exit(1);
	}
	AWAIT(shared->ready == 1 && state_of(pid) == 'Z');
	ck_assert(find(pid).process.live);
	ck_assert_uint_eq(live(), 1);
}
END_TEST

START_TEST(what_is_apart_is_left_alone_with_all_below_it)
{
	struct tree t = below();
	struct tree_set set = { .len = 0 };
	struct tree_count count;
	pid_t apart = fork();

	ck_assert_int_ge(apart, 0);
	if (apart == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		fork_daemon();
		stay();
	}
	AWAIT(shared->ready == 2);
	set.few[0] = find(apart).process.id;
	set.len = 1;
	t.apart = &set;
	ck_assert_uint_eq(live_in(&t), 0);
	ck_assert_int_eq(tree_kill(&t, PATIENCE, NULL, NULL, &count), RC_OK);
	ck_assert_uint_eq(count.live, 0);
	ck_assert_int_eq(count.left, TREE_LEFT_NONE);
	ck_assert_uint_eq(live(), 2);
}
END_TEST

START_TEST(zombies_are_reaped_but_the_kept_one)
{
	struct tree t = below();
	siginfo_t info;
	pid_t kept = fork();
	pid_t other;

	if (kept == 0)
		_exit(7);
	AWAIT(state_of(kept) == 'Z');
	other = fork();
	if (other == 0)
		_exit(0);
	AWAIT(state_of(other) == 'Z');
	t.kept = kept;
	ck_assert(!tree_reap(&t));
	ck_assert(!is_there(other));
	ck_assert_int_eq(waitid(P_PID, kept, &info, WEXITED), 0);
	ck_assert_int_eq(info.si_status, 7);
	ck_assert(tree_reap(&t));
}
END_TEST

/* --- signals to all --------------------------------------------------- */

START_TEST(a_signal_reaches_each_once)
{
	struct tree t = below();
	struct tree_count count;

	for (int i = 0; i < MANY; i++)
		fork_staying();
	ck_assert_int_eq(tree_signal(&t, SIGUSR1, NULL, NULL, &count), RC_OK);
	ck_assert_uint_eq(count.live, MANY);
	ck_assert_uint_eq(count.denied, 0);
	AWAIT(shared->usr1 >= MANY);
	usleep(20000);
	ck_assert_int_eq(shared->usr1, MANY);
}
END_TEST

START_TEST(what_starts_in_answer_to_the_signal_does_not_get_it)
{
	struct tree t = below();
	struct tree_count count;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		sigset_t set;
		int sig;

		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, NULL);
		shared->ready++;
		sigwait(&set, &sig);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		fork_staying();
		stay();
	}
	AWAIT(shared->ready == 1);
	ck_assert_int_eq(tree_signal(&t, SIGUSR1, NULL, NULL, &count), RC_OK);
	ck_assert_uint_eq(count.live, 1);
	AWAIT(shared->ready == 3);
	ck_assert_int_eq(shared->usr1, 0);
	ck_assert_uint_eq(live(), 2);
}
END_TEST

struct order {
	pid_t pids[MANY];
	int len;
};

static void note_order(void *context, const struct tree_process *p,
		       enum tree_fate fate)
{
	struct order *order = context;

	ck_assert_int_eq(fate, TREE_SIGNALLED);
	ck_assert_int_lt(order->len, MANY);
	order->pids[order->len++] = p->id.pid;
}

START_TEST(parents_are_signalled_before_their_children)
{
	struct tree t = below();
	struct tree_count count;
	struct order order = { .len = 0 };
	pid_t parent = fork();

	ck_assert_int_ge(parent, 0);
	if (parent == 0) {
		signal(SIGUSR2, SIG_IGN);
		usleep(30000); /* into another tick than the child's */
		fork_staying();
		stay();
	}
	AWAIT(shared->ready == 2);
	ck_assert_int_eq(tree_signal(&t, SIGUSR2, note_order, &order, &count),
			 RC_OK);
	ck_assert_int_eq(order.len, 2);
	ck_assert_int_eq(order.pids[0], parent);
}
END_TEST

/* Each forks the next one and ends, without a pause; none of them can be seen
 * for long. *end is the end of a pipe that is closed when none is left. */
static pid_t fork_chain(int *end)
{
	int ends[2];
	long before = shared->moves;
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(ends[0]);
		for (;;) {
			shared->moves++;
			if (fork() > 0)
				_exit(0);
		}
	}
	close(ends[1]);
	*end = ends[0];
	AWAIT(shared->moves >= before + 10);
	return pid;
}

static bool has_ended(int end)
{
	struct pollfd p = { .fd = end, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

struct fates {
	int signalled, denied, stuck;
};

static void count_fates(void *context, const struct tree_process *p,
			enum tree_fate fate)
{
	struct fates *f = context;

	(void)p;
	f->signalled += fate == TREE_SIGNALLED;
	f->denied += fate == TREE_DENIED;
	f->stuck += fate == TREE_STUCK;
}

static struct fates kill_all(void)
{
	struct tree t = below();
	struct tree_count count;
	struct fates fates = { 0 };

	ck_assert_int_eq(tree_kill(&t, PATIENCE, count_fates, &fates, &count),
			 RC_OK);
	ck_assert_uint_eq(count.live, 0);
	ck_assert_int_eq(count.left, TREE_LEFT_NONE);
	ck_assert(tree_is_bare());
	ck_assert_int_eq(fates.denied, 0);
	ck_assert_int_eq(fates.stuck, 0);
	return fates;
}

/* --- stop and continue ------------------------------------------------ */

/* Forks a child for some generations; every one of them counts on. */
static void multiply(int generations)
{
	for (;;) {
		shared->moves++;
		if (generations > 0)
			generations = fork() == 0 ? generations - 1 : 0;
		usleep(500);
	}
}

START_TEST(all_stand_still_even_if_they_fork_meanwhile)
{
	struct tree t = below();
	struct tree_set stopped = { .len = 0 };
	struct tree_count count;
	long moves;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		multiply(60);
	AWAIT(shared->moves >= 20);
	ck_assert_int_eq(tree_stop(&t, PATIENCE, &stopped, &count), RC_OK);
	moves = shared->moves;
	ck_assert_uint_ge(stopped.len, 2);
	usleep(20000);
	ck_assert_int_eq(shared->moves, moves);

	ck_assert_int_eq(tree_continue(&t, &stopped), RC_OK);
	ck_assert_uint_eq(stopped.len, 0);
	AWAIT(shared->moves >= moves + 10);
	ck_assert_int_eq(tree_kill(&t, PATIENCE, NULL, NULL, &count), RC_OK);
	ck_assert_uint_eq(count.live, 0);
}
END_TEST

static void fork_in_a_loop(void)
{
	for (;;) {
		shared->moves++;
		if (fork() == 0) {
			shared->moves++;
			_exit(0);
		}
		(void)wait(NULL);
	}
}

/* Stop, look, continue, several hundred times: nothing may move in between. */
START_TEST(p1_3_nothing_moves_when_that_is_said)
{
	struct tree t = below();
	struct tree_set stopped = { .len = 0 };
	struct tree_count count;
	int end;

	fork_chain(&end);
	if (fork() == 0)
		fork_in_a_loop();
	for (int i = 0; i < 400; i++) {
		long moves;

		ck_assert_int_eq(tree_stop(&t, PATIENCE, &stopped, &count),
				 RC_OK);
		moves = shared->moves;
		/* Who is not stopped moves as soon as we give way. */
		for (int turns = 0; turns < 20; turns++)
			sched_yield();
		usleep(200);
		ck_assert_int_eq(shared->moves, moves);
		ck_assert_int_eq(tree_continue(&t, &stopped), RC_OK);
		AWAIT(shared->moves > moves);
		(void)tree_reap(&t);
	}
	kill_all();
}
END_TEST

/* The child is stopped before it executes anything; the parent hangs in
 * vfork(2) for it, uninterruptibly. */
START_TEST(p1_3_who_waits_in_vfork_stands_still)
{
	struct tree t = below();
	struct tree_set stopped = { .len = 0 };
	struct tree_count count;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (vfork() == 0)
			stay();
		_exit(0);
	}
	AWAIT(shared->ready == 1 && state_of(pid) == 'D');
	ck_assert_int_eq(tree_stop(&t, PATIENCE, &stopped, &count), RC_OK);
	ck_assert_uint_eq(count.live, 2);
	ck_assert_int_eq(state_of(pid), 'D');
	ck_assert_int_eq(tree_continue(&t, &stopped), RC_OK);
	kill_all();
}
END_TEST

static void *count_on(void *unused)
{
	(void)unused;
	for (;;) {
		shared->moves++;
		sched_yield();
	}
	return NULL;
}

START_TEST(p1_3_each_thread_counts)
{
	struct tree t = below();
	struct tree_set stopped = { .len = 0 };
	struct tree_count count;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		pthread_t thread;

		for (int i = 0; i < 3; i++)
			if (pthread_create(&thread, NULL, count_on, NULL) != 0)
				_exit(1);
		/* The first thread ends; the others do not. */
		pthread_exit(NULL);
	}
	AWAIT(state_of(pid) == 'Z' && shared->moves > 100);
	for (int i = 0; i < 100; i++) {
		long moves;

		ck_assert_int_eq(tree_stop(&t, PATIENCE, &stopped, &count),
				 RC_OK);
		moves = shared->moves;
		sched_yield();
		ck_assert_int_eq(shared->moves, moves);
		ck_assert_int_eq(tree_continue(&t, &stopped), RC_OK);
		AWAIT(shared->moves > moves);
	}
	kill_all();
}
END_TEST

START_TEST(what_the_user_had_stopped_stays_stopped)
{
	struct tree t = below();
	struct tree_set stopped = { .len = 0 };
	struct tree_count count;
	pid_t users = fork_staying();
	pid_t other = fork_staying();

	ck_assert_int_eq(kill(users, SIGSTOP), 0);
	AWAIT(state_of(users) == 'T');
	ck_assert_int_eq(tree_stop(&t, PATIENCE, &stopped, &count), RC_OK);
	ck_assert_uint_eq(count.live, 2);
	ck_assert_int_eq(state_of(other), 'T');
	ck_assert_uint_eq(stopped.len, 1);
	ck_assert_int_eq(tree_continue(&t, &stopped), RC_OK);
	AWAIT(state_of(other) == 'S');
	ck_assert_int_eq(state_of(users), 'T');
}
END_TEST

START_TEST(a_reused_pid_is_not_continued)
{
	struct tree t = below();
	struct tree_set stopped = { .len = 0 };
	pid_t pid = fork_staying();

	stopped.few[0] = find(pid).process.id;
	stopped.few[0].start--;
	stopped.len = 1;
	ck_assert_int_eq(tree_continue(&t, &stopped), RC_OK);
	usleep(20000);
	ck_assert_int_eq(shared->conts, 0);

	stopped.few[0] = find(pid).process.id;
	stopped.len = 1;
	ck_assert_int_eq(tree_continue(&t, &stopped), RC_OK);
	AWAIT(shared->conts == 1);
}
END_TEST

START_TEST(a_process_that_is_not_below_us_is_not_continued)
{
	struct tree_set stopped = { .len = 1 };
	pid_t pid = fork_staying();
	pid_t stranger;
	int status;

	stopped.few[0] = find(pid).process.id;
	stranger = fork();
	if (stranger == 0) {
		struct tree t = below();

		_exit(tree_continue(&t, &stopped) != RC_OK);
	}
	ck_assert_int_eq(waitpid(stranger, &status, 0), stranger);
	ck_assert_int_eq(status, 0);
	usleep(20000);
	ck_assert_int_eq(shared->conts, 0);
}
END_TEST

START_TEST(more_than_a_few_are_stopped_and_continued)
{
	struct tree t = below();
	struct tree_set stopped = { .len = 0 };
	struct tree_count count;

	for (int i = 0; i < MANY; i++)
		fork_staying();
	ck_assert_int_eq(tree_stop(&t, PATIENCE, &stopped, &count), RC_OK);
	ck_assert_uint_eq(stopped.len, MANY);
	ck_assert_int_eq(tree_continue(&t, &stopped), RC_OK);
	AWAIT(shared->conts == MANY);
	ck_assert_ptr_null(stopped.more);
}
END_TEST

/* --- kill ------------------------------------------------------------- */

START_TEST(killing_leaves_none_of_many)
{
	for (int i = 0; i < MANY; i++)
		fork_staying();
	ck_assert_int_eq(kill_all().signalled, MANY);
}
END_TEST

START_TEST(killing_finds_daemons_and_stopped_ones)
{
	pid_t stopped = fork_staying();

	ck_assert_int_eq(kill(stopped, SIGSTOP), 0);
	AWAIT(state_of(stopped) == 'T');
	fork_daemon();
	ck_assert_int_eq(kill_all().signalled, 2);
}
END_TEST

START_TEST(killing_catches_one_that_forks_away_again_and_again)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		for (;;) {
			shared->moves++;
			if (fork() > 0)
				_exit(0);
			usleep(300);
		}
	AWAIT(shared->moves >= 10);
	kill_all();
}
END_TEST

START_TEST(p1_1_a_chain_of_forks_is_gone_when_that_is_said)
{
	struct tree t = below();
	struct tree_count count;
	int end;

	for (int i = 0; i < 50; i++) {
		fork_chain(&end);
		/* Killed or not in one round: what is said is true. */
		do
			ck_assert_int_eq(tree_kill(&t, 0, NULL, NULL, &count),
					 RC_OK);
		while (count.left != TREE_LEFT_NONE);
		ck_assert(has_ended(end));
		ck_assert(tree_is_bare());
		close(end);
	}
}
END_TEST

START_TEST(p1_1_a_signal_to_a_chain_of_forks_proves_nothing)
{
	struct tree t = below();
	struct tree_count count;
	int end;

	fork_chain(&end);
	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(tree_signal(&t, SIGCONT, NULL, NULL, &count),
				 RC_OK);
		ck_assert_int_eq(count.left, TREE_LEFT_SOME);
		ck_assert(!tree_reap(&t));
	}
	ck_assert(!has_ended(end));
	kill_all();
	ck_assert(has_ended(end));
}
END_TEST

/* Not to be reaped by its parent as long as its tracer is stopped. */
START_TEST(p1_1_a_zombie_that_a_tracer_keeps_is_dead)
{
	struct tree t = below();
	struct tree_count count;
	struct tree_set set = { .len = 0 };
	pid_t child = fork_staying();
	pid_t tracer = fork();

	ck_assert_int_ge(tracer, 0);
	if (tracer == 0) {
		if (ptrace(PTRACE_SEIZE, child, NULL, NULL) < 0)
			_exit(1);
		stay();
	}
	AWAIT(shared->ready == 2);
	set.few[0] = find(tracer).process.id;
	set.len = 1;
	t.apart = &set;
	ck_assert_int_eq(tree_kill(&t, PATIENCE, NULL, NULL, &count), RC_OK);
	ck_assert_int_eq(state_of(child), 'Z');
	ck_assert_uint_eq(count.live, 0);
	ck_assert_int_eq(count.left, TREE_LEFT_NONE);
}
END_TEST

START_TEST(p1_1_zombies_below_a_stopped_parent_do_not_hide_it)
{
	pid_t parent = fork();

	ck_assert_int_ge(parent, 0);
	if (parent == 0) {
		for (int i = 0; i < 3; i++)
			if (fork() == 0)
				_exit(0);
		stay();
	}
	AWAIT(shared->ready == 1);
	ck_assert_int_eq(kill(parent, SIGSTOP), 0);
	AWAIT(state_of(parent) == 'T');
	AWAIT(live() == 1);
	ck_assert_int_eq(kill_all().signalled, 1);
}
END_TEST

START_TEST(without_patience_killing_kills_and_returns)
{
	struct tree t = below();
	struct tree_count count;

	fork_staying();
	fork_daemon();
	AWAIT(tree_kill(&t, 0, NULL, NULL, &count) == RC_OK &&
	      count.left == TREE_LEFT_NONE);
	ck_assert(tree_is_bare());
}
END_TEST

START_TEST(the_kept_child_is_killed_but_not_reaped)
{
	struct tree t = below();
	struct tree_count count;
	siginfo_t info;

	t.kept = fork_staying();
	ck_assert_int_eq(tree_kill(&t, PATIENCE, NULL, NULL, &count), RC_OK);
	ck_assert_int_eq(count.left, TREE_LEFT_NONE);
	ck_assert_int_eq(waitid(P_PID, t.kept, &info, WEXITED), 0);
	ck_assert_int_eq(info.si_code, CLD_KILLED);
	ck_assert_int_eq(info.si_status, SIGKILL);
}
END_TEST

/* --- as root: other users, namespaces --------------------------------- */

static void become_nobody(void)
{
	ck_assert_int_eq(setresgid(NOBODY, NOBODY, NOBODY), 0);
	ck_assert_int_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
}

START_TEST(killing_finds_other_users)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		become_nobody();
		fork_daemon();
		stay();
	}
	AWAIT(shared->ready == 2);
	ck_assert_int_eq(kill_all().signalled, 2);
}
END_TEST

START_TEST(killing_empties_a_nested_pid_namespace)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		ck_assert_int_eq(unshare(CLONE_NEWPID), 0);
		if (fork() == 0) {
			fork_daemon();
			stay();
		}
		_exit(0);
	}
	AWAIT(shared->ready == 2);
	ck_assert_int_ge(kill_all().signalled, 1);
}
END_TEST

START_TEST(who_may_not_be_signalled_is_told_once_and_not_spun_on)
{
	struct tree t = below();
	struct tree_count count;
	struct fates fates = { 0 };
	struct boot begun;

	fork_staying();
	become_nobody();
	fork_staying();
	begun = boot_now();
	ck_assert_int_eq(tree_kill(&t, PATIENCE, count_fates, &fates, &count),
			 RC_OK);
	ck_assert_int_lt(boot_until(begun, boot_now()), PATIENCE);
	ck_assert_uint_eq(count.live, 1);
	ck_assert_uint_eq(count.denied, 1);
	ck_assert_uint_eq(count.hidden, 0);
	ck_assert_int_eq(count.left, TREE_LEFT_DENIED);
	ck_assert_int_eq(fates.denied, 1);
	ck_assert_int_eq(fates.signalled, 1);
	ck_assert_int_eq(fates.stuck, 0);
}
END_TEST

START_TEST(a_stop_is_done_when_only_those_run_that_may_not_be_signalled)
{
	struct tree t = below();
	struct tree_set stopped = { .len = 0 };
	struct tree_count count;

	fork_staying();
	become_nobody();
	ck_assert_int_eq(tree_stop(&t, PATIENCE, &stopped, &count), RC_OK);
	ck_assert_uint_eq(count.live, 1);
	ck_assert_uint_eq(count.denied, 1);
	tree_set_release(&stopped);
}
END_TEST

START_TEST(a_proc_of_another_pid_namespace_is_refused)
{
	int status;
	pid_t pid;

	ck_assert_int_eq(tree_usable(), RC_OK);
	ck_assert_int_eq(unshare(CLONE_NEWPID), 0);
	pid = fork();
	if (pid == 0)
		_exit(tree_usable());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), RC_UNSUPPORTED);
}
END_TEST

static void mount_over_proc(const char *type, const char *options)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount(type, "/proc", type, 0, options), 0);
}

START_TEST(without_proc_it_says_so)
{
	struct tree t = below();
	struct tree_count count;

	fork_staying();
	mount_over_proc("tmpfs", NULL);
	ck_assert_int_eq(tree_usable(), RC_UNSUPPORTED);
	ck_assert_int_eq(tree_each(&t, add_live, &(unsigned){ 0 }),
			 RC_UNSUPPORTED);
	ck_assert_int_eq(tree_kill(&t, PATIENCE, NULL, NULL, &count),
			 RC_UNSUPPORTED);
	ck_assert(!process_is_ancestor(getppid()));
}
END_TEST

START_TEST(a_child_that_proc_hides_counts_as_alive)
{
	struct tree t = below();
	struct tree_count count;

	mount_over_proc("proc", "hidepid=2");
	fork_staying();
	become_nobody();
	ck_assert_uint_eq(live(), 0);
	ck_assert_int_eq(tree_kill(&t, PATIENCE, NULL, NULL, &count), RC_OK);
	ck_assert_uint_eq(count.live, 1);
	ck_assert_uint_eq(count.hidden, 1);
	ck_assert_int_eq(count.left, TREE_LEFT_DENIED);
}
END_TEST

/* --- poorer kernels --------------------------------------------------- */

/* From now on this process has no pidfd_open(2). */
static void forbid_pidfds(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	ck_assert_int_lt(syscall(SYS_pidfd_open, getpid(), 0), 0);
}

START_TEST(without_pidfds_all_are_killed_too)
{
	fork_staying();
	fork_daemon();
	forbid_pidfds();
	ck_assert_int_eq(kill_all().signalled, 2);
}
END_TEST

START_TEST(without_descriptors_it_is_told_to_come_again)
{
	struct tree t = below();
	struct tree_count count;

	fork_staying();
	while (dup(0) >= 0)
		continue;
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_int_eq(tree_each(&t, add_live, &(unsigned){ 0 }), RC_RETRY);
	ck_assert_int_eq(tree_kill(&t, PATIENCE, NULL, NULL, &count), RC_RETRY);
}
END_TEST

/* --- above ------------------------------------------------------------ */

START_TEST(those_above_are_ancestors_and_no_others)
{
	pid_t sibling = fork_staying();
	pid_t top = getpid();
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			_exit((process_is_ancestor(top) ? 0 : 1) |
			      (process_is_ancestor(getppid()) ? 0 : 2) |
			      (process_is_ancestor(1) ? 0 : 4) |
			      (process_is_ancestor(sibling) ? 8 : 0) |
			      (process_is_ancestor(getpid()) ? 16 : 0));
		waitpid(pid, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

static void add_points(TCase *c)
{
	tcase_add_test(c, p1_1_a_chain_of_forks_is_gone_when_that_is_said);
	tcase_add_test(c, p1_1_a_signal_to_a_chain_of_forks_proves_nothing);
	tcase_add_test(c, p1_1_a_zombie_that_a_tracer_keeps_is_dead);
	tcase_add_test(c, p1_1_zombies_below_a_stopped_parent_do_not_hide_it);
	tcase_add_test(c, p1_3_nothing_moves_when_that_is_said);
	tcase_add_test(c, p1_3_who_waits_in_vfork_stands_still);
	tcase_add_test(c, p1_3_each_thread_counts);
}

static void add_for_all(TCase *c)
{
	tcase_add_test(c, without_children_the_tree_is_bare);
	tcase_add_test(c, a_child_is_found_and_the_tree_not_bare);
	tcase_add_test(c, a_daemon_in_its_own_session_is_found);
	tcase_add_test(c, a_grandchild_below_another_subreaper_is_found);
	tcase_add_test(c, the_parent_and_its_other_children_are_not_ours);
	tcase_add_loop_test(c, a_process_is_described_whatever_its_name, 0,
			    sizeof odd_names / sizeof *odd_names);
	tcase_add_test(c, a_zombie_is_shown_but_not_counted);
	tcase_add_test(c, a_process_whose_first_thread_ended_counts);
	tcase_add_test(c, what_is_apart_is_left_alone_with_all_below_it);
	tcase_add_test(c, zombies_are_reaped_but_the_kept_one);
	tcase_add_test(c, a_signal_reaches_each_once);
	tcase_add_test(c, what_starts_in_answer_to_the_signal_does_not_get_it);
	tcase_add_test(c, parents_are_signalled_before_their_children);
	tcase_add_test(c, all_stand_still_even_if_they_fork_meanwhile);
	tcase_add_test(c, what_the_user_had_stopped_stays_stopped);
	tcase_add_test(c, a_reused_pid_is_not_continued);
	tcase_add_test(c, a_process_that_is_not_below_us_is_not_continued);
	tcase_add_test(c, more_than_a_few_are_stopped_and_continued);
	tcase_add_test(c, killing_leaves_none_of_many);
	tcase_add_test(c, killing_finds_daemons_and_stopped_ones);
	tcase_add_test(c, killing_catches_one_that_forks_away_again_and_again);
	tcase_add_test(c, without_patience_killing_kills_and_returns);
	tcase_add_test(c, the_kept_child_is_killed_but_not_reaped);
	tcase_add_test(c, without_pidfds_all_are_killed_too);
	tcase_add_test(c, without_descriptors_it_is_told_to_come_again);
	tcase_add_test(c, those_above_are_ancestors_and_no_others);
}

static void add_for_root(TCase *c)
{
	tcase_add_test(c, killing_finds_other_users);
	tcase_add_test(c, killing_empties_a_nested_pid_namespace);
	tcase_add_test(c, who_may_not_be_signalled_is_told_once_and_not_spun_on);
	tcase_add_test(
		c, a_stop_is_done_when_only_those_run_that_may_not_be_signalled);
	tcase_add_test(c, a_proc_of_another_pid_namespace_is_refused);
	tcase_add_test(c, without_proc_it_says_so);
	tcase_add_test(c, a_child_that_proc_hides_counts_as_alive);
}

int main(void)
{
	Suite *suite = suite_create("tree");
	TCase *tests = tcase_create("tree");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_set_timeout(tests, 30);
	add_for_all(tests);
	add_points(tests);
	if (geteuid() == 0)
		add_for_root(tests);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
