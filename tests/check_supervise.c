/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Front, keeper and command as real processes, with a scripted lock. The
 * command is a line of shell; it knows the keeper as $PPID and the front as
 * $REPOLOCK_HELD_PID. Whether anything outlived supervise() is seen by a pipe
 * that all of it inherits.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scripted_lock.h"
#include "supervise/command.h"
#include "supervise/supervise.h"
#include "supervise/tree.h"
#include "util/text.h"

static const struct lock_term brief = { 2 * NSEC_PER_SEC, 600 * NSEC_PER_MSEC,
					500 * NSEC_PER_MSEC };
static const struct lock_term endless = { NSEC_FOREVER, NSEC_FOREVER, 0 };

static char word[] = "scripted", shown[] = "scripted:", rest[] = "";
static struct location location = {
	.text = shown, .scheme = word, .rest = rest, .shown = shown
};
static struct self self;
static struct plan plan;
static struct outcome outcome;
static char *argv[5];
static int life[2]; /* write end: whatever the command started */
static int said[2]; /* what the command writes to descriptor 3 */
static char text[256];
static pid_t stranger; /* a child of the front from before; 0: none */

/* In memory that front and keeper share. */
struct notes {
	_Atomic unsigned kinds;
	_Atomic int descendants;
	struct err last;
};
static struct notes *notes;

static void take_note(void *context, const struct notice *notice)
{
	(void)context;
	atomic_fetch_or(&notes->kinds, 1U << notice->kind);
	if (notice->kind == NOTICE_DESCENDANT)
		atomic_fetch_add(&notes->descendants, 1);
	if (notice->text)
		(void)snprintf(notes->last.text, sizeof(notes->last.text), "%s",
			       notice->text);
}

static bool told(enum notice_kind kind)
{
	return (atomic_load(&notes->kinds) & 1U << kind) != 0;
}

