/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lease: its contract on a directory and in memory, and what is peculiar
 * to it: the queue, draining, who is stale, tokens, late answers.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deny.h"
#include "lock/lease.h"
#include "lock_contract.h"
#include "memory_store.h"

#define SOON (20 * NSEC_PER_SEC)
#define TTL (2 * NSEC_PER_SEC)

static char place[64];
static struct memory_disk *disk;
static struct self self;
static struct location location;
static struct call call;
static struct err e;

/* --- places --- */

static int erase_entry(const char *path, const struct stat *st, int flag,
		       struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void begin_any(void)
{
	static char runtime[80];

	(void)snprintf(place, sizeof(place), "/tmp/check_lease.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place));
	/* First looks are remembered there. */
	(void)snprintf(runtime, sizeof(runtime), "%s/run", place);
	ck_assert_int_eq(mkdir(runtime, 0700), 0);
	(void)setenv("XDG_RUNTIME_DIR", runtime, 1);
	self_fill(&self);
	call = CALL_UNLIMITED;
	call.give_up = boot_add(boot_now(), SOON);
	ck_assert_int_eq(location_parse(&location, place, &e), RC_OK);
}

static void begin_kernel_memory(void)
{
	begin_any();
	disk = memory_disk_make(MEMORY_KERNEL | MEMORY_MOVE);
}

static void begin_plain_memory(void)
{
	begin_any();
	disk = memory_disk_make(0);
}

static void end_any(void)
{
	if (disk)
		memory_disk_free(disk);
	disk = NULL;
	location_release(&location);
	(void)nftw(place, erase_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct store *open_store(void)
{
	struct store_manners manners = { 0 };
	struct store *s;

	if (disk)
		return memory_store_open(disk, 1);
	ck_assert_int_eq(store_open(&s, "", place, &manners, &call, &e), RC_OK);
	return s;
}

static struct lock *open_wish(const struct lock_wish *wish)
{
	struct lock *lock;

	ck_assert_int_eq(
		lease_open_on(&lock, faulty_open(open_store()), wish, &e), RC_OK);
	return lock;
}

static struct lock_wish wish_for(enum lock_mode mode, bool wait)
{
	return (struct lock_wish){ .location = &location,
				   .name = "default",
				   .mode = mode,
				   .wait = wait,
				   .ttl = TTL,
				   .command = "check",
				   .reason = "to see",
				   .self = &self };
}

static struct lock *open_lease(enum lock_mode mode, bool wait)
{
	struct lock_wish wish = wish_for(mode, wait);

	return open_wish(&wish);
}

/* --- what is there, seen past the lease --- */

static void lease_directory(char *out, size_t size)
{
	(void)snprintf(out, size, "%s/.repolock/default", place);
}

/* How many objects' names begin with one of these letters. */
static size_t with(const char *letters)
{
	char path[100], start[3] = "?.";
	struct dirent *entry;
	size_t found = 0;
	DIR *d;

	for (const char *c = letters; disk && *c; c++) {
		start[0] = *c;
		found += memory_disk_with(disk, start);
	}
	lease_directory(path, sizeof(path));
	d = opendir(path);
	while (d && (entry = readdir(d)) != NULL)
		found += entry->d_name[1] == '.' &&
			 strchr(letters, entry->d_name[0]) != NULL;
	if (d)
		(void)closedir(d);
	return found;
}

static size_t traces(void)
{
	return with("xsqt");
}

static void steal(void)
{
	char path[100], name[400];
	struct dirent *entry;
	DIR *d;

	for (size_t i = 0; disk && i < memory_disk_count(disk);) {
		const char *leaf = strrchr(memory_disk_name(disk, i), '/') + 1;

		if (*leaf == 'x' || *leaf == 's')
			memory_disk_erase(disk, memory_disk_name(disk, i));
		else
			i++;
	}
	lease_directory(path, sizeof(path));
	d = opendir(path);
	while (d && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] != 'x' && entry->d_name[0] != 's')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		(void)unlink(name);
	}
	if (d)
		(void)closedir(d);
}

static void script(struct lock *lock, const struct fault *faults)
{
	faulty_script(lease_of(lock)->store, faults);
}

static const struct contract on_a_directory = {
	.what = "contract on a directory",
	.shared = true,
	.begin = begin_any,
	.end = end_any,
	.open = open_lease,
	.traces = traces,
	.steal = steal,
	.script = script,
};

static const struct contract in_memory = {
	.what = "contract in memory with kernel locks",
	.shared = true,
	.begin = begin_kernel_memory,
	.end = end_any,
	.open = open_lease,
	.traces = traces,
	.steal = steal,
	.script = script,
};

static const struct contract in_plain_memory = {
	.what = "contract in memory",
	.shared = true,
	.begin = begin_plain_memory,
	.end = end_any,
	.open = open_lease,
	.traces = traces,
	.steal = steal,
	.script = script,
};

/* --- shorthand --- */

static struct lock_term term;
static struct lock_info mine, holder;

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

static enum rc wait_for(struct lock *lock, nsec patience)
{
	return lock->ops->wait(lock, patience, &call, &e);
}

#define ck_rc(got, wanted)                                                     \
	do {                                                                   \
		enum rc got_ = (got);                                          \
		ck_assert_msg(got_ == (wanted), "%s is %s: %s", #got,          \
			      rc_name(got_), got_ == RC_OK ? "" : e.text);     \
	} while (0)

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

/* --- cost --- */

START_TEST(an_uncontended_lock_costs_few_requests)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, true);
	struct store *s = lease_of(a)->store;

	faulty_heal(s);
	ck_rc(acquire(a), RC_OK);
	ck_assert_uint_eq(faulty_count(s, FAULTY_LIST), 2);
	ck_assert_uint_eq(faulty_count(s, FAULTY_PUT), 1);
	ck_assert_uint_eq(faulty_count(s, FAULTY_ANY), 3);
	faulty_heal(s);
	ck_rc(refresh(a), RC_OK);
	ck_assert_uint_eq(faulty_count(s, FAULTY_ANY), 2);
	faulty_heal(s);
	ck_rc(release(a), RC_OK);
	ck_assert_uint_eq(faulty_count(s, FAULTY_MOVE), 1);
	ck_assert_uint_eq(faulty_count(s, FAULTY_ANY), 1);
	lock_close(a);
}
END_TEST

