/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/keeper.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise/memory.h"
#include "supervise/tree.h"
#include "supervise/worker.h"
#include "util/text.h"

/* A system call that blocks is interrupted again after this. */
static const nsec poke_again = 50 * NSEC_PER_MSEC;
/* The front got the same signal as we within this time: it was sent to all
 * of us (systemd, by control group), and COMMAND has it already. */
static const nsec same_signal = 100 * NSEC_PER_MSEC;
static const nsec look_at_front = 25 * NSEC_PER_MSEC;
/* One round of killing or stopping; the loop goes on in between. */
static const nsec tree_patience = 200 * NSEC_PER_MSEC;
/* So long a release may keep the loop; after it the worker goes on. */
static const nsec release_prompt = 2 * NSEC_PER_SEC;
/* What a hanging first try is given before the front ends it all. No less than
 * the opening is given, or the front had to be woken to be told. */
static const nsec inline_patience = 120 * NSEC_PER_SEC;

/* More than these are not named; the kill does not wait for telling. */
enum { NAMED_MAX = 32 };

struct named {
	pid_t pid;
	char name[16];
};

struct keeper {
	/* Little of it is used, and that in a page that we use as well. */
	_Alignas(max_align_t) char gate_stack[GATE_STACK];
	const struct plan *plan;
	struct command *command;
	struct board *board;
	int sock;
	const struct helpers *helpers;
	pid_t front;
	int front_fd; /* its pidfd, where it is not our parent; or -1 */

	struct lock *lock;
	struct worker worker;
	struct policy policy;
	int timer, signals, loss_fd;

	struct boot worker_at; /* when to start it; BOOT_NEVER: not by time */
	struct boot poke_at;
	bool release_tried;
	bool hinted; /* do not look at loss_fd until it was emptied */
	bool front_gone;
	bool front_stopped; /* with the command */
	bool reaped;        /* the command */
	bool frozen;        /* we stopped the tree */
	bool has_holder;
	bool waiting_told;

	int status; /* the command's, once reaped */
	int asked;  /* a signal sent to us alone, perhaps */
	struct boot asked_at;
	struct tree_set stopped;
	struct named named[NAMED_MAX]; /* who was signalled last */
	size_t nameds;
	struct named immune[NAMED_MAX]; /* who cannot be, still to be told */
	size_t immunes;
	unsigned denied; /* how many of those were told */

	struct lock_info mine, holder;
	struct lock_info described; /* as it was last read */
	struct err err;             /* the last failure of the lock */
	struct err busy;            /* the last time that another held it */
};

/* --- telling ----------------------------------------------------------- */

static void tell(struct keeper *k, struct notice *notice)
{
	notice->when = wall_now();
	k->plan->tell(k->plan->context, notice);
}

static void tell_text(struct keeper *k, enum notice_kind kind, const char *text)
{
	struct notice notice = { .kind = kind, .text = text };

	tell(k, &notice);
}

static nsec waited(const struct keeper *k)
{
	return boot_until(k->policy.started, boot_now());
}

/* Who reads this may wait as long; the lock is not held meanwhile. */
static const nsec describe_patience = NSEC_PER_SEC;

static bool read_holder(struct keeper *k, struct lock_info *holder)
{
	struct call call = { boot_add(boot_now(), describe_patience), k->sock };
	struct err e;

	return !k->worker.busy &&
	       k->lock->ops->describe(k->lock, holder, &call, &e) == RC_OK;
}

/* One that cannot be read, or not now, stays as it is known. When it was
 * refreshed is known of every try, so that is not taken from what was read. */
static void describe_holder(void *keeper, struct lock_info *holder)
{
	struct keeper *k = keeper;
	struct lock_info known = *holder;

	if (!k->lock->ops->describe)
		return;
	if (read_holder(k, holder)) {
		k->described = *holder;
		return;
	}
	*holder = known;
	if (known.id[0] == '\0' || strcmp(known.id, k->described.id) != 0)
		return;
	*holder = k->described;
	holder->state = known.state;
	holder->alive = known.alive;
	holder->refreshed = known.refreshed;
	holder->expires = known.expires;
	holder->sure_in = known.sure_in;
}

static void tell_waiting(struct keeper *k)
{
	struct notice notice = { .kind = NOTICE_WAITING,
				 .lock = k->has_holder ? &k->holder : NULL,
				 .waited = waited(k),
				 .left = policy_left(&k->policy, boot_now()),
				 .text = k->err.text[0] ? k->err.text : NULL,
				 .describe = describe_holder,
				 .describer = k };

	k->waiting_told = !k->plan->quiet_wait;
	if (k->waiting_told)
		tell(k, &notice);
}

