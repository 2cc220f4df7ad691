# shellcheck shell=bash
# shellcheck disable=SC2034
# SPDX-License-Identifier: BSD-2-Clause
#
# One race, many times. Loaded after lib/common.
#
#   rounds COUNT FUNCTION [ARG...]   calls FUNCTION NUMBER ARG... COUNT times,
#                                    a few at once, each with a T and a LOC of
#                                    its own; fails if one of them does.
#                                    $PLACE is where each LOC is made (T),
#                                    $AT_ONCE how many are under way (5)

rounds()
{
	local count=$1 number failed=0 at_once=${AT_ONCE:-5}
	shift
	for ((number = 1; number <= count; number++)); do
		one_round "$number" "$@" &
		((number % at_once == 0)) || [ "$number" -eq "$count" ] || continue
		# Not "wait": bats has children of its own.
		while read -r pid; do
			wait "$pid" || failed=$((failed + 1))
		done < <(jobs -p)
	done
	[ $failed -eq 0 ] || { echo "$failed of $count rounds failed"; return 1; }
}

one_round()
{
	local number=$1 function=$2
	shift 2
	T=$T/round$number
	LOC=${PLACE:-$T}/loc$number
	mkdir -p "$T" "$LOC"
	export T LOC
	PID=()
	"$function" "$number" "$@" >"$T/said" 2>&1 3>&- ||
		{ sed "s/^/round $number: /" "$T/said" "$T"/*.err; return 1; }
}
