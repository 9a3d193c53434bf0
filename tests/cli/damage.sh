#!/usr/bin/env bash
# Damage to any part of a store: found, named, and mended where it is derived.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

expect 0 provenv init
expect 0 provenv set A=one -m "reason-of-first"
expect 0 provenv set A=needle-value
expect 0 provenv set A=three
copy() {
	rm -rf copy
	cp -a .provenv copy
}

# flip FILE TEXT: change the first byte of TEXT in FILE; fails when TEXT is not there.
flip() {
	local offset
	offset=$(grep -abo -- "$2" "$1" | head -n 1 | cut -d: -f1)
	[[ -n $offset ]] || fail "the rig did not find '$2' in $1"
	printf 'X' | dd of="$1" bs=1 seek="$offset" conv=notrunc status=none
}

# Acceptance 4: one byte inside a value.
expect 0 provenv log A --jsonl
event=$(printf '%s\n' "$out" | grep needle-value | out=$(cat) python3 -c 'import json, os; print(json.loads(os.environ["out"])["seq"])')
copy
expect 0 provenv --store copy verify
flip copy/log/data.mdb needle-value
expect 9 provenv --store copy verify --json
is "names the event" "$(json '[j["integrity"], j["first_bad"]]')" "[\"failed\", $event]"
expect 9 provenv-replay verify copy --json
is "the replay tool too" "$(json '[j["integrity"], j["first_bad"]]')" "[\"failed\", $event]"
expect 9 provenv --store copy get A --at "$event"
has "a read names it too" "$err" "event $event"
expect 0 provenv-replay salvage copy --output saved
has "tells how much is lost" "$out" "lost: 2 events, from $event on"
has "lists what is lost" "$out" "  $((event + 1)) 2"
has "as what it is" "$out" "variables.changed (not verified)"
lacks "no values among it" "$out" needle
expect 0 provenv-replay salvage copy --output saved-2/ --json
is "the list in JSON" "$(json '[[e["seq"], e["type"], e["verified"]] for e in j["lost_events"]]')" \
	"[[$event, \"variables.changed\", false], [$((event + 1)), \"variables.changed\", false]]"
is "all of it" "$(json '[j["lost"], j["lost_events_cut"]]')" '[2, false]'
expect 0 provenv-replay salvage .provenv --output whole --json
is "nothing is lost of a sound log" "$(json '[j["lost"], j["lost_events"]]')" '[0, []]'
mkdir taken.tmp
expect 6 provenv-replay salvage copy --output taken
has "what lies there is left alone" "$err" "taken.tmp exists"
expect 0 provenv --store saved verify --json
is "everything before it is saved" "$(json 'j["events"]')" "$((event - 1))"
expect 0 provenv --store saved get A
is "the value before" "$out" one
expect 6 provenv-replay salvage copy --output saved