START_TEST(a_busy_answer_reads_no_record)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);

	ck_rc(acquire(a), RC_OK);
	faulty_heal(lease_of(b)->store);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_uint_eq(faulty_count(lease_of(b)->store, FAULTY_GET), 0);
	ck_assert_uint_eq(faulty_count(lease_of(b)->store, FAULTY_ANY), 2);
	lock_close(a);
	lock_close(b);
}
END_TEST

START_TEST(a_plainly_held_lock_is_refused_at_once)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);
	nsec fastest = NSEC_FOREVER;

	ck_rc(acquire(a), RC_OK);
	/* A pause would be in each of them, the noise of a machine is not. */
	for (int i = 0; i < 20; i++) {
		struct boot begun = boot_now();

		ck_rc(acquire(b), RC_BUSY);
		if (boot_until(begun, boot_now()) < fastest)
			fastest = boot_until(begun, boot_now());
	}
	ck_assert_int_lt(fastest, 50 * NSEC_PER_MSEC);
	lock_close(a);
	lock_close(b);
}
END_TEST

/* --- tokens and tombstones --- */

START_TEST(tokens_grow_from_lock_to_lock)
{
	uint64_t last = 0;

	for (int i = 0; i < 5; i++) {
		struct lock *a = open_lease(i % 2 ? LOCK_SHARED : LOCK_EXCLUSIVE,
					    false);

		ck_rc(acquire(a), RC_OK);
		ck_assert_uint_gt(mine.fence, last);
		last = mine.fence;
		ck_rc(release(a), RC_OK);
		lock_close(a);
	}
}
END_TEST

START_TEST(only_the_newest_tombstone_stays)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);

	for (int i = 0; i < 10; i++) {
		ck_rc(acquire(a), RC_OK);
		ck_rc(release(a), RC_OK);
	}
	ck_assert_uint_eq(with("z"), 1);
	lock_close(a);
}
END_TEST

START_TEST(a_claim_with_a_tombstone_is_lost)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lease *l = lease_of(a);
	struct lease_name z;
	char path[LEASE_PATH_SIZE];

	ck_rc(acquire(a), RC_OK);
	z = l->claim.name;
	z.kind = LEASE_TOMBSTONE;
	lease_path(l, &z, path);
	ck_rc(l->store->ops->put(l->store, path, "", 0, STORE_PUT_ALWAYS, NULL,
				 NULL, &call, &e),
	      RC_OK);
	ck_rc(refresh(a), RC_LOST);
	ck_rc(release(a), RC_LOST);
	ck_assert_uint_eq(traces(), 0);
	lock_close(a);
}
END_TEST

START_TEST(foreign_files_are_ignored_and_left_alone)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct store *s = lease_of(a)->store;
	struct store_tag tag;
	struct buf body;

	ck_rc(s->ops->put(s, ".repolock/default/x.README", "hello", 5,
			  STORE_PUT_ALWAYS, NULL, NULL, &call, &e),
	      RC_OK);
	ck_rc(acquire(a), RC_OK);
	ck_rc(release(a), RC_OK);
	buf_init(&body, 100);
	ck_rc(s->ops->get(s, ".repolock/default/x.README", &body, &tag, &call, &e),
	      RC_OK);
	ck_assert_str_eq(buf_text(&body), "hello");
	buf_release(&body);
	lock_close(a);
}
END_TEST

START_TEST(p4_5_a_temporary_file_of_a_dead_writer_is_swept_after_a_term)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct store *s = lease_of(a)->store;
	const char *dead = ".repolock/default/"
			   "t.0d000000-0000-4000-8000-00000000000d";
	const char *alive = ".repolock/default/"
			    "t.0e000000-0000-4000-8000-00000000000e";
	int fd, other;

	ck_rc(s->ops->put_locked(s, dead, "", 0, &fd, NULL, &call, &e), RC_OK);
	ck_rc(s->ops->put_locked(s, alive, "", 0, &other, NULL, &call, &e),
	      RC_OK);
	(void)close(fd);
	ck_rc(acquire(a), RC_OK);
	ck_rc(release(a), RC_OK);
	/* It may be written by another host, whose lock is not seen here. */
	ck_assert_uint_eq(with("t"), 2);
	(void)call_pause(&call, TTL, &e);
	ck_rc(acquire(a), RC_OK);
	ck_rc(release(a), RC_OK);
	ck_assert_uint_eq(with("t"), 1);
	(void)close(other);
	lock_close(a);
}
END_TEST

START_TEST(a_temporary_file_of_somebody_unseen_is_watched_for_a_term)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct store *s = lease_of(a)->store;

	ck_rc(s->ops->put(s,
			  ".repolock/default/"
			  "t.0d000000-0000-4000-8000-00000000000d",
			  "", 0, STORE_PUT_ALWAYS, NULL, NULL, &call, &e),
	      RC_OK);
	ck_rc(acquire(a), RC_OK);
	ck_rc(release(a), RC_OK);
	ck_assert_uint_eq(with("t"), 1);
	(void)call_pause(&call, TTL, &e);
	ck_rc(acquire(a), RC_OK);
	ck_rc(release(a), RC_OK);
	ck_assert_uint_eq(with("t"), 0);
	lock_close(a);
}
END_TEST

/* --- late and lost answers --- */

START_TEST(a_deciding_listing_that_comes_late_counts_for_nothing)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	const struct fault late[] = {
		{ .op = FAULTY_LIST,
		  .nth = 2,
		  .how = FAULT_DELAY,
		  .span = TTL - TTL / 8 },
		{ .op = FAULTY_NONE },
	};

	script(a, late);
	ck_rc(acquire(a), RC_RETRY);
	ck_assert_uint_eq(traces(), 0);
	ck_rc(acquire(a), RC_OK);
	lock_close(a);
}
END_TEST

