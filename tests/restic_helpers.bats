# SPDX-License-Identifier: BSD-2-Clause
#
# A program that gives the password, and what it leaves running, are not
# COMMAND's.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common
load lib/terminal

setup_file()
{
	command -v restic >/dev/null || return 0
	export RESTIC_CACHE_DIR=$BATS_FILE_TMPDIR/cache
	unset RESTIC_PASSWORD RESTIC_PASSWORD_FILE RESTIC_PASSWORD_COMMAND \
		RESTIC_KEY_HINT RESTIC_REPOSITORY RESTIC_REPOSITORY_FILE
	RESTIC_PASSWORD=geheim restic init -q -r "$BATS_FILE_TMPDIR/repo"
}

setup()
{
	command -v restic >/dev/null || skip "there is no restic"
	common_setup
	REPO=$T/repo
	cp -a "$BATS_FILE_TMPDIR/repo" "$REPO"
	LOC=restic:$REPO
	export RESTIC_PASSWORD_COMMAND="'$T/ask'"
}

teardown()
{
	common_teardown
}

# The password command is what standard input says.
ask_by()
{
	{ echo '#!/bin/sh'; cat; } >"$T/ask"
	chmod 755 "$T/ask"
}

# One that leaves an agent behind, which keeps its output open.
ask_by_agent()
{
	ask_by <<-'END'
		[ -e "$T/agent" ] || {
			setsid "$T/sleep" 300 2>/dev/null &
			echo $! >"$T/agent"
		}
		echo geheim
	END
}

# One that hangs.
ask_by_hanging()
{
	ask_by <<-'END'
		echo $$ >"$T/asking"
		exec "$T/sleep" 300
	END
}

only_the_agent_is_left()
{
	is "$(cat "$T/agent")" "$(processes_of_test)"
	kill "$(cat "$T/agent")"
}

@test "1.2 an agent that a password command leaves is left alone" {
	ask_by_agent
	start a "$REPOLOCK" with-lock -r "$LOC" -- sh -c 'exit 3'
	finish a
	is 3 $status
	is '' "$output"
	only_the_agent_is_left
}

@test "1.2 COMMAND true is over at once beside such an agent" {
	ask_by_agent
	expect 0 lock -- true
	is '' "$output"
	only_the_agent_is_left
}

@test "1.2 what COMMAND leaves is killed beside such an agent" {
	ask_by_agent
	start a "$REPOLOCK" with-lock -r "$LOC" -- sh -c '
		setsid "$T/sleep" 300 & echo $! >"$T/daemon"; exit 3'
	finish a
	is 3 $status
	has "$(cat "$T/daemon")"
	not has "$(cat "$T/agent")"
	only_the_agent_is_left
}

@test "1.2 the agent outlives a keeper that is killed, COMMAND does not" {
	ask_by_agent
	start a "$REPOLOCK" with-lock -r "$LOC" -- sh -c '
		echo $PPID >"$T/a.keeper"; echo $$ >"$T/a.pid"
		setsid "$T/sleep" 300 & "$T/sleep" 300'
	command=$(command_of a)
	kill -KILL "$(keeper_of a)"
	finish a
	is 125 $status
	gone "$command"
	only_the_agent_is_left
	RESTIC_PASSWORD=geheim RESTIC_PASSWORD_COMMAND='' \
		restic unlock -q -r "$REPO"
}

@test "1.2 the agent outlives a front that is killed, COMMAND does not" {
	ask_by_agent
	start a "$REPOLOCK" with-lock -r "$LOC" -- sh -c '
		echo $$ >"$T/a.pid"; "$T/sleep" 300'
	command=$(command_of a)
	kill -KILL "${PID[a]}"
	wait_until 'gone "$command"'
	wait_until '[ "$(processes_of_test)" = "$(cat "$T/agent")" ]'
	only_the_agent_is_left
	finish a
}

@test "1.2 list-locks and unlock leave the agent alone, too" {
	ask_by_agent
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	expect 0 "$REPOLOCK" unlock -r "$LOC"
	only_the_agent_is_left
}

@test "1.2 a password command that hangs ends with whoever is killed" {
	ask_by_hanging
	for who in front keeper; do
		start "$who" "$REPOLOCK" with-lock -r "$LOC" -- true
		asking=$(pid_in asking)
		case $who in
		front) kill -KILL "${PID[$who]}" ;;
		keeper)
			# Of the two processes whose child this is or is not.
			pid=$(parent_of "$asking")
			for child in $(tree_of "${PID[$who]}"); do
				[ "$child" = "$pid" ] ||
					[ "$child" = "$asking" ] ||
					[ "$child" = "${PID[$who]}" ] ||
					kill -KILL "$child" 2>/dev/null || :
			done
			;;
		esac
		finish "$who"
		wait_until 'gone "$asking"'
		none_left
		rm "$T/asking"
	done
}

