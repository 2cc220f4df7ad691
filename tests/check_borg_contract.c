/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every lock promises, by both of borg. The contenders of one process
 * differ in their host ids, as borg knows a process by host id and pid.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "borg_fixture.h"
#include "lock_contract.h"
#include "util/text.h"

enum { CONTENDERS_MAX = 128 };

static struct {
	struct lock *lock;
	struct store *store;
} contenders[CONTENDERS_MAX];
static int contender_count;

static void begin1(void)
{
	repo_make1();
	contender_count = 0;
}

static void begin2(void)
{
	repo_make2();
	contender_count = 0;
}

typedef enum rc opener(struct lock **lock, const struct lock_wish *wish,
		       struct store *store, const struct borg_host *host,
		       struct err *e);

static enum rc open2(struct lock **lock, const struct lock_wish *wish,
		     struct store *store, const struct borg_host *host,
		     struct err *err)
{
	return borg2_open(lock, wish, store, host, &borg2_pace, err);
}

static struct lock *open_any(enum lock_mode mode, bool wait,
			     const struct store_manners *manners, opener *open)
{
	struct self self;
	struct lock_wish wish = { .mode = mode, .wait = wait, .self = &self };
	struct borg_host host;
	struct store *store;
	struct lock *lock;
	char id[32];

	self_fill(&self);
	(void)snprintf(id, sizeof(id), "contender%d@1", contender_count);
	(void)setenv("BORG_HOST_ID", id, 1);
	ck_assert_int_eq(borg_host_fill(&host, &self, &e), RC_OK);
	ck_assert_int_eq(store_open(&store, "", repo, manners, &patient, &e),
			 RC_OK);
	store = faulty_open(store);
	ck_assert_int_eq(open(&lock, &wish, store, &host, &e), RC_OK);
	ck_assert_int_lt(contender_count, CONTENDERS_MAX);
	contenders[contender_count].lock = lock;
	contenders[contender_count].store = store;
	contender_count++;
	return lock;
}

static struct lock *open_borg1(enum lock_mode mode, bool wait)
{
	return open_any(mode, wait, &borg1_manners, borg1_open);
}

static struct lock *open_borg2(enum lock_mode mode, bool wait)
{
	return open_any(mode, wait, &borg2_manners, open2);
}

static size_t count_words(const char *text)
{
	size_t count = *text != '\0';

	for (; *text != '\0'; text++)
		count += *text == ' ';
	return count;
}

static size_t traces1(void)
{
	return count_words(repo_names("")) - 3; /* README config data */
}

static size_t traces2(void)
{
	return count_words(repo_names("locks"));
}

/* As `rm -r` of all that is below. */
static void steal_below(const char *dir)
{
	char names[4096], *name, *rest = names;

	text_copy(names, sizeof(names), repo_names(dir));
	while ((name = strsep(&rest, " "))) {
		char path[512];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
		if (*name != '\0')
			repo_delete(path);
	}
}

static void steal1(void)
{
	if (repo_has("lock.roster"))
		repo_delete("lock.roster");
	steal_below("lock.exclusive");
	if (repo_has("lock.exclusive"))
		repo_delete("lock.exclusive");
}

static void steal2(void)
{
	steal_below("locks");
}

static void script(struct lock *lock, const struct fault *faults)
{
	for (int i = contender_count; i-- > 0;) {
		if (contenders[i].lock != lock)
			continue;
		faulty_script(contenders[i].store, faults);
		return;
	}
}

static const struct contract borg1 = {
	.what = "borg 1",
	.shared = true,
	.begin = begin1,
	.end = repo_remove,
	.open = open_borg1,
	.traces = traces1,
	.steal = steal1,
	.script = script,
};

static const struct contract borg2 = {
	.what = "borg 2",
	.shared = true,
	.begin = begin2,
	.end = repo_remove,
	.open = open_borg2,
	.traces = traces2,
	.steal = steal2,
	.script = script,
};

int main(void)
{
	Suite *suite = suite_create("borg_contract");
	SRunner *runner = srunner_create(suite);
	int failed;

	lock_contract_add(suite, &borg1);
	lock_contract_add(suite, &borg2);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
