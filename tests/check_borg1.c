/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "borg_fixture.h"
#include "faulty.h"
#include "lock/borg1.h"
#include "util/text.h"

#define SOUND "README config data"

static char path[512];

static const char *at(const char *format, long pid)
{
	static char texts[4][256];
	static unsigned next;
	char *text = texts[next++ % 4];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(text, 256, format, pid);
#pragma GCC diagnostic pop
	return text;
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", repo, name);
	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void make_exclusive_dir(void)
{
	(void)snprintf(path, sizeof(path), "%s/lock.exclusive", repo);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

/* A lock of borg's own making, by a process that is not ours. */
static void plant_exclusive(const char *host, long pid)
{
	char name[300];

	make_exclusive_dir();
	(void)snprintf(name, sizeof(name), "lock.exclusive/%s.%ld-0", host, pid);
	repo_write(name, "");
	(void)snprintf(name, sizeof(name),
		       "{\"exclusive\": [[\"%s\", %ld, 0]]}", host, pid);
	repo_write("lock.roster", name);
}

static void plant_shared(const char *host, long pid)
{
	char text[300];

	(void)snprintf(text, sizeof(text), "{\"shared\": [[\"%s\", %ld, 0]]}",
		       host, pid);
	repo_write("lock.roster", text);
}

/* --- on disk --- */

START_TEST(an_exclusive_lock_is_what_borg_would_write)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);

	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_str_eq(repo_names(""),
			 "README config data lock.exclusive lock.roster");
	ck_assert_str_eq(repo_names("lock.exclusive"),
			 at("here@1.%ld-0", getpid()));
	ck_assert_str_eq(repo_read("lock.roster"),
			 at("{\"exclusive\": [[\"here@1\", %ld, 0]]}", getpid()));
	ck_assert_int_eq(mode_of("lock.exclusive"), 0700);
	ck_assert_int_eq(mode_of("lock.roster"), 0600);
	ck_assert_int_eq(mode_of(at("lock.exclusive/here@1.%ld-0", getpid())),
			 0600);
	done(l);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(a_shared_lock_is_an_entry_of_the_roster_and_nothing_else)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);

	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND " lock.roster");
	ck_assert_str_eq(repo_read("lock.roster"),
			 at("{\"shared\": [[\"here@1\", %ld, 0]]}", getpid()));
	done(l);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(what_is_made_is_as_open_as_the_repository)
{
	struct lock *l;

	ck_assert_int_eq(chmod(repo, 02770), 0);
	l = OPEN(.mode = LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(mode_of("lock.exclusive"), 02770);
	ck_assert_int_eq(mode_of("lock.roster"), 0660);
	done(l);
}
END_TEST

START_TEST(the_term_is_without_end)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);

	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(term.valid, NSEC_FOREVER);
	ck_assert_int_le(term.refresh_in, NSEC_PER_SEC);
	ck_assert_int_eq(refresh(l), RC_OK);
	ck_assert_int_eq(term.valid, NSEC_FOREVER);
	done(l);
}
END_TEST

START_TEST(other_members_of_the_roster_are_kept)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);

	repo_write("lock.roster", "{\"new\": 1, \"shared\": [[\"x@9\", 7, 0]]}");
	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_str_eq(repo_read("lock.roster"),
			 at("{\"new\": 1, \"shared\": [[\"x@9\", 7, 0], "
			    "[\"here@1\", %ld, 0]]}",
			    getpid()));
	done(l);
	ck_assert_str_eq(repo_read("lock.roster"),
			 "{\"new\": 1, \"shared\": [[\"x@9\", 7, 0]]}");
}
END_TEST

/* --- against each other --- */

START_TEST(an_exclusive_lock_keeps_everybody_out)
{
	struct lock *a = OPEN(.mode = LOCK_EXCLUSIVE);
	struct lock *b = OPEN(.mode = LOCK_EXCLUSIVE, .pid = getppid());
	struct lock *c = OPEN(.mode = LOCK_SHARED, .pid = getppid());

	ck_assert_int_eq(acquire(a), RC_OK);
	ck_assert_int_eq(acquire(b), RC_BUSY);
	ck_assert_int_eq(holder.pid, getpid());
	ck_assert_str_eq(holder.host, "here");
	ck_assert_int_eq(holder.mode, LOCK_EXCLUSIVE);
	ck_assert_int_eq(holder.alive, LOCK_ALIVE_YES);
	ck_assert_int_eq(acquire(c), RC_BUSY);
	done(a);
	ck_assert_int_eq(acquire(b), RC_OK);
	done(b);
	ck_assert_int_eq(acquire(c), RC_OK);
	done(c);
}
END_TEST

START_TEST(shared_locks_go_together_and_keep_exclusive_ones_out)
{
	struct lock *a = OPEN(.mode = LOCK_SHARED);
	struct lock *b = OPEN(.mode = LOCK_SHARED, .pid = getppid());
	struct lock *x = OPEN(.mode = LOCK_EXCLUSIVE, .pid = 1);

	ck_assert_int_eq(acquire(a), RC_OK);
	ck_assert_int_eq(acquire(b), RC_OK);
	ck_assert_int_eq(acquire(x), RC_BUSY);
	ck_assert_int_eq(holder.mode, LOCK_SHARED);
	/* or the shared holders could not go */
	ck_assert(!repo_has("lock.exclusive"));
	done(a);
	ck_assert_int_eq(acquire(x), RC_BUSY);
	ck_assert_int_eq(holder.pid, getppid());
	done(b);
	ck_assert_int_eq(acquire(x), RC_OK);
	done(x);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(a_refused_try_leaves_nothing_behind)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);

	plant_exclusive("other@2", 77);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_str_eq(repo_names(""),
			 "README config data lock.exclusive lock.roster");
	ck_assert_str_eq(repo_names("lock.exclusive"), "other@2.77-0");
	ck_assert_str_eq(repo_read("lock.roster"),
			 "{\"exclusive\": [[\"other@2\", 77, 0]]}");
	done(l);
}
END_TEST

