# SPDX-License-Identifier: BSD-2-Clause
#
# On a terminal, for the shell and in pipelines the command is what it would
# be without us. Tests that are run for "plain" and "locked" in turn do the
# same without and with the lock, and want the same to be seen.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common
load lib/terminal

# The prefix to type: with nothing, or with the lock.
prefix()
{
	case $1 in
	plain) echo ;;
	locked) echo "$REPOLOCK with-lock -r $LOC -- " ;;
	esac
}

setup()
{
	common_setup
	W=$(prefix locked)
}

@test "Ctrl-C ends the command, and the shell sees that SIGINT did it" {
	terminal
	type "$W$T/sleep 60"
	wait_until is_held
	key C-c
	prompt
	is 130 "$(status)"
	is_free
	log_out
}

# SHELL...: types a loop of three turns whose first one is interrupted.
interrupted_loop()
{
	terminal "$@"
	type "for i in 1 2 3; do echo tu''rn \$i; ${w}sh -c 'echo >>$T/turns; exec $T/sleep 60'; done; echo en''ded"
	wait_until '[ -e "$T/turns" ]'
	key C-c
	prompt
	# The turns that came after, if any, are let go.
	while [ "$(wc -l <"$T/turns")" -gt 1 ]; do return 1; done
	shown | grep -q '^ended' && return 1
	type 'exit'
	wait_until "gone $TTY_PID"
	rm "$T/turns"
}

@test "Ctrl-C stops a loop of bash" {
	for w in '' "$W"; do
		interrupted_loop bash --norc --noprofile --noediting -i
	done
}

@test "Ctrl-C stops a loop of dash" {
	for w in '' "$W"; do
		interrupted_loop dash -i
	done
}

@test "Ctrl-C stops a loop of zsh" {
	for w in '' "$W"; do
		interrupted_loop zsh -f -i +o zle +o prompt_cr +o prompt_sp
	done
}

@test "a command that handles Ctrl-C goes on, and its loop with it" {
	for w in '' "$W"; do
		terminal
		type "for i in 1 2; do ${w}sh -c 'trap \"exit 5\" INT; echo re''ady; while :; do sleep 0.05; done'; echo st''atus \$?; done; echo en''ded"
		see '^ready'
		key C-c
		see 'status 5'
		see '^ready'
		key C-c
		prompt
		see '^ended'
		log_out
	done
}

@test "Ctrl-C reaches the command once, and its children" {
	terminal
	type "$W$counter a"
	wait_until 'inside a'
	key C-c
	wait_until '[ -e "$T/a.signals" ]'
	sleep 0.2
	is INT "$(cat "$T/a.signals")"
	release a
	prompt
	log_out
}

@test "Ctrl-C while waiting for the lock gives the prompt back" {
	locked holder
	wait_until 'inside holder'
	terminal
	type "$W$T/sleep 60"
	wait_until '[ -n "$(waiting_front)" ]'
	sleep 0.2
	key C-c
	prompt
	is 130 "$(status)"
	log_out
	release holder
	finish holder
}

# The front of a repolock that the terminal's shell runs.
waiting_front()
{
	pgrep -f "^$REPOLOCK with-lock -r $LOC -- $T/sleep" | head -n 1
}

@test "Ctrl-\\ ends the command with SIGQUIT" {
	for w in '' "$W"; do
		terminal
		type 'ulimit -c 0'
		prompt
		# Not bash, which ignores it.
		type "${w}sh -c 'exec $T/sleep 60'"
		wait_until 'pgrep -f "^$T/sleep 60"'
		key "C-\\"
		prompt
		is 131 "$(status)"
		log_out
	done
}

@test "Ctrl-Z gives the prompt back, the lock stays held, fg goes on" {
	terminal
	type "$REPOLOCK with-lock --ttl 2s -r $LOC -- $lib/job a"
	wait_until 'inside a'
	job=$(command_of a)
	key C-z
	prompt
	see 'Stopped'
	wait_until 'is_stopped $job'
	# Longer than the term: somebody refreshes.
	never is_free 3
	is_stopped "$job"
	type 'fg'
	wait_until '! is_stopped $job'
	release a
	prompt
	is_free
	no_overlap
	log_out
}

@test "bg lets it run on in the background, and wait sees its status" {
	terminal
	type "${W}sh -c '$lib/job a; exit 6'"
	wait_until 'inside a'
	job=$(command_of a)
	key C-z
	prompt
	type 'bg'
	prompt
	wait_until '! is_stopped $job'
	is_held
	release a
	type "wait %1; echo st''atus \$?"
	see 'status 6'
	prompt
	log_out
}

@test "kill %1 ends a running and a stopped one" {
	terminal
	for how in running stopped; do
		type "$W$lib/job $how"
		wait_until 'inside $how'
		key C-z
		prompt
		[ $how = stopped ] || type 'bg'
		prompt
		type 'kill %1; wait'
		prompt
		wait_until is_free
		gone "$(command_of $how)"
	done
	no_overlap
	log_out
}

