/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How failure travels: a code that says what the caller can do, and a
 * sentence that says what went wrong.
 *
 * The sentence is written where the fact is known: lower case, naming the
 * thing, no full stop. Callers may put context in front (err_context), never
 * replace it. Nothing here prints; only cli/ and supervise.c do.
 * Everything is by value: nothing to free. Safe from any thread.
 */
#ifndef UTIL_ERR_H
#define UTIL_ERR_H

#include <stdbool.h>

enum rc {
	RC_OK,
	RC_BUSY,        /* another holds it */
	RC_LOST,        /* certainly no longer ours */
	RC_ABSENT,      /* the object is not there */
	RC_EXISTS,      /* a condition on a write did not hold */
	RC_UNKNOWN,     /* sent, no answer: it may have happened */
	RC_RETRY,       /* did not happen, may work later */
	RC_CANCELLED,   /* the caller's leash was pulled */
	RC_DENIED,      /* permission, credentials */
	RC_MALFORMED,   /* what was read makes no sense */
	RC_UNSUPPORTED, /* can never work here */
	RC_FAILED       /* anything else; trying again will not help */
};

struct err {
	int sys;        /* errno where one was involved, else 0 */
	char text[256]; /* one sentence, cut if longer */
};

/* The word for a code, for debug output ("busy", "lost"). */
const char *rc_name(enum rc rc);

/* Write the sentence; return rc, so that failing is one statement. */
enum rc err_set(struct err *e, enum rc rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, followed by ": " and the text of errno value sys. */
enum rc err_sys(struct err *e, enum rc rc, int sys, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Put "context: " in front of the sentence that is there. Returns rc. */
enum rc err_context(struct err *e, enum rc rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * What a failed system call means for the caller: ENOENT is ABSENT, EEXIST
 * is EXISTS, EACCES, EPERM and EROFS are DENIED, EINTR, EAGAIN, ESTALE, EIO,
 * ENOSPC, EDQUOT, ENFILE, ENOMEM, ETIMEDOUT are RETRY, ENOSYS and EOPNOTSUPP
 * are UNSUPPORTED, anything else FAILED: also EMFILE, since no other process
 * can give us the descriptors that our own limit denies.
 */
enum rc rc_of_errno(int sys);

#ifdef __clang_analyzer__
/* It looks into one file at a time, and has to be told what they return. */
static inline enum rc analysed_rc(enum rc rc)
{
	if (rc == RC_OK)
		__builtin_unreachable();
	return rc;
}
#define err_set(e, rc, ...) ((err_set)(e, rc, __VA_ARGS__), analysed_rc(rc))
#define err_sys(e, rc, sys, ...)                                               \
	((err_sys)(e, rc, sys, __VA_ARGS__), analysed_rc(rc))
#define err_context(e, rc, ...)                                                \
	((err_context)(e, rc, __VA_ARGS__), analysed_rc(rc))
#define rc_of_errno(sys) analysed_rc((rc_of_errno)(sys))
#endif

#endif
