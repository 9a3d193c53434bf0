#!/usr/bin/env bash
# Full disks, read-only ones and quotas, on file systems of our own that vanish with this process:
# see README.md.

# in_namespace: run on where file systems may be mounted without anybody else seeing them.
in_namespace() {
	[[ ${PROVENV_LIMITS_INSIDE-} != "$PPID" ]] || return 0
	local -a way
	for way in "unshare -m" "unshare -rm"; do
		# shellcheck disable=SC2086 # words
		if $way sh -c 'mount -t tmpfs -o size=1m none /mnt' 2>/dev/null; then
			# shellcheck disable=SC2016 # expanded by the shell inside
			exec $way bash -c 'PROVENV_LIMITS_INSIDE=$$ bash "$0" "$@"; exit $?' "$0" "$@"
		fi
	done
	echo "SKIPPED: all of limits_disk: no file system may be mounted here (not root)"
	exit 77
}
in_namespace "$@"
# shellcheck source=../cli/lib.sh
source "$(dirname "$0")/../cli/lib.sh"

long=$(printf '%03000d' 1)
disk="$work/disk" kind='' full=0 steps=0
mkdir "$disk" "$work/template"

# mount_disk KIND KIB [OPTIONS]: something small and empty at $disk; false where this is not allowed.
mount_disk() {
	kind=$1
	umount "$disk" 2>/dev/null
	case $kind in
	tmpfs) mount -t tmpfs -o "size=$2k" none "$disk" ;;
	ext4)
		rm -f "$work/image"
		truncate -s "$2K" "$work/image"
		# No room that root alone may use; blocks of a page.
		mkfs.ext4 -q -F -m 0 -b 4096 -O ^has_journal,"${3-^quota}" "$work/image" &&
			mount -o loop"${3:+,usrquota}" "$work/image" "$disk"
		;;
	esac 2>"$work/mounting"
}

# fill K: leave K KiB, and prove that no more is there.
fill() {
	rm -f "$disk/fill"
	dd if=/dev/zero of="$disk/fill" bs=4096 2>"$work/dd"
	has "$kind: the disk was full" "$(<"$work/dd")" "No space left"
	truncate -s "-${1}K" "$disk/fill"
	full=$((full + 1))
}

