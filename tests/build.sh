#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The Makefile, tried on a program of two files, so that it takes moments; and
# what the real programs are linked with and installed as.
#
# runner: needs readelf pkg-config

set -u
cd "$(dirname "$0")/.." || exit 1
top=$PWD
programs=${BUILD:-$top/build/plain-gcc}
count=0
failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset MAKEFLAGS MAKELEVEL MFLAGS CI CPPFLAGS CFLAGS LDFLAGS LDLIBS

# NAME COMMAND...: a test; what COMMAND prints explains a failure.
t()
{
	local name=$1 said
	shift
	count=$((count + 1))
	if said=$("$@" 2>&1); then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		tail -n 20 <<<"$said" | sed 's/^/# /'
		failed=1
	fi
}

# NAME PROGRAM COMMAND...: not where PROGRAM is missing.
t_with()
{
	if command -v "$2" >/dev/null; then
		t "$1" "${@:3}"
	else
		count=$((count + 1))
		echo "ok $count - $1 # skip $2 is not installed"
	fi
}

# --- a tree of two files ---

fresh()
{
	rm -rf "$tmp/tree"
	mkdir -p "$tmp/tree/src/util" "$tmp/tree/contrib"
	cp Makefile "$tmp/tree/"
	echo 1.2.3 >"$tmp/tree/VERSION"
	cat >"$tmp/tree/src/main.c" <<-'C'
		#include <stdio.h>
		#include "util/word.h"
		int main(void)
		{
			return printf("%s %s %s\n", REPOLOCK_VERSION,
				      REPOLOCK_LIBEXECDIR, word()) < 0;
		}
	C
	echo 'const char *word(void);' >"$tmp/tree/src/util/word.h"
	cat >"$tmp/tree/src/util/word.c" <<-'C'
		#include "util/word.h"
		const char *word(void)
		{
		#ifdef __clang__
			return "clang";
		#else
			return "gcc";
		#endif
		}
	C
}

m() { make -C "$tmp/tree" --no-print-directory "$@"; }
says() { [ "$("$tmp/tree/build/repolock")" = "$1" ] || { "$tmp/tree/build/repolock"; return 1; }; }
default=/usr/local/lib/repolock

builds_in_parallel() { fresh && m -j4 && says "1.2.3 $default gcc"; }
nothing_twice()
{
	m && ! m | grep -E '^ +(CC|LD)'
}
back_to_gcc()
{
	m CC=clang && says "1.2.3 $default clang" &&
		m && says "1.2.3 $default gcc"
}
asan_apart()
{
	m VARIANT=asan && says "1.2.3 $default gcc" &&
		nm "$tmp/tree/build/asan-gcc/repolock" | grep -q __asan &&
		! nm "$tmp/tree/build/repolock" | grep -q __asan
}
prefix_known()
{
	m && m prefix=/opt >"$tmp/said" && says '1.2.3 /opt/lib/repolock gcc' &&
		! grep 'CC.*word' "$tmp/said" && grep -q 'CC.*main' "$tmp/said"
}
version_known()
{
	echo 1.2.4 >"$tmp/tree/VERSION"
	m && says "1.2.4 $default gcc"
}
header_known()
{
	echo '#define CHANGED 1' >>"$tmp/tree/src/util/word.h"
	m | grep -c '^ *CC.*src/' | grep -qx 2
}
warning_fatal()
{
	fresh
	echo 'void unused(void) { int x; }' >>"$tmp/tree/src/util/word.c"
	m && ! m CI=true && ! m WERROR=-Werror && m CI=true WERROR=
}
# What the caller says comes last, from the environment or behind make.
flags_win()
{
	local line
	fresh
	line=$(CFLAGS='-g -O1 -D_FORTIFY_SOURCE=1' m V=1 WERROR=-Werror \
		CPPFLAGS=-Dcaller LDFLAGS=-Wl,-z,lazy LDLIBS=-lm) || return
	echo "$line"
	grep -E 'word.o' <<<"$line" | grep -qE -- '-O2 .*-Dcaller -g -O1 -D' &&
		! grep -E -- '_FORTIFY_SOURCE=[23]' <<<"$line" &&
		grep -qE -- '-z,now .*-Wl,-z,lazy .*-ljansson +-lm' <<<"$line" &&
		m CFLAGS=-O0 WERROR=-Werror
}
linked_anew() { m && m LDFLAGS=-Wl,-z,lazy | grep -q 'LD.*repolock'; }
no_version()
{
	fresh
	rm "$tmp/tree/VERSION"
	! m 2>"$tmp/said" && grep 'no file VERSION' "$tmp/said"
}
# Elsewhere the same bytes, debugging information and all.
same_elsewhere()
{
	fresh
	m && cp "$tmp/tree/build/repolock" "$tmp/first" &&
		mv "$tmp/tree" "$tmp/a tree elsewhere" &&
		rm -r "$tmp/a tree elsewhere/build" &&
		make -C "$tmp/a tree elsewhere" --no-print-directory &&
		cmp "$tmp/first" "$tmp/a tree elsewhere/build/repolock"
}
# OUTPUT-PATTERN MAKE-ARGUMENTS...
refuses()
{
	local pattern=$1 said
	shift
	fresh
	if said=$(m "$@" 2>&1); then
		echo 'make succeeded'
		return 1
	fi
	grep -E "$pattern" <<<"$said" || { echo "$said"; return 1; }
}

