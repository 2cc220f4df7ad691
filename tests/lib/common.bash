# shellcheck shell=bash
# Conditions of wait_until are evaluated there, output is for tests.
# shellcheck disable=SC2016,SC2034
# SPDX-License-Identifier: BSD-2-Clause
#
# What every bats file loads ("load lib/common"). Gives each test:
#
#   T         a directory of its own; cd'ed into nowhere, removed afterwards
#   LOC       a location below it, for -r; TEST_LOCATION replaces it
#   REPOLOCK  the program
#
# A test has to leave nothing behind: teardown fails if a process of the test
# is still there or a claim is left in a place that `uses` named (LOC always
# is). So that processes are found whatever they do to themselves, give those
# that stay for long a word with $T in it as an argument ("$T/sleep 60").
#
# A file with a setup or teardown of its own calls common_setup and
# common_teardown in it.

lib=$BATS_TEST_DIRNAME/lib
REPOLOCK=${REPOLOCK:-$(cd "$BATS_TEST_DIRNAME/.." && pwd)/build/repolock}
BUILD=${BUILD:-$(cd "$BATS_TEST_DIRNAME/.." && pwd)/build/plain-gcc}
counter=$BUILD/lib/counter # notes each signal, see counter.c

common_setup()
{
	T=$(mktemp -d "${TMPDIR:-/tmp}/repolock-test.XXXXXX")
	# Other users' processes work here too.
	chmod 755 "$T"
	LOC=${TEST_LOCATION:-$T/loc}
	LOC=${LOC//@T@/$T}
	case $LOC in
	/*) mkdir "$LOC" ;;
	esac
	export T LOC REPOLOCK REPOLOCK_TEST=$T LC_ALL=C.UTF-8
	unset "${!REPOLOCK_HELD@}" REPOLOCK_REPOSITORY REPOLOCK_NAME \
		REPOLOCK_WAIT REPOLOCK_TTL REPOLOCK_EVENTS
	# Sleeping under a name that teardown knows.
	ln -s "$(command -v sleep)" "$T/sleep"
	declare -gA PID=()
	USED=("$LOC")
}

common_teardown()
{
	local failed=0 pid
	[ -z "${TTY_PID-}" ] || hang_up || true
	if [ -n "${BATS_TEST_COMPLETED-}" ]; then
		none_left || failed=1
		nothing_claimed || failed=1
	fi
	for pid in $(processes_of_test); do
		kill -CONT "$pid" 2>/dev/null
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	unmount_all
	show_on_failure
	chmod -R u+rwX "$T" 2>/dev/null
	rm -rf "$T"
	return $failed
}

setup()
{
	common_setup
}

teardown()
{
	common_teardown
}

# Serves a mount of a test (lib/places): exits when that is unmounted.
serves_mount()
{
	case $(cat "/proc/$1/comm" 2>/dev/null) in
	sshfs | poorfs | mount.exfat-fus) return 0 ;;
	*) return 1 ;;
	esac
}

# What a test has mounted, the last first. Lazily: one that hangs or is in use
# goes as well.
unmount_all()
{
	local where pid
	grep -qF "$T/" /proc/self/mountinfo || return 0
	grep -lsaF -e "$T" /proc/[0-9]*/cmdline | cut -d/ -f3 |
		while read -r pid; do
			! serves_mount "$pid" || kill -CONT "$pid" 2>/dev/null
		done
	while where=$(cut -d' ' -f5 /proc/self/mountinfo | grep -F "$T/" |
		tail -n 1) && [ -n "$where" ]; do
		umount -l "$where" 2>/dev/null ||
			fusermount3 -uz "$where" || return
	done
}

# A failing test tells what its programs said.
show_on_failure()
{
	local file
	[ -z "${BATS_TEST_COMPLETED-}" ] || return 0
	for file in "$T"/*.err "$T"/*.out "$T"/terminal.log; do
		[ -s "$file" ] || continue
		echo "--- ${file##*/}"
		tail -n 20 "$file" | cat -v
	done
}

# --- waiting -------------------------------------------------------------

