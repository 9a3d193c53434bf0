#!/usr/bin/env bash
# Rollback, restore and revert from outside: scope, plan, refusals, and repetition by command id.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

value() { provenv get "$@" 2>/dev/null || echo "(none)"; }

expect 0 provenv init
expect 0 provenv set A=1 API_KEEP=1 --plain
expect 0 provenv set T=1 -e testing
goal=$(events)
expect 0 provenv set A=2 API_KEEP=2 --plain
expect 0 provenv set T=2 -e testing
expect 0 provenv profile create night
expect 0 provenv set N=1 -p night
before=$(events)

# A plan changes nothing.
expect 0 provenv rollback --to "$goal" -n --json
is "it is a plan" "$(json 'j["planned"]')" true
is "of all that differs" "$(json 'sorted(c["key"] for c in j["changes"])')" '["A", "API_KEEP", "N", "T", "night"]'
is "and no more" "$(events)" "$before"

# Scopes: a glob, a profile, an environment, the store.
expect 0 provenv rollback --to "$goal" --only 'API_*'
is "only what matches" "$(value A) $(value API_KEEP) $(value T -e testing)" "2 1 2"
expect 0 provenv rollback --to "$goal" -e testing
is "only the environment" "$(value A) $(value T -e testing)" "2 1"
expect 0 provenv rollback --to "$goal" -e development -p default
is "only the profile" "$(value A) $(value N -p night)" "1 1"
expect 0 provenv rollback --to "$goal"
is "the store" "$(value A) $(value N -p night)" "1 (none)"
expect 1 provenv diff "$goal" HEAD~4
expect 0 provenv diff "$goal" HEAD
expect 0 provenv rollback --to "$goal"
has "nothing is left to do" "$err" unchanged
expect 0 provenv rollback --to "$before"
expect 0 provenv diff "$before" HEAD
is "and forward again" "$(value A) $(value N -p night)" "2 1"
expect 3 provenv rollback --to 999999
expect 3 provenv rollback --to "$goal" -e nowhere
expect 2 provenv rollback

# Old values meet the specification of today.
expect 0 provenv spec set A --type int --min 2
head=$(events)
expect 7 provenv rollback --to "$goal" --only A
has "names the rule" "$err" "under the minimum 2"
expect 7 provenv restore A --from "$goal"
is "refused, nothing changed" "$(events)" "$head"
expect 0 provenv rollback --to "$goal" --only A --force
is "unless it is meant" "$(value A)" 1
expect 0 provenv spec rm A

# Restore of one variable.
expect 0 provenv restore A --from "$before"
is "what it was" "$(value A)" 2
expect 3 provenv restore NEVER --from "$before"
has "where to look" "$err" "provenv log NEVER"

# Revert of one command; not when it was changed since.
expect 0 provenv set A=5 R=1
reverted=$(events)
expect 0 provenv revert "$reverted"
is "undone" "$(value A) $(value R)" "2 (none)"
expect 6 provenv revert "$reverted"
has "says what changed since" "$err" "was changed again since"
expect 4 provenv revert 1

# Protected environments: a reason and a confirmation, for each that is touched.
expect 0 provenv set P=1 -e production -m one --confirm=production
expect 0 provenv set P=2 -e production -m two --confirm=production
head=$(events)
expect 5 provenv rollback --to HEAD~1
expect 5 provenv rollback --to HEAD~1 -m back
expect 5 provenv restore P --from HEAD~1 -e production -m back --confirm=development
expect 5 provenv revert HEAD --no-input
is "refused, nothing changed" "$(events)" "$head"
expect 0 provenv rollback --to HEAD~1 -m back --confirm=production
is "done" "$(value P -e production)" 1
expect 0 provenv env lock testing -m freeze
expect 4 provenv rollback --to "$goal" -e testing
has "locked by whom" "$err" "env unlock testing"
expect 0 provenv env unlock testing

# The same id is the same command: carried out once, answered each time.
id=01890000-0000-7000-8000-000000000001
expect 0 provenv set A=8
expect 0 provenv rollback --to HEAD~1 --command-id "$id" --json
result=$(json '[j["first_seq"], j["seq"], j["hash"]]')
head=$(events)
expect 0 provenv set A=9
expect 0 provenv rollback --to HEAD~1 --command-id "$id" --json
is "its first result" "$(json '[j["first_seq"], j["seq"], j["hash"]]')" "$result"
is "and no more events" "$(events)" "$((head + 1))"
expect 6 provenv rollback --to "$goal" --command-id "$id"

# Compare and swap.
expect 0 provenv status --json
hash=$(json 'j["head"]["hash"]')
expect 0 provenv set A=10 --if-head "$hash"
expect 6 provenv rollback --to "$goal" --if-head "$hash" -m back --confirm=production
is "the swap failed" "$(value A)" 10
expect 0 provenv verify
expect 0 provenv rebuild --compare
