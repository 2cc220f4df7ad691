/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/exit.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "supervise/supervise.h"

enum {
	CODE_LOST = 122,
	CODE_BUSY = 123,
	CODE_MAX_HOLD = 124,
	CODE_FAILED = 125,
	CODE_CANNOT_EXEC = 126,
	CODE_NOT_FOUND = 127,
	CODE_SIGNAL = 128, /* plus its number */

	CODE_LISTED_FREE = 0,
	CODE_LISTED_SHARED = 1,
	CODE_LISTED_EXCLUSIVE = 2,

	CODE_UNLOCKED = 0,
	CODE_STAYS = 1
};

const struct exit_line exit_lines_with_lock[] = {
	{ "COMMAND's", "it ran to its end with the lock held throughout" },
	{ "128+N", "COMMAND died by signal N; so does repolock, but for core "
		   "dumps" },
	{ "122", "the lock was lost, COMMAND was ended (--lost-exit-code)" },
	{ "123", "the lock was not had in time (-E)" },
	{ "124", "--max-hold was over, COMMAND was ended" },
	{ "125", "repolock itself failed; the message says why" },
	{ "126", "COMMAND cannot be executed" },
	{ "127", "COMMAND was not found" },
	{ NULL, NULL },
};

const struct exit_line exit_lines_list_locks[] = {
	{ "0", "listed, also when there are none; --exit-code: free" },
	{ "1", "with --exit-code: shared holders only" },
	{ "2", "with --exit-code: held exclusively, or not to be read" },
	{ "125", "repolock failed; the message says why" },
	{ NULL, NULL },
};

const struct exit_line exit_lines_unlock[] = {
	{ "0", "what was asked for is gone" },
	{ "1", "a lock that was named or asked for is alive and stays" },
	{ "125", "repolock failed; the message says why" },
	{ NULL, NULL },
};

void exit_choose_usual(struct exit_choice *choice)
{
	choice->busy = CODE_BUSY;
	choice->lost = CODE_LOST;
}

int exit_code(const struct outcome *outcome, const struct exit_choice *choice)
{
	switch (outcome->how) {
	case OUTCOME_EXITED:
		return outcome->status;
	case OUTCOME_SIGNALLED:
	case OUTCOME_INTERRUPTED:
		return CODE_SIGNAL + outcome->status;
	case OUTCOME_LOST:
		return choice->lost;
	case OUTCOME_BUSY:
		return choice->busy;
	case OUTCOME_MAX_HOLD:
		return CODE_MAX_HOLD;
	case OUTCOME_FAILED:
		return CODE_FAILED;
	case OUTCOME_CANNOT_EXEC:
		return CODE_CANNOT_EXEC;
	case OUTCOME_NOT_FOUND:
		return CODE_NOT_FOUND;
	}
	return CODE_FAILED;
}

const char *exit_outcome_word(const struct outcome *outcome)
{
	switch (outcome->how) {
	case OUTCOME_EXITED:
		return "exited";
	case OUTCOME_SIGNALLED:
		return "signalled";
	case OUTCOME_LOST:
		return "lost";
	case OUTCOME_BUSY:
		return "busy";
	case OUTCOME_MAX_HOLD:
		return "max-hold";
	case OUTCOME_FAILED:
		return "failed";
	case OUTCOME_CANNOT_EXEC:
		return "cannot-execute";
	case OUTCOME_NOT_FOUND:
		return "not-found";
	case OUTCOME_INTERRUPTED:
		return "interrupted";
	}
	return "failed";
}

static bool dumps_core(int signal_number)
{
	switch (signal_number) {
	case SIGQUIT:
	case SIGILL:
	case SIGTRAP:
	case SIGABRT:
	case SIGBUS:
	case SIGFPE:
	case SIGSEGV:
	case SIGXCPU:
	case SIGXFSZ:
	case SIGSYS:
		return true;
	default:
		return false;
	}
}

void exit_decided(void)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static void die_by(int signal_number)
{
	sigset_t only;

	(void)signal(signal_number, SIG_DFL);
	(void)sigemptyset(&only);
	(void)sigaddset(&only, signal_number);
	(void)kill(getpid(), signal_number);
	(void)pthread_sigmask(SIG_UNBLOCK, &only, NULL);
}

_Noreturn void exit_as(const struct outcome *outcome,
		       const struct exit_choice *choice)
{
	bool by_signal = outcome->how == OUTCOME_SIGNALLED ||
			 outcome->how == OUTCOME_INTERRUPTED;

	if (by_signal && !dumps_core(outcome->status))
		die_by(outcome->status);
	_exit(exit_code(outcome, choice));
}

_Noreturn void exit_by(int signal_number)
{
	die_by(signal_number);
	_exit(CODE_SIGNAL + signal_number);
}

int exit_failed(void)
{
	return CODE_FAILED;
}

int exit_listed(bool exclusive, bool shared)
{
	if (exclusive)
		return CODE_LISTED_EXCLUSIVE;
	return shared ? CODE_LISTED_SHARED : CODE_LISTED_FREE;
}

int exit_unlocked(bool stays)
{
	return stays ? CODE_STAYS : CODE_UNLOCKED;
}
