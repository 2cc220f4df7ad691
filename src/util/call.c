/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/call.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <time.h>

nsec call_left(const struct call *call)
{
	nsec left;

	if (call->give_up.ns >= NSEC_FOREVER)
		return NSEC_FOREVER;
	left = boot_until(boot_now(), call->give_up);
	return left > 0 ? left : 0;
}

enum rc call_check(const struct call *call, struct err *e)
{
	struct pollfd cancel = { .fd = call->cancel_fd, .events = POLLIN };

	if (call->cancel_fd >= 0 && poll(&cancel, 1, 0) > 0)
		return err_set(e, RC_CANCELLED, "cancelled");
	if (call_left(call) == 0)
		return err_set(e, RC_RETRY, "no answer in time");
	return RC_OK;
}

static bool any_ready(const struct pollfd *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i].revents != 0)
			return true;
	}
	return false;
}

enum rc call_wait_any(const struct call *call, const int *fds, size_t count,
		      nsec span, struct err *e)
{
	struct boot until = boot_add(boot_now(), span);
	struct pollfd polled[1 + CALL_FDS_MAX] = {
		{ .fd = call->cancel_fd, .events = POLLIN },
	};

	assert(count <= CALL_FDS_MAX);
	for (size_t i = 0; i < count; i++)
		polled[1 + i] = (struct pollfd){ fds[i], POLLIN, 0 };
	for (;;) {
		enum rc rc = call_check(call, e);
		struct timespec t;
		nsec left;
		int ready;

		if (rc != RC_OK)
			return rc;
		left = boot_until(boot_now(), until);
		if (left <= 0)
			return err_set(e, RC_ABSENT, "nothing happened in time");
		if (left > call_left(call))
			left = call_left(call);
		t.tv_sec = left / NSEC_PER_SEC;
		t.tv_nsec = left % NSEC_PER_SEC;
		ready = ppoll(polled, 1 + count, &t, NULL);
		if (ready < 0 && errno != EINTR)
			return err_sys(e, RC_FAILED, errno, "poll");
		if (ready > 0 && any_ready(polled + 1, count))
			return RC_OK;
	}
}

enum rc call_wait(const struct call *call, int fd, nsec span, struct err *e)
{
	return call_wait_any(call, &fd, 1, span, e);
}

enum rc call_pause(const struct call *call, nsec span, struct err *e)
{
	enum rc rc = call_wait(call, -1, span, e);

	return rc == RC_ABSENT ? RC_OK : rc;
}
