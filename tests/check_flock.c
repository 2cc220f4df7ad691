/* SPDX-License-Identifier: BSD-2-Clause */
/* Against the flock(1) that is installed: it and we must keep each other out,
 * let each other in, and hand over to each other. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deny.h"
#include "lock/lock.h"
#include "scratch.h"
#include "util/text.h"

#define PATIENCE (20 * NSEC_PER_SEC) /* for what comes at once */
#define PATIENCE_MSEC 20000
#define PATH_ROOM 256

static char scratch[64];
static char path[PATH_ROOM];
static struct self self;
static struct err e;
static const struct call call = { { NSEC_FOREVER }, -1 };

/* One lock of ours, as with-lock would have it. */
struct ours {
	struct location location;
	struct lock_wish wish;
	struct lock *lock;
	struct lock_term term;
	struct lock_info mine, holder;
};

static void setup(void)
{
	char uuid[UUID_TEXT_SIZE];

	self_fill(&self);
	uuid_make(uuid);
	(void)snprintf(path, sizeof(path), "%s/%s", scratch, uuid);
}

static enum rc open_at(struct ours *o, enum lock_mode mode, const char *at)
{
	char text[PATH_ROOM + 8];
	enum rc rc;

	(void)snprintf(text, sizeof(text), "flock:%s", at);
	*o = (struct ours){ 0 };
	ck_assert_int_eq(location_parse(&o->location, text, &e), RC_OK);
	o->wish = (struct lock_wish){
		.location = &o->location,
		.name = "default",
		.mode = mode,
		.wait = true,
		.command = "job",
		.reason = "nightly",
		.self = &self,
	};
	rc = lock_open(&o->lock, &o->wish, &call, &e);
	/* The wish is lent for the call only, what it points to for longer. */
	memset(&o->wish, 0xff, sizeof(o->wish));
	return rc;
}

static void open_ours(struct ours *o, enum lock_mode mode)
{
	enum rc rc = open_at(o, mode, path);

	ck_assert_msg(rc == RC_OK, "%s", e.text);
}

static void close_ours(struct ours *o)
{
	lock_close(o->lock);
	location_release(&o->location);
}

static enum rc acquire(struct ours *o)
{
	return o->lock->ops->acquire(o->lock, &o->term, &o->mine, &o->holder,
				     &call, &e);
}

static enum rc release(struct ours *o)
{
	return o->lock->ops->release(o->lock, &call, &e);
}

static enum rc refresh(struct ours *o)
{
	return o->lock->ops->refresh(o->lock, &o->term, &call, &e);
}

static enum rc wait_with(struct ours *o, nsec patience, const struct call *on)
{
	return o->lock->ops->wait(o->lock, patience, on, &e);
}

/* Acquire, waiting for it as the worker does; fails when it takes too long. */
static void acquire_waiting(struct ours *o)
{
	struct boot until = boot_add(boot_now(), PATIENCE);
	enum rc rc;

	while ((rc = acquire(o)) == RC_BUSY) {
		ck_assert(!boot_reached(boot_now(), until));
		rc = wait_with(o, PATIENCE, &call);
		ck_assert_msg(rc == RC_OK, "%s", e.text);
	}
	ck_assert_msg(rc == RC_OK, "%s", e.text);
}

/* --- theirs --- */

struct theirs {
	pid_t pid;
	int in;  /* closing it ends the command */
	int out; /* a byte comes when the lock is had */
};

/* Run a shell line that prints a line when it holds the lock and then waits
 * for the end of its input; the name of the file is its $1. */
