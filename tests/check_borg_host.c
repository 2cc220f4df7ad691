/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container.h"
#include "lock/borg_host.h"
#include "util/text.h"

#define INITIAL UINT64_C(0xEFFFFFFC)

static struct self self;
static struct borg_host host;
static struct err e;

static void setup(void)
{
	self_fill(&self);
	self.pid_ns = INITIAL;
	(void)setenv("BORG_HOST_ID", "here@1", 1);
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_OK);
}

static pid_t dead_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return pid;
}

static struct borg_owner owner(const char *id, int64_t pid)
{
	struct borg_owner o = { .pid = pid };

	text_copy(o.host, sizeof(o.host), id);
	return o;
}

static enum lock_alive judge(const char *id, int64_t pid)
{
	struct borg_owner o = owner(id, pid);

	return borg_host_alive(&host, &o, (struct wall){ 0 }, NULL, 0);
}

START_TEST(an_id_given_by_the_environment_is_taken_verbatim)
{
	(void)setenv("BORG_HOST_ID", " any.thing-1 ", 1);
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_OK);
	ck_assert_str_eq(host.id, " any.thing-1 ");
	ck_assert(!host.random);
}
END_TEST

START_TEST(an_empty_id_in_the_environment_counts_as_none)
{
	(void)setenv("BORG_HOST_ID", "", 1);
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_OK);
	ck_assert_ptr_nonnull(strchr(host.id, '@'));
}
END_TEST

START_TEST(an_id_that_no_lock_can_hold_is_refused)
{
	char big[400];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)setenv("BORG_HOST_ID", big, 1);
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_UNSUPPORTED);
	(void)setenv("BORG_HOST_ID", "a\xff", 1);
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_UNSUPPORTED);
}
END_TEST

/* What uuid.getnode of the Python that runs borg says. */
START_TEST(the_node_is_the_one_that_python_finds)
{
	char line[64] = "", *at;
	FILE *p;
	int pipes[2];
	pid_t pid;

	(void)unsetenv("BORG_HOST_ID");
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_OK);
	if (host.random)
		return; /* every process finds another one here */
	ck_assert_int_eq(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		(void)dup2(pipes[1], 1);
		(void)close(pipes[0]);
		(void)execlp("/usr/bin/python3", "python3", "-c",
			     "import uuid; print(uuid.getnode())", (char *)NULL);
		_exit(127);
	}
	(void)close(pipes[1]);
	p = fdopen(pipes[0], "r");
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), p));
	(void)fclose(p);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	line[strcspn(line, "\n")] = '\0';
	at = strrchr(host.id, '@');
	ck_assert_ptr_nonnull(at);
	ck_assert_str_eq(at + 1, line);
}
END_TEST

START_TEST(a_node_is_written_as_an_unpadded_decimal)
{
	static const unsigned char card[6] = { 0x02, 0xfc, 0, 0, 0, 1 };
	static const unsigned char small[6] = { 0, 0, 0, 0, 0, 7 };

	ck_assert_int_eq(borg_host_format(&host, "vm", card, &e), RC_OK);
	ck_assert_str_eq(host.id, "vm@3281355014145");
	ck_assert(!host.random);
	ck_assert_int_eq(borg_host_format(&host, "a.b", small, &e), RC_OK);
	ck_assert_str_eq(host.id, "a.b@7");
}
END_TEST

START_TEST(a_node_with_the_multicast_bit_is_known_as_invented)
{
	static const unsigned char node[6] = { 0x03, 0xfc, 0, 0, 0, 1 };

	ck_assert_int_eq(borg_host_format(&host, "vm", node, &e), RC_OK);
	ck_assert(host.random);
	text_copy(host.id, sizeof(host.id), "vm@1");
	ck_assert_int_eq(judge("vm@1", dead_pid()), LOCK_ALIVE_UNKNOWN);
	host.random = false;
	ck_assert_int_eq(judge("vm@1", dead_pid()), LOCK_ALIVE_NO);
}
END_TEST

START_TEST(a_gone_process_of_this_host_is_dead)
{
	ck_assert_int_eq(judge("here@1", dead_pid()), LOCK_ALIVE_NO);
}
END_TEST

/* borg itself thinks that it lives, and waits for it. */
START_TEST(a_process_that_nobody_reaps_is_dead)
{
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(judge("here@1", pid), LOCK_ALIVE_NO);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(a_running_process_is_alive_also_one_of_another_user)
{
	ck_assert_int_eq(judge("here@1", getppid()), LOCK_ALIVE_YES);
	ck_assert_int_eq(judge("here@1", 1), LOCK_ALIVE_YES);
}
END_TEST

START_TEST(another_host_id_is_not_for_us_to_say)
{
	ck_assert_int_eq(judge("here@2", dead_pid()), LOCK_ALIVE_UNKNOWN);
}
END_TEST

START_TEST(nothing_is_called_dead_from_within_a_container)
{
	self.pid_ns = INITIAL + 5;
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_OK);
	ck_assert_int_eq(judge("here@1", dead_pid()), LOCK_ALIVE_UNKNOWN);
}
END_TEST

