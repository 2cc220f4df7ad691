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

/* What /etc/passwd itself says first of a user, or the number. */
static const char *passwd_says(uid_t uid)
{
	static char answer[256];
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *pw = NULL;

	(void)snprintf(answer, sizeof(answer), "%u", (unsigned)uid);
	while (file && (pw = fgetpwent(file)) != NULL && pw->pw_uid != uid)
		;
	if (pw)
		(void)snprintf(answer, sizeof(answer), "%s", pw->pw_name);
	if (file)
		(void)fclose(file);
	return answer;
}

START_TEST(the_user_is_who_it_is_and_not_who_the_environment_says)
{
	(void)setenv("USER", "somebody-else", 1);
	(void)setenv("LOGNAME", "somebody-else", 1);
	self_fill(&self);
	ck_assert_str_eq(self.user, passwd_says(getuid()));
}
END_TEST

START_TEST(every_user_of_passwd_is_named_as_the_library_does)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *pw;
	char name[64];
	int count = 0;

	ck_assert_ptr_nonnull(file);
	while ((pw = fgetpwent(file)) != NULL && count++ < 100) {
		uid_t uid = pw->pw_uid;

		user_name(uid, name, sizeof(name));
		ck_assert_str_eq(name, passwd_says(uid));
	}
	(void)fclose(file);
	ck_assert_int_gt(count, 0);
}
END_TEST

START_TEST(a_user_that_nobody_knows_is_a_number)
{
	char name[64];

	ck_assert_str_eq(passwd_says(3999999999), "3999999999");
	user_name(3999999999, name, sizeof(name));
	ck_assert_str_eq(name, "3999999999");
}
END_TEST

/* A file that says `text`, and behind it `fill` letters and `more`. */
static int passwd_of(const char *text, size_t fill, const char *more)
{
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	(void)fputs(text, file);
	while (fill-- > 0)
		(void)fputc('x', file);
	(void)fputs(more, file);
	rewind(file);
	return fileno(file);
}

static const struct {
	const char *text;
	size_t fill;
	const char *more;
	const char *found; /* for user 7; NULL: none */
} passwds[] = {
	{ "a:x:6:7::/:\nb:x:7:1::/:\nc:x:7:1::/:\n", 0, "", "b" },
	{ "b:x:7:1::/:", 0, "", "b" },
	{ "", 0, "", NULL },
	{ "\n\n:x:7:1::/:\n+b:x:7:1::/:\n-b:x:7:1::/:\n", 0, "", NULL },
	{ "a:x:77:1::/:\nb:x: 7:1::/:\nc:x:7\nd:x:7x:1::/:\n", 0, "", NULL },
	{ "a:x:18446744073709551623:1::/:\n", 0, "", NULL }, /* 2^64 + 7 */
	{ "a:x:1:1:", 5000, "\nb:x:7:1::/:\n", "b" },
	/* What is behind a line's first 4 KiB is no line. */
	{ "", 4095, "b:x:7:1::/:\n", NULL },
	{ "", 9000, ":x:7:1::/:\nc:x:7:1::/:\n", "c" },
	{ "a:x:7:1:", 10000, "", NULL },
};

START_TEST(a_file_of_users_is_read_line_by_line)
{
	int fd = passwd_of(passwds[_i].text, passwds[_i].fill, passwds[_i].more);
	char name[64] = "";
	bool found = passwd_find(fd, 7, name, sizeof(name));

	ck_assert_int_eq(found, passwds[_i].found != NULL);
	if (found)
		ck_assert_str_eq(name, passwds[_i].found);
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
	tcase_add_loop_test(all, a_file_of_users_is_read_line_by_line, 0,
			    COUNT(passwds));
	tcase_add_test(all, a_name_is_cut_to_its_room);
	tcase_add_test(all, what_is_no_process_has_no_start);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