restore() {
	rm -rf "${disk:?}"/* "$disk"/.[!.]*
	cp -a "$work/template/." "$disk/"
	cd "$disk/dir" || exit 1
}

# events: as in lib.sh, without starting Python a thousand times.
events() {
	local text
	text=$(provenv status --json)
	text=${text##*'"events":'}
	printf '%s\n' "${text%%,*}"
}

# make_template: a store with some past, and the user's home on the same disk.
make_template() {
	export HOME="$disk/home" XDG_CONFIG_HOME="$disk/home/c" XDG_STATE_HOME="$disk/home/s"
	export XDG_DATA_HOME="$disk/home/d"
	rm -rf "$work/template"
	mkdir -p "$HOME" "$work/template" "$disk/dir"
	cd "$disk/dir" || exit 1
	# Large enough to need new pages of the log: what fits into free ones is not refused.
	printf '{"categories": [{"name": "limits", "title": "%s"}], "variables": [%s]}\n' "$long" \
		'{"key": "LIMIT", "category": "limits", "type": "int", "description": "'"$long"'"}' >catalogue.json
	expect 0 provenv init
	expect 0 provenv set A=acknowledged
	given hidden 0 provenv set S --secret --stdin
	expect 0 provenv set {B..Z}{1..9}=1
	expect 0 provenv set {B..Z}{1..9}=2
	before=$(events)
	cp -a "$disk/." "$work/template/"
}

# readable WHAT: everything acknowledged is there, on the disk as full as it is.
readable() {
	expect 0 provenv get A
	[[ $out == acknowledged || $out == new ]] || fail "$1: A is $out"
	expect 0 provenv get S --reveal
	[[ $out == hidden || $out == newer ]] || fail "$1: S is $out"
	expect 0 provenv ls
	expect 0 provenv log
	expect 0 provenv status
	expect 0 provenv verify
}

# refused WHAT: exit 13, and why.
refused() {
	[[ $code -eq 13 ]] || fail "$1: exit $code" "$err"
	[[ $err == *"No space left"* || $err == *"disk is full"* || $err == *"disk full"* ]] ||
		fail "$1: does not say that the disk is full" "$err"
	has "$1: says what to do" "$err" "hint:"
	checks=$((checks + 2))
}

run() {
	code=0
	if [[ -n $stdin ]]; then
		printf '%s' "$stdin" | "$@" >"$work/out" 2>"$work/err" || code=$?
	else
		"$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
	fi
	out=$(<"$work/out") err=$(<"$work/err")
}

# whole WHAT N: the events are those of before, or also the whole command's N.
whole() {
	local now
	now=$(events)
	checks=$((checks + 1))
	[[ $now -eq $before || $now -eq $((before + $2)) ]] || fail "$1: $now events, from $before"
}

# until_it_fits NAME EVENTS COMMAND...: with 0, 4, 8, … KiB free until the command succeeds. $stdin
# is what it reads.
until_it_fits() {
	local name=$1 adds=$2 free refusals=0
	shift 2
	for ((free = 0; free <= 1024; free += free < 24 ? 4 : free / 3 - free / 3 % 4)); do
		restore
		fill "$free"
		steps=$((steps + 1))
		run "$@"
		local what="$kind, $name, $free KiB"
		# A state that is kept in memory is enough for any command but the one that is to keep it.
		[[ $code -ne 0 || ($name == rebuild && $err == *"cannot be kept"*) ]] || break
		if [[ $code -ne 0 ]]; then
			refused "$what"
			refusals=$((refusals + 1))
		fi
		[[ $name == init ]] || readable "$what"
		[[ $name == init ]] || whole "$what" "$adds"
		rm "$disk/fill"
		local again=$code
		run "$@"
		is "$what: works by itself once there is room: $err" "$code" 0
		[[ $name == init || $again -eq 0 ]] || whole "$what, again" "$adds"
		expect 0 provenv verify
		expect 0 provenv rebuild --compare
	done
	is "$kind, $name: succeeds in the end" "$code" 0
	[[ $name == init ]] || readable "$kind, $name: the first success, on a disk nearly full"
	rm -f "$disk/fill"
	expect 0 provenv verify --deep
	printf '  %s: %s refused %d times, fits with %d KiB\n' "$kind" "$name" "$refusals" "$free"
	[[ $name == doctor || $refusals -gt 0 ]] || fail "$kind, $name: was never refused"
}

every_command() {
	local group=("A=new" {a..j}{1..9}"=$long")
	stdin=''
	until_it_fits set 1 provenv set "A=new" "LONG=$long$long$long$long"
	until_it_fits group 5 provenv set "${group[@]}"
	stdin=newer until_it_fits secret 1 provenv set S --secret --stdin
	until_it_fits spec 2 provenv spec import catalogue.json
	until_it_fits rollback 2 provenv rollback --to HEAD~1
	until_it_fits rebuild 0 provenv rebuild
	until_it_fits checkpoint 0 provenv checkpoint --out head.note
	until_it_fits init 0 provenv --store "$disk/second" init
	until_it_fits doctor 0 provenv doctor
}

# What is missing beside the log on a full disk: lock file, state, head.
without() {
	local part=$1 free
	for free in 0 4 16 64; do
		restore
		rm -rf "$disk/dir/.provenv/$part"
		fill "$free"
		run provenv get A
		# Nothing may be read without announcing it: the one file that reading needs room for.
		if [[ $part == log/lock.mdb && $free -eq 0 ]]; then
			refused "$kind, without $part"
		else
			is "$kind, $free KiB, without $part: $err" "$code $out" "0 acknowledged"
			readable "$kind, $free KiB, without $part"
		fi
		rm "$disk/fill"
		expect 0 provenv set A=new
		expect 0 provenv verify
	done
}

# The lock file is written through a map: without blocks of its own a full disk ends in SIGBUS.
lock_file_has_blocks() {
	restore
	rm "$disk/dir/.provenv/log/lock.mdb"
	expect 0 provenv get A
	local blocks
	blocks=$(stat -c %b "$disk/dir/.provenv/log/lock.mdb")
	checks=$((checks + 1))
	[[ $((blocks * 512)) -ge 65664 ]] || fail "$kind: the lock file is sparse: $blocks blocks"
}

read_only() {
	restore
	rm -rf "$disk/dir/.provenv/state/"*-wal "$disk/dir/.provenv/state/"*-shm
	mount -o remount,ro "$disk" || fail "$kind: cannot be remounted"
	checks=$((checks + 1))
	: 2>/dev/null >"$disk/probe" && fail "$kind: the disk is not read-only"
	readable "$kind, read-only"
	local words
	for words in "set A=new" "rollback --to HEAD~1" "spec import catalogue.json"; do
		# shellcheck disable=SC2086 # words
		expect 13 provenv $words
		has "$kind, read-only: $words says so" "$err" "mounted read-only"
	done
	mount -o remount,rw "$disk"
	is "$kind: nothing was written" "$(events)" "$before"
	expect 0 provenv set A=new
	expect 0 provenv verify
}

# Quota: of a user that is not root, who has none.
quota() {
	if ! command -v setquota >/dev/null || ! mount_disk ext4 8192 quota; then
		echo "SKIPPED: quota: $(command -v setquota >/dev/null || echo 'setquota is missing;') $(<"$work/mounting")"
		return
	fi
	make_template
	chmod a+x "$work" && chown -R 65534:65534 "$disk"
	setquota -u 65534 0 600 0 0 "$disk" || {
		echo "SKIPPED: quota: setquota failed"
		return
	}
	local as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	"${as[@]}" dd if=/dev/zero of="$disk/dir/fill" bs=4096 2>"$work/dd"
	has "the quota is in force" "$(<"$work/dd")" "quota exceeded"
	run "${as[@]}" provenv set "A=$(printf '%030000d' 1)"
	[[ $code -eq 13 && $err == *uota* ]] || fail "quota: exit $code" "$err"
	expect 0 "${as[@]}" provenv get A
	is "quota: readable" "$out" acknowledged
	rm "$disk/dir/fill"
	expect 0 "${as[@]}" provenv set A=new
	expect 0 "${as[@]}" provenv verify
}

all_of() {
	make_template
	# Control: with room the same commands succeed.
	expect 0 provenv set A=control
	every_command
	for part in state head log/lock.mdb; do without "$part"; done
	lock_file_has_blocks
	read_only
}

KINDS=${KINDS:-tmpfs ext4}
mount_disk tmpfs 2048 || fail "tmpfs cannot be mounted" "$(<"$work/mounting")"
all_of
if [[ $KINDS != *ext4* ]]; then
	echo "SKIPPED: ext4 and quota: KINDS=$KINDS"
elif mount_disk ext4 4096; then
	all_of
else
	echo "SKIPPED: ext4: no loop device can be mounted here: $(<"$work/mounting")"
fi
cd / || exit 1
[[ $KINDS != *ext4* ]] || quota
cd / || exit 1
umount "$disk"
echo "disks filled: $full, commands tried: $steps"
[[ $full -gt 0 ]] || fail "no disk was ever full"
