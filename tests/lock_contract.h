/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every lock protocol promises (lock/lock.h), as one suite that is run
 * unchanged on each: fill in a struct contract, add it to a suite.
 */
#ifndef TESTS_LOCK_CONTRACT_H
#define TESTS_LOCK_CONTRACT_H

#include <check.h>

#include "faulty.h"
#include "lock/lock.h"

struct contract {
	const char *what; /* for the name of the test case */
	bool shared;      /* has a shared mode */

	/* A fresh, empty place before each test; everything gone after it. */
	void (*begin)(void);
	void (*end)(void);
	/* One more contender for the lock of that place. */
	struct lock *(*open)(enum lock_mode mode, bool wait);
	/* How many objects there are that a free lock does not have. */
	size_t (*traces)(void);
	/* Optional: take the lock from its holder, whoever that is, behind
	 * its back, as `rm` would. */
	void (*steal)(void);
	/* Optional: let the store of this contender fail by script. */
	void (*script)(struct lock *lock, const struct fault *faults);
};

/* The contract is lent for the suite's life. At most 16 in a program. */
void lock_contract_add(Suite *suite, const struct contract *contract);

#endif