START_TEST(a_term_counts_from_before_the_claim_was_sent)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	const struct fault slow[] = {
		{ .op = FAULTY_PUT,
		  .how = FAULT_DELAY,
		  .span = 300 * NSEC_PER_MSEC },
		{ .op = FAULTY_NONE },
	};
	struct boot begun = boot_now();
	nsec took;

	script(a, slow);
	ck_rc(acquire(a), RC_OK);
	took = boot_until(begun, boot_now());
	ck_assert_int_ge(took, 300 * NSEC_PER_MSEC);
	/* What the answer took is no part of the term; what came before is. */
	ck_assert_int_le(term.valid, TTL + took - 300 * NSEC_PER_MSEC);
	lock_close(a);
}
END_TEST

START_TEST(a_claim_that_comes_back_from_the_past_is_deleted)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lease *l = lease_of(a);
	char path[LEASE_PATH_SIZE];

	ck_rc(acquire(a), RC_OK);
	l->claim.name.kernel = false;
	lease_path(l, &l->claim.name, path);
	l->claim.name.kernel = l->claim.fd >= 0;
	ck_rc(release(a), RC_OK);
	ck_rc(acquire(a), RC_OK);
	ck_rc(release(a), RC_OK);
	/* The first one, written late; its tombstone may be swept. */
	ck_rc(l->store->ops->put(l->store, path, "{}", 2, STORE_PUT_ALWAYS,
				 NULL, NULL, &call, &e),
	      RC_OK);
	ck_rc(acquire(a), RC_OK);
	ck_assert_uint_eq(with("xs"), 1);
	ck_rc(release(a), RC_OK);
	ck_assert_uint_eq(traces(), 0);
	lock_close(a);
}
END_TEST

START_TEST(a_refresh_that_hangs_leaves_the_lock_where_it_is)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	const struct fault hangs[] = { { .op = FAULTY_LIST, .how = FAULT_HANG },
				       { .op = FAULTY_NONE } };
	struct call leash = call;

	ck_rc(acquire(a), RC_OK);
	script(a, hangs);
	leash.give_up = boot_add(boot_now(), 20 * NSEC_PER_MSEC);
	ck_rc(a->ops->refresh(a, &term, &leash, &e), RC_RETRY);
	faulty_heal(lease_of(a)->store);
	ck_rc(refresh(a), RC_OK);
	ck_rc(release(a), RC_OK);
	lock_close(a);
}
END_TEST

/* --- several at once --- */

struct rival {
	struct lock *lock;
	enum rc rc;
};

/* Another one, that has just put its claim when ours is put. */
static void rival_claims(void *context)
{
	struct rival *rival = context;
	struct lock_term t;
	struct lock_info m, h;
	struct err why;

	rival->rc = rival->lock->ops->acquire(rival->lock, &t, &m, &h, &call,
					      &why);
}

START_TEST(one_that_held_before_our_claim_was_seen_keeps_the_lock)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, true);
	struct rival rival = { .lock = open_lease(LOCK_EXCLUSIVE, false),
			       .rc = RC_FAILED };
	/* Between our first listing and our claim. */
	const struct fault meanwhile[] = {
		{ .op = FAULTY_PUT,
		  .nth = 1,
		  .how = FAULT_BEFORE,
		  .meanwhile = rival_claims,
		  .context = &rival },
		{ .op = FAULTY_NONE },
	};

	script(a, meanwhile);
	ck_rc(acquire(a), RC_BUSY);
	ck_assert_int_eq(rival.rc, RC_OK);
	ck_rc(refresh(rival.lock), RC_OK);
	ck_assert_uint_eq(with("x"), 1);
	ck_rc(release(rival.lock), RC_OK);
	ck_rc(acquire(a), RC_OK);
	lock_close(a);
	lock_close(rival.lock);
}
END_TEST

START_TEST(a_try_that_meets_an_undecided_one_looks_for_a_second)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct rival rival = { .lock = open_lease(LOCK_EXCLUSIVE, false),
			       .rc = RC_FAILED };
	const struct fault meanwhile[] = {
		{ .op = FAULTY_PUT,
		  .nth = 1,
		  .how = FAULT_BEFORE,
		  .meanwhile = rival_claims,
		  .context = &rival },
		{ .op = FAULTY_NONE },
	};
	struct boot begun = boot_now();

	script(a, meanwhile);
	ck_rc(acquire(a), RC_BUSY);
	ck_assert_int_ge(boot_until(begun, boot_now()), NSEC_PER_SEC);
	ck_assert_uint_eq(with("x"), 1);
	lock_close(a);
	lock_close(rival.lock);
}
END_TEST

/* --- the queue --- */

