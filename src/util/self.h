/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who we are, as a lock's record tells it to others. Filled once; by value.
 */
#ifndef UTIL_SELF_H
#define UTIL_SELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/clock.h"

struct process {
	pid_t pid;
	uint64_t start; /* /proc/PID/stat field 22, clock ticks since boot as
	                   seen in our time namespace; 0: unknown */
};

struct self {
	char host[256];       /* uname nodename, verbatim */
	char user[64];        /* passwd name of the real uid, else the number */
	char boot_id[40];     /* /proc/sys/kernel/random/boot_id; "" unknown */
	uint64_t pid_ns;      /* inode of /proc/self/ns/pid; 0 unknown */
	uint64_t time_ns;     /* inode of /proc/self/ns/time; 0 unknown */
	struct process front; /* the pid that the caller knows */
	struct process keeper; /* the process that does the lock I/O */
};

/*
 * Fill *s for the calling process as both front and keeper; with_lock later
 * overwrites the one that it is not. Reads /proc and /etc/passwd, and does not
 * ask NSS, which may load modules and wait for servers. USER and LOGNAME are
 * not believed: a lock's record must not lie about who holds it. Cannot fail:
 * what is unknown stays empty.
 */
void self_fill(struct self *s);

/* The name of a user in /etc/passwd, otherwise the number. */
void user_name(uid_t uid, char *out, size_t size);

/* The name of a user in an open file of passwd(5)'s form; lines of 4 KiB and
 * more are skipped. False: not there, and *out is as it was, or cut. */
bool passwd_find(int fd, uid_t uid, char *out, size_t size);

/*
 * Does /proc show the processes as we count them? Not where it was mounted
 * for another pid namespace: there a pid of ours is a stranger's, and all
 * that is asked below but of ourselves is answered as "cannot be read".
 * Async-signal-safe.
 */
bool process_table_is_ours(void);

/* Start time of a process, 0 if it cannot be read. Async-signal-safe. */
uint64_t process_start(pid_t pid);

/* 0: none in our pid namespace, or it cannot be read. */
pid_t process_parent(pid_t pid);

/* Is it a zombie, of which no thread runs any more? False also where that
 * cannot be read. */
bool process_ended(pid_t pid);

/* Stopped, as Ctrl-Z does it? And: has it a terminal, which other processes
 * are in front of? False where that cannot be read. */
bool process_is_stopped(pid_t pid);
bool process_is_in_background(pid_t pid);

#endif