START_TEST(who_waits_is_woken_by_the_release)
{
	struct lock *a = OPEN(.mode = LOCK_EXCLUSIVE);
	struct lock *b = OPEN(.mode = _i ? LOCK_SHARED : LOCK_EXCLUSIVE,
			      .pid = getppid());
	struct boot begun;

	ck_assert_int_eq(acquire(a), RC_OK);
	ck_assert_int_eq(acquire(b), RC_BUSY);
	done(a);
	begun = boot_now();
	ck_assert_int_eq(wait_for(b, 50 * NSEC_PER_SEC), RC_OK);
	/* Long before its patience is over. */
	ck_assert_int_lt(boot_until(begun, boot_now()), 25 * NSEC_PER_SEC);
	ck_assert_int_eq(acquire(b), RC_OK);
	done(b);
}
END_TEST

START_TEST(who_waits_for_readers_is_woken_when_the_last_goes)
{
	struct lock *a = OPEN(.mode = LOCK_SHARED);
	struct lock *x = OPEN(.mode = LOCK_EXCLUSIVE, .pid = getppid());
	struct boot begun = boot_now();
	pid_t child;

	ck_assert_int_eq(acquire(a), RC_OK);
	ck_assert_int_eq(acquire(x), RC_BUSY);
	child = fork();
	if (child == 0) {
		(void)usleep(50 * 1000);
		_exit(release(a) != RC_OK);
	}
	while (acquire(x) == RC_BUSY)
		ck_assert_int_eq(wait_for(x, 50 * NSEC_PER_SEC), RC_OK);
	ck_assert_int_eq(term.valid, NSEC_FOREVER);
	ck_assert_int_lt(boot_until(begun, boot_now()), 25 * NSEC_PER_SEC);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	done(x);
	lock_close(a);
}
END_TEST

/* Whoever edits the roster is in lock.exclusive, too; here for 20 ms. */
static enum rc acquire_behind_an_edit(struct lock *l)
{
	pid_t child;
	enum rc rc;

	make_exclusive_dir();
	repo_write("lock.exclusive/far@2.9-0", "");
	child = fork();
	if (child == 0) {
		(void)usleep(20 * 1000);
		repo_delete("lock.exclusive/far@2.9-0");
		repo_delete("lock.exclusive");
		_exit(0);
	}
	rc = acquire(l);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	return rc;
}

START_TEST(who_does_not_wait_gets_in_behind_an_edit_but_not_a_lock)
{
	struct lock *l = OPEN(.mode = _i ? LOCK_SHARED : LOCK_EXCLUSIVE,
			      .hasty = true);
	enum rc rc = RC_BUSY;

	/* A busy machine may keep the child from its turn for too long. */
	for (int i = 0; rc == RC_BUSY && i < 20; i++)
		rc = acquire_behind_an_edit(l);
	ck_assert_int_eq(rc, RC_OK);
	ck_assert_int_eq(release(l), RC_OK);
	plant_exclusive("far@2", 9);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	repo_set_age("lock.exclusive/far@2.9-0", 10);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	done(l);
}
END_TEST

/* --- stale ones --- */

START_TEST(the_lock_of_a_dead_process_of_this_host_is_cleared)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE, .clear = LOCK_BREAK_SAFE);

	plant_exclusive("here@1", dead_pid());
	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_str_eq(repo_names("lock.exclusive"),
			 at("here@1.%ld-0", getpid()));
	ck_assert_str_eq(repo_read("lock.roster"),
			 at("{\"exclusive\": [[\"here@1\", %ld, 0]]}", getpid()));
	done(l);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(nothing_is_cleared_when_told_not_to)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE, .clear = LOCK_BREAK_NONE);
	struct lock *m = OPEN(.mode = LOCK_EXCLUSIVE, .clear = LOCK_BREAK_SAFE);

	plant_exclusive("here@1", dead_pid());
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_STALE);
	ck_assert_int_eq(acquire(m), RC_OK);
	ck_assert_int_eq(release(m), RC_OK);
	plant_shared("here@1", dead_pid());
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_STALE);
	ck_assert_int_eq(acquire(m), RC_OK);
	done(m);
	done(l);
}
END_TEST

START_TEST(the_lock_of_another_host_is_never_cleared)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE, .clear = LOCK_BREAK_ALL);

	plant_exclusive("other@1", dead_pid());
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(holder.alive, LOCK_ALIVE_UNKNOWN);
	ck_assert_int_eq(holder.state, LOCK_HELD);
	done(l);
	ck_assert(repo_has("lock.exclusive"));
}
END_TEST

START_TEST(dead_readers_are_cleared_and_living_ones_stay)
{
	struct lock *x = OPEN(.mode = LOCK_EXCLUSIVE, .clear = LOCK_BREAK_SAFE);
	struct lock *s = OPEN(.mode = LOCK_SHARED, .clear = LOCK_BREAK_SAFE);
	char text[300];

	(void)snprintf(text, sizeof(text),
		       "{\"shared\": [[\"here@1\", %d, 0], [\"here@1\", %d, 0], "
		       "[\"far@2\", 1, 0]]}",
		       dead_pid(), getppid());
	repo_write("lock.roster", text);
	ck_assert_int_eq(acquire(x), RC_BUSY);
	ck_assert_int_eq(acquire(s), RC_OK);
	ck_assert_str_eq(repo_read("lock.roster"),
			 at(at("{\"shared\": [[\"here@1\", %ld, 0], "
			       "[\"far@2\", 1, 0], [\"here@1\", %%ld, 0]]}",
			       getppid()),
			    getpid()));
	done(s);
	plant_shared("here@1", dead_pid());
	ck_assert_int_eq(acquire(x), RC_OK);
	done(x);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(a_malformed_name_is_respected)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE, .clear = LOCK_BREAK_ALL);

	make_exclusive_dir();
	repo_write("lock.exclusive/.nfs00001", "");
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_UNREADABLE);
	ck_assert_ptr_nonnull(strstr(holder.detail, ".nfs00001"));
	done(l);
	ck_assert(repo_has("lock.exclusive/.nfs00001"));
}
END_TEST

