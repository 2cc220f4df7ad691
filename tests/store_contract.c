/* SPDX-License-Identifier: BSD-2-Clause */
#include "store_contract.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MSEC 20000 /* for what comes at once, on a busy machine */

static const struct store_kind *kinds;
static struct store *s;
static struct err e;
static const struct call call = { { NSEC_FOREVER }, -1 };

#define OK(doing)                                                              \
	do {                                                                   \
		enum rc got_ = (doing);                                        \
		ck_assert_msg(got_ == RC_OK, "%s: %s (%s)", #doing,            \
			      rc_name(got_), e.text);                          \
	} while (0)
#define IS(doing, wanted)                                                      \
	do {                                                                   \
		enum rc got_ = (doing);                                        \
		ck_assert_msg(got_ == (wanted), "%s: %s (%s)", #doing,         \
			      rc_name(got_), got_ == RC_OK ? "" : e.text);     \
	} while (0)

static void begin(int i)
{
	OK(kinds[i].open(&s, &kinds[i], &e));
}

static enum rc put(const char *name, const char *text, enum store_put_when when,
		   struct store_tag *tag)
{
	return s->ops->put(s, name, text, strlen(text), when, NULL, tag, &call,
			   &e);
}

static enum rc del(const char *name)
{
	return s->ops->del(s, name, &call, &e);
}

static enum rc renew(const char *name, const char *text, struct store_tag *tag)
{
	struct store_tag was = { 0 };
	struct buf b;

	buf_init(&b, 65536);
	(void)s->ops->get(s, name, &b, &was, &call, &e);
	buf_release(&b);
	return s->ops->renew(s, name, &was, text, strlen(text), tag, &call, &e);
}

static void holds(const char *name, const char *text)
{
	struct store_tag tag;
	struct buf b;

	buf_init(&b, 65536);
	OK(s->ops->get(s, name, &b, &tag, &call, &e));
	ck_assert_str_eq(buf_text(&b), text);
	ck_assert_uint_eq(tag.size, strlen(text));
	buf_release(&b);
}

static enum rc got(const char *name)
{
	struct buf b;
	enum rc rc;

	buf_init(&b, 65536);
	rc = s->ops->get(s, name, &b, NULL, &call, &e);
	buf_release(&b);
	return rc;
}

/* --- what a listing showed --- */

#define SEEN_MAX 4096

static struct {
	char name[64];
	struct store_tag tag;
	bool directory;
} seen[SEEN_MAX];
static size_t seen_count;

static bool see(void *context, const struct store_entry *entry)
{
	(void)context;
	ck_assert_uint_lt(seen_count, SEEN_MAX);
	(void)snprintf(seen[seen_count].name, sizeof(seen[0].name), "%s",
		       entry->name);
	seen[seen_count].tag = entry->tag;
	seen[seen_count].directory = entry->directory;
	seen_count++;
	return true;
}

static size_t list(const char *prefix)
{
	seen_count = 0;
	OK(s->ops->list(s, prefix, see, NULL, &call, &e));
	return seen_count;
}

/* Where it is in the listing; fails if it is there twice. -1: is not. */
static int find_seen(const char *name)
{
	int found = -1;

	for (size_t i = 0; i < seen_count; i++) {
		if (strcmp(seen[i].name, name) != 0)
			continue;
		ck_assert_msg(found < 0, "%s is listed twice", name);
		found = (int)i;
	}
	return found;
}

/* --- put, get, del --- */

START_TEST(what_is_put_is_got_back)
{
	static const char data[] = "a\0b\nc";
	struct store_tag put_tag, got_tag;
	struct buf b;

	begin(_i);
	OK(s->ops->put(s, "x", data, sizeof(data), STORE_PUT_IF_ABSENT, NULL,
		       &put_tag, &call, &e));
	buf_init(&b, 100);
	OK(s->ops->get(s, "x", &b, &got_tag, &call, &e));
	ck_assert_uint_eq(b.len, sizeof(data));
	ck_assert_mem_eq(b.data, data, sizeof(data));
	ck_assert(store_tag_same(&put_tag, &got_tag));
	buf_release(&b);
	store_close(s);
}
END_TEST

START_TEST(an_empty_object_is_an_object)
{
	begin(_i);
	OK(put("x", "", STORE_PUT_IF_ABSENT, NULL));
	holds("x", "");
	ck_assert_uint_eq(list(""), 1);
	store_close(s);
}
END_TEST

