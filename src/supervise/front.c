/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/front.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise/command.h"
#include "supervise/memory.h"
#include "supervise/third.h"
#include "supervise/tree.h"
#include "supervise/witness.h"

/* A signal to a group reaches its members one after the other. */
static const nsec witness_patience = 20 * NSEC_PER_MSEC;
/* What the keeper got within this time of us was sent to every process. */
static const nsec same_signal = 100 * NSEC_PER_MSEC;
static const nsec witness_again = 5 * NSEC_PER_MSEC;
/* For a keeper that does not answer a withdrawal. */
static const nsec withdraw_patience = 8 * NSEC_PER_SEC;
/* For one that removes the lock: it tries in place for two seconds, and then
 * is told to hurry. */
static const nsec hurry_patience = 4 * NSEC_PER_SEC;
/* A short command does not pay for our staying in memory. */
static const nsec lock_memory_after = 50 * NSEC_PER_MSEC;
/* After this it is told that the lock is still being removed. */
static const nsec release_slow = 2500 * NSEC_PER_MSEC;
/* Past the guard's instant by more, we were stopped ourselves. */
static const nsec slept_least = 1 * NSEC_PER_SEC;
/* One round of killing; SIGKILL needs time to act. */
static const nsec tree_patience = 500 * NSEC_PER_MSEC;
/* What has not died then will not soon (uninterruptible sleep). */
static const nsec kill_patience = 10 * NSEC_PER_SEC;
/* Whether what does not die has ended. */
enum { LOOK_AGAIN_MS = 500 };
/* More than these are not named. */
enum { IMMUNE_MAX = 32 };
/* Of a millisecond. */
enum { REAP_TURNS = 1000 };

/* A signal of which it is not known yet whether COMMAND has it. */
struct doubtful {
	struct boot due; /* 0: none */
	bool relay;      /* if the witness did not see it */
	bool by_kernel;
	bool apart; /* COMMAND had left our group: it has not what that got */
	bool saw;   /* the witness did */
};

struct front {
	const struct plan *plan;
	struct board *board;
	int sock;
	pid_t keeper; /* 0: gone */
	struct helpers *helpers;
	pid_t reaper;    /* our child, in place of the keeper; 0: none */
	int reaper_sock; /* -1: nothing more comes by it */
	struct tree_set *strangers; /* children that are not COMMAND's */
	int timer, signals;
	int spare; /* given up for reading /proc at the end */

	pid_t command;
	int command_fd;       /* its pidfd */
	int lock_fd;          /* the kernel lock that we share */
	struct process third; /* guard of a lock that ends by age; pid 0: none */

	struct doubtful doubtful[WITNESS_SIGNALS];
	struct boot doubts_due;
	struct boot withdraw_until;
	int withdrawn; /* by which signal */
	struct boot lock_memory_at;
	struct boot tell_slow_at;
	/* What could not be killed, still to be told. */
	struct tree_process immune[IMMUNE_MAX];
	size_t immunes;
	bool dismissed; /* the witness */
	bool over;      /* the keeper said so, or is gone */
	bool bereft;    /* no descriptor was left for the kernel lock */
	bool hangs;     /* it was given the time to die of SIGKILL */
	bool stuck;     /* its end may take for ever */
};

/* --- the command ------------------------------------------------------- */

static bool harmless(int sig)
{
	return sig == SIGCONT || sig == SIGWINCH || sig == SIGURG;
}

/* As in the kernel, a stop and a continuation take each other back. */
static void add_signal(_Atomic uint64_t *set, int sig)
{
	const uint64_t stops = board_bit(SIGSTOP) | board_bit(SIGTSTP) |
			       board_bit(SIGTTIN) | board_bit(SIGTTOU);

	if (sig == SIGCONT)
		(void)atomic_fetch_and(set, ~stops);
	else if (board_bit(sig) & stops)
		(void)atomic_fetch_and(set, ~board_bit(SIGCONT));
	(void)atomic_fetch_or(set, board_bit(sig));
}

static void ask_keeper(struct front *f, _Atomic uint64_t *set, int sig)
{
	add_signal(set, sig);
	board_wake(&f->board->keeper_woken, f->sock);
}