@test "1.2 a password command dies with the signal that ends the asking" {
	ask_by_hanging
	start a "$REPOLOCK" with-lock -r "$LOC" -- true
	asking=$(pid_in asking)
	kill -TERM "${PID[a]}"
	finish a
	is 143 $status
	none_left
}

@test "1.2 who runs a password command is not read by others" {
	needs_root
	ask_by_hanging
	chmod 755 "$T"
	chown -R 65534 "$REPO"
	mkdir -m 777 "$T/job"
	: >"$T/asking"
	chmod 666 "$T/asking"
	start a setpriv --reuid 65534 --clear-groups env HOME="$T/job" \
		"$REPOLOCK" with-lock -r "$LOC" -- true
	wait_until '[ -s "$T/asking" ]'
	asking=$(cat "$T/asking")
	# Of a process that may be dumped it is its user's.
	is 65534 "$(stat -c %u "/proc/$asking/environ")"
	is 0 "$(stat -c %u "/proc/$(parent_of "$asking")/environ")"
	kill -TERM "${PID[a]}"
	finish a
	is 143 $status
	none_left
}

@test "1.2 a killed password command, and who runs it, are reported" {
	ask_by_hanging
	for who in program runner; do
		start $who "$REPOLOCK" with-lock -r "$LOC" -- true
		asking=$(pid_in asking)
		if [ $who = program ]; then
			kill -KILL "$asking"
			said='RESTIC_PASSWORD_COMMAND.*died by signal 9'
		else
			kill -KILL "$(parent_of "$asking")"
			said='RESTIC_PASSWORD_COMMAND.*was killed'
		fi
		finish $who
		is 125 $status
		has "$said"
		# Nobody is left who would know it.
		[ $who = program ] || kill "$asking"
		wait_until 'gone "$asking"'
		none_left
		rm "$T/asking"
	done
}

@test "1.2 a signal ends the asking though who runs the command is stopped" {
	ask_by_hanging
	start a "$REPOLOCK" with-lock -r "$LOC" -- true
	asking=$(pid_in asking)
	kill -STOP "$(parent_of "$asking")"
	kill -TERM "${PID[a]}"
	finish a
	is 143 $status
	wait_until 'gone "$asking"'
	none_left
}

@test "1.2 a password command asks on the terminal" {
	ask_by <<-'END'
		printf 'the pass''word? ' >/dev/tty
		read -r word </dev/tty
		echo "$word"
	END
	terminal
	type '"$REPOLOCK" with-lock -r "'"$LOC"'" -- echo in""side'
	see 'the password\? '
	type geheim
	see '^inside'
	prompt
	is 0 "$(status)"
}

@test "1.2 Ctrl-C at such a question ends it all" {
	ask_by <<-'END'
		printf 'the pass''word? ' >/dev/tty
		read -r word </dev/tty
		echo "$word"
	END
	terminal
	type '"$REPOLOCK" with-lock -r "'"$LOC"'" -- echo in""side'
	see 'the password\? '
	key C-c
	prompt
	is 130 "$(status)"
	none_left_but_terminal
}

none_left_but_terminal()
{
	wait_until '! pgrep -f "^sh .*$T/ask|^/bin/sh $T/ask"'
}

@test "1.2 a password command that fails is named" {
	ask_by <<-'END'
		echo geheim
		exit 4
	END
	expect 125 lock -- true
	has 'RESTIC_PASSWORD_COMMAND.*status 4'
	export RESTIC_PASSWORD_COMMAND=$T/none
	expect 125 lock -- true
	has 'RESTIC_PASSWORD_COMMAND.*none.*No such file'
}

# The process that runs such a program, if the lock's own has one.
runner='for p in $(cat /proc/$REPOLOCK_HELD_PID/task/*/children); do
	grep -x repolock-helper "/proc/$p/comm"; done'

@test "1.2 no process for helpers is made where none is needed" {
	ask_by_hanging
	start a "$REPOLOCK" with-lock -r "$LOC" -- true
	asking=$(pid_in asking)
	is repolock-helper "$(cat "/proc/$(parent_of "$asking")/comm")"
	kill -TERM "${PID[a]}"
	finish a
	# It has done its work when COMMAND runs, or very soon.
	ask_by <<<'echo geheim'
	expect 0 lock -- sh -c "while [ -n \"\$($runner)\" ]; do sleep 0.01; done"
	RESTIC_PASSWORD=geheim RESTIC_PASSWORD_COMMAND='' \
		expect 0 lock -- sh -c "$runner; :"
	is '' "$output"
}
