/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native lock of a restic repository, against the real restic, in
 * repositories of version 1 and 2.
 */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock/liveness.h"
#include "lock/restic.h"
#include "restic_lab.h"
#include "util/text.h"

#define MINUTE (60 * NSEC_PER_SEC)
#define MSEC NSEC_PER_MSEC

static struct lab lab;
static struct err e;
static struct lock_term term;
static struct lock_info mine, holder;
static char said[4096];
static const struct call unlimited = { { NSEC_FOREVER }, -1 };

static void setup_1(void)
{
	lab_open(&lab, 1);
}

static void setup_2(void)
{
	lab_open(&lab, 2);
}

static void teardown(void)
{
	lab_close(&lab);
}

/* --- short words for what tests do --- */

static enum rc acquire(struct lock *lock)
{
	e.text[0] = '\0';
	return lock->ops->acquire(lock, &term, &mine, &holder, &unlimited, &e);
}

static enum rc refresh(struct lock *lock)
{
	return lock->ops->refresh(lock, &term, &unlimited, &e);
}

static enum rc release(struct lock *lock)
{
	return lock->ops->release(lock, &unlimited, &e);
}

static void end(struct lock *lock)
{
	enum rc rc = release(lock);

	ck_assert_msg(rc == RC_OK, "%s", e.text);
	lock_close(lock);
}

static struct lock *take(enum lock_mode mode)
{
	struct lock *lock = lab_lock(&lab, mode, false);
	enum rc rc = acquire(lock);

	ck_assert_msg(rc == RC_OK, "%s", e.text);
	return lock;
}

static void refused(enum lock_mode mode)
{
	struct lock *lock = lab_lock(&lab, mode, false);

	ck_assert_int_eq(acquire(lock), RC_BUSY);
	end(lock);
}

static void granted(enum lock_mode mode)
{
	end(take(mode));
}

static int restic(const char *more)
{
	return lab_restic(&lab, more, said, sizeof(said));
}

/* A record as some other restic makes it, a moment ago. */
static struct restic_record record_of(const char *host, pid_t pid, bool exclusive)
{
	struct restic_record r = { .time = wall_now(),
				   .exclusive = exclusive,
				   .pid = pid };

	text_copy(r.host, sizeof(r.host), host);
	text_copy(r.user, sizeof(r.user), "joe");
	return r;
}

struct listed {
	struct lock_info infos[8];
	int count;
};

static bool keep(void *context, const struct lock_info *info)
{
	struct listed *l = context;

	ck_assert_int_lt(l->count, 8);
	l->infos[l->count++] = *info;
	return true;
}

static void list(struct lock *lock, struct listed *l)
{
	l->count = 0;
	ck_assert_int_eq(lock->ops->list(lock, keep, l, &unlimited, &e), RC_OK);
}

static bool readable(int fd, int msec)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, msec) > 0;
}

/* --- restic respects ours --- */

START_TEST(our_exclusive_lock_keeps_restic_out)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);

	ck_assert_int_ne(restic("backup --quiet /etc/hostname"), 0);
	ck_assert_ptr_nonnull(strstr(said, "already locked exclusively"));
	ck_assert_int_ne(restic("prune"), 0);
	ck_assert_int_ne(restic("check"), 0);
	ck_assert_int_ne(restic("snapshots"), 0);
	ck_assert_int_eq(restic("snapshots --no-lock"), 0);
	end(lock);
	ck_assert_int_eq(restic("snapshots"), 0);
}
END_TEST

START_TEST(our_shared_lock_lets_backup_in_and_keeps_prune_out)
{
	struct lock *lock = take(LOCK_SHARED);

	ck_assert_int_eq(restic("backup --quiet /etc/hostname"), 0);
	ck_assert_int_ne(restic("prune"), 0);
	ck_assert_ptr_nonnull(strstr(said, "already locked"));
	ck_assert_int_ne(restic("check"), 0);
	end(lock);
	ck_assert_int_eq(restic("check"), 0);
}
END_TEST

START_TEST(restic_lists_and_shows_our_lock)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);
	char line[128], pid[32];

	ck_assert_int_eq(restic("list locks"), 0);
	ck_assert_ptr_nonnull(strstr(said, mine.id));
	snprintf(line, sizeof(line), "cat lock --no-lock %s", mine.id);
	ck_assert_int_eq(restic(line), 0);
	snprintf(pid, sizeof(pid), "\"pid\": %d", (int)lab.self.keeper.pid);
	ck_assert_msg(strstr(said, pid), "%s", said);
	ck_assert_ptr_nonnull(strstr(said, "\"exclusive\": true"));
	end(lock);
}
END_TEST

START_TEST(restic_unlock_leaves_ours_in_place)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);

	ck_assert_int_eq(restic("unlock"), 0);
	ck_assert_int_eq(refresh(lock), RC_OK);
	end(lock);
}
END_TEST

START_TEST(a_lock_file_is_written_as_restic_writes_it)
{
	struct lock *lock;
	char path[160], config[80];
	struct stat st;

	snprintf(config, sizeof(config), "%s/config", lab.path);
	lock = take(LOCK_SHARED);
	snprintf(path, sizeof(path), "%s/locks/%s", lab.path, mine.id);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0400);
	end(lock);

	ck_assert_int_eq(chmod(config, 0440), 0);
	lock = take(LOCK_SHARED);
	snprintf(path, sizeof(path), "%s/locks/%s", lab.path, mine.id);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0440);
	end(lock);
	ck_assert_int_eq(chmod(config, 0400), 0);
}
END_TEST

START_TEST(a_missing_locks_folder_is_no_lock_and_is_made)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/locks", lab.path);
	ck_assert_int_eq(rmdir(path), 0);
	granted(LOCK_EXCLUSIVE);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

/* --- we respect restic's --- */

START_TEST(a_running_backup_keeps_exclusive_out_and_lets_shared_in)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, false);
	struct lab_holder backup;

	lab_begin(&lab, &backup);
	ck_assert_int_eq(acquire(lock), RC_BUSY);
	ck_assert_int_eq(holder.mode, LOCK_SHARED);
	ck_assert_int_eq(holder.pid, backup.pid);
	ck_assert_str_eq(holder.host, lab.self.host);
	ck_assert_str_eq(holder.user, lab.self.user);
	ck_assert_int_ne(holder.alive, LOCK_ALIVE_NO);
	ck_assert_int_eq(holder.state, LOCK_HELD);
	ck_assert_int_eq(lab_count(&lab), 1); /* -n leaves nothing behind */
	granted(LOCK_SHARED);
	ck_assert_int_eq(lab_end(&backup), 0);
	ck_assert_int_eq(acquire(lock), RC_OK);
	end(lock);
}
END_TEST

