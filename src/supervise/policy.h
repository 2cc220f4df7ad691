/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every decision about one command under one lock, and no system call: the
 * keeper turns what the kernel reports into an event, calls policy_step, and
 * carries out the step. It reads no clock (`now` is an argument), allocates
 * nothing, prints nothing. The same events at the same instants give the same
 * steps, so sleep, hangs, late answers and signals in every phase are tested
 * without processes. All arithmetic with deadlines is here and nowhere else:
 *
 *   begun ........ refresh_at ........ term_at ... kill_at ... valid_until
 *   |- refresh_in ----|                |- grace ---|- margin ----|
 *
 * `begun` is the instant before the request that renewed the lock was sent.
 * At term_at the command is asked to end, at kill_at it is killed; an answer
 * to a refresh that comes after term_at is not believed.
 */
#ifndef SUPERVISE_POLICY_H
#define SUPERVISE_POLICY_H

#include "supervise/supervise.h"
#include "supervise/tree.h"

enum phase {
	PHASE_TRYING,   /* asking for the lock, or about to */
	PHASE_PAUSING,  /* another holds it; waiting until that may change */
	PHASE_HANDING,  /* had it; sharing it with the front before "go" */
	PHASE_HOLDING,  /* the command runs */
	PHASE_DOUBTING, /* we slept: all is stopped until the lock is verified */
	PHASE_SETTLING,  /* the command ended; what it left may end as well */
	PHASE_STOPPING,  /* all is being ended */
	PHASE_RELEASING, /* nothing runs; every trace of ours is removed */
	PHASE_DONE
};

enum job { JOB_NONE, JOB_ACQUIRE, JOB_WAIT, JOB_REFRESH, JOB_RELEASE };

struct policy_config {
	nsec wait;     /* how long to try; 0: one answer is enough */
	nsec max_hold; /* NSEC_FOREVER: as long as the command likes */
	nsec grace;
	nsec tell_every; /* 0: only the fixed instants */
	bool paced;      /* the protocol cannot wait: we pace the tries */
	/* Who is waited for must be asked of the protocol, which is not to be
	 * had while it waits: no wait lasts past an instant of telling. */
	bool asks_holder;
	enum supervise_on_lost on_lost;
	enum supervise_descendants descendants;
	uint64_t seed; /* for jitter */
};

enum event_kind {
	EVENT_START,         /* first of all */
	EVENT_TIME,          /* step.wake was reached, or any other reason */
	EVENT_REPLY,         /* a job came back */
	EVENT_HANDED,        /* answer to step.hand_over */
	EVENT_SIGNAL,        /* we were asked to end, by `signal` */
	EVENT_FRONT_GONE,    /* killed, most likely */
	EVENT_HINT,          /* the lock may have been lost: look */
	EVENT_COMMAND_ENDED, /* the command itself; before "go": the gate */
	EVENT_COUNTED,       /* answer to step.kill: what is left below us */
	EVENT_BARE           /* proved: nothing at all is left below us */
};

struct event {
	enum event_kind kind;
	enum job job; /* REPLY: a wait that went on to acquire is ACQUIRE */
	enum rc rc;
	struct boot begun;
	struct lock_term term;
	bool starved;      /* REPLY: we have no memory; no other can help */
	bool other_holder; /* REPLY busy: not the one that was told last */
	bool shared;       /* HANDED: the front has it */
	int signal;
	enum tree_left left; /* COUNTED; by SIGTERM nothing is proved */
};

enum verdict {
	VERDICT_COMMAND, /* the command's own end */
	VERDICT_LOST,
	VERDICT_BUSY,
	VERDICT_MAX_HOLD,
	VERDICT_FAILED, /* the last error says why */
	VERDICT_SILENT, /* the location did not answer */
	VERDICT_INTERRUPTED
};