START_TEST(who_waits_has_a_place_and_release_takes_it_back)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);

	ck_rc(acquire(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_uint_eq(with("q"), 1);
	ck_rc(release(b), RC_OK);
	ck_assert_uint_eq(with("q"), 0);
	ck_rc(release(a), RC_OK);
	lock_close(a);
	lock_close(b);
}
END_TEST

START_TEST(who_came_first_goes_first)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);
	struct lock *c = open_lease(LOCK_EXCLUSIVE, true);

	ck_rc(acquire(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	ck_rc(acquire(c), RC_BUSY);
	ck_rc(release(a), RC_OK);
	ck_rc(acquire(c), RC_BUSY);
	ck_assert_int_eq(holder.state, LOCK_WAITING);
	ck_rc(acquire(b), RC_OK);
	ck_rc(acquire(c), RC_BUSY);
	ck_rc(release(b), RC_OK);
	ck_rc(acquire(c), RC_OK);
	lock_close(a);
	lock_close(b);
	lock_close(c);
}
END_TEST

START_TEST(who_does_not_wait_may_overtake)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);

	ck_rc(acquire(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	ck_rc(release(a), RC_OK);
	ck_rc(acquire(a), RC_OK);
	lock_close(a);
	lock_close(b);
}
END_TEST

START_TEST(a_later_shared_one_queues_behind_an_exclusive_waiter)
{
	struct lock *s = open_lease(LOCK_SHARED, false);
	struct lock *x = open_lease(LOCK_EXCLUSIVE, true);
	struct lock *t = open_lease(LOCK_SHARED, true);

	ck_rc(acquire(s), RC_OK);
	ck_rc(acquire(x), RC_BUSY);
	ck_rc(acquire(t), RC_BUSY);
	ck_rc(release(s), RC_OK);
	ck_rc(acquire(t), RC_BUSY);
	ck_rc(acquire(x), RC_OK);
	ck_rc(release(x), RC_OK);
	ck_rc(acquire(t), RC_OK);
	lock_close(s);
	lock_close(x);
	lock_close(t);
}
END_TEST

START_TEST(the_head_of_the_queue_drains_shared_holders)
{
	struct lock *s = open_lease(LOCK_SHARED, false);
	struct lock *t = open_lease(LOCK_SHARED, false);
	struct lock *x = open_lease(LOCK_EXCLUSIVE, true);
	struct lock *late = open_lease(LOCK_SHARED, false);

	ck_rc(acquire(s), RC_OK);
	ck_rc(acquire(t), RC_OK);
	ck_rc(acquire(x), RC_BUSY);
	ck_assert_uint_eq(with("x"), 1);
	/* It would slip in but for the claim. */
	ck_rc(acquire(late), RC_BUSY);
	list(late);
	/* The two holders, and x once, though it has a claim and a place. */
	ck_assert_uint_eq(listed_count, 3);
	ck_assert_int_eq(listed[2].mode, LOCK_EXCLUSIVE);
	ck_assert_int_eq(listed[2].state, LOCK_WAITING);
	ck_rc(release(s), RC_OK);
	ck_rc(acquire(x), RC_BUSY);
	ck_rc(refresh(t), RC_OK);
	ck_rc(release(t), RC_OK);
	ck_rc(acquire(x), RC_OK);
	ck_assert_int_gt(term.valid, TTL - NSEC_PER_SEC);
	ck_rc(release(x), RC_OK);
	ck_assert_uint_eq(traces(), 0);
	lock_close(s);
	lock_close(t);
	lock_close(x);
	lock_close(late);
}
END_TEST

START_TEST(a_drain_that_is_given_up_leaves_nothing)
{
	struct lock *s = open_lease(LOCK_SHARED, false);
	struct lock *x = open_lease(LOCK_EXCLUSIVE, true);

	ck_rc(acquire(s), RC_OK);
	ck_rc(acquire(x), RC_BUSY);
	ck_rc(release(x), RC_OK);
	ck_assert_uint_eq(with("xq"), 0);
	ck_rc(refresh(s), RC_OK);
	lock_close(s);
	lock_close(x);
}
END_TEST

START_TEST(a_place_that_was_deleted_is_taken_anew)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);
	struct lease *l = lease_of(b);

	ck_rc(acquire(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	ck_rc(lease_delete(l, &l->place.name, &call, &e), RC_OK);
	ck_assert_uint_eq(with("q"), 0);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_uint_eq(with("q"), 1);
	lock_close(a);
	lock_close(b);
}
END_TEST

START_TEST(after_a_release_the_next_claims_before_it_lists)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);
	struct store *s = lease_of(b)->store;

	ck_rc(acquire(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	ck_rc(release(a), RC_OK);
	ck_rc(wait_for(b, SOON), RC_OK);
	faulty_heal(s);
	ck_rc(acquire(b), RC_OK);
	ck_assert_uint_eq(faulty_count(s, FAULTY_LIST), 1);
	ck_assert_uint_eq(faulty_count(s, FAULTY_PUT), 1);
	lock_close(a);
	lock_close(b);
}
END_TEST

/* --- processes --- */

static pid_t child = -1;

static void end_child(void)
{
	if (child > 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
	}
	child = -1;
}

static void end_processes(void)
{
	end_child();
	end_any();
}

/* A process that acquires, or waits for a place, and stays. */
static void start_child(enum lock_mode mode, bool wait, enum rc wanted)
{
	int ends[2];
	char rc = -1;

	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct lock *a;

		self_fill(&self);
		a = open_lease(mode, wait);
		rc = (char)acquire(a);
		(void)!write(ends[1], &rc, 1);
		for (;;)
			(void)pause();
	}
	(void)close(ends[1]);
	ck_assert_int_eq(read(ends[0], &rc, 1), 1);
	(void)close(ends[0]);
	ck_assert_int_eq(rc, (char)wanted);
}

START_TEST(a_killed_holder_is_proved_dead_at_once)
{
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);

	start_child(LOCK_EXCLUSIVE, false, RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	end_child();
	list(b);
	ck_assert_uint_eq(listed_count, 1);
	ck_assert_int_eq(listed[0].state, LOCK_STALE);
	ck_assert_int_eq(listed[0].alive, LOCK_ALIVE_NO);
	ck_assert_ptr_nonnull(strstr(listed[0].detail, "kernel lock"));
	ck_rc(acquire(b), RC_OK);
	ck_assert_uint_eq(with("xs"), 1);
	ck_assert_uint_gt(mine.fence, 1);
	lock_close(b);
}
END_TEST

START_TEST(nothing_is_broken_where_nothing_is_to_be_cleared)
{
	struct lock_wish wish = wish_for(LOCK_EXCLUSIVE, false);
	struct lock *b;

	wish.clear = LOCK_BREAK_NONE;
	b = open_wish(&wish);
	start_child(LOCK_EXCLUSIVE, false, RC_OK);
	end_child();
	ck_rc(acquire(b), RC_BUSY);
	lock_close(b);
}
END_TEST