START_TEST(put_if_absent_leaves_what_is_there)
{
	begin(_i);
	OK(put("x", "first", STORE_PUT_IF_ABSENT, NULL));
	IS(put("x", "second", STORE_PUT_IF_ABSENT, NULL), RC_EXISTS);
	holds("x", "first");
	ck_assert_uint_eq(list(""), 1);
	store_close(s);
}
END_TEST

START_TEST(put_always_replaces_the_whole)
{
	begin(_i);
	OK(put("x", "long before", STORE_PUT_ALWAYS, NULL));
	OK(put("x", "new", STORE_PUT_ALWAYS, NULL));
	holds("x", "new");
	ck_assert_uint_eq(list(""), 1);
	store_close(s);
}
END_TEST

START_TEST(what_is_not_there_is_absent)
{
	begin(_i);
	IS(got("x"), RC_ABSENT);
	IS(got("no/such/x"), RC_ABSENT);
	IS(del("x"), RC_ABSENT);
	IS(del("no/such/x"), RC_ABSENT);
	IS(renew("x", "text", NULL), RC_ABSENT);
	IS(renew("no/x", "text", NULL), RC_ABSENT);
	ck_assert_uint_eq(list(""), 0);
	ck_assert_uint_eq(list("no/"), 0);
	ck_assert_uint_eq(list("no/such/"), 0);
	store_close(s);
}
END_TEST

START_TEST(put_makes_the_directories_above)
{
	begin(_i);
	OK(put("a/b/c/x", "deep", STORE_PUT_IF_ABSENT, NULL));
	OK(put("a/b/d/y", "other", STORE_PUT_ALWAYS, NULL));
	holds("a/b/c/x", "deep");
	holds("a/b/d/y", "other");
	store_close(s);
}
END_TEST

START_TEST(del_removes_once)
{
	begin(_i);
	OK(put("a/x", "text", STORE_PUT_IF_ABSENT, NULL));
	OK(put("a/y", "text", STORE_PUT_IF_ABSENT, NULL));
	OK(del("a/x"));
	IS(del("a/x"), RC_ABSENT);
	IS(got("a/x"), RC_ABSENT);
	holds("a/y", "text");
	store_close(s);
}
END_TEST

START_TEST(a_directory_is_made_and_removed_when_empty)
{
	begin(_i);
	OK(put("a/d/", "", STORE_PUT_IF_ABSENT, NULL));
	IS(put("a/d/", "", STORE_PUT_IF_ABSENT, NULL), RC_EXISTS);
	OK(put("a/d/", "", STORE_PUT_ALWAYS, NULL));
	OK(put("a/d/x", "text", STORE_PUT_IF_ABSENT, NULL));
	IS(del("a/d/"), RC_EXISTS);
	OK(del("a/d/x"));
	OK(del("a/d/"));
	IS(del("a/d/"), RC_ABSENT);
	ck_assert_uint_eq(list("a/"), 0);
	store_close(s);
}
END_TEST

static const char *const bad_names[] = {
	"",  "/x",  "..",    "../x", "a/../x", "a/..",
	".", "./x", "a/./x", "a//x", "//",     "/",
};

