/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *rc_name(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return "ok";
	case RC_BUSY:
		return "busy";
	case RC_LOST:
		return "lost";
	case RC_ABSENT:
		return "absent";
	case RC_EXISTS:
		return "exists";
	case RC_UNKNOWN:
		return "unknown";
	case RC_RETRY:
		return "retry";
	case RC_CANCELLED:
		return "cancelled";
	case RC_DENIED:
		return "denied";
	case RC_MALFORMED:
		return "malformed";
	case RC_UNSUPPORTED:
		return "unsupported";
	case RC_FAILED:
		return "failed";
	}
	return "?";
}

enum rc(err_set)(struct err *e, enum rc rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	e->sys = 0;
	return rc;
}

/* strerrordesc_np knows no locale and, unlike strerror, needs no buffer. */
static const char *sys_text(int sys)
{
	const char *text = strerrordesc_np(sys);

	if (sys == EMFILE)
		return "this process may open no more files; raise ulimit -n";
	return text ? text : "unknown error";
}

enum rc(err_sys)(struct err *e, enum rc rc, int sys, const char *format, ...)
{
	char what[sizeof(e->text)];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	(void)err_set(e, rc, "%.180s: %s", what, sys_text(sys));
	e->sys = sys;
	return rc;
}

enum rc(err_context)(struct err *e, enum rc rc, const char *format, ...)
{
	char front[sizeof(e->text)], back[sizeof(e->text)];
	int sys = e->sys;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(front, sizeof(front), format, args);
	va_end(args);
	memcpy(back, e->text, sizeof(back));
	(void)err_set(e, rc, "%.120s: %.130s", front, back);
	e->sys = sys;
	return rc;
}

enum rc(rc_of_errno)(int sys)
{
	switch (sys) {
	case 0:
		return RC_OK;
	case ENOENT:
		return RC_ABSENT;
	case EEXIST:
		return RC_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
		return RC_DENIED;
	case EINTR:
	case EAGAIN:
	case ESTALE:
	case EIO:
	case ENOSPC:
	case EDQUOT:
	case ENFILE:
	case ENOMEM:
	case ETIMEDOUT:
		return RC_RETRY;
	case ENOSYS:
	case EOPNOTSUPP:
		return RC_UNSUPPORTED;
	default:
		return RC_FAILED;
	}
}
