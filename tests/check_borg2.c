/* SPDX-License-Identifier: BSD-2-Clause */
#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "borg_fixture.h"
#include "util/hash.h"
#include "util/text.h"

#define MINUTE (60 * NSEC_PER_SEC)

/* --- objects of others --- */

static void name_of(char out[65], const char *text)
{
	uint8_t digest[SHA256_SIZE];

	ck_assert_int_eq(hash_sha256(digest, text, strlen(text), &e), RC_OK);
	hex_encode(out, digest, sizeof(digest));
}

/* As borg 2 writes it, `age` seconds ago; its name is in `planted`. */
static char planted[65];

static void plant(const char *host, int64_t pid, bool exclusive, int age)
{
	struct borg2_record r = { .exclusive = exclusive, .owner.pid = pid };
	char name[80];
	struct buf b;

	text_copy(r.owner.host, sizeof(r.owner.host), host);
	r.time.ns = wall_now().ns - age * NSEC_PER_SEC;
	buf_init(&b, 4096);
	ck_assert_int_eq(borg2_format(&r, &b, &e), RC_OK);
	name_of(planted, buf_text(&b));
	(void)snprintf(name, sizeof(name), "locks/%s", planted);
	repo_write(name, buf_text(&b));
	repo_set_age(name, age);
	buf_release(&b);
}

static void unplant(const char *object)
{
	char name[80];

	(void)snprintf(name, sizeof(name), "locks/%s", object);
	repo_delete(name);
}

/* --- a store with something in between --- */

struct between {
	struct store base;
	struct store *inner;
	void (*listed)(void); /* after a listing was answered */
	void (*put)(void);    /* before an object is written */
	enum rc put_says;     /* RC_OK: the truth */
	unsigned delay;       /* microseconds at most before each load */
};

static struct between *of(struct store *s)
{
	return (struct between *)s;
}

static void between_close(struct store *s)
{
	store_close(of(s)->inner);
	free(s);
}

static enum rc between_get(struct store *s, const char *name, struct buf *into,
			   struct store_tag *tag, const struct call *call,
			   struct err *err)
{
	struct store *inner = of(s)->inner;

	if (of(s)->delay)
		(void)usleep((useconds_t)(random_span(0, of(s)->delay)));
	return inner->ops->get(inner, name, into, tag, call, err);
}

static enum rc between_put(struct store *s, const char *name, const void *data,
			   size_t len, enum store_put_when when,
			   const struct store_tag *match, struct store_tag *tag,
			   const struct call *call, struct err *err)
{
	struct store *inner = of(s)->inner;
	enum rc rc;

	if (of(s)->put)
		of(s)->put();
	rc = inner->ops->put(inner, name, data, len, when, match, tag, call, err);
	if (of(s)->put_says != RC_OK)
		return err_set(err, of(s)->put_says, "as asked for");
	return rc;
}

static enum rc between_del(struct store *s, const char *name,
			   const struct call *call, struct err *err)
{
	struct store *inner = of(s)->inner;

	return inner->ops->del(inner, name, call, err);
}

static enum rc between_list(struct store *s, const char *prefix,
			    store_seen *seen, void *context,
			    const struct call *call, struct err *err)
{
	struct store *inner = of(s)->inner;

	return inner->ops->list(inner, prefix, seen, context, call, err);
}

static enum rc between_names(struct store *s, const char *prefix,
			     store_seen *seen, void *context,
			     const struct call *call, struct err *err)
{
	struct store *inner = of(s)->inner;
	enum rc rc = inner->ops->names(inner, prefix, seen, context, call, err);

	if (of(s)->listed)
		of(s)->listed();
	return rc;
}

static const struct store_ops store_between = {
	.name = "between",
	.can = STORE_CAN_ABSENT | STORE_CAN_LIST_CONSISTENT,
	.close = between_close,
	.get = between_get,
	.put = between_put,
	.del = between_del,
	.list = between_list,
	.names = between_names,
};