static bool readable(int fd, int msec)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, msec) == 1;
}

/* Other programs of the user have all the watches there may be: from the
 * beginning, or only when the claim has been watched for a while. */
START_TEST(p3_3_a_loss_is_noticed_where_no_watch_can_be_had)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	int patience = SOON / NSEC_PER_MSEC, fd;

	if (_i == 0)
		deny_call(SYS_inotify_init1, EMFILE);
	ck_rc(acquire(a), RC_OK);
	fd = a->ops->loss_fd(a);
	ck_assert_int_ge(fd, 0);
	if (_i == 1) {
		ck_assert(!readable(fd, 0));
		deny_call(SYS_inotify_add_watch, ENOSPC);
		ck_rc(refresh(a), RC_OK);
	}
	/* It is looked at again and again, though nothing happens. */
	for (int i = 0; i < 2; i++) {
		ck_assert(readable(fd, patience));
		ck_rc(refresh(a), RC_OK);
		ck_assert(!readable(fd, 0));
	}
	steal();
	ck_assert(readable(fd, patience));
	ck_rc(refresh(a), RC_LOST);
	lock_close(a);
}
END_TEST

/* Beside it: a watch that serves costs no looks. */
START_TEST(p3_3_a_claim_that_is_watched_is_not_looked_at_by_the_clock)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	int fd;

	ck_rc(acquire(a), RC_OK);
	fd = a->ops->loss_fd(a);
	ck_assert(!readable(fd, 1500));
	ck_rc(refresh(a), RC_OK);
	ck_assert(!readable(fd, 1500));
	steal();
	ck_assert(readable(fd, SOON / NSEC_PER_MSEC));
	ck_rc(refresh(a), RC_LOST);
	lock_close(a);
}
END_TEST

START_TEST(a_stale_lock_is_removed_without_force)
{
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);
	struct lock_remove what = { 0 };
	struct lock_info info;

	start_child(LOCK_EXCLUSIVE, false, RC_OK);
	list(b);
	what.id = listed[0].id;
	ck_rc(b->ops->remove(b, &what, &info, &call, &e), RC_BUSY);
	end_child();
	what.dry_run = true;
	ck_rc(b->ops->remove(b, &what, &info, &call, &e), RC_OK);
	ck_assert_uint_eq(with("x"), 1);
	what.dry_run = false;
	ck_rc(b->ops->remove(b, &what, &info, &call, &e), RC_OK);
	ck_assert_int_eq(info.state, LOCK_STALE);
	ck_assert_uint_eq(traces(), 0);
	ck_assert_uint_eq(with("z"), 1);
	lock_close(b);
}
END_TEST

static void *kill_soon(void *context)
{
	(void)context;
	(void)call_pause(&(struct call){ BOOT_NEVER, -1 }, 50 * NSEC_PER_MSEC,
			 &(struct err){ 0 });
	(void)kill(child, SIGKILL);
	return NULL;
}

START_TEST(a_waiter_is_woken_by_the_death_of_the_holder)
{
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);
	struct boot begun;
	pthread_t thread;
	enum rc rc;

	start_child(LOCK_EXCLUSIVE, false, RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	begun = boot_now();
	ck_assert_int_eq(pthread_create(&thread, NULL, kill_soon, NULL), 0);
	do {
		ck_rc(wait_for(b, SOON), RC_OK);
		rc = acquire(b);
	} while (rc == RC_BUSY && boot_until(begun, boot_now()) < SOON);
	ck_rc(rc, RC_OK);
	/* Not by the watch that looks again in a minute. */
	ck_assert_int_lt(boot_until(begun, boot_now()), SOON);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	lock_close(b);
}
END_TEST

START_TEST(the_place_of_a_dead_waiter_is_overtaken)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);
	struct boot begun;
	enum rc rc;

	ck_rc(acquire(a), RC_OK);
	start_child(LOCK_EXCLUSIVE, true, RC_BUSY);
	ck_rc(acquire(b), RC_BUSY);
	end_child();
	ck_rc(release(a), RC_OK);
	ck_assert_uint_eq(with("q"), 2);
	begun = boot_now();
	do {
		ck_rc(wait_for(b, SOON), RC_OK);
		rc = acquire(b);
	} while (rc == RC_BUSY);
	ck_rc(rc, RC_OK);
	ck_assert_int_ge(boot_until(begun, boot_now()), 1 * NSEC_PER_SEC);
	ck_assert_uint_eq(with("q"), 0);
	lock_close(a);
	lock_close(b);
}
END_TEST

/* The front holds on to the lock while it kills, though the keeper is dead. */
START_TEST(a_shared_description_keeps_the_claim_alive)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);
	int shared;

	ck_rc(acquire(a), RC_OK);
	shared = dup(a->ops->kernel_lock_fd(a));
	ck_assert_int_ge(shared, 0);
	lock_close(a);
	ck_rc(acquire(b), RC_BUSY);
	(void)close(shared);
	ck_rc(acquire(b), RC_OK);
	lock_close(b);
}
END_TEST

/* --- without kernel locks --- */

/* A claim in memory, of a process that may be gone, of any host. */
static void leave_claim(const struct self *owner, nsec ttl)
{
	struct lock_wish wish = wish_for(LOCK_EXCLUSIVE, false);
	struct lock *a;

	wish.self = owner;
	wish.ttl = ttl;
	a = open_wish(&wish);
	ck_rc(acquire(a), RC_OK);
	lock_close(a);
}

static struct self of_a_dead_process(void)
{
	struct self dead = self;

	start_child(LOCK_SHARED, false, RC_OK);
	dead.front = (struct process){ child, process_start(child) };
	dead.keeper = dead.front;
	end_child();
	for (size_t i = 0; i < memory_disk_count(disk);)
		memory_disk_erase(disk, memory_disk_name(disk, i));
	return dead;
}

