/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A growing byte buffer with a ceiling. Always NUL-terminated behind len, so
 * that data can be used as a string when the content is one.
 */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <stddef.h>

#include "util/err.h"

struct buf {
	char *data; /* NULL until the first byte; use buf_text for a string */
	size_t len;
	size_t room;
	size_t ceiling; /* more than this is refused with RC_MALFORMED */
};

void buf_init(struct buf *b, size_t ceiling);
void buf_release(struct buf *b); /* wipes, then frees; b is as after init */
void buf_reset(struct buf *b);   /* empty, memory kept */
enum rc buf_add(struct buf *b, const void *data, size_t len, struct err *e);
enum rc buf_printf(struct buf *b, struct err *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Everything that fd gives until its end. RC_MALFORMED over the ceiling. */
enum rc buf_read_fd(struct buf *b, int fd, struct err *e);

const char *buf_text(const struct buf *b); /* "" while empty */

#endif
