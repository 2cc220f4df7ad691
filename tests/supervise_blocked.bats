# SPDX-License-Identifier: BSD-2-Clause
#
# What front and keeper say to each other, and to people, is read by somebody
# who may be stopped: neither waits for that.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common

@test "1.7 signals in a loop do not keep the front from giving up its keeper" {
	locked holder
	wait_until 'inside holder'
	locked a --events "$T/a.events"
	wait_until 'grep -qs waiting "$T/a.events"'
	keeper=$(keeper_below "${PID[a]}")
	kill -STOP "$keeper"
	wait_until 'is_stopped "$keeper"'
	# As many as can be sent until then, which is more than a socket takes
	# on any but the slowest machine.
	end=$((SECONDS + 60))
	until gone "${PID[a]}" || [ $SECONDS -gt $end ]; do
		kill -USR1 "${PID[a]}" 2>/dev/null || true
	done
	finish a
	is $((128 + $(kill -l USR1))) $status
	gone "$keeper"
	release holder
	finish holder
	# Whoever waits next clears the place in the queue that it had.
	lock -- true
}

# A pipe that is full, and whose reader reads nothing.
full_pipe()
{
	mkfifo "$T/pipe"
	exec {PIPE}<>"$T/pipe"
	dd if=/dev/zero of="$T/pipe" bs=4096 count=1000 oflag=nonblock 2>/dev/null ||
		true
}

@test "1.7 a full pipe on stderr and --events holds up no kill" {
	full_pipe
	start a sh -c 'exec "$REPOLOCK" with-lock -r "$LOC" --ttl 3s \
		--kill-after 0.1s --events fd:2 -- sh -c "
			i=0
			while [ \$i -lt 40 ]; do
				(trap \"\" TERM; exec \"\$T/sleep\" 300) &
				i=\$((i + 1))
			done
			: >\"\$T/a.inside\"; sleep 0.3" 2>"$T/pipe"'
	wait_until 'inside a'
	finish a
	is 0 $status
	exec {PIPE}<&-
}

@test "1.7 what is said goes through a pipe that is read" {
	start a "$REPOLOCK" with-lock -r "$LOC" --kill-after 0.1s -- \
		sh -c '(trap "" TERM; exec "$T/sleep" 300) & sleep 0.1'
	finish a
	is 0 $status
	has 'still runs'
	has 'sent SIGTERM'
	has 'sent SIGKILL'
}
