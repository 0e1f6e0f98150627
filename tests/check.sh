#!/bin/bash
# Runs the parts named (lint, unit, integration) and closes with one line that counts everything.
# O is the output folder; SANITIZE and CC pass through to make.  PATIENCE multiplies what tests wait at most.
set -u
cd "$(dirname "$0")/.." || exit 1
out=${O:-$PWD/build}
SANITIZE=${SANITIZE:-}
export PATIENCE=${PATIENCE:-$((${#SANITIZE} > 0 ? 3 : 1))}
passed=0 failed=0 skipped=0 failures=
for part in "$@"; do
	[[ $part =~ ^(lint|unit|fuzz|integration)$ ]] || { echo "usage: check.sh lint|unit|fuzz|integration …" >&2; exit 2; }
done
mkdir -p "$out/log"

# run NAME COMMAND…: shows one line when all is well, and the whole output when not.
run()
{
	local name=$1 log="$out/log/${1//\//-}.log" begin=$SECONDS status line
	shift
	"$@" >"$log" 2>&1
	status=$?
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1)
	if [ -z "$line" ]; then
		line="0 passed, 1 failed"
		[ $status -eq 0 ] && echo "$name: ended without a count of its tests" >>"$log"
		status=1
	fi
	read -r p _ f _ s _ <<<"${line//,/}"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + ${s:-0}))
	if [ $status -ne 0 ] && [ "$f" -eq 0 ]; then
		failed=$((failed + 1))
		line="$line, exit status $status"
	fi
	printf '  %-44s %s (%d s)\n' "$name" "$line" $((SECONDS - begin))
	if [ $status -ne 0 ]; then
		failures="$failures $name"
		sed 's/^/    | /' "$log" | tail -n 120
	fi
	grep -h '^skipped: ' "$log" | sort | uniq -c | sed -E 's/^ *1 /    /; s/^ *([0-9]+) (.*)/    \2 (\1 times)/'
}

echo "Building (about a minute the first time)"
make -s -j2 O="$out" programs tests || exit 1
for part in "$@"; do
	case $part in
	lint)
		echo "Checking the style (two minutes the first time)"
		for check in tests/lint/*.sh; do
			run "lint/$(basename "$check" .sh)" env O="$out" bash "$check"
		done
		;;
	unit)
		echo "Unit tests"
		for program in "$out"/tests/test_*; do
			[ -x "$program" ] && run "unit/$(basename "$program")" env BIN_DIR="$out/bin" timeout $((300 * PATIENCE)) "$program"
		done
		;;
	fuzz)
		echo "Fuzz targets, some seconds each (make fuzz is longer)"
		run fuzz env O="$out" SANITIZE= FUZZ_SECONDS="${FUZZ_SECONDS:-3}" bash tests/fuzz/run.sh
		;;
	integration)
		echo "Integration tests, with real processes and clients (some minutes)"
		for script in tests/integration/[0-9]*.sh; do
			run "integration/$(basename "$script" .sh)" env O="$out" BIN_DIR="$out/bin" timeout $((300 * PATIENCE)) bash "$script"
		done
		;;
	esac
done

[ -z "$failures" ] || echo "Failed:$failures (whole output in $out/log)"
if [ $skipped -gt 0 ]; then
	echo "$passed passed, $failed failed, $skipped skipped"
else
	echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ] && [ -z "$failures" ] && [ $passed -gt 0 ]
