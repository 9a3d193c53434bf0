#!/usr/bin/env bash
# Limits of a process, clocks that are wrong, readers that died or linger, a log that grows beyond
# its map: see README.md.
# In memory where possible: nothing here is about disks.
[[ -n ${TMPDIR-} || ! -w /dev/shm ]] || export TMPDIR=/dev/shm
# shellcheck source=../cli/lib.sh
source "$(dirname "$0")/../cli/lib.sh"

SETS=${SETS:-100}
big=$(printf '%030000d' 1)

# limited FLAG VALUE COMMAND...: run it under that limit; $code, $out, $err. The limit is set in the
# shell that becomes the command, its output goes to files that are open already.
limited() {
	local flag=$1 value=$2
	shift 2
	code=0
	(
		ulimit "$flag" "$value"
		exec "$@"
	) >"$work/out" 2>"$work/err" </dev/null || code=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

# events: as in lib.sh, without starting Python a thousand times.
events() {
	local text
	text=$(provenv status --json)
	text=${text##*'"events":'}
	printf '%s\n' "${text%%,*}"
}

# after WHAT N: nothing was harmed: what was acknowledged is there, and the next command works.
after() {
	local now
	now=$(events)
	checks=$((checks + 1))
	[[ $now -eq $before || $now -eq $((before + 1)) ]] || fail "$1: $now events, from $before"
	[[ $code -ne 0 || $now -eq $((before + $2)) ]] || fail "$1: exit 0, and $now events from $before"
	[[ $1 != *": set"* && $1 != *": rebuild"* ]] && return
	expect 0 provenv verify
	expect 0 provenv rebuild --compare
	expect 0 provenv set "NEXT=$RANDOM$RANDOM"
	before=$(events)
}

# at_limit NAME FLAG VALUE: commands that write and read, under a limit that they may not bear.
# What the loader says before our first line is not ours: a program that only prints its version
# tells. Of memory it must leave some: where the stack cannot grow the kernel ends a process unasked.
at_limit() {
	local name=$1 words adds
	limited "$2" "$(($3 > spare ? $3 - spare : 0))" provenv --version
	[[ $code -eq 0 ]] || return 0
	reached=$((reached + 1))
	for words in "set A=$3 LONG=$big" "get KEEP" "verify" "rebuild" "log --max 1" "doctor" "checkpoint"; do
		adds=0
		[[ $words != set* ]] || adds=1
		# shellcheck disable=SC2086 # words
		limited "$2" "$3" provenv $words
		local what="$name $3: ${words:0:12}"
		checks=$((checks + 1))
		case $code in
		0) [[ $words != get* || $out == kept ]] || fail "$what: read '$out'" ;;
		13)
			refusals=$((refusals + 1))
			[[ $err == *"$wanted"* ]] || fail "$what: does not say why" "$err"
			;;
		1) [[ $words == doctor ]] || fail "$what: exit 1" "$err" ;;
		*) fail "$what: exit $code" "$out" "$err" ;;
		esac
		last=$code
		after "$what" "$adds"
	done
}

limit_of() {
	local name=$1 flag=$2 value
	shift 2
	refusals=0 reached=0
	expect 0 provenv init --store "$name/store"
	export PROVENV_STORE="$PWD/$name/store"
	expect 0 provenv set KEEP=kept
	before=$(events)
	for value in "$@"; do at_limit "$name" "$flag" "$value"; done
	printf '  %s: %d limits, %d commands refused\n' "$name" "$reached" "$refusals"
	[[ $refusals -gt 0 ]] || fail "$name: nothing was refused"
	is "$name: with enough all succeed" "$last" 0
	unset PROVENV_STORE
}

process_limits() {
	# In force: dd is refused, or ended by SIGXFSZ, a descriptor cannot be had.
	limited -f 4 dd if=/dev/zero of=probe bs=1024 count=8
	[[ $code -ne 0 ]] || fail "the limit on file sizes is not in force"
	limited -n 5 bash -c 'exec 5</dev/null'
	[[ $code -ne 0 ]] || fail "the limit on descriptors is not in force"
	# SQLite has a sentence of its own for all that its files meet.
	spare=0
	wanted="" limit_of RLIMIT_FSIZE -f 0 1 4 16 32 48 64 72 96 128 100000
	wanted="Too many open files" limit_of RLIMIT_NOFILE -n 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 20 64
	limited -v 4000000 provenv --version
	if [[ $code -eq 0 ]]; then
		spare=1024
		wanted="emory" limit_of RLIMIT_AS -v 1000 2000 4000 6000 8000 10000 16000 32000 64000 72000 \
			76000 80000 84000 88000 96000 2000000
	else
		echo "SKIPPED: RLIMIT_AS: a sanitizer needs all addresses"
	fi
}