/* The lock of a process on such a store; *b is its store. */
static struct lock *open_between(struct between **b, enum lock_mode mode,
				 pid_t pid, struct borg2_pace pace)
{
	struct between *s = calloc(1, sizeof(*s));
	struct borg_host host;
	struct lock *lock;
	struct self self;
	struct lock_wish wish = { .mode = mode, .wait = true, .self = &self };

	self_fill(&self);
	self.keeper.pid = pid;
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_OK);
	s->base.ops = &store_between;
	ck_assert_int_eq(
		store_open(&s->inner, "", repo, &borg2_manners, &patient, &e),
		RC_OK);
	ck_assert_int_eq(borg2_open(&lock, &wish, &s->base, &host, &pace, &e),
			 RC_OK);
	if (b)
		*b = s;
	return lock;
}

#define AT_ONCE ((struct borg2_pace){ 0, 0 })
#define BESIDE ((struct borg2_pace){ 0, 60 * NSEC_PER_SEC })

static int count_objects(void)
{
	const char *names = repo_names("locks");
	int count = *names != '\0';

	for (; *names != '\0'; names++)
		count += *names == ' ';
	return count;
}

/* --- on disk --- */

START_TEST(an_object_is_what_borg_would_write)
{
	struct lock *l = OPEN(.mode = _i ? LOCK_SHARED : LOCK_EXCLUSIVE);
	char name[80], text[256], want[256], shown[32];
	struct borg2_record r;
	char digest[65];

	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(count_objects(), 1);
	(void)snprintf(name, sizeof(name), "locks/%s", repo_names("locks"));
	text_copy(text, sizeof(text), repo_read(name));
	ck_assert_int_eq(borg2_parse(&r, text, strlen(text), &e), RC_OK);
	wall_show_msec(shown, sizeof(shown), r.time);
	ck_assert_uint_eq(strlen(shown), 24);
	shown[23] = '\0';
	(void)snprintf(want, sizeof(want),
		       "{\"exclusive\": %s, \"hostid\": \"here@1\", "
		       "\"processid\": %d, \"threadid\": 0, \"time\": "
		       "\"%s+00:00\"}",
		       _i ? "false" : "true", getpid(), shown);
	ck_assert_str_eq(text, want);
	name_of(digest, text);
	ck_assert_str_eq(name + 6, digest);
	ck_assert_str_eq(mine.id, digest);
	ck_assert_int_lt(wall_now().ns - r.time.ns, MINUTE);
	done(l);
	ck_assert_str_eq(repo_names("locks"), "");
}
END_TEST

START_TEST(a_missing_locks_directory_is_made)
{
	struct lock *l;

	repo_delete("locks");
	l = OPEN(.mode = LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(count_objects(), 1);
	done(l);
}
END_TEST

START_TEST(the_term_is_half_an_hour)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);

	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_le(term.valid, 30 * MINUTE);
	ck_assert_int_gt(term.valid, 29 * MINUTE);
	ck_assert_int_gt(term.margin, 30 * NSEC_PER_SEC);
	(void)usleep(20000);
	ck_assert_int_eq(refresh(l), RC_OK);
	/* it only looked: what was written is older than this call */
	ck_assert_int_lt(term.valid, 30 * MINUTE - 19 * NSEC_PER_MSEC);
	ck_assert_int_le(term.refresh_in, 5 * MINUTE);
	done(l);
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
	ck_assert_int_eq(acquire(c), RC_BUSY);
	ck_assert_int_eq(count_objects(), 1);
	done(a);
	ck_assert_int_eq(acquire(b), RC_OK);
	done(b);
	ck_assert_int_eq(acquire(c), RC_OK);
	done(c);
}
END_TEST

START_TEST(an_exclusive_lock_drains_the_shared_ones)
{
	struct lock *a = OPEN(.mode = LOCK_SHARED);
	struct lock *b = OPEN(.mode = LOCK_SHARED, .pid = getppid());
	struct lock *x = OPEN(.mode = LOCK_EXCLUSIVE, .pid = 1);

	ck_assert_int_eq(acquire(a), RC_OK);
	ck_assert_int_eq(acquire(x), RC_BUSY);
	ck_assert_int_eq(holder.mode, LOCK_SHARED);
	ck_assert_int_eq(count_objects(), 2);
	ck_assert_int_eq(acquire(b), RC_BUSY); /* newcomers stay out */
	ck_assert_int_eq(holder.mode, LOCK_EXCLUSIVE);
	ck_assert_int_eq(acquire(x), RC_BUSY);
	done(a);
	ck_assert_int_eq(acquire(x), RC_OK);
	ck_assert_int_eq(acquire(b), RC_BUSY);
	done(x);
	ck_assert_int_eq(acquire(b), RC_OK);
	done(b);
	ck_assert_str_eq(repo_names("locks"), "");
}
END_TEST

