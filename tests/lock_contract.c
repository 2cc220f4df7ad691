/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock_contract.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONTRACTS_MAX = 16, LOCKS_MAX = 8 };

/* Long enough that only a hang ends it. */
#define SOON (20 * NSEC_PER_SEC)

static const struct contract *contracts[CONTRACTS_MAX];
static int contract_count;

/* Each test runs on the contract of its loop index; fixtures do not know it,
 * so a test begins and ends by itself. */
static const struct contract *c;
static struct lock *opened[LOCKS_MAX];
static size_t opened_count;

static struct lock_term term;
static struct lock_info mine, holder;
static struct err e;
static struct call call;

static void begin(int index)
{
	c = contracts[index];
	opened_count = 0;
	call = CALL_UNLIMITED;
	call.give_up = boot_add(boot_now(), SOON);
	c->begin();
}

static void end(void)
{
	while (opened_count > 0)
		lock_close(opened[--opened_count]);
	c->end();
}

static struct lock *open_lock(enum lock_mode mode, bool wait)
{
	assert(opened_count < LOCKS_MAX);
	return opened[opened_count++] = c->open(mode, wait);
}

static struct lock *open_exclusive(void)
{
	return open_lock(LOCK_EXCLUSIVE, false);
}

static enum rc acquire(struct lock *lock)
{
	return lock->ops->acquire(lock, &term, &mine, &holder, &call, &e);
}

static enum rc refresh(struct lock *lock)
{
	return lock->ops->refresh(lock, &term, &call, &e);
}

static enum rc release(struct lock *lock)
{
	return lock->ops->release(lock, &call, &e);
}

#define ck_rc(got, wanted)                                                     \
	do {                                                                   \
		enum rc got_ = (got);                                          \
		ck_assert_msg(got_ == (wanted), "%s is %s: %s", #got,          \
			      rc_name(got_), got_ == RC_OK ? "" : e.text);     \
	} while (0)

/* --- acquire and release --- */

START_TEST(a_free_lock_is_had_at_once)
{
	struct lock *a;

	begin(_i);
	a = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	ck_assert_int_gt(term.valid, 0);
	ck_assert_int_ge(term.valid, term.margin);
	ck_assert_int_le(term.refresh_in, term.valid);
	ck_assert_int_eq(mine.mode, LOCK_EXCLUSIVE);
	ck_assert_str_eq(mine.protocol, a->ops->name);
	ck_rc(release(a), RC_OK);
	end();
}
END_TEST

START_TEST(an_exclusive_holder_keeps_everybody_out)
{
	struct lock *a, *b, *s;

	begin(_i);
	a = open_exclusive();
	b = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_int_eq(holder.mode, LOCK_EXCLUSIVE);
	if (c->shared) {
		s = open_lock(LOCK_SHARED, false);
		ck_rc(acquire(s), RC_BUSY);
	}
	ck_rc(refresh(a), RC_OK);
	ck_rc(release(a), RC_OK);
	end();
}
END_TEST

START_TEST(shared_holders_are_together_and_keep_an_exclusive_one_out)
{
	struct lock *s, *t, *x;

	begin(_i);
	if (c->shared) {
		s = open_lock(LOCK_SHARED, false);
		t = open_lock(LOCK_SHARED, false);
		x = open_exclusive();
		ck_rc(acquire(s), RC_OK);
		ck_assert_int_eq(mine.mode, LOCK_SHARED);
		ck_rc(acquire(t), RC_OK);
		ck_rc(acquire(x), RC_BUSY);
		ck_assert_int_eq(holder.mode, LOCK_SHARED);
		ck_rc(release(s), RC_OK);
		ck_rc(acquire(x), RC_BUSY);
		ck_rc(release(t), RC_OK);
		ck_rc(acquire(x), RC_OK);
		ck_rc(release(x), RC_OK);
	}
	end();
}
END_TEST

START_TEST(busy_names_the_holder)
{
	struct lock *a, *b;
	char id[sizeof(mine.id)];

	begin(_i);
	a = open_exclusive();
	b = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	memcpy(id, mine.id, sizeof(id));
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_str_eq(holder.id, id);
	if (b->ops->describe)
		ck_rc(b->ops->describe(b, &holder, &call, &e), RC_OK);
	ck_assert_int_eq(holder.pid, getpid());
	ck_rc(release(a), RC_OK);
	end();
}
END_TEST

