# SPDX-License-Identifier: BSD-2-Clause
#
# Repositories that somebody else has a hand in: what is opened there, what is
# computed for them, and what becomes of the keys.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

setup_file()
{
	command -v restic >/dev/null || return 0
	export RESTIC_PASSWORD=geheim RESTIC_CACHE_DIR=$BATS_FILE_TMPDIR/cache
	restic init -q -r "$BATS_FILE_TMPDIR/repo"
}

setup()
{
	command -v restic >/dev/null || skip "there is no restic"
	common_setup
	export RESTIC_PASSWORD=geheim RESTIC_CACHE_DIR=$BATS_FILE_TMPDIR/cache
	unset RESTIC_PASSWORD_FILE RESTIC_PASSWORD_COMMAND RESTIC_KEY_HINT \
		RESTIC_REPOSITORY RESTIC_REPOSITORY_FILE
	REPO=$T/repo
	cp -a "$BATS_FILE_TMPDIR/repo" "$REPO"
	LOC=restic:$REPO
}

teardown()
{
	common_teardown
}

ID=00000000000000000000000000000000000000000000000000000000000000aa

borg1()
{
	REPO=$T/borg
	mkdir -p "$REPO/data"
	printf '[repository]\nversion = 1\nid = 00\n' >"$REPO/config"
}

borg2()
{
	REPO=$T/borg2
	mkdir -p "$REPO/config" "$REPO/locks" "$REPO/packs"
	printf 'This is a Borg Backup repository.\n' >"$REPO/config/readme"
	printf 4 >"$REPO/config/version"
}

# A FIFO at that place, and somebody who waits for a reader.
trap_at()
{
	rm -rf "$1"
	mkfifo "$1"
	rm -f "$T/opened"
	start trap sh -c 'exec 8>"$1"; : >"$2"; exec "$3" 60' sh "$1" \
		"$T/opened" "$T/sleep"
}

# Nobody opened it: the writer waits still.
not_opened()
{
	not [ -e "$T/opened" ]
	alive "${PID[trap]}"
	kill -KILL "${PID[trap]}"
	wait_until "gone ${PID[trap]}"
}

# --- what is opened ---------------------------------------------------------

@test "7.4 looking at a bare path opens nothing but regular files" {
	mkdir "$T/dir"
	trap_at "$T/pipe"
	ln -s "$T/pipe" "$T/dir/config"
	expect 0 timeout 20 "$REPOLOCK" list-locks -r "$T/dir"
	expect 0 timeout 20 "$REPOLOCK" unlock -r "$T/dir"
	not_opened
	trap_at "$T/dir/config"
	expect 0 timeout 20 "$REPOLOCK" list-locks -r "$T/dir"
	not_opened
	rm "$T/dir/config"
	mkdir "$T/dir/config"
	trap_at "$T/dir/config/readme"
	expect 0 timeout 20 "$REPOLOCK" list-locks -r "$T/dir"
	not_opened
	trap_at "$T/pipe"
	rm "$T/dir/config/readme"
	ln -s "$T/pipe" "$T/dir/config/readme"
	expect 0 timeout 20 "$REPOLOCK" list-locks -r "$T/dir"
	not_opened
	# A whole directory by a link.
	borg2
	rm -r "$T/dir/config"
	ln -s "$REPO/config" "$T/dir/config"
	expect 0 "$REPOLOCK" list-locks -r "$T/dir"
	is '' "$output"
	# What it is looked at for is seen.
	: >"$REPO/locks/aa"
	expect 0 "$REPOLOCK" list-locks -r "$REPO"
	has unreadable
}

@test "7.4 a device that config leads to is not opened" {
	mkdir "$T/dir"
	# One that hardly anybody else opens meanwhile.
	ln -s /dev/full "$T/dir/config"
	expect 0 python3 - /dev/full "$REPOLOCK" list-locks -r "$T/dir" <<'PYTHON'
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init1(os.O_NONBLOCK)
assert libc.inotify_add_watch(fd, sys.argv[1].encode(), 0x20) > 0  # IN_OPEN
subprocess.run(sys.argv[2:], check=True)
try:
    sys.exit("opened: %r" % os.read(fd, 4096))
except BlockingIOError:
    pass
os.close(os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY))
assert os.read(fd, 4096)  # it would have been seen
PYTHON
}