START_TEST(a_fresh_empty_directory_is_taken_for_a_lock_that_comes)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);

	make_exclusive_dir();
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_str_eq(repo_names(""), SOUND " lock.exclusive");
	repo_set_age("lock.exclusive", 60);
	ck_assert_int_eq(acquire(l), RC_OK);
	done(l);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

static const char *const muddles[] = {
	"", "{\"shared\": [[\"here@1\", 1", "[]",
	"{\"shared\": [[\"far@1\", 1, 0, \"more\"]]}"
};

START_TEST(an_unreadable_roster_is_respected)
{
	enum lock_mode mode = _i % 2 ? LOCK_SHARED : LOCK_EXCLUSIVE;
	struct lock *l = OPEN(.mode = mode, .clear = LOCK_BREAK_ALL);

	repo_write("lock.roster", muddles[_i / 2]);
	repo_set_age("lock.roster", 60); /* nobody is writing it */
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_UNREADABLE);
	ck_assert_str_eq(repo_read("lock.roster"), muddles[_i / 2]);
	ck_assert(!repo_has("lock.exclusive"));
	done(l);
}
END_TEST

/* --- loss --- */

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

START_TEST(a_removed_lock_is_noticed_at_once)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);
	int fd;

	ck_assert_int_eq(acquire(l), RC_OK);
	fd = loss_fd(l);
	ck_assert(!readable(fd));
	ck_assert_int_eq(refresh(l), RC_OK);
	/* what borg break-lock does */
	repo_delete("lock.roster");
	repo_delete(at("lock.exclusive/here@1.%ld-0", getpid()));
	repo_delete("lock.exclusive");
	ck_assert(readable(fd));
	ck_assert_int_eq(refresh(l), RC_LOST);
	ck_assert_int_eq(release(l), RC_LOST);
	ck_assert_str_eq(repo_names(""), SOUND);
	ck_assert_int_eq(release(l), RC_OK);
	lock_close(l);
}
END_TEST

START_TEST(a_directory_that_is_moved_away_is_noticed_at_once)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);
	char to[512];
	int fd;

	ck_assert_int_eq(acquire(l), RC_OK);
	fd = loss_fd(l);
	ck_assert_int_eq(refresh(l), RC_OK);
	ck_assert(!readable(fd));
	(void)snprintf(path, sizeof(path), "%s/lock.exclusive", repo);
	(void)snprintf(to, sizeof(to), "%s/aside", repo);
	ck_assert_int_eq(rename(path, to), 0);
	ck_assert(readable(fd));
	ck_assert_int_eq(refresh(l), RC_LOST);
	ck_assert_int_eq(release(l), RC_LOST);
	lock_close(l);
}
END_TEST

START_TEST(a_removed_entry_is_noticed_at_once)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);
	int fd;

	ck_assert_int_eq(acquire(l), RC_OK);
	fd = loss_fd(l);
	ck_assert(!readable(fd));
	plant_shared("far@2", 5);
	ck_assert(readable(fd));
	ck_assert_int_eq(refresh(l), RC_LOST);
	ck_assert_int_eq(release(l), RC_LOST);
	ck_assert_str_eq(repo_read("lock.roster"),
			 "{\"shared\": [[\"far@2\", 5, 0]]}");
	lock_close(l);
}
END_TEST

START_TEST(an_entry_that_others_come_and_go_beside_is_not_lost)
{
	struct lock *a = OPEN(.mode = LOCK_SHARED);
	struct lock *b = OPEN(.mode = LOCK_SHARED, .pid = getppid());
	int fd;

	ck_assert_int_eq(acquire(a), RC_OK);
	fd = loss_fd(a);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(acquire(b), RC_OK);
		ck_assert(readable(fd));
		ck_assert_int_eq(refresh(a), RC_OK);
		ck_assert(!readable(fd));
		ck_assert_int_eq(release(b), RC_OK);
		ck_assert_int_eq(refresh(a), RC_OK);
	}
	lock_close(b);
	done(a);
}
END_TEST

START_TEST(what_went_before_it_was_watched_is_told)
{
	struct lock *l = OPEN(.mode = _i ? LOCK_SHARED : LOCK_EXCLUSIVE);

	ck_assert_int_eq(acquire(l), RC_OK);
	repo_delete("lock.roster");
	if (_i == 0)
		repo_delete(at("lock.exclusive/here@1.%ld-0", getpid()));
	ck_assert(readable(loss_fd(l)));
	ck_assert_int_eq(refresh(l), RC_LOST);
	ck_assert_int_eq(release(l), RC_LOST);
	lock_close(l);
}
END_TEST

START_TEST(an_owner_beside_us_means_that_it_is_lost)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);

	ck_assert_int_eq(acquire(l), RC_OK);
	repo_write("lock.exclusive/.nfs0001", ""); /* nobody */
	ck_assert_int_eq(refresh(l), RC_OK);
	repo_write("lock.exclusive/far@2.7-0", "");
	ck_assert_int_eq(refresh(l), RC_LOST);
	ck_assert_int_eq(release(l), RC_OK);
	ck_assert_str_eq(repo_names("lock.exclusive"), ".nfs0001 far@2.7-0");
	lock_close(l);
}
END_TEST

START_TEST(a_roster_that_is_being_written_is_looked_at_again)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);
	char saved[256];

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(saved, sizeof(saved), repo_read("lock.roster"));
	repo_write("lock.roster", "");
	ck_assert_int_eq(refresh(l), RC_RETRY);
	repo_write("lock.roster", saved);
	ck_assert_int_eq(refresh(l), RC_OK);
	done(l);
}
END_TEST

