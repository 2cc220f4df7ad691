/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/self.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static struct self self;

START_TEST(host_and_processes_are_as_the_kernel_has_them)
{
	struct utsname name;
	struct stat st;

	self_fill(&self);
	ck_assert_int_eq(uname(&name), 0);
	ck_assert_str_eq(self.host, name.nodename);
	ck_assert_uint_eq(strlen(self.boot_id), 36);
	ck_assert_int_eq(stat("/proc/self/ns/pid", &st), 0);
	ck_assert_uint_eq(self.pid_ns, st.st_ino);
	ck_assert_int_eq(self.front.pid, getpid());
	ck_assert_int_eq(self.keeper.pid, getpid());
	ck_assert_uint_gt(self.front.start, 0);
	ck_assert_uint_eq(self.front.start, process_start(getpid()));
}
END_TEST

START_TEST(the_user_is_who_it_is_and_not_who_the_environment_says)
{
	(void)setenv("USER", "somebody-else", 1);
	(void)setenv("LOGNAME", "somebody-else", 1);
	self_fill(&self);
	ck_assert_str_eq(self.user, getpwuid(getuid())->pw_name);
}
END_TEST

START_TEST(every_user_of_passwd_is_named_as_the_library_does)
{
	struct passwd *pw;
	char name[64];
	int count = 0;

	setpwent();
	while ((pw = getpwent()) != NULL && count++ < 100) {
		uid_t uid = pw->pw_uid;

		user_name(uid, name, sizeof(name));
		ck_assert_str_eq(name, getpwuid(uid)->pw_name);
	}
	endpwent();
	ck_assert_int_gt(count, 0);
}
END_TEST

START_TEST(a_user_that_nobody_knows_is_a_number)
{
	char name[64];

	ck_assert_ptr_null(getpwuid(3999999999));
	user_name(3999999999, name, sizeof(name));
	ck_assert_str_eq(name, "3999999999");
}
END_TEST

START_TEST(a_name_is_cut_to_its_room)
{
	char name[4];

	user_name(3999999999, name, sizeof(name));
	ck_assert_str_eq(name, "399");
}
END_TEST

static const char *const names[] = { "plain", "a b", "a) S 1 2", "((", ")" };

START_TEST(a_process_may_be_called_anything)
{
	int ready[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_NAME, names[_i]);
		(void)!write(ready[1], "", 1);
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	/* Both started within the same few seconds. */
	ck_assert_uint_ge(process_start(pid), process_start(getpid()));
	ck_assert_uint_le(process_start(pid),
			  process_start(getpid()) +
				  60 * (uint64_t)sysconf(_SC_CLK_TCK));
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_uint_eq(process_start(pid), 0);
}
END_TEST

START_TEST(what_is_no_process_has_no_start)
{
	ck_assert_uint_eq(process_start(0), 0);
	ck_assert_uint_eq(process_start(-1), 0);
	ck_assert_uint_eq(process_start(INT32_MAX), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("self");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, all);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, a_process_may_be_called_anything, 0,
			    COUNT(names));
	tcase_add_test(all, host_and_processes_are_as_the_kernel_has_them);
	tcase_add_test(all,
		       the_user_is_who_it_is_and_not_who_the_environment_says);
	tcase_add_test(all, every_user_of_passwd_is_named_as_the_library_does);
	tcase_add_test(all, a_user_that_nobody_knows_is_a_number);
	tcase_add_test(all, a_name_is_cut_to_its_room);
	tcase_add_test(all, what_is_no_process_has_no_start);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
