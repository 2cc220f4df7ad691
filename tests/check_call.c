/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/call.h"
#include "util/err.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define LONG (30 * NSEC_PER_SEC) /* what must not take as long */

static struct err e;
static const struct call unlimited = { { NSEC_FOREVER }, -1 };

static int ready_fd(void)
{
	return eventfd(1, EFD_CLOEXEC);
}

static int idle_fd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static struct call over(void)
{
	return (struct call){ boot_now(), -1 };
}

START_TEST(a_call_without_limit_has_for_ever)
{
	ck_assert_int_eq(call_left(&unlimited), NSEC_FOREVER);
	ck_assert_int_eq(call_check(&unlimited, &e), RC_OK);
}
END_TEST

START_TEST(a_call_that_is_over_has_nothing_left)
{
	struct call c = over();

	ck_assert_int_eq(call_left(&c), 0);
	ck_assert_int_eq(call_check(&c, &e), RC_RETRY);
	ck_assert_int_eq(call_pause(&c, LONG, &e), RC_RETRY);
	ck_assert_int_eq(call_wait(&c, ready_fd(), LONG, &e), RC_RETRY);
}
END_TEST

START_TEST(a_limit_cuts_a_pause_short)
{
	struct call c = { boot_add(boot_now(), 5 * NSEC_PER_MSEC), -1 };

	ck_assert_int_le(call_left(&c), 5 * NSEC_PER_MSEC);
	ck_assert_int_eq(call_pause(&c, LONG, &e), RC_RETRY);
	ck_assert(boot_reached(boot_now(), c.give_up));
}
END_TEST

START_TEST(a_pull_at_the_leash_ends_it_and_stays_to_be_seen)
{
	struct call c = { BOOT_NEVER, ready_fd() };
	uint64_t count = 0;

	ck_assert_int_eq(call_check(&c, &e), RC_CANCELLED);
	ck_assert_int_eq(call_pause(&c, LONG, &e), RC_CANCELLED);
	ck_assert_int_eq(call_wait(&c, ready_fd(), LONG, &e), RC_CANCELLED);
	ck_assert_int_eq(read(c.cancel_fd, &count, 8), 8); /* never read */
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(read(c.cancel_fd, &count, 0), -1);
	ck_assert_int_eq(call_check(&c, &e), RC_OK);
}
END_TEST

START_TEST(a_pull_during_a_pause_ends_it)
{
	struct call c = { BOOT_NEVER, idle_fd() };
	const uint64_t one = 1;

	ck_assert_int_eq(call_check(&c, &e), RC_OK);
	if (fork() == 0) {
		(void)!write(c.cancel_fd, &one, 8);
		_exit(0);
	}
	ck_assert_int_eq(call_pause(&c, LONG, &e), RC_CANCELLED);
}
END_TEST

START_TEST(what_is_readable_ends_a_wait)
{
	int fds[3] = { idle_fd(), -1, ready_fd() };

	ck_assert_int_eq(call_wait(&unlimited, fds[2], LONG, &e), RC_OK);
	ck_assert_int_eq(call_wait_any(&unlimited, fds, 3, LONG, &e), RC_OK);
}
END_TEST

START_TEST(the_end_of_a_span_is_told_from_the_end_of_the_call)
{
	int fds[2] = { idle_fd(), -1 };

	ck_assert_int_eq(call_wait(&unlimited, fds[0], 0, &e), RC_ABSENT);
	ck_assert_int_eq(call_wait_any(&unlimited, fds, 2, NSEC_PER_MSEC, &e),
			 RC_ABSENT);
	ck_assert_int_eq(call_wait(&unlimited, -1, NSEC_PER_MSEC, &e), RC_ABSENT);
	ck_assert_int_eq(call_pause(&unlimited, NSEC_PER_MSEC, &e), RC_OK);
}
END_TEST

/* --- clock --- */