START_TEST(who_stops_draining_leaves_nothing)
{
	struct lock *a = OPEN(.mode = LOCK_SHARED);
	struct lock *x = OPEN(.mode = LOCK_EXCLUSIVE, .pid = 1);

	ck_assert_int_eq(acquire(a), RC_OK);
	ck_assert_int_eq(acquire(x), RC_BUSY);
	ck_assert_int_eq(count_objects(), 2);
	done(x);
	ck_assert_int_eq(count_objects(), 1);
	done(a);
}
END_TEST

START_TEST(who_does_not_wait_does_not_drain)
{
	struct lock *a = OPEN(.mode = LOCK_SHARED);
	struct lock *x = OPEN(.mode = LOCK_EXCLUSIVE, .pid = 1, .hasty = true);

	ck_assert_int_eq(acquire(a), RC_OK);
	ck_assert_int_eq(acquire(x), RC_BUSY);
	ck_assert_int_eq(count_objects(), 1);
	done(a);
	ck_assert_int_eq(acquire(x), RC_OK);
	done(x);
}
END_TEST

START_TEST(who_waits_is_woken_by_the_release)
{
	struct lock *a = OPEN(.mode = _i ? LOCK_SHARED : LOCK_EXCLUSIVE);
	struct lock *b = OPEN(.mode = LOCK_EXCLUSIVE, .pid = getppid());
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

START_TEST(any_name_and_both_hashes_are_read)
{
	static const char *const names[] = { "foo", "0123456789abcdef",
					     "x.y-z_1" };
	struct lock *l = OPEN(.mode = LOCK_SHARED);
	char text[300], name[64];

	plant("far@2", 5, true, 0);
	(void)snprintf(name, sizeof(name), "locks/%.56s", planted);
	(void)snprintf(text, sizeof(text), "locks/%s", planted);
	text_copy(text, sizeof(text), repo_read(text));
	unplant(planted);
	(void)snprintf(name, sizeof(name), "locks/%s", names[_i]);
	repo_write(name, text);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_str_eq(holder.id, names[_i]);
	done(l);
}
END_TEST

/* --- stale ones --- */

START_TEST(the_lock_of_a_dead_process_of_this_host_is_cleared)
{
	struct lock *none = OPEN(.clear = LOCK_BREAK_NONE, .hasty = true);
	struct lock *l = OPEN(.clear = LOCK_BREAK_SAFE);

	plant("here@1", dead_pid(), true, 3);
	ck_assert_int_eq(acquire(none), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_STALE);
	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(count_objects(), 1);
	done(l);
	done(none);
}
END_TEST

START_TEST(one_that_is_old_by_both_clocks_goes_only_if_all_shall)
{
	struct lock *safe = OPEN(.clear = LOCK_BREAK_SAFE);
	struct lock *all = OPEN(.clear = LOCK_BREAK_ALL);

	plant("far@2", 5, true, 1790);
	ck_assert_int_eq(acquire(all), RC_BUSY);
	unplant(planted);
	plant("far@2", 5, true, 1801);
	ck_assert_int_eq(acquire(safe), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_STALE);
	ck_assert_int_eq(acquire(all), RC_OK);
	done(all);
	done(safe);
}
END_TEST

START_TEST(one_that_is_old_by_one_clock_alone_is_respected)
{
	struct lock *l = OPEN(.clear = LOCK_BREAK_ALL, .hasty = true);
	char name[80];

	plant("far@2", 5, true, 7200);
	(void)snprintf(name, sizeof(name), "locks/%s", planted);
	repo_set_age(name, 0);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_HELD);
	ck_assert_int_lt(holder.skew, -7000 * NSEC_PER_SEC);
	unplant(planted);
	plant("far@2", 5, true, 0);
	(void)snprintf(name, sizeof(name), "locks/%s", planted);
	repo_set_age(name, 7200);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_HELD);
	done(l);
}
END_TEST