has_hooks() {
	PROVENV_FAULT=fs.open:EIO PROVENV_FAULT_LOG="$work/fired" provenv init --store probe >/dev/null 2>&1
	[[ -e $work/fired ]]
}

# at MS COMMAND...: as expect 0, with the clock set.
at() { PROVENV_TEST_NOW_MS=$1 expect "${@:2}"; }

clocks() {
	if ! has_hooks; then
		echo "SKIPPED: clocks: these programs ask the real one (a release build)"
		return
	fi
	local year=31557600000 now words
	now=$(date +%s)000
	expect 0 provenv init --store clock/store
	export PROVENV_STORE="$PWD/clock/store"
	at $((now + year)) 0 provenv set A=a-year-ahead
	before=$(events)
	for words in $((now + 4 * year)) 0 1000; do
		at "$words" 5 provenv set "A=$words"
		has "clock $words: says how" "$err" "--accept-clock"
		is "clock $words: nothing is written" "$(events)" "$before"
	done
	at 0 0 provenv set A=in-1970 --accept-clock
	expect 0 provenv set A=behind
	expect 0 provenv log --max 2
	is "both are flagged" "$(grep -c '(clock behind)' <<<"$out")" 2
	at $((now + 4 * year)) 0 provenv set A=far-ahead --accept-clock
	expect 0 provenv set A=far-behind
	expect 0 provenv log --max 1
	has "flagged" "$out" "(clock behind)"
	expect 0 provenv log --jsonl
	local times
	times=$(grep -o '"time":"[^"]*"' <<<"$out")
	is "time never decreases" "$(sort -rs <<<"$times")" "$times"
	expect 0 provenv verify
	expect 0 provenv rebuild --compare
	unset PROVENV_STORE
}

# grow STORE: by how many bytes the log grows in $SETS commands.
grow() {
	local was
	was=$(stat -c %s "$1/log/data.mdb")
	for ((i = 0; i < SETS; i++)); do
		provenv --store "$1" set "N=$i" -q || fail "a set failed beside a reader"
	done
	echo $(($(stat -c %s "$1/log/data.mdb") - was))
}

# hold STORE [idle]: a reader that holds its snapshot; $reader is its pid.
hold() {
	local line='' tries
	rm -f "$work/held"
	python3 "$source_dir/tests/limits/hold_reader.py" "$1/log" "${@:2}" >"$work/held" &
	reader=$!
	for ((tries = 0; tries < 500; tries++)); do
		[[ ! -s $work/held ]] || break
		sleep 0.02
	done
	read -r line <"$work/held"
	is "the reader holds" "$line" holding
}

end_reader() {
	kill -9 "$reader" || fail "the reader did not live"
	wait "$reader" 2>/dev/null
}

stale_reader() {
	local control dead living arm keepers=()
	for arm in control dead living; do
		expect 0 provenv init --store "$arm/store"
		for i in {1..5}; do expect 0 provenv --store "$arm/store" set "A=$i"; done
		hold "$arm/store" idle
		keepers+=("$reader")
	done
	control=$(grow control/store)
	hold dead/store
	end_reader
	dead=$(grow dead/store)
	hold living/store
	living=$(grow living/store)
	end_reader
	printf '  %d sets grow the log by %d bytes, beside a reader %d, after one that was killed %d\n' \
		"$SETS" "$control" "$living" "$dead"
	checks=$((checks + 2))
	[[ $dead -le $((control + control / 4 + 65536)) ]] || fail "a dead reader's pages are not used again"
	[[ $living -gt $((3 * control)) ]] || fail "a living reader makes no difference: the rig proves nothing"
	# And once it is gone there is room for all that follows.
	expect 0 provenv --store living/store verify
	living=$(grow living/store)
	checks=$((checks + 1))
	[[ $living -le $((control + control / 4 + 65536)) ]] || fail "the pages are not used again: $living"
	for reader in "${keepers[@]}"; do end_reader; done
}

# is_stopped PID: by the fault point that was armed for it.
is_stopped() { [[ $(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) == T ]]; }