START_TEST(a_roster_that_stays_unreadable_is_a_loss)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);
	enum rc rc;

	ck_assert_int_eq(acquire(l), RC_OK);
	repo_write("lock.roster", "{");
	while ((rc = refresh(l)) == RC_RETRY)
		;
	ck_assert_int_eq(rc, RC_LOST);
	/* Our entry may be in there still. */
	ck_assert_int_eq(release(l), RC_RETRY);
	ck_assert_ptr_nonnull(strstr(e.text, "stays in lock.roster"));
	repo_delete("lock.roster");
	ck_assert_int_eq(release(l), RC_LOST);
	lock_close(l);
}
END_TEST

/* A lock whose store fails by script. */
static struct lock *open_faulty(struct want want, struct store **store)
{
	struct lock_wish wish = { .mode = want.mode, .wait = !want.hasty };
	struct borg_host host;
	struct self self;
	struct lock *l = NULL;

	self_fill(&self);
	wish.self = &self;
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_OK);
	ck_assert_int_eq(
		store_open(store, "", repo, &borg1_manners, &patient, &e), RC_OK);
	*store = faulty_open(*store);
	ck_assert_int_eq(borg1_open(&l, &wish, *store, &host, &e), RC_OK);
	return l;
}

static void break_and_take(void *unused)
{
	(void)unused;
	repo_delete(at("lock.exclusive/here@1.%ld-0", getpid()));
	repo_delete("lock.exclusive");
	plant_exclusive("far@2", 9);
}

/* borg break-lock, and somebody quick: after our rename, before our edit. */
START_TEST(a_lock_that_is_broken_while_it_is_taken_is_not_had)
{
	const struct fault script[] = { { FAULTY_PUT, .nth = 3,
					  .how = FAULT_BEFORE,
					  .meanwhile = break_and_take },
					{ 0 } };
	struct want want = { .mode = LOCK_EXCLUSIVE, .hasty = true };
	struct store *store;
	struct lock *l = open_faulty(want, &store);

	faulty_script(store, script);
	ck_assert_int_eq(acquire(l), RC_RETRY);
	ck_assert_str_eq(repo_names("lock.exclusive"), "far@2.9-0");
	faulty_heal(store);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(release(l), RC_OK);
	ck_assert_str_eq(repo_names("lock.exclusive"), "far@2.9-0");
	lock_close(l);
}
END_TEST

START_TEST(a_lost_lock_is_not_taken_from_who_has_it_now)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);

	ck_assert_int_eq(acquire(l), RC_OK);
	repo_delete("lock.roster");
	repo_delete(at("lock.exclusive/here@1.%ld-0", getpid()));
	repo_delete("lock.exclusive");
	plant_exclusive("far@2", 9);
	ck_assert_int_eq(release(l), RC_LOST);
	ck_assert_str_eq(repo_names("lock.exclusive"), "far@2.9-0");
	ck_assert_str_eq(repo_read("lock.roster"),
			 "{\"exclusive\": [[\"far@2\", 9, 0]]}");
	lock_close(l);
}
END_TEST

/* --- a roster that others write in place --- */

static char whole_roster[256];

static void half_write(void *unused)
{
	(void)unused;
	text_copy(whole_roster, sizeof(whole_roster), repo_read("lock.roster"));
	make_exclusive_dir();
	repo_write("lock.exclusive/far@2.9-0", "");
	repo_write("lock.roster", "{\"shared\": [[\"fa");
}

static void write_the_rest(void *unused)
{
	(void)unused;
	repo_write("lock.roster", whole_roster);
	repo_delete("lock.exclusive/far@2.9-0");
	repo_delete("lock.exclusive");
}

/* The first look finds it half written, the fifth whole. */
static const struct fault slow_writer[] = {
	{ FAULTY_GET, .nth = 1, .how = FAULT_BEFORE, .meanwhile = half_write },
	{ FAULTY_GET, .nth = 5, .how = FAULT_BEFORE, .meanwhile = write_the_rest },
	{ 0 }
};

START_TEST(p6_a_half_written_roster_is_asked_again_at_release)
{
	struct store *store;
	struct lock *l = open_faulty((struct want){ .mode = LOCK_SHARED },
				     &store);

	ck_assert_int_eq(acquire(l), RC_OK);
	faulty_script(store, slow_writer);
	ck_assert_int_eq(release(l), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND);
	lock_close(l);
}
END_TEST

START_TEST(p6_a_half_written_roster_is_asked_again_at_refresh)
{
	struct store *store;
	struct lock *l = open_faulty((struct want){ .mode = LOCK_SHARED },
				     &store);

	ck_assert_int_eq(acquire(l), RC_OK);
	faulty_script(store, slow_writer);
	ck_assert_int_eq(refresh(l), RC_OK);
	done(l);
}
END_TEST

START_TEST(p6_a_half_written_roster_is_asked_again_at_acquire)
{
	struct want want = { .mode = LOCK_SHARED, .hasty = true };
	struct store *store;
	struct lock *l = open_faulty(want, &store);
	const struct fault meanwhile[] = { { FAULTY_LIST, .nth = 4,
					     .how = FAULT_BEFORE,
					     .meanwhile = write_the_rest },
					   { 0 } };

	plant_shared("far@2", 9);
	half_write(NULL);
	faulty_script(store, meanwhile);
	/* Nor is who edits taken for a holder. */
	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(release(l), RC_OK);
	ck_assert_str_eq(repo_read("lock.roster"), whole_roster);
	lock_close(l);
}
END_TEST

START_TEST(p6_who_is_on_the_roster_is_no_editor)
{
	struct want want = { .mode = LOCK_SHARED, .hasty = true };
	struct store *store;
	struct lock *l = open_faulty(want, &store);

	plant_exclusive("far@2", 9);
	faulty_script(store, (struct fault[]){ { 0 } });
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_le(faulty_count(store, FAULTY_LIST), 2);
	done(l);
}
END_TEST

