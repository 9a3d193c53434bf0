#!/usr/bin/env bash
# provenv-replay where the easy way would be wrong: beside a writer, beside a head of another
# history, with keys that cannot be read, with pages that are damaged.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

copy() {
	rm -rf copy
	cp -a .provenv copy
}

# break_page FILE TEXT: take away what kind of page TEXT stands on, wherever it does.
break_page() {
	python3 - "$1" "$2" <<'END' || fail "the rig did not find '$2' in $1"
import sys
path, text = sys.argv[1], sys.argv[2].encode()
data = bytearray(open(path, "rb").read())
pages = {at // 4096 for at in range(len(data)) if data.startswith(text, at)}
for page in pages:
    data[page * 4096 + 10:page * 4096 + 12] = b"\0\0"
open(path, "wb").write(data)
sys.exit(not pages)
END
}

expect 0 provenv init
given s3cret 0 provenv set TOKEN --secret --stdin
for n in $(seq 80); do
	provenv set "K=value-number-$n" -q || fail "set $n"
done
total=$(events)

# Beside a writer: what it appends in between is no loss.
(
	for n in $(seq 150); do
		provenv set "BUSY=$n" -q || exit 1
	done
) &
writer=$!
while kill -0 "$writer" 2>/dev/null; do
	expect 0 provenv-replay verify .provenv
done
wait "$writer" || fail "the writer failed"
checks=$((checks + 1))
[[ $checks -gt 10 ]] || fail "the rig looked $checks times only while the writer ran"

# The head of another history, of another log, none, a damaged one; and no store at all.
copy
cp -a .provenv twin
provenv --store twin set SIDE=twin -q
provenv --store copy set SIDE=copy -q
expect 0 provenv-replay verify copy
has "control: its own" "$out" "only the head file beside the log was compared"
cp copy/head own-head
cp twin/head copy/head
expect 9 provenv-replay verify copy
has "of the same size, and not the same" "$out" "are not the ones that the head file speaks of"
expect 9 provenv-replay verify copy --json
is "in JSON" "$(json '[j["integrity"], j["completeness"]]')" '["ok", "failed"]'
expect 9 provenv-replay rebuild copy --output contradicted
is "no copy is made of it" "$(ls -d contradicted* 2>/dev/null)" ""
provenv --store twin set SIDE=more -q
cp twin/head copy/head
expect 9 provenv-replay verify copy
has "ahead of the log" "$out" "the head file speaks of"
expect 0 provenv --store other init
cp other/head copy/head
expect 0 provenv-replay verify copy
has "of another log" "$out" "nothing was compared: the head file is of another log"
head -c 1024 /dev/urandom >copy/head
expect 0 provenv-replay verify copy
has "damaged" "$out" "nothing was compared: copy/head"
rm copy/head
expect 0 provenv-replay verify copy
has "none" "$out" "nothing was compared: there is no head file"
expect 0 provenv-replay verify copy/log
has "a log alone" "$out" "nothing was compared: only a log was given"
cp own-head copy/head
expect 0 provenv-replay rebuild copy --output agreed
total=$(events)

# A damaged page takes its own events, and not what lies behind it.
copy
break_page copy/log/data.mdb value-number-40
expect 9 provenv-replay verify copy
expect 0 provenv-replay salvage copy --output saved --json
kept=$(json 'j["events"]')
is "what is lost is counted" "$(json 'j["lost"]')" "$((total - kept))"
is "the last of it is listed" "$(json 'j["lost_events"][-1]["seq"]')" "$total"
is "and most of the rest" "$(json 'len(j["lost_events"]) > j["lost"] - 20')" true
is "not what cannot be read" "$(json 'len(j["lost_events"]) < j["lost"]')" true
expect 0 provenv-replay verify saved
for words in "state copy" "state copy --json" "diff copy 20 HEAD" "rollback copy --to 20"; do
	# shellcheck disable=SC2086 # words
	expect 9 provenv-replay $words
	has "says so: $words" "$err" "a page of the log cannot be read"
	has "and what deals with it: $words" "$err" "provenv-replay verify, provenv-replay salvage"
done
expect 9 provenv-replay rebuild copy --output rebuilt
has "up to where a copy can be made" "$err" "valid up to event $kept"
# Control: what does not touch the page is answered.
expect 0 provenv-replay state copy --to "$((kept - 20))"

# A key that cannot be read is not one that is gone.
copy
key=$(find copy/vault -type f)
is "there is one" "$(wc -l <<<"$key")" 1
expect 0 provenv-replay rebuild copy --output with-key
is "control: it is copied" "$(find with-key/vault -type f | wc -l)" 1
truncate -s 10 "$key"
expect 9 provenv-replay rebuild copy --output without
has "says which, and the way out" "$err" "salvage"
is "nothing is made" "$(ls -d without* 2>/dev/null)" ""
expect 0 provenv-replay salvage copy --output without
has "says what it is without" "$out" "the keys of 1 secret"
expect 0 provenv-replay salvage copy --output without-2 --json
is "in JSON" "$(json 'j["keys_unread"]')" 1
rm "$key"
expect 0 provenv-replay rebuild copy --output shredded
has "control: one that is gone stays gone" "$out" "holds events 1..$total"
