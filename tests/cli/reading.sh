#!/usr/bin/env bash
# Commands that only read: what they answer now and for a moment of the past, as text and as JSON,
# and what they say to a name that is not there.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

expect 0 provenv init --catalogue "$source_dir/docs/examples/catalogue.json"
made=$(events)
expect 0 provenv set TRADING_MODE=paper MAX_POSITION_SIZE_KRW=1000000 -m first
first=$(events)
expect 0 provenv set MAX_POSITION_SIZE_KRW=2000000 -m second
second=$(events)
expect 0 provenv env create staging --description "as production"
expect 0 provenv profile create night --description "quiet hours"
expect 0 provenv set TRADING_MODE=live -p night
expect 0 provenv set EXTRA=plain -e staging
last=$(events)

# Specifications: shown, listed, judged, printed and taken in again.
expect 0 provenv spec check
is "all is valid" "$out" "development/default: valid"
expect 0 provenv spec show TRADING_MODE --json
is "a specification" "$(json '[j["specification"][k] for k in ("type", "enum", "default", "required")]')" \
	'["enum", ["paper", "live"], "paper", true]'
expect 3 provenv spec show TRADING_MOD
has "the nearest is named" "$err" "TRADING_MODE"
expect 0 provenv spec ls --json
is "all of them" "$(json 'len(j["specifications"])')" 28
expect 0 provenv spec export
printf '%s\n' "$out" >export.json
expect 0 provenv spec import export.json
is "an export changes nothing" "$(events)" "$last"
expect 0 provenv spec set MAX_POSITION_SIZE_KRW --max 1500000
expect 1 provenv spec check --json
is "what no longer fits" "$(json '[j["valid"], [p["key"] for p in j["problems"]]]')" \
	'[false, ["MAX_POSITION_SIZE_KRW"]]'
expect 1 provenv profile verify
has "the rule is named" "$out" "MAX_POSITION_SIZE_KRW: 2000000 is over the maximum 1500000"
expect 1 provenv profile verify night
has "what is missing, and how to set it" "$out" "provenv set MAX_POSITION_SIZE_KRW=VALUE"
expect 0 provenv spec check --at "$second"
expect 0 provenv spec import export.json -n
has "what would change" "$out" "MAX_POSITION_SIZE_KRW"
expect 1 provenv spec check
expect 0 provenv spec import export.json
expect 0 provenv spec check

# Environments, profiles, categories.
expect 0 provenv env ls --json
is "environments" "$(json '[[e["name"], e["active"], e["protected"]] for e in j["environments"]]')" \
	'[["development", true, false], ["production", false, true], ["staging", false, false], ["testing", false, false]]'
expect 0 provenv env ls --at "$made" --json
is "as they were" "$(json '[e["name"] for e in j["environments"]]')" '["development", "production", "testing"]'
expect 0 provenv env show staging --json
is "one of them" "$(json '[j["name"], j["description"], j["profile"]]')" '["staging", "as production", "default"]'
expect 3 provenv env show stagin
has "did you mean" "$err" "'staging'"
expect 0 provenv profile ls --json
is "profiles" "$(json '[[p["name"], p["active"], p["variables"]] for p in j["profiles"]]')" \
	'[["default", true, 2], ["night", false, 1]]'
expect 0 provenv profile show night --json
is "one of them" "$(json '[j["environment"], j["name"], j["description"], j["variables"]]')" \
	'["development", "night", "quiet hours", 1]'
expect 0 provenv profile show --json
is "its databases" "$(json 'j["databases"][0]')" \
	'{"kind": "sqlite", "name": "market_data", "path": "data/market_data.sqlite3"}'
expect 3 provenv profile show nigt
expect 0 provenv category ls --json
is "categories" "$(json '[c["name"] for c in j["categories"]]')" '["api", "logging", "system", "trading"]'

# Variables: one, a category, of another place, of another time.
expect 0 provenv ls -c trading --json
is "a category, with defaults" "$(json '[[v["key"], v["origin"]] for v in j["variables"]]')" \
	'[["MAX_POSITION_SIZE_KRW", "own"], ["RISK_MANAGEMENT_ENABLED", "default"], ["TRADING_MODE", "own"]]'
expect 3 provenv ls -e staging -c tradin
has "the nearest category" "$err" "'trading'"
expect 0 provenv get EXTRA -e staging
is "elsewhere" "$out" plain
expect 0 provenv get TRADING_MODE -p night
is "another profile" "$out" live
expect 0 provenv get MAX_POSITION_SIZE_KRW --at "$first" --json
is "at a number" "$(json '[j["value"], j["seq"]]')" "[\"1000000\", $first]"
expect 0 provenv get MAX_POSITION_SIZE_KRW --at @2999-01-01
is "at a time to come" "$out" 2000000
has "told which event" "$err" "@2999-01-01 is event"
expect 3 provenv get MAX_POSITION_SIZE_KRW --at @1999-01-01
expect 3 provenv get MAX_POSITION_SIZE_KRW --at HEAD~999
expect 2 provenv get MAX_POSITION_SIZE_KRW --at yesterday
given $'two\nlines\n' 0 provenv set NOTE --stdin
expect 0 provenv get NOTE
is "one last newline goes" "$(wc -c <"$work/out")" 10
given $'two\nlines\n' 0 provenv set NOTE --stdin --exact
expect 0 provenv get NOTE --json
is "unless it is to stay" "$(json '[j["value"]]')" '["two\nlines\n"]'

