/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/lock.h"

nsec lock_margin(nsec valid)
{
	nsec margin;

	if (valid >= NSEC_FOREVER)
		return 0;
	margin = valid / 20 > NSEC_PER_SEC ? valid / 20 : NSEC_PER_SEC;
	return margin < valid / 4 ? margin : valid / 4;
}

const char *lock_mode_word(enum lock_mode mode)
{
	return mode == LOCK_SHARED ? "shared" : "exclusive";
}

const char *lock_state_word(enum lock_state state)
{
	switch (state) {
	case LOCK_HELD:
		return "held";
	case LOCK_WAITING:
		return "waiting";
	case LOCK_STALE:
		return "stale";
	case LOCK_UNREADABLE:
		return "unreadable";
	}
	return "?";
}