START_TEST(a_living_process_of_this_host_keeps_an_old_lock)
{
	struct lock *l = OPEN(.clear = LOCK_BREAK_ALL);

	plant("here@1", getppid(), true, 7200);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(holder.alive, LOCK_ALIVE_YES);
	ck_assert_int_eq(holder.state, LOCK_HELD);
	done(l);
}
END_TEST

START_TEST(one_from_the_future_is_respected)
{
	struct lock *l = OPEN(.clear = LOCK_BREAK_ALL);

	plant("far@2", 5, true, -7200);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	done(l);
	ck_assert_int_eq(count_objects(), 1);
}
END_TEST

/* On a network file system our own clock says nothing about its times. */
START_TEST(where_clocks_may_differ_that_of_the_store_is_asked)
{
	struct between *b;
	struct lock *l = open_between(&b, LOCK_EXCLUSIVE, getpid(), BESIDE);

	b->base.lag = MINUTE;
	repo_write("locks/garbage", "");
	ck_assert_int_eq(acquire(l), RC_BUSY);
	repo_set_age("locks/garbage", 1900);
	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(count_objects(), 2);
	done(l);
	ck_assert_str_eq(repo_names("locks"), "garbage");
}
END_TEST

/* The store's clock an hour behind ours. */
static enum rc
put_an_hour_ago(struct store *s, const char *name, const void *data, size_t len,
		enum store_put_when when, const struct store_tag *match,
		struct store_tag *tag, const struct call *call, struct err *err)
{
	enum rc rc = between_put(s, name, data, len, when, match, tag, call, err);

	if (rc == RC_OK)
		tag->time.ns -= 3600 * NSEC_PER_SEC;
	return rc;
}

START_TEST(a_clock_that_differs_from_the_stores_is_warned_of)
{
	struct between *b;
	struct lock *l = open_between(&b, LOCK_EXCLUSIVE, getpid(), BESIDE);
	struct store_ops ops = store_between;

	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_ptr_null(l->warning);
	ck_assert_int_eq(release(l), RC_OK);
	ops.put = put_an_hour_ago;
	b->base.ops = &ops;
	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_ptr_nonnull(l->warning);
	ck_assert_int_gt(mine.skew, 3500 * NSEC_PER_SEC);
	ck_assert_int_eq(release(l), RC_OK);
	lock_close(l);
}
END_TEST

/* --- unreadable ones --- */

static const char *const garbage[] = { "", "{", "[1]", "{\"exclusive\": true}" };

START_TEST(an_unreadable_object_is_respected_while_it_is_young)
{
	struct lock *l = OPEN(.mode = _i % 2 ? LOCK_SHARED : LOCK_EXCLUSIVE,
			      .clear = LOCK_BREAK_ALL);

	repo_write("locks/bad", garbage[_i / 2]);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_UNREADABLE);
	repo_set_age("locks/bad", 1750);
	ck_assert_int_eq(acquire(l), RC_BUSY);
	/* Whoever held it would have written another one since. */
	repo_set_age("locks/bad", 1850);
	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(refresh(l), RC_OK);
	done(l);
	ck_assert_str_eq(repo_names("locks"), "bad");
}
END_TEST

START_TEST(a_huge_object_is_unreadable)
{
	char *huge = calloc(1, 100001);

	memset(huge, ' ', 100000);
	repo_write("locks/huge", huge);
	free(huge);
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(listed[0].state, LOCK_UNREADABLE);
	ck_assert_str_eq(listed[0].id, "huge");
	ck_assert_int_gt(listed[0].since.ns, 0);
}
END_TEST

START_TEST(what_borg_does_not_see_is_not_there_for_us_either)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);
	char path[128];

	repo_write("locks/abcdefgh.tmp", "{");
	repo_write("locks/UPPER", "{");
	(void)snprintf(path, sizeof(path), "%s/locks/dir", repo);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(list(), 0);
	ck_assert_int_eq(acquire(l), RC_OK);
	done(l);
	ck_assert_str_eq(repo_names("locks"), "UPPER abcdefgh.tmp dir");
}
END_TEST

/* --- refresh --- */