START_TEST(a_foreign_exclusive_lock_keeps_both_out)
{
	struct restic_record r = record_of("elsewhere", 7, true);
	char id[65];

	lab_put_record(&lab, &r, id);
	refused(LOCK_EXCLUSIVE);
	ck_assert_str_eq(holder.id, id);
	ck_assert_int_eq(holder.alive, LOCK_ALIVE_UNKNOWN);
	refused(LOCK_SHARED);
	ck_assert_int_eq(lab_count(&lab), 1);
	lab_empty(&lab);
	granted(LOCK_SHARED);
}
END_TEST

START_TEST(shared_holders_do_not_mind_each_other)
{
	struct lock *a = take(LOCK_SHARED), *b = take(LOCK_SHARED);

	refused(LOCK_EXCLUSIVE);
	ck_assert_int_eq(refresh(a), RC_OK);
	ck_assert_int_eq(refresh(b), RC_OK);
	end(a);
	refused(LOCK_EXCLUSIVE);
	end(b);
	granted(LOCK_EXCLUSIVE);
}
END_TEST

START_TEST(waiting_ends_when_the_lock_in_the_way_goes)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, true);
	struct restic_record r = record_of("elsewhere", 7, true);
	struct boot begun;
	char id[65];
	pid_t pid;

	lab_put_record(&lab, &r, id);
	ck_assert_int_eq(acquire(lock), RC_BUSY);
	pid = fork();
	if (pid == 0) {
		usleep(200 * 1000);
		lab_empty(&lab);
		_exit(0);
	}
	begun = boot_now();
	ck_assert_int_eq(lock->ops->wait(lock, MINUTE, &unlimited, &e), RC_OK);
	ck_assert_int_lt(boot_until(begun, boot_now()), 30 * NSEC_PER_SEC);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(acquire(lock), RC_OK);
	end(lock);
}
END_TEST

START_TEST(waiting_is_over_with_patience)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, true);
	struct restic_record r = record_of("elsewhere", 7, true);
	struct boot begun = boot_now();
	char id[65];

	lab_put_record(&lab, &r, id);
	ck_assert_int_eq(acquire(lock), RC_BUSY);
	ck_assert_int_eq(lock->ops->wait(lock, 100 * MSEC, &unlimited, &e),
			 RC_OK);
	ck_assert_int_lt(boot_until(begun, boot_now()), 30 * NSEC_PER_SEC);
	lab_empty(&lab);
	end(lock);
}
END_TEST

/* --- draining --- */

START_TEST(an_exclusive_lock_waits_in_place_for_shared_holders)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, true);
	struct lab_holder backup;
	struct restic_record r;
	struct listed l;

	lab_begin(&lab, &backup);
	ck_assert_int_eq(acquire(lock), RC_BUSY);
	ck_assert_int_eq(holder.pid, backup.pid); /* whom we wait for */
	ck_assert_int_eq(lab_count(&lab), 2);
	list(lock, &l);
	ck_assert_int_eq(l.count, 2);
	ck_assert_int_eq(l.infos[0].state, LOCK_HELD);
	ck_assert_int_eq(l.infos[0].pid, backup.pid);
	ck_assert_int_eq(l.infos[1].state, LOCK_WAITING);
	/* Newcomers stay out. */
	ck_assert_int_ne(restic("backup --quiet /etc/hostname"), 0);
	refused(LOCK_SHARED);
	refused(LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(lock), RC_BUSY);
	ck_assert_int_eq(lab_end(&backup), 0); /* and is not disturbed */
	ck_assert_int_eq(acquire(lock), RC_OK);
	lab_read(&lab, mine.id, &r);
	ck_assert(!r.draining);
	ck_assert_int_eq(mine.state, LOCK_HELD);
	ck_assert_int_gt(term.valid, 29 * MINUTE);
	end(lock);
}
END_TEST

START_TEST(a_drain_that_is_given_up_leaves_nothing)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, true);
	struct lock *shared = take(LOCK_SHARED);

	ck_assert_int_eq(acquire(lock), RC_BUSY);
	ck_assert_int_eq(lab_count(&lab), 2);
	end(lock);
	ck_assert_int_eq(lab_count(&lab), 1);
	ck_assert_int_eq(refresh(shared), RC_OK);
	end(shared);
}
END_TEST

START_TEST(a_shared_holder_is_not_lost_by_one_that_waits_for_it)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, true);
	struct lock *shared = take(LOCK_SHARED);
	int i;

	restic_set_pace(shared, 10 * MSEC, 10 * MSEC);
	ck_assert_int_eq(acquire(lock), RC_BUSY);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(refresh(shared), RC_OK);
	end(shared);
	ck_assert_int_eq(acquire(lock), RC_OK);
	end(lock);
}
END_TEST

START_TEST(a_drain_whose_claim_was_removed_starts_anew)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, true);
	struct lock *shared = take(LOCK_SHARED);
	struct listed l;
	char path[160];

	ck_assert_int_eq(acquire(lock), RC_BUSY);
	list(lock, &l);
	snprintf(path, sizeof(path), "%s/locks/%s", lab.path, l.infos[1].id);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(acquire(lock), RC_RETRY);
	ck_assert_int_eq(acquire(lock), RC_BUSY);
	ck_assert_int_eq(lab_count(&lab), 2);
	end(shared);
	ck_assert_int_eq(acquire(lock), RC_OK);
	end(lock);
}
END_TEST

/* Two that placed their claims at the same time: one was first by what both
 * can read. `since` is when the other one was placed, beside ours. */
static enum rc meet_a_drainer(struct lock *lock, nsec since)
{
	struct restic_record r = record_of("elsewhere", 7, true);
	char id[65];

	text_copy(r.token, sizeof(r.token), "0");
	r.since.ns = wall_now().ns + since;
	r.draining = true;
	lab_put_record(&lab, &r, id);
	return acquire(lock);
}

START_TEST(of_two_drainers_the_younger_withdraws)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, true);
	struct lock *shared = take(LOCK_SHARED);

	ck_assert_int_eq(acquire(lock), RC_BUSY);
	ck_assert_int_eq(lab_count(&lab), 2);
	ck_assert_int_eq(meet_a_drainer(lock, -MINUTE), RC_BUSY);
	ck_assert_int_eq(holder.mode, LOCK_EXCLUSIVE);
	ck_assert_int_eq(lab_count(&lab), 2); /* the older one, and shared */
	end(lock);
	end(shared);
	lab_empty(&lab);
}
END_TEST

