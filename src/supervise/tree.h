/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every descendant of the calling process: find, describe, signal, stop and
 * continue, kill until none is left.
 *
 * When is none left? The lock goes then, so this is what the promise hangs on.
 *
 *  - One listing of /proc that shows nobody proves nothing: whoever forks and
 *    exits without end is in none, or only as a zombie. Nor does the number of
 *    those that a signal was sent to. A signal that can be survived proves
 *    nothing anyway.
 *  - "No child at all, running or zombie" is the proof: waitid(2) says ECHILD,
 *    and the caller is a child subreaper. The kernel hands the children of a
 *    process to the subreaper in the same step that makes a zombie of it, so
 *    as long as one descendant is there, the subreaper has a child.
 *  - The proof is only for a process that has no child but COMMAND's, or it
 *    waits for a stranger. The keeper is one. Where the front has children of
 *    another kind, the keeper is below a process of its own that does nothing
 *    but reap, and exits when it has the proof (reaper.h); its exit is the
 *    front's.
 *  - Where the proof cannot be had (a tracer keeps a zombie from being reaped;
 *    a killed process hangs in the kernel), two looks in a row at /proc after
 *    SIGKILL was sent to all must show nobody who runs, and no zombie that
 *    was not known before: who hides from a look by a fork leaves one. If a
 *    child is there that no look has shown (hidepid), it counts as alive.
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

struct tree_process {
	struct process id;
	pid_t parent;
	char state;    /* letter of /proc/PID/stat: R S D T t Z ... */
	bool live;     /* false: a zombie; only its parent can end that */
	char name[16]; /* as the kernel cuts it; foreign input */
	size_t threads;
	uint64_t size, resident; /* equal where memory is shared (vfork) */
};

/* A set of processes, by pid and start time. All zero is empty. */
enum { TREE_FEW = 32 };
struct tree_set {
	struct process few[TREE_FEW];
	struct process *more; /* mapped, in place of few; NULL: none */
	size_t len;
	size_t room; /* of more */
};

/* What to look at. By value, no state: build it where it is needed. */
struct tree {
	/* Whose descendants; it is never signalled itself. Usually the calling
	 * process. Else a child of it that only reaps (reaper.h), or somebody
	 * whose children cannot be waited for: then there is no proof but two
	 * empty looks. */
	pid_t root;
	/* A child whose end the caller waits for itself: its zombie is left
	 * alone; 0: none. */
	pid_t kept;
	/* A descendant that may hang in the kernel for ever, and is sent
	 * SIGKILL before all others. It counts as alive, but keeps nobody's
	 * end from being proved: it will not run again. 0: none. */
	pid_t doomed;
	/* Children that are nobody's business, with all below them: not
	 * counted, signalled or reaped. NULL: none. */
	struct tree_set *apart;
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

/* What is left; see above for what proves it. Only tree_kill says more than
 * TREE_LEFT_SOME. */
enum tree_left {
	TREE_LEFT_SOME,   /* or it is not known */
	TREE_LEFT_DENIED, /* only who may not be signalled, or not be seen */
	TREE_LEFT_NONE    /* proved */
};

/* How many were seen by the call; zombies do not count. */
struct tree_count {
	unsigned live;   /* all that still run, are stopped or hang */
	unsigned denied; /* of these: may not be signalled */
	unsigned hidden; /* of these: at least one is there that /proc did
	                    not show: hidepid. Not noticed while there are
	                    aparts */
	enum tree_left left;
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

/*
 * Reap every zombie child but t->kept and t->apart. True: no child of any
 * kind is left, as tree_is_bare. For SIGCHLD.
 */
bool tree_reap(const struct tree *t);

/*
 * Send sig once to each that is seen now, parents before children, so that
 * a shell does not go on with its next line. That nobody is seen proves
 * nothing. What is started later in answer to the signal (a trap that cleans
 * up) does not get it. A stopped process acts on SIGTERM only after SIGCONT:
 * send that too.
 */
enum rc tree_signal(const struct tree *t, int sig, tree_told_fn *told,
		    void *context, struct tree_count *count);

/*
 * SIGSTOP to all, forks in the meantime included, until all stand still, or
 * patience is over. What we stopped is added to *stopped; what was stopped
 * before is not. RC_OK: all that may be signalled stand still. RC_RETRY: not
 * all of them do.
 *
 * A fork under way is not interrupted by SIGSTOP, and its child is in no
 * listing yet. So one look does not do: every thread of every process must
 * have been read as stopped, after which no fork is under way, and a look that
 * begins later must find the same processes, as still as before. Who sleeps
 * uninterruptibly may be in a fork; but not who waits in vfork(2) for a child
 * that is stopped, which is known by the memory that they share.
 */
enum rc tree_stop(const struct tree *t, nsec patience, struct tree_set *stopped,
		  struct tree_count *count);

/* SIGCONT to what we stopped, last one first; *stopped is empty then. */
enum rc tree_continue(const struct tree *t, struct tree_set *stopped);

/*
 * SIGKILL to all, again and again until none is left, reaping what was
 * adopted. Ends early when only processes are left that may not be signalled.
 * After patience what does not die is told as TREE_STUCK. RC_OK with
 * count->left == TREE_LEFT_NONE: proved. Else call again later.
 */
enum rc tree_kill(const struct tree *t, nsec patience, tree_told_fn *told,
		  void *context, struct tree_count *count);

/* Add the children of the calling process, zombies too, to *set. */
enum rc tree_note_children(struct tree_set *set);

bool tree_set_holds(const struct tree_set *set, pid_t pid);

/* Give the memory back; *set is empty then. */
void tree_set_release(struct tree_set *set);

/*
 * Whether pid is one of the processes above the calling one: its parent, the
 * parent of that, and so on. False where /proc cannot be read.
 */
bool process_is_ancestor(pid_t pid);

#endif