static void set_up(void)
{
	static char sh[] = "/bin/sh", dash_c[] = "-c";

	notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(notes, MAP_FAILED);
	scripted_begin(NULL, 0);
	self_fill(&self);
	ck_assert_int_eq(pipe(life), 0);
	ck_assert_int_eq(pipe(said), 0);
	ck_assert_int_eq(fcntl(life[0], F_SETFD, FD_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(said[0], F_SETFD, FD_CLOEXEC), 0);
	argv[0] = sh;
	argv[1] = dash_c;
	plan = (struct plan){
		.wish = { .location = &location,
			  .name = "default",
			  .wait = true,
			  .self = &self },
		.argv = argv,
		.path = "/bin/sh",
		.wait = NSEC_FOREVER,
		.max_hold = NSEC_FOREVER,
		.grace = NSEC_PER_SEC,
		.descendants = DESCENDANTS_KILL,
		.tell = take_note,
		.open = scripted_open,
	};
}

/* A line for the shell; "$OUT" in it is where it may write. */
static void line(const char *command)
{
	static char whole[1024];

	(void)snprintf(whole, sizeof(whole), "export OUT=/dev/fd/%d; %s",
		       said[1], command);
	argv[2] = whole;
}

static void run(const char *command)
{
	line(command);
	supervise(&plan, &outcome);
	(void)close(life[1]);
	(void)close(said[1]);
}

/* Without a shell, which changes dispositions; stdout is what output() reads. */
static void run_directly(const char *path, const char *one, const char *two,
			 const char *three)
{
	int stdout_before = dup(1);

	(void)fcntl(stdout_before, F_SETFD, FD_CLOEXEC);
	(void)dup2(said[1], 1);
	plan.path = path;
	argv[0] = strdup(path);
	argv[1] = strdup(one);
	argv[2] = strdup(two);
	argv[3] = three ? strdup(three) : NULL;
	supervise(&plan, &outcome);
	(void)dup2(stdout_before, 1);
	(void)close(life[1]);
	(void)close(said[1]);
}

/* What the command wrote; only when all of it has ended. */
static const char *output(void)
{
	ssize_t n = read(said[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* The line of all that is the same as the first one of wanted. */
static char *find_line(char *all, const char *wanted)
{
	size_t len = (size_t)(strchr(wanted, '\n') - wanted) + 1;

	for (char *l = all; *l; l = strchr(l, '\n') + 1)
		if (strncmp(l, wanted, len) == 0)
			return l;
	return NULL;
}

static int lines_without_plus(const char *all)
{
	int n = 0;

	for (const char *l = all; *l; l = strchr(l, '\n') + 1)
		n += *l != '+';
	return n;
}

static void nothing_is_left(void)
{
	struct pollfd end = { .fd = life[0], .events = POLLIN };

	/* A child from before, which supervise() leaves alone. */
	if (stranger > 0)
		ck_assert_int_eq(waitpid(stranger, NULL, 0), stranger);
	ck_assert(tree_is_bare());
	/* A killed process may still be closing its files. */
	ck_assert_int_eq(poll(&end, 1, 2000), 1);
	ck_assert(end.revents & POLLHUP);
}

static void is_released(void)
{
	ck_assert_int_eq(atomic_load(&scripted->held), 0);
	ck_assert_int_eq(atomic_load(&scripted->calls[SCRIPTED_RELEASE]), 1);
	ck_assert_int_eq(atomic_load(&scripted->inside), 0);
	ck_assert_int_eq(atomic_load(&scripted->crowds), 0);
}

/* --- one command ------------------------------------------------------- */

START_TEST(a_command_runs_and_its_status_comes_back)
{
	run("exit 7");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 7);
	nothing_is_left();
	is_released();
	ck_assert(told(NOTICE_ACQUIRED));
	ck_assert(told(NOTICE_STARTED));
	ck_assert(told(NOTICE_RELEASED));
	ck_assert(told(NOTICE_ENDED));
}
END_TEST

START_TEST(a_command_that_dies_by_a_signal_says_which)
{
	run("kill -USR1 $$");
	ck_assert_int_eq(outcome.how, OUTCOME_SIGNALLED);
	ck_assert_int_eq(outcome.status, SIGUSR1);
	is_released();
}
END_TEST

START_TEST(the_command_is_told_what_is_held)
{
	char wanted[256];

	ck_assert_int_eq(setenv("REPOLOCK_HELD_ID", "outer", 1), 0);
	(void)snprintf(wanted, sizeof(wanted),
		       "scripted: default exclusive mine 7 %d\n", getpid());
	run("echo $REPOLOCK_HELD_LOCATION $REPOLOCK_HELD_NAME "
	    "$REPOLOCK_HELD_MODE $REPOLOCK_HELD_ID $REPOLOCK_HELD_FENCE "
	    "$REPOLOCK_HELD_PID >$OUT");
	ck_assert_str_eq(output(), wanted);
	ck_assert_str_eq(getenv("REPOLOCK_HELD_ID"), "outer");
}
END_TEST

START_TEST(the_command_is_in_our_group_and_the_keeper_is_not)
{
	char wanted[64];

	(void)snprintf(wanted, sizeof(wanted), "%d %d\n", getpgrp(), getsid(0));
	run("ps -o pgid=,sid= -p $$ | xargs >$OUT");
	ck_assert_str_eq(output(), wanted);
}
END_TEST

/* 32 and 33 are libc's own, which posix_spawn (of make, say) leaves ignored. */
static uint64_t ignored_in(const char *status)
{
	const uint64_t of_libc = (uint64_t)3 << 31;
	const char *line = strstr(status, "SigIgn:");

	ck_assert_ptr_nonnull(line);
	return strtoull(line + strlen("SigIgn:"), NULL, 16) & ~of_libc;
}

START_TEST(dispositions_and_mask_reach_the_command)
{
	const uint64_t hup_and_chld = 1 << (SIGHUP - 1) | 1 << (SIGCHLD - 1);
	sigset_t mask;

	ck_assert(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	ck_assert(signal(SIGHUP, SIG_IGN) != SIG_ERR);
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGUSR2);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	run_directly("/bin/grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status");
	ck_assert_ptr_nonnull(strstr(output(), "SigBlk:\t0000000000000800"));
	ck_assert_uint_eq(ignored_in(text), hup_and_chld);
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
}
END_TEST

START_TEST(p2_2_what_comes_behind_the_outcome_does_not_end_the_caller)
{
	run("exit 7");
	ck_assert_int_eq(outcome.status, 7);
	ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
	/* Here, and still blocked. */
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
}
END_TEST

START_TEST(no_descriptor_of_ours_reaches_the_command)
{
	char wanted[256] = "";

	for (int fd = 0; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0 && !(flags & FD_CLOEXEC))
			(void)snprintf(wanted + strlen(wanted),
				       sizeof(wanted) - strlen(wanted), "%d\n",
				       fd);
	}
	/* The directory that ls reads gets the lowest free number. */
	run_directly("/bin/ls", "-v", "/dev/fd/", NULL);
	(void)output();
	for (char *l = wanted; *l; l = strchr(l, '\n') + 1) {
		char *found = find_line(text, l);

		ck_assert_msg(found != NULL, "%s not in %s", l, text);
		*found = '+';
	}
	/* Only that one is left over. */
	ck_assert_int_eq(lines_without_plus(text), 1);
}
END_TEST

START_TEST(a_command_that_is_not_there_is_not_found)
{
	plan.path = "/nonexistent/command";
	run("");
	ck_assert_int_eq(outcome.how, OUTCOME_NOT_FOUND);
	is_released();
}
END_TEST

START_TEST(a_command_that_may_not_be_executed_says_so)
{
	plan.path = "/etc/passwd";
	run("");
	ck_assert_int_eq(outcome.how, OUTCOME_CANNOT_EXEC);
	is_released();
}
END_TEST

START_TEST(a_script_without_an_interpreter_is_run_by_sh)
{
	char name[] = "/tmp/check_supervise.XXXXXX";
	static char one[] = "one";
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(dprintf(fd, "echo \"$1\" >&%d\n", said[1]), 0);
	(void)fchmod(fd, 0700);
	(void)close(fd);
	plan.path = name;
	argv[0] = name;
	argv[1] = one;
	argv[2] = NULL;
	supervise(&plan, &outcome);
	(void)unlink(name);
	(void)close(said[1]);
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 0);
	ck_assert_str_eq(output(), "one\n");
}
END_TEST

/* --- acquiring --------------------------------------------------------- */

START_TEST(a_lock_that_cannot_be_opened_starts_nothing)
{
	scripted_setting.open = RC_DENIED;
	run("echo ran >$OUT");
	ck_assert_int_eq(outcome.how, OUTCOME_FAILED);
	ck_assert_str_eq(outcome.err.text, "cannot be opened");
	ck_assert_str_eq(output(), "");
	nothing_is_left();
}
END_TEST

static bool think(const char *prompt, char *answer, size_t size)
{
	(void)prompt;
	(void)usleep(1200000);
	return text_copy(answer, size, "secret");
}

static enum rc open_asking(struct lock **lock, const struct lock_wish *wish,
			   const struct call *call, struct err *e)
{
	char answer[16] = "";

	if (!wish->ask("who? ", answer, sizeof(answer)) ||
	    strcmp(answer, "secret") != 0)
		return err_set(e, RC_FAILED, "no answer");
	wish->aside(true);
	(void)usleep(1200000);
	wish->aside(false);
	return scripted_open(lock, wish, call, e);
}

static enum rc open_hanging(struct lock **lock, const struct lock_wish *wish,
			    const struct call *call, struct err *e)
{
	for (;;)
		(void)pause();
	return scripted_open(lock, wish, call, e);
}

START_TEST(a_person_may_think_longer_than_opening_may_take)
{
	plan.open_patience = NSEC_PER_SEC;
	plan.open = open_asking;
	plan.wish.ask = think;
	run("echo ran >$OUT");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_str_eq(output(), "ran\n");
	nothing_is_left();
	is_released();
}
END_TEST

START_TEST(opening_that_hangs_is_ended)
{
	plan.open_patience = NSEC_PER_SEC;
	plan.open = open_hanging;
	run("echo ran >$OUT");
	ck_assert_int_eq(outcome.how, OUTCOME_FAILED);
	ck_assert_str_eq(outcome.err.text, "the location does not answer");
	ck_assert_str_eq(output(), "");
	nothing_is_left();
}
END_TEST

START_TEST(nothing_runs_without_the_lock)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_BUSY },
	};

	scripted_begin(steps, 1);
	plan.wait = 0;
	run("echo ran >$OUT");
	ck_assert_int_eq(outcome.how, OUTCOME_BUSY);
	ck_assert_str_eq(output(), "");
	nothing_is_left();
	is_released();
}
END_TEST