@test "7.4 the files of a borg repository are opened if they are files" {
	borg1
	mkdir "$REPO/lock.exclusive"
	for name in lock.roster lock.exclusive/far@2.77-0 config; do
		trap_at "$REPO/$name"
		expect 125 timeout 30 "$REPOLOCK" list-locks -r "borg:$REPO" ||
			[ "$status" = 0 ]
		timeout 30 "$REPOLOCK" with-lock -n -r "borg:$REPO" true &&
			false
		not_opened
		rm "$REPO/$name"
	done
	borg2
	for name in locks/aa config/version; do
		trap_at "$REPO/$name"
		expect 125 timeout 30 "$REPOLOCK" list-locks -r "borg:$REPO" ||
			[ "$status" = 0 ]
		timeout 30 "$REPOLOCK" with-lock -n -r "borg:$REPO" true &&
			false
		not_opened
		rm "$REPO/$name"
	done
}

@test "7.4 the files of a restic repository are opened if they are files" {
	trap_at "$REPO/locks/$ID"
	expect 0 timeout 30 "$REPOLOCK" list-locks -r "$LOC"
	has unreadable
	not_opened
	expect 0 "$REPOLOCK" unlock --force --all -r "$LOC"
	not [ -e "$REPO/locks/$ID" ]
	trap_at "$REPO/keys/$ID"
	expect 0 timeout 30 "$REPOLOCK" list-locks -r "$LOC"
	not_opened
	trap_at "$REPO/config"
	expect 125 timeout 30 "$REPOLOCK" list-locks -r "$LOC"
	has 'config is no file'
	not_opened
}

@test "7.4 what names the repository or the password may be no device" {
	export RESTIC_PASSWORD=''
	RESTIC_PASSWORD_FILE=/dev/ptmx expect 125 lock true
	has 'RESTIC_PASSWORD_FILE: /dev/ptmx is a device, not a regular file'
	mkfifo "$T/pipe"
	# Looked at by the front, to see whether COMMAND would lock itself out.
	RESTIC_REPOSITORY_FILE=$T/pipe expect 125 timeout 20 "$REPOLOCK" \
		with-lock -r "$LOC" restic backup --repository-file "$T/pipe"
	RESTIC_REPOSITORY_FILE=$T/pipe expect 125 timeout 20 "$REPOLOCK" \
		with-lock -r restic: true
	has 'RESTIC_REPOSITORY_FILE: .*/pipe is a pipe, not a regular file'
	# A pipe that gives the password is waited for, and can be given up.
	RESTIC_PASSWORD_FILE=$T/pipe start a "$REPOLOCK" with-lock -r "$LOC" \
		touch "$T/ran"
	echo geheim >"$T/pipe"
	finish a
	is 0 "$status"
	[ -e "$T/ran" ]
	RESTIC_PASSWORD_FILE=$T/pipe start b "$REPOLOCK" with-lock -r "$LOC" true
	never 'gone ${PID[b]}' 0.3
	kill -TERM "${PID[b]}"
	finish b
	is 143 "$status"
}

@test "7.4 locks/ and keys/ of restic may be links to the owner's directories" {
	mkdir "$T/else"
	for name in locks keys; do
		mv "$REPO/$name" "$T/else/$name"
		ln -s "../else/$name" "$REPO/$name"
	done
	locked a -x
	wait_until 'inside a'
	expect 1 restic -r "$REPO" snapshots
	has 'already locked exclusively by PID'
	is 1 "$(find "$T/else/locks" -type f | wc -l)"
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	has 'exclusive +held'
	release a
	finish a
	is 0 "$status"
	is 0 "$(find "$T/else/locks" -type f | wc -l)"
	expect 0 restic -r "$REPO" snapshots
}

@test "7.4 a link of restic's to a directory of another owner is not followed" {
	needs_root
	mkdir -m 700 "$T/roots"
	chown -R 65534 "$REPO"
	rmdir "$REPO/locks"
	ln -s "$T/roots" "$REPO/locks"
	chown -h 65534 "$REPO/locks"
	expect 125 lock true
	has "only followed to a directory of its own and this one's owner"
	expect 125 "$REPOLOCK" list-locks -r "$LOC"
	is '' "$(ls "$T/roots")"
	# Nor one that another has made in a directory that he may write.
	chown 65534 "$T/roots"
	chown -h 1 "$REPO/locks"
	expect 125 lock true
	is '' "$(ls "$T/roots")"
	chown -h 65534 "$REPO/locks"
	expect 0 lock true
	# Deeper ones are never followed.
	mv "$REPO/config" "$REPO/elsewhere"
	ln -s elsewhere "$REPO/config"
	expect 125 lock true
	has 'config: a symbolic link, which is not followed'
}

# --- what is computed -------------------------------------------------------

