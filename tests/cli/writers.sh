#!/usr/bin/env bash
# Writers at once: every command succeeds, every event is valid, no name is lost.
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

writers=${WRITERS:-8}
each=${EACH:-25}
expect 0 provenv init
before=$(events)
for writer in $(seq "$writers"); do
	(
		for n in $(seq "$each"); do
			provenv set "W${writer}_$n=$n" -q || exit 1
		done
	) &
	pids[writer]=$!
done
for pid in "${pids[@]}"; do
	checks=$((checks + 1))
	wait "$pid" || fail "a writer failed"
done
is "all events are there" "$(events)" "$((before + writers * each))"
expect 0 provenv verify
expect 0 provenv rebuild --compare
expect 0 provenv ls --json
is "all variables are there" "$(json 'len(j["variables"])')" "$((writers * each))"
