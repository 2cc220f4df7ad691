/* SPDX-License-Identifier: BSD-2-Clause */
/* Exit numbers: exit.c is the only file that has any. */
#ifndef CLI_EXIT_H
#define CLI_EXIT_H

#include <stdbool.h>

struct outcome; /* supervise/supervise.h */

/* What the user chose instead of the usual numbers. */
struct exit_choice {
	int busy; /* -E */
	int lost; /* --lost-exit-code */
};

/* For --help, and for the test that compares it with the manual. */
struct exit_line {
	const char *code;
	const char *when;
};

extern const struct exit_line exit_lines_with_lock[];
extern const struct exit_line exit_lines_list_locks[];
extern const struct exit_line exit_lines_unlock[];

void exit_choose_usual(struct exit_choice *choice);

/* The number a shell will see for this outcome, a signal as 128 + N. */
int exit_code(const struct outcome *outcome, const struct exit_choice *choice);

/* For --events: "exited", "signalled", "lost", "busy", "max-hold", ... */
const char *exit_outcome_word(const struct outcome *outcome);

/* Before the outcome is reported: no signal that comes from now on changes how
 * this process ends. */
void exit_decided(void);

/*
 * End as the outcome says: by the same signal where COMMAND, or a wait for
 * the lock, was ended by one that dumps no core, so that shells and make see
 * what they would have seen without us; else by the number.
 */
_Noreturn void exit_as(const struct outcome *outcome,
		       const struct exit_choice *choice);

/* End by a signal, as if nothing had caught it. */
_Noreturn void exit_by(int signal_number);

/* repolock itself failed: usage, location, store, credentials. */
int exit_failed(void);

/* list-locks --exit-code */
int exit_listed(bool exclusive, bool shared);

/* unlock: is something that was named or asked for still there? */
int exit_unlocked(bool stays);

#endif