START_TEST(a_name_that_leads_elsewhere_is_refused)
{
	size_t count = sizeof(bad_names) / sizeof(bad_names[0]);
	char endless[2000];

	begin(_i);
	memset(endless, 'n', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	for (size_t i = 0; i <= count; i++) {
		const char *name = i < count ? bad_names[i] : endless;

		IS(put(name, "text", STORE_PUT_IF_ABSENT, NULL), RC_MALFORMED);
		IS(got(name), RC_MALFORMED);
		IS(del(name), RC_MALFORMED);
		IS(renew(name, "text", NULL), RC_MALFORMED);
	}
	ck_assert_uint_eq(list(""), 0);
	OK(put("..x", "text", STORE_PUT_IF_ABSENT, NULL));
	holds("..x", "text");
	store_close(s);
}
END_TEST

START_TEST(one_of_many_who_put_if_absent_wins)
{
	enum { CONTENDERS = 6, NAMES = 30 };
	int won[2];
	char winners[CONTENDERS * NAMES + 1];
	int count[NAMES] = { 0 };
	ssize_t n, total = 0;

	begin(_i);
	if (!(s->ops->can & STORE_CAN_ABSENT) || kinds[_i].looks_first)
		return;
	ck_assert_int_eq(pipe(won), 0);
	for (int i = 0; i < CONTENDERS; i++) {
		if (fork() != 0)
			continue;
		for (int k = 0; k < NAMES; k++) {
			char name[32], mark = (char)k;

			(void)snprintf(name, sizeof(name), "race/%d", k);
			if (put(name, "mine", STORE_PUT_IF_ABSENT, NULL) == RC_OK)
				(void)!write(won[1], &mark, 1);
		}
		_exit(0);
	}
	(void)close(won[1]);
	while ((n = read(won[0], winners, sizeof(winners))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			count[(int)winners[i]]++;
		total += n;
	}
	while (wait(NULL) > 0)
		;
	ck_assert_int_eq(total, NAMES);
	for (int k = 0; k < NAMES; k++)
		ck_assert_int_eq(count[k], 1);
	ck_assert_uint_eq(list("race/"), NAMES);
	store_close(s);
}
END_TEST

/* --- list --- */

START_TEST(a_listing_tells_what_stands_directly_below)
{
	struct store_tag tag;
	int x, d;

	begin(_i);
	OK(put("a/x", "text", STORE_PUT_IF_ABSENT, &tag));
	OK(put("a/d/y", "text", STORE_PUT_IF_ABSENT, NULL));
	OK(put("z", "text", STORE_PUT_IF_ABSENT, NULL));
	ck_assert_uint_eq(list("a/"), 2);
	x = find_seen("x");
	d = find_seen("d");
	ck_assert_int_ge(x, 0);
	ck_assert_int_ge(d, 0);
	ck_assert(!seen[x].directory);
	ck_assert(seen[d].directory);
	ck_assert(store_tag_same(&seen[x].tag, &tag));
	ck_assert_uint_eq(list(""), 2);
	ck_assert_int_ge(find_seen("a"), 0);
	ck_assert_int_ge(find_seen("z"), 0);
	store_close(s);
}
END_TEST

static bool see_one(void *context, const struct store_entry *entry)
{
	(void)entry;
	(*(int *)context)++;
	return false;
}

START_TEST(a_listing_ends_when_told_to)
{
	int count = 0;

	begin(_i);
	OK(put("x", "text", STORE_PUT_IF_ABSENT, NULL));
	OK(put("y", "text", STORE_PUT_IF_ABSENT, NULL));
	OK(s->ops->list(s, "", see_one, &count, &call, &e));
	ck_assert_int_eq(count, 1);
	store_close(s);
}
END_TEST

START_TEST(a_long_listing_has_each_name_once)
{
	enum { COUNT = 1500 };
	char name[64];

	begin(_i);
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(name, sizeof(name), "many/entry-%040d", i);
		OK(put(name, "", STORE_PUT_IF_ABSENT, NULL));
	}
	ck_assert_uint_eq(list("many/"), COUNT);
	if (s->ops->names) {
		seen_count = 0;
		OK(s->ops->names(s, "many/", see, NULL, &call, &e));
		ck_assert_uint_eq(seen_count, COUNT);
	}
	for (int i = 0; i < COUNT; i += 97) {
		(void)snprintf(name, sizeof(name), "entry-%040d", i);
		ck_assert_int_ge(find_seen(name), 0);
	}
	store_close(s);
}
END_TEST

/* Others come and go, and are renamed, as claims are into tombstones. */
static _Noreturn void churn(void)
{
	for (int i = 0;; i++) {
		char name[64], moved[64];

		(void)snprintf(name, sizeof(name), "c/come-%d", i % 7);
		(void)snprintf(moved, sizeof(moved), "c/z-%d", i % 7);
		(void)put(name, "", STORE_PUT_ALWAYS, NULL);
		if (s->ops->move)
			(void)s->ops->move(s, name, moved, &call, &e);
		(void)del(name);
		(void)del(moved);
	}
}

START_TEST(what_stands_still_is_listed_while_others_come_and_go)
{
	enum { STILL = 40, LOOKS = 60 };
	pid_t pid;

	begin(_i);
	for (int i = 0; i < STILL; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "c/still-%d", i);
		OK(put(name, "", STORE_PUT_IF_ABSENT, NULL));
	}
	pid = fork();
	if (pid == 0)
		churn();
	for (int look = 0; look < LOOKS; look++) {
		(void)list("c/");
		for (int i = 0; i < STILL; i++) {
			char name[64];

			(void)snprintf(name, sizeof(name), "still-%d", i);
			ck_assert_int_ge(find_seen(name), 0);
		}
	}
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	store_close(s);
}
END_TEST

/* --- renew --- */