START_TEST(waiting_ends_with_the_lock)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_BUSY },
		{ .op = SCRIPTED_WAIT,
		  .how = SCRIPTED_OBEDIENT,
		  .delay = 50 * NSEC_PER_MSEC },
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_BUSY },
	};

	scripted_begin(steps, 3);
	run("echo ran >$OUT");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_str_eq(output(), "ran\n");
	ck_assert(told(NOTICE_WAITING));
	ck_assert_int_eq(atomic_load(&scripted->calls[SCRIPTED_ACQUIRE]), 3);
	is_released();
}
END_TEST

START_TEST(a_protocol_that_cannot_wait_is_asked_again)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_BUSY },
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_BUSY },
	};

	scripted_begin(steps, 2);
	scripted_setting.no_wait = true;
	run("exit 0");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(atomic_load(&scripted->calls[SCRIPTED_WAIT]), 0);
}
END_TEST

START_TEST(waiting_ends_in_time)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_BUSY, .repeat = true },
		{ .op = SCRIPTED_WAIT, .how = SCRIPTED_BLOCKING, .repeat = true },
	};

	scripted_begin(steps, 2);
	plan.wait = 100 * NSEC_PER_MSEC;
	run("echo ran >$OUT");
	ck_assert_int_eq(outcome.how, OUTCOME_BUSY);
	ck_assert_str_eq(output(), "");
	nothing_is_left();
	is_released();
}
END_TEST

