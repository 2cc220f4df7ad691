/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions on the terminal. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Ask for a secret on /dev/tty, with echo off. False: there is no terminal,
 * or nothing was answered. A signal that ends us meanwhile finds the echo on
 * again. Fits lock_wish.ask.
 */
bool ask_secret(const char *prompt, char *answer, size_t size);

/* Ask on stderr, read stdin: yes only for an answer that begins with y. */
bool ask_yes(const char *question);

/* Can ask_yes be answered by a person? */
bool ask_possible(void);

#endif