START_TEST(a_refresh_puts_a_new_object_beside_the_old_one)
{
	struct lock *l = open_between(NULL, LOCK_EXCLUSIVE, getpid(), BESIDE);
	struct lock *other = OPEN(.mode = LOCK_SHARED, .pid = getppid());
	char first[72];

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(first, sizeof(first), mine.id);
	ck_assert_int_eq(refresh(l), RC_OK);
	ck_assert_int_eq(count_objects(), 2);
	/* and comes back for the old one soon */
	ck_assert_int_le(term.refresh_in, 60 * NSEC_PER_SEC);
	ck_assert_int_eq(acquire(other), RC_BUSY);
	ck_assert_int_eq(list(), 1);
	ck_assert_str_ne(listed[0].id, first);
	ck_assert_int_eq(refresh(l), RC_OK);
	ck_assert_int_eq(count_objects(), 2);
	ck_assert_int_eq(release(l), RC_OK);
	lock_close(l);
	ck_assert_int_eq(count_objects(), 0);
	done(other);
}
END_TEST

START_TEST(the_old_object_goes_when_the_overlap_is_over)
{
	struct lock *l = open_between(NULL, LOCK_SHARED, getpid(), AT_ONCE);
	char first[72];

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(first, sizeof(first), mine.id);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(refresh(l), RC_OK);
		ck_assert_int_eq(count_objects(), 2);
		ck_assert_int_eq(refresh(l), RC_OK);
		ck_assert_int_eq(count_objects(), 1);
		ck_assert_str_ne(repo_names("locks"), first);
		text_copy(first, sizeof(first), repo_names("locks"));
	}
	ck_assert_int_gt(term.valid, 29 * MINUTE);
	ck_assert_int_eq(release(l), RC_OK);
	lock_close(l);
}
END_TEST

static char current_name[72];
static void remove_current(void)
{
	unplant(current_name);
}

START_TEST(a_removed_object_is_a_loss)
{
	struct lock *l = open_between(NULL, LOCK_EXCLUSIVE, getpid(), BESIDE);

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(current_name, sizeof(current_name), mine.id);
	if (_i == 1) /* while the new one is beside it */
		ck_assert_int_eq(refresh(l), RC_OK);
	remove_current();
	if (_i == 1) {
		unplant(repo_names("locks"));
		ck_assert_int_eq(count_objects(), 0);
	}
	ck_assert_int_eq(refresh(l), RC_LOST);
	ck_assert_int_eq(release(l), RC_LOST);
	ck_assert_int_eq(release(l), RC_OK);
	lock_close(l);
}
END_TEST

START_TEST(an_old_object_that_was_cleared_meanwhile_is_a_loss)
{
	struct lock *l = open_between(NULL, LOCK_EXCLUSIVE, getpid(), AT_ONCE);

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(current_name, sizeof(current_name), mine.id);
	ck_assert_int_eq(refresh(l), RC_OK);
	remove_current();
	ck_assert_int_eq(refresh(l), RC_LOST);
	(void)release(l);
	ck_assert_int_eq(count_objects(), 0);
	lock_close(l);
}
END_TEST

/* Stopped between looking and writing, cleared away, and gone on. */
START_TEST(a_new_object_that_comes_too_late_is_a_loss)
{
	struct between *b;
	struct lock *l = open_between(&b, LOCK_EXCLUSIVE, getpid(), BESIDE);

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(current_name, sizeof(current_name), mine.id);
	b->put = remove_current;
	ck_assert_int_eq(refresh(l), RC_LOST);
	(void)release(l);
	ck_assert_int_eq(count_objects(), 0);
	lock_close(l);
}
END_TEST

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

START_TEST(a_removed_object_is_noticed_at_once)
{
	struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE);
	int fd;

	ck_assert_int_eq(acquire(l), RC_OK);
	if (_i == 1)
		unplant(mine.id);
	fd = loss_fd(l);
	if (_i == 0) {
		ck_assert(!readable(fd));
		ck_assert_int_eq(refresh(l), RC_OK);
		ck_assert(!readable(fd));
		unplant(mine.id);
	}
	ck_assert(readable(fd));
	ck_assert_int_eq(refresh(l), RC_LOST);
	ck_assert_int_eq(release(l), RC_LOST);
	lock_close(l);
}
END_TEST

