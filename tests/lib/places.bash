# shellcheck shell=bash
# shellcheck disable=SC2034
# SPDX-License-Identifier: BSD-2-Clause
#
# Places that are less than a local disk, for tests: a directory that comes
# over sshfs from a real sshd, and one behind a FUSE of our own (poorfs.c).
# Loaded after lib/common. Whatever is mounted below $T is unmounted again by
# common_teardown.
#
#   setup_file()    { sshd_start; }   one sshd for all tests of a file
#   teardown_file() { sshd_stop; }
#   sshfs_mount DIR MOUNTPOINT [OPTION...]

# A server of a mount, without the mark of the test in what its children get.
served()
{
	env -u T -u LOC -u REPOLOCK_TEST "$@" 3>&- 4>&-
}

# What the kernel lacks cannot be installed.
needs_fuse()
{
	[ -e /dev/fuse ] || skip 'kernel without FUSE'
	[ "$(id -u)" -eq 0 ] || command -v fusermount3 >/dev/null ||
		skip 'root or fusermount3 is needed to mount'
}

# An sshd on the loopback that lets only us in, with keys of its own. SSHD is
# its folder; "ssh -F $SSHD/config place" reaches it.
sshd_start()
{
	local port user tries
	SSHD=$(mktemp -d "${TMPDIR:-/tmp}/repolock-sshd.XXXXXX")
	user=$(id -un)
	export SSHD
	ssh-keygen -q -t ed25519 -N '' -f "$SSHD/host" || return
	ssh-keygen -q -t ed25519 -N '' -f "$SSHD/key" || return
	cp "$SSHD/key.pub" "$SSHD/authorized"
	# Without it the server of Debian does not start.
	[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
	for tries in 1 2 3 4 5 6 7 8; do
		port=$((20000 + RANDOM % 12000))
		printf '%s\n' "Port $port" 'ListenAddress 127.0.0.1' \
			"HostKey $SSHD/host" "PidFile $SSHD/pid" \
			"AuthorizedKeysFile $SSHD/authorized" \
			'StrictModes no' 'UsePAM no' 'PermitRootLogin yes' \
			'PasswordAuthentication no' 'MaxStartups 200' \
			'KbdInteractiveAuthentication no' \
			'Subsystem sftp internal-sftp' >"$SSHD/sshd_config"
		printf '%s\n' 'Host place' 'HostName 127.0.0.1' "Port $port" \
			"User $user" "IdentityFile $SSHD/key" \
			'IdentitiesOnly yes' 'BatchMode yes' \
			'UserKnownHostsFile /dev/null' 'LogLevel ERROR' \
			'StrictHostKeyChecking no' >"$SSHD/config"
		# It takes nothing but an absolute path.
		"$(PATH=$PATH:/usr/sbin command -v sshd)" -D \
			-f "$SSHD/sshd_config" -E "$SSHD/log" 3>&- 4>&- &
		wait_until "[ -s '$SSHD/pid' ] || gone $!" 10 &&
			ssh -F "$SSHD/config" place true 3>&- && return
		sshd_end
	done
	cat "$SSHD/log"
	return 1
}

sshd_end()
{
	local pid
	pid=$(cat "$SSHD/pid" 2>/dev/null) || return 0
	kill "$pid" && wait_until "gone $pid" 10
	wait "$pid" || true
	rm -f "$SSHD/pid"
}

sshd_stop()
{
	[ -n "${SSHD-}" ] || return 0
	sshd_end
	rm -rf "$SSHD"
}

# sshfs_mount DIR MOUNTPOINT [OPTION...]: options as sshfs takes them.
sshfs_mount()
{
	local from=$1 to=$2
	shift 2
	mkdir -p "$from" "$to"
	served sshfs -F "$SSHD/config" "place:$from" "$to" "$@"
}

# poor_mount SOURCE MOUNTPOINT [OPTION...]: SOURCE as a poor file system shows
# it; see poorfs.c for what can be taken away.
poor_mount()
{
	local from=$1 to=$2
	shift 2
	[ -x "$BUILD/lib/poorfs" ] || skip 'built without libfuse3'
	mkdir -p "$from" "$to"
	served "$BUILD/lib/poorfs" "$from" "$to" "$@"
}

# loop_mount KIND MOUNTPOINT [SIZE]: an empty file system of that kind in a
# file, by its own mkfs.
loop_mount()
{
	local kind=$1 to=$2 image=$2.img
	needs_root
	mkdir -p "$to"
	truncate -s "${3:-64M}" "$image"
	"mkfs.$kind" "$image" >/dev/null 2>&1 || return
	LOOP=$(losetup -f --show "$image") ||
		skip 'kernel without loop devices'
	mount -t "$kind" "$LOOP" "$to" || skip "kernel without $kind"
	# Goes with its last user, the mount.
	losetup -d "$LOOP"
}

# exfat_mount MOUNTPOINT: a USB disk as FUSE serves it.
exfat_mount()
{
	local to=$1 image=$1.img
	needs_root
	needs_fuse
	mkdir -p "$to"
	truncate -s 32M "$image"
	mkfs.exfat "$image" >/dev/null 2>&1 || return
	LOOP=$(losetup -f --show "$image") ||
		skip 'kernel without loop devices'
	served mount.exfat-fuse "$LOOP" "$to" >/dev/null 2>&1
	losetup -d "$LOOP"
}