START_TEST(a_try_in_vain_leaves_nothing_behind)
{
	struct lock *a, *b;
	size_t before;

	begin(_i);
	a = open_exclusive();
	b = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	before = c->traces();
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_uint_eq(c->traces(), before);
	ck_rc(release(b), RC_OK);
	ck_rc(refresh(a), RC_OK);
	ck_rc(release(a), RC_OK);
	end();
}
END_TEST

START_TEST(release_leaves_no_trace_and_lets_the_next_in)
{
	struct lock *a, *b;

	begin(_i);
	a = open_exclusive();
	b = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	ck_assert_uint_gt(c->traces(), 0);
	ck_rc(release(a), RC_OK);
	ck_assert_uint_eq(c->traces(), 0);
	ck_rc(acquire(b), RC_OK);
	ck_rc(release(b), RC_OK);
	ck_assert_uint_eq(c->traces(), 0);
	end();
}
END_TEST

START_TEST(release_may_be_repeated_and_come_without_a_lock)
{
	struct lock *a;

	begin(_i);
	a = open_exclusive();
	ck_rc(release(a), RC_OK);
	ck_rc(acquire(a), RC_OK);
	ck_rc(release(a), RC_OK);
	ck_rc(release(a), RC_OK);
	ck_assert_uint_eq(c->traces(), 0);
	end();
}
END_TEST

START_TEST(a_lock_can_be_had_again_and_again)
{
	struct lock *a;

	begin(_i);
	a = open_exclusive();
	for (int i = 0; i < 20; i++) {
		ck_rc(acquire(a), RC_OK);
		ck_rc(refresh(a), RC_OK);
		ck_rc(release(a), RC_OK);
	}
	ck_assert_uint_eq(c->traces(), 0);
	end();
}
END_TEST

/* --- refresh and loss --- */

START_TEST(a_refresh_gives_a_new_term)
{
	struct lock *a;

	begin(_i);
	a = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	term = (struct lock_term){ 0 };
	ck_rc(refresh(a), RC_OK);
	ck_assert_int_gt(term.valid, 0);
	ck_rc(release(a), RC_OK);
	end();
}
END_TEST

START_TEST(a_lock_that_was_taken_is_lost_for_good)
{
	struct lock *a, *b;
	enum rc rc;

	begin(_i);
	if (c->steal) {
		a = open_exclusive();
		b = open_exclusive();
		ck_rc(acquire(a), RC_OK);
		c->steal();
		ck_rc(refresh(a), RC_LOST);
		ck_rc(refresh(a), RC_LOST);
		ck_rc(acquire(b), RC_OK);
		ck_rc(refresh(a), RC_LOST);
		rc = release(a);
		ck_assert(rc == RC_LOST || rc == RC_OK);
		ck_rc(release(a), RC_OK);
		/* It was not b's that a released. */
		ck_rc(refresh(b), RC_OK);
		ck_rc(release(b), RC_OK);
		ck_assert_uint_eq(c->traces(), 0);
	}
	end();
}
END_TEST

START_TEST(release_says_that_the_lock_had_been_taken)
{
	struct lock *a;

	begin(_i);
	if (c->steal) {
		a = open_exclusive();
		ck_rc(acquire(a), RC_OK);
		c->steal();
		ck_rc(release(a), RC_LOST);
		ck_rc(release(a), RC_OK);
		ck_assert_uint_eq(c->traces(), 0);
	}
	end();
}
END_TEST

static bool readable(int fd, int milliseconds)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, milliseconds) == 1;
}

START_TEST(a_loss_is_told_by_its_descriptor)
{
	struct lock *a;
	int fd;

	begin(_i);
	a = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	fd = a->ops->loss_fd ? a->ops->loss_fd(a) : -1;
	if (fd >= 0 && c->steal) {
		ck_assert(!readable(fd, 0));
		/* A refresh of ours is no loss. */
		ck_rc(refresh(a), RC_OK);
		ck_assert(!readable(fd, 0));
		c->steal();
		ck_assert(readable(fd, 30000));
		ck_rc(refresh(a), RC_LOST);
	}
	(void)release(a);
	end();
}
END_TEST