static int listed_count(struct lock *l)
{
	int count = 0;

	ck_assert_int_eq(l->ops->list(l, keep_in_listed, &count, &patient, &e),
			 RC_OK);
	return count;
}

START_TEST(p6_a_half_written_roster_is_asked_again_by_a_listing)
{
	struct store *store;
	struct lock *l = open_faulty((struct want){ .mode = LOCK_SHARED },
				     &store);

	plant_shared("far@2", 9);
	faulty_script(store, slow_writer);
	ck_assert_int_eq(listed_count(l), 1);
	ck_assert_int_eq(listed[0].state, LOCK_HELD);
	faulty_heal(store);
	repo_write("lock.roster", "{");
	ck_assert_int_eq(listed_count(l), 1);
	ck_assert_int_eq(listed[0].state, LOCK_UNREADABLE);
	done(l);
}
END_TEST

/* Instead of waiting for it. */
static void ten_seconds_pass(struct lock *l)
{
	borg1_of(l)->release_since = boot_add(boot_now(), -10 * NSEC_PER_SEC);
}

START_TEST(p6_an_entry_that_must_stay_is_named_with_its_cure)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);
	char id[72], cure[200];

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(id, sizeof(id), mine.id);
	make_exclusive_dir();
	repo_write("lock.exclusive/far@2.9-0", "");
	ck_assert_int_eq(release(l), RC_RETRY);
	ten_seconds_pass(l);
	ck_assert_int_eq(release(l), RC_FAILED);
	ck_assert_ptr_nonnull(strstr(e.text, "held by far, pid 9"));
	(void)snprintf(cure, sizeof(cure),
		       "entry %.8s stays in lock.roster and keeps writers out: "
		       "repolock unlock -r borg:%s --force %.8s",
		       id, repo, id);
	ck_assert_ptr_nonnull(strstr(e.text, cure));
	ck_assert_int_eq(remove_id(id, true), RC_BUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "held by far, pid 9"));
	repo_delete("lock.exclusive/far@2.9-0");
	repo_delete("lock.exclusive");
	ck_assert_int_eq(remove_id(id, true), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND);
	lock_close(l);
}
END_TEST

START_TEST(p6_an_entry_in_a_roster_that_stays_unreadable_is_not_called_gone)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);
	char saved[256];

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(saved, sizeof(saved), repo_read("lock.roster"));
	repo_write("lock.roster", "{");
	ck_assert_int_eq(release(l), RC_RETRY);
	ck_assert(!repo_has("lock.exclusive"));
	ten_seconds_pass(l);
	ck_assert_int_eq(release(l), RC_FAILED);
	ck_assert_ptr_nonnull(strstr(e.text, "stays in lock.roster"));
	repo_write("lock.roster", saved);
	done(l);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(p6_an_entry_that_is_gone_is_a_loss)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);

	ck_assert_int_eq(acquire(l), RC_OK);
	plant_shared("far@2", 9);
	ck_assert_int_eq(release(l), RC_LOST);
	ck_assert_int_eq(release(l), RC_OK);
	lock_close(l);
}
END_TEST

START_TEST(p6_an_edit_whose_answer_is_lost_is_no_loss)
{
	const struct fault script[] = {
		{ FAULTY_PUT, .nth = 3, .how = FAULT_LOSE }, { 0 }
	};
	struct store *store;
	struct lock *l = open_faulty((struct want){ .mode = LOCK_SHARED },
				     &store);

	plant_shared("far@2", 9);
	ck_assert_int_eq(acquire(l), RC_OK);
	faulty_script(store, script);
	ck_assert_int_eq(release(l), RC_UNKNOWN);
	ck_assert_str_eq(repo_read("lock.roster"),
			 "{\"shared\": [[\"far@2\", 9, 0]]}");
	ck_assert_int_eq(release(l), RC_OK);
	lock_close(l);
}
END_TEST

START_TEST(p6_a_roster_is_not_lost_while_somebody_may_be_writing_it)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);
	const nsec longer_than_grace = 6 * NSEC_PER_SEC;

	ck_assert_int_eq(acquire(l), RC_OK);
	half_write(NULL);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(refresh(l), RC_RETRY);
		borg1_of(l)->muddled_since = boot_add(boot_now(),
						      -longer_than_grace);
	}
	ck_assert_int_eq(refresh(l), RC_RETRY);
	write_the_rest(NULL);
	repo_write("lock.roster", "{");
	borg1_of(l)->muddled_since = boot_add(boot_now(), -longer_than_grace);
	ck_assert_int_eq(refresh(l), RC_LOST);
	repo_write("lock.roster", whole_roster);
	done(l);
}
END_TEST

/* --- hostile rosters --- */

/* `count` entries of this host, whose processes are gone. */
static void plant_dead(int count)
{
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/lock.roster", repo);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	(void)fputs("{\"shared\": [", f);
	/* Above what the kernel gives. */
	for (int i = 0; i < count; i++)
		(void)fprintf(f, "%s[\"here@1\", %d, 0]", i ? ", " : "",
			      5000000 + i);
	(void)fputs("]}", f);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(p7_7_nobody_is_judged_of_a_roster_that_no_borg_has)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED, .hasty = true);

	plant_dead(8000);
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(listed[0].state, LOCK_UNREADABLE);
	ck_assert_ptr_nonnull(strstr(listed[0].detail, "8000 entries"));
	ck_assert_ptr_nonnull(strstr(listed[0].detail, "borg break-lock"));
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_str_eq(holder.detail, listed[0].detail);
	ck_assert_int_eq(remove_id(listed[0].id, false), RC_BUSY);
	ck_assert_int_eq(remove_id(listed[0].id, true), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND);
	done(l);
}
END_TEST