@test "7.8 on a bare path no key of anybody else is tried, nor his command run" {
	needs_root
	export RESTIC_PASSWORD='' RESTIC_PASSWORD_COMMAND="$T/command"
	printf '#!/bin/sh\n: >"%s/ran"\necho geheim\n' "$T" >"$T/command"
	chmod +x "$T/command"
	expect 0 "$REPOLOCK" list-locks -r "$REPO"
	[ -e "$T/ran" ]
	rm "$T/ran"
	for change in 'chown 65534 "$REPO/keys"' \
		'chown 0 "$REPO/keys"; chmod g+w "$REPO/keys"' \
		'mv "$REPO/keys" "$T/keys"; ln -s "$T/keys" "$REPO/keys"'; do
		eval "$change"
		expect 125 "$REPOLOCK" list-locks -r "$REPO"
		has "restic locks are not shown: .* to see them: -r $LOC"
		expect 125 "$REPOLOCK" unlock -r "$REPO"
		has "-r $LOC"
		not [ -e "$T/ran" ]
	done
	# The lease is there all the same.
	expect 0 "$REPOLOCK" with-lock -r "$REPO" -- sh -c \
		'"$1" list-locks -r "$2" || [ $? -eq 125 ]' sh "$REPOLOCK" "$REPO"
	has 'exclusive +held'
	not [ -e "$T/ran" ]
	expect 0 "$REPOLOCK" list-locks -r "$LOC"
	[ -e "$T/ran" ]
}

@test "7.8 a key that costs a minute is refused at once, with its figures" {
	key=$(ls "$REPO/keys")
	sed -E 's/"N":[0-9]+,"r":8,"p":[0-9]+/"N":1048576,"r":8,"p":15/' \
		"$REPO/keys/$key" >"$T/key"
	bomb=$(sha256sum <"$T/key" | cut -c -64)
	cp "$T/key" "$REPO/keys/$bomb"
	# The real key is tried all the same.
	expect 0 lock true
	rm -f "$REPO/keys/$key"
	expect 125 lock true
	has "keys/${bomb:0:8}: scrypt with N 1048576, r 8, p 15"
	has 'limit: 256 MiB, and 4096 of 4096 MiB'
}

# --- what becomes of the keys -----------------------------------------------

@test "7.9 who holds a key dumps no core and is not read by its own user" {
	needs_root
	chown -R 65534 "$REPO"
	mkdir -m 777 "$T/job"
	start a setpriv --reuid 65534 --clear-groups env HOME="$T/job" \
		"$REPOLOCK" with-lock -r "$LOC" -- sh -c \
		'echo $PPID >"$1/keeper"; : >"$1/inside"; exec "$2" 60' \
		sh "$T/job" "$T/sleep"
	wait_until '[ -e "$T/job/inside" ]'
	keeper=$(cat "$T/job/keeper")
	command=$(children_of "$keeper" | head -n 1)
	# Of a process that may be dumped they are its user's.
	is 0 "$(stat -c %u "/proc/$keeper/environ")"
	is 65534 "$(stat -c %u "/proc/$command/environ")"
	kill -TERM "${PID[a]}"
	finish a
	is 143 "$status"
	is '' "$(ls "$REPO/locks")"
}

@test "7.9 a key is kept once, out of core dumps, and its JSON is wiped" {
	needs_root
	printf geheim-genug >"$T/new"
	restic -q -r "$REPO" key add --new-password-file "$T/new"
	printf '%s' geheim-genug >"$T/password"
	restic -r "$REPO" cat masterkey >"$T/masterkey"
	unset RESTIC_PASSWORD
	RESTIC_PASSWORD_FILE=$T/password start a "$REPOLOCK" with-lock \
		-r "$LOC" -- "$lib/job" a
	wait_until 'inside a'
	expect 0 python3 - "$(keeper_of a)" "$T/masterkey" <<'PYTHON'
import base64, json, re, sys
pid, keys = sys.argv[1], json.load(open(sys.argv[2]))
texts = [keys["encrypt"], keys["mac"]["k"], keys["mac"]["r"]]
raw = [base64.b64decode(t) for t in texts]
regions = []
for line in open(f"/proc/{pid}/smaps"):
    found = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) .*?(\S*)$", line)
    if found:
        regions.append([int(found[1], 16), int(found[2], 16), found[3], ""])
    elif line.startswith("VmFlags:"):
        regions[-1][3] = line.split()[1:]
kept = 0
with open(f"/proc/{pid}/mem", "rb") as memory:
    for start, end, rights, flags in regions:
        # A sanitizer's shadow spans terabytes, and holds no bytes of ours.
        if "r" not in rights or end - start > 1 << 30:
            continue
        try:
            memory.seek(start)
            data = memory.read(end - start)
        except OSError:
            continue
        for text in texts:
            assert text.encode() not in data, ("text", hex(start))
        assert b"geheim-genug" not in data, ("password", hex(start))
        for key in raw:
            if key in data:
                assert "dd" in flags, ("key", hex(start), flags)
                kept += 1
assert kept == 3, kept
PYTHON
	release a
	finish a
	is 0 "$status"
}