/* Somebody who sends a signal once the lock is being waited for. */
static void signal_when_waiting(int sig)
{
	pid_t front = getpid();

	stranger = fork();
	if (stranger != 0)
		return;
	(void)close(life[1]);
	(void)close(said[1]);
	for (int i = 0; i < 1000; i++) {
		if (atomic_load(&scripted->inside) > 0)
			break;
		(void)poll(NULL, 0, 10);
	}
	(void)kill(front, sig);
	_exit(0);
}

static const int deadly[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 };

START_TEST(a_signal_while_waiting_withdraws)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_BUSY },
		{ .op = SCRIPTED_WAIT,
		  .how = SCRIPTED_OBEDIENT,
		  .delay = 1000 * NSEC_PER_SEC },
	};

	scripted_begin(steps, 2);
	signal_when_waiting(deadly[_i]);
	run("echo ran >$OUT");
	ck_assert_int_eq(outcome.how, OUTCOME_INTERRUPTED);
	ck_assert_int_eq(outcome.status, deadly[_i]);
	ck_assert_str_eq(output(), "");
	is_released();
}
END_TEST

START_TEST(a_signal_during_the_first_try_withdraws)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE,
		  .how = SCRIPTED_OBEDIENT,
		  .delay = 1000 * NSEC_PER_SEC },
	};

	scripted_begin(steps, 1);
	signal_when_waiting(SIGTERM);
	run("echo ran >$OUT");
	ck_assert_int_eq(outcome.how, OUTCOME_INTERRUPTED);
	ck_assert_str_eq(output(), "");
	is_released();
}
END_TEST

START_TEST(a_signal_ends_it_even_when_the_store_hangs_for_ever)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE,
		  .how = SCRIPTED_DEAF,
		  .delay = 1000 * NSEC_PER_SEC },
	};

	scripted_begin(steps, 1);
	signal_when_waiting(SIGTERM);
	run("echo ran >$OUT");
	ck_assert_int_eq(outcome.how, OUTCOME_INTERRUPTED);
	ck_assert_str_eq(output(), "");
	nothing_is_left();
}
END_TEST

START_TEST(an_unknown_answer_is_cleaned_up_before_the_next_try)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_UNKNOWN },
	};

	scripted_begin(steps, 1);
	run("exit 0");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(atomic_load(&scripted->calls[SCRIPTED_RELEASE]), 2);
	ck_assert_int_eq(atomic_load(&scripted->held), 0);
}
END_TEST

START_TEST(a_failure_says_why_and_leaves_nothing)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_DENIED, .text = "somewhere: no" },
	};

	scripted_begin(steps, 1);
	run("echo ran >$OUT");
	ck_assert_int_eq(outcome.how, OUTCOME_FAILED);
	ck_assert_str_eq(outcome.err.text, "somewhere: no");
	ck_assert_str_eq(output(), "");
	is_released();
}
END_TEST

/* --- holding ----------------------------------------------------------- */

START_TEST(the_lock_is_refreshed_while_the_command_runs)
{
	scripted_setting.usual = brief;
	run("sleep 2.5");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_ge(atomic_load(&scripted->calls[SCRIPTED_REFRESH]), 3);
	is_released();
}
END_TEST

START_TEST(a_refresh_that_hangs_for_ever_ends_all_in_time)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_REFRESH,
		  .how = SCRIPTED_DEAF,
		  .delay = 1000 * NSEC_PER_SEC },
	};
	struct boot begun;

	scripted_begin(steps, 1);
	scripted_setting.usual = brief;
	run("trap '' TERM; setsid sleep 100 & sleep 100; sleep 100");
	begun.ns = atomic_load(&scripted->last_begun[SCRIPTED_ACQUIRE]);
	/* Nobody waits for a keeper whose thread hangs. */
	for (int i = 0; i < 500 && waitpid(-1, NULL, WNOHANG) == 0; i++)
		(void)poll(NULL, 0, 10);
	nothing_is_left();
	/* The worker that hangs is given a little patience, no more. */
	ck_assert_int_eq(outcome.how, OUTCOME_LOST);
	ck_assert_int_lt(boot_until(begun, boot_now()), 20 * NSEC_PER_SEC);
}
END_TEST

