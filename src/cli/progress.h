/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a person, a log or a program is told while with-lock goes on: the
 * waiting line, messages, and --events. All of it through outlets that never
 * hold the keeper up (cli/say.h).
 *
 * One struct progress lives on in the front and, after the fork, in the
 * keeper; each changes its own copy only.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/options.h"
#include "cli/say.h"
#include "supervise/supervise.h"

/* When waiting was told last, and when it is next. */
struct progress_steps {
	nsec next;
	char about[72]; /* id of the holder that was told */
};

struct progress {
	const struct options *o;
	const char *location; /* as it may be shown; NULL until parsed */
	struct outlet events;
	pid_t front; /* the process that the terminal's shell knows */
	bool line;   /* a waiting line is kept up to date on a terminal */
	bool shown;  /* it stands there now */
	struct progress_steps told;
	struct progress_steps recorded;
};

/* Opens --events; RC_MALFORMED, or what the file said, with the sentence. */
enum rc progress_open(struct progress *p, const struct options *o, struct err *e);

/* Fits plan.tell; context is the struct progress. */
void progress_tell(void *context, const struct notice *notice);

/* Tell the end of a call that never came to supervise. */
void progress_ended(struct progress *p, const struct outcome *outcome);

/* "waiting 12s for the ...": the sentence, printable, without "repolock: ".
 * now: by which "12s ago" is reckoned. */
void progress_waiting(char *out, size_t size, const struct progress *p,
		      const struct notice *notice);

#endif
