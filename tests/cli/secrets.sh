#!/usr/bin/env bash
# A secret's plaintext is found nowhere but on stdout with --reveal.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

plain=correct-horse-battery-staple
expect 0 provenv init
given "$plain" 0 provenv set API_TOKEN --stdin --secret
lacks "set is silent about it" "$out$err" "$plain"
printf '%s\n' "$plain" >file
expect 0 provenv set OTHER --file file --secret -m "two of them"
expect 4 provenv set PASSWORD=abc
lacks "a refused value is not echoed" "$err" abc
expect 4 provenv set "API_TOKEN=$plain"
lacks "nor this one" "$out$err" "$plain"
given "$plain" 4 provenv set DB_PASSWORD --stdin
expect 0 provenv set DB_PASSWORD=harmless --plain

expect 4 provenv get API_TOKEN
is "stdout is empty" "$out" ""
has "hint" "$err" "--reveal"
expect 4 provenv get API_TOKEN --json
is "masked in JSON" "$(json '[j["value"], j["secret"], j["masked"]]')" '[null, true, true]'
expect 0 provenv get API_TOKEN --reveal
is "revealed" "$out" "$plain"
expect 0 provenv get OTHER --reveal --json
is "revealed in JSON" "$(json 'j["value"]')" "$plain"
expect 0 provenv ls --reveal
has "ls reveals when asked" "$out" "$plain"

# Setting the same secret makes no event; another one does.
before=$(events)
given "$plain" 0 provenv set API_TOKEN --stdin
is "unchanged secret" "$(events)" "$before"
given "$plain!" 0 provenv set API_TOKEN --stdin
is "changed secret" "$(events)" "$((before + 1))"
expect 0 provenv restore API_TOKEN --from HEAD~1
expect 0 provenv get API_TOKEN --reveal
is "restored without being read" "$out" "$plain"

# Idempotent retry compares opened values.
id=01890a5d-ac96-774b-bcce-b302099a8057
given one 0 provenv set API_TOKEN --stdin --command-id "$id"
given one 0 provenv set API_TOKEN --stdin --command-id "$id"
given two 6 provenv set API_TOKEN --stdin --command-id "$id"

expect 0 provenv env clone development staging
expect 0 provenv get OTHER --reveal -e staging
is "cloned with its own key" "$out" "$plain"
expect 0 provenv rollback --to HEAD~1 -n
expect 0 provenv verify --deep --json
is "deep check" "$(json '[j["integrity"], j["secrets_checked"] > 3]')" '["ok", true]'

for command in "ls" "ls --json" "log" "log --json" "log --jsonl" "blame" "blame --json" "status" \
	"diff HEAD~5 HEAD" "diff HEAD~5 HEAD --json" "show HEAD" "show HEAD --json" "show 12" \
	"rollback --to HEAD~5 -n" "rollback --to HEAD~5 -n --json" "profile show" "spec check" \
	"verify --deep" "doctor" "key ls" "checkpoint"; do
	# shellcheck disable=SC2086 # words on purpose
	provenv $command >"$work/out" 2>"$work/err"
	code=$?
	checks=$((checks + 1))
	[[ $code -le 1 && -s $work/out ]] || fail "exit $code, or nothing said: $command"
	! grep -q "$plain" "$work/out" "$work/err" || fail "plaintext in the output of: $command"
done
provenv-replay state .provenv >"$work/out" 2>&1
provenv-replay state .provenv --json >>"$work/out" 2>&1
provenv-replay diff .provenv 1 HEAD >>"$work/out" 2>&1
checks=$((checks + 1))
! grep -q "$plain" "$work/out" || fail "plaintext in the output of provenv-replay"

# The whole store, config and state directories, raw.
checks=$((checks + 1))
! grep -ra "$plain" .provenv "$XDG_CONFIG_HOME" "$XDG_STATE_HOME" >/dev/null 2>&1 ||
	fail "plaintext on disk"
# The rig can find it: the file that was read is there.
checks=$((checks + 1))
grep -ra "$plain" file >/dev/null || fail "the rig cannot find what it looks for"

# Nor on a terminal that it is typed on.
typed=$(python3 - "$plain" <<'END'
import os, pty, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("provenv", ["provenv", "set", "TYPED_TOKEN", "--secret", "--stdin"])
for _ in range(1000):
    if not termios.tcgetattr(fd)[3] & termios.ECHO:
        break
    time.sleep(0.01)
os.write(fd, sys.argv[1].encode() + b"\n\x04")
shown = b""
try:
    while data := os.read(fd, 4096):
        shown += data
except OSError:
    pass
print("shown" if sys.argv[1].encode() in shown else "hidden", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
)
is "what is typed is not shown" "$typed" "hidden 0"
expect 0 provenv get TYPED_TOKEN --reveal
is "and taken" "$out" "$plain"

# A vault file that is gone is reported, and the proof still verifies.
rm .provenv/vault/*
expect 3 provenv get API_TOKEN --reveal
expect 0 provenv verify
expect 9 provenv verify --deep