# History: filters, one event, who set what.
expect 0 provenv log MAX_POSITION_SIZE_KRW --type variables.changed --json
is "of one key" "$(json '[e["seq"] for e in j["events"]]')" "[$second, $first]"
expect 0 provenv log --max 1 --jsonl
is "the newest" "$(json 'j["seq"]')" "$(events)"
operator=$(json 'j["actor"]')
expect 0 provenv log --actor "$operator" --json
is "of one actor" "$(json 'len(j["events"])')" "$(events)"
expect 0 provenv log --actor nobody --json
is "of another" "$(json 'j["events"]')" '[]'
expect 0 provenv log --since 1h --json
is "of the last hour" "$(json 'len(j["events"])')" "$(events)"
expect 0 provenv log --until 1h --json
is "before that" "$(json 'j["events"]')" '[]'
expect 2 provenv log --since tomorrow-ish
expect 0 provenv log --at "$first" --max 1 --jsonl
is "as of an event" "$(json 'j["seq"]')" "$first"
expect 0 provenv log --range --json
is "its range" "$(json '[j["schema"], j["first_seq"], j["last_seq"]]')" "[\"provenv/log range/v1\", 1, $(events)]"
expect 0 provenv show "$second" --json
is "one event" "$(json '[j["reason"], [[c["before"], c["after"]] for c in j["changes"]]]')" \
	'["second", [["1000000", "2000000"]]]'
expect 0 provenv show "$second"
has "in words" "$out" "MAX_POSITION_SIZE_KRW: 1000000 → 2000000"
expect 3 provenv show 999999
expect 0 provenv blame MAX_POSITION_SIZE_KRW --json
is "blame" "$(json '[[b["key"], b["after"], b["before"], b["seq"], b["reason"]] for b in j["lines"]]')" \
	"[[\"MAX_POSITION_SIZE_KRW\", \"2000000\", \"1000000\", $second, \"second\"]]"
expect 0 provenv blame MAX_POSITION_SIZE_KRW --at "$first" --json
is "blame of then" "$(json 'j["lines"][0]["seq"]')" "$first"

# Differences, in every form.
expect 1 provenv diff "$first" "$second" --json
is "two moments" "$(json '[[c["key"], c["op"], c["before"], c["after"]] for c in j["changes"]]')" \
	'[["MAX_POSITION_SIZE_KRW", "changed", "1000000", "2000000"]]'
expect 1 provenv diff "$second" "$first"
has "the other way round" "$out" "MAX_POSITION_SIZE_KRW: 2000000 → 1000000"
expect 0 provenv diff "$second" "$second"
expect 1 provenv diff development/ staging/ --json
is "two environments" "$(json 'sorted([c["key"], c["op"]] for c in j["changes"] if c["kind"] == "variable")')" \
	'[["EXTRA", "added"], ["MAX_POSITION_SIZE_KRW", "removed"], ["NOTE", "removed"], ["TRADING_MODE", "removed"]]'
expect 1 provenv diff development/default development/night --only 'TRADING_*' --json
is "two profiles, some keys" "$(json '[[c["before"], c["after"]] for c in j["changes"]]')" '[["paper", "live"]]'
expect 1 provenv diff "development/default@$first" development/default --only 'MAX*'
has "a profile then and now" "$out" "1000000 → 2000000"
expect 0 provenv diff "$first" "$second" -e production
expect 1 provenv diff "$first" "$second" -e development -p default
expect 3 provenv diff nowhere/ staging/

# Keys.
expect 0 provenv key ls --json
is "the operator's" "$(json '[[k["role"], k["enrolled"], k["here"]] for k in j["keys"] if k["name"] == "'"$operator"'"]')" \
	'[["admin", true, true]]'
expect 0 provenv key gen spare --json
is "a new one is a file" "$(json 'j["name"]')" spare
expect 0 provenv key ls --json
is "which no store knows yet" "$(json '[k["enrolled"] for k in j["keys"] if k["name"] == "spare"]')" '[false]'
expect 6 provenv key gen spare

# The user's own store, from anywhere.
expect 0 provenv init --global
expect 0 provenv status --store "$XDG_DATA_HOME/provenv/default" --json
is "it is there" "$(json 'j["profile"]')" default
mkdir "$work/elsewhere"
cd "$work/elsewhere" || exit 1
expect 0 provenv status --json
is "and found" "$(json 'j["store"]')" "$XDG_DATA_HOME/provenv/default"