START_TEST(of_two_drainers_the_older_stays)
{
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, true);
	struct lock *shared = take(LOCK_SHARED);
	pid_t pid;

	ck_assert_int_eq(acquire(lock), RC_BUSY);
	/* The younger one withdraws as soon as it has seen us. */
	pid = fork();
	if (pid == 0) {
		char line[160];

		usleep(300 * 1000);
		snprintf(line, sizeof(line),
			 "cd %s/locks && rm $(ls -t | head -n 1)", lab.path);
		_exit(system(line) != 0);
	}
	ck_assert_int_eq(meet_a_drainer(lock, MINUTE), RC_BUSY);
	ck_assert_int_eq(holder.mode, LOCK_SHARED);
	waitpid(pid, NULL, 0);
	end(shared);
	ck_assert_int_eq(acquire(lock), RC_OK);
	end(lock);
}
END_TEST

/* --- crowds --- */

struct crowd {
	_Atomic int exclusive, shared, overlaps, entries;
};

static void enter(struct crowd *c, enum lock_mode mode)
{
	_Atomic int *in = mode == LOCK_SHARED ? &c->shared : &c->exclusive;

	(*in)++;
	if (mode == LOCK_EXCLUSIVE && (c->exclusive > 1 || c->shared > 0))
		c->overlaps++;
	if (mode == LOCK_SHARED && c->exclusive > 0)
		c->overlaps++;
	usleep(2000);
	c->entries++;
	(*in)--;
}

static void be_one_of_many(struct crowd *c, int which, int times)
{
	enum lock_mode mode = which % 3 == 0 ? LOCK_SHARED : LOCK_EXCLUSIVE;
	struct lock *lock;

	self_fill(&lab.self);
	lock = lab_lock(&lab, mode, true);
	restic_set_pace(lock, 20 * MSEC, 5 * MSEC);
	while (times > 0) {
		enum rc rc = acquire(lock);

		if (rc == RC_OK) {
			enter(c, mode);
			if (release(lock) != RC_OK)
				_exit(1);
			times--;
		} else if (rc == RC_BUSY) {
			lock->ops->wait(lock, 100 * MSEC, &unlimited, &e);
		} else if (rc != RC_RETRY) {
			fprintf(stderr, "%s\n", e.text);
			_exit(1);
		}
	}
	lock_close(lock);
	_exit(0);
}

START_TEST(many_of_both_modes_never_overlap)
{
	enum { PROCESSES = 6, TIMES = 3 };
	struct crowd *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[PROCESSES];

	ck_assert_ptr_ne(c, MAP_FAILED);
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			be_one_of_many(c, i, TIMES);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(c->overlaps, 0);
	ck_assert_int_eq(c->entries, PROCESSES * TIMES);
	munmap(c, sizeof(*c));
}
END_TEST

START_TEST(of_two_that_do_not_wait_one_gets_a_free_lock)
{
	pid_t pids[2];
	int got = 0, ends[2];
	char c;

	ck_assert_int_eq(pipe(ends), 0);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct lock *lock;
			enum rc rc;

			self_fill(&lab.self);
			lock = lab_lock(&lab, LOCK_EXCLUSIVE, false);
			close(ends[1]);
			(void)!read(ends[0], &c, 1); /* until both are here */
			rc = acquire(lock);
			if (rc == RC_OK)
				usleep(1500 * 1000);
			release(lock);
			_exit(rc == RC_OK ? 0 : rc == RC_BUSY ? 1 : 2);
		}
	}
	usleep(100 * 1000);
	close(ends[0]);
	close(ends[1]);
	for (int i = 0; i < 2; i++) {
		int status;

		waitpid(pids[i], &status, 0);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		got += WEXITSTATUS(status) == 0;
	}
	ck_assert_int_eq(got, 1);
}
END_TEST

/* --- refresh --- */

START_TEST(a_refresh_renames_the_file_and_keeps_the_token)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);
	char before[65], after[65];
	struct restic_record old, new;

	ck_assert_int_eq(term.valid, 30 * MINUTE);
	ck_assert_int_eq(term.refresh_in, 5 * MINUTE);
	ck_assert_int_eq(term.valid - term.margin, 22 * MINUTE + MINUTE / 2);
	lab_only(&lab, before);
	ck_assert_str_eq(mine.id, before);
	lab_read(&lab, before, &old);
	ck_assert_str_eq(old.token, mine.token);
	ck_assert_int_eq(refresh(lock), RC_OK);
	lab_only(&lab, after);
	ck_assert_str_ne(before, after);
	lab_read(&lab, after, &new);
	ck_assert_str_eq(new.token, old.token);
	ck_assert_int_eq(new.since.ns, old.since.ns);
	ck_assert_int_gt(new.time.ns, old.time.ns);
	ck_assert_int_eq(term.valid, 30 * MINUTE);
	end(lock);
}
END_TEST

START_TEST(restic_never_gets_in_during_a_thousand_refreshes)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);
	pid_t pid;
	int status;

	restic_set_pace(lock, 0, 15 * MSEC);
	pid = fork();
	if (pid == 0) {
		int tries = 0;

		for (struct boot until = boot_add(boot_now(), 15 * NSEC_PER_SEC);
		     !boot_reached(boot_now(), until); tries++)
			if (restic("backup --quiet /etc/hostname") == 0)
				_exit(1);
		_exit(tries < 3 ? 2 : 0);
	}
	for (int i = 0; i < 1000; i++)
		ck_assert_msg(refresh(lock) == RC_OK, "%s", e.text);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	end(lock);
}
END_TEST

START_TEST(two_files_of_a_refresh_are_one_lock)
{
	struct restic_record r = record_of("elsewhere", 7, false);
	struct lock *lock = lab_lock(&lab, LOCK_SHARED, false);
	struct listed l;
	char id[65];

	r.time.ns -= NSEC_PER_SEC;
	lab_put_record(&lab, &r, id);
	r.time.ns += NSEC_PER_SEC;
	lab_put_record(&lab, &r, id);
	list(lock, &l);
	ck_assert_int_eq(l.count, 1);
	ck_assert_str_eq(l.infos[0].id, id);
	r.pid = 8;
	lab_put_record(&lab, &r, id);
	list(lock, &l);
	ck_assert_int_eq(l.count, 2);
	lab_empty(&lab);
	end(lock);
}
END_TEST

/* --- loss --- */