START_TEST(a_lost_lock_ends_the_command)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_REFRESH, .rc = RC_LOST, .text = "taken" },
	};

	scripted_begin(steps, 1);
	scripted_setting.usual = brief;
	run("trap 'echo term >$OUT; exit 0' TERM; "
	    "while :; do sleep 0.05; done");
	ck_assert_int_eq(outcome.how, OUTCOME_LOST);
	ck_assert_str_eq(outcome.err.text, "taken");
	ck_assert_str_eq(output(), "term\n");
	ck_assert(told(NOTICE_LOST));
	nothing_is_left();
}
END_TEST

START_TEST(what_a_protocol_hints_at_is_looked_at_once)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_REFRESH, .rc = RC_LOST },
	};
	struct boot before = boot_now();
	int hint[2];
	char command[64];

	scripted_begin(steps, 1);
	ck_assert_int_eq(pipe(hint), 0);
	(void)fcntl(hint[0], F_SETFL, O_NONBLOCK);
	scripted_setting.loss_fd = hint[0];
	(void)snprintf(command, sizeof(command),
		       "echo x >/proc/self/fd/%d; sleep 100", hint[1]);
	run(command);
	ck_assert_int_eq(outcome.how, OUTCOME_LOST);
	ck_assert_int_lt(boot_until(before, boot_now()), 20 * NSEC_PER_SEC);
}
END_TEST

START_TEST(a_stopped_process_dies_of_a_loss_too)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_REFRESH, .rc = RC_LOST },
	};

	scripted_begin(steps, 1);
	scripted_setting.usual = brief;
	run("sleep 100 & kill -STOP $!; wait");
	ck_assert_int_eq(outcome.how, OUTCOME_LOST);
	nothing_is_left();
}
END_TEST

START_TEST(max_hold_ends_the_command)
{
	plan.max_hold = 200 * NSEC_PER_MSEC;
	run("sleep 100");
	ck_assert_int_eq(outcome.how, OUTCOME_MAX_HOLD);
	nothing_is_left();
	is_released();
}
END_TEST

/* --- who kills --------------------------------------------------------- */

static int kernel_lock;
static char lock_name[] = "/tmp/check_supervise.XXXXXX";

static void take_kernel_lock(void)
{
	kernel_lock = mkostemp(lock_name, O_CLOEXEC);
	ck_assert_int_ge(kernel_lock, 0);
	ck_assert_int_eq(flock(kernel_lock, LOCK_EX), 0);
	scripted_setting.kernel_fd = kernel_lock;
}

static void kernel_lock_is_free(void)
{
	int fd = open(lock_name, O_RDWR | O_CLOEXEC);

	(void)unlink(lock_name);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
}

START_TEST(a_killed_keeper_is_the_end_of_all)
{
	take_kernel_lock();
	run("(setsid sh -c 'setsid sleep 100 & sleep 100' &) ; sleep 0.2; "
	    "kill -KILL $PPID; sleep 100");
	ck_assert_int_eq(outcome.how, OUTCOME_FAILED);
	nothing_is_left();
	kernel_lock_is_free();
}
END_TEST

START_TEST(a_killed_keeper_is_the_end_when_the_front_can_open_nothing)
{
	take_kernel_lock();
	/* All that it could open has been given to something else. */
	run("setsid sleep 100 & sleep 0.2; F=$REPOLOCK_HELD_PID; most=0; "
	    "for fd in $(ls /proc/$F/fd); do "
	    "case $(readlink /proc/$F/fd/$fd) in *timerfd*) "
	    "[ $fd -lt $most ] || most=$fd ;; esac; done; "
	    "prlimit --pid $F --nofile=$((most + 1)) || exit; "
	    "kill -KILL $PPID; sleep 100");
	ck_assert_int_eq(outcome.how, OUTCOME_FAILED);
	nothing_is_left();
	kernel_lock_is_free();
}
END_TEST

START_TEST(a_killed_keeper_is_told_after_a_try_that_was_cleaned_up)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_UNKNOWN },
	};

	scripted_begin(steps, 1);
	run("kill -KILL $PPID; sleep 100");
	ck_assert_int_eq(outcome.how, OUTCOME_FAILED);
	nothing_is_left();
}
END_TEST