START_TEST(renewing_changes_content_and_tag_not_the_object)
{
	struct store_tag before, after;

	begin(_i);
	OK(put("a/x", "a longer text", STORE_PUT_IF_ABSENT, &before));
	OK(renew("a/x", "shorter", &after));
	holds("a/x", "shorter");
	ck_assert(!store_tag_same(&before, &after));
	ck_assert_uint_eq(before.inode, after.inode);
	ck_assert_uint_eq(list("a/"), 1);
	ck_assert(store_tag_same(&seen[0].tag, &after));
	store_close(s);
}
END_TEST

START_TEST(renewing_never_brings_a_removed_object_back)
{
	begin(_i);
	OK(put("a/x", "text", STORE_PUT_IF_ABSENT, NULL));
	OK(del("a/x"));
	IS(renew("a/x", "text", NULL), RC_ABSENT);
	ck_assert_uint_eq(list("a/"), 0);
	store_close(s);
}
END_TEST

/* --- move --- */

static enum rc move(const char *from, const char *to)
{
	return s->ops->move(s, from, to, &call, &e);
}

START_TEST(a_move_takes_files_and_directories_along)
{
	begin(_i);
	if (!s->ops->move)
		return;
	OK(put("a/x", "text", STORE_PUT_IF_ABSENT, NULL));
	OK(move("a/x", "b/y"));
	holds("b/y", "text");
	IS(got("a/x"), RC_ABSENT);
	OK(move("b/", "c/"));
	holds("c/y", "text");
	IS(got("b/y"), RC_ABSENT);
	store_close(s);
}
END_TEST

START_TEST(a_move_never_replaces)
{
	begin(_i);
	if (!s->ops->move)
		return;
	OK(put("x", "mine", STORE_PUT_IF_ABSENT, NULL));
	OK(put("y", "yours", STORE_PUT_IF_ABSENT, NULL));
	OK(put("full/z", "text", STORE_PUT_IF_ABSENT, NULL));
	OK(put("empty/", "", STORE_PUT_IF_ABSENT, NULL));
	OK(put("other/", "", STORE_PUT_IF_ABSENT, NULL));
	IS(move("x", "y"), RC_EXISTS);
	IS(move("other", "empty"), RC_EXISTS);
	IS(move("other", "full"), RC_EXISTS);
	IS(move("other", "y"), RC_EXISTS);
	IS(move("x", "empty"), RC_EXISTS);
	holds("x", "mine");
	holds("y", "yours");
	holds("full/z", "text");
	OK(del("other/"));
	OK(del("empty/"));
	store_close(s);
}
END_TEST

START_TEST(a_move_of_nothing_is_absent)
{
	begin(_i);
	if (!s->ops->move)
		return;
	IS(move("x", "y"), RC_ABSENT);
	IS(move("no/x", "y"), RC_ABSENT);
	IS(got("y"), RC_ABSENT);
	store_close(s);
}
END_TEST

/* --- kernel locks --- */

/* False: this place has none that can be trusted, and says so. */
static bool locked(const char *name, int *fd, struct store_tag *tag)
{
	enum rc rc;

	if (!s->ops->put_locked)
		return false;
	rc = s->ops->put_locked(s, name, "text", 4, fd, tag, &call, &e);
	if (rc == RC_UNSUPPORTED) {
		IS(got(name), RC_ABSENT);
		return false;
	}
	OK(rc);
	return true;
}

static enum store_probe probe(const char *name)
{
	enum store_probe found = STORE_PROBE_BLIND;

	OK(s->ops->probe(s, name, &found, &call, &e));
	return found;
}

/* Whom the kernel names, where the store can ask. */
static pid_t holder(const char *name)
{
	pid_t pid = probe(name) == STORE_PROBE_TAKEN ? getpid() : 0;

	if (s->ops->holder)
		OK(s->ops->holder(s, name, &pid, &e));
	return pid;
}

START_TEST(a_kernel_lock_is_seen_until_its_last_holder_lets_go)
{
	struct store_tag tag;
	int fd = -1, shared;

	begin(_i);
	if (!locked("a/x", &fd, &tag))
		return;
	holds("a/x", "text");
	ck_assert_int_eq(probe("a/x"), STORE_PROBE_TAKEN);
	ck_assert_int_eq(holder("a/x"), getpid());
	shared = dup(fd);
	(void)close(fd);
	ck_assert_int_eq(probe("a/x"), STORE_PROBE_TAKEN);
	ck_assert_int_eq(holder("a/x"), getpid());
	(void)close(shared);
	ck_assert_int_eq(probe("a/x"), STORE_PROBE_FREE);
	ck_assert_int_ne(holder("a/x"), getpid());
	/* Testing it takes nothing away. */
	ck_assert_int_eq(probe("a/x"), STORE_PROBE_FREE);
	store_close(s);
}
END_TEST