/* The keeper may not either: it is the same user. */
static void tell_denied(const struct front *f)
{
	struct notice notice = { .kind = NOTICE_CANNOT_KILL,
				 .when = wall_now(),
				 .pid = f->command,
				 .text = f->plan->wish.command };

	f->plan->tell(f->plan->context, &notice);
}

static void signal_command(struct front *f, int sig)
{
	if (f->command_fd >= 0 &&
	    syscall(SYS_pidfd_send_signal, f->command_fd, sig, NULL, 0) == 0)
		return;
	if (f->command_fd < 0 || errno == ENOSYS)
		ask_keeper(f, &f->board->relayed, sig);
	else if (errno == EPERM && !harmless(sig))
		tell_denied(f);
}

/* A COMMAND that has left our group, as timeout(1) does, gets nothing that the
 * terminal or the shell sends to that. */
static bool command_is_apart(const struct front *f)
{
	pid_t group = f->command > 0 ? getpgid(f->command) : -1;

	return group > 0 && group != getpgrp();
}

/* Apart from us its group is orphaned for the kernel, since the keeper is in
 * another session, and is not stopped by SIGTSTP. */
static bool needs_sigstop(const struct front *f, int sig)
{
	return sig == SIGTSTP && !((witness_mask(f->command, "\nSigCgt:") |
				    witness_mask(f->command, "\nSigIgn:")) &
				   board_bit(sig));
}

/* To all that the terminal would have sent it to, had COMMAND's group been the
 * foreground: the one that it leads. */
static void signal_group(struct front *f, int sig)
{
	enum { TO_GROUP = 4 }; /* PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9 */

	if (needs_sigstop(f, sig))
		sig = SIGSTOP;
	if (getpgid(f->command) != f->command) {
		signal_command(f, sig);
		return;
	}
	if (f->command_fd >= 0 && syscall(SYS_pidfd_send_signal, f->command_fd,
					  sig, NULL, TO_GROUP) == 0)
		return;
	if (f->command_fd < 0 || errno == ENOSYS || errno == EINVAL)
		ask_keeper(f, &f->board->relayed_to_group, sig);
	else if (errno == EPERM && !harmless(sig))
		tell_denied(f);
}

/* 'T' while it is stopped; 0: not known. */
static char command_state(pid_t pid)
{
	char path[32] = "/proc/", digits[12], stat[512];
	char *to = path + 6, *p;
	size_t n = 0;
	ssize_t len;
	int fd;

	do
		digits[n++] = (char)('0' + pid % 10);
	while ((pid /= 10) > 0);
	while (n > 0)
		*to++ = digits[--n];
	(void)stpcpy(to, "/stat");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return '\0';
	len = read(fd, stat, sizeof(stat) - 1);
	(void)close(fd);
	if (len <= 0)
		return '\0';
	stat[len] = '\0';
	p = strrchr(stat, ')');
	return p && p[1] == ' ' ? p[2] : '\0';
}

/* --- stopping and continuing with it ----------------------------------- */

/* By the same signal as the command, so that the shell shows the same. */
static void stop_self(int sig)
{
	struct sigaction usual = { .sa_handler = SIG_DFL }, before;
	sigset_t one;

	if (sig == SIGSTOP) {
		(void)kill(getpid(), SIGSTOP);
		return;
	}
	(void)sigemptyset(&one);
	(void)sigaddset(&one, sig);
	(void)sigaction(sig, &usual, &before);
	(void)kill(getpid(), sig);
	(void)pthread_sigmask(SIG_UNBLOCK, &one, NULL); /* here we stop */
	(void)pthread_sigmask(SIG_BLOCK, &one, NULL);
	(void)sigaction(sig, &before, NULL);
}

static void on_stopped(struct front *f, int sig)
{
	/* It has the signal, whatever the witness will say: a SIGCONT takes a
	 * stop back from who had no turn to see it. */
	if (sig > 0 && sig < WITNESS_SIGNALS)
		f->doubtful[sig].relay = false;
	/* It may have been continued since the keeper saw it. */
	if (command_state(f->command) == 'T')
		stop_self(sig);
}

