#!/usr/bin/env bash
# What a command refuses, what a dry run leaves alone, and what never reaches an output.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

unchanged() { is "nothing was appended: $1" "$(events)" "$before"; }

expect 0 provenv init
operator=$(provenv key ls --json | python3 -c 'import json, sys
print([k["name"] for k in json.load(sys.stdin)["keys"] if not k["name"].startswith("log-")][0])')

# A secret that violates its specification is not repeated, whatever makes it a secret.
expect 0 provenv spec set PIN --type int
given hunter2-very-secret 7 provenv set PIN --stdin --secret
lacks "a sealed value stays hidden" "$err" hunter2
given hunter2-very-secret 7 provenv set PIN --stdin --json
lacks "nor what came by a pipe" "$err" hunter2
expect 7 provenv set PIN=visible
has "control: a plain value is shown" "$err" visible
expect 2 provenv set 'API_PASSWORD=correct' horse-battery
lacks "nor what lost its quotes" "$err" horse
has "its place is told" "$err" "operand 2"

# An empty value is a shell variable that was not set; it must not widen what a command does.
expect 0 provenv set A=1 B=1
expect 0 provenv set A=2 B=2
before=$(events)
for words in "rollback --to HEAD~1 --only=" "rollback --to=" "diff --only=" "log --actor=" \
	"profile create x --from=" "ls --env=" "set A=3 --command-id=" "set A=3 --if-head=" \
	"set A=3 --reason=" "env switch production --confirm="; do
	# shellcheck disable=SC2086 # words
	expect 2 provenv $words
	has "says which: $words" "$err" "not empty"
done
unchanged "empty values"
expect 0 provenv spec set Z --default given --description text
expect 0 provenv spec set Z --default '' --description ''
expect 0 provenv spec show Z --json
lacks "an empty text removes a field" "$out" '"default"'
lacks "both of them" "$out" '"description"'

# A reason of blanks is none.
before=$(events)
expect 5 provenv set A=1 -e production -m '  ' --confirm=production
expect 5 provenv env switch production --confirm=production
expect 2 provenv set A=5 -m "$(printf '%5000s' x)"
expect 2 provenv set A=5 -n -m "$(printf '%5000s' x)"
unchanged "bad reasons"

# A protected environment that comes back is as protected as it was.
expect 0 provenv set P=1 -e production -m first --confirm=production
expect 0 provenv env switch production -m "go live" --confirm=production
live=$(events)
expect 0 provenv env switch development
expect 0 provenv env rm production -m "by mistake" --confirm=production
before=$(events)
expect 5 provenv rollback --to "$live"
expect 5 provenv rollback --to "$live" -m why
expect 5 provenv revert "$before"
expect 0 provenv rollback --to "$live" -n
unchanged "it comes back unconfirmed"
expect 0 provenv rollback --to "$live" -m "it was a mistake" --confirm=production
expect 0 provenv get P
is "it is active, with its variable" "$out" 1
expect 0 provenv env switch development -m back --confirm=production
expect 0 provenv env create open
expect 0 provenv env rm open
expect 0 provenv revert HEAD

# What was plain and is specified as secret does not come back plain.
expect 0 provenv set K=plainvalue
plain_at=$(events)
expect 0 provenv profile create brief --from default
expect 0 provenv unset K
expect 0 provenv spec set K --secret
has "the past is told" "$err" "'K' had plain values"
expect 7 provenv restore K --from "$plain_at"
has "says why" "$err" "specified as secret"
expect 7 provenv rollback --to "$plain_at" --only K
lacks "nor is it shown" "$err" plainvalue
expect 0 provenv set ONCE=plain -p brief
expect 0 provenv profile rm brief
expect 0 provenv spec set ONCE --secret
has "also of a profile that is gone" "$err" "'ONCE' had plain values"
expect 0 provenv set NEVER=x
expect 0 provenv unset NEVER
echo '{"variables": [{"key": "NEVER", "type": "string", "secret": true}]}' >"$work/secret.json"
expect 0 provenv spec import "$work/secret.json"
has "also by an import" "$err" "'NEVER' had plain values"
expect 0 provenv spec set FRESH --secret
lacks "control: a key without a past" "$err" "plain values"

# The directory above a store is not the store.
expect 10 provenv --store "$work/dir" get A
has "the store below is named" "$err" "did you mean $work/dir/.provenv?"

# Options that would be ignored are refused.
before=$(events)
expect 2 provenv diff development/ production/ -e development
expect 2 provenv doctor -m why
expect 2 provenv doctor --confirm="$operator"
expect 2 provenv log --range A
expect 2 provenv log --range --max 3
expect 2 provenv init --global --store "$work/elsewhere"
expect 2 provenv get A --raw
expect 3 provenv diff HEAD~1 HEAD -p typo
has "names it" "$err" "'typo'"
unchanged "ignored options"
expect 0 provenv checkpoint --out "$work/note" --json
is "the note is in both" "$(json 'j["note"]')" "$(cat "$work/note")"
expect 0 provenv spec export --json
is "it says what it is" "$(json 'j["schema"]')" provenv/catalogue/v1
printf '%s' "$out" >"$work/export.json"
expect 0 provenv spec import "$work/export.json"
unchanged "an export imports as it is"

# A category is of what is specified so, and of nothing else.
expect 0 provenv category set letters
expect 0 provenv spec set AAA --category letters
expect 0 provenv set BBB=1
expect 0 provenv ls --json
is "none of a key without specification" "$(json '[v["category"] for v in j["variables"] if v["key"] == "BBB"]')" '[null]'
expect 0 provenv ls -c letters
lacks "nor is it listed there" "$out" BBB
expect 0 provenv unset BBB

# Keys are named by every problem, also one that begins as its text does.
expect 0 provenv spec set req --required
expect 1 provenv spec check
has "the key stands before" "$out" "req: required, but not set"
expect 0 provenv spec rm req

# A lock that has run out is none, everywhere.
expect 0 provenv env lock testing --until 1s
expect 0 provenv status -e testing
has "it stands" "$out" "(locked)"
for _ in $(seq 50); do
	provenv env ls --json | grep -q '"locked":true' || break
	sleep 0.1
done
expect 0 provenv status -e testing
lacks "it ran out" "$out" "(locked)"
expect 2 provenv env lock testing --until 1970-01-01T00:00:00Z
expect 0 provenv log --until 1970-01-01T00:00:00Z
is "nothing is as old" "$out" ""

# Which pair is meant is told where it is not the active one.
expect 0 provenv env switch testing
expect 0 provenv get A --at HEAD~1
is "the pair of then" "$err" "active then: development/default"
expect 0 provenv get A --at HEAD~1 -e development
is "control: named" "$err" ""
expect 0 provenv env switch development

# A copy has what its source has.
expect 0 provenv profile create night --title Night --description "quiet hours"
expect 0 provenv profile clone night nights
expect 0 provenv profile show nights --json
is "description of the clone" "$(json 'j["description"]')" "quiet hours"

# A refused init leaves nothing.
export HOME="$work/other" XDG_CONFIG_HOME="$work/other/config"
mkdir -p "$HOME"
echo '{"variables": 7}' >"$work/bad.json"
expect 2 provenv init --store "$work/new" --catalogue "$work/bad.json"
expect 2 provenv init --store "$work/new" -m "$(printf '%5000s' x)"
expect 6 provenv init --store "$work/dir/.provenv"
mkdir "$work/project"
echo mine >"$work/project/head"
echo mine >"$work/project/notes"
expect 6 provenv init --store "$work/project"
has "not over other things" "$err" "holds other things than a store"
: >"$HOME/.config-file"
XDG_CONFIG_HOME="$HOME/.config-file" expect 13 provenv init --store "$work/new"
rm "$HOME/.config-file"
is "no half store is left" "$(ls -A "$work/project"; ls "$work/new" 2>/dev/null)" $'head\nnotes'
is "no files are left" "$(find "$HOME" "$work/new" -type f 2>/dev/null)" ""
expect 0 provenv init --store "$work/new"
is "control: two keys" "$(find "$HOME" -name '*.key' | wc -l)" 2
