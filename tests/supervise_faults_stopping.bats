# SPDX-License-Identifier: BSD-2-Clause
#
# What is killed, stopped and asked to end while it is being stopped. See lib/faults.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/faults

# A command that goes on after SIGTERM, which --max-hold sent it.
stopping()
{
	hold slow --max-hold 0.3s --kill-after 4s
	wait_until '[ -e $T/a.stopping ]'
}

# SIGNAL VICTIM STATUS; the grace leaves a slow machine the time to send it
stopping_ends()
{
	local pid
	stopping || return
	pid=$(victim a "$2")
	kill -"$1" "$pid"
	wait_until 'gone $(command_of a)' 60 || return
	next_gets_in || return
	# The shell's and everybody's to continue, when all is done.
	kill -CONT "$pid" 2>/dev/null || true
	finish a || return
	grep -qxE "$3" <<<"$status" || { echo "status $status"; return 1; }
}

@test "stopping: SIGKILL of the front" {
	stopping_ends KILL front 137
}

@test "stopping: SIGKILL of the keeper" {
	stopping_ends KILL keeper 125
}

@test "stopping: SIGKILL of the command" {
	stopping_ends KILL command 124
}

@test "stopping: SIGTERM of the front" {
	stopping_ends TERM front 124
}

@test "stopping: SIGTERM of the keeper" {
	stopping_ends TERM keeper 124
}

@test "stopping: SIGTERM of the command" {
	stopping_ends TERM command 124
}

@test "stopping: SIGHUP of the front, which ends this command" {
	stopping_ends HUP front 124
}

@test "stopping: SIGHUP of the keeper" {
	stopping_ends HUP keeper 124
}

@test "stopping: SIGSTOP of the front" {
	stopping_ends STOP front 124
}

@test "stopping: SIGSTOP of the keeper" {
	stopping_ends STOP keeper '12[24]'
}

@test "stopping: SIGSTOP of the command" {
	stopping_ends STOP command 124
}