@test "kill -STOP %1 and kill -CONT %1 stop and continue the command" {
	terminal
	type "$W$lib/job a &"
	wait_until 'inside a'
	job=$(command_of a)
	type 'kill -STOP %1'
	wait_until 'is_stopped $job'
	type "jobs"
	see Stopped
	is_held
	type 'kill -CONT %1'
	wait_until '! is_stopped $job'
	release a
	type 'wait'
	prompt
	log_out
}

@test "a command that stops itself gives the prompt back, as an editor does" {
	for w in '' "$W"; do
		terminal
		type "${w}sh -c 'echo be''fore; kill -STOP \$\$; echo af''ter'"
		see '^before'
		prompt
		see 'Stopped'
		type 'fg'
		see '^after'
		prompt
		log_out
	done
}

@test "a new window size reaches the command once" {
	terminal
	type "$W$counter a"
	wait_until 'inside a'
	resize 31
	wait_until '[ -e "$T/a.signals" ]'
	sleep 0.2
	is WINCH "$(cat "$T/a.signals")"
	release a
	prompt
	type "${W}stty size"
	see '^31 [0-9]'
	prompt
	log_out
}

@test "a password is asked for on /dev/tty without being shown" {
	cat >"$T/ask" <<-'END'
		exec </dev/tty >/dev/tty
		stty -echo
		printf 'password: '
		read -r word
		stty echo
		echo "it was ${#word} letters"
	END
	terminal
	type "true | ${W}sh $T/ask"
	see '^password: $'
	type 'secret'
	see 'it was 6 letters'
	shown >"$T/terminal.seen"
	not grep -q secret "$T/terminal.seen"
	prompt
	log_out
}

@test "in the background it is stopped when it reads the terminal" {
	for w in '' "$W"; do
		terminal
		type "${w}sh -c 'read -r x </dev/tty; echo go''t \$x' &"
		prompt
		wait_until 'type "jobs -l" && prompt &&
			shown | grep -q "Stopped (tty input)"'
		type 'fg'
		type 'word'
		see '^got word'
		prompt
		log_out
	done
}

@test "a pager behind it has the keyboard" {
	terminal
	type "${W}sh -c 'seq 1000; echo >$T/written' | TERM=vt100 less"
	see '^:$|^23$|^ *10$'
	send 'q'
	prompt
	log_out
}

@test "a filter before and behind it ends it by SIGPIPE and end of file" {
	terminal
	type "yes | ${W}head -n 2 | tail -n 1; echo \${PIPESTATUS[@]}"
	see '^y$'
	see '^141 0 0'
	prompt
	type "${W}yes | head -n 1; echo \${PIPESTATUS[@]}"
	see '^141 0'
	prompt
	log_out
}

@test "a shell inside has job control of its own" {
	terminal
	type "PS1='inner> ' ${W}bash --norc --noprofile --noediting -i"
	see '^inner> $'
	type "$T/sleep 60"
	# What is typed before it runs, Ctrl-Z would throw away.
	wait_until 'pgrep -f "^$T/sleep 60"'
	inner=$(pgrep -f "^$T/sleep 60")
	key C-z
	see 'Stopped'
	see 'inner> $'
	is_held
	type 'fg'
	wait_until '! is_stopped $inner'
	key C-c
	see 'inner> $'
	type 'exit 3'
	prompt
	type "echo st''atus \$?"
	see 'status 3'
	is_free
	log_out
}

@test "hanging up ends the command and frees the lock" {
	terminal
	type "$W$lib/job a"
	wait_until 'inside a'
	job=$(command_of a)
	hang_up
	wait_until 'gone $job'
	wait_until is_free
}

@test "hanging up on ssh -t, without a shell between, ends it too" {
	terminal_of "$REPOLOCK" with-lock -r "$LOC" -- "$lib/job" a
	wait_until 'inside a'
	job=$(command_of a)
	hang_up
	wait_until 'gone $job'
	wait_until is_free
}

@test "as a session's leader it stops for nobody and ends by Ctrl-C" {
	terminal_of "$REPOLOCK" with-lock -r "$LOC" -- "$lib/job" a
	wait_until 'inside a'
	# An orphaned group is not stopped: nobody could continue it.
	key C-z
	never 'is_stopped $(command_of a)' 0.3
	key C-c
	wait_until "gone $TTY_PID"
	is 2 "$(cat "$T/terminal.status")"
	is_free
}

@test "nohup survives hanging up" {
	terminal
	type "nohup $W$lib/job a >/dev/null 2>&1 &"
	wait_until 'inside a'
	job=$(command_of a)
	hang_up
	never 'gone $job' 0.5
	is_held
	release a
	wait_until 'gone $job'
	wait_until is_free
}