static void start_theirs(struct theirs *t, const char *line)
{
	int in[2], out[2];

	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	t->pid = fork();
	if (t->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		execl("/bin/sh", "sh", "-c", line, "sh", path, (char *)NULL);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	t->in = in[1];
	t->out = out[0];
}

static bool had(const struct theirs *t, int patience)
{
	struct pollfd p = { .fd = t->out, .events = POLLIN };

	return poll(&p, 1, patience) == 1 && (p.revents & POLLIN);
}

/* Returns the exit status. */
static int end_theirs(struct theirs *t)
{
	int status = -1;

	(void)close(t->in);
	ck_assert_int_eq(waitpid(t->pid, &status, 0), t->pid);
	(void)close(t->out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *hold_line(enum lock_mode mode)
{
	return mode == LOCK_SHARED
		       ? "exec flock -s \"$1\" sh -c 'echo had; exec cat'"
		       : "exec flock -x \"$1\" sh -c 'echo had; exec cat'";
}

static void hold_theirs(struct theirs *t, enum lock_mode mode)
{
	start_theirs(t, hold_line(mode));
	ck_assert(had(t, PATIENCE_MSEC));
}

/* Would flock(1) get it right now? */
static bool theirs_gets_it(enum lock_mode mode)
{
	struct theirs t;
	int status;

	start_theirs(&t, mode == LOCK_SHARED ? "exec flock -n -s \"$1\" true"
					     : "exec flock -n -x \"$1\" true");
	status = end_theirs(&t);
	ck_assert(status == 0 || status == 1);
	return status == 0;
}

/* --- who has it --- */

static struct lock_info listed[8];
static size_t listed_count;

static bool see(void *context, const struct lock_info *info)
{
	(void)context;
	ck_assert_uint_lt(listed_count, 8);
	listed[listed_count++] = *info;
	return true;
}

static void list(struct ours *o)
{
	listed_count = 0;
	ck_assert_int_eq(o->lock->ops->list(o->lock, see, NULL, &call, &e),
			 RC_OK);
}

/* Until so many hold or wait for it, as the kernel tells. */
static void until_listed(struct ours *o, size_t count)
{
	struct boot until = boot_add(boot_now(), PATIENCE);

	for (list(o); listed_count != count; list(o)) {
		ck_assert(!boot_reached(boot_now(), until));
		ck_assert_int_eq(call_pause(&call, NSEC_PER_MSEC, &e), RC_OK);
	}
}

/* --- with and against flock(1) --- */

/* Bit 0: who holds is shared; bit 1: who comes is. */
static enum lock_mode holder_mode(int i)
{
	return i & 1 ? LOCK_SHARED : LOCK_EXCLUSIVE;
}

static enum lock_mode comer_mode(int i)
{
	return i & 2 ? LOCK_SHARED : LOCK_EXCLUSIVE;
}

START_TEST(ours_keeps_flock_out_unless_both_share)
{
	struct ours o;

	open_ours(&o, holder_mode(_i));
	ck_assert_int_eq(acquire(&o), RC_OK);
	ck_assert_int_eq(theirs_gets_it(comer_mode(_i)), _i == 3);
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert(theirs_gets_it(comer_mode(_i)));
	close_ours(&o);
}
END_TEST

START_TEST(flock_keeps_ours_out_unless_both_share)
{
	struct theirs t;
	struct ours o;

	hold_theirs(&t, holder_mode(_i));
	open_ours(&o, comer_mode(_i));
	ck_assert_int_eq(acquire(&o), _i == 3 ? RC_OK : RC_BUSY);
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert_int_eq(end_theirs(&t), 0);
	ck_assert_int_eq(acquire(&o), RC_OK);
	ck_assert_int_eq(release(&o), RC_OK);
	close_ours(&o);
}
END_TEST

START_TEST(flock_hands_over_to_ours)
{
	struct theirs t;
	struct ours o;

	hold_theirs(&t, LOCK_EXCLUSIVE);
	open_ours(&o, comer_mode(2 * _i));
	ck_assert_int_eq(acquire(&o), RC_BUSY);
	ck_assert_int_eq(wait_with(&o, NSEC_PER_MSEC, &call), RC_OK);
	ck_assert_int_eq(acquire(&o), RC_BUSY);
	ck_assert_int_eq(end_theirs(&t), 0);
	acquire_waiting(&o);
	ck_assert(!theirs_gets_it(LOCK_EXCLUSIVE));
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert(theirs_gets_it(LOCK_EXCLUSIVE));
	close_ours(&o);
}
END_TEST

START_TEST(ours_hands_over_to_flock)
{
	struct theirs t;
	struct ours o;

	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	start_theirs(&t, hold_line(LOCK_EXCLUSIVE));
	until_listed(&o, 2);
	ck_assert(!had(&t, 0));
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert(had(&t, PATIENCE_MSEC));
	ck_assert_int_eq(acquire(&o), RC_BUSY);
	ck_assert_int_eq(end_theirs(&t), 0);
	close_ours(&o);
}
END_TEST

START_TEST(a_place_in_the_queue_outlives_patience)
{
	struct theirs first, second;
	struct ours o;

	hold_theirs(&first, LOCK_EXCLUSIVE);
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_BUSY);
	ck_assert_int_eq(wait_with(&o, 0, &call), RC_OK);
	until_listed(&o, 2);
	start_theirs(&second, hold_line(LOCK_EXCLUSIVE));
	until_listed(&o, 3);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(acquire(&o), RC_BUSY);
		ck_assert_int_eq(wait_with(&o, NSEC_PER_MSEC, &call), RC_OK);
	}
	ck_assert_int_eq(end_theirs(&first), 0);
	acquire_waiting(&o); /* before the one that came later */
	ck_assert(!had(&second, 0));
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert(had(&second, PATIENCE_MSEC));
	ck_assert_int_eq(end_theirs(&second), 0);
	close_ours(&o);
}
END_TEST

START_TEST(a_cancelled_wait_leaves_nothing_behind)
{
	struct call leash = { BOOT_NEVER, eventfd(1, 0) };
	struct theirs t;
	struct ours o;

	hold_theirs(&t, LOCK_EXCLUSIVE);
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_BUSY);
	ck_assert_int_eq(wait_with(&o, NSEC_PER_MSEC, &call), RC_OK);
	ck_assert_int_eq(wait_with(&o, NSEC_FOREVER, &leash), RC_CANCELLED);
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert_int_eq(end_theirs(&t), 0);
	ck_assert(theirs_gets_it(LOCK_EXCLUSIVE));
	close_ours(&o);
}
END_TEST