# pause SECONDS: what polls every 20 ms must not start a program for it. Nobody
# writes to that pipe.
pause()
{
	[ -p "$BATS_RUN_TMPDIR/pause" ] ||
		mkfifo "$BATS_RUN_TMPDIR/pause" 2>/dev/null || :
	read -rt "$1" _ <>"$BATS_RUN_TMPDIR/pause" || :
}

# wait_until 'CONDITION' [SECONDS]: looked at every 20 ms, later less often.
# The default of sixty seconds is what no machine needs, however slow; more is
# for what takes its time by itself.
wait_until()
{
	local end=$((SECONDS + ${2:-60})) looks=0
	until eval "$1"; do
		if [ $SECONDS -gt $end ]; then
			echo "waited ${2:-60} s in vain for: $1"
			return 1
		fi
		looks=$((looks + 1))
		[ $looks -lt 50 ] && pause 0.02 || pause 0.1
	done
}

# never 'CONDITION' SECONDS: the opposite; keep it short.
never()
{
	local end
	end=$(($(milliseconds) + $(milliseconds_of "$2")))
	while [ $((${EPOCHREALTIME/[.,]/} / 1000)) -lt "$end" ]; do
		if eval "$1"; then
			echo "this must not be: $1"
			return 1
		fi
		pause 0.02
	done
}