START_TEST(a_loss_before_its_descriptor_is_told_as_well)
{
	struct lock *a;
	int fd;

	begin(_i);
	a = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	if (a->ops->loss_fd && a->ops->loss_fd(a) >= 0 && c->steal) {
		ck_rc(release(a), RC_OK);
		ck_rc(acquire(a), RC_OK);
		c->steal();
		fd = a->ops->loss_fd(a);
		ck_assert_int_ge(fd, 0);
		ck_assert(readable(fd, 30000));
	}
	(void)release(a);
	end();
}
END_TEST

/* --- list and remove --- */

static struct lock_info listed[8];
static size_t listed_count;

static bool note(void *context, const struct lock_info *info)
{
	(void)context;
	ck_assert_uint_lt(listed_count, 8);
	listed[listed_count++] = *info;
	return true;
}

static void list(struct lock *lock)
{
	listed_count = 0;
	ck_rc(lock->ops->list(lock, note, NULL, &call, &e), RC_OK);
}

START_TEST(a_free_lock_lists_nothing)
{
	struct lock *a;

	begin(_i);
	a = open_exclusive();
	list(a);
	ck_assert_uint_eq(listed_count, 0);
	ck_rc(acquire(a), RC_OK);
	ck_rc(release(a), RC_OK);
	list(a);
	ck_assert_uint_eq(listed_count, 0);
	end();
}
END_TEST

START_TEST(a_holder_is_listed_and_listing_changes_nothing)
{
	struct lock *a, *b;
	size_t before;

	begin(_i);
	a = open_exclusive();
	b = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	before = c->traces();
	list(b);
	ck_assert_uint_eq(listed_count, 1);
	ck_assert_str_eq(listed[0].id, mine.id);
	ck_assert_int_eq(listed[0].mode, LOCK_EXCLUSIVE);
	ck_assert_int_eq(listed[0].state, LOCK_HELD);
	ck_assert_int_eq(listed[0].pid, getpid());
	ck_assert_uint_eq(c->traces(), before);
	ck_rc(refresh(a), RC_OK);
	ck_rc(release(a), RC_OK);
	end();
}
END_TEST

static enum rc remove_id(struct lock *lock, const char *id, bool force,
			 bool dry_run)
{
	struct lock_remove what = { .id = id, .force = force, .dry_run = dry_run };
	struct lock_info info;

	return lock->ops->remove(lock, &what, &info, &call, &e);
}

/* Not every kind of lock lets itself be removed: flock(2) ends with its
 * owner. */
static bool removable(struct lock *lock, const char *id)
{
	return remove_id(lock, id, true, true) != RC_UNSUPPORTED;
}

/* A refresh may give the lock another id; then the old one names nothing. */
static void newest_id(struct lock *lock, char id[sizeof(mine.id)])
{
	list(lock);
	ck_assert_uint_eq(listed_count, 1);
	memcpy(id, listed[0].id, sizeof(mine.id));
}

START_TEST(a_living_lock_is_removed_by_force_only)
{
	struct lock *a, *b;
	char id[sizeof(mine.id)];

	begin(_i);
	a = open_exclusive();
	b = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	memcpy(id, mine.id, sizeof(id));
	if (a->ops->remove && removable(b, id)) {
		ck_rc(remove_id(b, id, false, false), RC_BUSY);
		ck_rc(refresh(a), RC_OK);
		newest_id(b, id);
		ck_rc(remove_id(b, id, true, true), RC_OK);
		ck_rc(refresh(a), RC_OK);
		newest_id(b, id);
		ck_rc(remove_id(b, id, true, false), RC_OK);
		ck_rc(refresh(a), RC_LOST);
		ck_rc(acquire(b), RC_OK);
		ck_rc(release(b), RC_OK);
	}
	(void)release(a);
	ck_assert_uint_eq(c->traces(), 0);
	end();
}
END_TEST

START_TEST(what_is_not_there_cannot_be_removed)
{
	struct lock *a;
	enum rc rc;

	begin(_i);
	a = open_exclusive();
	ck_rc(acquire(a), RC_OK);
	if (a->ops->remove) {
		rc = remove_id(a, "nobody", true, false);
		ck_assert(rc == RC_ABSENT || rc == RC_UNSUPPORTED);
		ck_rc(refresh(a), RC_OK);
	}
	ck_rc(release(a), RC_OK);
	end();
}
END_TEST

