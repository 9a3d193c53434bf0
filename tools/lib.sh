# What the scripts of this folder share: place, messages, lists of files. Sourced, never run. Needs
# nothing but what a bare Debian has, because tools/deps starts here too.
# shellcheck shell=bash

export LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
# shellcheck disable=SC2034 # for the scripts that source this
jobs=$(nproc)

# die MESSAGE...: one line per argument on stderr, then give up.
die() {
	printf '%s\n' "${0##*/}: $1" "${@:2}" >&2
	exit 1
}

# usage TEXT STATUS: a question is answered on stdout, a mistake on stderr.
usage() {
	if [[ $2 -eq 0 ]]; then
		printf '%s\n' "$1"
	else
		printf '%s\n' "$1" >&2
	fi
	exit "$2"
}

# files_named DIRECTORY... -- PATTERN...: the files below with such a name, sorted. Directories that
# do not exist hold none.
files_named() {
	local dirs=() names=()
	while [[ $1 != -- ]]; do
		[[ -d $1 ]] && dirs+=("$1")
		shift
	done
	shift
	while [[ $# -gt 0 ]]; do
		names+=(-o -name "$1")
		shift
	done
	[[ ${#dirs[@]} -gt 0 ]] || return 0
	find "${dirs[@]}" -type f \( "${names[@]:1}" \) | sort
}

c_sources() {
	files_named src tools tests -- '*.c'
}

c_headers() {
	files_named src tools tests -- '*.h'
}

# Shell scripts: by their first line, whatever their name, and the parts that they source.
shell_scripts() {
	files_named .ci cmake packaging src tests tools -- '*' | tr '\n' '\0' | xargs -0 -r awk '
		FILENAME ~ /\.sh$/ || (FNR == 1 && /^#!.*[\/ ](ba|da)?sh( |$)/) { print FILENAME }
		{ nextfile }'
}

# Everything written by hand that a reader reads; golden bytes and corpora are left out.
text_files() {
	{
		find . -maxdepth 1 -type f \( -name '*.md' -o -name CMakeLists.txt \) -printf '%P\n'
		files_named cmake docs packaging src tests tools -- \
			'*.md' '*.c' '*.h' '*.def' '*.sql' '*.cmake' '*.py' 'CMakeLists.txt'
		shell_scripts
	} | grep -vE '^tests/(golden|corpora)/' | sort -u
}
