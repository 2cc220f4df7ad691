# shellcheck shell=bash
# Conditions of wait_until are evaluated there; lib and T are common.bash's.
# shellcheck disable=SC2016,SC2119,SC2120,SC2154
# SPDX-License-Identifier: BSD-2-Clause
#
# A shell with job control on a terminal, typed at from a test. Loaded after
# lib/common.
#
#   terminal [SHELL...]   starts it (bash) and waits for its prompt
#   type TEXT             types TEXT and Enter
#   key C-c               types a control character: C-c C-z C-d C-\
#   see REGEX [SECONDS]   waits until it was shown since the last typing
#   prompt [SECONDS]      waits for the shell's prompt
#   status                the last command's exit status, as the shell has it
#   shown                 what was shown since the last typing
#   resize ROWS [COLUMNS]   hang_up
#
# The terminal shows what is typed. So type "echo do''ne" to see "done".

terminal()
{
	[ $# -gt 0 ] || set -- bash --norc --noprofile --noediting -i
	rm -f "$T"/terminal.*
	HISTFILE='' PS1='ready> ' TERM=dumb terminal_of "$@" || return
	prompt
}

# terminal_of COMMAND...: the same with any command, which leads the session.
terminal_of()
{
	# Searching for leaks at its end, a sanitized program is stopped for an
	# instant, and a shell may take that for Ctrl-Z.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 \
		setsid "$lib/terminal.py" "$T" "$@" </dev/null \
		>"$T/terminal.out" 2>&1 3>&- &
	TTY_PID=$!
	TTY_SEEN=0
	wait_until '[ -e "$T/terminal.name" ]' || return
	exec {TTY_IN}>"$T/terminal.in"
}

send()
{
	TTY_SEEN=$(stat -c %s "$T/terminal.log")
	printf '%s' "$1" >&"$TTY_IN"
}

type()
{
	send "$1"$'\n'
}

key()
{
	case $1 in
	C-c) send $'\003' ;;
	C-d) send $'\004' ;;
	C-z) send $'\032' ;;
	"C-\\") send $'\034' ;;
	*) return 1 ;;
	esac
}

shown()
{
	tail -c +$((TTY_SEEN + 1)) "$T/terminal.log" | tr -d '\r'
}

see()
{
	wait_until "shown | grep -qE -- '$1'" "${2-}"
}

prompt()
{
	wait_until 'shown | tail -n 1 | grep -q "ready> $"' "${1-}"
}

status()
{
	type 'echo "sta""tus $?"'
	prompt
	shown | sed -n 's/^status //p'
}

# With columns it is told twice: stty sets one after the other.
resize()
{
	stty -F "$(cat "$T/terminal.name")" rows "$1" ${2:+columns "$2"}
}

hang_up()
{
	{
		kill -KILL "$TTY_PID"
		wait "$TTY_PID" || true
	} 2>/dev/null
	exec {TTY_IN}>&-
}

# Ends the shell, as a user does.
log_out()
{
	type 'exit'
	wait_until "gone $TTY_PID"
	exec {TTY_IN}>&-
}
