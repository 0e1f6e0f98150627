#!/bin/bash
# clang-tidy over the product, two files at a time; a file that has not changed since it passed is not read again.
cd "$(dirname "$0")/../.." || exit 1
export out=${O:-$PWD/build}
mkdir -p "$out/lint/tidy"
one()
{
	local file=$1 room=${1%%/*} stamp="$out/lint/tidy/${1//\//-}" dep="$out/${1%.c}.d"
	if [ -e "$stamp" ] && [ ! .clang-tidy -nt "$stamp" ] && [ -e "$dep" ] &&
		! sed 's/\\$//; s/^[^:]*://' "$dep" | tr ' ' '\n' | grep -E '\.(c|h|def)$' |
			while read -r d; do [ "$d" -nt "$stamp" ] && echo newer; done | grep -q newer; then
		return 0
	fi
	clang-tidy --quiet "$file" -- -std=gnu11 -D_GNU_SOURCE -include "$out/include/generated/autoconf.h" \
		-I. -I/usr/include/p11-kit-1 2>/dev/null >"$stamp.log" && touch "$stamp" && return 0
	cat "$stamp.log"
	echo "failed: $file"
	return 1
}
export -f one
result=$(git ls-files 'board/*.c' 'hsm/*.c' 'net/*.c' 'appliance/*.c' 'tests/load/*.c' ':!tests/load/test_*' | xargs -P 2 -I{} bash -c 'one {}')
total=$(git ls-files 'board/*.c' 'hsm/*.c' 'net/*.c' 'appliance/*.c' 'tests/load/*.c' ':!tests/load/test_*' | wc -l)
failed=$(grep -c '^failed: ' <<<"$result")
[ -z "$result" ] || echo "$result"
echo "$((total - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
