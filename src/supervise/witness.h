/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Was a signal that the front got sent to the front alone, or to its whole
 * process group (kill %1, timeout, a terminal) or control group? In the
 * second case the command has it already. The signal itself does not tell; so
 * a witness tells: a process in the front's group that does nothing but count
 * the signals it gets. It shares the front's memory and costs a few
 * microseconds, no page.
 *
 * One witness a process. All functions are async-signal-safe.
 */
#ifndef SUPERVISE_WITNESS_H
#define SUPERVISE_WITNESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { WITNESS_SIGNALS = 65 };

/* Call it with all signals blocked, before the command can be signalled.
 * `saw` is where it counts, in memory shared between processes, all 0. False:
 * there can be none. */
bool witness_start(_Atomic unsigned saw[WITNESS_SIGNALS]);

pid_t witness_pid(void); /* 0: none */

/* Its end, seen by whoever reaps. */
void witness_ended(void);

enum witness_word {
	WITNESS_SAW,  /* since this was last said of this signal */
	WITNESS_SEES, /* it is pending there: ask again soon */
	WITNESS_SAW_NONE,
	WITNESS_GONE
};
enum witness_word witness_ask(int sig);

/* Of any process: a set of signals in /proc/PID/status, as "\nSigIgn:", one
 * bit each; 0 if it cannot be read. */
uint64_t witness_mask(pid_t pid, const char *field);
bool witness_pending(pid_t pid, int sig);

void witness_dismiss(void); /* kills it; whoever reaps sees its end */
void witness_stop(void);    /* kills and reaps it */

#endif