START_TEST(a_lock_that_restic_removed_is_lost)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);
	int fd = lock->ops->loss_fd(lock);

	ck_assert_int_ge(fd, 0);
	ck_assert(!readable(fd, 0));
	ck_assert_int_eq(restic("unlock --remove-all"), 0);
	ck_assert(readable(fd, 30000));
	ck_assert_int_eq(refresh(lock), RC_LOST);
	ck_assert_ptr_nonnull(strstr(e.text, "removed"));
	ck_assert_int_eq(release(lock), RC_LOST);
	ck_assert_int_eq(release(lock), RC_OK);
	lock_close(lock);
}
END_TEST

START_TEST(a_loss_before_it_was_watched_for_is_seen_at_once)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);

	lab_empty(&lab);
	ck_assert(readable(lock->ops->loss_fd(lock), 0));
	ck_assert_int_eq(refresh(lock), RC_LOST);
	ck_assert_int_eq(release(lock), RC_LOST);
	lock_close(lock);
}
END_TEST

START_TEST(the_file_of_a_refresh_is_watched_as_well)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);
	int fd = lock->ops->loss_fd(lock);

	restic_set_pace(lock, 0, 10 * MSEC);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(refresh(lock), RC_OK);
	ck_assert(!readable(fd, 50));
	lab_empty(&lab);
	ck_assert(readable(fd, 30000));
	ck_assert_int_eq(refresh(lock), RC_LOST);
	ck_assert_int_eq(release(lock), RC_LOST);
	lock_close(lock);
}
END_TEST

/* Every inotify instance that this user may have is taken. */
START_TEST(a_loss_is_seen_where_no_watch_can_be_had)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);
	struct restic_record before, after;
	struct boot begun;
	char id[65];
	int fd;

	if (geteuid() == 0) /* of its own, so as not to be in others' way */
		ck_assert_int_eq(seteuid(54321), 0);
	while (inotify_init1(IN_CLOEXEC) >= 0)
		;
	fd = lock->ops->loss_fd(lock);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_ge(fd, 0);
	lab_only(&lab, id);
	lab_read(&lab, id, &before);
	ck_assert(readable(fd, 30000));
	ck_assert_int_eq(refresh(lock), RC_OK);
	lab_only(&lab, id);
	lab_read(&lab, id, &after);
	ck_assert_int_eq(before.time.ns, after.time.ns);
	lab_empty(&lab);
	begun = boot_now();
	ck_assert(readable(fd, 30000));
	ck_assert_int_eq(refresh(lock), RC_LOST);
	ck_assert_int_lt(boot_until(begun, boot_now()), 30 * NSEC_PER_SEC);
	ck_assert_int_eq(release(lock), RC_LOST);
	lock_close(lock);
}
END_TEST

START_TEST(a_lock_that_was_only_touched_is_not_lost_nor_written_anew)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);
	int fd = lock->ops->loss_fd(lock);
	char before[65], after[65];

	lab_only(&lab, before);
	lab_age(&lab, before, wall_now());
	ck_assert(readable(fd, 30000));
	ck_assert_int_eq(refresh(lock), RC_OK);
	ck_assert_int_le(term.valid, 30 * MINUTE);
	ck_assert(!readable(fd, 0));
	lab_only(&lab, after);
	ck_assert_str_eq(before, after);
	end(lock);
}
END_TEST

START_TEST(a_conflicting_lock_that_stays_beside_ours_is_a_loss)
{
	struct restic_record r = record_of("elsewhere", 7, true);
	struct lock *lock = take(LOCK_SHARED);
	char id[65];

	lab_put_record(&lab, &r, id);
	ck_assert_int_eq(refresh(lock), RC_LOST);
	ck_assert_ptr_nonnull(strstr(e.text, "elsewhere"));
	ck_assert_int_eq(release(lock), RC_OK);
	lock_close(lock);
	lab_empty(&lab);
}
END_TEST

START_TEST(a_shared_lock_beside_our_shared_one_is_none)
{
	struct restic_record r = record_of("elsewhere", 7, false);
	struct lock *lock = take(LOCK_SHARED);
	char id[65];

	lab_put_record(&lab, &r, id);
	ck_assert_int_eq(refresh(lock), RC_OK);
	end(lock);
	lab_empty(&lab);
}
END_TEST

START_TEST(a_conflicting_lock_of_a_dead_process_is_none)
{
	struct restic_record r = record_of(lab.self.host, lab_dead_pid(), true);
	struct lock *lock = take(LOCK_SHARED);
	char id[65];

	lab_put_record(&lab, &r, id);
	ck_assert_int_eq(refresh(lock), RC_OK);
	end(lock);
	lab_empty(&lab);
}
END_TEST

START_TEST(an_old_file_that_goes_before_the_new_one_was_proved_is_a_loss)
{
	struct lock *lock = take(LOCK_EXCLUSIVE);
	char before[65], path[160];
	pid_t pid;

	/* As when this process slept for long and restic unlock came by. */
	lab_only(&lab, before);
	snprintf(path, sizeof(path), "%s/locks/%s", lab.path, before);
	restic_set_pace(lock, 0, 1 * NSEC_PER_SEC);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 1000 && lab_count(&lab) < 2; i++)
			usleep(1000);
		_exit(unlink(path) != 0);
	}
	ck_assert_int_eq(refresh(lock), RC_LOST);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(release(lock), RC_LOST);
	ck_assert_int_eq(lab_count(&lab), 0);
	lock_close(lock);
}
END_TEST

START_TEST(a_refresh_that_was_cut_off_is_made_good_by_the_next)
{
	struct call soon = { boot_add(boot_now(), 50 * MSEC), -1 };
	struct lock *lock = take(LOCK_EXCLUSIVE);

	restic_set_pace(lock, 0, NSEC_PER_SEC);
	ck_assert_int_ne(lock->ops->refresh(lock, &term, &soon, &e), RC_OK);
	ck_assert_int_ne(lock->ops->refresh(lock, &term, &soon, &e), RC_LOST);
	restic_set_pace(lock, 0, 10 * MSEC);
	ck_assert_int_eq(refresh(lock), RC_OK);
	ck_assert_int_eq(lab_count(&lab), 1);
	end(lock);
}
END_TEST

START_TEST(a_refresh_that_was_cut_off_is_released_as_a_whole)
{
	struct call soon = { boot_add(boot_now(), 50 * MSEC), -1 };
	struct lock *lock = take(LOCK_EXCLUSIVE);

	restic_set_pace(lock, 0, NSEC_PER_SEC);
	ck_assert_int_ne(lock->ops->refresh(lock, &term, &soon, &e), RC_OK);
	ck_assert_int_eq(lab_count(&lab), 2);
	end(lock);
}
END_TEST