START_TEST(a_go_that_comes_too_late_starts_nothing)
{
	static _Alignas(16) char stack[GATE_STACK];
	static char path[] = "/bin/true";
	static char *nothing[] = { path, NULL };
	struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct caller caller = { .chld = { .sa_handler = SIG_DFL } };
	struct command command;
	struct err e;
	int status;

	ck_assert_ptr_ne(board, MAP_FAILED);
	plan.argv = nothing;
	plan.path = path;
	ck_assert_int_eq(
		command_prepare(&command, &plan, &caller, board, getpid(), &e),
		RC_OK);
	ck_assert_int_eq(command_fork(&command, stack, &e), RC_OK);
	atomic_store(&board->guard, boot_now().ns);
	command_go(&command);
	ck_assert_int_eq(waitpid(command.pid, &status, 0), command.pid);
	ck_assert_int_eq(WEXITSTATUS(status), 125);
	free(command.environment);
	free(command.strings);
	free(command.script);
	(void)munmap(board, sizeof(*board));
}
END_TEST

START_TEST(a_stopped_keeper_is_the_end_when_the_lock_runs_out)
{
	struct boot begun;

	scripted_setting.usual = brief;
	take_kernel_lock();
	run("trap '' TERM; kill -STOP $PPID; setsid sleep 100 & sleep 100");
	begun.ns = atomic_load(&scripted->last_begun[SCRIPTED_ACQUIRE]);
	ck_assert_int_eq(outcome.how, OUTCOME_LOST);
	nothing_is_left();
	kernel_lock_is_free();
	ck_assert_int_ge(boot_until(begun, boot_now()), 1500 * NSEC_PER_MSEC);
}
END_TEST

START_TEST(a_stopped_keeper_does_no_harm_to_a_lock_without_end)
{
	scripted_setting.usual = endless;
	run("kill -STOP $PPID; sleep 0.5; kill -CONT $PPID; exit 3");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 3);
	is_released();
}
END_TEST

START_TEST(a_stopped_keeper_that_goes_on_verifies)
{
	scripted_setting.usual = (struct lock_term){ 4 * NSEC_PER_SEC,
						     NSEC_PER_SEC / 2,
						     NSEC_PER_SEC };
	run("kill -STOP $PPID; sleep 1.2; kill -CONT $PPID; sleep 0.5; exit 3");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 3);
	ck_assert(told(NOTICE_WARNING));
	is_released();
}
END_TEST

/* Run supervise in a process that the test can kill. */
static pid_t front_of(const char *command)
{
	pid_t front;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	front = fork();
	if (front == 0) {
		line(command);
		supervise(&plan, &outcome);
		_exit(0);
	}
	(void)close(life[1]);
	(void)close(said[1]);
	return front;
}

static void wait_for_word(const char *wanted)
{
	struct pollfd ready = { .fd = said[0], .events = POLLIN };

	ck_assert_int_eq(poll(&ready, 1, 10000), 1);
	ck_assert_str_eq(output(), wanted);
}

static void all_ends(void)
{
	struct pollfd end = { .fd = life[0], .events = POLLIN };

	ck_assert_int_eq(poll(&end, 1, 15000), 1);
	for (int i = 0; i < 1000 && atomic_load(&scripted->held); i++)
		(void)poll(NULL, 0, 10);
	is_released();
	while (waitpid(-1, NULL, 0) > 0)
		;
}

START_TEST(a_killed_front_is_the_end_and_the_lock_is_released)
{
	pid_t front = front_of("(setsid sleep 100 &); echo up >$OUT; sleep 100");

	wait_for_word("up\n");
	(void)kill(front, SIGKILL);
	all_ends();
}
END_TEST

START_TEST(a_front_killed_while_waiting_leaves_nothing)
{
	static const struct scripted_step steps[] = {
		{ .op = SCRIPTED_ACQUIRE, .rc = RC_BUSY },
		{ .op = SCRIPTED_WAIT,
		  .how = SCRIPTED_OBEDIENT,
		  .delay = 1000 * NSEC_PER_SEC },
	};
	pid_t front;

	scripted_begin(steps, 2);
	front = front_of("echo ran >$OUT");
	for (int i = 0; i < 1000 && !atomic_load(&scripted->inside); i++)
		(void)poll(NULL, 0, 10);
	(void)kill(front, SIGKILL);
	all_ends();
	ck_assert_str_eq(output(), "");
}
END_TEST