START_TEST(both_processes_gone_prove_a_claim_stale)
{
	struct self dead = of_a_dead_process();
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);

	leave_claim(&dead, 300 * NSEC_PER_SEC);
	list(b);
	ck_assert_int_eq(listed[0].state, LOCK_STALE);
	ck_assert_ptr_nonnull(strstr(listed[0].detail, "have ended"));
	ck_rc(acquire(b), RC_OK);
	lock_close(b);
}
END_TEST

START_TEST(one_process_alive_keeps_a_claim)
{
	struct self half = of_a_dead_process();
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);

	if (_i == 0)
		half.front = self.front;
	else
		half.keeper = self.keeper;
	leave_claim(&half, 300 * NSEC_PER_SEC);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_int_gt(holder.sure_in, 300 * NSEC_PER_SEC);
	lock_close(b);
}
END_TEST

START_TEST(a_dead_process_of_elsewhere_proves_nothing)
{
	struct self dead = of_a_dead_process();
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);

	(void)snprintf(dead.boot_id, sizeof(dead.boot_id), "another");
	leave_claim(&dead, 300 * NSEC_PER_SEC);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_int_eq(holder.alive, LOCK_ALIVE_UNKNOWN);
	lock_close(b);
}
END_TEST

/* A place in memory, of a process that may be gone, behind a holder. */
static void leave_place(const struct self *owner)
{
	struct lock_wish wish = wish_for(LOCK_EXCLUSIVE, true);
	struct lock *a;

	wish.self = owner;
	a = open_wish(&wish);
	ck_rc(acquire(a), RC_BUSY);
	lock_close(a);
}

/* As when a job with many waiters is killed on a network file system. */
START_TEST(places_of_dead_processes_are_overtaken_at_once)
{
	struct self dead = of_a_dead_process();
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);

	ck_rc(acquire(a), RC_OK);
	leave_place(&dead);
	leave_place(&dead);
	leave_place(&dead);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_uint_eq(with("q"), 1);
	ck_rc(release(a), RC_OK);
	ck_rc(acquire(b), RC_OK);
	lock_close(a);
	lock_close(b);
}
END_TEST

START_TEST(a_place_whose_owner_dies_later_is_overtaken_then)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);
	struct self other = self;

	ck_rc(acquire(a), RC_OK);
	start_child(LOCK_SHARED, true, RC_BUSY);
	other.front = (struct process){ child, process_start(child) };
	other.keeper = other.front;
	leave_place(&other);
	ck_rc(acquire(b), RC_BUSY);
	ck_rc(release(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	end_child();
	ck_rc(acquire(b), RC_OK);
	lock_close(a);
	lock_close(b);
}
END_TEST

START_TEST(the_place_of_one_that_may_live_is_not_overtaken)
{
	struct self other = of_a_dead_process();
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);

	switch (_i) {
	case 0:
		other.front = self.front;
		break;
	case 1:
		other.keeper = self.keeper;
		break;
	case 2:
		(void)snprintf(other.boot_id, sizeof(other.boot_id), "another");
		break;
	case 3:
		other.pid_ns++;
		break;
	}
	ck_rc(acquire(a), RC_OK);
	leave_place(&other);
	ck_rc(acquire(b), RC_BUSY);
	ck_rc(release(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_uint_eq(with("q"), 2);
	ck_rc(release(b), RC_OK);
	lock_close(a);
	lock_close(b);
}
END_TEST

static struct self of_elsewhere(void)
{
	struct self other = self;

	(void)snprintf(other.boot_id, sizeof(other.boot_id), "another");
	(void)snprintf(other.host, sizeof(other.host), "far");
	return other;
}

/* Ten waiters of hosts that crashed: one look, not one after the other. */
START_TEST(p5_2_idle_places_of_elsewhere_cost_one_look)
{
	struct self other = of_elsewhere();
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);
	struct boot begun;
	enum rc rc;

	ck_rc(acquire(a), RC_OK);
	for (int i = 0; i < 10; i++)
		leave_place(&other);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_uint_eq(with("q"), 11);
	ck_rc(release(a), RC_OK);
	begun = boot_now();
	call.give_up = boot_add(begun, 2 * SOON);
	do {
		ck_rc(wait_for(b, SOON), RC_OK);
		rc = acquire(b);
	} while (rc == RC_BUSY);
	ck_rc(rc, RC_OK);
	/* They might have acted for so long. */
	ck_assert_int_ge(boot_until(begun, boot_now()), 14 * NSEC_PER_SEC);
	ck_assert_uint_eq(with("q"), 0);
	lock_close(a);
	lock_close(b);
}
END_TEST

START_TEST(p5_2_who_lives_elsewhere_keeps_its_turn)
{
	struct lock_wish wish = wish_for(LOCK_EXCLUSIVE, true);
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);
	struct self other = of_elsewhere();
	struct lock *far;
	enum rc rc;

	wish.self = &other;
	ck_rc(acquire(a), RC_OK);
	leave_place(&other);
	leave_place(&other);
	far = open_wish(&wish);
	ck_rc(acquire(far), RC_BUSY);
	ck_rc(acquire(b), RC_BUSY);
	ck_rc(release(a), RC_OK);
	call.give_up = boot_add(boot_now(), 3 * SOON);
	/* b looks more often, and at every turn first. */
	do {
		for (int i = 0; i < 8; i++) {
			ck_rc(acquire(b), RC_BUSY);
			ck_rc(call_pause(&call, NSEC_PER_SEC / 4, &e), RC_OK);
		}
		rc = acquire(far);
	} while (rc == RC_BUSY);
	ck_rc(rc, RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	ck_rc(release(far), RC_OK);
	ck_rc(acquire(b), RC_OK);
	ck_assert_uint_eq(with("q"), 0);
	lock_close(a);
	lock_close(b);
	lock_close(far);
}
END_TEST

START_TEST(a_claim_watched_for_a_term_is_stale)
{
	struct self other = of_elsewhere();
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);
	struct boot begun;
	enum rc rc;

	leave_claim(&other, TTL);
	begun = boot_now();
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_int_gt(holder.sure_in, TTL);
	do {
		ck_rc(wait_for(b, SOON), RC_OK);
		rc = acquire(b);
	} while (rc == RC_BUSY);
	ck_rc(rc, RC_OK);
	/* TTL + 2 s, and not much more. */
	ck_assert_int_ge(boot_until(begun, boot_now()), TTL + 2 * NSEC_PER_SEC);
	lock_close(b);
}
END_TEST

