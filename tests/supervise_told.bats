# SPDX-License-Identifier: BSD-2-Clause
#
# Whatever is ended, lost or cannot be done has its line, and its event where
# there is one, whoever found it.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common

job_with_events()
{
	locked a --events "$T/a.events" "$@"
	wait_until 'inside a' || return
	keeper=$(keeper_of a)
	command=$(command_of a)
}

# One line, one event, and the last record says the same.
loss_is_told()
{
	# What a keeper that was killed left is proved stale by whoever is next.
	is_free || return
	is 1 "$(grep -c '^repolock: lost the lock on .*: .' "$T/a.err")" || return
	is 1 "$(grep -c '"event":"lost".*"text":"' "$T/a.events")" || return
	tail -n 1 "$T/a.events" | grep '"event":"ended".*"outcome":"lost"'
}

@test "2.1 a loss is told when all were frozen for longer than the term" {
	job_with_events --ttl 2s
	kill -STOP "${PID[a]}" "$keeper" "$command"
	wait_until 'is_stopped $command && is_stopped $keeper'
	sleep 3
	kill -CONT "${PID[a]}" "$keeper" "$command"
	finish a
	is 122 $status
	loss_is_told
	has 'lost the lock on .*: this machine slept, or .* stopped, for longer'
	has 'sent SIGKILL to what COMMAND runs'
}

@test "2.1 a loss is told when the front finds it, the keeper being stopped" {
	job_with_events --ttl 2s
	kill -STOP "$keeper"
	finish a
	is 122 $status
	loss_is_told
	has "lost the lock on .*: the keeper \\(process $keeper\\) did not renew"
	has 'sent SIGKILL to what COMMAND runs'
}

@test "2.1 a loss that the keeper found is told once, though it is killed then" {
	locked a stubborn --events "$T/a.events" --kill-after 10s
	wait_until 'inside a'
	rm "$LOC"/.repolock/default/x.*
	wait_until 'grep -q "sent SIGTERM" "$T/a.err"'
	kill -KILL "$(keeper_of a)"
	finish a
	is 122 $status
	loss_is_told
}

@test "2.1 without a loss there is no such line" {
	job_with_events --ttl 2s
	release a
	finish a
	is 0 $status
	is '' "$output"
	not grep '"lost"' "$T/a.events"
}

# A command that an unprivileged user's repolock may not signal.
root_command()
{
	needs_root
	mkdir -m 755 "$T/bin"
	cp "$(command -v setpriv)" "$T/bin/as-root"
	chmod 4755 "$T/bin/as-root"
	cp "$REPOLOCK" "$T/bin/repolock"
	chown 65534:65534 "$LOC"
	: >"$T/a.pid"
	chmod 666 "$T/a.pid"
	start a setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$T/bin/repolock" with-lock -r "$LOC" -- \
		"$T/bin/as-root" --reuid=0 --regid=0 --clear-groups \
		sh -c 'echo $$ >"$T/a.pid"; exec "$T/sleep" 300'
	command=$(command_of a)
}

@test "2.3 a signal to the front that cannot be delivered is told" {
	root_command
	kill -TERM "${PID[a]}"
	wait_until 'grep "process $command .*may not be signalled" "$T/a.err"'
	alive "$command"
	kill "$command"
	finish a
}

@test "2.3 so is one to the keeper" {
	root_command
	kill -TERM "$(keeper_below "${PID[a]}")"
	wait_until 'grep "process $command .*may not be signalled" "$T/a.err"'
	alive "$command"
	kill "$command"
	finish a
}

@test "2.4 front stopped and continued, keeper killed: what is ended says so" {
	job_with_events
	kill -STOP "${PID[a]}"
	wait_until 'is_stopped ${PID[a]}'
	kill -KILL "$keeper"
	kill -CONT "${PID[a]}"
	finish a
	is 125 $status
	is_free
	has 'sent SIGKILL to what COMMAND runs'
	has 'the keeper was killed; COMMAND was ended'
	grep '"signalled".*"SIGKILL"' "$T/a.events"
	tail -n 1 "$T/a.events" | grep '"ended".*"outcome":"failed".*keeper'
}

@test "2.4 the same, continued when its time was over" {
	job_with_events --ttl 2s
	kill -STOP "${PID[a]}"
	wait_until 'is_stopped ${PID[a]}'
	kill -KILL "$keeper"
	sleep 3
	kill -CONT "${PID[a]}"
	finish a
	is 122 $status
	loss_is_told
}
