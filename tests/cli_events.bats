# SPDX-License-Identifier: BSD-2-Clause
#
# The file that --events is given: which one is written to, and whose links
# lead there.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common

OTHER=54321

events()
{
	"$REPOLOCK" with-lock -r "$LOC" --events "$1" -- true
}

# written FILE: our events are in it.
written()
{
	is ended "$(jq -r .event "$1" | tail -n 1)"
}

# Nothing was added to what the test put there.
untouched()
{
	is "${2-precious}" "$(cat "$1")"
}

setup()
{
	common_setup
	echo precious >"$T/target"
	mkdir "$T/dir" "$T/sticky"
	chmod 1777 "$T/sticky"
}

@test "7.10 --events follows links of our own, of root, and of /proc" {
	: >"$T/target"
	ln -s target "$T/one"
	ln -s "$T/one" "$T/two"
	ln -s ../dir "$T/dir/up"
	expect 0 events "$T/two"
	written "$T/target"
	# Where a link leads to nothing, that is made.
	ln -s dir/made "$T/dangling"
	expect 0 events "$T/dangling"
	written "$T/dir/made"
	expect 0 events "$T/dir/up/up/new"
	written "$T/dir/new"
	cd "$T"
	expect 0 events ./dir/../relative
	written "$T/relative"
	expect 0 events relative
	is 2 "$(grep -c '"ended"' "$T/relative")"
	expect 0 bash -c '"$REPOLOCK" with-lock -r "$LOC" \
		--events /dev/stdout -- true | grep -q ended'
	expect 0 bash -c '"$REPOLOCK" with-lock -r "$LOC" \
		--events /dev/fd/7 -- true 7>"$T/seven"'
	written "$T/seven"
	expect 0 events /dev/null
}

@test "7.10 --events goes in no circle and to no directory" {
	ln -s loop "$T/loop"
	expect 125 events "$T/loop"
	has 'Too many levels of symbolic links'
	expect 125 events "$T/dir"
	has 'Is a directory'
	expect 125 events "$T/dir/"
	expect 125 events "$T/dir/missing/file"
	has 'No such file'
	expect 125 events "$T/target/file"
	has 'Not a directory'
	untouched "$T/target"
	expect 125 events "$T/$(printf '%0256d' 0)"
	has 'File name too long'
}

@test "7.10 --events does not follow a link of another user" {
	needs_root
	ln -s "$T/target" "$T/theirs"
	ln -s "$T/dir" "$T/their-dir"
	ln -s "$T/not-there" "$T/their-dangling"
	ln -s theirs "$T/ours"
	chown -h $OTHER "$T"/thei*
	local path
	for path in theirs their-dir/new their-dangling ours; do
		expect 125 events "$T/$path"
		has "^repolock: --events: $T/$path leads through a symbolic link of another user \(thei"
	done
	untouched "$T/target"
	[ ! -e "$T/dir/new" ] && [ ! -e "$T/not-there" ]
	# The other one may follow it.
	chmod 777 "$T" "$LOC"
	: >"$T/target"
	chmod 666 "$T/target"
	expect 0 setpriv --reuid=$OTHER --regid=$OTHER --clear-groups \
		"$REPOLOCK" with-lock -r "$LOC" --events "$T/theirs" -- true
	written "$T/target"
}

@test "7.10 --events falls into no trap of another in a sticky directory" {
	needs_root
	local what
	echo precious >"$T/sticky/file"
	mkfifo "$T/sticky/fifo"
	chown $OTHER "$T/sticky"/*
	exec 8<>"$T/sticky/fifo"
	for what in file fifo; do
		expect 125 events "$T/sticky/$what"
		has "$T/sticky/$what belongs to another user, in a directory that others may write"
	done
	untouched "$T/sticky/file"
	not read -r -t 0 -u 8
	# Our own, and those in a directory that nobody else may write.
	rm "$T/sticky/file"
	expect 0 events "$T/sticky/file"
	expect 0 events "$T/sticky/file"
	is 2 "$(grep -c '"ended"' "$T/sticky/file")"
	chown $OTHER "$T/sticky/file"
	chmod 0755 "$T/sticky"
	expect 0 events "$T/sticky/file"
	exec 8<&-
}
