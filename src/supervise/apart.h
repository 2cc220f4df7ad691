/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For code of a process that shares memory, and so errno, with the one that
 * made it (clone with CLONE_VM, without a thread's own storage): system calls
 * that leave errno alone. A fork would copy page tables and what is written
 * after it, some 0.1 ms and a dozen pages.
 *
 * APART_FLAGS is 0 where it is not to be done: on machines that apart_call is
 * not written for, and under sanitizers, which take a clone for a fork.
 */
#ifndef SUPERVISE_APART_H
#define SUPERVISE_APART_H

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define APART_SANITIZED
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define APART_SANITIZED
#endif
#endif

#if defined(__x86_64__) && defined(__LP64__) && !defined(APART_SANITIZED)
#define APART_FLAGS CLONE_VM

/* The result, or an error number below 0. */
__attribute__((unused)) static inline long apart_call(long number, long a,
						      long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__) && defined(__LP64__) && !defined(APART_SANITIZED)
#define APART_FLAGS CLONE_VM

__attribute__((unused)) static inline long apart_call(long number, long a,
						      long b, long c)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2)
			 : "memory");
	return x0;
}
#else
#define APART_FLAGS 0

__attribute__((unused)) static inline long apart_call(long number, long a,
						      long b, long c)
{
	long result = syscall(number, a, b, c);

	return result < 0 ? -errno : result;
}
#endif

#endif