START_TEST(a_write_whose_answer_was_lost_is_cleaned_up)
{
	struct between *b;
	struct lock *l = open_between(&b, LOCK_EXCLUSIVE, getpid(), BESIDE);

	b->put_says = RC_UNKNOWN;
	ck_assert_int_eq(acquire(l), RC_UNKNOWN);
	ck_assert_int_eq(count_objects(), 1);
	ck_assert_int_eq(release(l), RC_OK);
	ck_assert_int_eq(count_objects(), 0);
	b->put_says = RC_OK;
	ck_assert_int_eq(acquire(l), RC_OK);
	b->put_says = RC_UNKNOWN;
	ck_assert_int_eq(refresh(l), RC_UNKNOWN);
	b->put_says = RC_OK;
	ck_assert_int_eq(refresh(l), RC_OK);
	ck_assert_int_eq(count_objects(), 2);
	ck_assert_int_eq(release(l), RC_OK);
	ck_assert_int_eq(count_objects(), 0);
	lock_close(l);
}
END_TEST

/* --- the hole in borg 2's own refresh --- */

/* What another's refresh does between our listing and our loading. */
static bool others_exclusive;
static int refreshes_left;

static void others_refresh(void)
{
	char old[65];

	if (refreshes_left-- <= 0)
		return;
	memcpy(old, planted, sizeof(old));
	(void)usleep(2000); /* another millisecond, another name */
	plant("far@2", 5, others_exclusive, 0);
	ck_assert_str_ne(old, planted);
	unplant(old);
}

START_TEST(who_refreshes_while_we_look_is_seen)
{
	struct between *b;
	struct lock *l = open_between(&b, LOCK_EXCLUSIVE, getpid(), BESIDE);

	others_exclusive = _i % 2;
	refreshes_left = 1 + _i / 2 * 20;
	plant("far@2", 5, others_exclusive, 0);
	b->listed = others_refresh;
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(holder.pid, 5);
	refreshes_left = 20;
	ck_assert_int_eq(acquire(l), RC_BUSY);
	ck_assert_int_eq(release(l), RC_OK);
	ck_assert_int_eq(count_objects(), 1);
	lock_close(l);
}
END_TEST

/* A client as borg 2 is: it lists, loads later, and skips what is gone. */
static bool naive_sees_one(const char *listing)
{
	char names[4096], *name, *rest = names;

	text_copy(names, sizeof(names), listing);
	while ((name = strsep(&rest, " "))) {
		char path[128];

		(void)snprintf(path, sizeof(path), "locks/%s", name);
		if (*name != '\0' && repo_has(path))
			return true;
	}
	return false;
}

START_TEST(who_looks_while_we_refresh_sees_us)
{
	struct lock *l = open_between(NULL, LOCK_SHARED, getpid(), BESIDE);
	char listing[4096];

	ck_assert_int_eq(acquire(l), RC_OK);
	text_copy(listing, sizeof(listing), repo_names("locks"));
	ck_assert_int_eq(refresh(l), RC_OK);
	ck_assert(naive_sees_one(listing));
	/* as it would not without the overlap */
	unplant(mine.id);
	ck_assert(!naive_sees_one(listing));
	(void)release(l);
	lock_close(l);
}
END_TEST

/* --- many --- */

struct record {
	atomic_int readers, writers, entered, overlaps;
};

/* Hold it for some refreshes, each a rotation. */
static void hold(struct lock *l, struct record *r, enum lock_mode mode)
{
	bool alone = mode == LOCK_EXCLUSIVE;

	atomic_fetch_add(alone ? &r->writers : &r->readers, 1);
	for (int i = 0; i < 3; i++) {
		int writers = atomic_load(&r->writers);
		int readers = atomic_load(&r->readers);

		if (writers > 1 || (writers == 1 && readers > 0))
			atomic_fetch_add(&r->overlaps, 1);
		if (refresh(l) != RC_OK)
			_exit(4);
		(void)usleep(3000);
	}
	atomic_fetch_add(&r->entered, 1);
	atomic_fetch_sub(alone ? &r->writers : &r->readers, 1);
}

