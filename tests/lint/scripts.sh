#!/bin/bash
# Shell scripts parse, and shellcheck has no warning.  It is told to pass over what it cannot know: files that are
# sourced by a computed name and the variables that come from there (1090, 1091, 2034, 2153, 2154), functions with
# optional arguments (2120).
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
while read -r script; do
	shell='bash'
	head -n 1 "$script" | grep -q '^#!/bin/sh' && shell='sh'
	if $shell -n "$script" && shellcheck -f gcc -s $shell -S warning -e SC1090,SC1091,SC2034,SC2120,SC2153,SC2154 "$script"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done < <(git ls-files '*.sh' .ci/run)
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