START_TEST(a_wait_ends_with_its_leash)
{
	struct call leash = { boot_add(boot_now(), 20 * NSEC_PER_MSEC), -1 };
	struct theirs t;
	struct ours o;

	hold_theirs(&t, LOCK_EXCLUSIVE);
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_BUSY);
	ck_assert_int_eq(wait_with(&o, NSEC_FOREVER, &leash), RC_RETRY);
	close_ours(&o); /* without release: as good */
	ck_assert_int_eq(end_theirs(&t), 0);
	ck_assert(theirs_gets_it(LOCK_EXCLUSIVE));
}
END_TEST

START_TEST(withdrawing_at_the_moment_of_getting_it_gives_it_back)
{
	for (int i = 0; i < 20; i++) {
		struct theirs t;
		struct ours o;

		hold_theirs(&t, LOCK_EXCLUSIVE);
		open_ours(&o, LOCK_EXCLUSIVE);
		ck_assert_int_eq(acquire(&o), RC_BUSY);
		ck_assert_int_eq(wait_with(&o, 0, &call), RC_OK);
		(void)close(t.in); /* ends it now or a little later */
		ck_assert_int_eq(release(&o), RC_OK);
		t.in = -1;
		ck_assert_int_eq(end_theirs(&t), 0);
		ck_assert(theirs_gets_it(LOCK_EXCLUSIVE));
		close_ours(&o);
	}
}
END_TEST

START_TEST(releasing_frees_a_description_that_is_shared)
{
	struct ours o;
	int fronts;

	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	fronts = dup(o.lock->ops->kernel_lock_fd(o.lock));
	ck_assert_int_ge(fronts, 0);
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert(theirs_gets_it(LOCK_EXCLUSIVE));
	(void)close(fronts);
	close_ours(&o);
}
END_TEST