static void one_turn(struct record *r, enum lock_mode mode)
{
	struct between *b;
	struct lock *l = open_between(
		&b, mode, getpid(),
		(struct borg2_pace){ 0, 400 * NSEC_PER_MSEC });
	enum rc rc;

	b->delay = 3000;
	while ((rc = acquire(l)) == RC_BUSY || rc == RC_RETRY)
		(void)wait_for(l, 50 * NSEC_PER_MSEC);
	if (rc != RC_OK)
		_exit(2);
	hold(l, r, mode);
	if (release(l) != RC_OK)
		_exit(3);
	lock_close(l);
}

START_TEST(many_processes_of_both_modes_never_overlap)
{
	enum { PROCESSES = 10, TURNS = 3 };
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
	ck_assert_str_eq(repo_names("locks"), "");
	(void)munmap(r, sizeof(*r));
}
END_TEST

START_TEST(of_many_who_do_not_wait_one_gets_a_free_lock)
{
	enum { PROCESSES = 6 };
	atomic_int *go = mmap(NULL, sizeof(*go), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t children[PROCESSES];
	int got = 0;

	ck_assert_ptr_ne(go, MAP_FAILED);
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			struct lock *l = OPEN(.mode = LOCK_EXCLUSIVE,
					      .hasty = true, .pid = getpid());
			enum rc rc;

			while (!atomic_load(go))
				(void)usleep(100);
			rc = acquire(l);
			if (rc == RC_OK)
				(void)usleep(1500 * 1000);
			if (release(l) != RC_OK)
				_exit(3);
			_exit(rc == RC_OK ? 0 : rc == RC_BUSY ? 1 : 2);
		}
	}
	(void)usleep(50000);
	atomic_store(go, 1);
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		got += status == 0;
	}
	ck_assert_int_eq(got, 1);
	(void)munmap(go, sizeof(*go));
}
END_TEST

/* --- list and remove --- */

START_TEST(locks_are_listed_with_what_is_known_of_them)
{
	plant("far.example@2", 5, false, 100);
	ck_assert_int_eq(list(), 1);
	ck_assert_str_eq(listed[0].id, planted);
	ck_assert_str_eq(listed[0].protocol, "borg2");
	ck_assert_str_eq(listed[0].host, "far.example");
	ck_assert_int_eq(listed[0].pid, 5);
	ck_assert_int_eq(listed[0].mode, LOCK_SHARED);
	ck_assert_int_eq(listed[0].alive, LOCK_ALIVE_UNKNOWN);
	ck_assert_int_eq(listed[0].skew, 0);
	ck_assert_int_eq(listed[0].expires.ns - listed[0].refreshed.ns,
			 30 * MINUTE);
}
END_TEST

START_TEST(a_stale_lock_is_removed_without_force)
{
	if (_i)
		plant("far@2", 5, true, 1900);
	else
		plant("here@1", dead_pid(), true, 3);
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(listed[0].state, LOCK_STALE);
	ck_assert_int_eq(remove_id(planted, false), RC_OK);
	ck_assert_int_eq(count_objects(), 0);
}
END_TEST

START_TEST(others_go_by_force_alone)
{
	if (_i == 0)
		plant("far@2", 5, true, 3);
	else if (_i == 1)
		plant("here@1", getppid(), true, 7200);
	else
		repo_write("locks/bad", "");
	ck_assert_int_eq(list(), 1);
	ck_assert_int_eq(remove_id(listed[0].id, false), RC_BUSY);
	ck_assert(strlen(e.text) > 10);
	ck_assert_int_eq(count_objects(), 1);
	ck_assert_int_eq(remove_id(listed[0].id, true), RC_OK);
	ck_assert_int_eq(count_objects(), 0);
}
END_TEST

START_TEST(a_lock_that_was_refreshed_since_it_was_listed_stays)
{
	struct lock *l = open_between(NULL, LOCK_EXCLUSIVE, getpid(), BESIDE);

	ck_assert_int_eq(acquire(l), RC_OK);
	ck_assert_int_eq(refresh(l), RC_OK);
	ck_assert_int_eq(remove_id(mine.id, true), RC_ABSENT);
	ck_assert_int_eq(refresh(l), RC_OK);
	ck_assert_int_eq(release(l), RC_OK);
	lock_close(l);
}
END_TEST