t 'builds, also in parallel' builds_in_parallel
t 'builds nothing twice' nothing_twice
t_with 'another compiler'\''s program does not stay in place' clang back_to_gcc
t 'a sanitised program stays in its own folder' asan_apart
t 'another prefix rebuilds what holds it, and nothing else' prefix_known
t 'a new version rebuilds what tells it' version_known
t 'a changed header rebuilds its users' header_known
t 'a warning is fatal in CI, and where that is asked for' warning_fatal
t 'the flags of the caller come last' flags_win
t 'other linker flags link anew' linked_anew
t 'a tree without VERSION is refused' no_version
t 'another directory gives the same program' same_elsewhere
t 'a missing library is told with its Debian package' \
	refuses 'no nosuch: install the Debian package libnosuch-dev' \
	PKGS=nosuch DEBIAN_nosuch=libnosuch-dev
t 'a missing pkg-config is told' \
	refuses 'install the Debian package pkg-config' PKG_CONFIG=/nonexistent
t 'a missing compiler is told' \
	refuses 'no compiler .*install the Debian package' CC=/nonexistent
t 'an unknown variant is told' refuses 'there are plain, asan' VARIANT=asam

# --- the real ones ---

# Exactly these; readelf, since ldd would also name what those need.
linked_with()
{
	local program=$1
	shift
	diff <(readelf -d "$programs/$program" |
		sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort) \
		<(printf '%s\n' "$@" | sort)
}
version_told()
{
	"$programs/$1" --version | grep -qxF "repolock $(cat VERSION)"
}

# What each compiler was asked for, as far as it has it. The notes are looked
# for in our own objects: the linker drops them from a program of which the C
# library's start files have none.
hardened_by()
{
	local cc=$1 object=$tmp/$1.o
	fresh
	cat >"$tmp/tree/src/util/word.c" <<-'C'
		#include <stdlib.h>
		#include <string.h>
		#include "util/word.h"
		const char *word(void)
		{
			const char *home = getenv("HOME");
			char *copy = malloc(strlen(home));
			return memcpy(copy, home, strlen(getenv("PATH")));
		}
		int large_frame(const char *from, size_t len);
		int large_frame(const char *from, size_t len)
		{
			char pages[70000];
			memcpy(pages, from, len);
			return pages[len / 2];
		}
	C
	m CC="$cc" "build/plain-$cc/src/util/word.o" || return
	cp "$tmp/tree/build/plain-$cc/src/util/word.o" "$object"
	nm "$object" | grep -q __stack_chk_fail || return
	# Of a size that is only known at run time: level 3.
	[ "$(objdump -dr "$object" | grep -c __memcpy_chk)" = 2 ] || return
	case $(uname -m) in
	x86_64)
		readelf -n "$object" | grep -q 'IBT, SHSTK' || return
		# Each page of a large frame is touched in turn.
		# shellcheck disable=SC2016
		objdump -d "$object" | grep -Eq 'or[ql] +\$0x0,|movq +\$0x0,\(%rsp\)'
		;;
	esac
}
all_hardened()
{
	local object
	[ "$(uname -m)" = x86_64 ] || return 0
	for object in "$programs"/src/*.o "$programs"/src/*/*.o; do
		readelf -n "$object" | grep -q 'IBT, SHSTK' || {
			echo "$object"
			return 1
		}
	done
	for object in repolock repolock-native; do
		nm "$programs/$object" | grep -q __vsnprintf_chk || return
	done
}

# With the prefix that was built for, or everything would be built again.
install_to()
{
	make --no-print-directory DESTDIR="$tmp/dest" "$@"
}
installs()
{
	install_to install && "$tmp/dest/usr/local/bin/repolock" --version &&
		[ "$(readlink "$tmp/dest/usr/local/bin/with-lock")" = repolock ] &&
		test -x "$tmp/dest/usr/local/lib/repolock/repolock-native" &&
		test -f "$tmp/dest/usr/local/share/doc/repolock/COPYING" &&
		for man in man/*.[1-8]; do
			[ ! -e "$man" ] || test -f \
			    "$tmp/dest/usr/local/share/man/man${man##*.}/${man##*/}" ||
				return
		done
}
uninstalls()
{
	local left
	install_to uninstall
	left=$(find "$tmp/dest" ! -type d)
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}

