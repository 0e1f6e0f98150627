#!/bin/bash
# Makes the fuzz targets and their seeds, and runs each for FUZZ_SECONDS, two at a time; TARGETS names some of them.
# What is found stays in $O/found, what was learned in $O/corpus; both are under build/fuzz unless O says otherwise.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=${O:-$PWD/build}/fuzz
seconds=${FUZZ_SECONDS:-60}
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
[ -x /usr/bin/llvm-symbolizer-14 ] && export ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-14

make -s -j2 O="$out" CC=clang \
	SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined" fuzzers || exit 1
mkdir -p "$out/corpus" "$out/found" "$out/log"

# Runs one target and leaves its result, one line, in log/TARGET.result.
fuzz()
{
	local name=$1 corpus="$out/corpus/$1" log="$out/log/$1.log" options=() runs status
	mkdir -p "$corpus" "$out/seeds/$name"
	"$out/fuzz/$name" --seeds="$out/seeds/$name" >"$log" 2>&1 || { echo "NOT ok: $name makes no seeds"; return; }
	[ -f "tests/fuzz/$(dict_of "$name").dict" ] && options+=(-dict="tests/fuzz/$(dict_of "$name").dict")
	"$out/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -len_control=20 \
		-print_final_stats=1 -reload=0 -artifact_prefix="$out/found/$name-" "${options[@]}" \
		"$corpus" "$out/seeds/$name" >>"$log" 2>&1
	status=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	if [ $status -eq 0 ]; then
		echo "ok: $name, $runs inputs, $(find "$corpus" -type f | wc -l) kept"
	else
		echo "NOT ok: $name (status $status, see $log and $out/found)"
		grep -E 'does not hold|runtime error|ERROR: |SUMMARY|Test unit written' "$log" | head -n 5
	fi
}

# Which words help a target.
dict_of()
{
	case $1 in
	fuzz_config | fuzz_ceremony) echo config ;;
	fuzz_query | fuzz_head | fuzz_front) echo http ;;
	fuzz_command | fuzz_text) echo words ;;
	fuzz_json) echo json ;;
	*) echo der ;;
	esac
}
# Two workers take the targets in turn.
export -f fuzz dict_of
export out seconds
read -r -a targets <<<"${TARGETS:-$(cd "$out/fuzz" && echo *)}"
# shellcheck disable=SC2016
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'fuzz "$1" >"$out/log/$1.result"' worker {}

passed=0 failed=0
for name in "${targets[@]}"; do
	cat "$out/log/$name.result"
	if grep -q '^ok: ' "$out/log/$name.result"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
