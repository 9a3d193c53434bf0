#!/usr/bin/env bash
# A second reader, written from the pages on formats, reaches the same hashes as the program, of a
# log that somebody else wrote too; and notices when a byte is another.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

reader=$here/second_reader.py
export PYTHONDONTWRITEBYTECODE=1

# The module lmdb belongs to Debian's python3, which need not be the first one in the path.
dumper=
for candidate in python3 /usr/bin/python3; do
	if "$candidate" -c 'import lmdb' 2>/dev/null; then
		dumper=$candidate
		break
	fi
done
if [[ -z $dumper ]]; then
	fail "no Python here has the module lmdb" "install it with: tools/deps check"
	exit 1
fi

# agree WHAT [RULE...]: both readers tell the same of the store as it is now, and that commands broke
# these rules. Leaves the second one's answer in $out.
agree() {
	local answer theirs

	expect 0 "$dumper" "$reader" dump .provenv
	cp "$work/out" "$work/dump"
	expect 0 python3 "$reader" read "$work/dump"
	answer=$out
	is "$1: nothing is wrong" "$(json 'j["problems"]')" "[]"
	is "$1: commands without effect" "$(json '" ".join(rule for _, rule in j["violations"])')" "${*:2}"
	theirs=$(json '[*(j[k] for k in ("log_id", "size", "root", "hash", "environment", "state_hash")),
		len(j["violations"])]')
	expect 0 provenv status --json
	is "$1: status" "$(json '[j["log_id"], j["events"], j["head"]["root"], j["head"]["hash"],
		j["environment"], j["state_hash"], j["violations"]]')" "$theirs"
	expect 0 provenv checkpoint --out "$work/note"
	out=$answer
	theirs="ok $(json 'j["origin"]') $(json 'j["size"]') $(json '__import__("base64").b64encode(
		bytes.fromhex(j["root"])).decode()')"
	expect 0 python3 "$here/verify_note.py" "$(json 'j["vkey"]')" "$work/note"
	is "$1: the checkpoint" "$out" "$theirs"
	out=$answer
}

# Commands of every kind.
cat >catalogue.json <<-'EOF'
	{
	  "categories": [{"name": "trading", "title": {"ko": "거래", "en": "Trading"}}],
	  "environments": [{"name": "development"}, {"name": "production", "protected": true}],
	  "databases": [{"name": "settings", "kind": "sqlite", "path": "data/settings.sqlite3"}],
	  "variables": [
	    {"key": "TRADING_MODE", "category": "trading", "type": "enum", "enum": ["paper", "live"]}
	  ]
	}
EOF
expect 0 provenv init --catalogue catalogue.json
agree "a new store"
expect 0 provenv category set extra --title Extra --status planned
expect 0 provenv spec set RETRIES --type int --category extra --min 0 --max 9 --default 3 --unit times
expect 0 provenv spec set MODE --type enum --enum fast,slow --description "how"
expect 0 provenv spec rm RETRIES
expect 0 provenv category rm extra
expect 0 provenv set A=1 B="$(printf 'x%.0s' {1..300})" -m "two, one of them long"
expect 0 provenv set A=needle EMPTY= "GREETING=안녕"
given "correct horse" 0 provenv set API_TOKEN --stdin --secret
given "battery staple" 0 provenv set API_TOKEN --stdin --secret
expect 0 provenv unset B
expect 0 provenv restore B --from HEAD~1
expect 0 provenv profile create night --from default --title "At night"
expect 0 provenv profile edit night --description "few people"
expect 0 provenv profile switch night
expect 0 provenv set A=dark
expect 0 provenv profile switch default
expect 0 provenv profile clone night late
expect 0 provenv profile rm night
expect 0 provenv env create staging --title Staging
expect 0 provenv env edit staging --description "nearly real"
expect 0 provenv env protect staging
expect 0 provenv env unprotect staging -m "no more" --confirm=staging
expect 0 provenv env clone development copy
expect 0 provenv env lock copy --until 2h
expect 0 provenv env unlock copy
expect 0 provenv env lock copy
expect 0 provenv env unlock copy
expect 0 provenv env switch copy
expect 0 provenv set A=elsewhere
expect 0 provenv env switch development
expect 0 provenv env rm copy
expect 0 provenv rollback --to HEAD~1 -m "it was needed"
expect 0 provenv env create brief
expect 0 provenv revert "$(events)"
size=$(events)
agree "a store with a history"
is "all types but of a loss and of detaching are in it" "$(json '", ".join(j["types"])')" \
	"category.defined, category.removed, database.attached, environment.changed, \
environment.created, environment.keyed, environment.locked, environment.removed, \
environment.switched, environment.unlocked, profile.changed, profile.created, profile.removed, \
profile.switched, state.rolled_back, store.created, variable.specified, variable.unspecified, \
variables.changed"
whole=$out
cp "$work/dump" whole.dump

# The control arm: one byte is another, in a value, so that all can still be read and folded.
sed '/^events /s/6e6565646c65/6f6565646c65/' whole.dump >needle.dump
is "one line differs" "$(diff whole.dump needle.dump | grep -c '^>')" 1
expect 1 python3 "$reader" read needle.dump
has "the signature" "$(json 'j["problems"]')" "its signature is wrong"
has "the chain" "$(json 'j["problems"]')" "the chain is broken"
has "the tree" "$(json 'j["problems"]')" "its row of the tree is wrong"
for what in root state_hash; do
	found=$(json "j['$what']")
	checks=$((checks + 1))
	[[ $found != "$(out=$whole json "j['$what']")" ]] || fail "$what is that of other events"