START_TEST(an_acquire_that_was_cut_off_leaves_nothing_after_release)
{
	struct call soon = { boot_add(boot_now(), 50 * MSEC), -1 };
	struct lock *lock = lab_lock(&lab, LOCK_EXCLUSIVE, true);

	ck_assert_int_ne(
		lock->ops->acquire(lock, &term, &mine, &holder, &soon, &e),
		RC_OK);
	end(lock);
}
END_TEST

/* --- stale ones --- */

START_TEST(a_dead_process_on_this_host_is_cleared_while_acquiring)
{
	struct restic_record r = record_of(lab.self.host, lab_dead_pid(), true);
	struct lock *lock;
	char id[65];

	lab_put_record(&lab, &r, id);
	lock = take(LOCK_EXCLUSIVE);
	ck_assert_msg(strstr(mine.detail, "cleared"), "%s", mine.detail);
	ck_assert_int_eq(lab_count(&lab), 1);
	end(lock);
}
END_TEST

static struct lock *clearing(enum lock_break clear)
{
	static struct location location; /* lent to the lock */
	struct lock_wish wish = { .location = &location,
				  .clear = clear,
				  .self = &lab.self };
	struct lock *lock;

	location_release(&location);
	ck_assert_int_eq(location_parse(&location, lab.location, &e), RC_OK);
	ck_assert_int_eq(lock_open(&lock, &wish, &unlimited, &e), RC_OK);
	return lock;
}

START_TEST(what_is_cleared_while_acquiring_is_as_was_wished)
{
	struct restic_record dead = record_of(lab.self.host, lab_dead_pid(),
					      true);
	struct restic_record old = record_of("elsewhere", 7, true);
	struct lock *lock;
	char id[65];

	/* Nothing. */
	lab_put_record(&lab, &dead, id);
	lock = clearing(LOCK_BREAK_NONE);
	ck_assert_int_eq(acquire(lock), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_STALE);
	end(lock);
	lab_empty(&lab);
	/* Not by age, unless all was said. */
	old.time.ns -= 31 * MINUTE;
	lab_put_record(&lab, &old, id);
	lab_age(&lab, id, old.time);
	lock = clearing(LOCK_BREAK_SAFE);
	ck_assert_int_eq(acquire(lock), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_STALE);
	end(lock);
	lock = clearing(LOCK_BREAK_ALL);
	ck_assert_int_eq(acquire(lock), RC_OK);
	end(lock);
	/* The store's clock says that it is young. */
	lab_put_record(&lab, &old, id);
	lock = clearing(LOCK_BREAK_ALL);
	ck_assert_int_eq(acquire(lock), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_HELD);
	ck_assert_int_lt(holder.skew, -30 * MINUTE);
	end(lock);
	lab_empty(&lab);
}
END_TEST

START_TEST(a_killed_backup_is_cleared)
{
	struct lab_holder backup;

	lab_begin(&lab, &backup);
	kill(backup.pid, SIGKILL);
	ck_assert_int_eq(lab_end(&backup), -1);
	ck_assert_int_eq(lab_count(&lab), 1);
	granted(LOCK_EXCLUSIVE);
}
END_TEST

/* --- removing --- */

static enum rc remove_one(struct lock *lock, const char *id, bool force,
			  bool dry_run)
{
	struct lock_remove what = { .id = id, .force = force, .dry_run = dry_run };

	return lock->ops->remove(lock, &what, &holder, &unlimited, &e);
}

START_TEST(a_live_lock_stays_unless_forced)
{
	struct lock *lock = lab_lock(&lab, LOCK_SHARED, false);
	struct lab_holder backup;
	struct listed l;

	lab_begin(&lab, &backup);
	list(lock, &l);
	ck_assert_int_eq(remove_one(lock, l.infos[0].id, false, false), RC_BUSY);
	ck_assert_msg(strstr(e.text, "alive"), "%s", e.text);
	ck_assert_int_eq(remove_one(lock, l.infos[0].id, true, true), RC_OK);
	ck_assert_int_eq(lab_count(&lab), 1);
	ck_assert_int_eq(remove_one(lock, l.infos[0].id, true, false), RC_OK);
	ck_assert_int_eq(lab_count(&lab), 0);
	ck_assert_int_eq(remove_one(lock, l.infos[0].id, true, false), RC_ABSENT);
	/* It would look for its lock for long. */
	kill(backup.pid, SIGKILL);
	ck_assert_int_eq(lab_end(&backup), -1);
	end(lock);
}
END_TEST

START_TEST(a_stale_lock_is_removed_with_the_older_file_of_its_holder)
{
	struct restic_record r = record_of(lab.self.host, lab_dead_pid(), true);
	struct lock *lock = lab_lock(&lab, LOCK_SHARED, false);
	struct listed l;
	char id[65];

	lab_put_record(&lab, &r, id);
	r.time.ns += 1;
	lab_put_record(&lab, &r, id);
	list(lock, &l);
	ck_assert_int_eq(l.count, 1);
	ck_assert_int_eq(l.infos[0].state, LOCK_STALE);
	ck_assert_int_eq(remove_one(lock, id, false, true), RC_OK);
	ck_assert_int_eq(lab_count(&lab), 2);
	ck_assert_int_eq(remove_one(lock, id, false, false), RC_OK);
	ck_assert_int_eq(lab_count(&lab), 0);
	end(lock);
}
END_TEST

START_TEST(a_lock_of_another_host_is_not_proved_stale_before_its_time)
{
	struct restic_record r = record_of("elsewhere", 7, true);
	struct lock *lock = lab_lock(&lab, LOCK_SHARED, false);
	struct listed l;
	char id[65];

	lab_put_record(&lab, &r, id);
	list(lock, &l);
	ck_assert_int_eq(l.infos[0].state, LOCK_HELD);
	ck_assert_int_gt(l.infos[0].sure_in, 29 * MINUTE);
	ck_assert_int_eq(remove_one(lock, id, false, false), RC_BUSY);
	ck_assert_int_eq(lab_count(&lab), 1);
	ck_assert_int_eq(remove_one(lock, id, true, false), RC_OK);
	end(lock);
}
END_TEST

