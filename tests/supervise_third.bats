# SPDX-License-Identifier: BSD-2-Clause
#
# Two guards fail on a lock that ends by age. On ramfs no kernel lock is relied
# on, as on a network file system: whoever waits takes a lease that was not
# renewed for its TTL and 2 s.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common
load lib/rounds

# Most of a round is waiting.
AT_ONCE=10

setup()
{
	common_setup
	needs_root
	PLACE=$T/ramfs
	mkdir "$PLACE"
	mount -t ramfs ramfs "$PLACE" ||
		skip 'kernel: no file system can be mounted here'
}

teardown()
{
	umount -l "$PLACE" || true
	common_teardown
}

# A command that dies with its keeper (PDEATHSIG), and a child of it that
# nothing but SIGKILL ends; somebody waits for the lock.
hold()
{
	start a "$REPOLOCK" with-lock -r "$LOC" --ttl 2s --kill-after 10s \
		--events "$T/a.events" -- \
		sh -c 'trap "" TERM; "$0" a stubborn; :' "$lib/job"
	wait_until 'inside a' || return
	keeper=$(keeper_below "${PID[a]}")
	wait_until '[ -n "$(third_below ${PID[a]})" ]' || return
	third=$(third_below "${PID[a]}")
	locked next --ttl 2s
}

next_gets_in()
{
	wait_until 'inside next' 60 || return
	no_overlap || return
	gone "$(command_of a)" || return
	release next
	finish next || return
	is 0 "$status"
}

# By the third guard, or by a front that it continued.
is_ended()
{
	wait_until 'gone $keeper && gone $third' || return
	is 1 "$(grep -c '^repolock: lost the lock' "$T/a.err")" || return
	is 1 "$(grep -c '"event":"lost"' "$T/a.events")"
}

# NUMBER FAULT VICTIM FAULT VICTIM STATUS: who is stopped first acts no more;
# who sees the other killed may act before it is stopped.
faults()
{
	local -A victim
	local first
	hold || return
	victim=([front]=${PID[a]} [keeper]=$keeper)
	first=${victim[$3]}
	kill -"$2" "$first"
	[ "$2" != STOP ] || wait_until "is_stopped $first" || return
	kill -"$4" "${victim[$5]}" 2>/dev/null
	next_gets_in || return
	[ "$2" != STOP ] || is_ended || return
	# One that was stopped when it had killed all is the user's to continue.
	kill -CONT "${PID[a]}" "$keeper" 2>/dev/null
	wait_until 'gone $keeper && gone $third' || return
	finish a || return
	grep -qxE "$6" <<<"$status" || { echo "status $status"; return 1; }
}

@test "1.5 front stopped and keeper stopped: nothing runs when the next gets in" {
	rounds 50 faults STOP front STOP keeper 122
}

@test "1.5 keeper stopped and front stopped" {
	rounds 50 faults STOP keeper STOP front 122
}

@test "1.5 keeper stopped and front killed" {
	rounds 50 faults STOP keeper KILL front 137
}

@test "1.5 front killed and keeper stopped" {
	rounds 50 faults KILL front STOP keeper 137
}

@test "1.5 front stopped and keeper killed" {
	rounds 50 faults STOP front KILL keeper 122
}

@test "1.5 keeper killed and front stopped" {
	rounds 50 faults KILL keeper STOP front '1[23][257]'
}

@test "1.5 it is there for a lock that ends by age alone, and ends with it" {
	LOC=$PLACE/loc
	mkdir "$LOC"
	hold
	is 1 "$(third_below "${PID[a]}" | wc -l)"
	kill -KILL "$(command_of a)"
	finish a
	gone "$third"
	wait_until 'inside next'
	release next
	finish next
	# A kernel lock is kept by the two of us.
	mkdir "$T/other"
	LOC=$T/other
	locked b
	wait_until 'inside b'
	never '[ -n "$(third_below ${PID[b]})" ]' 0.3
	release b
	finish b
}

@test "1.5 it kills nothing that was the caller's before" {
	LOC=$PLACE/loc
	mkdir "$LOC"
	start a sh -c '"$T/sleep" 300 & echo $! >"$T/stranger"
		exec "$REPOLOCK" with-lock -r "$LOC" --ttl 2s -- "$0" a' "$lib/job"
	wait_until 'inside a'
	wait_until '[ -n "$(third_below ${PID[a]})" ]'
	stranger=$(pid_in stranger)
	keeper=$(keeper_of a)
	kill -STOP "${PID[a]}" "$keeper"
	wait_until 'gone $(command_of a) && gone $keeper'
	finish a
	is 122 $status
	alive "$stranger"
	kill "$stranger"
	lock -- true
}
