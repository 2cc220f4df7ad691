/* SPDX-License-Identifier: BSD-2-Clause */
#include "scripted_lock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct scripted_record *scripted;
struct scripted_setting scripted_setting;

static const struct scripted_step *script;
static size_t script_len;

void scripted_begin(const struct scripted_step *steps, size_t n)
{
	if (n > sizeof(scripted->taken) / sizeof(scripted->taken[0]))
		abort();
	script = steps;
	script_len = n;
	scripted = mmap(NULL, sizeof(*scripted), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (scripted == MAP_FAILED)
		abort();
	scripted_setting = (struct scripted_setting){
		.usual = { 300 * NSEC_PER_SEC, 100 * NSEC_PER_SEC,
			   15 * NSEC_PER_SEC },
		.loss_fd = -1,
		.kernel_fd = -1,
	};
}

static const struct scripted_step *next_step(enum scripted_op op)
{
	for (size_t i = 0; i < script_len; i++) {
		if (script[i].op != op)
			continue;
		if (script[i].repeat)
			return &script[i];
		if (atomic_exchange(&scripted->taken[i], 1) == 0)
			return &script[i];
	}
	return NULL;
}

static enum rc sleep_as(const struct scripted_step *step,
			const struct call *call, struct err *e)
{
	const struct call deaf = { BOOT_NEVER, -1 };

	switch (step->how) {
	case SCRIPTED_PROMPT:
		return RC_OK;
	case SCRIPTED_OBEDIENT:
		return call_pause(call, step->delay, e);
	case SCRIPTED_DEAF:
		return call_pause(&deaf, step->delay, e);
	case SCRIPTED_BLOCKING:
		(void)poll(NULL, 0, -1);
		return err_set(e, RC_CANCELLED, "interrupted");
	}
	return RC_OK;
}

static enum rc perform(enum scripted_op op, struct lock_term *term,
		       const struct call *call, struct err *e)
{
	const struct scripted_step *step = next_step(op);
	enum rc rc = RC_OK;

	atomic_fetch_add(&scripted->calls[op], 1);
	atomic_store(&scripted->last_begun[op], boot_now().ns);
	if (atomic_fetch_add(&scripted->inside, 1) != 0)
		atomic_fetch_add(&scripted->crowds, 1);
	if (term)
		*term = step && step->term.valid != 0 ? step->term
						      : scripted_setting.usual;
	if (step)
		rc = sleep_as(step, call, e);
	if (rc == RC_OK && step && step->rc != RC_OK)
		rc = err_set(e, step->rc, "%s",
			     step->text ? step->text : rc_name(step->rc));
	atomic_fetch_sub(&scripted->inside, 1);
	return rc;
}

static enum rc acquire(struct lock *lock, struct lock_term *term,
		       struct lock_info *mine, struct lock_info *holder,
		       const struct call *call, struct err *e)
{
	struct lock_info info = { .protocol = "scripted",
				  .id = "mine",
				  .fence = 7 };
	enum rc rc = perform(SCRIPTED_ACQUIRE, term, call, e);

	(void)lock;
	if (rc == RC_OK) {
		*mine = info;
		atomic_store(&scripted->held, 1);
	} else if (rc == RC_BUSY) {
		(void)snprintf(info.id, sizeof(info.id), "other");
		(void)snprintf(info.user, sizeof(info.user), "somebody");
		*holder = info;
	}
	return rc;
}

static enum rc wait_for(struct lock *lock, nsec patience,
			const struct call *call, struct err *e)
{
	(void)lock;
	(void)patience;
	return perform(SCRIPTED_WAIT, NULL, call, e);
}

static enum rc refresh(struct lock *lock, struct lock_term *term,
		       const struct call *call, struct err *e)
{
	char empty[64];

	(void)lock;
	if (scripted_setting.loss_fd >= 0)
		while (read(scripted_setting.loss_fd, empty, sizeof(empty)) > 0)
			;
	return perform(SCRIPTED_REFRESH, term, call, e);
}

static enum rc release(struct lock *lock, const struct call *call, struct err *e)
{
	enum rc rc = perform(SCRIPTED_RELEASE, NULL, call, e);

	(void)lock;
	if (rc == RC_OK)
		atomic_store(&scripted->held, 0);
	return rc;
}

static int loss_fd(struct lock *lock)
{
	(void)lock;
	return scripted_setting.loss_fd;
}

static int kernel_lock_fd(struct lock *lock)
{
	(void)lock;
	return scripted_setting.kernel_fd;
}

static void close_lock(struct lock *lock)
{
	(void)lock; /* one for all, never freed */
}

static struct lock_ops ops = {
	.name = "scripted",
	.summary = "answers as a test has written down",
	.close = close_lock,
	.acquire = acquire,
	.refresh = refresh,
	.release = release,
	.loss_fd = loss_fd,
	.kernel_lock_fd = kernel_lock_fd,
};

enum rc scripted_open(struct lock **lock, const struct lock_wish *wish,
		      const struct call *call, struct err *e)
{
	static struct lock base;

	(void)wish;
	(void)call;
	if (scripted_setting.open != RC_OK)
		return err_set(e, scripted_setting.open, "cannot be opened");
	ops.wait = scripted_setting.no_wait ? NULL : wait_for;
	base.ops = &ops;
	*lock = &base;
	return RC_OK;
}