START_TEST(a_shared_description_keeps_the_lock_when_one_is_gone)
{
	struct ours o;
	int fronts;

	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	fronts = dup(o.lock->ops->kernel_lock_fd(o.lock));
	close_ours(&o); /* as if the keeper were killed */
	ck_assert(!theirs_gets_it(LOCK_EXCLUSIVE));
	(void)close(fronts);
	ck_assert(theirs_gets_it(LOCK_EXCLUSIVE));
}
END_TEST

START_TEST(the_term_has_no_end)
{
	struct ours o;

	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	ck_assert_int_eq(o.term.valid, NSEC_FOREVER);
	ck_assert_int_eq(o.term.margin, 0);
	ck_assert_int_eq(refresh(&o), RC_OK);
	ck_assert_int_eq(o.term.valid, NSEC_FOREVER);
	ck_assert_str_eq(o.mine.protocol, "flock");
	ck_assert_str_eq(o.mine.reason, "nightly");
	ck_assert_int_eq(o.mine.pid, getpid());
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert_int_eq(release(&o), RC_OK);
	close_ours(&o);
}
END_TEST

/* --- the file --- */

START_TEST(a_file_is_made_by_acquire_as_flock_makes_it)
{
	struct stat ours, theirs;
	struct ours o;

	(void)umask(0027);
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(access(path, F_OK), -1); /* not by open */
	ck_assert_int_eq(acquire(&o), RC_OK);
	ck_assert_int_eq(stat(path, &ours), 0);
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert_int_eq(access(path, F_OK), 0); /* stays, as theirs does */
	ck_assert_int_eq(unlink(path), 0);
	ck_assert(theirs_gets_it(LOCK_EXCLUSIVE));
	ck_assert_int_eq(stat(path, &theirs), 0);
	ck_assert_int_eq(ours.st_mode, theirs.st_mode);
	ck_assert_int_eq(ours.st_size, 0);
	close_ours(&o);
}
END_TEST

START_TEST(a_directory_can_be_locked)
{
	struct ours o;

	ck_assert_int_eq(mkdir(path, 0700), 0);
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	ck_assert(!theirs_gets_it(LOCK_SHARED));
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert(theirs_gets_it(LOCK_SHARED));
	close_ours(&o);
}
END_TEST

START_TEST(a_file_that_may_only_be_read_can_be_locked)
{
	struct ours o;

	scratch_write(path, "");
	ck_assert_int_eq(chmod(path, 0444), 0);
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	ck_assert(!theirs_gets_it(LOCK_EXCLUSIVE));
	ck_assert_int_eq(release(&o), RC_OK);
	close_ours(&o);
}
END_TEST

START_TEST(a_pipe_does_not_block_when_opened)
{
	struct ours o;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	ck_assert_int_eq(release(&o), RC_OK);
	close_ours(&o);
}
END_TEST

struct obstacle {
	const char *below; /* the scratch path, which is a file */
	enum rc rc;
	const char *says;
};

static const struct obstacle obstacles[] = {
	{ "/x", RC_FAILED, "Not a directory" },
	{ ".missing/x", RC_ABSENT, "directory does not exist" },
};

START_TEST(what_cannot_be_locked_is_said)
{
	char at[PATH_ROOM + 16];
	struct ours o;
	enum rc rc;

	scratch_write(path, "");
	(void)snprintf(at, sizeof(at), "%s%s", path, obstacles[_i].below);
	rc = open_at(&o, LOCK_EXCLUSIVE, at);
	if (rc == RC_OK)
		rc = acquire(&o);
	ck_assert_msg(rc == obstacles[_i].rc, "%s: %s", rc_name(rc), e.text);
	ck_assert_msg(strstr(e.text, obstacles[_i].says) && strstr(e.text, at),
		      "%s", e.text);
	close_ours(&o);
}
END_TEST

