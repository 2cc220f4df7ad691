/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small things done to bytes and strings: random, hex, wall-clock text, and
 * the copy that never overruns.
 */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"

/* Copy with cutting; always terminated. True if all of it fitted. */
bool text_copy(char *out, size_t size, const char *in);

/* Lower-case hex of len bytes into out[2 * len + 1]. */
void hex_encode(char *out, const void *bytes, size_t len);

/* Exactly len bytes from 2 * len hex digits (either case), then the end. */
bool hex_decode(void *out, size_t len, const char *hex);

/* One character of UTF-8, strictly (no surrogates, nothing overlong): how many
 * bytes it takes, and which it is; 0 at the end or where it is none. */
size_t utf8_next(const char *in, uint32_t *code);

/* getrandom(2); never fails on a running system, aborts if it does. */
void random_bytes(void *out, size_t len);

/* A random (version 4) UUID, lower case; async-signal-safe. */
#define UUID_TEXT_SIZE 37
void uuid_make(char out[UUID_TEXT_SIZE]);

/* A span drawn evenly from [low, high]. */
nsec random_span(nsec low, nsec high);

/* "2026-11-24T22:50:01Z", or with milliseconds. size >= 25. */
void wall_show(char *out, size_t size, struct wall t);
void wall_show_msec(char *out, size_t size, struct wall t);

/*
 * RFC 3339 with 'T', 0 to 9 fraction digits, 'Z' or +hh:mm. False: is none,
 * or has no zone.
 */
bool wall_parse(struct wall *t, const char *text);

/*
 * Foreign text made fit for a terminal: control characters, escapes, bytes
 * that are no UTF-8 and characters that turn the direction of writing shown
 * as \xNN. Cut at size, never within a character; returns out.
 */
char *text_printable(char *out, size_t size, const char *in);

#endif
