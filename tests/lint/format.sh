#!/bin/bash
# Formatting is a tool's job: clang-format must have nothing to change.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
while read -r file; do
	if clang-format --dry-run -Werror "$file" >/dev/null 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "$file: run clang-format -i $file"
	fi
done < <(git ls-files '*.c' '*.h')
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