static void on_continued(struct front *f)
{
	if (f->command <= 0 || command_state(f->command) != 'T')
		return;
	if (command_is_apart(f))
		signal_group(f, SIGCONT);
	else
		signal_command(f, SIGCONT);
}

/* --- signals ----------------------------------------------------------- */

static bool sent_by_kernel(const struct signalfd_siginfo *info)
{
	return info->ssi_code > 0;
}

/* What a terminal sends, it sends to the whole foreground group. */
static bool of_terminal(int sig)
{
	return sig == SIGINT || sig == SIGQUIT || sig == SIGTSTP ||
	       sig == SIGTTIN || sig == SIGTTOU || sig == SIGWINCH;
}

static bool stops(int sig)
{
	return sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static bool caller_ignores(int sig)
{
	struct sigaction action;

	return sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/*
 * With no command, before "go" and when it has ended, a signal does to us what
 * it would do to the command: the waiting, for the lock or for what the
 * command left, or the removing is cut short.
 */
static void on_own_signal(struct front *f, int sig)
{
	bool settled = atomic_load(&f->board->settled);
	bool settling = atomic_load(&f->board->ended) && !settled;

	if (harmless(sig) || caller_ignores(sig))
		return;
	if (stops(sig)) {
		stop_self(sig);
		return;
	}
	/* Ending what is left takes the grace that the user has set. */
	if (f->withdrawn == 0 && !settling) {
		f->withdrawn = sig;
		f->withdraw_until = boot_add(
			boot_now(), settled ? hurry_patience : withdraw_patience);
	}
	ask_keeper(f, &f->board->asked, sig);
}

/* It was sent to every process (systemd, by control group). */
static bool keeper_has(const struct front *f, int sig)
{
	struct boot kept = { atomic_load(&f->board->kept[sig]) };

	return boot_until(kept, boot_now()) < same_signal ||
	       (f->keeper > 0 && witness_pending(f->keeper, sig));
}

static void decide(struct front *f, int sig)
{
	struct doubtful *d = &f->doubtful[sig];
	bool passed = boot_reached(boot_now(), d->due);
	struct doubtful was;

	switch (witness_ask(sig)) {
	case WITNESS_SAW:
		d->saw = true;
		/* The keeper is given the time to get it, too. */
		if (d->apart && !passed)
			return;
		break;
	case WITNESS_SEES:
		d->due = boot_add(boot_now(), witness_again);
		return;
	case WITNESS_SAW_NONE:
		if (!passed)
			return;
		break;
	case WITNESS_GONE:
		d->relay = d->relay && (!d->by_kernel || d->apart);
		break;
	}
	was = *d;
	*d = (struct doubtful){ 0 };
	if (!was.relay)
		return;
	if (!was.saw)
		signal_command(f, sig);
	else if (was.apart && !keeper_has(f, sig))
		signal_group(f, sig);
}

static void decide_all(struct front *f)
{
	f->doubts_due = BOOT_NEVER;
	for (int sig = 1; sig < WITNESS_SIGNALS; sig++) {
		if (f->doubtful[sig].due.ns == 0)
			continue;
		decide(f, sig);
		if (f->doubtful[sig].due.ns != 0)
			f->doubts_due = boot_min(f->doubts_due,
						 f->doubtful[sig].due);
	}
}

/* The witness is asked about each signal, lest it be taken for the next. */
static void ask_witness(struct front *f, int sig, bool relay, bool by_kernel,
			bool apart)
{
	struct doubtful *d = &f->doubtful[sig];

	if (d->due.ns == 0)
		d->due = boot_add(boot_now(), witness_patience);
	d->relay = d->relay || relay;
	d->by_kernel = by_kernel;
	d->apart = apart;
}

static void on_signal(struct front *f, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;
	bool by_kernel = sent_by_kernel(info), runs, apart;

	/* SIGPIPE and the like, by a write of our own. */
	if (sig >= WITNESS_SIGNALS || info->ssi_pid == (uint32_t)getpid())
		return;
	if (!by_kernel)
		atomic_store(&f->board->got[sig], boot_now().ns);
	if (sig == SIGCONT) {
		on_continued(f);
		return;
	}
	runs = atomic_load(&f->board->went) && !atomic_load(&f->board->ended);
	apart = runs && command_is_apart(f);
	ask_witness(f, sig, runs && (!by_kernel || !of_terminal(sig)),
		    by_kernel, apart);
	/* Reading and writing in the background is its own affair. */
	if (apart && by_kernel && of_terminal(sig) && sig != SIGTTIN &&
	    sig != SIGTTOU)
		signal_group(f, sig);
	if (!runs)
		on_own_signal(f, sig);
}

static bool reap_one(pid_t pid)
{
	return pid > 0 && waitpid(pid, NULL, WNOHANG) == pid;
}

/* The end that a reaper comes to by itself proves something, and is left as it
 * is. If it was killed, the keeper is our child now, and all that was below. */
static void look_at_reaper(struct front *f)
{
	siginfo_t info = { 0 };

	if (f->reaper == 0 ||
	    waitid(P_PID, (id_t)f->reaper, &info, WEXITED | WNOHANG | WNOWAIT) ||
	    info.si_pid == 0 || info.si_code == CLD_EXITED)
		return;
	(void)reap_one(f->reaper);
	f->reaper = 0;
}

static void listen_to_reaper(struct front *f)
{
	char end;
	ssize_t n = f->reaper_sock < 0
			    ? -1
			    : recv(f->reaper_sock, &end, 1, MSG_DONTWAIT);

	if (n == 1) {
		f->keeper = 0;
		f->over = true;
	} else if (n == 0) {
		f->reaper_sock = -1;
	}
}

/* Below a reaper it is not ours to reap. */
static void look_at_keeper(struct front *f)
{
	if (f->reaper == 0 && reap_one(f->keeper)) {
		f->keeper = 0;
		f->over = true;
	}
}

/* What strangers left, which init would have reaped. They themselves are left
 * as they are, zombies too. */
static void reap_adopted(struct front *f)
{
	siginfo_t info = { 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid != 0 && info.si_pid != f->keeper &&
	       info.si_pid != f->reaper && info.si_pid != f->third.pid &&
	       info.si_pid != witness_pid() &&
	       !tree_set_holds(f->strangers, info.si_pid)) {
		(void)waitpid(info.si_pid, NULL, WNOHANG);
		info.si_pid = 0;
	}
}

static void reap(struct front *f)
{
	look_at_reaper(f);
	look_at_keeper(f);
	if (reap_one(f->third.pid))
		f->third.pid = 0;
	if (reap_one(witness_pid()))
		witness_ended();
	if (reap_one(f->helpers->pid))
		f->helpers->pid = 0;
	reap_adopted(f);
}

static void on_signals(struct front *f)
{
	struct signalfd_siginfo info;
	bool child = false;

	while (read(f->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			child = true;
		else
			on_signal(f, &info);
	}
	if (child)
		reap(f);
	decide_all(f);
}

/* --- the keeper -------------------------------------------------------- */

static void take_descriptors(struct front *f, struct msghdr *header,
			     const struct message *message)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(header);
	int *targets[2] = { &f->command_fd, &f->lock_fd };
	size_t n = 0;

	if (!c || c->cmsg_type != SCM_RIGHTS)
		return;
	for (int i = 0; i < 2; i++) {
		if (!message->fds[i] ||
		    CMSG_LEN((n + 1) * sizeof(int)) > c->cmsg_len)
			continue;
		memcpy(targets[i], CMSG_DATA(c) + n * sizeof(int), sizeof(int));
		n++;
	}
}

/* A guard that could not let go of the lock in the end is none. */
static void check_descriptors(struct front *f, const struct message *message)
{
	if (!message->fds[1] || f->lock_fd >= 0)
		return;
	f->bereft = true;
	f->over = true;
}

static void look_at_board(struct front *f)
{
	int stopped;

	atomic_store(&f->board->front_woken, false);
	/* The packet that woke us may be older than the one that names COMMAND:
	 * then that comes next, and what is posted here is looked at again. */
	stopped = f->command > 0 ? atomic_exchange(&f->board->stopped, 0) : 0;
	if (stopped != 0)
		on_stopped(f, stopped);
	/* Woken for a nearer guard, too: the timer is set anew in any case. */
	if (atomic_load(&f->board->settled) && f->tell_slow_at.ns >= NSEC_FOREVER)
		f->tell_slow_at = boot_add(boot_now(), release_slow);
	f->stuck = atomic_load(&f->board->stuck);
	if (atomic_load(&f->board->done))
		f->over = true;
}

/* Nothing keeps the next one out of it while we and the keeper are stopped. */
static bool ends_by_age(const struct front *f)
{
	return f->lock_fd < 0 && atomic_load(&f->board->guard) < NSEC_FOREVER;
}

static void start_third(struct front *f)
{
	const int ours[] = { f->sock,  f->reaper_sock, f->signals,
			     f->timer, f->spare,       f->command_fd };
	struct third_start start = { .plan = f->plan,
				     .board = f->board,
				     .keeper = f->keeper,
				     .reaper = f->reaper,
				     .close = ours,
				     .closes = sizeof(ours) / sizeof(ours[0]) };

	if (f->third.pid != 0 || f->keeper == 0)
		return;
	f->third.pid = third_start(&start);
	f->third.start = process_start(f->third.pid);
}

static void stop_third(struct front *f)
{
	third_stop(f->third.pid);
	f->third.pid = 0;
}

static void on_message(struct front *f, const struct message *message,
		       struct msghdr *header)
{
	switch (message->kind) {
	case MESSAGE_HELD:
		f->command = message->value;
		take_descriptors(f, header, message);
		check_descriptors(f, message);
		if (!f->bereft && ends_by_age(f))
			start_third(f);
		look_at_board(f);
		return;
	case MESSAGE_LOOK:
		look_at_board(f);
		return;
	}
}

/* One packet. False: there is none now. */
static bool receive(struct front *f)
{
	struct message message;
	struct iovec data = { &message, sizeof(message) };
	union {
		char space[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr header = { .msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.space,
				 .msg_controllen = sizeof(control.space) };
	ssize_t n = recvmsg(f->sock, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n == (ssize_t)sizeof(message)) {
		on_message(f, &message, &header);
		return true;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		f->over = true;
	return false;
}

/* --- the end ----------------------------------------------------------- */

/* Remembered only: to print could block, and the others are still to be hit. */
static void note_fate(void *context, const struct tree_process *process,
		      enum tree_fate fate)
{
	struct front *f = context;
	struct tree_process *immune = &f->immune[f->immunes];

	if (fate != TREE_SIGNALLED && f->immunes < IMMUNE_MAX) {
		*immune = *process;
		f->immunes++;
	}
}

static void tell_immune(struct front *f)
{
	for (size_t i = 0; i < f->immunes; i++) {
		struct notice notice = { .kind = NOTICE_CANNOT_KILL,
					 .when = wall_now(),
					 .pid = f->immune[i].id.pid,
					 .text = f->immune[i].name };

		f->plan->tell(f->plan->context, &notice);
	}
	f->immunes = 0;
}

/* Reading /proc needs two descriptors, which may be the last ones. */
static void make_room(struct front *f)
{
	if (f->timer >= 0)
		(void)close(f->timer);
	if (f->spare >= 0)
		(void)close(f->spare);
	f->timer = f->spare = -1;
}

/* One round. */
static enum tree_left kill_below(struct front *f, tree_told_fn *told)
{
	struct tree_set third = { .few = { f->third }, .len = 1 };
	struct tree tree = { .root = f->reaper ? f->reaper : getpid(),
			     .doomed = f->hangs ? f->keeper : 0 };
	struct tree_count count;
	enum rc rc;

	if (f->reaper == 0 && f->strangers->len > 0)
		tree.apart = f->strangers;
	else if (f->reaper == 0 && f->third.pid != 0)
		tree.apart = &third;
	rc = tree_kill(&tree, tree_patience, told, f, &count);
	look_at_reaper(f);
	f->hangs = true; /* if it is still there */
	if (rc == RC_OK)
		return count.left;
	if (f->command > 0)
		signal_command(f, SIGKILL);
	if (tree_reap(&tree))
		return TREE_LEFT_NONE;
	/* What the command left cannot be found without /proc. */
	return rc == RC_UNSUPPORTED ? TREE_LEFT_DENIED : TREE_LEFT_SOME;
}

/* What the keeper would have said; a loss has its line whoever finds it. */
static void tell_killed(struct front *f, const struct outcome *outcome)
{
	struct notice lost = { .kind = NOTICE_LOST,
			       .when = wall_now(),
			       .text = outcome->err.text };
	struct notice killed = { .kind = NOTICE_SIGNALLED,
				 .when = wall_now(),
				 .signal = SIGKILL };

	if (outcome->how == OUTCOME_LOST &&
	    !atomic_exchange(&f->board->lost_told, true))
		f->plan->tell(f->plan->context, &lost);
	if (atomic_load(&f->board->went))
		f->plan->tell(f->plan->context, &killed);
}

/*
 * What does not die (it may not be signalled, it sleeps uninterruptibly) is
 * told. A kernel lock, which is ours as well, is held while it runs; without
 * one there is nothing to protect it with, and no reason to stay. A keeper that
 * hangs is told of by the caller.
 */
static void kill_until_dead(struct front *f, const struct outcome *outcome)
{
	struct boot patience = boot_add(boot_now(), kill_patience);
	enum tree_left left;
	bool told = false;

	left = kill_below(f, NULL);
	tell_killed(f, outcome);
	for (; left != TREE_LEFT_NONE; left = kill_below(f, NULL)) {
		bool stuck = left == TREE_LEFT_DENIED ||
			     boot_reached(boot_now(), patience);

		if (stuck && !told)
			(void)kill_below(f, note_fate);
		tell_immune(f);
		told = told || stuck;
		if (stuck && f->lock_fd < 0)
			break;
		(void)poll(NULL, 0, stuck ? LOOK_AGAIN_MS : 1);
	}
}

static void kill_keeper(struct front *f)
{
	listen_to_reaper(f);
	if (f->keeper > 0)
		(void)kill(f->keeper, SIGKILL);
}

/* The keeper failed: end all that is below us, then let the lock go. */
static void end_it_all(struct front *f, const struct outcome *outcome)
{
	bool settled = atomic_load(&f->board->settled);

	kill_keeper(f);
	/* It would keep us from seeing that a child of ours is hidden. */
	witness_stop();
	make_room(f);
	/* Once all is settled, nothing but the keeper itself is left to end,
	 * and what the user wants left. */
	if (!settled)
		(void)kill_below(f, NULL);
	/* Till now: we may be stopped in the midst of it. It is no child of
	 * COMMAND's, whose end is to be proved. */
	stop_third(f);
	if (!settled)
		kill_until_dead(f, outcome);
	if (f->lock_fd >= 0)
		(void)flock(f->lock_fd, LOCK_UN);
}

static void tell_unreleased(const struct front *f)
{
	struct notice notice = { .kind = NOTICE_WARNING,
				 .when = wall_now(),
				 .text = "the lock could not be removed: "
					 "no answer" };

	f->plan->tell(f->plan->context, &notice);
}

/* The keeper says so itself unless it hangs in place. */
static void check_slow(struct front *f)
{
	struct notice notice = { .kind = NOTICE_WARNING,
				 .when = wall_now(),
				 .text = "the lock is still being removed: "
					 "no answer" };

	if (!boot_reached(boot_now(), f->tell_slow_at))
		return;
	f->tell_slow_at = BOOT_NEVER;
	if (atomic_load(&f->board->absorbed))
		f->plan->tell(f->plan->context, &notice);
}

/* Is it we who were stopped, and perhaps the keeper with us? */
static bool woke_late(const struct front *f)
{
	struct boot guard = { atomic_load(&f->board->guard) };

	return guard.ns < NSEC_FOREVER &&
	       boot_until(guard, boot_now()) > slept_least;
}

static void lost_outcome(const struct front *f, struct outcome *outcome)
{
	outcome->how = OUTCOME_LOST;
	if (woke_late(f))
		(void)err_set(&outcome->err, RC_LOST,
			      "this machine slept, or repolock was stopped, "
			      "for longer than the lock is good for");
	else if (f->keeper == 0)
		(void)err_set(&outcome->err, RC_LOST,
			      "the keeper was killed when it had lost it");
	else
		(void)err_set(&outcome->err, RC_LOST,
			      "the keeper (process %d) did not renew it in "
			      "time",
			      (int)f->keeper);
}

static void failed_outcome(const struct front *f, bool late,
			   struct outcome *outcome)
{
	bool went = atomic_load(&f->board->went);

	*outcome = (struct outcome){ .how = OUTCOME_FAILED };
	if (f->withdrawn != 0 && !went) {
		outcome->how = OUTCOME_INTERRUPTED;
		outcome->status = f->withdrawn;
	} else if (f->bereft) {
		(void)err_set(&outcome->err, RC_FAILED,
			      "no descriptor is left to guard the lock "
			      "with (ulimit -n)");
	} else if (atomic_load(&f->board->lost) || (late && went)) {
		lost_outcome(f, outcome);
	} else if (late) {
		(void)err_set(&outcome->err, RC_FAILED,
			      "the location does not answer");
	} else if (went) {
		(void)err_set(&outcome->err, RC_FAILED,
			      "the keeper was killed; COMMAND was ended, the "
			      "lock is left to become stale");
	} else {
		(void)err_set(&outcome->err, RC_FAILED,
			      "the keeper was killed before COMMAND was "
			      "started");
	}
}

/* A child of ours that has not ended. */
static bool is_there(pid_t child)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) ==
		       0 &&
	       info.si_pid == 0;
}

static void keeper_failed(struct front *f, bool late, struct outcome *outcome)
{
	bool settled = atomic_load(&f->board->settled);

	if (!settled)
		failed_outcome(f, late, outcome);
	end_it_all(f, outcome);
	/* Where it hangs in the kernel, it may not end for ever. */
	f->stuck = true;
	if (late && outcome->how == OUTCOME_FAILED && f->keeper != 0 &&
	    is_there(f->keeper))
		(void)err_set(&outcome->err, RC_FAILED,
			      "the location does not answer; process %d hangs "
			      "in it and is left behind",
			      (int)f->keeper);
	if (!settled)
		return;
	tell_unreleased(f);
	*outcome = f->board->outcome;
}

static void done(const struct front *f, struct outcome *outcome)
{
	*outcome = f->board->outcome;
	/* A password that was not given for Ctrl-C, or a store's call that a
	 * signal cut short, is no failure. */
	if (outcome->how == OUTCOME_FAILED && f->withdrawn != 0 &&
	    !atomic_load(&f->board->went)) {
		outcome->how = OUTCOME_INTERRUPTED;
		outcome->status = f->withdrawn;
	}
}

static void arm(const struct front *f)
{
	struct boot wake = { atomic_load(&f->board->guard) };
	struct itimerspec when = { 0 };

	wake = boot_min(wake, f->doubts_due);
	wake = boot_min(wake, f->withdraw_until);
	wake = boot_min(wake, f->lock_memory_at);
	wake = boot_min(wake, f->tell_slow_at);
	if (wake.ns < NSEC_FOREVER) {
		when.it_value.tv_sec = wake.ns / NSEC_PER_SEC;
		when.it_value.tv_nsec = wake.ns % NSEC_PER_SEC;
		if (wake.ns <= 0)
			when.it_value.tv_nsec = 1;
	}
	(void)timerfd_settime(f->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/*
 * A guard that has to be read from a dead disk to act is none. What is there
 * stays, what comes stays; nothing is read for it now.
 */
static void stay_in_memory(struct front *f)
{
	if (!boot_reached(boot_now(), f->lock_memory_at))
		return;
	f->lock_memory_at = BOOT_NEVER;
	memory_give_back((uintptr_t)command_prepare);
	memory_stay();
}

/* No signal is relayed any more, so nobody has to tell for whom it was. Told
 * early, it ends while the lock is released. */
static void dismiss_witness(struct front *f)
{
	if (f->dismissed || !atomic_load(&f->board->ended))
		return;
	f->dismissed = true;
	witness_dismiss();
}

static bool guard_passed(const struct front *f)
{
	return boot_reached(boot_now(),
			    (struct boot){ atomic_load(&f->board->guard) });
}

/* COMMAND runs, or is stopped, with nothing to protect it. */
static bool unprotected(const struct front *f)
{
	return atomic_load(&f->board->went) && !atomic_load(&f->board->done) &&
	       (f->over || guard_passed(f));
}

/* True: the keeper is too late. */
static bool turn(struct front *f)
{
	struct pollfd fds[] = { { .fd = f->sock, .events = POLLIN },
				{ .fd = f->signals, .events = POLLIN },
				{ .fd = f->timer, .events = POLLIN },
				{ .fd = f->reaper_sock, .events = POLLIN } };

	arm(f);
	(void)poll(fds, sizeof(fds) / sizeof(fds[0]), -1);
	/* What it said last counts even if it is gone. */
	while (receive(f) && !f->over)
		;
	if (fds[3].revents)
		listen_to_reaper(f);
	/* Continued too late, we must not hand SIGCONT on before killing. */
	if (unprotected(f))
		return guard_passed(f);
	if (fds[1].revents)
		on_signals(f);
	else if (fds[2].revents)
		decide_all(f);
	dismiss_witness(f);
	stay_in_memory(f);
	check_slow(f);
	return guard_passed(f) || boot_reached(boot_now(), f->withdraw_until);
}

static void forget_signals(struct front *f)
{
	struct signalfd_siginfo info;

	/* COMMAND had its chance: what came is not for the caller's mask. */
	while (read(f->signals, &info, sizeof(info)) == sizeof(info))
		;
}

/* It ends by itself; but with a thread that hangs in the kernel it may not. */
static void reap_keeper(const struct front *f)
{
	if (f->keeper == 0)
		return;
	if (!f->stuck) {
		while (waitpid(f->keeper, NULL, 0) < 0 && errno == EINTR)
			;
		return;
	}
	for (int i = 0; i < REAP_TURNS; i++) {
		if (waitpid(f->keeper, NULL, WNOHANG) != 0)
			return;
		(void)poll(NULL, 0, 1);
	}
}

/* What COMMAND left by the user's wish goes on to whoever is above us. */
static void end_reaper(const struct front *f)
{
	struct pollfd end = { .fd = f->reaper_sock, .events = POLLIN };

	if (f->keeper > 0 && f->reaper_sock >= 0)
		(void)poll(&end, 1, f->stuck ? REAP_TURNS : -1);
	(void)kill(f->reaper, SIGKILL);
	while (waitpid(f->reaper, NULL, 0) < 0 && errno == EINTR)
		;
}

static void finish(struct front *f)
{
	witness_stop();
	stop_third(f);
	forget_signals(f);
	if (f->lock_fd >= 0)
		(void)close(f->lock_fd);
	if (f->command_fd >= 0)
		(void)close(f->command_fd);
	if (f->signals >= 0)
		(void)close(f->signals);
	if (f->timer >= 0)
		(void)close(f->timer);
	if (f->spare >= 0)
		(void)close(f->spare);
	/* It has had the time to end meanwhile. */
	if (f->reaper > 0)
		end_reaper(f);
	else
		reap_keeper(f);
	reap_adopted(f);
}

void front_run(const struct front_start *start, struct outcome *outcome)
{
	static struct front front;
	struct front *f = &front;
	bool late = false;
	sigset_t all;

	*f = (struct front){ .plan = start->plan,
			     .board = start->board,
			     .sock = start->sock,
			     .keeper = start->keeper,
			     .helpers = start->helpers,
			     .reaper = start->reaper->pid,
			     .reaper_sock = start->reaper->sock,
			     .strangers = start->strangers,
			     .command_fd = -1,
			     .lock_fd = -1,
			     .doubts_due = BOOT_NEVER,
			     .withdraw_until = BOOT_NEVER,
			     .tell_slow_at = BOOT_NEVER,
			     .lock_memory_at = boot_add(boot_now(),
							lock_memory_after) };
	(void)sigfillset(&all);
	f->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	f->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	f->spare = fcntl(f->timer, F_DUPFD_CLOEXEC, 0);
	/* No guard: better none of it at all. */
	f->bereft = f->timer < 0 || f->signals < 0 || f->spare < 0;
	f->over = f->bereft;
	while (!f->over && !late)
		late = turn(f);
	if (atomic_load(&f->board->done))
		done(f, outcome);
	else
		keeper_failed(f, late, outcome);
	finish(f);
}
