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

/*
 * A string built piece by piece in a room of fixed size; always terminated.
 * What does not fit is left out: the string then ends with "...", cut within
 * no character, and takes nothing more.
 */
struct text {
	char *out;
	size_t size; /* of the room, with the NUL; at least 1 */
	size_t len;
	bool cut; /* something did not fit */
};

struct text text_begin(char *out, size_t size);
void text_add(struct text *t, const char *in);
void text_addf(struct text *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Foreign text, as text_printable shows it. */
void text_add_printable(struct text *t, const char *in);
/* Foreign text that may take up so many bytes, so that it leaves room for
 * what comes after it; cut with "~". */
void text_add_part(struct text *t, const char *in, size_t most);

/* Copy with cutting; always terminated. True if all of it fitted. */
bool text_copy(char *out, size_t size, const char *in);

/* Lower-case hex of len bytes into out[2 * len + 1]. */
void hex_encode(char *out, const void *bytes, size_t len);

/* Exactly len bytes from 2 * len hex digits (either case), then the end. */
bool hex_decode(void *out, size_t len, const char *hex);

/* One character of UTF-8, strictly (no surrogates, nothing overlong): how many
 * bytes it takes, and which it is; 0 at the end or where it is none. */
size_t utf8_next(const char *in, uint32_t *code);

/* May a terminal be given it? Not what moves the cursor, is not to be seen, or
 * turns the direction of writing, which would let a name pose as another. */
bool utf8_is_printable(uint32_t code);

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