milliseconds()
{
	echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

milliseconds_of()
{
	printf '%.0f' "${1}e3"
}

# --- processes -----------------------------------------------------------

# Those that carry the test's mark in environment or arguments; not bats.
processes_of_test()
{
	local pid
	grep -lsaF -e "$T" /proc/[0-9]*/environ /proc/[0-9]*/cmdline |
		cut -d/ -f3 | sort -un |
		while read -r pid; do
			# Our own subshells, as this one, are copies of bats.
			grep -qsa bats-exec "/proc/$pid/cmdline" ||
				serves_mount "$pid" ||
				! alive "$pid" || echo "$pid"
		done
}

# Sets state, without starting a program, since this is polled.
look_at()
{
	local text=
	state=
	{ read -r -d '' text <"/proc/$1/stat"; } 2>/dev/null || :
	text=${text##*) }
	state=${text%% *}
	[ -n "$state" ]
}

state_of()
{
	local state
	look_at "$1" && echo "$state"
}

is_zombie()
{
	local state
	look_at "$1" && [ "$state" = Z ]
}

# Running or stopped, but no zombie.
alive()
{
	local state
	look_at "$1" && [ "$state" != Z ] && [ "$state" != X ]
}

gone()
{
	! alive "$1"
}

is_stopped()
{
	local state
	look_at "$1" && [ "$state" = T ]
}

parent_of()
{
	local text
	text=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	text=${text##*) }
	read -r _ text _ <<<"$text"
	echo "$text"
}

children_of()
{
	cat /proc/"$1"/task/*/children 2>/dev/null | xargs -n 1
}

# A process and all below it.
tree_of()
{
	local pid
	echo "$1"
	for pid in $(children_of "$1"); do
		tree_of "$pid"
	done
}

session_of()
{
	ps -o sid= -p "$1" | tr -d ' '
}

# The keeper below a front, known before any command runs by its session.
keeper_below()
{
	local pid
	for pid in $(children_of "$1"); do
		[ "$(session_of "$pid")" != "$pid" ] || is_third "$pid" ||
			echo "$pid"
	done
}

# The third guard, of a lock that ends by age.
is_third()
{
	[ "$(cat "/proc/$1/comm" 2>/dev/null)" = repolock-guard ]
}

third_below()
{
	local pid
	for pid in $(children_of "$1"); do
		! is_third "$pid" || echo "$pid"
	done
}

none_left()
{
	local pid
	wait_until '[ -z "$(processes_of_test)" ]' 3 >/dev/null && return
	for pid in $(processes_of_test); do
		echo "left running: $pid" \
			"$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
	done
	return 1
}

# start NAME COMMAND...: in the background, leader of a session and process
# group of its own, SIGINT and SIGQUIT as an interactive shell gives them.
# PID[NAME] is its pid, $T/NAME.out and .err what it says; stdin is empty,
# unless it is told by STDIN=file.
start()
{
	local name=$1
	shift
	setsid env --default-signal=INT,QUIT "$@" <"${STDIN-/dev/null}" \
		>"$T/$name.out" 2>"$T/$name.err" 3>&- &
	PID[$name]=$!
}

# finish NAME [SECONDS]: waits for its end; its status is in $status.
finish()
{
	wait_until "gone ${PID[$1]}" "${2-}" || return
	status=0
	wait "${PID[$1]}" || status=$?
	# Killed early enough, it had none.
	output=$(cat "$T/$1.out" "$T/$1.err" 2>/dev/null) || true
}

# The pid that a process wrote to FILE, complete with its newline.
pid_in()
{
	wait_until "[ \"\$(wc -l <'$T/$1' 2>/dev/null)\" = 1 ]" >&2 || return
	cat "$T/$1"
}

# --- locks ---------------------------------------------------------------

lock()
{
	"$REPOLOCK" with-lock -r "$LOC" "$@"
}

# uses LOCATION...: look there, too, for claims left behind.
uses()
{
	USED+=("$@")
}

# As seen by somebody else, who does not wait.
is_held()
{
	local code=0
	"$REPOLOCK" with-lock -n -E 123 -r "${1:-$LOC}" -- true \
		>/dev/null 2>&1 3>&- || code=$?
	[ $code -eq 123 ]
}

is_free()
{
	"$REPOLOCK" with-lock -n -r "${1:-$LOC}" -- true >/dev/null 2>&1 3>&-
}

# Claims, places in the queue and temporary files of a lease; tombstones stay.
claims_in()
{
	find "$1/.repolock" -name '[xsqt].*' 2>/dev/null
}

nothing_claimed()
{
	local place path left=0
	for place in "${USED[@]}"; do
		path=${place#*:}
		if [ -n "$(claims_in "$path")" ]; then
			echo "left in $place:" "$(claims_in "$path")"
			left=1
		elif [ -f "$path" ] && ! flock -n "$path" true; then
			echo "still locked: $place"
			left=1
		fi
	done
	return $left
}

# --- jobs whose overlap is seen ------------------------------------------

# locked NAME [KIND] [OPTION...]: starts tests/lib/job NAME KIND under the lock.
locked()
{
	local name=$1 kind=
	shift
	case ${1-} in
	[a-z]*) kind=$1; shift ;;
	esac
	start "$name" "$REPOLOCK" with-lock -r "$LOC" "$@" -- "$lib/job" \
		"$name" "$kind"
}

# Its job has begun.
inside()
{
	[ -e "$T/$1.inside" ]
}

command_of()
{
	pid_in "$1.pid"
}

keeper_of()
{
	pid_in "$1.keeper"
}

# Let the job NAME end by itself.
release()
{
	: >"$T/$1.end"
}

no_overlap()
{
	[ ! -e "$T/overlap" ] || { cat "$T/overlap"; return 1; }
}

needs_root()
{
	[ "$(id -u)" -eq 0 ] || skip 'root is needed to become another, or mount'
}

# needs_native PROGRAM...: repolock-native, and those whose locks it takes.
needs_native()
{
	local program
	[ -x "${REPOLOCK%/*}/repolock-native" ] ||
		skip 'built without repolock-native'
	for program; do
		command -v "$program" >/dev/null ||
			skip "$program is not installed"
	done
}

# --- assertions ----------------------------------------------------------

# is EXPECTED ACTUAL
is()
{
	[ "$1" = "$2" ] || { printf 'expected: %s\nbut was:  %s\n' "$1" "$2"
		return 1; }
}

# has PATTERN: the output, as an extended regular expression
has()
{
	grep -qE -- "$1" <<<"$output" ||
		{ printf 'no %s in:\n%s\n' "$1" "$output"; return 1; }
}

# not COMMAND...: bats takes no notice of a plain "!".
not()
{
	! "$@" || { echo "this should fail: $*"; return 1; }
}

# expect STATUS COMMAND...: runs it; its output is in $output.
expect()
{
	local wanted=$1
	shift
	status=0
	output=$("$@" 2>&1 3>&-) || status=$?
	[ "$status" -eq "$wanted" ] || { printf 'status %s, not %s, of %s\n%s\n' \
		"$status" "$wanted" "$*" "$output"; return 1; }
}
