# SPDX-License-Identifier: BSD-2-Clause
#
# Too few descriptors, processes or bytes for ourselves: no reason to wait for
# ever, nor to keep a processor busy.

# shellcheck disable=SC2016,SC2034,SC2154

load lib/common

# limited LIMIT... -- COMMAND...: in a shell with that ulimit.
limited()
{
	bash -c 'while [ "$1" != -- ]; do ulimit "$1" "$2" || exit; shift 2; done
		shift; exec "$@"' - "$@"
}

@test "7.9 too few descriptors are no wait but an error that names the limit" {
	local n refused=0
	# From the first that is enough for the program itself to far too many.
	for n in $(seq 5 24); do
		for place in "$LOC" "flock:$T/file"; do
			status=0
			output=$(limited -n "$n" -- "$REPOLOCK" with-lock \
				-r "$place" -- true 2>&1 3>&-) || status=$?
			case $status in
			0) ;;
			125)
				has 'Too many open files|ulimit -n'
				refused=$((refused + 1))
				;;
			*)
				echo "ulimit -n $n, $place: $status, $output"
				return 1
				;;
			esac
		done
	done
	[ $refused -ge 4 ]
	# And nothing that was refused stays in the way.
	expect 0 "$REPOLOCK" with-lock -r "$LOC" -- true
}

@test "7.9 list-locks and unlock say that they may open no more files" {
	local n sub least=3
	expect 0 "$REPOLOCK" with-lock -r "$LOC" -- true
	# A program that is not static is loaded by as many as it works with.
	until limited -n $least -- "$REPOLOCK" --version >/dev/null 2>&1; do
		least=$((least + 1))
	done
	for sub in list-locks unlock; do
		for n in 0 1 2 3; do
			status=0
			output=$(limited -n $((least + n)) -- "$REPOLOCK" \
				"$sub" -r "$LOC" 2>&1 3>&-) || status=$?
			[ $status -ne 0 ] || continue
			is 125 $status
			has 'ulimit -n'
		done
		[ $least -gt 3 ] || expect 125 limited -n $least -- "$REPOLOCK" $sub -r "$LOC"
	done
}

@test "3.3 waiting without a thread of its own keeps no processor busy" {
	needs_root
	local uid=54321 n used
	chmod 777 "$T" "$LOC"
	setpriv --reuid=$uid --regid=$uid --clear-groups true ||
		skip 'kernel lets us become nobody else'
	start holder flock -F "$T/file" "$T/sleep" 60
	wait_until '! flock -n "$T/file" true'
	chmod 666 "$T/file"
	# Front, keeper and COMMAND may be there; another thread at some n not.
	for n in 3 4 5 6; do
		output=$(TIMEFORMAT='%U %S'; { time limited -u "$n" -- setpriv \
			--reuid=$uid --regid=$uid --clear-groups "$REPOLOCK" \
			with-lock -w 3 -r "flock:$T/file" -- true >/dev/null \
			2>"$T/said" 3>&-; } 2>&1) || true
		used=$(tr -d . <<<"${output##*$'\n'}" | awk '{ print $1 + $2 }')
		# Of 3 s: a busy loop would take most of them.
		[ "$used" -lt 1000 ] || { echo "-u $n: $output"; cat "$T/said"
			return 1; }
		cat "$T/said" >>"$T/all"
	done
	grep -q 'no exclusive lock on .* within 3s: held by' "$T/all"
	kill "${PID[holder]}"
	finish holder
}

@test "3.3 too little memory is an error with a sentence, whenever it begins" {
	local program=$BUILD/repolock-native n refused=0
	# A sanitizer has an allocator of its own: then the plain program.
	if [[ $BUILD != */plain-gcc ]]; then
		program=$BATS_TEST_DIRNAME/../build/plain-gcc/repolock-native
		make -s -C "$BATS_TEST_DIRNAME/.." CC=gcc VARIANT=plain \
			build/plain-gcc/repolock-native
	fi
	gcc -shared -fPIC -O1 -o "$T/nomem.so" "$lib/preload/nomem.c"
	for n in {0..40}; do
		for place in "$LOC" "flock:$T/file"; do
			status=0
			output=$(NOMEM_AFTER=$n LD_PRELOAD=$T/nomem.so \
				"$program" with-lock -w 500ms -r "$place" \
				-- true 2>&1 3>&-) || status=$?
			case $status in
			0) ;;
			125)
				has 'Cannot allocate memory|no memory'
				refused=$((refused + 1))
				;;
			*)
				echo "after $n, $place: $status, $output"
				return 1
				;;
			esac
		done
	done
	[ $refused -ge 10 ]
}
