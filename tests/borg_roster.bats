# SPDX-License-Identifier: BSD-2-Clause
#
# borg 1's lock.roster, which borg writes in place, beside the real borg.

# shellcheck disable=SC2030,SC2031,SC2016,SC2034,SC2154

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
		expect 0 "$REPOLOCK" list-locks -r "$LOC"
		not grep unreadable <<<"$output"
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

# roster COUNT: as many entries of this host, whose processes are gone.
roster()
{
	python3 - "$REPO/lock.roster" "$1" <<'PYTHON'
import json, sys
entries = [["here@1", 5000000 + i, 0] for i in range(int(sys.argv[2]))]
json.dump({"shared": entries}, open(sys.argv[1], "w"))
PYTHON
}

@test "7.7 a roster of thousands is told as one, which can be removed" {
	export BORG_HOST_ID=here@1
	roster 8000
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	is 1 "$(grep -c unreadable <<<"$output")"
	has '8000 entries, and more than 1000 are not judged'
	expect 123 "$REPOLOCK" with-lock -n -r "$LOC" true
	has '8000 entries'
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	has '8000 entries'
	[ -e "$REPO/lock.roster" ]
	expect 0 "$REPOLOCK" unlock --force --all -r "$LOC"
	nothing_locked
}

@test "7.7 hundreds of dead entries go one by one, each with its line" {
	export BORG_HOST_ID=here@1
	roster 300
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	is 300 "$(grep -c '^broke shared borg1 lock' <<<"$output")"
	nothing_locked
}