done

# A digit of any other table.
while read -r table edit told; do
	sed "0,/^$table /s/$edit/" whole.dump >"$table.dump"
	is "one line of $table differs" "$(diff whole.dump "$table.dump" | grep -c '^>')" 1
	expect 1 python3 "$reader" read "$table.dump"
	has "$table is told" "$(json 'j["problems"]')" "$told"
done <<-'EOF'
	tree ^\(tree.*\)0/\11 its row of the tree is wrong
	commands ^\(commands.*\)0/\11 the table of commands is wrong
	registry ^\(registry.*\)1/\12 the table of the registry is wrong
	meta ^\(meta.*\)0/\13 meta is wrong
EOF

# A loss that is accepted begins a generation.
cp .provenv/log/data.mdb before.mdb
expect 0 provenv set LOST=1
cp before.mdb .provenv/log/data.mdb
signer=$(basename "$(find "$XDG_CONFIG_HOME" -name '*@*.key')" .key)
expect 0 provenv doctor --accept-loss="$size" --confirm="$signer" -m "disk was replaced"
expect 0 provenv set FOUND=1
agree "a store that lost events"
has "the generation" "$(json 'j["types"]')" store.recovered

# Commands that provenv would not append: one for each rule in its order, some that are in order and
# prepare others, and at the end a command of which one part breaks a rule, and copies out of it.
"$dumper" "$here/second_writer.py" .provenv "$(find "$XDG_CONFIG_HOME" -name '*@*.key')" <<-'EOF' ||
	[["environment.changed", {"name": "nowhere", "protected": false}]]
	[["environment.created", {"name": "development", "profile": "other", "protected": false}]]
	[["environment.removed", {"name": "development"}]]
	[["environment.unlocked", {"name": "development"}]]
	[["environment.keyed", {"name": "development", "generation": 9, "public_key": "bytes:32", "readers": [["bytes:8", "bytes:80"]]}]]
	[["variables.changed", {"environment": "development", "changes": [{"profile": "default", "key": "A", "set": "lost"}, {"profile": "nowhere", "key": "A", "set": "lost"}]}]]
	[["profile.created", {"environment": "development", "name": "default"}]]
	[["profile.removed", {"environment": "development", "name": "default"}]]
	[["profile.created", {"environment": "development", "name": "x", "base": "nowhere"}]]
	[["profile.created", {"environment": "development", "name": "first", "base": "default"}]]
	[["profile.created", {"environment": "development", "name": "second", "base": "first"}]]
	[["profile.changed", {"environment": "development", "name": "default", "base": "second"}]]
	[["profile.removed", {"environment": "development", "name": "first"}]]
	[["variable.specified", {"key": "X", "type": "string", "category": "nowhere", "required": false, "secret": false}]]
	[["category.removed", {"name": "nowhere"}]]
	[["category.removed", {"name": "trading"}]]
	[["variable.unspecified", {"key": "X"}]]
	[["variables.changed", {"environment": "development", "changes": [{"profile": "default", "key": "X", "unset": true}]}]]
	[["variables.changed", {"environment": "development", "changes": [{"profile": "default", "key": "X", "copy": ["@-0", 0]}]}]]
	[["state.rolled_back", {"scope": "store", "target_seq": "@-0"}]]
	[["database.detached", {"environment": "development", "profile": "default", "name": "nowhere"}]]
	[["database.detached", {"environment": "development", "profile": "default", "name": "settings"}]]
	[["variables.changed", {"environment": "development", "changes": [{"profile": "default", "key": "X", "set": "held", "expand": true}]}], ["variables.changed", {"environment": "development", "changes": [{"profile": "first", "key": "X", "copy": ["@-1", 0]}]}]]
	[["environment.switched", {"name": "production"}], ["variables.changed", {"environment": "development", "changes": [{"profile": "default", "key": "X", "set": "lost"}]}], ["environment.switched", {"name": "nowhere"}]]
	[["variables.changed", {"environment": "development", "changes": [{"profile": "second", "key": "X", "copy": ["@-2", 0]}]}]]
	[["variables.changed", {"environment": "development", "changes": [{"profile": "second", "key": "X", "copy": ["@-5", 0]}]}]]
EOF
	fail "cannot write by hand"
agree "a store with commands that break rules" environment-exists environment-absent \
	environment-inactive environment-locked key-generation profile-exists profile-absent \
	profile-inactive base-exists base-acyclic base-unused category-exists category-exists \
	category-unused specification-exists variable-set copy-target target-older database-exists \
	environment-exists copy-target copy-target

# And after each command.
moments=0
whole=$out
while read -r seq hash; do
	out=$(provenv-replay state .provenv --to "$seq" --json)
	has "the state after event $seq" "$out" "\"state_hash\":\"$hash\""
	moments=$((moments + 1))
done < <(json '"\n".join("%s %s" % pair for pair in j["state_hashes"].items())')
out=$whole
is "moments compared" "$moments" "$(json 'len(j["state_hashes"])')"

expect 0 provenv get X
is "what the last command with effect left" "$out" held