START_TEST(unlocking_one_descriptor_frees_it_for_all)
{
	int fd = -1, shared;

	begin(_i);
	if (!locked("x", &fd, NULL))
		return;
	shared = dup(fd);
	ck_assert_int_eq(flock(shared, LOCK_UN), 0);
	ck_assert_int_eq(probe("x"), STORE_PROBE_FREE);
	(void)close(fd);
	(void)close(shared);
	store_close(s);
}
END_TEST

START_TEST(a_killed_holder_leaves_its_lock_free)
{
	int ready[2], fd = -1;
	pid_t pid;
	char byte;

	begin(_i);
	if (!locked("probe-me", &fd, NULL))
		return;
	(void)close(fd);
	OK(del("probe-me"));
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (locked("x", &fd, NULL))
			(void)!write(ready[1], "", 1);
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(probe("x"), STORE_PROBE_TAKEN);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(probe("x"), STORE_PROBE_FREE);
	holds("x", "text");
	store_close(s);
}
END_TEST

START_TEST(put_locked_leaves_what_is_there)
{
	int fd = -1, other = -1;

	begin(_i);
	if (!locked("a/x", &fd, NULL))
		return;
	IS(s->ops->put_locked(s, "a/x", "new", 3, &other, NULL, &call, &e),
	   RC_EXISTS);
	ck_assert_int_eq(other, -1);
	holds("a/x", "text");
	ck_assert_uint_eq(list("a/"), 1);
	(void)close(fd);
	store_close(s);
}
END_TEST

START_TEST(a_locked_object_is_renewed_through_its_descriptor)
{
	struct store_tag before, after;
	int fd = -1;

	begin(_i);
	if (!locked("a/x", &fd, &before))
		return;
	OK(s->ops->renew_open(s, "a/x", fd, "renewed", 7, &after, &e));
	holds("a/x", "renewed");
	ck_assert(!store_tag_same(&before, &after));
	ck_assert_uint_eq(before.inode, after.inode);
	ck_assert_int_eq(probe("a/x"), STORE_PROBE_TAKEN);
	(void)close(fd);
	store_close(s);
}
END_TEST

START_TEST(renewing_what_was_replaced_is_absent)
{
	int fd = -1;

	begin(_i);
	if (!locked("a/x", &fd, NULL))
		return;
	OK(del("a/x"));
	IS(s->ops->renew_open(s, "a/x", fd, "ours", 4, NULL, &e), RC_ABSENT);
	ck_assert_uint_eq(list("a/"), 0);
	OK(put("a/x", "theirs", STORE_PUT_IF_ABSENT, NULL));
	IS(s->ops->renew_open(s, "a/x", fd, "ours", 4, NULL, &e), RC_ABSENT);
	holds("a/x", "theirs");
	(void)close(fd);
	store_close(s);
}
END_TEST

START_TEST(a_probe_of_nothing_is_absent)
{
	enum store_probe found;

	begin(_i);
	if (!s->ops->probe)
		return;
	IS(s->ops->probe(s, "x", &found, &call, &e), RC_ABSENT);
	IS(s->ops->probe(s, "no/x", &found, &call, &e), RC_ABSENT);
	store_close(s);
}
END_TEST

START_TEST(a_lock_that_is_not_trusted_is_no_proof)
{
	int fd = -1;

	begin(_i);
	if (!s->ops->probe)
		return;
	OK(put("x", "text", STORE_PUT_IF_ABSENT, NULL));
	ck_assert_int_eq(probe("x"), locked("y", &fd, NULL) ? STORE_PROBE_FREE
							    : STORE_PROBE_BLIND);
	store_close(s);
}
END_TEST

/* --- watching --- */

static bool readable(int fd, int patience)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, patience) == 1;
}

/* A user may have so many watches; others' tests may have them all. */
static int watched(const char *name)
{
	struct boot until = boot_add(boot_now(), PATIENCE_MSEC * NSEC_PER_MSEC);
	enum rc rc;
	int fd = -1;

	while ((rc = s->ops->watch(s, name, &fd, &e)) == RC_RETRY &&
	       !boot_reached(boot_now(), until))
		OK(call_pause(&call, 20 * NSEC_PER_MSEC, &e));
	OK(rc);
	return fd;
}

