# SPDX-License-Identifier: BSD-2-Clause
#
# That the torture finds what it is there to find: a lock protocol that breaks
# one promise on purpose is caught by it, one that keeps them all is not, and
# what no such program can prevent is told apart. See tests/torture/.

# shellcheck disable=SC2016,SC2154
load lib/common

tools=$BUILD/torture

setup()
{
	common_setup
	place=$T/place # a claim that stays there is not ours
	mkdir "$place"
	export ACTOR=$tools/actor BROKEN=
}

# tortured BROKEN [WORD=VALUE...]: a run whose lock is not ours, of some dozen
# contenders; what the checker says is in $T/said.
tortured()
{
	BROKEN=$1 REPOLOCK=$BATS_TEST_DIRNAME/torture/broken \
		timeout 120 "$tools/driver" "$T/run" "$place" seed=7 seconds=90 \
		count=16 contenders=4 hosts=0 fates=0 calm=1 only=plain \
		patience=5 "${@:2}" 2>"$T/driver.err"
	"$tools/checker" "$T/run" 4 >"$T/said"
}

# A fault was found.
refused()
{
	if "$@"; then
		cat "$T/said"
		return 1
	fi
}

# caught KIND BROKEN [WORD=VALUE...]
caught()
{
	refused tortured "${@:2}"
	grep -q "^FAULT $1 " "$T/said" || {
		cat "$T/said"
		return 1
	}
}

@test "a protocol that keeps its promises has no fault" {
	tortured none hold=30
	grep -q ' 16 entered\|1[0-5] entered' "$T/said"
	is '0 faults' "$(tail -n 1 "$T/said")"
}

@test "two inside at once are caught" {
	caught overlap overlap hold=100
}

@test "life past the end of validity is caught" {
	caught validity validity hold=4500 contenders=8 count=2
}

@test "a token that goes back is caught" {
	caught token token-back hold=10
}

@test "a token that comes twice is caught" {
	caught token token-twice hold=10
}

@test "a lock that only a human can clear is caught" {
	caught leftover leftover hold=10 seconds=3
	grep -q '^FAULT stuck ' "$T/said"
	pkill -KILL -f "^$T/sleep"
}

@test "a long wait without a message is caught" {
	caught silent silent hold=3000 count=4
}

@test "a last record that is not what the shell saw is caught" {
	caught events events hold=10
}

@test "a missing last record is caught" {
	caught events last-record hold=10
}

@test "CPU time spent while waiting is caught" {
	caught busy busy hold=5000 count=4
}

@test "an end before the command's tree is dead is caught" {
	caught early early hold=10 only=session count=4
}

@test "a loss without its record and message is caught" {
	caught untold untold hold=10
}

@test "a loss that nobody caused is caught" {
	caught false-loss false-loss hold=10
}

@test "another status than the command's is caught" {
	caught end status hold=10
}

@test "an unlock that fails is caught" {
	caught unlock unlock hold=800 calm=0 contenders=1 count=12
}

# --- what is told apart, by journals written here ------------------------

# journal LINE...: each "SECONDS CONTENDER WHAT..."; checked, see $T/said.
journal()
{
	mkdir -p "$T/run"
	printf '%s\n' "$@" | awk '{
		at = $1 * 1e9; who = $2; $1 = $2 = ""
		printf "%.0f %d 1%s\n", at, who, substr($0, 2)
	}' >"$T/run/journal"
	"$tools/checker" "$T/run" >"$T/said"
}

# Two exclusive holders; the first is hit as the arguments say and dies late.
pair()
{
	journal '1.0 1 start mode=exclusive ttl=3000 wait=-1 kind=plain host=1' \
		'1.1 1 enter mode=exclusive fence=1 id=a' \
		"$@" \
		'4.0 2 start mode=exclusive ttl=3000 wait=-1 kind=plain host=0' \
		'4.1 2 enter mode=exclusive fence=2 id=b overlap=1' \
		'4.2 1 alive overlap=0'
}

@test "an overlap that nothing explains is a fault" {
	refused pair
	grep -q '^FAULT overlap .*contender=1' "$T/said"
}

@test "an overlap after unlock --force is told apart" {
	pair '2.0 1 hit role=claim sig=forced'
	grep -q 'overlaps: 1 forced, 0 orphans, 0 frozen' "$T/said"
}

@test "orphans of front and keeper killed together are told apart" {
	pair '2.0 1 hit role=front sig=KILL' '2.1 1 hit role=keeper sig=KILL'
	grep -q 'overlaps: 0 forced, 1 orphans, 0 frozen' "$T/said"
}

@test "front and keeper killed one after the other explain nothing" {
	refused pair '2.0 1 hit role=front sig=KILL' \
		'2.5 1 hit role=keeper sig=KILL'
	grep -q '^FAULT overlap ' "$T/said"
}

@test "an overlap with a frozen host is told apart, one long after is not" {
	pair '2.0 0 freeze host=1' '4.05 0 thaw host=1'
	grep -q 'overlaps: 0 forced, 0 orphans, 1 frozen' "$T/said"
	refused pair '1.2 0 freeze host=1' '1.3 0 thaw host=1'
	grep -q '^FAULT overlap ' "$T/said"
}

@test "shared holders do not overlap" {
	journal '1.0 1 start mode=shared ttl=3000 wait=-1 kind=plain host=0' \
		'1.1 1 enter mode=shared fence=1 id=a' \
		'1.2 2 start mode=shared ttl=3000 wait=-1 kind=plain host=0' \
		'1.3 2 enter mode=shared fence=1 id=b' \
		'1.4 1 alive' '1.5 2 alive'
	grep -q '^0 faults' "$T/said"
}

@test "life after the last renewal and the TTL is a fault" {
	refused journal \
		'1.0 1 start mode=shared ttl=3000 wait=-1 kind=plain host=0' \
		'1.1 1 enter mode=shared fence=1 id=a' \
		'1.2 1 renewed kernel=0' '4.1 1 alive' '4.3 1 alive'
	grep -q '^FAULT validity .*alive 100 ms past' "$T/said"
}
