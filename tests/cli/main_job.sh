#!/usr/bin/env bash
# The main job: make a store, change it, read the past, damage it, find it, rebuild, roll back.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

expect 10 provenv get A
has "no store says how to make one" "$err" "provenv init"

expect 0 provenv init --catalogue "$source_dir/docs/examples/catalogue.json"
is "store mode" "$(stat -c %a .provenv)" 700
is "kept out of git" "$(cat .provenv/.gitignore)" "*"
expect 6 provenv init
expect 0 provenv env ls --json
is "environments" "$(json '[[e["name"], e["active"], e["protected"]] for e in j["environments"]]')" \
	'[["development", true, false], ["production", false, true], ["testing", false, false]]'
expect 0 provenv spec ls --json
is "28 specifications" "$(json 'len(j["specifications"])')" 28
expect 0 provenv category ls --json
is "4 categories" "$(json 'len(j["categories"])')" 4

# Acceptance 2: the past by commands back; log, blame and diff agree.
expect 0 provenv set A=1
expect 0 provenv set A=2 -m "second thought"
has "a write says where it went" "$err" "development/default: set A (event "
expect 0 provenv get A --at HEAD~1
is "the value before" "$out" 1
expect 0 provenv get A
is "the value now" "$out" 2
expect 0 provenv blame A --json
blame=$(json '[j["lines"][0][k] for k in ("actor", "time", "before", "after", "reason", "seq")]')
expect 0 provenv log A --jsonl --max 1
log=$(json '[j["actor"], j["time"], "1", j["payload"]["changes"][0]["set"], j["reason"], j["seq"]]')
is "log and blame agree" "$log" "$blame"
expect 1 provenv diff HEAD~1 HEAD --json
is "diff agrees" "$(json '[[c["key"], c["op"], c["before"], c["after"]] for c in j["changes"]]')" \
	'[["A", "changed", "1", "2"]]'
expect 0 provenv diff HEAD HEAD

# Equal values make no event.
before=$(events)
expect 0 provenv set A=2
has "unchanged" "$err" unchanged
is "no event" "$(events)" "$before"

# Defaults of the catalogue show, with their origin.
expect 0 provenv get UPBIT_LOG_LEVEL --json
is "default" "$(json '[j["value"], j["origin"], j["category"]]')" '["INFO", "default", "logging"]'

# A group counts once for HEAD~n, and is all or nothing.
expect 0 provenv set B=1 C=1 D=1
expect 7 provenv set B=2 TRADING_MODE=lvie
has "names the allowed values" "$err" "paper"
has "suggests" "$err" "live"
expect 0 provenv get B
is "nothing was written" "$out" 1

# A dry run changes nothing and shows the plan.
before=$(events)
expect 0 provenv set B=9 -n
has "plan" "$out" "B"
is "dry run makes no event" "$(events)" "$before"

# Acceptance 3: state is a function of the log.
expect 0 provenv status --json
hash=$(json 'j["state_hash"]')
rm -r .provenv/state
expect 0 provenv get A
is "after losing the state" "$out" 2
expect 0 provenv rebuild --compare
expect 0 provenv-replay state .provenv --json
is "the replay tool agrees" "$(json 'j["state_hash"]')" "$hash"

# Rollback to a moment, history keeps both.
expect 0 provenv status --json
seq=$(json 'j["head"]["seq"]')
expect 0 provenv set A=3 E=5
expect 0 provenv unset B
expect 0 provenv rollback --to "$seq" -n
has "the plan names A" "$out" A
expect 0 provenv rollback --to "$seq" -m "back"
expect 0 provenv get A
is "A is back" "$out" 2
expect 0 provenv get B
is "B is back" "$out" 1
expect 3 provenv get E
expect 0 provenv status --json
is "the state of then" "$(json 'j["state_hash"]')" "$hash"
expect 0 provenv get A --at "$((seq + 1))"
is "history keeps the mistake" "$out" 3
expect 0 provenv verify --json
is "verdict" "$(json '[j["integrity"], j["completeness"], j["first_bad"]]')" '["ok", "unanchored", null]'

# restore and revert
expect 0 provenv set A=7
expect 0 provenv restore A --from HEAD~1
expect 0 provenv get A
is "restored" "$out" 2
expect 0 provenv set F=1
expect 0 provenv log --jsonl --max 1
made=$(json 'j["seq"]')
expect 0 provenv set G=1
expect 0 provenv revert "$made"
expect 3 provenv get F
expect 0 provenv set A=8
expect 0 provenv log --jsonl --max 1
made=$(json 'j["seq"]')
expect 0 provenv set A=9
expect 6 provenv revert "$made"

# A checkpoint is a signed note that others can verify, and verify can start from.
expect 0 provenv checkpoint --out head.note
expect 0 provenv checkpoint --json
vkey=$(json 'j["vkey"]')
expect 0 python3 "$here/verify_note.py" "$vkey" head.note
expect 0 provenv set H=1
expect 0 provenv verify --since head.note --json
is "anchored" "$(json '[j["integrity"], j["completeness"]]')" '["ok", "ok"]'
sed "2s/.*/1/" head.note >forged.note
expect 9 provenv verify --since forged.note
sed '1s/^provenv/Provenv/; s/ provenv/ Provenv/' head.note >foreign.note
expect 12 provenv verify --since foreign.note
