#!/usr/bin/env bash
# The frame of provenv-bench: rows by name, the table, JSON, refusals. Its figures are not judged.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

# It measures on a disk only; the programs lie on one more often than /tmp does.
disk=$(mktemp -d "$PROVENV_BIN/bench.XXXXXX")
quickly=(provenv-bench --quick --runs 1 --dir "$disk")

expect 0 provenv-bench --help
has "the rows are listed" "$out" shell-get
expect 2 provenv-bench --rows nonsense
expect 2 provenv-bench --runs 0

case $(stat --file-system --format=%T "$disk") in
tmpfs | ramfs)
	expect 2 "${quickly[@]}" --rows append
	;;
*)
	expect 0 "${quickly[@]}" --rows append,shell-get --json
	is "rows measured" "$(json 'sorted({m["row"] for m in j["measures"]})')" '["append", "shell-get"]'
	is "beside a limit" "$(json 'all(m["ratio_permille"]["median"] > 0 for m in j["measures"])')" true
	is "on a machine" "$(json '0 <= j["machine"]["stolen_permille"] <= 1000 and j["machine"]["cores"] > 0')" true
	expect 0 "${quickly[@]}" --rows append
	has "a table" "$out" "ratio (min..max)"
	# What is not installed is said, and measured elsewhere.
	for row in peer-git:git peer-etcd:etcd; do
		expect 0 env PATH="$PROVENV_BIN" "$PROVENV_BIN/provenv-bench" --quick --runs 1 \
			--dir "$disk" --rows "${row%:*}"
		has "a missing peer is told" "$out" "${row%:*}: ${row#*:} is not installed"
		if type -P "${row#*:}" >/dev/null && type -P ssh-keygen >/dev/null; then
			expect 0 "${quickly[@]}" --rows "${row%:*}" --json
			is "a peer is measured" "$(json 'len(j["measures"])')" 1
		fi
	done
	is "nothing is left behind" "$(ls -A "$disk")" ""
	;;
esac
rmdir "$disk"