START_TEST(never_stays_never)
{
	struct boot now = boot_now();

	ck_assert_int_eq(boot_add(BOOT_NEVER, 1).ns, NSEC_FOREVER);
	ck_assert_int_eq(boot_add(BOOT_NEVER, -1).ns, NSEC_FOREVER);
	ck_assert_int_eq(boot_add(now, NSEC_FOREVER).ns, NSEC_FOREVER);
	ck_assert(!boot_reached(now, BOOT_NEVER));
	ck_assert(boot_reached(now, now));
	ck_assert(boot_reached(boot_add(now, 1), now));
	ck_assert(!boot_reached(now, boot_add(now, 1)));
	ck_assert_int_eq(boot_until(now, boot_add(now, 7)), 7);
	ck_assert_int_eq(boot_min(now, BOOT_NEVER).ns, now.ns);
	ck_assert_int_eq(boot_min(BOOT_NEVER, now).ns, now.ns);
}
END_TEST

/* --- err --- */

struct meaning {
	int sys;
	enum rc rc;
};

static const struct meaning meanings[] = {
	{ 0, RC_OK },
	{ ENOENT, RC_ABSENT },
	{ EEXIST, RC_EXISTS },
	{ EACCES, RC_DENIED },
	{ EPERM, RC_DENIED },
	{ EROFS, RC_DENIED },
	{ EINTR, RC_RETRY },
	{ EAGAIN, RC_RETRY },
	{ ESTALE, RC_RETRY },
	{ EIO, RC_RETRY },
	{ ENOSPC, RC_RETRY },
	{ EDQUOT, RC_RETRY },
	{ ENFILE, RC_RETRY },
	{ EMFILE, RC_FAILED },
	{ ENOMEM, RC_RETRY },
	{ ETIMEDOUT, RC_RETRY },
	{ ENOSYS, RC_UNSUPPORTED },
	{ EOPNOTSUPP, RC_UNSUPPORTED },
	{ ENOTDIR, RC_FAILED },
	{ 9999, RC_FAILED },
};

START_TEST(an_errno_means_what_the_header_says)
{
	ck_assert_int_eq(rc_of_errno(meanings[_i].sys), meanings[_i].rc);
}
END_TEST

START_TEST(context_goes_in_front_and_nothing_is_lost)
{
	ck_assert_int_eq(err_sys(&e, RC_DENIED, EACCES, "%s", "/srv"), RC_DENIED);
	ck_assert_str_eq(e.text, "/srv: Permission denied");
	ck_assert_int_eq(e.sys, EACCES);
	ck_assert_int_eq(err_context(&e, RC_RETRY, "lock %d", 1), RC_RETRY);
	ck_assert_str_eq(e.text, "lock 1: /srv: Permission denied");
	ck_assert_int_eq(e.sys, EACCES);
	ck_assert_int_eq(err_set(&e, RC_BUSY, "%s", "other"), RC_BUSY);
	ck_assert_str_eq(e.text, "other");
	ck_assert_int_eq(e.sys, 0);
	(void)err_sys(&e, RC_FAILED, 99999, "x");
	ck_assert_str_eq(e.text, "x: unknown error");
}
END_TEST

START_TEST(a_sentence_that_is_too_long_keeps_its_reason)
{
	char name[600];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)err_sys(&e, RC_DENIED, EACCES, "%s", name);
	ck_assert_ptr_nonnull(strstr(e.text, ": Permission denied"));
	ck_assert_uint_lt(strlen(e.text), sizeof(e.text));
}
END_TEST

START_TEST(every_code_has_its_word)
{
	for (int a = RC_OK; a <= RC_FAILED; a++) {
		ck_assert_str_ne(rc_name((enum rc)a), "?");
		for (int b = RC_OK; b < a; b++)
			ck_assert_str_ne(rc_name((enum rc)a),
					 rc_name((enum rc)b));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("call");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, all);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, an_errno_means_what_the_header_says, 0,
			    COUNT(meanings));
	tcase_add_test(all, a_call_without_limit_has_for_ever);
	tcase_add_test(all, a_call_that_is_over_has_nothing_left);
	tcase_add_test(all, a_limit_cuts_a_pause_short);
	tcase_add_test(all, a_pull_at_the_leash_ends_it_and_stays_to_be_seen);
	tcase_add_test(all, a_pull_during_a_pause_ends_it);
	tcase_add_test(all, what_is_readable_ends_a_wait);
	tcase_add_test(all, the_end_of_a_span_is_told_from_the_end_of_the_call);
	tcase_add_test(all, never_stays_never);
	tcase_add_test(all, context_goes_in_front_and_nothing_is_lost);
	tcase_add_test(all, a_sentence_that_is_too_long_keeps_its_reason);
	tcase_add_test(all, every_code_has_its_word);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