START_TEST(a_lock_that_was_refreshed_since_it_was_listed_lives)
{
	struct lock *lock = lab_lock(&lab, LOCK_SHARED, false);
	struct lock *held = take(LOCK_EXCLUSIVE);
	struct listed l;

	list(lock, &l);
	ck_assert_int_eq(refresh(held), RC_OK);
	ck_assert_int_eq(remove_one(lock, l.infos[0].id, true, false), RC_BUSY);
	ck_assert_msg(strstr(e.text, "refreshed"), "%s", e.text);
	ck_assert_int_eq(lab_count(&lab), 1);
	end(held);
	end(lock);
}
END_TEST

START_TEST(release_removes_nothing_but_ours)
{
	struct restic_record r = record_of("elsewhere", 7, false);
	struct lock *lock = take(LOCK_SHARED);
	char id[65], left[65];

	lab_put_record(&lab, &r, id);
	end(lock);
	lab_only(&lab, left);
	ck_assert_str_eq(left, id);
	lab_empty(&lab);
}
END_TEST

/* --- what cannot be read --- */

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void check_unreadable(const char *id, bool respected)
{
	struct lock *lock = lab_lock(&lab, LOCK_SHARED, false);
	struct listed l;

	if (respected) {
		ck_assert_int_eq(acquire(lock), RC_MALFORMED);
		ck_assert_msg(strstr(e.text, "unlock"), "%s", e.text);
		ck_assert_ptr_nonnull(strstr(e.text, "00112233"));
	} else {
		ck_assert_int_eq(acquire(lock), RC_OK);
		ck_assert_int_eq(release(lock), RC_OK);
	}
	ck_assert_int_eq(lab_count(&lab), 1);
	list(lock, &l);
	ck_assert_int_eq(l.count, 1);
	ck_assert_int_eq(l.infos[0].state, LOCK_UNREADABLE);
	ck_assert_str_ne(l.infos[0].detail, "");
	ck_assert_int_eq(remove_one(lock, id, false, false), RC_BUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "--force"));
	ck_assert_int_eq(lab_count(&lab), 1);
	ck_assert_int_eq(remove_one(lock, id, true, false), RC_OK);
	ck_assert_int_eq(lab_count(&lab), 0);
	end(lock);
}

START_TEST(an_empty_file_is_no_lock_but_is_shown)
{
	lab_put_bytes(&lab, ID, "", 0);
	check_unreadable(ID, false);
}
END_TEST

START_TEST(a_file_that_is_not_what_its_name_says_is_respected)
{
	lab_put_bytes(&lab, ID, said, 135);
	check_unreadable(ID, true);
}
END_TEST

START_TEST(a_huge_file_is_not_read_to_its_end_and_respected)
{
	char path[160];

	lab_put_bytes(&lab, ID, "x", 1);
	snprintf(path, sizeof(path), "%s/locks/%s", lab.path, ID);
	ck_assert_int_eq(truncate(path, (off_t)1 << 40), 0);
	check_unreadable(ID, true);
}
END_TEST

/* Under its right name: an id that the test can foresee. */
static void put_under_its_hash(const void *bytes, size_t len, char id[65])
{
	struct buf b;

	buf_init(&b, 4096);
	ck_assert_int_eq(buf_add(&b, bytes, len, &e), RC_OK);
	ck_assert_int_eq(restic_id_of(id, &b, &e), RC_OK);
	buf_release(&b);
	lab_put_bytes(&lab, id, bytes, len);
}

START_TEST(what_no_key_of_ours_sealed_is_respected)
{
	static const size_t lengths[] = { 1, 31, 32, 135 };
	struct lock *lock = lab_lock(&lab, LOCK_SHARED, false);
	char id[65];

	memset(said, 7, sizeof(said));
	put_under_its_hash(said, lengths[_i], id);
	ck_assert_int_eq(acquire(lock), RC_MALFORMED);
	ck_assert_int_eq(lab_count(&lab), 1);
	ck_assert_int_eq(remove_one(lock, id, true, false), RC_OK);
	end(lock);
}
END_TEST

START_TEST(names_that_are_none_of_a_lock_are_passed_over)
{
	struct lock *lock;
	struct listed l;

	lab_put_bytes(&lab, "README", "x", 1);
	lab_put_bytes(&lab, ID "-tmp-12345", "x", 1);
	lock = take(LOCK_EXCLUSIVE);
	list(lock, &l);
	ck_assert_int_eq(l.count, 1);
	end(lock);
	ck_assert_int_eq(lab_count(&lab), 0);
	ck_assert_int_eq(lab_count_all(&lab), 2);
	lab_empty(&lab);
}
END_TEST

/* --- opening --- */

static void refused_open(enum rc rc, const char *says)
{
	struct lock *lock = NULL;

	ck_assert_int_eq(lab_try(&lab, &lock, &e), rc);
	ck_assert_ptr_null(lock);
	ck_assert_msg(strstr(e.text, says), "\"%s\" in \"%s\"", says, e.text);
}

START_TEST(a_wrong_password_is_told)
{
	setenv("RESTIC_PASSWORD", "Geheim", 1);
	refused_open(RC_DENIED, "wrong password");
	refused_open(RC_DENIED, lab.path);
}
END_TEST

START_TEST(no_password_is_told)
{
	unsetenv("RESTIC_PASSWORD");
	refused_open(RC_DENIED, "RESTIC_PASSWORD_FILE");
}
END_TEST

static int asked;

static bool ask_third_time_right(const char *prompt, char *answer, size_t size)
{
	static const char *const answers[] = { "", "wrong", "geheim", "?" };

	ck_assert_str_eq(prompt, "enter password for repository: ");
	text_copy(answer, size, answers[asked++]);
	return true;
}

static bool ask_wrong(const char *prompt, char *answer, size_t size)
{
	(void)prompt;
	text_copy(answer, size, "wrong");
	asked++;
	return true;
}

static bool ask_nobody(const char *prompt, char *answer, size_t size)
{
	(void)prompt;
	(void)answer;
	(void)size;
	return false;
}

START_TEST(the_password_is_asked_for_three_times)
{
	struct location location = { 0 };
	struct lock_wish wish = { .location = &location, .self = &lab.self };
	struct lock *lock = NULL;

	unsetenv("RESTIC_PASSWORD");
	ck_assert_int_eq(location_parse(&location, lab.location, &e), RC_OK);
	asked = 0;
	wish.ask = ask_third_time_right;
	ck_assert_int_eq(lock_open(&lock, &wish, &unlimited, &e), RC_OK);
	lock_close(lock);
	lock = NULL;
	ck_assert_int_eq(asked, 3);
	asked = 0;
	wish.ask = ask_wrong;
	ck_assert_int_eq(lock_open(&lock, &wish, &unlimited, &e), RC_DENIED);
	ck_assert_int_eq(asked, 3);
	wish.ask = ask_nobody;
	ck_assert_int_ne(lock_open(&lock, &wish, &unlimited, &e), RC_OK);
	ck_assert_ptr_nonnull(strstr(e.text, "no password was entered"));
	location_release(&location);
}
END_TEST