enum loss {
	LOSS_NONE,
	LOSS_TOLD,    /* the protocol says so */
	LOSS_EXPIRED, /* not renewed in time */
	LOSS_SLEPT    /* we slept, or were stopped, past its end */
};

enum say {
	SAY_WAITING = 1 << 0,
	SAY_ACQUIRED = 1 << 1,
	SAY_REFRESHED = 1 << 2,
	SAY_IN_DOUBT = 1 << 3, /* with the last error */
	SAY_SILENT = 1 << 4,   /* a refresh was not answered */
	SAY_SLEPT = 1 << 5,    /* all was stopped to verify the lock */
	SAY_LOST = 1 << 6,
	SAY_SIGNALLED = 1 << 7, /* step.kill */
	SAY_RELEASED = 1 << 8,
	SAY_RELEASE_FAILED = 1 << 9, /* something of ours may stay behind */
	SAY_TRY_FAILED = 1 << 10,    /* a try failed and is repeated */
	SAY_LINGERING = 1 << 11,     /* name what the command left running */
	SAY_MAX_HOLD = 1 << 12,
	SAY_RELEASE_SLOW = 1 << 13, /* still at it */
	SAY_FRONT_GONE = 1 << 14    /* the front was killed */
};

/* To be carried out in this order. */
struct step {
	int kill;       /* to all below us: SIGTERM (then SIGCONT), SIGKILL */
	bool freeze;    /* stop all below us, remembering which */
	bool thaw;      /* continue those */
	int relay;      /* a signal for the command alone */
	bool hand_over; /* share the lock with the front */
	bool go;        /* let the command start */
	bool drop;      /* it never will: let the gate end */
	struct boot guard;   /* the front ends it all when this passes */
	bool cancel;         /* pull the leash of the job that runs */
	enum job job;        /* for the worker, which is free */
	struct boot give_up; /* leash of that job */
	nsec patience;       /* of a wait */
	nsec leash;          /* of the try that follows a wait at once */
	unsigned say;        /* enum say */
	struct boot wake;
	bool end; /* with policy.verdict */
};

struct policy {
	struct policy_config config;
	enum phase phase;
	enum verdict verdict;
	enum loss loss;
	int signal; /* for INTERRUPTED */

	struct boot started, wait_until;
	struct boot tell_at, step_at; /* the latter without tell_every */
	unsigned told;

	enum job running; /* in the worker */
	bool cancelled;
	bool silence_told;
	struct boot leash;
	struct boot next_try; /* of an acquire or a release */
	struct boot patience; /* until then a release is tried */
	struct boot tell_slow_at;
	unsigned failures;     /* in a row, for the back-off */
	unsigned failed_tries; /* without an answer about the lock itself */
	struct boot fail_until;
	unsigned failed_waits;      /* in a row */
	struct boot starve_until;   /* then no memory ends the waiting */
	struct boot paid_until;     /* each answer costs a span of pacing */
	bool traces, traces_before; /* something of ours may be in the store */
	bool again; /* after this release try to acquire once more */
	bool busy;  /* the last answer was that another holds it */

	struct boot held_since;
	struct boot begun, valid_until, kill_at, term_at, refresh_at;
	struct lock_term term;
	struct boot woke; /* answers must have been asked for after this */

	bool command_ended;
	bool stuck;  /* only what may not be signalled is left */
	bool killed; /* SIGKILL was sent, and told */
	struct boot settle_until;
	struct boot kill_time; /* SIGKILL from then on */

	struct boot wake; /* as last asked for; later: we slept */
};

void policy_init(struct policy *p, const struct policy_config *config);
struct step policy_step(struct policy *p, const struct event *event,
			struct boot now);

/* The second look right before "go": still worth starting? */
bool policy_may_go(const struct policy *p, struct boot now);

/* For NOTICE_IN_DOUBT and NOTICE_WAITING: time left, or NSEC_FOREVER. */
nsec policy_left(const struct policy *p, struct boot now);

#endif