START_TEST(a_watch_tells_of_removal_renewal_and_replacement)
{
	int fd;

	begin(_i);
	if (!s->ops->watch)
		return;
	OK(put("a/x", "text", STORE_PUT_IF_ABSENT, NULL));
	OK(put("a/y", "text", STORE_PUT_IF_ABSENT, NULL));

	fd = watched("a/x");
	OK(renew("a/y", "unwatched", NULL));
	ck_assert(!readable(fd, 0));
	OK(renew("a/x", "renewed", NULL));
	ck_assert(readable(fd, PATIENCE_MSEC));
	s->ops->unwatch(s);
	ck_assert(!readable(fd, 0));

	ck_assert_int_eq(watched("a/x"), fd);
	OK(put("a/x", "another", STORE_PUT_ALWAYS, NULL));
	ck_assert(readable(fd, PATIENCE_MSEC));
	s->ops->unwatch(s);

	ck_assert_int_eq(watched("a/x"), fd);
	ck_assert_int_eq(watched("a/y"), fd);
	ck_assert(!readable(fd, 0));
	OK(del("a/y"));
	ck_assert(readable(fd, PATIENCE_MSEC));
	s->ops->unwatch(s);
	ck_assert(!readable(fd, 0));
	OK(del("a/x"));
	ck_assert(!readable(fd, 0));
	store_close(s);
}
END_TEST

START_TEST(a_watch_tells_of_the_end_of_a_locks_holder)
{
	int fd = -1, watch;

	begin(_i);
	if (!locked("a/x", &fd, NULL) || !s->ops->watch)
		return;
	watch = watched("a/x");
	ck_assert(!readable(watch, 0));
	(void)close(fd);
	ck_assert(readable(watch, PATIENCE_MSEC));
	ck_assert_int_eq(probe("a/x"), STORE_PROBE_FREE);
	store_close(s);
}
END_TEST

START_TEST(a_watch_of_nothing_is_absent)
{
	int fd = -1;

	begin(_i);
	if (!s->ops->watch)
		return;
	IS(s->ops->watch(s, "x", &fd, &e), RC_ABSENT);
	IS(s->ops->watch(s, "no/x", &fd, &e), RC_ABSENT);
	ck_assert_int_eq(fd, -1);
	s->ops->unwatch(s);
	store_close(s);
}
END_TEST

void store_contract_add(Suite *suite, const struct store_kind *of, size_t count)
{
	const TTest *const tests[] = {
		what_is_put_is_got_back,
		an_empty_object_is_an_object,
		put_if_absent_leaves_what_is_there,
		put_always_replaces_the_whole,
		what_is_not_there_is_absent,
		put_makes_the_directories_above,
		del_removes_once,
		a_directory_is_made_and_removed_when_empty,
		a_name_that_leads_elsewhere_is_refused,
		one_of_many_who_put_if_absent_wins,
		a_listing_tells_what_stands_directly_below,
		a_listing_ends_when_told_to,
		a_long_listing_has_each_name_once,
		what_stands_still_is_listed_while_others_come_and_go,
		renewing_changes_content_and_tag_not_the_object,
		renewing_never_brings_a_removed_object_back,
		a_move_takes_files_and_directories_along,
		a_move_never_replaces,
		a_move_of_nothing_is_absent,
		a_kernel_lock_is_seen_until_its_last_holder_lets_go,
		unlocking_one_descriptor_frees_it_for_all,
		a_killed_holder_leaves_its_lock_free,
		put_locked_leaves_what_is_there,
		a_locked_object_is_renewed_through_its_descriptor,
		renewing_what_was_replaced_is_absent,
		a_probe_of_nothing_is_absent,
		a_lock_that_is_not_trusted_is_no_proof,
		a_watch_tells_of_removal_renewal_and_replacement,
		a_watch_tells_of_the_end_of_a_locks_holder,
		a_watch_of_nothing_is_absent,
	};

	kinds = of;
	for (size_t i = 0; i < count; i++) {
		TCase *tc = tcase_create(of[i].name);

		tcase_set_timeout(tc, 120);
		for (size_t t = 0; t < sizeof(tests) / sizeof(tests[0]); t++)
			tcase_add_loop_test(tc, tests[t], (int)i, (int)i + 1);
		suite_add_tcase(suite, tc);
	}
}
