# SPDX-License-Identifier: BSD-2-Clause
#
# What is killed, stopped and asked to end while it holds the lock. See lib/faults.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/faults

# SIGNAL VICTIM STATUS: all ends at once.
holding_ends()
{
	hold || return
	kill -"$1" "$(victim a "$2")"
	wait_until 'gone $(command_of a)' 2 || return
	next_gets_in || return
	finish a || return
	grep -qxE "$3" <<<"$status" || { echo "status $status"; return 1; }
}

# SIGNAL VICTIM: nothing happens to the command, it ends by itself later.
holding_goes_on()
{
	local pid
	hold || return
	pid=$(victim a "$2")
	kill -"$1" "$pid"
	# Longer than the lease would live unrenewed.
	never 'inside next || gone $(command_of a)' "${3:-4}" || return
	[ "$1" != STOP ] || kill -CONT "$pid"
	release a
	finish a || return
	is 0 "$status" || return
	next_gets_in
}

@test "holding: SIGKILL of the front ends the command, the next gets in" {
	holding_ends KILL front 137
}

@test "holding: SIGKILL of the keeper ends the command, the next gets in" {
	holding_ends KILL keeper 125
}

@test "holding: SIGKILL of the command, the next gets in" {
	holding_ends KILL command 137
}

@test "holding: SIGTERM of the front" {
	holding_ends TERM front 143
}

@test "holding: SIGTERM of the keeper ends all in order" {
	holding_ends TERM keeper '1[24].'
}

@test "holding: SIGTERM of the command" {
	holding_ends TERM command 143
}

@test "holding: SIGHUP of the front" {
	holding_ends HUP front 129
}

@test "holding: SIGHUP of the keeper changes nothing" {
	holding_goes_on HUP keeper 0.5
}

@test "holding: SIGHUP of the command" {
	holding_ends HUP command 129
}

@test "holding: SIGSTOP of the front, longer than the lease lives, is harmless" {
	holding_goes_on STOP front
}

@test "holding: SIGSTOP of the command, longer than the lease lives, is harmless" {
	holding_goes_on STOP command
}

@test "holding: SIGSTOP of the keeper, the command is dead before the lease" {
	hold
	keeper=$(victim a keeper)
	kill -STOP "$keeper"
	wait_until 'gone $(command_of a)' 10
	next_gets_in
	finish a
	is 122 $status
	gone "$keeper"
}

@test "holding: SIGSTOP of front and keeper, the next one's command waits for the end" {
	hold
	keeper=$(victim a keeper)
	kill -STOP "$keeper" "${PID[a]}"
	# The kernel lock is still held: nobody may take the lock by its age.
	never 'inside next' 4
	kill -CONT "${PID[a]}"
	wait_until 'gone $(command_of a)' 10
	next_gets_in
	finish a
	is 122 $status
}

@test "holding: a keeper that was stopped for a moment goes on" {
	hold
	keeper=$(victim a keeper)
	kill -STOP "$keeper"
	sleep 1
	kill -CONT "$keeper"
	never 'inside next || gone $(command_of a)' 2
	wait_until '! is_stopped $(command_of a)'
	release a
	finish a
	is 0 $status
	next_gets_in
}

@test "holding: SIGKILL of front and keeper at once still ends the command" {
	hold
	keeper=$(victim a keeper)
	kill -KILL "${PID[a]}" "$keeper"
	wait_until 'gone $(command_of a)' 10
	# What the command had started is not covered by anything then, so
	# overlap is not looked at: that limit is in the manual.
	wait_until 'inside next'
	release next
	finish next
	is 0 $status
}

@test "holding: SIGKILL of the front, a stubborn command and its daemon die" {
	hold parent
	daemon=$(pid_in a.daemon)
	kill -KILL "${PID[a]}"
	wait_until 'gone $(command_of a) && gone $daemon' 10
	next_gets_in
}

@test "holding: SIGKILL of the keeper, a command and its daemon die" {
	hold parent
	daemon=$(pid_in a.daemon)
	kill -KILL "$(victim a keeper)"
	wait_until 'gone $(command_of a) && gone $daemon' 10
	next_gets_in
	finish a
	is 125 $status
}

@test "holding: SIGKILL of the keeper, and a stopped command dies, too" {
	hold
	kill -STOP "$(command_of a)"
	wait_until 'is_stopped ${PID[a]}'
	kill -KILL "$(victim a keeper)"
	wait_until 'gone $(command_of a)' 10
	# The front, stopped as the shell's job is, guards until it is continued.
	never 'inside next' 0.5
	kill -CONT "${PID[a]}"
	next_gets_in
	finish a
	is 125 $status
}

notes_cont='import os, signal, sys
file = os.open(sys.argv[1] + ".signals", os.O_CREAT | os.O_WRONLY)
signal.signal(signal.SIGCONT, lambda *_: os.write(file, b"CONT\n"))
open(sys.argv[1] + ".pid", "w").write("%d\n" % os.getpid())
open(sys.argv[1] + ".inside", "w").close()
while True:
    signal.pause()'

# All three frozen: the front hands its SIGCONT on to a stopped command, but
# not to one that has no lock any more.
@test "holding: a front continued too late kills, and continues nothing" {
	start a "$REPOLOCK" with-lock -r "$LOC" --ttl 2s -- \
		python3 -c "$notes_cont" "$T/a"
	wait_until 'inside a'
	keeper=$(victim a keeper)
	command=$(command_of a)
	kill -STOP "${PID[a]}" "$keeper" "$command"
	wait_until 'is_stopped $command && is_stopped $keeper'
	sleep 2.2
	kill -CONT "${PID[a]}"
	wait_until 'gone $command && gone $keeper' 10
	finish a
	is 122 $status
	not grep CONT "$T/a.signals"
	is_free
}
