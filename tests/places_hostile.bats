#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
#
# Root's job in a directory whose user means harm. He may move, link and remove
# whatever is there, and any file of root's on the same file system in a
# directory that he may write.

# Variables set in a test stay there; conditions are evaluated by wait_until.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
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

# Root's own empty directory, that the user puts in the place of what root's
# job has just made for the lease; strace gives him the time.
root_directory_is_swapped()
{
	local before
	mkdir -m 700 "$LOC/precious"
	[ $# -eq 0 ] || touch -d "$1" "$LOC/precious"
	before=$(stat -c '%a %u %g' "$LOC/precious")
	exec 5<"$LOC/precious"
	start a strace -f -o /dev/null -e trace=mkdirat \
		-e inject=mkdirat:delay_exit=300000:when=1 \
		"$REPOLOCK" with-lock -r "$LOC" -- true
	wait_until "ls -d '$LOC'/.t.*"
	made=$(echo "$LOC"/.t.*)
	mv "$made" "$LOC/aside"
	mv -T "$LOC/precious" "$made"
	finish a
	is "$before" "$(stat -L -c '%a %u %g' /dev/fd/5)"
	exec 5<&-
}

@test "7.6 root's directory is not given to the owner of the place" {
	chmod 2770 "$LOC"
	root_directory_is_swapped
}

@test "7.6 root's directory is not given to the group of the place" {
	chown root:nogroup "$LOC"
	chmod 2770 "$LOC"
	root_directory_is_swapped '1 hour ago'
}

@test "7.6 what root makes is the owner's and the group's of the place" {
	chown nobody:games "$LOC"
	chmod 2770 "$LOC"
	expect 0 lock -n -- true
	for made in "$LOC"/.repolock "$LOC"/.repolock/default; do
		is '2770 nobody games' "$(stat -c '%a %U %G' "$made")"
	done
	is '640 nobody games' \
		"$(stat -c '%a %U %G' "$LOC"/.repolock/default/z.*)"
}

@test "7.6 where the owner may not write, root locks all the same" {
	chmod 500 "$LOC"
	expect 0 lock -n -- true
	expect 0 lock -n -- true
	is root "$(stat -c %U "$LOC"/.repolock)"
}

# as USER COMMAND...: with the group of that user alone.
as()
{
	local user=$1
	shift
	setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
}

@test "4.7 users of different groups take turns where all may write" {
	for mode in 1777 0777; do
		LOC=$T/m/$mode
		mkdir "$LOC"
		chmod "$mode" "$LOC"
		uses "$LOC"
		for user in games daemon nobody root games; do
			expect 0 as "$user" "$REPOLOCK" with-lock -n \
				-r "$LOC" -- true
		done
		# Of games' group, but another than games.
		expect 0 setpriv --reuid nobody --regid games --clear-groups \
			"$REPOLOCK" with-lock -n -r "$LOC" -- true
	done
}

@test "4.7 a group that a place shuts out stays out" {
	chown nobody:games "$LOC"
	chmod 0750 "$LOC"
	expect 0 as nobody "$REPOLOCK" with-lock -n -r "$LOC" -- true
	is 700 "$(stat -c %a "$LOC"/.repolock)"
}

# A claim of the user's with leases on it, on a local disk or LOC's own.
leased()
{
	local dir name
	dir=$LOC/.repolock/default
	name=$dir/x.00000000000000000001.0000300000
	expect 0 lock -n -- true
	echo '{}' >"$name.11111111-2222-4333-8444-555555555555$1"
	start leases python3 "$lib/keep_leases.py" "$T/ready" "$dir"/x.*
	wait_until '[ -e "$T/ready" ]'
	# Each of these took 45 s, or for ever, at full speed.
	expect 0 timeout 20 "$REPOLOCK" list-locks -r "$LOC"
	has '^11111111.*unreadable'
	expect 0 timeout 20 "$REPOLOCK" list-locks --json -r "$LOC"
	has 'cannot be looked at now.*keeps a lease'
	expect 123 timeout 20 "$REPOLOCK" with-lock -n -r "$LOC" -- true
	expect 0 timeout 20 "$REPOLOCK" unlock -r "$LOC"
	has 'kept.* 11111111'
	expect 0 timeout 20 "$REPOLOCK" unlock --force --all --yes -r "$LOC"
	is_free
	kill "${PID[leases]}"
	finish leases
}

@test "7.2 a lease of another kind on a claim holds nobody up" {
	leased ''
}

@test "7.2 a lease of another kind on a claim with a kernel lock neither" {
	LOC=$T/disk
	mkdir "$LOC"
	uses "$LOC"
	leased .k
}

@test "7.2 no lease of another kind can be had on a claim that is held" {
	LOC=$T/disk
	mkdir "$LOC"
	uses "$LOC"
	locked a
	wait_until 'inside a'
	# Its holder has it open: there can be none.
	not timeout 20 python3 "$lib/keep_leases.py" "$T/ready" \
		"$LOC"/.repolock/default/x.*
	release a
	finish a
	is 0 "$status"
}
