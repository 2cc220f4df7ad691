/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every store must do, as one suite that runs unchanged on each. A
 * driver's test names the kinds of store it has and adds the cases; what a
 * store lacks (a NULL operation) is passed over, what it has must work.
 */
#ifndef TESTS_STORE_CONTRACT_H
#define TESTS_STORE_CONTRACT_H

#include <check.h>

#include "store/store.h"

struct store_kind {
	const char *name;
	const char *above; /* lent to open */
	bool looks_first;  /* PUT_IF_ABSENT is not atomic */
	/* Open an empty place; called in the process of each test. */
	enum rc (*open)(struct store **s, const struct store_kind *kind,
			struct err *e);
};

/* Add the suite for `count` kinds, lent until it has run. */
void store_contract_add(Suite *suite, const struct store_kind *kinds,
			size_t count);

#endif
