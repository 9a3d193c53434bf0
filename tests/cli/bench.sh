#!/usr/bin/env bash
# The frame of provenv-bench: rows by name, the table, JSON, refusals, peers that are missing, and
# that nothing is left behind. Its figures are not judged.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

# It measures on a disk only; the programs lie on one more often than /tmp does.
disk=$(mktemp -d "$PROVENV_BIN/bench.XXXXXX")
quickly=(provenv-bench --quick --runs 1 --dir "$disk")

expect 0 provenv-bench --help
has "the rows are listed" "$out" shell-get
has "what the greatest log takes is said" "$out" "--events-max N"
expect 0 provenv-bench --rows
has "rows alone are listed" "$out" peer-etcd
has "with their limits" "$out" "against: SQLite alone running the identical statements"
has "and their targets" "$out" "target: ratio >= 0.90"
has "or none" "$out" "target: -"
expect 0 provenv-bench --rows --quick
expect 2 provenv-bench --rows nonsense
expect 2 provenv-bench --runs 0
for wrong in 999 10000001 many ""; do
	expect 2 provenv-bench --events-max "$wrong"
	has "a limit of events is checked" "$err" "--events-max takes a number from 1000 to 10000000"
done

# Where its own programs are found, and nothing else.
alone() {
	env PATH="$PROVENV_BIN" "$PROVENV_BIN/provenv-bench" --quick --runs 1 --dir "$disk" "$@"
}

# missing ROW PROGRAM: without the program the row is left out, and that is no failure.
missing() {
	expect 0 alone --rows "$1"
	has "a missing program is told" "$out" "$1: $2 is not installed"
	expect 0 alone --rows "$1" --json
	is "nothing is made up for it" "$(json 'j["measures"]')" "[]"
	is "and it is noted" "$(json 'j["notes"]')" "$1: $2 is not installed"
}

# peer ROW LABELS PROGRAM...: measured, if all of the programs are there.
peer() {
	local row=$1 labels=$2 program
	shift 2
	for program in "$@"; do
		type -P "$program" >/dev/null || return 0
	done
	expect 0 "${quickly[@]}" --rows "$row" --json
	is "$row is measured" "$(json '[m["label"] for m in j["measures"]]')" "$labels"
	is "each against its own limit" "$(json 'len({m["limit"] for m in j["measures"]})')" \
		"$(json 'len(j["measures"])')"
	is "beside it" "$(json 'all(m["ratio_permille"]["median"] > 0 for m in j["measures"])')" true
}

# It is told to stop while a peer is running: that one ends, too.
stopped() {
	local pid code=0
	"${quickly[@]}" --runs 99 --rows peer-etcd >/dev/null 2>&1 &
	pid=$!
	for _ in {1..300}; do
		compgen -G "$disk/*/etcd/member" >/dev/null && break
		sleep 0.1
	done
	is "a peer runs" "$(compgen -G "$disk/*/etcd/member" | wc -l)" 1
	kill -TERM "$pid"
	wait "$pid" || code=$?
	is "it was stopped" "$code" 143
	printf '%s' "$disk" >"$work/disk"
	is "no process of its is left" \
		"$(grep -lsFf "$work/disk" /proc/[0-9]*/cmdline | wc -l)" 0
	is "and no file" "$(ls -A "$disk")" ""
}

case $(stat --file-system --format=%T "$disk") in
tmpfs | ramfs)
	expect 2 "${quickly[@]}" --rows append
	;;
*)
	expect 0 "${quickly[@]}" --rows append,shell-get --json
	is "rows measured" "$(json 'sorted({m["row"] for m in j["measures"]})')" '["append", "shell-get"]'
	is "beside a limit" "$(json 'all(m["ratio_permille"]["median"] > 0 for m in j["measures"])')" true
	is "on a machine" "$(json '0 <= j["machine"]["stolen_permille"] <= 1000 and j["machine"]["cores"] > 0')" true
	is "with programs" "$(json 'all(j["machine"][p] for p in ("git", "etcd", "sqlite_shell"))')" true
	expect 0 "${quickly[@]}" --rows append
	has "a table" "$out" "ratio (min..max)"
	has "that says against what" "$out" "against: LMDB alone, same bytes and tables, unsigned"

	expect 0 "${quickly[@]}" --rows growth,get-at --events-max 12345 --json
	is "the logs end where they were told to" \
		"$(json '[m["label"] for m in j["measures"] if m["row"] == "get-at"]')" \
		'["1000 events", "10000 events"]'
	is "what grows is compared" \
		"$(json '[m["label"] for m in j["measures"] if m["row"] == "growth"]')" \
		'["open and get, 10000 events", "get, 10000 events", "append, 10000 events"]'
	is "and that is said" "$(json 'j["machine"]["events_max"]')" 12345

	expect 0 "${quickly[@]}" --rows audit-new --json
	is "with one thread, and one for each processor" \
		"$(json 'len(j["measures"]) == min(j["machine"]["cores"], 2) and j["measures"][0]["label"]')" \
		"1 thread"

	missing peer-git git
	missing peer-etcd etcd
	missing peer-sqlite sqlite3
	missing shell-set sqlite3
	has "the header tells, too" "$(alone --rows peer-git 2>/dev/null)" \
		"programs: git not installed, etcd not installed, sqlite3 not installed"
	peer peer-git '["set", "set, git syncing", "get"]' git ssh-keygen
	peer peer-etcd '["set", "get"]' etcd etcdctl
	peer peer-sqlite '["get"]' sqlite3
	# A repository of the user's that the environment points to is not touched.
	expect 0 env GIT_DIR="$work/user.git" ETCDCTL_ENDPOINTS=nowhere "${quickly[@]}" --rows peer-git
	is "nor made" "$(ls -d "$work/user.git" 2>/dev/null)" ""
	if type -P etcd >/dev/null && type -P etcdctl >/dev/null; then
		stopped
	fi
	is "nothing is left behind" "$(ls -A "$disk")" ""
	;;
esac
rmdir "$disk"
