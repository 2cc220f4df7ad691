/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process that runs helpers: programs that give a secret, or the like
 * (util/program.h). Below the keeper they, and whatever they leave running
 * (gpg-agent), would count as COMMAND's, be killed and be waited for. So they
 * live below a child of the front, which is there only where a location may
 * need one, forked before the keeper:
 *
 *     front -+- witness
 *            +- helpers ---- password command ---- gpg-agent
 *            `- reaper ----- keeper ---- COMMAND
 *
 * The keeper asks for a program over a socket: one packet, with the words, the
 * pipe for its output, and a socket by which comes how it ended (struct
 * program_word). If the asker hangs up that one, the program is killed. The
 * output itself is between program and keeper.
 *
 * It is in the session and process group of the front, so a program may ask on
 * the terminal, and dies of Ctrl-C. It exits when the keeper hangs up, which
 * the keeper does before COMMAND is started; what programs have left running
 * goes on to the front, which knows that it is not COMMAND's (reaper.h), and
 * then to whoever is above.
 */
#ifndef SUPERVISE_HELPERS_H
#define SUPERVISE_HELPERS_H

#include "util/program.h"

struct helpers {
	pid_t pid; /* 0: there is none */
	int sock;  /* the keeper's end; -1: there is none */
};

/* In the front, all signals blocked. The two ends of `socks` are closed in the
 * child, lest an end of front or keeper be hidden from the other. */
enum rc helpers_start(struct helpers *h, const int socks[2], struct err *e);

/* In the front: wait for its end, which comes with the keeper's. */
void helpers_end(struct helpers *h);

/* In the keeper: a program_start_fn, once helpers_use was called; and the
 * last word, after which nothing is started any more. */
void helpers_use(const struct helpers *h);
program_start_fn helpers_run;
void helpers_dismiss(void);

#endif
