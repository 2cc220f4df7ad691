# SPDX-License-Identifier: BSD-2-Clause
#
# Front and keeper fail one after the other. Whoever is left alone ends what
# the command runs at once, before it can be hit as well.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common
load lib/rounds

# A command that dies with its keeper (PDEATHSIG), and a child of it that
# nothing but SIGKILL ends.
hold_with_child()
{
	start a "$REPOLOCK" with-lock -r "$LOC" "$@" -- \
		sh -c 'trap "" TERM; "$0" a stubborn; :' "$lib/job"
	wait_until 'inside a' || return
	keeper=$(keeper_below "${PID[a]}")
	locked next
}

next_gets_in()
{
	wait_until 'inside next' || return
	no_overlap || return
	release next
	finish next || return
	is 0 "$status"
}

# NUMBER FIRST: FIRST is killed, and some time later the other.
one_after_the_other()
{
	local -A victim
	local second=keeper delay=0.3
	[ "$2" != keeper ] || second=front
	# Few of the long ones.
	[ $(($1 % 5)) -ne 0 ] || delay=1
	[ $(($1 % 25)) -ne 0 ] || delay=3
	hold_with_child --kill-after 10s || return
	victim=([front]=${PID[a]} [keeper]=$keeper)
	kill -KILL "${victim[$2]}"
	sleep $delay
	kill -KILL "${victim[$second]}" 2>/dev/null
	next_gets_in
}

@test "1.4 front killed, then the keeper: nothing runs when the lock goes" {
	rounds 50 one_after_the_other front
}

@test "1.4 keeper killed, then the front: nothing runs when the lock goes" {
	rounds 50 one_after_the_other keeper
}

# The front is killed while the keeper gives a grace of its own to what runs.
in_its_grace()
{
	hold_with_child --kill-after 10s --max-hold 0.2s || return
	wait_until 'grep -q "sent SIGTERM" "$T/a.err"' || return
	kill -KILL "${PID[a]}"
	sleep 0.3
	kill -KILL "$keeper" 2>/dev/null
	next_gets_in
}

@test "1.4 front killed within a grace, then the keeper: nothing runs on" {
	rounds 50 in_its_grace
}

@test "1.4 a keeper that is left alone says why it kills" {
	locked a
	wait_until 'inside a'
	kill -KILL "${PID[a]}"
	wait_until is_free
	grep 'was killed: what COMMAND runs is killed' "$T/a.err"
	grep 'sent SIGKILL' "$T/a.err"
}