static void tell_acquired(struct keeper *k)
{
	struct notice notice = { .kind = NOTICE_ACQUIRED,
				 .lock = &k->mine,
				 .waited = waited(k) };

	tell(k, &notice);
}

static void tell_started(struct keeper *k)
{
	struct notice notice = { .kind = NOTICE_STARTED,
				 .lock = &k->mine,
				 .pid = k->command->pid };

	tell(k, &notice);
}

static void tell_in_doubt(struct keeper *k, const char *text)
{
	struct notice notice = { .kind = NOTICE_IN_DOUBT,
				 .lock = &k->mine,
				 .left = policy_left(&k->policy, boot_now()),
				 .text = text };

	tell(k, &notice);
}

static void loss_text(const struct keeper *k, struct err *e)
{
	const char *last = k->err.text[0] ? k->err.text : "no answer";

	switch (k->policy.loss) {
	case LOSS_NONE:
		return;
	case LOSS_TOLD:
		(void)err_set(e, RC_LOST, "%s", last);
		return;
	case LOSS_EXPIRED:
		(void)err_set(e, RC_LOST, "it could not be renewed in time: %s",
			      last);
		return;
	case LOSS_SLEPT:
		(void)err_set(e, RC_LOST,
			      "this machine slept, or the keeper was stopped, "
			      "for longer than the lock is good for");
		return;
	}
}

static void tell_lost(struct keeper *k)
{
	struct err e = { 0 };
	struct notice notice = { .kind = NOTICE_LOST,
				 .lock = &k->mine,
				 .text = e.text };

	loss_text(k, &e);
	tell(k, &notice);
	atomic_store(&k->board->lost_told, true);
}

static void tell_descendant(struct keeper *k, pid_t pid, const char *name)
{
	struct notice notice = { .kind = NOTICE_DESCENDANT,
				 .pid = pid,
				 .text = name };

	tell(k, &notice);
}

static bool tell_one(void *context, const struct tree_process *process)
{
	if (process->live)
		tell_descendant(context, process->id.pid, process->name);
	return true;
}

/* Those that were signalled: by now they may be gone. */
static void tell_named(struct keeper *k)
{
	for (size_t i = 0; i < k->nameds; i++)
		tell_descendant(k, k->named[i].pid, k->named[i].name);
}

static void tell_immune(struct keeper *k)
{
	for (size_t i = 0; i < k->immunes; i++) {
		struct notice notice = { .kind = NOTICE_CANNOT_KILL,
					 .pid = k->immune[i].pid,
					 .text = k->immune[i].name };

		tell(k, &notice);
	}
	k->immunes = 0;
}

/* One that the front could not deliver, or the policy wants delivered. */
static void signal_command(struct keeper *k, int sig)
{
	struct notice denied = { .kind = NOTICE_CANNOT_KILL,
				 .pid = k->command->pid,
				 .text = k->plan->wish.command };

	if (!k->reaped && kill(k->command->pid, sig) < 0 && errno == EPERM)
		tell(k, &denied);
}

/* What the terminal sent to our group, for the one that COMMAND leads. */
static void signal_group(struct keeper *k, int sig)
{
	if (k->reaped || getpgid(k->command->pid) != k->command->pid ||
	    kill(-k->command->pid, sig) < 0)
		signal_command(k, sig);
}

static struct tree tree_of(const struct keeper *k)
{
	return (struct tree){ .root = getpid(),
			      .kept = k->reaped ? 0 : k->command->pid };
}

static void tell_lingering(struct keeper *k)
{
	struct tree tree = tree_of(k);

	if (tree_each(&tree, tell_one, k) != RC_OK)
		tell_text(k, NOTICE_WARNING,
			  "processes that COMMAND started still run, but "
			  "cannot be found without a readable /proc");
}

static void tell_release(struct keeper *k, const char *what)
{
	char text[400];

	(void)snprintf(text, sizeof(text), "%s: %s", what,
		       k->err.text[0] ? k->err.text : "no answer");
	tell_text(k, NOTICE_WARNING, text);
}