/* A copy of the lab's repository, to be spoiled. */
static void copy_to(struct lab *copy)
{
	char from[64], line[320];

	lab_open(copy, 2);
	memcpy(from, copy->path, sizeof(from));
	snprintf(copy->path, sizeof(copy->path), "%.50s.copy2", from);
	snprintf(copy->location, sizeof(copy->location), "restic:%s", copy->path);
	snprintf(line, sizeof(line),
		 "rm -rf %s && mkdir %s && cd %s && cp -a config keys locks %s",
		 copy->path, copy->path, from, copy->path);
	ck_assert_int_eq(system(line), 0);
}

#define CHEAP "\"N\":2,\"r\":1,\"p\":1"

static struct lab spoiled;

static void spoil(const char *line)
{
	char whole[512];

	copy_to(&spoiled);
	snprintf(whole, sizeof(whole), "cd %s && %s", spoiled.path, line);
	ck_assert_int_eq(system(whole), 0);
}

static enum rc open_spoiled(void)
{
	struct location location = { 0 };
	struct lock_wish wish = { .location = &location,
				  .mode = LOCK_EXCLUSIVE,
				  .self = &lab.self };
	struct lock *lock = NULL;
	enum rc rc;

	ck_assert_int_eq(location_parse(&location, spoiled.location, &e), RC_OK);
	e.text[0] = '\0';
	rc = lock_open(&lock, &wish, &unlimited, &e);
	lock_close(lock);
	location_release(&location);
	ck_assert_int_eq(lab_count(&spoiled), 0);
	return rc;
}

static void says(const char *part)
{
	ck_assert_msg(strstr(e.text, part), "\"%s\" in \"%s\"", part, e.text);
}

static const struct {
	const char *line;
	enum rc rc;
	const char *says;
} spoilings[] = {
	{ "true", RC_OK, "" },
	{ "rm -f config", RC_ABSENT, "no restic repository" },
	{ "rm -rf *", RC_ABSENT, "no restic repository" },
	{ "rm -f keys/*", RC_MALFORMED, "no key file" },
	{ "rm -f keys/* && mkdir key && touch key/x", RC_UNSUPPORTED, "s3legacy" },
	{ "for k in keys/*; do echo >>$k; done", RC_MALFORMED,
	  "does not match its name" },
	{ "for k in keys/*; do cat $k >k; printf '{' >k; mv k "
	  "keys/$(sha256sum <k | cut -c-64); rm $k; done",
	  RC_MALFORMED, "no valid JSON" },
	{ "for k in keys/*; do sed 's/\"N\":2,/\"N\":4194304,/' $k >k; "
	  "sed -i 's/\"r\":1,/\"r\":8,/' k; "
	  "mv k keys/$(sha256sum <k | cut -c-64); rm $k; done",
	  RC_UNSUPPORTED, "limit: 256 MiB" },
	{ "printf x >c && cat config >>c && mv c config", RC_MALFORMED, "config" },
	{ "rm -f config && : >config", RC_MALFORMED, "config" },
	{ "rm -f config && truncate -s 1T config", RC_MALFORMED, "config" },
	/* One bad key file does not shut out the owner of a good one. */
	{ "echo x >keys/" ID, RC_OK, "" },
};

START_TEST(a_spoiled_repository_is_told_from_a_good_one)
{
	spoil(spoilings[_i].line);
	ck_assert_msg(open_spoiled() == spoilings[_i].rc, "%s", e.text);
	says(spoilings[_i].says);
}
END_TEST

START_TEST(a_version_that_is_not_known_is_left_alone)
{
	spoil("true");
	lab_set_config(spoiled.path, "{\"version\":3,\"id\":\"x\"}");
	ck_assert_int_eq(open_spoiled(), RC_UNSUPPORTED);
	says("version 3");
	lab_set_config(spoiled.path, "{\"version\":2,\"id\":\"x\"}");
	ck_assert_int_eq(open_spoiled(), RC_OK);
}
END_TEST

START_TEST(of_a_thousand_keys_twenty_are_tried_and_the_hinted_one_first)
{
	char hint[65];

	spoil("rm -f keys/* && for i in $(seq 1000); do "
	      "echo $i >keys/$(printf %064x $i); done");
	ck_assert_int_eq(open_spoiled(), RC_MALFORMED);
	says("does not match its name");
	/* Good ones, of other people. */
	spoil("rm -f keys/*");
	for (int i = 0; i < 30; i++)
		lab_add_key(spoiled.path, "another", CHEAP, hint);
	ck_assert_int_eq(open_spoiled(), RC_DENIED);
	says("20 of 30");
	says("RESTIC_KEY_HINT");
	/* Ours, whichever place it has by its name. */
	lab_add_key(spoiled.path, "geheim", CHEAP, hint);
	hint[12] = '\0';
	setenv("RESTIC_KEY_HINT", hint, 1);
	ck_assert_msg(open_spoiled() == RC_OK, "%s", e.text);
}
END_TEST

START_TEST(a_repository_without_a_password_needs_the_word)
{
	struct location location = { 0 };
	struct lock_wish wish = { .location = &location,
				  .self = &lab.self,
				  .no_password = true };
	struct lock *lock = NULL;
	char id[65];

	spoil("rm -f keys/*");
	lab_add_key(spoiled.path, "", CHEAP, id);
	ck_assert_int_eq(open_spoiled(), RC_DENIED);
	unsetenv("RESTIC_PASSWORD");
	ck_assert_int_eq(location_parse(&location, spoiled.location, &e), RC_OK);
	ck_assert_int_eq(lock_open(&lock, &wish, &unlimited, &e), RC_OK);
	lock_close(lock);
	location_release(&location);
}
END_TEST

