# SPDX-License-Identifier: BSD-2-Clause
#
# What is killed, stopped and asked to end at any instant. See lib/faults.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/faults

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