START_TEST(an_empty_path_is_refused)
{
	struct ours o;

	ck_assert_int_eq(open_at(&o, LOCK_EXCLUSIVE, ""), RC_MALFORMED);
	ck_assert_msg(strstr(e.text, "flock:"), "%s", e.text);
	close_ours(&o);
}
END_TEST

/* --- a file that goes away --- */

static void put_another(void)
{
	char other[PATH_ROOM + 8];

	(void)snprintf(other, sizeof(other), "%s.new", path);
	scratch_write(other, "");
	ck_assert_int_eq(rename(other, path), 0);
}

static void take_away(void)
{
	ck_assert_int_eq(unlink(path), 0);
}

static void move_away(void)
{
	char other[PATH_ROOM + 8];

	(void)snprintf(other, sizeof(other), "%s.old", path);
	ck_assert_int_eq(rename(path, other), 0);
}

static void (*const changes[])(void) = { put_another, take_away, move_away };

static bool readable(int fd, int patience)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, patience) == 1;
}

START_TEST(a_file_that_goes_away_while_held_is_a_loss)
{
	struct ours o;
	int fd;

	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	fd = o.lock->ops->loss_fd(o.lock);
	ck_assert(!readable(fd, 0));
	ck_assert_int_eq(refresh(&o), RC_OK);
	changes[_i]();
	ck_assert(readable(fd, PATIENCE_MSEC));
	ck_assert_int_eq(refresh(&o), RC_LOST);
	ck_assert_msg(strstr(e.text, path), "%s", e.text);
	ck_assert_int_eq(release(&o), RC_LOST);
	close_ours(&o);
}
END_TEST

START_TEST(a_loss_before_it_was_watched_is_readable_at_once)
{
	struct ours o;

	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	changes[_i]();
	ck_assert(readable(o.lock->ops->loss_fd(o.lock), 100));
	ck_assert_int_eq(refresh(&o), RC_LOST);
	close_ours(&o);
}
END_TEST

START_TEST(a_loss_is_noticed_without_inotify_as_well)
{
	struct ours o;
	int fd;

	/* As if the user had used up all there may be. */
	deny_call(SYS_inotify_init1, EMFILE);
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	fd = o.lock->ops->loss_fd(o.lock);
	ck_assert_int_ge(fd, 0);
	ck_assert(readable(fd, PATIENCE_MSEC));
	ck_assert_int_eq(refresh(&o), RC_OK);
	ck_assert(!readable(fd, 0)); /* refresh emptied it */
	changes[_i]();
	ck_assert(readable(fd, PATIENCE_MSEC));
	ck_assert_int_eq(refresh(&o), RC_LOST);
	close_ours(&o);
}
END_TEST

START_TEST(what_is_written_to_the_file_is_no_loss)
{
	struct ours o;
	int fd;

	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_OK);
	fd = o.lock->ops->loss_fd(o.lock);
	scratch_write(path, "4711\n");
	ck_assert(!readable(fd, 0));
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(refresh(&o), RC_OK);
	ck_assert(!readable(fd, 0)); /* refresh emptied it */
	ck_assert_int_eq(release(&o), RC_OK);
	close_ours(&o);
}
END_TEST

START_TEST(a_waiter_goes_for_the_file_that_is_there_now)
{
	struct theirs t;
	struct ours o;

	hold_theirs(&t, LOCK_EXCLUSIVE);
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_BUSY);
	ck_assert_int_eq(wait_with(&o, 100 * NSEC_PER_MSEC, &call), RC_OK);
	changes[_i]();
	acquire_waiting(&o); /* they hold what nobody can find any more */
	ck_assert(!theirs_gets_it(LOCK_EXCLUSIVE));
	ck_assert_int_eq(release(&o), RC_OK);
	ck_assert_int_eq(end_theirs(&t), 0);
	close_ours(&o);
}
END_TEST

