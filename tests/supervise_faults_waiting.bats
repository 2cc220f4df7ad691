# SPDX-License-Identifier: BSD-2-Clause
#
# What is killed, stopped and asked to end while it waits for the lock. See lib/faults.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/faults

wait_behind()
{
	job_under holder
	wait_until 'inside holder' || return
	job_under a
	wait_until 'waiting a' || return
	job_under next
	wait_until 'waiting next'
}

# SIGNAL VICTIM STATUS: it gives up, and the one behind it gets in.
waiting_ends()
{
	wait_behind || return
	kill -"$1" "$(victim a "$2")"
	finish a || return
	grep -qxE "$3" <<<"$status" || { echo "status $status"; return 1; }
	not inside a || return
	release holder
	finish holder || return
	is 0 "$status" || return
	next_gets_in
}

# SIGNAL VICTIM: it waits on, and gets in before the one behind it.
waiting_goes_on()
{
	wait_behind || return
	kill -"$1" "$(victim a "$2")"
	never 'gone ${PID[a]}' 0.3 || return
	release holder
	wait_until 'inside a' || return
	release a
	finish a || return
	is 0 "$status" || return
	next_gets_in
}

@test "waiting: SIGKILL of the front" {
	waiting_ends KILL front 137
}

@test "waiting: SIGKILL of the keeper" {
	waiting_ends KILL keeper 125
}

@test "waiting: SIGKILL of the gate" {
	waiting_ends KILL gate 125
}

@test "waiting: SIGTERM of the front" {
	waiting_ends TERM front 143
}

@test "waiting: SIGTERM of the keeper" {
	waiting_ends TERM keeper 143
}

@test "waiting: SIGHUP of the front" {
	waiting_ends HUP front 129
}

@test "waiting: SIGHUP of the keeper changes nothing" {
	waiting_goes_on HUP keeper
}

@test "waiting: SIGSTOP of the gate changes nothing once it is continued" {
	wait_behind
	gate=$(victim a gate)
	kill -STOP "$gate"
	release holder
	finish holder
	never 'inside next' 0.5
	kill -CONT "$gate"
	wait_until 'inside a'
	release a
	next_gets_in
	finish a
	is 0 $status
}

@test "waiting: SIGSTOP of the keeper, the one behind it passes" {
	wait_behind
	keeper=$(victim a keeper)
	kill -STOP "$keeper"
	release holder
	finish holder
	# It is given time to act when its turn has come.
	wait_until 'inside next' 60
	kill -CONT "$keeper"
	never 'inside a' 0.5
	release next
	finish next
	wait_until 'inside a'
	release a
	finish a
	is 0 $status
	no_overlap
}

@test "waiting: SIGSTOP of the front, its turn comes, it goes on when continued" {
	wait_behind
	kill -STOP "${PID[a]}"
	release holder
	finish holder
	# Whether its command starts at once is its own business.
	wait_until 'inside a || inside next'
	kill -CONT "${PID[a]}"
	release a
	release next
	finish a
	is 0 $status
	finish next
	is 0 $status
	no_overlap
}