/* Somebody's litter is no reason to lose a lock. */
START_TEST(p7_7_our_own_entry_is_found_in_a_roster_of_any_length)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);
	char text[256];
	FILE *f;

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(text, sizeof(text), repo_read("lock.roster"));
	plant_dead(8000);
	(void)snprintf(path, sizeof(path), "%s/lock.roster", repo);
	f = fopen(path, "r+");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fseek(f, -2, SEEK_END), 0);
	(void)fprintf(f, ", [\"here@1\", %d, 0]]}", (int)getpid());
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(refresh(l), RC_OK);
	ck_assert_int_eq(release(l), RC_OK);
	ck_assert_int_eq(refresh(l), RC_LOST);
	lock_close(l);
}
END_TEST

struct all_listed {
	char ids[1000][72];
	int count;
};

static bool keep_id(void *context, const struct lock_info *info)
{
	struct all_listed *all = context;

	ck_assert_int_lt(all->count, 1000);
	ck_assert_int_eq(info->state, LOCK_STALE);
	text_copy(all->ids[all->count++], 72, info->id);
	return true;
}

START_TEST(p7_7_a_thousand_dead_entries_are_read_once_each)
{
	static struct all_listed all;
	struct lock_info info;
	struct store *store;
	struct lock *l = open_faulty((struct want){ .listing = true }, &store);

	borg1_of(l)->host.sees_all = true;
	plant_dead(1000);
	faulty_script(store, (struct fault[]){ { 0 } });
	ck_assert_int_eq(l->ops->list(l, keep_id, &all, &patient, &e), RC_OK);
	ck_assert_int_eq(all.count, 1000);
	ck_assert_int_eq(faulty_count(store, FAULTY_GET), 1);
	for (int i = 0; i < all.count; i++) {
		struct lock_remove what = { .id = all.ids[i] };

		ck_assert_int_eq(l->ops->remove(l, &what, &info, &patient, &e),
				 RC_OK);
	}
	ck_assert_str_eq(repo_names(""), SOUND);
	/* One for each edit, and one a second for looking. */
	ck_assert_int_lt(faulty_count(store, FAULTY_GET), 1100);
	lock_close(l);
}
END_TEST

START_TEST(p7_7_a_lock_taken_anew_since_it_was_listed_is_another_one)
{
	struct lock *holder_lock = OPEN(.mode = LOCK_EXCLUSIVE);
	struct lock *l = OPEN(.listing = true);
	struct lock_remove what = { .force = true };
	struct lock_info info;
	int count = 0;

	ck_assert_int_eq(acquire(holder_lock), RC_OK);
	ck_assert_int_eq(l->ops->list(l, keep_in_listed, &count, &patient, &e),
			 RC_OK);
	ck_assert_int_eq(count, 1);
	what.id = listed[0].id;
	ck_assert_int_eq(release(holder_lock), RC_OK);
	ck_assert_int_eq(acquire(holder_lock), RC_OK);
	ck_assert_int_eq(l->ops->remove(l, &what, &info, &patient, &e),
			 RC_ABSENT);
	ck_assert_int_eq(refresh(holder_lock), RC_OK);
	lock_close(l);
	done(holder_lock);
}
END_TEST

static void plant_private(const char *file)
{
	char name[300];

	(void)snprintf(path, sizeof(path), "%s/lock.exclusive.a_b1c2d3.tmp",
		       repo);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	if (!file)
		return;
	(void)snprintf(name, sizeof(name), "lock.exclusive.a_b1c2d3.tmp/%s",
		       file);
	repo_write(name, "");
}

static void finish_private(void *unused)
{
	(void)unused;
	repo_write(at("lock.exclusive.a_b1c2d3.tmp/here@1.%ld-0", getppid()), "");
}

/* borg makes its directory first, and then its file in it. */
START_TEST(p6_what_is_just_being_made_is_not_listed_as_unreadable)
{
	struct store *store;
	struct lock *l = open_faulty((struct want){ .listing = true }, &store);
	const struct fault script[] = { { FAULTY_LIST, .nth = 5,
					  .how = FAULT_BEFORE,
					  .meanwhile = finish_private },
					{ 0 } };

	plant_private(NULL);
	faulty_script(store, script);
	ck_assert_int_eq(listed_count(l), 1);
	ck_assert_int_eq(listed[0].state, LOCK_WAITING);
	done(l);
}
END_TEST

/* --- list and remove --- */

START_TEST(an_empty_repository_lists_nothing)
{
	ck_assert_int_eq(list(), 0);
}
END_TEST

START_TEST(an_exclusive_lock_is_listed_once_under_the_id_of_its_holder)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);

	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(list(), 1);
	ck_assert_str_eq(listed[0].id, mine.id);
	ck_assert_str_eq(listed[0].protocol, "borg1");
	ck_assert_str_eq(listed[0].host, "here");
	ck_assert_int_eq(listed[0].pid, getpid());
	ck_assert_int_eq(listed[0].state, LOCK_HELD);
	ck_assert_int_gt(listed[0].since.ns, 0);
	done(l);
}
END_TEST

START_TEST(a_shared_lock_is_listed_under_the_id_of_its_holder)
{
	struct lock *l = OPEN(.mode = LOCK_SHARED);

	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(list(), 1);
	ck_assert_str_eq(listed[0].id, mine.id);
	ck_assert_int_eq(listed[0].mode, LOCK_SHARED);
	done(l);
}
END_TEST

