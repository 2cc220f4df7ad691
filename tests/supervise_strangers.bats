# SPDX-License-Identifier: BSD-2-Clause
#
# Children that the front had before it was executed are nobody's business,
# and do not stand in the way of knowing when COMMAND's have ended.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common

# beside NAME SCRIPT [OPTION...] -- COMMAND...: repolock executed by a shell
# that has run SCRIPT, which leaves children. Their pids, one a line, come to be
# in $T/NAME.strangers.
beside()
{
	local name=$1 script=$2
	shift 2
	: >"$T/$name.strangers"
	start "$name" bash -c '
		trap - INT QUIT
		name=$1; eval "$2"; shift 2
		exec "$REPOLOCK" with-lock -r "$LOC" "$@"' sh \
		"$name" "$script" "$@"
}

one_stranger='"$T/sleep" 300 & echo $! >>"$T/$name.strangers"'

# Of those that are named in $T/NAME.strangers.
strangers_alive()
{
	local pid
	while read -r pid; do
		alive "$pid" || { echo "gone: $pid"; return 1; }
	done <"$T/$1.strangers"
}

end_strangers()
{
	xargs kill <"$T/$1.strangers"
}

# COMMAND that tells its keeper and goes on, with a daemon.
lasting='echo $PPID >"$T/a.keeper"; (setsid "$T/sleep" 300 &)
	echo $$ >"$T/a.pid"; "$T/sleep" 300'

reaper_of()
{
	parent_of "$1"
}

@test "7.3 a child from before outlives the keeper, COMMAND does not" {
	beside a "$one_stranger" -- sh -c "$lasting"
	command=$(command_of a)
	keeper=$(keeper_of a)
	kill -KILL "$keeper"
	finish a
	is 125 $status
	gone "$command"
	is "$(cat "$T/a.strangers")" "$(processes_of_test)"
	is_free
	end_strangers a
}

@test "7.3 a child from before is not waited for, nor reaped" {
	beside a "$one_stranger"'
		(until [ -e "$T/a.go" ]; do sleep 0.02; done) &
		echo $! >"$T/a.dead"' \
		-- sh -c 'echo $$ >"$T/a.pid"; until [ -e "$T/a.end" ]; do
			sleep 0.02; done; exit 3'
	command_of a >/dev/null
	: >"$T/a.go"
	dead=$(pid_in a.dead)
	wait_until 'is_zombie "$dead"'
	is "${PID[a]}" "$(parent_of "$dead")"
	release a
	finish a
	is 3 $status
	is '' "$output"
	strangers_alive a
	is_free
	end_strangers a
}

@test "7.3 what a child from before leaves behind is left alone, too" {
	beside a '(until [ -e "$T/a.go" ]; do sleep 0.02; done
		setsid "$T/sleep" 300 & echo $! >>"$T/a.strangers") &' \
		-- sh -c "$lasting"
	keeper=$(keeper_of a)
	command_of a >/dev/null
	: >"$T/a.go"
	orphan=$(pid_in a.strangers)
	wait_until '[ "$(parent_of "$orphan")" = "${PID[a]}" ]'
	kill -KILL "$keeper"
	finish a
	is 125 $status
	strangers_alive a
	is "$orphan" "$(processes_of_test)"
	is_free
	end_strangers a
}

@test "7.3 a chain of forks has ended when the lock goes, beside a stranger" {
	export BUILD
	for i in $(seq 20); do
		beside a "$one_stranger" -c 'echo $PPID >"$T/a.keeper"
			"$BUILD/lib/chain" "$T/in" 60000 stubborn
			"$T/sleep" 300'
		keeper=$(keeper_of a)
		wait_until '[ -e "$T/in" ] && ! flock -n "$T/in" true'
		kill -KILL "$keeper"
		finish a
		is 125 $status
		flock -n "$T/in" true
		strangers_alive a
		end_strangers a
		rm "$T/a.keeper" "$T/in"
	done
	is_free
}

@test "7.3 the front guards on when the reaper is killed" {
	beside a "$one_stranger" -- sh -c "$lasting"
	keeper=$(keeper_of a)
	command=$(command_of a)
	kill -KILL "$(reaper_of "$keeper")"
	wait_until '[ "$(parent_of "$keeper")" = "${PID[a]}" ]'
	is_held
	alive "$command"
	kill -KILL "$keeper"
	finish a
	is 125 $status
	is "$(cat "$T/a.strangers")" "$(processes_of_test)"
	is_free
	end_strangers a
}

@test "7.3 without a reaper a command still ends as usual" {
	beside a "$one_stranger" -- sh -c 'echo $PPID >"$T/a.keeper"
		until [ -e "$T/a.end" ]; do sleep 0.02; done; exit 7'
	keeper=$(keeper_of a)
	kill -KILL "$(reaper_of "$keeper")"
	release a
	finish a
	is 7 $status
	strangers_alive a
	is_free
	end_strangers a
}

@test "7.3 what COMMAND leaves with --descendants leave lives on" {
	beside a "$one_stranger" --descendants leave -- sh -c '
		setsid "$T/sleep" 300 & echo $! >>"$T/a.strangers"; exit 3'
	finish a
	is 3 $status
	strangers_alive a
	is 2 "$(wc -l <"$T/a.strangers")"
	end_strangers a
}

@test "7.3 COMMAND stops and continues beside a stranger" {
	beside a "$one_stranger" -- sh -c "$lasting"
	command=$(command_of a)
	kill -STOP "$command"
	wait_until 'is_stopped "${PID[a]}"'
	is_held
	kill -CONT "$command"
	wait_until '! is_stopped "${PID[a]}"'
	kill -TERM "${PID[a]}"
	finish a
	strangers_alive a
	is_free
	end_strangers a
}

@test "7.3 the keeper ends it all when the front is killed beside a stranger" {
	beside a "$one_stranger" -- sh -c "$lasting"
	command=$(command_of a)
	kill -KILL "${PID[a]}"
	wait_until 'gone "$command"'
	wait_until 'is_free'
	strangers_alive a
	end_strangers a
	finish a
}