START_TEST(a_stopped_front_does_not_stop_the_keeper)
{
	pid_t front;

	scripted_setting.usual = brief;
	front = front_of("echo up >$OUT; sleep 3; exit 0");
	wait_for_word("up\n");
	(void)kill(front, SIGSTOP);
	(void)poll(NULL, 0, 2500);
	ck_assert_int_ge(atomic_load(&scripted->calls[SCRIPTED_REFRESH]), 3);
	(void)kill(front, SIGCONT);
	all_ends();
}
END_TEST

START_TEST(the_keeper_ignores_what_restic_unlock_sends)
{
	run("kill -HUP $PPID; sleep 0.3; exit 4");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 4);
}
END_TEST

START_TEST(a_signal_to_the_keeper_alone_reaches_the_command)
{
	run("trap 'echo term >$OUT; exit 5' TERM; kill -TERM $PPID; "
	    "while :; do sleep 0.05; done");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 5);
	is_released();
}
END_TEST

/* --- signals ----------------------------------------------------------- */

static const int relayed[] = { SIGTERM, SIGINT,  SIGHUP,  SIGQUIT,
			       SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH };

/* Counts what comes for a while after the first one. */
#define COUNTING                                                               \
	"n=0; trap 'n=$((n+1))' TERM INT HUP QUIT USR1 USR2 ALRM WINCH; "
#define COUNTED                                                                \
	"i=0; while [ $i -lt 20 ]; do sleep 0.02; i=$((i+1)); done; "          \
	"exit $n"

START_TEST(a_signal_to_the_front_reaches_the_command_once)
{
	char command[512];

	(void)snprintf(command, sizeof(command),
		       COUNTING "kill -%d $REPOLOCK_HELD_PID; " COUNTED,
		       relayed[_i]);
	run(command);
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 1);
}
END_TEST

START_TEST(a_signal_to_the_group_reaches_the_command_once)
{
	char command[512];

	/* A group of our own, so that the test runner is not hit. */
	ck_assert_int_eq(setpgid(0, 0), 0);
	(void)snprintf(command, sizeof(command),
		       COUNTING "kill -%d 0; " COUNTED, relayed[_i]);
	run(command);
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 1);
}
END_TEST

START_TEST(group_and_front_alone_in_turn_are_told_apart)
{
	ck_assert_int_eq(setpgid(0, 0), 0);
	run(COUNTING "kill -USR1 0; sleep 0.2; "
		     "kill -USR1 $REPOLOCK_HELD_PID; sleep 0.2; "
		     "kill -USR1 0; sleep 0.2; "
		     "kill -USR1 $REPOLOCK_HELD_PID; " COUNTED);
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 4);
}
END_TEST

START_TEST(what_everybody_got_is_not_doubled_by_the_keeper)
{
	/* As systemd does with a control group, the keeper included. */
	ck_assert_int_eq(setpgid(0, 0), 0);
	run(COUNTING "kill -TERM 0; kill -TERM $PPID; " COUNTED);
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 1);
}
END_TEST

START_TEST(what_the_caller_ignores_stays_ignored)
{
	ck_assert(signal(SIGHUP, SIG_IGN) != SIG_ERR);
	run("kill -HUP $REPOLOCK_HELD_PID; sleep 0.2; exit 6");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 6);
}
END_TEST

/* --- descendants ------------------------------------------------------- */

START_TEST(what_a_command_leaves_is_ended_and_named)
{
	run("(setsid env -i sleep 100 &); (sleep 100 &); exit 2");
	ck_assert_int_eq(outcome.how, OUTCOME_EXITED);
	ck_assert_int_eq(outcome.status, 2);
	ck_assert_int_eq(atomic_load(&notes->descendants), 2);
	nothing_is_left();
	is_released();
}
END_TEST

START_TEST(what_ends_by_itself_within_a_second_is_not_named)
{
	run("(sleep 0.3 &); exit 2");
	ck_assert_int_eq(outcome.status, 2);
	ck_assert_int_eq(atomic_load(&notes->descendants), 0);
	nothing_is_left();
}
END_TEST

START_TEST(what_a_command_leaves_is_waited_for)
{
	plan.descendants = DESCENDANTS_WAIT;
	run("(setsid sh -c 'sleep 1.5; echo done >$OUT' &); exit 2");
	ck_assert_int_eq(outcome.status, 2);
	ck_assert_int_ge(atomic_load(&notes->descendants), 1);
	ck_assert_str_eq(output(), "done\n");
	nothing_is_left();
	is_released();
}
END_TEST

