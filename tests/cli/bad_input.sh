#!/usr/bin/env bash
# Wrong input is refused with the right code, changes nothing, and says what to do.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

expect 0 provenv init --catalogue "$source_dir/docs/examples/catalogue.json"
expect 0 provenv set A=1
start=$(events)

# keys
for key in '' 1A 'A B' A-B Ä 'A.B' "$(printf 'A%.0s' {1..256})"; do
	expect 2 provenv set "$key=1"
	expect 2 provenv get "$key"
done
expect 2 provenv set A
has "a missing = is explained" "$err" "KEY=VALUE"
expect 2 provenv set A=1 A=2

# values
big=$(head -c 32769 /dev/zero | tr '\0' x)
expect 2 provenv set "A=$big"
lacks "a value is not echoed" "$err" "xxxxxxxx"
given "$big" 2 provenv set A --stdin
given "${big:1}" 0 provenv set A --stdin -n
expect 2 provenv set A=$'\xff\xfe'
printf 'a\0b' >nul
expect 2 provenv set A --file nul
given $'two\nlines\n' 0 provenv set LINES --stdin
expect 0 provenv get LINES
is "newlines are kept, one trailing is stripped" "$out" $'two\nlines'
expect 0 provenv set "EQ=a=b" EMPTY=
expect 0 provenv get EQ
is "the first = splits" "$out" "a=b"
expect 0 provenv get EMPTY
is "empty is a value" "$out" ""
expect 3 provenv set A --file no-such-file

# specification
for wrong in TRADING_MODE=real MAX_POSITION_SIZE_KRW=-1 MAX_POSITION_SIZE_KRW=1.5 \
	STOP_LOSS_PERCENTAGE=100.01 UPBIT_CONSOLE_OUTPUT=yes UPBIT_BRIEFING_UPDATE_INTERVAL=61 \
	API_TIMEOUT_SECONDS=0 THREAD_POOL_SIZE=ten; do
	expect 7 provenv set "$wrong"
	has "names the key" "$err" "${wrong%%=*}"
done
expect 0 provenv set STOP_LOSS_PERCENTAGE=100 -n
expect 2 provenv spec set A --type nothing
expect 2 provenv spec set A --type int --min 5 --max 1
expect 2 provenv spec set A --pattern '('
expect 3 provenv spec set A --category tradign
has "nearest category" "$err" trading
expect 3 provenv spec show NOTHING
expect 4 provenv category rm trading

# unknown names suggest the nearest
expect 3 provenv ls -e prodution
has "nearest environment" "$err" production
expect 3 provenv ls -p defualt
has "nearest profile" "$err" default
expect 3 provenv get TRADING_MOD
has "nearest key" "$err" TRADING_MODE
expect 2 provenv sett A=1
has "nearest command" "$err" set
expect 2 provenv env swich x
has "nearest verb" "$err" switch
expect 2 provenv set A=1 --reaosn x
has "nearest option" "$err" --reason
expect 2 provenv get A --to 1
expect 2 provenv get A -n
expect 2 provenv get
expect 2 provenv get A B
expect 2 provenv set A=1 -e ''

# REFs
expect 3 provenv get A --at 9999
has "the valid range" "$err" "1.."
expect 2 provenv get A --at nonsense
expect 2 provenv get A --at HEAD~x
expect 3 provenv get A --at @1999-01-01
expect 3 provenv get A --at HEAD~999

# protection, locks
expect 5 provenv set A=1 -e production
has "asks for a reason" "$err" "-m"
expect 5 provenv set A=1 -e production -m why --no-input
has "asks for the confirmation" "$err" "--confirm=production"
expect 5 provenv set A=1 -e production -m why --confirm=testing
expect 5 provenv env switch production -m why
expect 0 provenv set A=1 -e production -n
is "refusals made no event" "$(events)" "$((start + 2))"
expect 0 provenv set A=1 -e production -m why --confirm=production
expect 0 provenv env lock testing --until 1h
expect 4 provenv set A=1 -e testing
has "says how to lift the lock" "$err" "unlock"
expect 0 provenv env unlock testing
expect 4 provenv env rm development
expect 4 provenv profile rm default
expect 6 provenv env create testing
expect 2 provenv env create 'a/b'
expect 2 provenv profile create ..

# keys
expect 0 provenv key gen other@desk
expect 12 provenv set A=2 --as other@desk
expect 12 provenv set A=2 --as nobody
expect 6 provenv key gen other@desk
expect 2 provenv key gen '../x'
key=$(find "$XDG_CONFIG_HOME" -name '*@*.key' ! -name 'other*')
chmod 640 "$key"
expect 12 provenv set A=2
has "names the fix" "$err" "chmod 600"
chmod 600 "$key"
cp "$key" "$key.bak"
printf 'garbage\n' >"$key"
expect 12 provenv set A=2
mv "$key.bak" "$key"

# conflicts and idempotence
expect 0 provenv status --json
head=$(json 'j["head"]["hash"]')
expect 6 provenv set A=3 --if-head "$(printf '0%.0s' {1..64})"
expect 2 provenv set A=3 --if-head xyz
expect 0 provenv set A=3 --if-head "$head"
id=01890a5d-ac96-774b-bcce-b302099a8057
expect 0 provenv set A=4 --command-id "$id" --json
first=$(json 'j["seq"]')
now=$(events)
expect 0 provenv set A=5
expect 0 provenv set A=4 --command-id "$id" --json
is "the first result again" "$(json 'j["seq"]')" "$first"
is "a repeat makes no event" "$(events)" "$((now + 1))"
expect 6 provenv set A=6 --command-id "$id"
expect 2 provenv set A=6 --command-id short

# errors as JSON, on stderr
expect 3 provenv get NOTHING_HERE --json
is "stdout is empty" "$out" ""
out=$err
is "code and hint" "$(json '[j["code"], j["schema"], len(j["message"]) > 0]')" '[3, "provenv/error/v1", true]'

# a full device is noticed
if [[ -e /dev/full ]]; then
	checks=$((checks + 1))
	provenv ls >/dev/full 2>/dev/null
	[[ $? -eq 13 ]] || fail "a full stdout is an error"
fi
expect 0 provenv verify