START_TEST(a_file_replaced_since_it_was_opened_is_opened_anew)
{
	struct ours o;

	scratch_write(path, "");
	open_ours(&o, LOCK_EXCLUSIVE);
	changes[_i]();
	ck_assert_int_eq(acquire(&o), RC_OK);
	ck_assert(!theirs_gets_it(LOCK_EXCLUSIVE));
	ck_assert_int_eq(release(&o), RC_OK);
	close_ours(&o);
}
END_TEST

/* --- who has it --- */

START_TEST(a_list_of_nothing_makes_nothing)
{
	struct ours o;

	open_ours(&o, LOCK_EXCLUSIVE);
	list(&o);
	ck_assert_uint_eq(listed_count, 0);
	ck_assert_int_eq(access(path, F_OK), -1);
	scratch_write(path, "");
	list(&o);
	ck_assert_uint_eq(listed_count, 0);
	close_ours(&o);
}
END_TEST

START_TEST(holders_are_listed_before_those_who_wait)
{
	struct theirs holder;
	struct ours waiter, looker;

	hold_theirs(&holder, LOCK_SHARED);
	open_ours(&waiter, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&waiter), RC_BUSY);
	open_ours(&looker, LOCK_SHARED);
	ck_assert_int_eq(wait_with(&waiter, 0, &call), RC_OK);
	until_listed(&looker, 2);
	ck_assert_int_eq(listed[0].state, LOCK_HELD);
	ck_assert_int_eq(listed[0].mode, LOCK_SHARED);
	ck_assert_int_eq(listed[0].pid, holder.pid);
	ck_assert_str_eq(listed[0].command, "flock");
	ck_assert_str_eq(listed[0].user, self.user);
	ck_assert_str_eq(listed[0].host, self.host);
	ck_assert_int_eq(listed[0].alive, LOCK_ALIVE_YES);
	ck_assert_int_eq(listed[1].state, LOCK_WAITING);
	ck_assert_int_eq(listed[1].mode, LOCK_EXCLUSIVE);
	ck_assert_int_eq(listed[1].pid, getpid());
	ck_assert_int_eq(release(&waiter), RC_OK);
	ck_assert_int_eq(end_theirs(&holder), 0);
	close_ours(&waiter);
	close_ours(&looker);
}
END_TEST

START_TEST(a_holder_is_described_at_once_and_when_asked_for)
{
	struct theirs t;
	struct ours o;

	hold_theirs(&t, LOCK_EXCLUSIVE);
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_BUSY);
	ck_assert_int_eq(o.holder.pid, t.pid);
	o.holder = (struct lock_info){ 0 };
	ck_assert_int_eq(o.lock->ops->describe(o.lock, &o.holder, &call, &e),
			 RC_OK);
	ck_assert_int_eq(o.holder.pid, t.pid);
	ck_assert_str_eq(o.holder.command, "flock");
	ck_assert_int_eq(end_theirs(&t), 0);
	ck_assert_int_eq(o.lock->ops->describe(o.lock, &o.holder, &call, &e),
			 RC_ABSENT);
	close_ours(&o);
}
END_TEST

START_TEST(a_script_that_locks_its_own_descriptor_is_found)
{
	struct theirs t;
	struct ours o;

	/* flock(1) has ended since; the shell has the description. */
	start_theirs(&t, "exec 9>\"$1\"; flock 9; echo had; read end");
	ck_assert(had(&t, PATIENCE_MSEC));
	open_ours(&o, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(&o), RC_BUSY);
	ck_assert_int_eq(o.lock->ops->describe(o.lock, &o.holder, &call, &e),
			 RC_OK);
	ck_assert_int_eq(o.holder.pid, t.pid);
	ck_assert_str_eq(o.holder.command, "sh");
	(void)end_theirs(&t);
	close_ours(&o);
}
END_TEST