START_TEST(both_objects_of_a_holder_are_removed_together)
{
	plant("far@2", 5, true, 5);
	plant("far@2", 5, true, 3);
	ck_assert_int_eq(list(), 1);
	ck_assert_str_eq(listed[0].id, planted);
	ck_assert_int_eq(remove_id(planted, true), RC_OK);
	ck_assert_int_eq(count_objects(), 0);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static void add_state_tests(TCase *t)
{
	tcase_add_test(t, the_lock_of_a_dead_process_of_this_host_is_cleared);
	tcase_add_test(t, one_that_is_old_by_both_clocks_goes_only_if_all_shall);
	tcase_add_test(t, one_that_is_old_by_one_clock_alone_is_respected);
	tcase_add_test(t, a_living_process_of_this_host_keeps_an_old_lock);
	tcase_add_test(t, one_from_the_future_is_respected);
	tcase_add_test(t, where_clocks_may_differ_that_of_the_store_is_asked);
	tcase_add_test(t, a_clock_that_differs_from_the_stores_is_warned_of);
	tcase_add_loop_test(t,
			    an_unreadable_object_is_respected_while_it_is_young,
			    0, 2 * COUNT(garbage));
	tcase_add_test(t, a_huge_object_is_unreadable);
	tcase_add_test(t, what_borg_does_not_see_is_not_there_for_us_either);
}

static void add_refresh_tests(TCase *t)
{
	tcase_add_test(t, a_refresh_puts_a_new_object_beside_the_old_one);
	tcase_add_test(t, the_old_object_goes_when_the_overlap_is_over);
	tcase_add_loop_test(t, a_removed_object_is_a_loss, 0, 2);
	tcase_add_test(t, an_old_object_that_was_cleared_meanwhile_is_a_loss);
	tcase_add_test(t, a_new_object_that_comes_too_late_is_a_loss);
	tcase_add_loop_test(t, a_removed_object_is_noticed_at_once, 0, 2);
	tcase_add_test(t, a_write_whose_answer_was_lost_is_cleaned_up);
	tcase_add_loop_test(t, who_refreshes_while_we_look_is_seen, 0, 4);
	tcase_add_test(t, who_looks_while_we_refresh_sees_us);
}

static void add_other_tests(TCase *t)
{
	tcase_add_test(t, an_exclusive_lock_keeps_everybody_out);
	tcase_add_test(t, an_exclusive_lock_drains_the_shared_ones);
	tcase_add_test(t, who_stops_draining_leaves_nothing);
	tcase_add_test(t, who_does_not_wait_does_not_drain);
	tcase_add_loop_test(t, who_waits_is_woken_by_the_release, 0, 2);
	tcase_add_loop_test(t, any_name_and_both_hashes_are_read, 0, 3);
	tcase_add_test(t, many_processes_of_both_modes_never_overlap);
	tcase_add_test(t, of_many_who_do_not_wait_one_gets_a_free_lock);
}

static void add_admin_tests(TCase *t)
{
	tcase_add_test(t, locks_are_listed_with_what_is_known_of_them);
	tcase_add_loop_test(t, a_stale_lock_is_removed_without_force, 0, 2);
	tcase_add_loop_test(t, others_go_by_force_alone, 0, 3);
	tcase_add_test(t, a_lock_that_was_refreshed_since_it_was_listed_stays);
	tcase_add_test(t, both_objects_of_a_holder_are_removed_together);
}

int main(void)
{
	Suite *suite = suite_create("borg2");
	TCase *disk = tcase_create("on disk"), *others = tcase_create("others");
	TCase *state = tcase_create("state"), *fresh = tcase_create("refresh");
	TCase *admin = tcase_create("admin");
	TCase *cases[] = { disk, others, state, fresh, admin };
	SRunner *runner = srunner_create(suite);
	int failed;

	for (int i = 0; i < COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], repo_make2, repo_remove);
		tcase_set_timeout(cases[i], 120);
		suite_add_tcase(suite, cases[i]);
	}
	tcase_add_loop_test(disk, an_object_is_what_borg_would_write, 0, 2);
	tcase_add_test(disk, a_missing_locks_directory_is_made);
	tcase_add_test(disk, the_term_is_half_an_hour);
	add_other_tests(others);
	add_state_tests(state);
	add_refresh_tests(fresh);
	add_admin_tests(admin);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
