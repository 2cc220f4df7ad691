/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words out, on stderr and to --events, without ever waiting long for a
 * reader: the keeper speaks through this while it guards a lock, and a pipe
 * that nobody empties, or a terminal that was stopped with Ctrl-S, must not
 * hold it up. What cannot be written in time is dropped.
 */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

struct outlet {
	int fd;  /* as given; -1: nowhere */
	int own; /* what is written to; -1 until the first word */
	enum { OUTLET_UNKNOWN, OUTLET_PLAIN, OUTLET_POLLED, OUTLET_SOCKET } way;
	bool clogged; /* no more patience until something went through */
};

void outlet_init(struct outlet *o, int fd);

/* Whole lines, each at most 4096 bytes, so that those of several writers do
 * not mix. False: dropped. Does not change errno. */
bool outlet_write(struct outlet *o, const char *data, size_t len);

/* stderr of this program. */
struct outlet *say_stderr(void);

/*
 * One line "repolock: ..." on stderr. What it is made of may be foreign: it is
 * shown printable, whatever it holds.
 */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The sentence of an error, and nothing else. */
void say_err(const struct err *e);

/* A wrong call: the sentence, and where the right way can be read. */
void say_usage(const char *subcommand, const struct err *e);

#endif
