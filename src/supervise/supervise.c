/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervise/apart.h"
#include "supervise/board.h"
#include "supervise/command.h"
#include "supervise/front.h"
#include "supervise/helpers.h"
#include "supervise/keeper.h"
#include "supervise/reaper.h"
#include "supervise/tree.h"
#include "supervise/witness.h"

/* Until the keeper posts a later one: opening the lock may hang. */
static const nsec first_guard = 120 * NSEC_PER_SEC;
/* With a short --wait, or none; less could be too little for deriving keys. */
static const nsec first_guard_least = 30 * NSEC_PER_SEC;

struct run {
	const struct plan *plan;
	struct board *board;
	struct command command;
	struct caller caller;
	int socks[2]; /* front, keeper */
	struct helpers helpers;
	struct reaper reaper;      /* if there is one */
	struct tree_set strangers; /* children that are not COMMAND's */
};

static void take_signals(struct caller *caller)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t all;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &caller->mask);
	/* Ignored, it would take our children's ends from us. */
	(void)sigaction(SIGCHLD, &usual, &caller->chld);
}

static nsec open_patience(const struct plan *plan)
{
	if (plan->open_patience > 0)
		return plan->open_patience;
	if (plan->wait < first_guard_least)
		return first_guard_least;
	return plan->wait < first_guard ? plan->wait : first_guard;
}

static enum rc prepare(struct run *r, struct err *e)
{
	nsec patience = open_patience(r->plan);
	void *page = mmap(NULL, sizeof(*r->board), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return err_sys(e, RC_FAILED, errno, "shared memory");
	r->board = page;
	atomic_store(&r->board->guard, boot_add(boot_now(), patience).ns);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, r->socks) < 0)
		return err_sys(e, RC_FAILED, errno, "socket pair");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_sys(e, RC_FAILED, errno, "becoming a subreaper");
	return command_prepare(&r->command, r->plan, &r->caller, r->board,
			       getpid(), e);
}

/* In the front. */
static void guard(struct run *r, pid_t keeper, struct outcome *outcome)
{
	struct front_start start = { .plan = r->plan,
				     .board = r->board,
				     .sock = r->socks[0],
				     .keeper = keeper,
				     .helpers = &r->helpers,
				     .reaper = &r->reaper,
				     .strangers = &r->strangers };

	(void)close(r->socks[1]);
	r->socks[1] = -1;
	if (r->helpers.sock >= 0)
		(void)close(r->helpers.sock);
	r->helpers.sock = -1;
	front_run(&start, outcome);
	helpers_end(&r->helpers);
}

static _Noreturn void keep(struct run *r, pid_t front)
{
	struct keeper_start start = { .plan = r->plan,
				      .command = &r->command,
				      .board = r->board,
				      .sock = r->socks[1],
				      .helpers = &r->helpers,
				      .front = front };

	(void)close(r->socks[0]);
	keeper_run(&start);
}

/*
 * Without what fork() does for threads and handlers, of which there are none:
 * a page that both sides write is there twice from then on.
 */
static pid_t fork_alone(void)
{
#if defined(__GLIBC_PREREQ) && !defined(APART_SANITIZED)
#if __GLIBC_PREREQ(2, 34)
	return _Fork();
#endif
#endif
	return fork();
}

static enum rc fork_keeper(pid_t *keeper, struct err *e)
{
	*keeper = fork_alone();
	return *keeper < 0 ? err_sys(e, RC_FAILED, errno, "fork") : RC_OK;
}

static enum rc run(struct run *r, struct outcome *outcome, struct err *e)
{
	enum rc rc = prepare(r, e);
	pid_t front = getpid();
	pid_t keeper = 0;
	bool apart;

	if (rc != RC_OK)
		return rc;
	apart = !tree_is_bare();
	/* Before the keeper, so that it is there when COMMAND begins; and before
	 * the helpers, of whose socket it would have a copy. */
	(void)witness_start(r->board->saw);
	if (lock_starts_programs(&r->plan->wish)) {
		rc = helpers_start(&r->helpers, r->socks, e);
		apart = true;
	}
	if (apart)
		(void)tree_note_children(&r->strangers);
	if (rc == RC_OK)
		rc = apart ? reaper_fork(&r->reaper, &keeper, e)
			   : fork_keeper(&keeper, e);
	if (rc != RC_OK) {
		witness_stop();
		helpers_end(&r->helpers);
		return rc;
	}
	if (keeper == 0)
		keep(r, front);
	guard(r, keeper, outcome);
	return RC_OK;
}

static void clean_up(struct run *r)
{
	for (int i = 0; i < 2; i++)
		if (r->socks[i] >= 0)
			(void)close(r->socks[i]);
	free(r->command.environment);
	free(r->command.strings);
	free(r->command.script);
	if (r->reaper.sock >= 0)
		(void)close(r->reaper.sock);
	tree_set_release(&r->strangers);
	if (r->board)
		(void)munmap(r->board, sizeof(*r->board));
}

static void tell_end(const struct plan *plan, const struct outcome *outcome)
{
	struct notice notice = { .kind = NOTICE_ENDED,
				 .when = wall_now(),
				 .outcome = outcome };

	plan->tell(plan->context, &notice);
}

void supervise(const struct plan *plan, struct outcome *outcome)
{
	struct run r = { .plan = plan,
			 .socks = { -1, -1 },
			 .helpers = { .sock = -1 },
			 .reaper = { .sock = -1 } };
	struct err e = { 0 };

	*outcome = (struct outcome){ .how = OUTCOME_FAILED };
	take_signals(&r.caller);
	if (run(&r, outcome, &e) != RC_OK)
		outcome->err = e;
	clean_up(&r);
	tell_end(plan, outcome);
}