START_TEST(a_stale_lock_is_removed_without_force)
{
	plant_exclusive("here@1", dead_pid());
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(listed[0].state, LOCK_STALE);
	ck_assert_int_eq(listed[0].alive, LOCK_ALIVE_NO);
	ck_assert_int_eq(remove_id(listed[0].id, false), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND);
	plant_shared("here@1", dead_pid());
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(listed[0].state, LOCK_STALE);
	ck_assert_int_eq(remove_id(listed[0].id, false), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(a_living_or_foreign_lock_goes_by_force_alone)
{
	plant_exclusive(_i % 2 ? "here@1" : "far@1", getppid());
	if (_i / 2) {
		repo_delete(at(_i % 2 ? "lock.exclusive/here@1.%ld-0"
				      : "lock.exclusive/far@1.%ld-0",
			       getppid()));
		repo_delete("lock.exclusive");
		plant_shared(_i % 2 ? "here@1" : "far@1", getppid());
	}
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(listed[0].state, LOCK_HELD);
	ck_assert_int_eq(remove_id(listed[0].id, false), RC_BUSY);
	ck_assert(strlen(e.text) > 10);
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(remove_id(listed[0].id, true), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(a_lock_that_was_taken_anew_is_another_one)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);
	char id[72];

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(id, sizeof(id), mine.id);
	ck_assert_int_eq(release(l), RC_OK);
	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(remove_id(id, true), RC_ABSENT);
	ck_assert_int_eq(refresh(l), RC_OK);
	done(l);
}
END_TEST

START_TEST(malformed_and_unreadable_ones_are_listed_and_go_by_force)
{
	make_exclusive_dir();
	repo_write("lock.exclusive/malformed", "");
	repo_write("lock.roster", "{");
	ck_assert_int_eq(list(), 2);
	ck_assert_int_eq(listed[0].state, LOCK_UNREADABLE);
	ck_assert_int_eq(listed[1].state, LOCK_UNREADABLE);
	ck_assert_int_eq(remove_id(listed[0].id, false), RC_BUSY);
	ck_assert_int_eq(remove_id(listed[1].id, false), RC_BUSY);
	ck_assert_int_eq(remove_id(listed[0].id, true), RC_OK);
	ck_assert_int_eq(remove_id(listed[1].id, true), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(a_borg_that_waits_is_listed_as_waiting)
{
	plant_private(at("here@1.%ld-0", getppid()));
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(listed[0].state, LOCK_WAITING);
	ck_assert_int_eq(listed[0].pid, getppid());
	ck_assert_int_eq(remove_id(listed[0].id, false), RC_BUSY);
}
END_TEST

START_TEST(what_a_crash_left_of_waiting_is_removed)
{
	plant_private(at("here@1.%ld-0", dead_pid()));
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(listed[0].state, LOCK_STALE);
	ck_assert_int_eq(remove_id(listed[0].id, false), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND);
	plant_private(NULL);
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(listed[0].state, LOCK_UNREADABLE);
	ck_assert_int_eq(remove_id(listed[0].id, false), RC_BUSY);
	ck_assert_int_eq(remove_id(listed[0].id, true), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(an_entry_whose_file_is_missing_is_told_of)
{
	repo_write("lock.roster", "{\"exclusive\": [[\"far@2\", 5, 0]]}");
	ck_assert_int_eq(list(), 1);
	ck_assert_ptr_nonnull(strstr(listed[0].detail, "blocks nobody"));
	ck_assert_int_eq(remove_id(listed[0].id, true), RC_OK);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

START_TEST(an_entry_is_not_removed_while_somebody_may_edit_the_roster)
{
	plant_exclusive("far@2", 5);
	plant_shared("here@1", dead_pid());
	ck_assert_int_eq(list(), 2);
	ck_assert_int_eq(listed[1].state, LOCK_STALE);
	ck_assert_int_eq(remove_id(listed[1].id, false), RC_BUSY);
	ck_assert_int_eq(list(), 2);
}
END_TEST

/* --- where it cannot work --- */

START_TEST(a_user_without_rights_is_told_and_changes_nothing)
{
	pid_t child;
	int status;

	if (geteuid() != 0)
		return; /* cannot become somebody without rights */
	ck_assert_int_eq(chmod(repo, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/config", repo);
	ck_assert_int_eq(chmod(path, 0644), 0);
	child = fork();
	if (child == 0) {
		struct lock *l;
		enum rc rc;

		if (setuid(65534) != 0)
			_exit(9);
		l = OPEN(.mode = LOCK_EXCLUSIVE);
		rc = acquire(l);
		_exit(rc == RC_DENIED && release(l) == RC_OK ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(repo_names(""), SOUND);
}
END_TEST

/* --- many --- */

struct record {
	atomic_int readers, writers, entered, overlaps;
};

static void one_turn(struct record *r, enum lock_mode mode)
{
	struct lock *l = OPEN(.mode = mode, .pid = getpid());
	enum rc rc;

	while ((rc = acquire(l)) == RC_BUSY || rc == RC_RETRY)
		(void)wait_for(l, NSEC_PER_SEC);
	if (rc != RC_OK) {
		(void)fprintf(stderr, "acquire: %s: %s\n", rc_name(rc), e.text);
		_exit(2);
	}
	if (mode == LOCK_EXCLUSIVE) {
		if (atomic_fetch_add(&r->writers, 1) != 0 ||
		    atomic_load(&r->readers) != 0)
			atomic_fetch_add(&r->overlaps, 1);
	} else {
		atomic_fetch_add(&r->readers, 1);
		if (atomic_load(&r->writers) != 0)
			atomic_fetch_add(&r->overlaps, 1);
	}
	atomic_fetch_add(&r->entered, 1);
	(void)usleep(1000);
	atomic_fetch_sub(mode == LOCK_EXCLUSIVE ? &r->writers : &r->readers, 1);
	rc = release(l);
	if (rc != RC_OK) {
		(void)fprintf(stderr, "release: %s: %s\n", rc_name(rc), e.text);
		_exit(3);
	}
	lock_close(l);
}

START_TEST(many_processes_of_both_modes_never_overlap)
{
	enum { PROCESSES = 12, TURNS = 8 };
	struct record *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t children[PROCESSES];

	ck_assert_ptr_ne(r, MAP_FAILED);
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] != 0)
			continue;
		for (int turn = 0; turn < TURNS; turn++)
			one_turn(r,
				 (i + turn) % 3 ? LOCK_SHARED : LOCK_EXCLUSIVE);
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(atomic_load(&r->entered), PROCESSES * TURNS);
	ck_assert_int_eq(atomic_load(&r->overlaps), 0);
	ck_assert_str_eq(repo_names(""), SOUND);
	(void)munmap(r, sizeof(*r));
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static void add_state_tests(TCase *t)
{
	tcase_add_test(t, the_lock_of_a_dead_process_of_this_host_is_cleared);
	tcase_add_test(t, nothing_is_cleared_when_told_not_to);
	tcase_add_test(t, the_lock_of_another_host_is_never_cleared);
	tcase_add_test(t, dead_readers_are_cleared_and_living_ones_stay);
	tcase_add_test(t, a_malformed_name_is_respected);
	tcase_add_test(t, a_fresh_empty_directory_is_taken_for_a_lock_that_comes);
	tcase_add_loop_test(t, an_unreadable_roster_is_respected, 0,
			    2 * COUNT(muddles));
	tcase_add_test(t, a_removed_lock_is_noticed_at_once);
	tcase_add_test(t, a_directory_that_is_moved_away_is_noticed_at_once);
	tcase_add_test(t, a_removed_entry_is_noticed_at_once);
	tcase_add_test(t, an_entry_that_others_come_and_go_beside_is_not_lost);
	tcase_add_loop_test(t, what_went_before_it_was_watched_is_told, 0, 2);
	tcase_add_test(t, an_owner_beside_us_means_that_it_is_lost);
	tcase_add_test(t, a_roster_that_is_being_written_is_looked_at_again);
	tcase_add_test(t, a_roster_that_stays_unreadable_is_a_loss);
	tcase_add_test(t, a_lock_that_is_broken_while_it_is_taken_is_not_had);
	tcase_add_test(t, a_lost_lock_is_not_taken_from_who_has_it_now);
}

static void add_admin_tests(TCase *t)
{
	tcase_add_test(t, an_empty_repository_lists_nothing);
	tcase_add_test(
		t, an_exclusive_lock_is_listed_once_under_the_id_of_its_holder);
	tcase_add_test(t, a_shared_lock_is_listed_under_the_id_of_its_holder);
	tcase_add_test(t, a_stale_lock_is_removed_without_force);
	tcase_add_loop_test(t, a_living_or_foreign_lock_goes_by_force_alone, 0,
			    4);
	tcase_add_test(t, a_lock_that_was_taken_anew_is_another_one);
	tcase_add_test(t,
		       malformed_and_unreadable_ones_are_listed_and_go_by_force);
	tcase_add_test(t, p6_a_half_written_roster_is_asked_again_at_release);
	tcase_add_test(t, p6_a_half_written_roster_is_asked_again_at_refresh);
	tcase_add_test(t, p6_a_half_written_roster_is_asked_again_at_acquire);
	tcase_add_test(t, p6_who_is_on_the_roster_is_no_editor);
	tcase_add_test(t, p6_a_half_written_roster_is_asked_again_by_a_listing);
	tcase_add_test(t, p6_an_entry_that_must_stay_is_named_with_its_cure);
	tcase_add_test(
		t,
		p6_an_entry_in_a_roster_that_stays_unreadable_is_not_called_gone);
	tcase_add_test(t, p6_an_entry_that_is_gone_is_a_loss);
	tcase_add_test(t, p6_what_is_just_being_made_is_not_listed_as_unreadable);
	tcase_add_test(t, p7_7_nobody_is_judged_of_a_roster_that_no_borg_has);
	tcase_add_test(t, p7_7_our_own_entry_is_found_in_a_roster_of_any_length);
	tcase_add_test(t, p7_7_a_thousand_dead_entries_are_read_once_each);
	tcase_add_test(
		t, p7_7_a_lock_taken_anew_since_it_was_listed_is_another_one);
	tcase_add_test(t, p6_an_edit_whose_answer_is_lost_is_no_loss);
	tcase_add_test(t,
		       p6_a_roster_is_not_lost_while_somebody_may_be_writing_it);
	tcase_add_test(t, a_borg_that_waits_is_listed_as_waiting);
	tcase_add_test(t, what_a_crash_left_of_waiting_is_removed);
	tcase_add_test(t, an_entry_whose_file_is_missing_is_told_of);
	tcase_add_test(
		t, an_entry_is_not_removed_while_somebody_may_edit_the_roster);
	tcase_add_test(t, a_user_without_rights_is_told_and_changes_nothing);
}

int main(void)
{
	Suite *suite = suite_create("borg1");
	TCase *disk = tcase_create("on disk"), *others = tcase_create("others");
	TCase *state = tcase_create("state"), *admin = tcase_create("admin");
	TCase *cases[] = { disk, others, state, admin };
	SRunner *runner = srunner_create(suite);
	int failed;

	for (int i = 0; i < COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], repo_make1, repo_remove);
		tcase_set_timeout(cases[i], 120);
		suite_add_tcase(suite, cases[i]);
	}
	tcase_add_test(disk, an_exclusive_lock_is_what_borg_would_write);
	tcase_add_test(disk,
		       a_shared_lock_is_an_entry_of_the_roster_and_nothing_else);
	tcase_add_test(disk, what_is_made_is_as_open_as_the_repository);
	tcase_add_test(disk, the_term_is_without_end);
	tcase_add_test(disk, other_members_of_the_roster_are_kept);
	tcase_add_test(others, an_exclusive_lock_keeps_everybody_out);
	tcase_add_test(others,
		       shared_locks_go_together_and_keep_exclusive_ones_out);
	tcase_add_test(others, a_refused_try_leaves_nothing_behind);
	tcase_add_loop_test(others, who_waits_is_woken_by_the_release, 0, 2);
	tcase_add_test(others, who_waits_for_readers_is_woken_when_the_last_goes);
	tcase_add_test(others, many_processes_of_both_modes_never_overlap);
	tcase_add_loop_test(
		others, who_does_not_wait_gets_in_behind_an_edit_but_not_a_lock,
		0, 2);
	add_state_tests(state);
	add_admin_tests(admin);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
