/* SPDX-License-Identifier: BSD-2-Clause */
#include "supervise/worker.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Virtual only; pages that are never touched cost nothing. */
static const size_t stack_size = 512 * 1024;

static void perform_acquire(struct lock *lock, const struct call *call,
			    struct answer *a)
{
	a->job = JOB_ACQUIRE;
	a->begun = boot_now();
	a->rc = lock->ops->acquire(lock, &a->term, &a->mine, &a->holder, call,
				   &a->err);
}

static void perform_wait(struct lock *lock, const struct work *work,
			 struct call *call, struct answer *a)
{
	a->rc = lock->ops->wait(lock, work->patience, call, &a->err);
	if (a->rc != RC_OK)
		return;
	call->give_up = boot_min(call->give_up,
				 boot_add(boot_now(), work->leash));
	perform_acquire(lock, call, a);
}

void work_perform(struct lock *lock, const struct work *work, int cancel_fd,
		  struct answer *answer)
{
	struct call call = { work->give_up, cancel_fd };

	answer->job = work->job;
	answer->err = (struct err){ 0 };
	answer->begun = boot_now();
	switch (work->job) {
	case JOB_NONE:
		answer->rc = RC_OK;
		return;
	case JOB_ACQUIRE:
		perform_acquire(lock, &call, answer);
		return;
	case JOB_WAIT:
		perform_wait(lock, work, &call, answer);
		return;
	case JOB_REFRESH:
		answer->rc = lock->ops->refresh(lock, &answer->term, &call,
						&answer->err);
		return;
	case JOB_RELEASE:
		answer->rc = lock->ops->release(lock, &call, &answer->err);
		return;
	}
}

static int poke_signal(void)
{
	return SIGRTMIN;
}

static void poked(int sig)
{
	(void)sig; /* being there is enough: the system call ends */
}

static void watch(struct worker *w)
{
	int fd = w->lock->ops->loss_fd(w->lock);

	(void)pthread_mutex_lock(&w->mutex);
	w->loss_fd = fd;
	w->has_watch = true;
	(void)pthread_mutex_unlock(&w->mutex);
}

static void work(struct worker *w, const struct work *order)
{
	/* Nobody looks at it before has_answer says so. */
	work_perform(w->lock, order, w->cancel_fd, &w->answer);
	(void)pthread_mutex_lock(&w->mutex);
	w->has_answer = true;
	(void)pthread_mutex_unlock(&w->mutex);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	struct work order = { .job = JOB_NONE };
	bool watching;
	sigset_t poke;

	(void)sigemptyset(&poke);
	(void)sigaddset(&poke, poke_signal());
	(void)pthread_sigmask(SIG_UNBLOCK, &poke, NULL);
	for (;;) {
		(void)pthread_mutex_lock(&w->mutex);
		while (!w->has_work && !w->wants_watch)
			(void)pthread_cond_wait(&w->posted, &w->mutex);
		watching = w->wants_watch;
		w->wants_watch = false;
		if (!watching) {
			w->has_work = false;
			order = w->work;
		}
		(void)pthread_mutex_unlock(&w->mutex);
		if (watching)
			watch(w);
		else
			work(w, &order);
		(void)eventfd_write(w->ready_fd, 1);
	}
	return NULL;
}

static int start_thread(struct worker *w)
{
	struct sigaction poke = { .sa_handler = poked };
	pthread_attr_t attr;
	int failed;

	/* A second arena would cost more memory than everything else. */
	(void)mallopt(M_ARENA_MAX, 1); /* NOLINT: no other thread yet */
	(void)sigaction(poke_signal(), &poke, NULL);
	(void)pthread_mutex_init(&w->mutex, NULL);
	(void)pthread_cond_init(&w->posted, NULL);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, stack_size);
	failed = pthread_create(&w->thread, &attr, run, w);
	(void)pthread_attr_destroy(&attr);
	return failed;
}

enum rc worker_start(struct worker *w, struct lock *lock, struct err *e)
{
	int failed;

	w->lock = lock;
	w->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->ready_fd < 0 || w->cancel_fd < 0)
		failed = errno;
	else
		failed = start_thread(w);
	if (failed == 0) {
		w->started = true;
		return RC_OK;
	}
	if (w->ready_fd >= 0)
		(void)close(w->ready_fd);
	if (w->cancel_fd >= 0)
		(void)close(w->cancel_fd);
	w->ready_fd = w->cancel_fd = -1;
	return err_sys(e, RC_RETRY, failed, "starting a thread");
}

void worker_post(struct worker *w, const struct work *work)
{
	eventfd_t count;

	assert(w->started && !w->busy);
	(void)eventfd_read(w->cancel_fd, &count);
	w->busy = true;
	w->cancelled = false;
	(void)pthread_mutex_lock(&w->mutex);
	w->work = *work;
	w->has_work = true;
	(void)pthread_cond_signal(&w->posted);
	(void)pthread_mutex_unlock(&w->mutex);
}

void worker_cancel(struct worker *w)
{
	if (!w->busy)
		return;
	if (!w->cancelled)
		(void)eventfd_write(w->cancel_fd, 1);
	w->cancelled = true;
	(void)pthread_kill(w->thread, poke_signal());
}

void worker_look(struct worker *w)
{
	eventfd_t count;

	(void)eventfd_read(w->ready_fd, &count);
}

bool worker_take(struct worker *w, struct answer *answer)
{
	bool there;

	(void)pthread_mutex_lock(&w->mutex);
	there = w->has_answer;
	if (there)
		*answer = w->answer;
	w->has_answer = false;
	(void)pthread_mutex_unlock(&w->mutex);
	if (there)
		w->busy = false;
	return there;
}

void worker_watch(struct worker *w)
{
	if (!w->lock->ops->loss_fd)
		return;
	w->watching = true;
	(void)pthread_mutex_lock(&w->mutex);
	w->wants_watch = true;
	(void)pthread_cond_signal(&w->posted);
	(void)pthread_mutex_unlock(&w->mutex);
}

bool worker_watched(struct worker *w, int *loss_fd)
{
	bool there;

	(void)pthread_mutex_lock(&w->mutex);
	there = w->has_watch;
	if (there)
		*loss_fd = w->loss_fd;
	w->has_watch = false;
	(void)pthread_mutex_unlock(&w->mutex);
	if (there)
		w->watching = false;
	return there;
}
