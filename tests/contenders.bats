# SPDX-License-Identifier: BSD-2-Clause
#
# Many at once: whoever is inside writes down when it entered and left, and
# the record is looked through for those who should not have met.
#
# Hundreds of processes would be in the way of other tests' clocks.
# runner: alone

# shellcheck disable=SC2016,SC2030,SC2031,SC2154
load lib/common

# Who comes in and goes out, a line each, in one write each.
contender='
	echo "in $1 $2" >>"$T/record"
	[ "$2" = s ] || sleep 0.002
	echo "out $1 $2" >>"$T/record"'

# contend NUMBER MODE [OPTION...]
contend()
{
	local number=$1 mode=$2 status=0
	shift 2
	"$REPOLOCK" with-lock "-$mode" -r "$LOC" "$@" -- \
		sh -c "$contender" sh "$number" "$mode" 2>>"$T/err" || status=$?
	echo "$number $status" >>"$T/ends"
}

# Prints who was inside together with an exclusive one, and who never left.
meetings()
{
	awk '
	$1 == "in" {
		if (writers || ($3 == "x" && readers))
			print "line " NR ": " $2 " (" $3 ") came in to " \
				writers " exclusive, " readers " shared"
	}
	{ step = $1 == "in" ? 1 : -1 }
	$3 == "x" { writers += step }
	$3 == "s" { readers += step }
	END { if (writers || readers) print "somebody never left" }' "$T/record"
}

# crowd HOW-MANY: every third is exclusive.
crowd()
{
	local i mode
	for i in $(seq "$1"); do
		mode=s
		[ $((i % 3)) -ne 0 ] || mode=x
		contend "$i" $mode "${@:2}" &
	done
	wait
}

@test "two hundred contenders of both modes all get in, and never meet" {
	crowd 200
	is '' "$(meetings)"
	is 200 "$(grep -c '^in ' "$T/record")"
	is 200 "$(grep -c ' 0$' "$T/ends")"
	is '' "$(grep -v 'waiting' "$T/err")"
}

@test "two hundred that do not wait never meet, and one at least gets in" {
	crowd 200 -n
	is '' "$(meetings)"
	grep -q '^in ' "$T/record"
	is 200 "$(grep -cE ' (0|123)$' "$T/ends")"
	is "$(grep -c '^in ' "$T/record")" "$(grep -c ' 0$' "$T/ends")"
	is_free
}

@test "a hundred contenders for a file, some of them flock(1), never meet" {
	LOC=flock:$T/file
	uses "$LOC"
	for i in $(seq 25); do
		flock "$T/file" sh -c "$contender" sh "f$i" x &
		flock -s "$T/file" sh -c "$contender" sh "f$i" s &
	done
	crowd 50
	is '' "$(meetings)"
	is 100 "$(grep -c '^in ' "$T/record")"
	is 50 "$(grep -c ' 0$' "$T/ends")"
}

@test "holders that are killed in a crowd let nobody in too early" {
	# Its command writes down that it left only when it is not killed, so
	# what is asked for here is a lock of the command's own.
	contender='exec 9>>"$T/inside.lock"; flock -n "-$2" 9 ||
		echo "$1" >>"$T/overlap"; sleep 0.01'
	crowd 60 --ttl 10s &
	crowd=$!
	killed=0
	while kill -0 $crowd 2>/dev/null && [ $killed -lt 15 ]; do
		victim=$(pgrep -f "^$REPOLOCK with-lock -[xs] -r $LOC" |
			shuf -n 1)
		[ -z "$victim" ] || ! kill -KILL "$victim" 2>/dev/null ||
			killed=$((killed + 1))
		sleep 0.02
	done
	wait $crowd
	no_overlap
	is 60 "$(wc -l <"$T/ends")"
	[ "$(grep -c ' 0$' "$T/ends")" -ge 20 ]
	wait_until is_free
	# The place of a waiter that was killed stands until somebody waits
	# behind it, or an administrator comes by.
	"$REPOLOCK" unlock -r "$LOC" >/dev/null
}
