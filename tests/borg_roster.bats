# SPDX-License-Identifier: BSD-2-Clause
#
# borg 1's lock.roster, which borg writes in place, beside the real borg.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common
load lib/borg

# A borg of another host, whose every edit of the roster takes a while.
slow_borg()
{
	"$lib/borg_locks.py" --import 2>/dev/null || skip "not Debian's borg"
	start theirs env BORG_HOST_ID=far@2 BORG_LOCKS_SLOW=0.3 \
		"$lib/borg_locks.py" "$REPO" s "$1" "$T/record" "$T/overlap"
	wait_until '[ -e "$REPO/lock.exclusive" ]'
}

@test "6 a shared lock is released although borg is writing the roster" {
	slow_borg 6
	turns=0
	while alive "${PID[theirs]}"; do
		expect 0 "$REPOLOCK" with-lock -s -r "$LOC" true
		not grep -i lost <<<"$output"
		turns=$((turns + 1))
	done
	[ $turns -ge 2 ]
	finish theirs
	is 0 "$status"
	is '' "$output"
	no_overlap
	nothing_locked
}

@test "6 an entry that cannot be taken off is named with its cure" {
	locked ours -s
	wait_until 'inside ours'
	# Left by a borg that died on another host in the middle of an edit.
	mkdir "$REPO/lock.exclusive"
	: >"$REPO/lock.exclusive/far@2.77-0"
	release ours
	finish ours 60
	is 0 "$status"
	has 'could not be removed: lock.exclusive is held by far, pid 77'
	has "entry [0-9a-f]{8} stays in lock.roster and keeps writers out"
	cure=$(sed -n 's/.*: repolock unlock/unlock/p' <<<"$output" | tail -n 1)
	rm -r "$REPO/lock.exclusive"
	# shellcheck disable=SC2086
	expect 0 "$REPOLOCK" $cure
	nothing_locked
}

@test "6 what lists and unlocks asks a half-written roster again" {
	slow_borg 6
	while alive "${PID[theirs]}"; do
		expect 0 "$REPOLOCK" list-locks --json -r "$LOC"
		not grep 'no JSON' <<<"$output"
		expect 0 "$REPOLOCK" unlock -r "$LOC"
		not grep 'nobody can tell' <<<"$output"
	done
	finish theirs
	is 0 "$status"
	nothing_locked
	# A roster that stays so is shown as what it is.
	printf '{"shared": [["far@2", 1' >"$REPO/lock.roster"
	expect 0 "$REPOLOCK" list-locks --json -r "$LOC"
	has 'no JSON'
	rm "$REPO/lock.roster"
}
