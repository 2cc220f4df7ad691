# SPDX-License-Identifier: BSD-2-Clause
#
# Front, keeper and command are killed, stopped and asked to end, each at each
# stage, while somebody else waits for the lock. Whatever happens:
#
#   - no two are inside at once, descendants included;
#   - the command is dead in time;
#   - who waits gets the lock, with nobody clearing anything.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

# A lease is told by its TTL how long a stopped keeper may be believed.
lease_options=(--ttl 3s --kill-after 0.3s)

# job_under NAME [KIND] [OPTION...]: with events, in $T/NAME.events.
job_under()
{
	local name=$1 kind=plain
	shift
	case ${1-} in
	[a-z]*) kind=$1; shift ;;
	esac
	locked "$name" "$kind" "${lease_options[@]}" \
		--events "$T/$name.events" "$@"
}

waiting()
{
	grep -qs '"waiting"' "$T/$1.events"
}

# The victim of NAME: its pid.
victim()
{
	case $2 in
	front) echo "${PID[$1]}" ;;
	keeper) keeper_below "${PID[$1]}" ;;
	command) command_of "$1" ;;
	gate) children_of "$(keeper_below "${PID[$1]}")" ;;
	esac
}

# Who waits behind gets in, and nobody was in with it.
next_gets_in()
{
	wait_until 'inside next' || return
	no_overlap || return
	release next
	finish next || return
	is 0 "$status"
}

# --- while it holds the lock ---------------------------------------------

hold()
{
	job_under a "$@"
	wait_until 'inside a' || return
	job_under next
	wait_until 'waiting next'
}

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

# --- while it is being ended ---------------------------------------------

# A command that goes on after SIGTERM, which --max-hold sent it.
stopping()
{
	hold slow --max-hold 0.3s --kill-after 0.8s
	wait_until '[ -e $T/a.stopping ]'
}

# SIGNAL VICTIM STATUS [SECONDS]
stopping_ends()
{
	local pid
	stopping || return
	pid=$(victim a "$2")
	kill -"$1" "$pid"
	wait_until 'gone $(command_of a)' "${4:-3}" || return
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
	stopping_ends STOP keeper '12[24]' 6
}

@test "stopping: SIGSTOP of the command" {
	stopping_ends STOP command 124
}

# --- while it waits for the lock -----------------------------------------

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

# --- at any instant ------------------------------------------------------

# SIGNAL VICTIM: a short job is hit at twenty instants of its life, between
# its start and its end; then the lock has to be free, and nothing left.
hit_at_random()
{
	local i front victim
	for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
		start "a$i" "$REPOLOCK" with-lock -r "$LOC" --ttl 2s -- \
			sh -c 'exec 9>>"$T/inside.lock"; flock -n 9 ||
				echo "$1" >>"$T/overlap"; sleep 0.01' sh "$i"
		front=${PID[a$i]}
		# What is left of its life gets shorter and shorter.
		sleep "0.00$((i % 10))"
		case $2 in
		front) victim=$front ;;
		keeper) victim=$(keeper_below "$front") ;;
		esac
		if [ -n "$victim" ]; then
			kill -"$1" "$victim" 2>/dev/null || true
		fi
		start "b$i" "$REPOLOCK" with-lock -r "$LOC" --ttl 2s -w 12s -- \
			sh -c 'exec 9>>"$T/inside.lock"; flock -n 9 ||
				echo "$1" >>"$T/overlap"' sh "after $i"
		finish "b$i" 15 || return
		is 0 "$status" || return
		if [ "$1" = STOP ] && [ -n "$victim" ]; then
			kill -CONT "$victim" 2>/dev/null || true
		fi
		finish "a$i" || return
		no_overlap || return
	done
}

@test "at any instant: SIGKILL of the front leaves a free lock" {
	hit_at_random KILL front
}

@test "at any instant: SIGKILL of the keeper leaves a free lock" {
	hit_at_random KILL keeper
}

@test "at any instant: SIGTERM of the front leaves a free lock" {
	hit_at_random TERM front
}

@test "at any instant: SIGHUP of the front leaves a free lock" {
	hit_at_random HUP front
}
