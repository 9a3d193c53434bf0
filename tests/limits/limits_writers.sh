#!/usr/bin/env bash
# 64 processes at once, each appending events one command after the other: all succeed, none is
# lost. WRITERS and EACH change how many and how much; see README.md.
[[ -n ${TMPDIR-} || ! -w /dev/shm ]] || export TMPDIR=/dev/shm
# shellcheck source=../cli/lib.sh
source "$(dirname "$0")/../cli/lib.sh"

WRITERS=${WRITERS:-64}
EACH=${EACH:-50}

# write WRITERS EACH: that many at once, into the store of $PROVENV_STORE.
write() {
	local writer n pids=()
	for ((writer = 1; writer <= $1; writer++)); do
		(
			: >"$work/ready.$writer"
			# All begin together: the first must not be done before the last begins.
			until [[ -e $work/go ]]; do sleep 0.01; done
			for ((n = 1; n <= $2; n++)); do
				provenv set "W${writer}_$n=$writer-$n" -q 2>>"$work/words" || exit 1
				echo "$writer" >>"$work/order"
			done
		) &
		pids+=($!)
	done
	until [[ $(find "$work" -name 'ready.*' | wc -l) -eq $1 ]]; do sleep 0.01; done
	: >"$work/go"
	for writer in "${pids[@]}"; do
		checks=$((checks + 1))
		wait "$writer" || fail "a writer failed" "$(head -c 2000 "$work/words")"
	done
}

# all_there WHAT WRITERS EACH
all_there() {
	is "$1: all events are there" "$(events)" "$((before + $2 * $3))"
	expect 0 provenv verify
	expect 0 provenv rebuild --compare
	expect 0 provenv ls --json
	is "$1: all variables, with their values" "$(json "sorted(v['value'] for v in j['variables']) == sorted(
		f'{w}-{n}' for w in range(1, $2 + 1) for n in range(1, $3 + 1))")" true
	rm -f "$work"/ready.* "$work/go" "$work/words"
}

# turns: how often the writer changes from one event to the next: alone it never does.
turns() { uniq "$work/order" | wc -l; }

arm() {
	expect 0 provenv init --store "$1/store"
	export PROVENV_STORE="$PWD/$1/store"
	before=$(events)
	: >"$work/order"
	local start=${EPOCHREALTIME/./}
	write "$2" "$3"
	printf '  %s: %d writers, %d events each: %d ms\n' "$1" "$2" "$3" \
		"$(((${EPOCHREALTIME/./} - start) / 1000))"
	all_there "$1" "$2" "$3"
}

arm control 1 "$EACH"
arm together "$WRITERS" "$EACH"
checks=$((checks + 1))
[[ $(turns) -gt $((WRITERS * 2)) ]] || fail "the writers did not write at once: $(turns) turns"
