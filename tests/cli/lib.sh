# Ground of the black-box tests: a fresh home and working directory, and checks that say what they
# saw. Sourced by every test in this folder; PROVENV_BIN names the directory of the programs.
# shellcheck shell=bash
set -uo pipefail

: "${PROVENV_BIN:?names the directory of the programs}"
export PATH="$PROVENV_BIN:$PATH" LC_ALL=C.UTF-8 TZ=UTC
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the tests that source this
source_dir=$(cd "$here/../.." && pwd)

work=$(mktemp -d "${TMPDIR:-/tmp}/provenv-cli.XXXXXX")
export HOME="$work/home" XDG_CONFIG_HOME="$work/config" XDG_STATE_HOME="$work/state"
export XDG_DATA_HOME="$work/data"
unset PROVENV_STORE
mkdir -p "$HOME" "$work/dir"
cd "$work/dir" || exit 1

failures=0 checks=0

# bash calls this in a subshell: a misspelt check must not pass for one that held.
command_not_found_handle() {
	echo "FAIL: there is no command '$1'"
	: >"$work/misspelt"
	return 127
}

finish() {
	local code=$?
	trap - EXIT
	[[ ! -e $work/misspelt ]] || failures=$((failures + 1))
	if [[ $code -ne 0 && $failures -eq 0 ]]; then
		echo "FAIL: the test itself stopped with status $code"
		failures=1
	fi
	if [[ $failures -gt 0 ]]; then
		echo "$failures of $checks checks failed; left in $work"
		exit 1
	fi
	rm -rf "$work"
	echo "$checks checks passed"
	[[ $checks -gt 0 ]]
}
trap finish EXIT
# Stopped is not passed.
trap 'exit 143' TERM
trap 'exit 130' INT

fail() {
	failures=$((failures + 1))
	printf 'FAIL line %s: %s\n' "${BASH_LINENO[1]}" "$1"
	printf '  %s\n' "${@:2}"
}

# expect CODE COMMAND...: run it, keep $out and $err, check the exit code.
expect() {
	local wanted=$1 code=0
	shift
	checks=$((checks + 1))
	"$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
	out=$(cat "$work/out")
	err=$(cat "$work/err")
	[[ $code -eq $wanted ]] || fail "exit $code, expected $wanted: ${*@Q}" "stdout: $out" "stderr: $err"
}

# given TEXT CODE COMMAND...: the same with TEXT as standard input, no newline added.
given() {
	local text=$1 wanted=$2 code=0
	shift 2
	checks=$((checks + 1))
	printf '%s' "$text" | "$@" >"$work/out" 2>"$work/err" || code=$?
	out=$(cat "$work/out")
	err=$(cat "$work/err")
	[[ $code -eq $wanted ]] || fail "exit $code, expected $wanted: ${*@Q}" "stdout: $out" "stderr: $err"
}

# is WHAT ACTUAL EXPECTED
is() {
	checks=$((checks + 1))
	[[ $2 == "$3" ]] || fail "$1" "is:       $2" "expected: $3"
}

# has WHAT TEXT PART: TEXT contains PART.
has() {
	checks=$((checks + 1))
	[[ $2 == *"$3"* ]] || fail "$1: '$3' is missing" "text: $2"
}

# lacks WHAT TEXT PART
lacks() {
	checks=$((checks + 1))
	[[ $2 != *"$3"* ]] || fail "$1: '$3' must not be there" "text: $2"
}

# json EXPRESSION: a Python expression over the JSON on $out, bound to j.
json() {
	printf '%s' "$out" | python3 -c 'import json, sys
j = json.load(sys.stdin)
value = eval(sys.argv[1])
print(value if isinstance(value, str) else json.dumps(value, sort_keys=True))' "$1"
}

# events: how many events the store holds.
events() {
	provenv status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["events"])'
}