/* --- waiting --- */

/* Waits in a thread of its own, as the worker does. */
static enum rc waited;

static void *wait_for_it(void *context)
{
	struct lock *lock = context;
	struct lock_term got;
	struct lock_info me, other;
	struct err why;
	enum rc rc;

	for (;;) {
		rc = lock->ops->acquire(lock, &got, &me, &other, &call, &why);
		if (rc != RC_BUSY)
			break;
		if (lock->ops->wait)
			rc = lock->ops->wait(lock, SOON, &call, &why);
		else
			rc = call_pause(&call, 10 * NSEC_PER_MSEC, &why);
		if (rc != RC_OK)
			break;
	}
	waited = rc;
	return NULL;
}

START_TEST(a_waiter_gets_the_lock_when_it_is_released)
{
	struct lock *a, *b;
	pthread_t thread;

	begin(_i);
	a = open_exclusive();
	b = open_lock(LOCK_EXCLUSIVE, true);
	ck_rc(acquire(a), RC_OK);
	/* A store in memory takes one thread at a time. */
	ck_rc(acquire(b), RC_BUSY);
	ck_rc(release(a), RC_OK);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_it, b), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(waited, RC_OK);
	ck_rc(refresh(b), RC_OK);
	ck_rc(release(b), RC_OK);
	ck_assert_uint_eq(c->traces(), 0);
	end();
}
END_TEST

