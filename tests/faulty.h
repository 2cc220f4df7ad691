/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store that fails by script: wraps any store, has what that one has, and
 * answers late, twice, never, or after doing it.
 *
 *	struct store *s = faulty_open(inner);
 *	faulty_script(s, (struct fault[]){
 *		{ FAULTY_PUT, .nth = 3, .how = FAULT_LOSE },
 *		{ FAULTY_LIST, .how = FAULT_DELAY, .span = 2 * NSEC_PER_SEC },
 *		{ FAULTY_RENEW, .how = FAULT_HANG },
 *		{ 0 } });
 */
#ifndef TESTS_FAULTY_H
#define TESTS_FAULTY_H

#include "store/store.h"

enum faulty_op {
	FAULTY_NONE, /* ends a script */
	FAULTY_GET,
	FAULTY_PUT, /* put and put_locked alike */
	FAULTY_DEL,
	FAULTY_LIST,  /* list and names alike */
	FAULTY_RENEW, /* renew and renew_open alike */
	FAULTY_MOVE,
	FAULTY_PROBE,
	FAULTY_ANY,
	FAULTY_OPS
};

enum fault_how {
	FAULT_ANSWER, /* not done; the answer is rc */
	FAULT_LOSE,   /* done, but the answer is RC_UNKNOWN */
	FAULT_DELAY,  /* done; answered after span */
	FAULT_BEFORE, /* waits for span, then done and answered */
	FAULT_HANG    /* never answers; RC_CANCELLED, or RC_RETRY by give_up */
};

struct fault {
	enum faulty_op op;
	unsigned nth; /* since the script was set, from 1; 0: every one */
	enum fault_how how;
	enum rc rc;
	nsec span;
	/* Called in place of waiting for span, where it is not NULL. */
	void (*meanwhile)(void *context);
	void *context;
};

/* Closes inner with itself. */
struct store *faulty_open(struct store *inner);

/* Copied, 16 faults at most; counting begins anew. */
void faulty_script(struct store *s, const struct fault *script);
void faulty_heal(struct store *s);

/* Operations since the script was set. */
unsigned faulty_count(const struct store *s, enum faulty_op op);

#endif
