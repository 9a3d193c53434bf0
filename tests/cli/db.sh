#!/usr/bin/env bash
# Databases of a profile: attached, listed, detached; where their files lie.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

expect 0 provenv init
mkdir data elsewhere
expect 0 provenv db ls
is "none at first" "$out" ""
expect 0 provenv db attach settings data/settings.sqlite
has "it is said" "$err" "development/default: added database settings"
has "and that there is no file yet" "$err" "data/settings.sqlite does not exist yet"
: >data/notes.txt
expect 0 provenv db attach notes ./elsewhere/../data/notes.txt --kind file
lacks "a file that is there needs no word" "$err" "does not exist"

# The same file again is nothing to do; another one is no attaching.
expect 0 provenv db attach settings data/settings.sqlite
has "nothing is done twice" "$err" "unchanged"
expect 6 provenv db attach settings data/other.sqlite
has "what is there is named" "$err" "'settings' is attached already, as sqlite data/settings.sqlite"
expect 6 provenv db attach settings data/settings.sqlite --kind file

# Relative to the folder of the store, wherever one stands; outside of it absolute.
(cd data && expect 0 provenv db attach market market.sqlite && [[ $failures -eq 0 ]]) || fail "market"
expect 0 provenv db attach outside "$work/outside.sqlite"
ln -s data link
expect 0 provenv db attach linked link/linked.sqlite
expect 0 provenv db ls --json
is "paths" "$(json '{d["name"]: d["path"] for d in j["databases"]}')" \
	"{\"linked\": \"data/linked.sqlite\", \"market\": \"data/market.sqlite\", \"notes\": \"data/notes.txt\", \"outside\": \"$work/outside.sqlite\", \"settings\": \"data/settings.sqlite\"}"
is "kinds" "$(json 'sorted({d["kind"] for d in j["databases"]})')" '["file", "sqlite"]'

expect 2 provenv db attach
expect 2 provenv db attach "bad name" data/x
expect 2 provenv db attach x data/x --kind mysql
expect 2 provenv db attach x ..
expect 2 provenv db attach x data/
expect 2 provenv db attach x ""
expect 3 provenv db attach x missing/x.sqlite
has "the directory is named" "$err" "cannot find directory missing"
expect 2 provenv db attach x data/notes.txt/x.sqlite
expect 3 provenv db detach setting
has "the nearest name" "$err" "did you mean 'settings'?"

# A dry run plans, a protected environment asks, the past stays.
expect 0 provenv db detach settings -n
has "the plan" "$out" "- database settings: data/settings.sqlite"
expect 5 provenv -e production db attach settings data/settings.sqlite
expect 0 provenv -e production db attach settings data/settings.sqlite -m live --confirm=production
expect 0 provenv db detach settings --json
is "what changed" "$(json '[(c["op"], c["key"]) for c in j["changes"]]')" '[["removed", "settings"]]'
expect 0 provenv db ls --json
is "one less" "$(json 'len(j["databases"])')" 4
expect 0 provenv db ls --json --at HEAD~1
is "in the past it is there" "$(json '"settings" in [d["name"] for d in j["databases"]]')" true
expect 0 provenv -e production db ls --json
is "and in the other environment" "$(json '[d["name"] for d in j["databases"]]')" '["settings"]'
expect 0 provenv rollback --to HEAD~1
expect 0 provenv db ls --json
is "a rollback brings it back" "$(json 'len(j["databases"])')" 5
expect 0 provenv verify
expect 0 provenv rebuild --compare