# stop_at POINT WORDS...: a command that stops there, with its map of the log as it is now; false
# when it ended before, or holds what the others need.
stop_at() {
	local point=$1
	shift
	PROVENV_FAULT=$point provenv "$@" >"$work/stopped.$point" 2>&1 &
	local pid=$! tries
	for ((tries = 0; tries < 50; tries++)); do
		! is_stopped "$pid" || break
		sleep 0.01
	done
	if ! is_stopped "$pid"; then # it ended, or stopped in a child that it waits for
		kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
		return 1
	fi
	if timeout -k 1 1 provenv set "P=$RANDOM$RANDOM" -q 2>/dev/null; then
		stopped[$pid]="$point $*"
		! grep -q data.mdb "/proc/$pid/maps" || mapped=$((mapped + 1))
	else
		kill -9 "$pid"
		wait "$pid" 2>/dev/null
	fi
}

# Commands that stand still in the midst of their work while the log outgrows their map.
stop_some() {
	local n
	for n in 1 2 3 4; do stop_at "fs.lock:stop:$n" set "X$n=stopped" || break; done
	for n in 4 8 12 16 20; do stop_at "fs.open:stop:$n" get KEEP || break; done
	for n in 1 2 3 4; do stop_at "fs.lock:stop:$n" verify || break; done
	printf '  %d commands stand still, %d of them with a map of the log\n' "${#stopped[@]}" "$mapped"
	checks=$((checks + 1))
	[[ $mapped -gt 0 ]] || fail "no command was stopped with a map: the rig proves nothing"
}

wake_all() {
	local pid words told=0
	for pid in "${!stopped[@]}"; do
		checks=$((checks + 1))
		words="$work/stopped.${stopped[$pid]%% *}"
		kill -CONT "$pid"
		wait "$pid" && continue
		# A writer that reads already may be told to run again; nothing of it is there then.
		[[ $(<"$words") == *"must grow"*"run the command again"* ]] ||
			fail "a command that the log outgrew: ${stopped[$pid]}" "$(<"$words")"
		told=$((told + 1))
	done
	[[ $told -lt ${#stopped[@]} || $told -eq 0 ]] || fail "all were told to run again"
}

# A log that outgrows the map that others have of it, while they read and write.
growing_map() {
	local reader writer large i pid mapped=0 size
	declare -A stopped=()
	expect 0 provenv init --store map/store
	export PROVENV_STORE="$PWD/map/store"
	expect 0 provenv set KEEP=kept
	large=$(printf '%031000d' 1)
	if has_hooks; then
		stop_some
	else
		echo "SKIPPED: commands that stand still while the log grows (a release build)"
	fi
	(
		while [[ ! -e $work/grown ]]; do
			[[ $(provenv get KEEP) == kept ]] || exit 1
			sleep 0.05 # else they take the time that the log needs to grow
			echo >>"$work/reads"
		done
	) &
	reader=$!
	(
		n=0
		while [[ ! -e $work/grown ]]; do
			provenv set "W=$((n += 1))" -q || exit 1
			sleep 0.05
		done
		echo "$n" >"$work/writes"
	) &
	writer=$!
	# What the kernel takes on one command line, 42 times, is more than the map.
	for ((i = 0; i < 42; i++)); do
		expect 0 provenv set {a..z}{1..2}"=$i$large"
	done
	: >"$work/grown"
	for pid in "$reader" "$writer"; do
		checks=$((checks + 1))
		wait "$pid" || fail "a reader or writer beside a growing log failed"
	done
	size=$(stat -c %s map/store/log/data.mdb)
	printf '  the log grew to %d bytes beside %d reads and %d writes\n' "$size" \
		"$(wc -l <"$work/reads")" "$(<"$work/writes")"
	checks=$((checks + 1))
	[[ $size -gt $map_bytes ]] || fail "the log did not outgrow its first map of $map_bytes bytes"
	wake_all
	expect 0 provenv verify
	expect 0 provenv rebuild --compare
	expect 0 provenv get W
	is "the last write" "$out" "$(<"$work/writes")"
	unset PROVENV_STORE
}

# The size of a new map, as the sources say it.
map_mib=$(sed -nE 's/^#define MAP_BYTES_DEFAULT +\(\(size_t\)([0-9]+) << 20\)/\1/p' \
	"$source_dir/src/store/lmdb_env.c")
map_bytes=$((map_mib << 20))
[[ $map_bytes -gt 0 ]] || fail "the sources do not say how large a new map is"

for part in ${PARTS:-process_limits clocks stale_reader growing_map}; do
	start=$SECONDS
	"$part"
	echo "$part: $((SECONDS - start)) s"
done