START_TEST(waiting_ends_when_patience_does)
{
	struct lock *a, *b;
	enum rc rc;

	begin(_i);
	a = open_exclusive();
	b = open_lock(LOCK_EXCLUSIVE, true);
	ck_rc(acquire(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	if (b->ops->wait) {
		rc = b->ops->wait(b, 20 * NSEC_PER_MSEC, &call, &e);
		ck_rc(rc, RC_OK);
		ck_rc(acquire(b), RC_BUSY);
	}
	ck_rc(release(b), RC_OK);
	ck_rc(refresh(a), RC_OK);
	ck_rc(release(a), RC_OK);
	ck_assert_uint_eq(c->traces(), 0);
	end();
}
END_TEST

START_TEST(waiting_ends_when_the_leash_is_pulled)
{
	struct lock *a, *b;
	struct call pulled;
	int ends[2];

	begin(_i);
	a = open_exclusive();
	b = open_lock(LOCK_EXCLUSIVE, true);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "", 1), 1);
	pulled = (struct call){ .give_up = call.give_up, .cancel_fd = ends[0] };
	ck_rc(acquire(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	if (b->ops->wait)
		ck_rc(b->ops->wait(b, SOON, &pulled, &e), RC_CANCELLED);
	ck_rc(release(b), RC_OK);
	ck_rc(release(a), RC_OK);
	ck_assert_uint_eq(c->traces(), 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
	end();
}
END_TEST

/* --- a store that fails --- */

static const struct fault scripts[] = {
	{ .op = FAULTY_PUT, .nth = 1, .how = FAULT_LOSE },
	{ .op = FAULTY_PUT, .nth = 1, .how = FAULT_ANSWER, .rc = RC_UNKNOWN },
	{ .op = FAULTY_PUT, .nth = 1, .how = FAULT_ANSWER, .rc = RC_RETRY },
	{ .op = FAULTY_PUT, .nth = 2, .how = FAULT_LOSE },
	{ .op = FAULTY_LIST, .nth = 1, .how = FAULT_ANSWER, .rc = RC_RETRY },
	{ .op = FAULTY_LIST, .nth = 2, .how = FAULT_ANSWER, .rc = RC_RETRY },
	{ .op = FAULTY_LIST, .nth = 3, .how = FAULT_ANSWER, .rc = RC_RETRY },
	{ .op = FAULTY_DEL, .nth = 1, .how = FAULT_LOSE },
	{ .op = FAULTY_DEL, .nth = 1, .how = FAULT_ANSWER, .rc = RC_UNKNOWN },
	{ .op = FAULTY_DEL, .nth = 1, .how = FAULT_ANSWER, .rc = RC_DENIED },
	{ .op = FAULTY_DEL, .nth = 2, .how = FAULT_LOSE },
	{ .op = FAULTY_RENEW, .nth = 1, .how = FAULT_LOSE },
	{ .op = FAULTY_RENEW, .nth = 1, .how = FAULT_ANSWER, .rc = RC_RETRY },
	{ .op = FAULTY_MOVE, .nth = 1, .how = FAULT_LOSE },
	{ .op = FAULTY_MOVE, .nth = 1, .how = FAULT_ANSWER, .rc = RC_UNKNOWN },
	{ .op = FAULTY_PROBE, .how = FAULT_ANSWER, .rc = RC_RETRY },
	{ .op = FAULTY_GET, .how = FAULT_ANSWER, .rc = RC_RETRY },
	{ .op = FAULTY_LIST, .how = FAULT_DELAY, .span = NSEC_PER_MSEC },
	{ .op = FAULTY_ANY, .how = FAULT_ANSWER, .rc = RC_UNKNOWN },
	{ .op = FAULTY_ANY, .how = FAULT_ANSWER, .rc = RC_DENIED },
};
enum { SCRIPTS = sizeof(scripts) / sizeof(scripts[0]) };

static bool try_under(struct lock *lock, const struct fault *fault)
{
	struct fault script[2] = { *fault, { .op = FAULTY_NONE } };
	enum rc rc;

	c->script(lock, script);
	rc = acquire(lock);
	if (rc == RC_OK)
		rc = refresh(lock);
	return rc != RC_LOST && rc == RC_OK;
}

static void heal_and_release(struct lock *lock)
{
	enum rc rc = RC_RETRY;

	/* The first attempt still fails as the script says. */
	(void)release(lock);
	c->script(lock, &(struct fault){ .op = FAULTY_NONE });
	for (int i = 0; i < 3 && rc != RC_OK; i++)
		rc = release(lock);
	ck_rc(rc, RC_OK);
}

START_TEST(a_failing_store_gives_no_second_holder_and_keeps_no_trace)
{
	begin(_i);
	for (int i = 0; c->script && i < SCRIPTS; i++) {
		struct lock *a = open_lock(LOCK_EXCLUSIVE, false);
		struct lock *b = open_lock(LOCK_EXCLUSIVE, false);
		bool held = try_under(a, &scripts[i]);

		ck_assert_msg(!(held && try_under(b, &scripts[i])),
			      "two holders, script %d", i);
		heal_and_release(b);
		if (held)
			ck_rc(refresh(a), RC_OK);
		heal_and_release(a);
		ck_assert_msg(c->traces() == 0, "traces, script %d", i);
		/* And nobody is kept out by what went wrong. */
		ck_rc(acquire(b), RC_OK);
		ck_rc(release(b), RC_OK);
		while (opened_count > 0)
			lock_close(opened[--opened_count]);
	}
	end();
}
END_TEST

void lock_contract_add(Suite *suite, const struct contract *contract)
{
	TCase *t = tcase_create(contract->what);
	int i = contract_count++;

	assert(i < CONTRACTS_MAX);
	contracts[i] = contract;
#define ADD(test) tcase_add_loop_test(t, test, i, i + 1)
	ADD(a_free_lock_is_had_at_once);
	ADD(an_exclusive_holder_keeps_everybody_out);
	ADD(shared_holders_are_together_and_keep_an_exclusive_one_out);
	ADD(busy_names_the_holder);
	ADD(a_try_in_vain_leaves_nothing_behind);
	ADD(release_leaves_no_trace_and_lets_the_next_in);
	ADD(release_may_be_repeated_and_come_without_a_lock);
	ADD(a_lock_can_be_had_again_and_again);
	ADD(a_refresh_gives_a_new_term);
	ADD(a_lock_that_was_taken_is_lost_for_good);
	ADD(release_says_that_the_lock_had_been_taken);
	ADD(a_loss_is_told_by_its_descriptor);
	ADD(a_loss_before_its_descriptor_is_told_as_well);
	ADD(a_free_lock_lists_nothing);
	ADD(a_holder_is_listed_and_listing_changes_nothing);
	ADD(a_living_lock_is_removed_by_force_only);
	ADD(what_is_not_there_cannot_be_removed);
	ADD(a_waiter_gets_the_lock_when_it_is_released);
	ADD(waiting_ends_when_patience_does);
	ADD(waiting_ends_when_the_leash_is_pulled);
	ADD(a_failing_store_gives_no_second_holder_and_keeps_no_trace);
#undef ADD
	suite_add_tcase(suite, t);
}
