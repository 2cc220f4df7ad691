/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every descendant of the calling process: find, describe, signal, stop and
 * continue, kill until none is left.
 *
 * A descendant is found by the parent tree in /proc, so the caller must be a
 * child subreaper (PR_SET_CHILD_SUBREAPER): then a double fork, setsid, a
 * cleaned environment or another user hides nothing. Process groups are never
 * looked at: the pipeline of the shell that called us lives in ours.
 *
 * A process is signalled through a pidfd, after its start time and the whole
 * chain of its parents were read once more behind the opening, so that a
 * reused pid is never hit. Without pidfds (old kernel, sandbox) kill(2) is
 * used after the same checks.
 *
 * All functions are async-signal-safe: no malloc, no stdio, no locks; memory
 * beyond TREE_FEW processes comes from mmap. Only one thread may use a tree
 * at a time. Nothing here prints.
 */
#ifndef SUPERVISE_TREE_H
#define SUPERVISE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/clock.h"
#include "util/err.h"
#include "util/self.h"

/* What to look at. By value, no state: build it where it is needed. */
struct tree {
	pid_t root; /* the calling process, getpid(); never signalled itself */
	pid_t kept; /* a child whose end the caller waits for itself: its
	               zombie is left alone; 0: none */
	const pid_t *apart; /* children that are nobody's business, with all
	                       below them: not counted, signalled or reaped */
	size_t aparts;
};

struct tree_process {
	struct process id;
	pid_t parent;
	char state;    /* letter of /proc/PID/stat: R S D T t Z ... */
	bool live;     /* false: a zombie; only its parent can end that */
	char name[16]; /* as the kernel cuts it; foreign input */
};

/* A set of processes, by pid and start time. All zero is empty. */
enum { TREE_FEW = 32 };
struct tree_set {
	struct process few[TREE_FEW];
	struct process *more; /* mapped, in place of few; NULL: none */
	size_t len;
	size_t room; /* of more */
};

/* What happened to one process; told at most once a call for each. */
enum tree_fate {
	TREE_SIGNALLED,
	TREE_DENIED, /* alive, but may not be signalled (EPERM) */
	TREE_STUCK   /* was sent SIGKILL, and has not died in time */
};

/* What tree_signal, tree_stop and tree_kill tell of each; may be NULL. */
typedef void tree_told_fn(void *context, const struct tree_process *process,
			  enum tree_fate fate);

/* How many there are after the call; zombies do not count. */
struct tree_count {
	unsigned live;   /* all that still run, are stopped or hang */
	unsigned denied; /* of these: may not be signalled */
	unsigned hidden; /* of these: at least one is there that /proc did
	                    not show: hidepid, or it forks away too fast.
	                    Not noticed while there are aparts */
};

/*
 * No child at all, running or zombie: one system call, and for a subreaper
 * the proof that no descendant is left. What the normal end asks first.
 */
bool tree_is_bare(void);

/*
 * RC_OK: the tree can be read. RC_UNSUPPORTED: /proc is not mounted, not
 * readable, or shows another pid namespace than ours; descendants cannot be
 * found then. Every function below returns the same, and RC_RETRY when no
 * descriptor or memory was to be had.
 */
enum rc tree_usable(void);

/*
 * Call each(context, process) for every descendant, zombies included,
 * parents usually before their children. False from it ends the walk.
 */
typedef bool tree_each_fn(void *context, const struct tree_process *process);
enum rc tree_each(const struct tree *t, tree_each_fn *each, void *context);

/* How many are alive. Adopted zombies are reaped on the way. */
enum rc tree_count(const struct tree *t, struct tree_count *count);

/*
 * Reap every zombie child but t->kept and t->apart. True: no child of any
 * kind is left, as tree_is_bare. For SIGCHLD.
 */
bool tree_reap(const struct tree *t);

/*
 * Send sig once to each that is there now, parents before children, so that
 * a shell does not go on with its next line. What is started later in answer
 * to the signal (a trap that cleans up) does not get it. A stopped process
 * acts on SIGTERM only after SIGCONT: send that too.
 */
enum rc tree_signal(const struct tree *t, int sig, tree_told_fn *told,
		    void *context, struct tree_count *count);

/*
 * SIGSTOP to all, forks in the meantime included, until a look finds all of
 * them stopped, or patience is over (uninterruptible sleep). What we stopped
 * is added to *stopped; what was stopped before is not. RC_OK: all that may
 * be signalled stand still.
 */
enum rc tree_stop(const struct tree *t, nsec patience, struct tree_set *stopped,
		  struct tree_count *count);

/* SIGCONT to what we stopped, last one first; *stopped is empty then. */
enum rc tree_continue(const struct tree *t, struct tree_set *stopped);

/*
 * SIGKILL to all, again and again until none is left, reaping what was
 * adopted. Ends early when only processes are left that may not be signalled.
 * After patience what does not die is told as TREE_STUCK. RC_OK with
 * count->live == 0: none is left; two looks in a row found nobody, or
 * tree_is_bare. count->live > 0: call again later.
 */
enum rc tree_kill(const struct tree *t, nsec patience, tree_told_fn *told,
		  void *context, struct tree_count *count);

/* Give the memory back; *set is empty then. */
void tree_set_release(struct tree_set *set);

/*
 * Whether pid is one of the processes above the calling one: its parent, the
 * parent of that, and so on. False where /proc cannot be read.
 */
bool process_is_ancestor(pid_t pid);

#endif