START_TEST(a_renewal_begins_the_watch_anew)
{
	struct self other = of_elsewhere();
	struct lock_wish wish = wish_for(LOCK_EXCLUSIVE, false);
	struct lock *a, *b = open_lease(LOCK_EXCLUSIVE, false);
	nsec before;

	wish.self = &other;
	a = open_wish(&wish);
	ck_rc(acquire(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	(void)call_pause(&call, 50 * NSEC_PER_MSEC, &e);
	ck_rc(acquire(b), RC_BUSY);
	before = holder.sure_in;
	ck_assert_int_lt(before, TTL + 2 * NSEC_PER_SEC - 40 * NSEC_PER_MSEC);
	ck_rc(refresh(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_int_eq(holder.sure_in, TTL + 2 * NSEC_PER_SEC);
	lock_close(a);
	lock_close(b);
}
END_TEST

/* Each try is made by a process that did not see the one before. */
START_TEST(the_first_look_is_remembered_for_later_tries)
{
	struct self other = of_elsewhere();
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);

	leave_claim(&other, TTL);
	ck_rc(acquire(b), RC_BUSY);
	lock_close(b);
	(void)call_pause(&call, 100 * NSEC_PER_MSEC, &e);
	b = open_lease(LOCK_EXCLUSIVE, false);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_int_le(holder.sure_in,
			 TTL + 2 * NSEC_PER_SEC - 100 * NSEC_PER_MSEC);
	lock_close(b);
}
END_TEST

START_TEST(a_first_look_that_others_may_have_written_is_not_believed)
{
	struct self other = of_elsewhere();
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);
	char directory[100];

	leave_claim(&other, TTL);
	ck_rc(acquire(b), RC_BUSY);
	lock_close(b);
	(void)snprintf(directory, sizeof(directory), "%s/run/repolock", place);
	ck_assert_int_eq(chmod(directory, 0777), 0);
	(void)call_pause(&call, 50 * NSEC_PER_MSEC, &e);
	b = open_lease(LOCK_EXCLUSIVE, false);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_int_eq(holder.sure_in, TTL + 2 * NSEC_PER_SEC);
	lock_close(b);
}
END_TEST

START_TEST(a_first_look_of_another_boot_is_not_believed)
{
	struct self other = of_elsewhere();
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);

	leave_claim(&other, TTL);
	ck_rc(acquire(b), RC_BUSY);
	lock_close(b);
	(void)call_pause(&call, 50 * NSEC_PER_MSEC, &e);
	(void)snprintf(self.boot_id, sizeof(self.boot_id), "rebooted");
	b = open_lease(LOCK_EXCLUSIVE, false);
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_int_eq(holder.sure_in, TTL + 2 * NSEC_PER_SEC);
	lock_close(b);
}
END_TEST

START_TEST(a_store_that_lags_is_watched_longer)
{
	struct self other = of_elsewhere();
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);

	leave_claim(&other, TTL);
	lease_of(b)->store->lag = 60 * NSEC_PER_SEC;
	ck_rc(acquire(b), RC_BUSY);
	ck_assert_int_eq(holder.sure_in, TTL + 62 * NSEC_PER_SEC);
	lock_close(b);
}
END_TEST

START_TEST(an_unreadable_record_is_respected)
{
	struct lock *b = open_lease(LOCK_EXCLUSIVE, false);
	struct store *s = lease_of(b)->store;

	ck_rc(s->ops->put(s,
			  ".repolock/default/x.00000000000000000004."
			  "0000300000.0a000000-0000-4000-8000-00000000000a",
			  "\xff no json", 9, STORE_PUT_ALWAYS, NULL, NULL,
			  &call, &e),
	      RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	list(b);
	ck_assert_uint_eq(listed_count, 1);
	ck_assert_int_eq(listed[0].state, LOCK_UNREADABLE);
	ck_assert_uint_eq(listed[0].fence, 4);
	lock_close(b);
}
END_TEST

/* --- what is told --- */

START_TEST(a_record_tells_who_it_is)
{
	struct lock *a = open_lease(LOCK_EXCLUSIVE, false);
	struct lock *b = open_lease(LOCK_EXCLUSIVE, true);
	struct lock *c = open_lease(LOCK_SHARED, false);

	ck_rc(acquire(a), RC_OK);
	ck_rc(acquire(b), RC_BUSY);
	list(c);
	ck_assert_uint_eq(listed_count, 2);
	ck_assert_int_eq(listed[0].state, LOCK_HELD);
	ck_assert_int_eq(listed[0].alive, LOCK_ALIVE_YES);
	ck_assert_str_eq(listed[0].host, self.host);
	ck_assert_str_eq(listed[0].user, self.user);
	ck_assert_str_eq(listed[0].command, "check");
	ck_assert_str_eq(listed[0].reason, "to see");
	ck_assert_str_eq(listed[0].name, "default");
	ck_assert_int_gt(listed[0].since.ns, 0);
	ck_assert_int_gt(listed[0].expires.ns, listed[0].refreshed.ns);
	ck_assert_int_eq(listed[1].state, LOCK_WAITING);
	ck_assert_str_eq(listed[1].host, self.host);
	lock_close(a);
	lock_close(b);
	lock_close(c);
}
END_TEST

START_TEST(records_of_one_holder_are_of_one_length)
{
	struct lock_wish wish = wish_for(LOCK_EXCLUSIVE, false);
	struct lease_record record;
	struct buf small, large;
	struct wall since = { 1764025201234000000 };

	self.host[0] = '"';
	self.host[1] = '\n';
	buf_init(&small, 4096);
	buf_init(&large, 4096);
	ck_rc(lease_record_write(&small, &wish, since, 1, &e), RC_OK);
	ck_rc(lease_record_write(&large, &wish, since, UINT32_MAX, &e), RC_OK);
	ck_assert_uint_eq(small.len, large.len);
	ck_rc(lease_record_read(&record, large.data, large.len, &e), RC_OK);
	ck_assert_uint_eq(record.counter, UINT32_MAX);
	ck_assert_str_eq(record.host, self.host);
	ck_assert_int_eq(record.front.pid, self.front.pid);
	ck_assert_uint_eq(record.keeper.start, self.keeper.start);
	ck_assert_str_eq(record.boot_id, self.boot_id);
	ck_assert_int_eq(record.since.ns, since.ns);
	ck_rc(lease_record_read(&record, "{}", 2, &e), RC_MALFORMED);
	buf_release(&small);
	buf_release(&large);
}
END_TEST

static TCase *add_case(Suite *s, const char *name, void (*begin)(void),
		       void (*end)(void))
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, begin, end);
	suite_add_tcase(s, t);
	return t;
}