START_TEST(a_kernel_lock_is_never_broken)
{
	struct lock_remove what = { .force = true };
	struct lock_info info;
	struct theirs t;
	struct ours o;
	char id[16];

	hold_theirs(&t, LOCK_EXCLUSIVE);
	open_ours(&o, LOCK_EXCLUSIVE);
	(void)snprintf(id, sizeof(id), "%d", (int)t.pid);
	what.id = id;
	ck_assert_int_eq(o.lock->ops->remove(o.lock, &what, &info, &call, &e),
			 RC_BUSY);
	ck_assert_msg(strstr(e.text, id), "%s", e.text);
	ck_assert_int_eq(info.pid, t.pid);
	what.id = "0";
	ck_assert_int_eq(o.lock->ops->remove(o.lock, &what, &info, &call, &e),
			 RC_ABSENT);
	ck_assert(!theirs_gets_it(LOCK_EXCLUSIVE));
	ck_assert_int_eq(end_theirs(&t), 0);
	close_ours(&o);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flock");
	TCase *other = tcase_create("with flock(1)");
	TCase *file = tcase_create("the file");
	TCase *who = tcase_create("who");
	SRunner *runner = srunner_create(suite);
	TCase *const cases[] = { other, file, who };
	int failed;

	scratch_make(scratch, sizeof(scratch), "/tmp");
	for (size_t i = 0; i < 3; i++) {
		suite_add_tcase(suite, cases[i]);
		tcase_set_timeout(cases[i], 120);
		tcase_add_checked_fixture(cases[i], setup, NULL);
	}
	tcase_add_loop_test(other, ours_keeps_flock_out_unless_both_share, 0, 4);
	tcase_add_loop_test(other, flock_keeps_ours_out_unless_both_share, 0, 4);
	tcase_add_loop_test(other, flock_hands_over_to_ours, 0, 2);
	tcase_add_test(other, ours_hands_over_to_flock);
	tcase_add_test(other, a_place_in_the_queue_outlives_patience);
	tcase_add_test(other, a_cancelled_wait_leaves_nothing_behind);
	tcase_add_test(other, a_wait_ends_with_its_leash);
	tcase_add_test(other,
		       withdrawing_at_the_moment_of_getting_it_gives_it_back);
	tcase_add_test(other, releasing_frees_a_description_that_is_shared);
	tcase_add_test(other,
		       a_shared_description_keeps_the_lock_when_one_is_gone);
	tcase_add_test(other, the_term_has_no_end);
	tcase_add_test(file, a_file_is_made_by_acquire_as_flock_makes_it);
	tcase_add_test(file, a_directory_can_be_locked);
	tcase_add_test(file, a_file_that_may_only_be_read_can_be_locked);
	tcase_add_test(file, a_pipe_does_not_block_when_opened);
	tcase_add_loop_test(file, what_cannot_be_locked_is_said, 0,
			    sizeof(obstacles) / sizeof(obstacles[0]));
	tcase_add_test(file, an_empty_path_is_refused);
	tcase_add_loop_test(file, a_file_that_goes_away_while_held_is_a_loss, 0,
			    3);
	tcase_add_loop_test(
		file, a_loss_before_it_was_watched_is_readable_at_once, 0, 3);
	tcase_add_loop_test(file, a_loss_is_noticed_without_inotify_as_well, 0,
			    3);
	tcase_add_test(file, what_is_written_to_the_file_is_no_loss);
	tcase_add_loop_test(file, a_waiter_goes_for_the_file_that_is_there_now,
			    0, 3);
	tcase_add_loop_test(
		file, a_file_replaced_since_it_was_opened_is_opened_anew, 0, 3);
	tcase_add_test(who, a_list_of_nothing_makes_nothing);
	tcase_add_test(who, holders_are_listed_before_those_who_wait);
	tcase_add_test(who, a_holder_is_described_at_once_and_when_asked_for);
	tcase_add_test(who, a_script_that_locks_its_own_descriptor_is_found);
	tcase_add_test(who, a_kernel_lock_is_never_broken);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	scratch_remove(scratch);
	return failed != 0;
}
