#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Root's job in a directory whose user means harm. He may move, link and remove
# whatever is there, and any file of root's on the same file system in a
# directory that he may write.

load lib/common
load lib/places

setup()
{
	common_setup
	needs_root
	# No kernel lock is relied on there, as on NFS.
	mkdir "$T/m"
	mount -t ramfs none "$T/m"
	LOC=$T/m/loc
	mkdir "$LOC"
	chown nobody "$LOC"
	uses "$LOC"
}

claim()
{
	claims_in "$LOC" | grep '/x\.'
}

# Root's own file, which the user puts in the place of root's claim by COMMAND.
# It is watched through a descriptor, wherever it goes.
root_file_becomes_claim()
{
	local before
	echo precious >"$T/m/rootfile"
	chmod 600 "$T/m/rootfile"
	before=$(stat -c '%a %u %g %Y' "$T/m/rootfile")
	exec 5<"$T/m/rootfile"
	locked a --ttl 3s
	wait_until 'inside a'
	"$@" "$T/m/rootfile" "$(claim)"
	finish a
	is 122 "$status"
	is precious "$(cat <&5)"
	# Another name may be gone; what it is must not have changed.
	is "$before" "$(stat -L -c '%a %u %g %Y' /dev/fd/5)"
	exec 5<&-
}

@test "7.1 root's file that is moved over root's claim is not written" {
	root_file_becomes_claim mv -f
}

@test "7.1 root's file that is linked over root's claim is not written" {
	root_file_becomes_claim ln -f
}

@test "7.1 a claim that nobody touches is renewed" {
	locked a --ttl 2s
	wait_until 'inside a'
	wait_until "grep -qE '\"counter\": *3' '$(claim)'"
	release a
	finish a
	is 0 "$status"
}

@test "7.1 root remembers its looks in no directory of another user" {
	local dir=$T/m/runtime
	mkdir "$dir" "$dir/repolock"
	chown nobody "$dir"
	# Root's own, under the name that root would use.
	chmod 700 "$dir/repolock"
	touch -d '3 days ago' \
		"$dir/repolock/0123456789abcdef0123456789abcdef0123"
	locked a --ttl 60s
	wait_until 'inside a'
	# Nothing about it can be proved at once: the look is remembered.
	body=$(sed 's/"boot_id":"[^"]*"/"boot_id":"elsewhere"/' "$(claim)")
	echo "$body" >"$(claim)"
	expect 123 env XDG_RUNTIME_DIR="$dir" "$REPOLOCK" with-lock -n \
		-r "$LOC" -- true
	is 0123456789abcdef0123456789abcdef0123 "$(ls "$dir/repolock")"
	release a
	finish a
}