static void add_common(TCase *t)
{
	tcase_add_test(t, tokens_grow_from_lock_to_lock);
	tcase_add_test(t, only_the_newest_tombstone_stays);
	tcase_add_test(t, a_claim_with_a_tombstone_is_lost);
	tcase_add_test(t, foreign_files_are_ignored_and_left_alone);
	tcase_add_test(t, a_deciding_listing_that_comes_late_counts_for_nothing);
	tcase_add_test(t, a_term_counts_from_before_the_claim_was_sent);
	tcase_add_test(t, a_claim_that_comes_back_from_the_past_is_deleted);
	tcase_add_test(t, a_refresh_that_hangs_leaves_the_lock_where_it_is);
	tcase_add_test(t, one_that_held_before_our_claim_was_seen_keeps_the_lock);
	tcase_add_test(t, a_try_that_meets_an_undecided_one_looks_for_a_second);
	tcase_add_test(t, who_waits_has_a_place_and_release_takes_it_back);
	tcase_add_test(t, who_came_first_goes_first);
	tcase_add_test(t, who_does_not_wait_may_overtake);
	tcase_add_test(t, a_later_shared_one_queues_behind_an_exclusive_waiter);
	tcase_add_test(t, the_head_of_the_queue_drains_shared_holders);
	tcase_add_test(t, a_drain_that_is_given_up_leaves_nothing);
	tcase_add_test(t, a_place_that_was_deleted_is_taken_anew);
	tcase_add_test(t, a_record_tells_who_it_is);
}

int main(void)
{
	Suite *s = suite_create("lease");
	SRunner *sr = srunner_create(s);
	TCase *t;
	int failed;

	lock_contract_add(s, &on_a_directory);
	lock_contract_add(s, &in_memory);
	lock_contract_add(s, &in_plain_memory);

	add_common(add_case(s, "rules on a directory", begin_any, end_any));
	add_common(add_case(s, "rules in memory", begin_kernel_memory, end_any));

	t = add_case(s, "directory", begin_any, end_processes);
	tcase_add_test(t, an_uncontended_lock_costs_few_requests);
	tcase_add_test(t, a_busy_answer_reads_no_record);
	tcase_add_test(t, a_plainly_held_lock_is_refused_at_once);
	tcase_add_test(t, after_a_release_the_next_claims_before_it_lists);
	tcase_add_test(t, a_killed_holder_is_proved_dead_at_once);
	tcase_add_test(t, nothing_is_broken_where_nothing_is_to_be_cleared);
	tcase_add_test(t, a_stale_lock_is_removed_without_force);
	tcase_add_loop_test(t, p3_3_a_loss_is_noticed_where_no_watch_can_be_had,
			    0, 2);
	tcase_add_test(
		t, p3_3_a_claim_that_is_watched_is_not_looked_at_by_the_clock);
	tcase_add_test(t, a_waiter_is_woken_by_the_death_of_the_holder);
	tcase_add_test(t, the_place_of_a_dead_waiter_is_overtaken);
	tcase_add_test(t, a_shared_description_keeps_the_claim_alive);
	tcase_add_test(
		t, p4_5_a_temporary_file_of_a_dead_writer_is_swept_after_a_term);

	t = add_case(s, "without kernel locks", begin_plain_memory,
		     end_processes);
	tcase_set_timeout(t, 120); /* some must see that nobody acts */
	tcase_add_test(t, both_processes_gone_prove_a_claim_stale);
	tcase_add_loop_test(t, one_process_alive_keeps_a_claim, 0, 2);
	tcase_add_test(t, a_dead_process_of_elsewhere_proves_nothing);
	tcase_add_test(t, places_of_dead_processes_are_overtaken_at_once);
	tcase_add_test(t, a_place_whose_owner_dies_later_is_overtaken_then);
	tcase_add_loop_test(t, the_place_of_one_that_may_live_is_not_overtaken,
			    0, 4);
	tcase_add_test(t, a_claim_watched_for_a_term_is_stale);
	tcase_add_test(t, p5_2_idle_places_of_elsewhere_cost_one_look);
	tcase_add_test(t, p5_2_who_lives_elsewhere_keeps_its_turn);
	tcase_add_test(t, a_renewal_begins_the_watch_anew);
	tcase_add_test(t, the_first_look_is_remembered_for_later_tries);
	tcase_add_test(
		t, a_first_look_that_others_may_have_written_is_not_believed);
	tcase_add_test(t, a_first_look_of_another_boot_is_not_believed);
	tcase_add_test(t, a_store_that_lags_is_watched_longer);
	tcase_add_test(
		t, a_temporary_file_of_somebody_unseen_is_watched_for_a_term);
	tcase_add_test(t, an_unreadable_record_is_respected);
	tcase_add_test(t, records_of_one_holder_are_of_one_length);

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
