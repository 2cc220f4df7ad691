# SPDX-License-Identifier: BSD-2-Clause
#
# The last record of --events says how it ended, whatever comes in the last
# moments.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common

@test "2.2 a signal in the last moments does not make the last record untrue" {
	for event in started released ended; do
		"$lib/last_word.py" 200 $event "$REPOLOCK" with-lock -r "$LOC" \
			--events fd:9 -- sh -c 'exit 7'
	done
	# With one that comes in time, the record tells of that.
	"$lib/last_word.py" 20 started "$REPOLOCK" with-lock -r "$LOC" \
		--events fd:9 -- "$T/sleep" 60
}

@test "2.2 nor does one that comes when COMMAND cannot even be started" {
	"$lib/last_word.py" 100 ended "$REPOLOCK" with-lock -r "$LOC" \
		--events fd:9 -- "$T/none"
}