START_TEST(without_permission_nothing_is_changed)
{
	spoil("chmod 755 . && chmod 444 config keys/* && chmod 755 keys "
	      "locks");
	if (geteuid() != 0)
		return; /* only root can become nobody */
	ck_assert_int_eq(chmod(spoiled.path, 0755), 0);
	{
		char base[64];

		text_copy(base, sizeof(base), spoiled.path);
		*strrchr(base, '/') = '\0';
		ck_assert_int_eq(chmod(base, 0755), 0);
	}
	if (fork() == 0) {
		struct location location = { 0 };
		struct lock_wish wish = { .location = &location,
					  .mode = LOCK_EXCLUSIVE,
					  .self = &lab.self };
		struct lock *lock = NULL;
		enum rc rc;

		if (seteuid(65534) != 0 ||
		    location_parse(&location, spoiled.location, &e) != RC_OK ||
		    lock_open(&lock, &wish, &unlimited, &e) != RC_OK)
			_exit(1);
		rc = acquire(lock);
		if (rc != RC_DENIED || !strstr(e.text, "permission denied")) {
			fprintf(stderr, "%s: %s\n", rc_name(rc), e.text);
			_exit(2);
		}
		if (release(lock) != RC_OK)
			_exit(3);
		_exit(0);
	}
	{
		int status = -1;

		wait(&status);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(lab_count(&spoiled), 0);
}
END_TEST

static TCase *case_of(Suite *s, const char *name, int version)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, version == 1 ? setup_1 : setup_2, teardown);
	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return t;
}

static void add_of_both_versions(TCase *t)
{
	tcase_add_test(t, our_exclusive_lock_keeps_restic_out);
	tcase_add_test(t, our_shared_lock_lets_backup_in_and_keeps_prune_out);
	tcase_add_test(t, restic_lists_and_shows_our_lock);
	tcase_add_test(t, restic_unlock_leaves_ours_in_place);
	tcase_add_test(t,
		       a_running_backup_keeps_exclusive_out_and_lets_shared_in);
	tcase_add_test(t, an_exclusive_lock_waits_in_place_for_shared_holders);
	tcase_add_test(t, a_lock_that_restic_removed_is_lost);
	tcase_add_test(t, a_refresh_renames_the_file_and_keeps_the_token);
}

static void add_holding(TCase *t)
{
	tcase_add_test(t, a_lock_file_is_written_as_restic_writes_it);
	tcase_add_test(t, a_missing_locks_folder_is_no_lock_and_is_made);
	tcase_add_test(t, a_foreign_exclusive_lock_keeps_both_out);
	tcase_add_test(t, shared_holders_do_not_mind_each_other);
	tcase_add_test(t, waiting_ends_when_the_lock_in_the_way_goes);
	tcase_add_test(t, waiting_is_over_with_patience);
	tcase_add_test(t, a_drain_that_is_given_up_leaves_nothing);
	tcase_add_test(t, a_shared_holder_is_not_lost_by_one_that_waits_for_it);
	tcase_add_test(t, a_drain_whose_claim_was_removed_starts_anew);
	tcase_add_test(t, of_two_drainers_the_younger_withdraws);
	tcase_add_test(t, of_two_drainers_the_older_stays);
	tcase_add_test(t, many_of_both_modes_never_overlap);
	tcase_add_test(t, of_two_that_do_not_wait_one_gets_a_free_lock);
	tcase_add_test(t, two_files_of_a_refresh_are_one_lock);
	tcase_add_test(t, a_loss_before_it_was_watched_for_is_seen_at_once);
	tcase_add_test(t, the_file_of_a_refresh_is_watched_as_well);
	tcase_add_test(t, a_loss_is_seen_where_no_watch_can_be_had);
	tcase_add_test(
		t, a_lock_that_was_only_touched_is_not_lost_nor_written_anew);
	tcase_add_test(t, a_conflicting_lock_that_stays_beside_ours_is_a_loss);
	tcase_add_test(t, a_shared_lock_beside_our_shared_one_is_none);
	tcase_add_test(
		t, an_old_file_that_goes_before_the_new_one_was_proved_is_a_loss);
	tcase_add_test(t, a_refresh_that_was_cut_off_is_made_good_by_the_next);
	tcase_add_test(t, a_refresh_that_was_cut_off_is_released_as_a_whole);
	tcase_add_test(t,
		       an_acquire_that_was_cut_off_leaves_nothing_after_release);
	tcase_add_test(t, release_removes_nothing_but_ours);
}

/* Where a pid of a lock of restic's own means nothing, nothing is proved. */
static void add_stale(TCase *t)
{
	tcase_add_test(
		t, a_lock_of_another_host_is_not_proved_stale_before_its_time);
	tcase_add_test(t, a_lock_that_was_refreshed_since_it_was_listed_lives);
	if (!liveness_initial_pid_ns())
		return;
	tcase_add_test(t, a_conflicting_lock_of_a_dead_process_is_none);
	tcase_add_test(t, a_dead_process_on_this_host_is_cleared_while_acquiring);
	tcase_add_test(t, what_is_cleared_while_acquiring_is_as_was_wished);
	tcase_add_test(t, a_killed_backup_is_cleared);
	tcase_add_test(t, a_live_lock_stays_unless_forced);
	tcase_add_test(
		t, a_stale_lock_is_removed_with_the_older_file_of_its_holder);
}

static void add_unreadable(TCase *t)
{
	tcase_add_test(t, an_empty_file_is_no_lock_but_is_shown);
	tcase_add_test(t, a_file_that_is_not_what_its_name_says_is_respected);
	tcase_add_test(t, a_huge_file_is_not_read_to_its_end_and_respected);
	tcase_add_loop_test(t, what_no_key_of_ours_sealed_is_respected, 0, 4);
	tcase_add_test(t, names_that_are_none_of_a_lock_are_passed_over);
}

static void add_opening(TCase *t)
{
	tcase_add_test(t, a_wrong_password_is_told);
	tcase_add_test(t, no_password_is_told);
	tcase_add_test(t, the_password_is_asked_for_three_times);
	tcase_add_loop_test(t, a_spoiled_repository_is_told_from_a_good_one, 0,
			    sizeof(spoilings) / sizeof(spoilings[0]));
	tcase_add_test(t, a_version_that_is_not_known_is_left_alone);
	tcase_add_test(
		t, of_a_thousand_keys_twenty_are_tried_and_the_hinted_one_first);
	tcase_add_test(t, a_repository_without_a_password_needs_the_word);
	tcase_add_test(t, without_permission_nothing_is_changed);
}

int main(void)
{
	Suite *s = suite_create("restic");
	SRunner *runner;
	int failed;

	lab_build();
	add_of_both_versions(case_of(s, "version 1", 1));
	add_of_both_versions(case_of(s, "version 2", 2));
	add_holding(case_of(s, "holding", 2));
	add_stale(case_of(s, "stale", 2));
	add_unreadable(case_of(s, "unreadable", 2));
	add_opening(case_of(s, "opening", 2));
	tcase_add_test(case_of(s, "refresh", 2),
		       restic_never_gets_in_during_a_thousand_refreshes);

	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	lab_raze();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