START_TEST(what_a_command_leaves_is_left)
{
	struct pollfd end = { .fd = life[0], .events = POLLIN };

	plan.descendants = DESCENDANTS_LEAVE;
	run("(setsid sleep 3 &); exit 2");
	ck_assert_int_eq(outcome.status, 2);
	ck_assert_int_eq(atomic_load(&notes->descendants), 1);
	ck_assert_int_eq(poll(&end, 1, 0), 0);
	is_released();
	ck_assert_int_eq(poll(&end, 1, 10000), 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("supervise");
	TCase *t = tcase_create("processes");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_set_timeout(t, 60);
	suite_add_tcase(all, t);
	tcase_add_test(t, a_command_runs_and_its_status_comes_back);
	tcase_add_test(t, a_command_that_dies_by_a_signal_says_which);
	tcase_add_test(t, the_command_is_told_what_is_held);
	tcase_add_test(t, the_command_is_in_our_group_and_the_keeper_is_not);
	tcase_add_test(t, dispositions_and_mask_reach_the_command);
	tcase_add_test(
		t, p2_2_what_comes_behind_the_outcome_does_not_end_the_caller);
	tcase_add_test(t, no_descriptor_of_ours_reaches_the_command);
	tcase_add_test(t, a_command_that_is_not_there_is_not_found);
	tcase_add_test(t, a_command_that_may_not_be_executed_says_so);
	tcase_add_test(t, a_script_without_an_interpreter_is_run_by_sh);
	tcase_add_test(t, a_lock_that_cannot_be_opened_starts_nothing);
	tcase_add_test(t, a_person_may_think_longer_than_opening_may_take);
	tcase_add_test(t, opening_that_hangs_is_ended);
	tcase_add_test(t, nothing_runs_without_the_lock);
	tcase_add_test(t, waiting_ends_with_the_lock);
	tcase_add_test(t, a_protocol_that_cannot_wait_is_asked_again);
	tcase_add_test(t, waiting_ends_in_time);
	tcase_add_loop_test(t, a_signal_while_waiting_withdraws, 0, 5);
	tcase_add_test(t, a_signal_during_the_first_try_withdraws);
	tcase_add_test(t, a_signal_ends_it_even_when_the_store_hangs_for_ever);
	tcase_add_test(t, an_unknown_answer_is_cleaned_up_before_the_next_try);
	tcase_add_test(t, a_failure_says_why_and_leaves_nothing);
	tcase_add_test(t, the_lock_is_refreshed_while_the_command_runs);
	tcase_add_test(t, a_refresh_that_hangs_for_ever_ends_all_in_time);
	tcase_add_test(t, a_lost_lock_ends_the_command);
	tcase_add_test(t, what_a_protocol_hints_at_is_looked_at_once);
	tcase_add_test(t, a_stopped_process_dies_of_a_loss_too);
	tcase_add_test(t, max_hold_ends_the_command);
	tcase_add_test(t, a_killed_keeper_is_the_end_of_all);
	tcase_add_test(
		t, a_killed_keeper_is_the_end_when_the_front_can_open_nothing);
	tcase_add_test(t,
		       a_killed_keeper_is_told_after_a_try_that_was_cleaned_up);
	tcase_add_test(t, a_go_that_comes_too_late_starts_nothing);
	tcase_add_test(t, a_stopped_keeper_is_the_end_when_the_lock_runs_out);
	tcase_add_test(t, a_stopped_keeper_does_no_harm_to_a_lock_without_end);
	tcase_add_test(t, a_stopped_keeper_that_goes_on_verifies);
	tcase_add_test(t, a_killed_front_is_the_end_and_the_lock_is_released);
	tcase_add_test(t, a_front_killed_while_waiting_leaves_nothing);
	tcase_add_test(t, a_stopped_front_does_not_stop_the_keeper);
	tcase_add_test(t, the_keeper_ignores_what_restic_unlock_sends);
	tcase_add_test(t, a_signal_to_the_keeper_alone_reaches_the_command);
	tcase_add_loop_test(t, a_signal_to_the_front_reaches_the_command_once,
			    0, 8);
	tcase_add_loop_test(t, a_signal_to_the_group_reaches_the_command_once,
			    0, 8);
	tcase_add_test(t, group_and_front_alone_in_turn_are_told_apart);
	tcase_add_test(t, what_everybody_got_is_not_doubled_by_the_keeper);
	tcase_add_test(t, what_the_caller_ignores_stays_ignored);
	tcase_add_test(t, what_a_command_leaves_is_ended_and_named);
	tcase_add_test(t, what_ends_by_itself_within_a_second_is_not_named);
	tcase_add_test(t, what_a_command_leaves_is_waited_for);
	tcase_add_test(t, what_a_command_leaves_is_left);
	return all;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