# What it is called with is said by nobody but the program that was found.
moved()
{
	mkdir -p "$tmp/new place" && cp -r "$tmp/dest/usr/local/." "$tmp/new place/" &&
		[ -x "$tmp/new place/lib/repolock/repolock-native" ] || return
	# restic: is the other program's; it says what is not a repository.
	"$tmp/new place/bin/repolock" list-locks -r "restic:$tmp/none" 2>"$tmp/said"
	cat "$tmp/said"
	! grep repolock-native "$tmp/said" && [ -s "$tmp/said" ] &&
		"$tmp/new place/bin/with-lock" -r "$tmp" -- true
}
stripped()
{
	install_to install-strip || return
	for program in bin/repolock lib/repolock/repolock-native; do
		[ -z "$(nm "$tmp/dest/usr/local/$program" 2>/dev/null)" ] || return
	done
	"$tmp/dest/usr/local/bin/repolock" --version
}
units_placed()
{
	local dir=$tmp/dest/lib/systemd/system unit
	install_to install systemdsystemunitdir=/lib/systemd/system \
		bindir=/opt/bin || return
	for unit in contrib/systemd/*; do
		[ -f "$dir/${unit##*/}" ] || return
	done
	grep -q '^ExecStart=/opt/bin/repolock ' "$dir/repolock-restic.service" &&
		! grep -r /usr/local "$dir" &&
		[ ! -e "$tmp/dest/usr/local/share/doc/repolock/examples/systemd" ] &&
		install_to uninstall systemdsystemunitdir=/lib/systemd/system \
			bindir=/opt/bin && [ -z "$(ls "$dir")" ]
}

# What would open libraries at run time, or wait for a server. dlopen is in
# every static program, as libc's own; nothing of ours may ask for it.
heavy='getpw[a-z_]*|getgr(nam|gid|ent)[a-z_]*|getaddrinfo|gethostby[a-z_0-9]*|iconv(_open)?'
core_is_static()
{
	local static=${heavy} asked
	readelf -lW "$programs/repolock" | grep INTERP && return 1
	nm "$programs/repolock" | grep -E " [TWi] ($static)$" && return 1
	asked=$(find "$programs/src" -name '*.o' ! -name 'restic*' ! -name 'borg*' \
		! -name 'hash.o' -exec nm -u {} +)
	grep 'U json_loadb' <<<"$asked" || return
	! grep -E " U (dl(open|sym|mopen)|$heavy)$" <<<"$asked"
}
# It works as the other does: both halves, and a record that is read.
dynamic_too()
{
	local dir=$tmp/dynamic
	make --no-print-directory STATIC=no B="$dir" "$dir/repolock" || return
	programs=$tmp linked_with dynamic/repolock libc.so.6 libjansson.so.4 &&
		mkdir "$tmp/place" &&
		"$dir/repolock" with-lock -r "$tmp/place" -- \
			"$dir/repolock" list-locks --json -r "$tmp/place" |
		grep '"state":"held"'
}
# The core alone: no library but jansson is asked for.
without_native()
{
	local dir=$tmp/core said
	said=$(make --no-print-directory WITH_NATIVE=no B="$dir" PKG_CONFIG="$tmp/few" \
		"$dir/repolock" "$dir/check_json" 2>&1) || { echo "$said"; return 1; }
	! ls "$dir"/src/lock/restic*.o 2>/dev/null && "$dir/check_json" >/dev/null &&
		"$dir/repolock" with-lock -r "$tmp" -- true &&
		{ "$dir/repolock" with-lock -r "restic:$tmp" -- true 2>&1; [ $? = 125 ]; }
}
cat >"$tmp/few" <<-'SH'
	#!/bin/sh
	case " $* " in
	*libcrypto* | *libsodium* | *zstd* | *uuid*) exit 1 ;;
	esac
	exec pkg-config "$@"
SH
chmod 755 "$tmp/few"

if [ "$(readelf -d "$programs/repolock" | grep -c NEEDED)" = 0 ]; then
	t 'repolock is static, and free of what cannot be' core_is_static
fi
t 'STATIC=no needs libc and jansson, and works' dynamic_too
t 'WITH_NATIVE=no needs jansson alone, and works' without_native
t 'repolock tells its version' version_told repolock
t '7.10 gcc protects jumps, returns, the stack and known sizes' hardened_by gcc
t_with '7.10 clang protects the same' clang hardened_by clang
t '7.10 every object of the programs is protected' all_hardened
t 'install puts everything below DESTDIR' installs
t 'an installed tree can be moved' moved
t 'install-strip leaves no symbols' stripped
t 'uninstall removes all that install put' uninstalls
t 'units go to a systemd directory that is named' units_placed

echo "1..$count"
exit $failed
