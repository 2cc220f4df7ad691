/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Small objects fit at once; what is larger doubles. */
#define FIRST_ROOM ((size_t)512)

void buf_init(struct buf *b, size_t ceiling)
{
	*b = (struct buf){ .ceiling = ceiling };
}

void buf_release(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->room);
	free(b->data);
	buf_init(b, b->ceiling);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

/* Room for `more` bytes behind len, and the NUL. */
static enum rc make_room(struct buf *b, size_t more, struct err *e)
{
	size_t room = b->room ? b->room : FIRST_ROOM;
	char *data;

	if (more > b->ceiling || b->len > b->ceiling - more)
		return err_set(e, RC_MALFORMED, "more than %zu bytes",
			       b->ceiling);
	while (room <= b->len + more)
		room *= 2;
	if (room == b->room)
		return RC_OK;
	/* Not realloc: it may leave a secret behind where it was. */
	data = malloc(room);
	if (!data)
		return err_sys(e, RC_RETRY, ENOMEM, "%zu bytes", room);
	if (b->data) {
		memcpy(data, b->data, b->len);
		explicit_bzero(b->data, b->room);
		free(b->data);
	}
	data[b->len] = '\0';
	b->data = data;
	b->room = room;
	return RC_OK;
}

enum rc buf_add(struct buf *b, const void *data, size_t len, struct err *e)
{
	enum rc rc = make_room(b, len, e);

	if (rc != RC_OK)
		return rc;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return RC_OK;
}

enum rc buf_printf(struct buf *b, struct err *e, const char *format, ...)
{
	enum rc rc;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		return err_sys(e, RC_FAILED, errno, "formatting");
	rc = make_room(b, (size_t)len, e);
	if (rc != RC_OK)
		return rc;
	va_start(args, format);
	(void)vsnprintf(b->data + b->len, (size_t)len + 1, format, args);
	va_end(args);
	b->len += (size_t)len;
	return RC_OK;
}

enum rc buf_read_fd(struct buf *b, int fd, struct err *e)
{
	for (;;) {
		size_t left = b->ceiling - b->len;
		enum rc rc;
		ssize_t n;

		/* At the ceiling one byte more is asked for, to see the end. */
		rc = make_room(b, left > 0 ? 1 : 0, e);
		if (rc != RC_OK)
			return rc;
		if (left > 0) {
			size_t room = b->room - b->len - 1;

			n = read(fd, b->data + b->len, room < left ? room : left);
		} else {
			char beyond;

			n = read(fd, &beyond, 1);
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, rc_of_errno(errno), errno, "read");
		if (n == 0)
			return RC_OK;
		if (left == 0)
			return err_set(e, RC_MALFORMED, "more than %zu bytes",
				       b->ceiling);
		b->len += (size_t)n;
		b->data[b->len] = '\0';
	}
}

const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}
