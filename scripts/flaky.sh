#!/usr/bin/env bash
# Runs all tests of the given modules COUNT times, without and with the race
# detector; FLAKY=plain or FLAKY=race picks one of the two. Each round is shuffled
# with a new seed, which go test prints when a package fails. It goes on after a
# failure, and fails at the end.
set -euo pipefail

count=${COUNT:-30}
failed=()
for ((round = 1; round <= count; round++)); do
	for mode in ${FLAKY:-plain race}; do
		case $mode in
		plain) flags=() cgo=$(go env CGO_ENABLED) ;;
		race) flags=(-race) cgo=1 ;;
		*) echo "flaky: FLAKY has \"$mode\"; want plain or race" >&2 && exit 2 ;;
		esac
		for module in "$@"; do
			echo "== round $round of $count, $mode: $module"
			(cd "$module" && CGO_ENABLED=$cgo go test "${flags[@]}" -count=1 -shuffle=on -timeout=8m ./...) ||
				failed+=("round $round, $mode: $module")
		done
	done
done

[[ ${#failed[@]} -gt 0 ]] || exit 0
echo "flaky: ${#failed[@]} failures:"
printf '  %s\n' "${failed[@]}"
exit 1
