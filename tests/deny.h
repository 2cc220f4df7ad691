/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Take a system call away from this process and its children, for fallbacks
 * that a healthy machine never walks.
 */
#ifndef TESTS_DENY_H
#define TESTS_DENY_H

/* From now on it fails with `error`. */
void deny_call(long number, int error);

/* Only where argument `argument` has one of `bits`, in its lower half. */
void deny_call_with(long number, unsigned argument, unsigned bits, int error);

#endif