START_TEST(numbers_that_kill_would_take_for_groups_are_not_asked)
{
	ck_assert_int_eq(judge("here@1", 0), LOCK_ALIVE_UNKNOWN);
	ck_assert_int_eq(judge("here@1", -1), LOCK_ALIVE_UNKNOWN);
	ck_assert_int_eq(judge("here@1", INT64_C(1) << 40), LOCK_ALIVE_UNKNOWN);
}
END_TEST

START_TEST(a_lock_older_than_we_are_under_our_own_pid_is_dead)
{
	struct borg_owner o = owner("here@1", getpid());
	struct wall old = { wall_now().ns - 3600 * NSEC_PER_SEC };
	struct wall unknown = { 0 };

	ck_assert_int_eq(borg_host_alive(&host, &o, old, NULL, 0), LOCK_ALIVE_NO);
	ck_assert_int_eq(borg_host_alive(&host, &o, wall_now(), NULL, 0),
			 LOCK_ALIVE_YES);
	ck_assert_int_eq(borg_host_alive(&host, &o, unknown, NULL, 0),
			 LOCK_ALIVE_YES);
}
END_TEST

START_TEST(a_process_younger_than_the_lock_is_told_but_not_called_dead)
{
	struct borg_owner o = owner("here@1", getppid());
	struct wall old = { NSEC_PER_SEC };
	char detail[160];

	ck_assert_int_eq(borg_host_alive(&host, &o, old, detail, sizeof(detail)),
			 LOCK_ALIVE_YES);
	ck_assert_ptr_nonnull(strstr(detail, "reused"));
	ck_assert_int_eq(
		borg_host_alive(&host, &o, wall_now(), detail, sizeof(detail)),
		LOCK_ALIVE_YES);
	ck_assert_str_eq(detail, "");
}
END_TEST

START_TEST(a_pid_that_lives_in_a_container_is_not_called_dead)
{
	pid_t outer;
	int64_t pid = container_start(&outer);

	if (pid != 0)
		ck_assert_int_eq(judge("here@1", pid), LOCK_ALIVE_UNKNOWN);
	(void)kill(outer, SIGKILL);
	ck_assert_int_eq(waitpid(outer, NULL, 0), outer);
	/* What is within ends a moment later than what is around it. */
	for (int i = 0; pid != 0 && i < 500; i++) {
		if (judge("here@1", pid) == LOCK_ALIVE_NO)
			return;
		(void)usleep(10000);
	}
	ck_assert_msg(pid == 0, "still not called dead");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("borg_host");
	TCase *id = tcase_create("id"), *alive = tcase_create("alive");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(id, setup, NULL);
	tcase_add_checked_fixture(alive, setup, NULL);
	tcase_set_timeout(id, 60);
	tcase_set_timeout(alive, 60);
	suite_add_tcase(suite, id);
	suite_add_tcase(suite, alive);
	tcase_add_test(id, an_id_given_by_the_environment_is_taken_verbatim);
	tcase_add_test(id, an_empty_id_in_the_environment_counts_as_none);
	tcase_add_test(id, an_id_that_no_lock_can_hold_is_refused);
	tcase_add_test(id, the_node_is_the_one_that_python_finds);
	tcase_add_test(id, a_node_is_written_as_an_unpadded_decimal);
	tcase_add_test(id, a_node_with_the_multicast_bit_is_known_as_invented);
	tcase_add_test(alive, a_gone_process_of_this_host_is_dead);
	tcase_add_test(alive, a_process_that_nobody_reaps_is_dead);
	tcase_add_test(alive,
		       a_running_process_is_alive_also_one_of_another_user);
	tcase_add_test(alive, another_host_id_is_not_for_us_to_say);
	tcase_add_test(alive, nothing_is_called_dead_from_within_a_container);
	tcase_add_test(alive,
		       numbers_that_kill_would_take_for_groups_are_not_asked);
	tcase_add_test(alive, a_lock_older_than_we_are_under_our_own_pid_is_dead);
	tcase_add_test(
		alive,
		a_process_younger_than_the_lock_is_told_but_not_called_dead);
	tcase_add_test(alive, a_pid_that_lives_in_a_container_is_not_called_dead);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