static void say(struct keeper *k, const struct step *s)
{
	struct notice signalled = { .kind = NOTICE_SIGNALLED, .signal = s->kill };

	if (s->say & SAY_WAITING)
		tell_waiting(k);
	if (s->say & SAY_TRY_FAILED)
		tell_text(k, NOTICE_WARNING, k->err.text);
	if (s->say & SAY_ACQUIRED) {
		if (!k->waiting_told)
			tell_acquired(k);
		tell_started(k);
	}
	if (s->say & SAY_REFRESHED)
		tell_text(k, NOTICE_REFRESHED, NULL);
	if (s->say & SAY_IN_DOUBT)
		tell_in_doubt(k, k->err.text);
	if (s->say & SAY_SILENT)
		tell_in_doubt(k, "no answer");
	if (s->say & SAY_SLEPT)
		tell_text(k, NOTICE_WARNING,
			  "this machine slept, or the keeper was stopped: "
			  "COMMAND is stopped until the lock is verified");
	if (s->say & SAY_LOST)
		tell_lost(k);
	if (s->say & SAY_FRONT_GONE)
		tell_text(k, NOTICE_WARNING,
			  "the guarding process of repolock was killed: what "
			  "COMMAND runs is killed, and the lock released");
	if (s->say & SAY_MAX_HOLD)
		tell_text(k, NOTICE_WARNING, "--max-hold is over");
	if (s->say & SAY_LINGERING && k->nameds > 0)
		tell_named(k);
	else if (s->say & SAY_LINGERING)
		tell_lingering(k);
	if (s->say & SAY_SIGNALLED)
		tell(k, &signalled);
	if (s->say & SAY_RELEASED)
		tell_text(k, NOTICE_RELEASED, NULL);
	if (s->say & SAY_RELEASE_SLOW)
		tell_release(k, "the lock is still being removed");
	if (s->say & SAY_RELEASE_FAILED)
		tell_release(k, "the lock could not be removed");
}

/* --- the front --------------------------------------------------------- */

static void wake_front(struct keeper *k)
{
	board_wake(&k->board->front_woken, k->sock);
}

static void set_guard(struct keeper *k, struct boot guard)
{
	int64_t before = atomic_exchange(&k->board->guard, guard.ns);

	/* The front looks again when the old one passes; if that is too late
	 * for the new one, it has to be told. */
	if (guard.ns < before)
		wake_front(k);
}