# The state: deleted, cut, garbage, of another store, read-only.
# shellcheck disable=SC2016,SC2034 # expanded by eval, once the generation in force is known
for damage in 'rm -r .provenv/state' ': >"$db"' 'truncate -s 5000 "$db"' \
	'head -c 40000 /dev/urandom >"$db"' 'rm "$db"' 'echo nonsense >.provenv/state/current' \
	'chmod 400 "$db"'; do
	# shellcheck disable=SC2034
	db=.provenv/state/$(cat .provenv/state/current)
	rm -f .provenv/state/*-wal .provenv/state/*-shm
	eval "$damage"
	expect 0 provenv get A
	is "after: $damage" "$out" three
	expect 0 provenv set "B=$RANDOM"
	expect 0 provenv rebuild --compare
done
mkdir other
expect 0 provenv --store other/s init
expect 0 provenv --store other/s set A=foreign
rm -rf .provenv/state
cp -r other/s/state .provenv/state
expect 0 provenv get A
is "not the other store's" "$out" three

# The tree and the indexes are mended from the events, which stay as they are. The hash of the last
# event stands in the tree alone: no event follows that would name it.
events_of() {
	provenv --store "$1" log --jsonl
}
cp -a .provenv mended
expect 0 provenv --store mended doctor
has "a sound log" "$out" "the events are whole"
lacks "nothing to mend" "$out" mended
expect 0 provenv --store mended status --json
hash=$(json 'j["head"]["hash"]')
before=$(events_of mended)
spoil() {
	hash=$1 python3 - "$2" <<-'END'
		import os, sys
		needle = bytes.fromhex(os.environ["hash"])
		data = open(sys.argv[1], "rb").read()
		assert needle in data, "the rig did not find the row"
		open(sys.argv[1], "wb").write(data.replace(needle, bytes([needle[0] ^ 1]) + needle[1:]))
	END
}
spoil "$hash" mended/log/data.mdb || fail "the rig could not spoil the tree"
expect 9 provenv --store mended verify --json
is "the tree is spoiled" "$(json 'j["integrity"]')" failed
cp mended/log/data.mdb spoiled
expect 1 provenv --store mended doctor -n
has "told" "$out" "the tree of the log is not what the events say"
cmp -s mended/log/data.mdb spoiled || fail "doctor -n changed the log"
expect 0 provenv --store mended doctor
has "mended" "$out" "the tree of the log was rebuilt"
expect 0 provenv --store mended verify
expect 0 provenv --store mended doctor
lacks "once" "$out" mended
is "the events are the same" "$(events_of mended)" "$before"
expect 0 provenv --store mended set A=four
# Not where the events are damaged: the rig flips a value beside the tree.
copy
spoil "$hash" copy/log/data.mdb || fail "the rig could not spoil the tree"
flip copy/log/data.mdb needle-value
cp copy/log/data.mdb spoiled
expect 9 provenv --store copy doctor
has "names the event" "$out" "event $event"
has "says what there is to do" "$out" salvage
is "and says it once" "$err" ""
cmp -s copy/log/data.mdb spoiled || fail "doctor changed a damaged log"

# A head file that tells nothing: writers are told, and doctor replaces it.
cp -a .provenv headless
# shellcheck disable=SC2016 # expanded by eval
for damage in 'head -c 100 headless/head >h && cp h headless/head' 'head -c 1024 /dev/urandom >headless/head' \
	'cp other/s/head headless/head'; do
	expect 0 provenv --store headless set "H=$RANDOM$RANDOM"
	lacks "no note without damage" "$err" "provenv doctor"
	eval "$damage"
	cp headless/head damaged-head
	expect 0 provenv --store headless set "H=$RANDOM$RANDOM"
	has "a writer is told: $damage" "$err" "see: provenv doctor"
	expect 1 provenv --store headless doctor -n
	has "doctor tells: $damage" "$out" "headless/head"
	cmp -s headless/head damaged-head || fail "written without being asked: $damage"
	expect 0 provenv --store headless doctor
	has "doctor mends: $damage" "$out" "mended"
	expect 0 provenv --store headless doctor
	lacks "once: $damage" "$out" "mended"
done

# log/ older than head: lost events are named, and there is one way out.
copy
expect 0 provenv checkpoint --out kept.note
expect 0 provenv set A=lost1
expect 0 provenv set A=lost2
expect 0 provenv checkpoint --out lost.note
size=$(events)
cp .provenv/log/data.mdb whole.mdb
cp copy/log/data.mdb .provenv/log/data.mdb
expect 9 provenv get A
has "names what is lost" "$err" "$((size - 1))..$size"
expect 9 provenv verify --json
is "completeness" "$(json '[j["integrity"], j["completeness"]]')" '["ok", "failed"]'
has "names what is lost, in JSON" "$(json 'j["completeness_message"]')" "lost events $((size - 1))..$size"
expect 9 provenv verify
has "names what is lost" "$out" "lost events $((size - 1))..$size"
has "and the way out" "$out" "next:         restore a newer copy, or accept the loss: provenv doctor --accept-loss"
expect 9 provenv doctor
has "so does doctor" "$out" "lost events $((size - 1))..$size"
expect 9 provenv doctor --json
is "in JSON" "$(json 'j["findings"][-1]["state"]')" attention
expect 9 provenv set A=x
expect 5 provenv doctor --accept-loss=$((size - 2))
expect 2 provenv doctor --accept-loss=1 --confirm=x -m y
expect 0 provenv doctor --accept-loss=$((size - 2)) -n
has "a dry run says what it would do" "$out" "would accept that the log ends at event $((size - 2))"
expect 9 provenv get A
signer=$(basename "$(find "$XDG_CONFIG_HOME" -name '*@*.key')" .key)
expect 0 provenv doctor --accept-loss=$((size - 2)) --confirm="$signer" -m "disk was replaced"
expect 0 provenv get A
is "goes on from what there is" "$out" three
expect 0 provenv log --jsonl --max 1
is "recorded for ever" "$(json '[j["type"], j["payload"]["expected_size"]]')" "[\"store.recovered\", $size]"
generation=$(json 'j["payload"]["generation"]')
[[ $generation -gt 2 ]] || fail "generation $generation may have been used by the lost end"
expect 0 provenv verify
has "shown for ever" "$out" "event $((size - 1)) accepted that of $size events only $((size - 2)) were left"
expect 0 provenv verify --json
is "in JSON" "$(json '[[a["seq"], a["expected_size"], a["generation"]] for a in j["accepted_losses"]]')" \
	"[[$((size - 1)), $size, $generation]]"
expect 0 provenv checkpoint --out next.note
has "a new generation" "$(head -n 1 next.note)/" "/$generation/"
# Older checkpoints: of what was kept, and of what was lost.
expect 0 provenv verify --since kept.note --json
is "what was kept is whole" "$(json '[j["integrity"], j["completeness"]]')" '["ok", "ok"]'
expect 0 provenv verify --since next.note
expect 9 provenv verify --since lost.note --json
is "what was lost is lost" "$(json '[j["integrity"], j["completeness"]]')" '["ok", "failed"]'
expect 9 provenv verify --since lost.note
has "and named" "$out" "events $((size - 1))..$size of generation 1 are lost, which event $((size - 1)) accepted"
# The other way round: the log of before, with a checkpoint of the generation after.
copy
cp whole.mdb copy/log/data.mdb
rm -rf copy/state copy/head
expect 9 provenv --store copy verify --since next.note
has "a generation not known here" "$out" "of generation $generation, which this log does not know"

# A page of the state that only verify and status read: the log is whole, and says so.
expect 0 provenv verify
before=$out
python3 - .provenv/state <<'END'
import os, sqlite3, sys
name = next(n for n in sorted(os.listdir(sys.argv[1])) if n.endswith(".db"))
path = os.path.join(sys.argv[1], name)
db = sqlite3.connect(path)
db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
size = db.execute("PRAGMA page_size").fetchone()[0]
page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'violation'").fetchone()[0]
db.close()
with open(path, "r+b") as file:
    file.seek((page - 1) * size)
    file.write(b"\xff" * 200)
END
expect 0 provenv verify
is "the same verdict" "$out" "$before"
has "the state was rebuilt on the way" "$err" "state was damaged: rebuilt from the log"

# A store reached through a link keeps its state; one that cannot keep it says so.
copy
rm -rf copy/state
mkdir behind
mv copy behind/copy
ln -s behind linked
expect 0 provenv --store linked/copy get A
lacks "nothing to tell" "$err" "state"
[[ -e behind/copy/state/current ]] || fail "the state was not kept"
rm -rf behind/copy/state
: >behind/copy/state
expect 0 provenv --store linked/copy get A
has "it is told" "$err" "the state cannot be kept in state/"
rm -r behind linked

# The vault is gone: secrets are, and all else stays; doctor makes room for new ones.
copy
given s3cret 0 provenv --store copy set S --secret --stdin
rm -r copy/vault
expect 3 provenv --store copy get S --reveal
expect 1 provenv --store copy doctor -n
has "it is told" "$out" "vault/ is missing"
expect 0 provenv --store copy doctor
given again 0 provenv --store copy set S --secret --stdin
expect 0 provenv --store copy get S --reveal
is "a new secret" "$out" again

# Somebody else's store, or one on read-only media: all that only reads works.
stranger=(setpriv --reuid 65534 --regid 65534 --clear-groups env -u XDG_STATE_HOME -u XDG_CONFIG_HOME
	HOME=/nonexistent provenv --store "$work/dir/shared")
if [[ $(id -u) -eq 0 ]] && chmod a+x "$work" "$work/dir" && setpriv --reuid 65534 test -x "$PROVENV_BIN/provenv"; then
	cp -a .provenv shared
	chmod -R a+rX shared
	for words in "verify" "status" "get A" "log --max 1"; do
		# shellcheck disable=SC2086 # words
		expect 0 "${stranger[@]}" $words
	done
	expect 1 "${stranger[@]}" doctor -n
	has "looked at to the end" "$out" "the state is what the log says"
	chmod 700 shared
	expect 13 "${stranger[@]}" status
	has "it is there, but not for us" "$err" "Permission denied"
	rm -r shared
fi

# The log: cut short, empty, not a log.
copy
truncate -s 8192 copy/log/data.mdb
expect 9 provenv --store copy verify
expect 9 provenv --store copy get A
copy
head -c 65536 /dev/urandom >copy/log/data.mdb
expect 9 provenv --store copy get A
copy
: >copy/log/data.mdb
provenv --store copy get A >"$work/out" 2>&1
code=$?
checks=$((checks + 1))
[[ $code -eq 9 || $code -eq 10 ]] || fail "an empty log: exit $code"
expect 0 provenv doctor
