/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every protocol promises, of restic's native lock.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lock_contract.h"
#include "restic_lab.h"

static struct lab lab;

static void begin(void)
{
	lab_open(&lab, 2);
}

static void end(void)
{
	lab_empty(&lab);
}

static struct lock *open_lock(enum lock_mode mode, bool wait)
{
	self_fill(&lab.self);
	return lab_lock(&lab, mode, wait);
}

static size_t traces(void)
{
	return (size_t)lab_count_all(&lab);
}

static const struct contract contract = {
	.what = "restic",
	.shared = true,
	.begin = begin,
	.end = end,
	.open = open_lock,
	.traces = traces,
	.steal = end,
};

int main(void)
{
	Suite *s = suite_create("restic_contract");
	SRunner *runner;
	int failed;

	lab_build();
	lock_contract_add(s, &contract);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	lab_raze();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