static bool send_with(int sock, const struct message *message, const int *fds,
		      size_t n)
{
	struct message copy = *message;
	struct iovec data = { &copy, sizeof(copy) };
	union {
		char space[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr first;
	} control = { 0 };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };

	if (n > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.first.cmsg_level = SOL_SOCKET;
		control.first.cmsg_type = SCM_RIGHTS;
		control.first.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.first), fds, n * sizeof(int));
	}
	return sendmsg(sock, &header, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

/*
 * Share the lock with the front. Once the packet is in its queue, the front
 * has the kernel lock: a description in flight lives as long as the receiving
 * socket, which is the front's alone, whatever becomes of us. So there is no
 * answer to wait for.
 */
static bool share_with_front(struct keeper *k)
{
	struct message message = { .kind = MESSAGE_HELD,
				   .value = k->command->pid };
	int pidfd = (int)syscall(SYS_pidfd_open, k->command->pid, 0);
	int lock_fd = -1, fds[2];
	size_t n = 0;
	bool sent;

	if (k->lock->ops->kernel_lock_fd)
		lock_fd = k->lock->ops->kernel_lock_fd(k->lock);
	message.fds[0] = pidfd >= 0;
	message.fds[1] = lock_fd >= 0;
	if (pidfd >= 0)
		fds[n++] = pidfd;
	if (lock_fd >= 0)
		fds[n++] = lock_fd;
	sent = send_with(k->sock, &message, fds, n);
	if (!sent)
		(void)err_sys(&k->err, RC_FAILED, errno,
			      "sharing the lock with the front");
	if (pidfd >= 0)
		(void)close(pidfd);
	return sent;
}

/* By its pid only as long as it is our parent; below a reaper it is not. */
static bool send_front(const struct keeper *k, int sig)
{
	if (k->front_fd >= 0)
		return syscall(SYS_pidfd_send_signal, k->front_fd, sig, NULL,
			       0) == 0;
	return getppid() == k->front && kill(k->front, sig) == 0;
}

/*
 * It stopped with a command that was ended instead of continued. More than
 * once, since it may be about to stop just now.
 */
static void continue_front(const struct keeper *k)
{
	enum { TIMES = 3, BETWEEN_MS = 20 };

	for (int i = 0; i < TIMES && send_front(k, SIGCONT); i++) {
		(void)poll(NULL, 0, BETWEEN_MS);
	}
}

static _Noreturn void end(struct keeper *k)
{
	/* A gate that was never told "go" is ours alone. */
	if (!k->reaped && !atomic_load(&k->board->went)) {
		command_drop(k->command);
		(void)kill(k->command->pid, SIGKILL);
		(void)waitpid(k->command->pid, NULL, 0);
	}
	/* With a thread that hangs, our end may take for ever. */
	atomic_store(&k->board->stuck, k->worker.busy);
	atomic_store(&k->board->done, true);
	wake_front(k);
	if (k->front_stopped)
		continue_front(k);
	_exit(0);
}

static void fail(struct keeper *k, const struct err *e)
{
	k->board->outcome.how = OUTCOME_FAILED;
	k->board->outcome.err = *e;
}

/* --- how it ended ------------------------------------------------------ */

static void command_outcome(const struct keeper *k, struct outcome *outcome)
{
	int failed = atomic_load(&k->board->exec_errno);

	if (failed != 0) {
		outcome->how = failed == ENOENT ? OUTCOME_NOT_FOUND
						: OUTCOME_CANNOT_EXEC;
		(void)err_sys(&outcome->err, RC_FAILED, failed, "%s",
			      k->command->path);
	} else if (WIFSIGNALED(k->status)) {
		outcome->how = OUTCOME_SIGNALLED;
		outcome->status = WTERMSIG(k->status);
	} else {
		outcome->how = OUTCOME_EXITED;
		outcome->status = WEXITSTATUS(k->status);
	}
}

static void failed_outcome(const struct keeper *k, struct outcome *outcome)
{
	outcome->how = OUTCOME_FAILED;
	if (k->reaped && !atomic_load(&k->board->went))
		(void)err_set(&outcome->err, RC_FAILED,
			      "the process for COMMAND was killed before it "
			      "could start");
	else
		outcome->err = k->err;
}

static void fill_outcome(struct keeper *k, struct outcome *outcome)
{
	*outcome = (struct outcome){ 0 };
	switch (k->policy.verdict) {
	case VERDICT_COMMAND:
		command_outcome(k, outcome);
		return;
	case VERDICT_LOST:
		outcome->how = OUTCOME_LOST;
		loss_text(k, &outcome->err);
		return;
	case VERDICT_BUSY:
		outcome->how = OUTCOME_BUSY;
		outcome->err = k->busy;
		if (!k->has_holder)
			return;
		outcome->holder = k->holder;
		if (!k->plan->quiet_wait)
			describe_holder(k, &outcome->holder);
		return;
	case VERDICT_MAX_HOLD:
		outcome->how = OUTCOME_MAX_HOLD;
		return;
	case VERDICT_FAILED:
		failed_outcome(k, outcome);
		return;
	case VERDICT_SILENT:
		outcome->how = OUTCOME_FAILED;
		(void)err_set(&outcome->err, RC_FAILED, "%s: no answer in time",
			      k->plan->wish.location->shown);
		return;
	case VERDICT_INTERRUPTED:
		outcome->how = OUTCOME_INTERRUPTED;
		outcome->status = k->policy.signal;
		return;
	}
}

/* --- carrying out ------------------------------------------------------ */

static void name(struct named *list, size_t *len, pid_t pid, const char *text)
{
	if (*len == NAMED_MAX)
		return;
	list[*len].pid = pid;
	(void)text_copy(list[*len].name, sizeof(list->name), text);
	(*len)++;
}

/* Remembered only: to print could block, and the others are still to be hit. */
static void note_fate(void *context, const struct tree_process *process,
		      enum tree_fate fate)
{
	struct keeper *k = context;

	if (fate == TREE_SIGNALLED)
		name(k->named, &k->nameds, process->id.pid, process->name);
	else if (k->denied == 0)
		name(k->immune, &k->immunes, process->id.pid, process->name);
}

/* Without /proc only the command itself can be found. */
static void kill_command_only(struct keeper *k, int sig, struct tree_count *count)
{
	if (!k->reaped) {
		(void)kill(k->command->pid, sig);
		if (sig == SIGTERM)
			(void)kill(k->command->pid, SIGCONT);
	}
	if (tree_is_bare())
		count->left = TREE_LEFT_NONE;
	else if (k->reaped)
		count->left = TREE_LEFT_DENIED;
}

static struct event kill_tree(struct keeper *k, int sig)
{
	struct tree tree = tree_of(k);
	struct tree_count count = { 0 };
	struct event event = { .kind = EVENT_COUNTED, .signal = sig };
	enum rc rc;

	k->nameds = 0;
	if (sig == SIGKILL) {
		rc = tree_kill(&tree, tree_patience, note_fate, k, &count);
	} else {
		rc = tree_signal(&tree, sig, note_fate, k, &count);
		if (rc == RC_OK)
			rc = tree_signal(&tree, SIGCONT, NULL, NULL,
					 &(struct tree_count){ 0 });
	}
	if (rc == RC_UNSUPPORTED)
		kill_command_only(k, sig, &count);
	tree_set_release(&k->stopped);
	k->frozen = false;
	event.left = count.left;
	k->denied = count.denied + count.hidden;
	return event;
}

static void freeze(struct keeper *k)
{
	struct tree tree = tree_of(k);
	struct tree_count count = { 0 };

	k->frozen = true;
	if (tree_stop(&tree, tree_patience, &k->stopped, &count) == RC_UNSUPPORTED)
		(void)kill(k->command->pid, SIGSTOP);
}

static void thaw(struct keeper *k)
{
	struct tree tree = tree_of(k);

	if (!k->frozen)
		return;
	k->frozen = false;
	if (tree_continue(&tree, &k->stopped) == RC_UNSUPPORTED && !k->reaped)
		(void)kill(k->command->pid, SIGCONT);
}

static void note_answer(struct keeper *k, const struct answer *answer,
			struct event *event)
{
	*event = (struct event){ .kind = EVENT_REPLY,
				 .job = answer->job,
				 .rc = answer->rc,
				 .begun = answer->begun,
				 .term = answer->term };
	event->starved = answer->rc != RC_OK && answer->err.sys == ENOMEM;
	if (answer->rc != RC_OK)
		k->err = answer->err;
	if (answer->job == JOB_ACQUIRE && answer->rc == RC_OK)
		k->mine = answer->mine;
	if (answer->job == JOB_ACQUIRE && answer->rc == RC_BUSY) {
		event->other_holder = !k->has_holder ||
				      strcmp(k->holder.id, answer->holder.id) !=
					      0;
		k->holder = answer->holder;
		k->busy = answer->err;
		k->has_holder = true;
	}
	if (answer->job == JOB_REFRESH && answer->rc == RC_OK)
		k->hinted = false;
}

/* In this thread. */
static void work_inline(struct keeper *k, const struct work *work,
			struct event *event)
{
	struct work job = *work;
	struct answer answer;
	int cancel_fd = -1;

	if (job.job == JOB_ACQUIRE) {
		/* Before "go" the front writes only to withdraw, or ends. */
		cancel_fd = k->sock;
		set_guard(k, boot_add(job.give_up, inline_patience));
	} else if (job.job == JOB_RELEASE) {
		k->release_tried = true;
		job.give_up = boot_min(job.give_up,
				       boot_add(boot_now(), release_prompt));
	}
	atomic_store(&k->board->absorbed, job.job == JOB_RELEASE);
	work_perform(k->lock, &job, cancel_fd, &answer);
	atomic_store(&k->board->absorbed, false);
	note_answer(k, &answer, event);
}

/*
 * The very first try and a first release need not wait for a thread to be
 * made or woken: nothing of COMMAND runs, and the front guards.
 */
static bool best_inline(const struct keeper *k, enum job job)
{
	if (job == JOB_ACQUIRE)
		return !k->worker.started;
	return job == JOB_RELEASE && !k->release_tried && !k->worker.watching;
}

/* True: done in place, *event is the reply. */
static bool work(struct keeper *k, const struct step *s, struct event *event)
{
	struct work job = { s->job, s->give_up, s->patience, s->leash };
	struct err e;

	if (best_inline(k, s->job)) {
		work_inline(k, &job, event);
		return true;
	}
	if (k->worker.started || worker_start(&k->worker, k->lock, &e) == RC_OK) {
		worker_post(&k->worker, &job);
		return false;
	}
	if (s->job == JOB_WAIT) {
		*event = (struct event){ .kind = EVENT_REPLY,
					 .job = JOB_WAIT,
					 .rc = RC_FAILED,
					 .starved = e.sys == ENOMEM };
		return true;
	}
	/* Better in place, under the front's guard, than not at all. */
	work_inline(k, &job, event);
	return true;
}

static void cancel(struct keeper *k)
{
	worker_cancel(&k->worker);
	k->poke_at = boot_add(boot_now(), poke_again);
}

static void go(struct keeper *k)
{
	command_tell_lock(k->command, &k->mine);
	atomic_store(&k->board->went, true);
	command_go(k->command);
	/* A command shorter than this needs no worker either. */
	k->worker_at = boot_add(boot_now(), LOCK_LOSS_AFTER);
	if (k->lock->warning)
		tell_text(k, NOTICE_WARNING, k->lock->warning);
	if (tree_usable() == RC_UNSUPPORTED)
		tell_text(k, NOTICE_WARNING,
			  "what COMMAND leaves running cannot be found: /proc "
			  "cannot be read, or is another pid namespace's");
}

/* Everything that ends or stops something comes before everything that
 * could block. True: *event is what came of it, and goes to the policy. */
static bool carry_out(struct keeper *k, const struct step *s, struct event *event)
{
	bool more = false;

	if (s->kill != 0) {
		*event = kill_tree(k, s->kill);
		more = true;
	}
	if (s->freeze)
		freeze(k);
	if (s->thaw)
		thaw(k);
	if (s->relay != 0)
		signal_command(k, s->relay);
	if (s->drop)
		command_drop(k->command);
	set_guard(k, s->guard);
	if (s->hand_over) {
		*event = (struct event){ .kind = EVENT_HANDED,
					 .shared = share_with_front(k) };
		more = true;
	}
	/* A line that stands on the terminal goes before COMMAND writes there;
	 * else COMMAND comes first. */
	if (s->go && k->waiting_told)
		tell_acquired(k);
	if (s->go)
		go(k);
	if (k->policy.phase == PHASE_RELEASING && !k->policy.again &&
	    !k->board->settled) {
		fill_outcome(k, &k->board->outcome);
		atomic_store(&k->board->settled, true);
	}
	if (k->policy.loss != LOSS_NONE)
		atomic_store(&k->board->lost, true);
	if (s->cancel)
		cancel(k);
	tell_immune(k);
	if (s->say != 0)
		say(k, s);
	return more;
}

static void step(struct keeper *k, struct event event)
{
	bool more;

	do {
		struct step s = policy_step(&k->policy, &event, boot_now());

		more = carry_out(k, &s, &event);
		if (s.end) {
			fill_outcome(k, &k->board->outcome);
			end(k);
		}
		if (s.job != JOB_NONE) {
			struct event reply;

			if (work(k, &s, &reply)) {
				if (more)
					step(k, event);
				event = reply;
				more = true;
			}
		}
	} while (more);
}

/* --- what the kernel reports ------------------------------------------- */

static void tell_front_stopped(struct keeper *k, int sig)
{
	if (k->frozen)
		return;
	k->front_stopped = true;
	atomic_store(&k->board->stopped, sig);
	wake_front(k);
}

/* True: the command has ended. */
static bool look_at_command(struct keeper *k)
{
	int status;

	while (!k->reaped && waitpid(k->command->pid, &status,
				     WNOHANG | WUNTRACED | WCONTINUED) > 0) {
		if (WIFSTOPPED(status)) {
			tell_front_stopped(k, WSTOPSIG(status));
		} else if (WIFCONTINUED(status)) {
			k->front_stopped = false;
			(void)send_front(k, SIGCONT);
		} else {
			k->reaped = true;
			k->status = status;
			atomic_store(&k->board->ended, true);
			return true;
		}
	}
	return false;
}

static void on_child(struct keeper *k)
{
	struct tree tree;

	if (look_at_command(k))
		step(k, (struct event){ .kind = EVENT_COMMAND_ENDED });
	tree = tree_of(k);
	if (tree_reap(&tree))
		step(k, (struct event){ .kind = EVENT_BARE });
}

/* A signal to us alone asks for an orderly end; one to everybody was not
 * meant for us. Which of the two is seen when the front had time to get it. */
static void on_asked(struct keeper *k, int sig)
{
	if (sig < WITNESS_SIGNALS)
		atomic_store(&k->board->kept[sig], boot_now().ns);
	if (sig != SIGTERM && sig != SIGINT && sig != SIGQUIT)
		return; /* SIGHUP above all: `restic unlock` sends it */
	k->asked = sig;
	k->asked_at = boot_now();
}

static void check_asked(struct keeper *k)
{
	int sig = k->asked;
	struct boot got;

	if (sig == 0 || boot_until(k->asked_at, boot_now()) < look_at_front)
		return;
	k->asked = 0;
	got.ns = atomic_load(&k->board->got[sig]);
	if (boot_until(got, k->asked_at) > same_signal)
		step(k, (struct event){ .kind = EVENT_SIGNAL, .signal = sig });
}

static void on_signals(struct keeper *k)
{
	struct signalfd_siginfo info;
	bool child = false;

	while (read(k->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			child = true;
		else
			on_asked(k, (int)info.ssi_signo);
	}
	if (child)
		on_child(k);
}

/* The lowest signal of a set, which is taken out; 0: there is none. */
static int take_signal(uint64_t *set)
{
	for (int sig = 1; *set != 0 && sig < WITNESS_SIGNALS; sig++) {
		if (!(*set & board_bit(sig)))
			continue;
		*set &= ~board_bit(sig);
		return sig;
	}
	return 0;
}

static void look_at_board(struct keeper *k)
{
	uint64_t asked, relayed, to_group;
	int sig;

	atomic_store(&k->board->keeper_woken, false);
	relayed = atomic_exchange(&k->board->relayed, 0);
	asked = atomic_exchange(&k->board->asked, 0);
	to_group = atomic_exchange(&k->board->relayed_to_group, 0);
	while ((sig = take_signal(&relayed)) != 0)
		signal_command(k, sig);
	while ((sig = take_signal(&to_group)) != 0)
		signal_group(k, sig);
	while ((sig = take_signal(&asked)) != 0)
		step(k, (struct event){ .kind = EVENT_SIGNAL, .signal = sig });
}

static void on_front(struct keeper *k)
{
	struct message message;
	ssize_t n;

	while ((n = recv(k->sock, &message, sizeof(message), MSG_DONTWAIT)) ==
	       sizeof(message))
		look_at_board(k);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		k->front_gone = true;
		step(k, (struct event){ .kind = EVENT_FRONT_GONE });
	}
}

/* What lies before the function that tells is for the command line. */
static void give_back(const struct keeper *k)
{
	memory_give_back((uintptr_t)k->plan->tell);
}

static void on_answer(struct keeper *k)
{
	struct answer answer;
	struct event event;

	worker_look(&k->worker);
	(void)worker_watched(&k->worker, &k->loss_fd);
	if (!worker_take(&k->worker, &answer))
		return;
	note_answer(k, &answer, &event);
	step(k, event);
	/* To make a thread takes what was given back. */
	if (answer.job == JOB_REFRESH)
		give_back(k);
}

/* A thread costs nine pages: where nothing can hang, the first refresh is
 * early enough for it. */
static void watch(struct keeper *k)
{
	struct err e;

	if (k->lock->at_hand && k->lock->ops->loss_fd && !k->worker.started)
		k->loss_fd = k->lock->ops->loss_fd(k->lock);
	else if (k->worker.started ||
		 worker_start(&k->worker, k->lock, &e) == RC_OK)
		worker_watch(&k->worker);
}

/* Not in the way of a short command. */
static void check_worker(struct keeper *k)
{
	if (boot_reached(boot_now(), k->worker_at)) {
		k->worker_at = BOOT_NEVER;
		watch(k);
		give_back(k);
	}
	if (boot_reached(boot_now(), k->poke_at)) {
		k->poke_at = BOOT_NEVER;
		if (k->worker.busy && k->worker.cancelled)
			cancel(k);
	}
}

static void arm(const struct keeper *k)
{
	struct boot wake = boot_min(k->policy.wake,
				    boot_min(k->worker_at, k->poke_at));
	struct itimerspec when = { 0 };

	if (k->asked != 0)
		wake = boot_min(wake, boot_add(k->asked_at, look_at_front));
	if (wake.ns < NSEC_FOREVER) {
		/* Zero would disarm it. */
		if (wake.ns <= 0)
			wake.ns = 1;
		when.it_value.tv_sec = wake.ns / NSEC_PER_SEC;
		when.it_value.tv_nsec = wake.ns % NSEC_PER_SEC;
	}
	(void)timerfd_settime(k->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void turn(struct keeper *k)
{
	enum { TIMER, SIGNAL, FRONT, ANSWER, LOSS, SOURCES };
	struct pollfd fds[SOURCES] = {
		[TIMER] = { .fd = k->timer, .events = POLLIN },
		[SIGNAL] = { .fd = k->signals, .events = POLLIN },
		[FRONT] = { .fd = k->front_gone ? -1 : k->sock, .events = POLLIN },
		[ANSWER] = { .fd = k->worker.started ? k->worker.ready_fd : -1,
			     .events = POLLIN },
		[LOSS] = { .fd = k->hinted ? -1 : k->loss_fd, .events = POLLIN }
	};

	arm(k);
	if (poll(fds, SOURCES, -1) <= 0)
		return;
	/* Time first: after a sleep nothing else may come before it. */
	if (fds[TIMER].revents)
		step(k, (struct event){ .kind = EVENT_TIME });
	if (fds[ANSWER].revents)
		on_answer(k);
	if (fds[SIGNAL].revents)
		on_signals(k);
	if (fds[FRONT].revents)
		on_front(k);
	if (fds[LOSS].revents) {
		k->hinted = true;
		step(k, (struct event){ .kind = EVENT_HINT });
	}
	check_asked(k);
	check_worker(k);
}

/* --- beginning --------------------------------------------------------- */

static struct keeper *asking;

/* A person may take as long as it takes; the store may not. */
static void step_aside(bool begins)
{
	static struct boot guard, began;

	if (begins) {
		began = boot_now();
		guard.ns = atomic_load(&asking->board->guard);
		set_guard(asking, BOOT_NEVER);
	} else {
		set_guard(asking, boot_add(guard, boot_until(began, boot_now())));
	}
}

static bool ask_aside(const char *prompt, char *answer, size_t size)
{
	bool given;

	step_aside(true);
	given = asking->plan->wish.ask(prompt, answer, size);
	step_aside(false);
	return given;
}

static enum rc open_lock(struct keeper *k, struct err *e)
{
	static struct self self;
	static struct lock_wish wish;
	struct call call = { BOOT_NEVER, k->sock };
	enum rc rc;

	self = *k->plan->wish.self;
	self.keeper.pid = getpid();
	self.keeper.start = process_start(self.keeper.pid);
	wish = k->plan->wish;
	wish.self = &self;
	asking = k;
	helpers_use(k->helpers);
	wish.aside = step_aside;
	if (k->helpers->sock >= 0)
		wish.start = helpers_run;
	if (wish.ask)
		wish.ask = ask_aside;
	if (k->plan->open)
		rc = k->plan->open(&k->lock, &wish, &call, e);
	else
		rc = lock_open(&k->lock, &wish, &call, e);
	helpers_dismiss();
	return rc;
}

static enum rc open_sources(struct keeper *k, struct err *e)
{
	sigset_t all;

	(void)sigfillset(&all);
	k->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	k->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->timer < 0 || k->signals < 0)
		return err_sys(e, RC_FAILED, errno, "timer");
	return RC_OK;
}

static void init_policy(struct keeper *k)
{
	const struct plan *plan = k->plan;
	struct policy_config config = {
		.wait = plan->wait,
		.max_hold = plan->max_hold,
		.grace = plan->grace,
		.tell_every = plan->tell_every,
		.paced = k->lock->ops->wait == NULL,
		.asks_holder = k->lock->ops->describe && !plan->quiet_wait,
		.on_lost = plan->on_lost,
		.descendants = plan->descendants,
		.seed = (uint64_t)boot_now().ns ^ (uint64_t)getpid() << 32,
	};

	policy_init(&k->policy, &config);
}

/* Ctrl-C at the question for a password: opening failed because of that. */
static void blame_signal(struct keeper *k)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action;
	sigset_t pending;

	(void)sigpending(&pending);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		(void)sigaction(ending[i], NULL, &action);
		if (sigismember(&pending, ending[i]) != 1 ||
		    action.sa_handler == SIG_IGN)
			continue;
		k->board->outcome.how = OUTCOME_INTERRUPTED;
		k->board->outcome.status = ending[i];
		return;
	}
}

_Noreturn void keeper_run(const struct keeper_start *start)
{
	static struct keeper k;
	struct err e = { 0 };

	k.plan = start->plan;
	k.command = start->command;
	k.board = start->board;
	k.sock = start->sock;
	k.front = start->front;
	k.helpers = start->helpers;
	k.front_fd = -1;
	if (getppid() != k.front)
		k.front_fd = (int)syscall(SYS_pidfd_open, k.front, 0);
	k.loss_fd = -1;
	k.worker_at = BOOT_NEVER;
	k.poke_at = BOOT_NEVER;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (command_fork(k.command, k.gate_stack, &e) != RC_OK) {
		k.reaped = true; /* there is none */
		fail(&k, &e);
		end(&k);
	}
	/* Still in the caller's session: a password may be asked for. */
	if (open_lock(&k, &e) != RC_OK || open_sources(&k, &e) != RC_OK) {
		fail(&k, &e);
		blame_signal(&k);
		end(&k);
	}
	(void)setsid();
	init_policy(&k);
	step(&k, (struct event){ .kind = EVENT_START });
	for (;;)
		turn(&k);
}
