#!/bin/bash
# cppcheck over the product: warnings, performance and portability.  Of msg.def's expansions it knows neither that
# msg_NAME_get() fills what it is given nor which argument of msg_NAME_send() is which.
cd "$(dirname "$0")/../.." || exit 1
out=${O:-$PWD/build}
mkdir -p "$out/lint/cppcheck"
mapfile -t sources < <(git ls-files 'board/*.c' 'hsm/*.c' 'net/*.c' 'appliance/*.c' 'tests/load/*.c' ':!tests/load/test_*')
if cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr --std=c11 \
	--suppress=missingIncludeSystem --suppress=ctuuninitvar:board/msg.def --suppress=ctunullpointer:board/msg.def \
	--cppcheck-build-dir="$out/lint/cppcheck" -j2 \
	-D_GNU_SOURCE --include="$out/include/generated/autoconf.h" -I. "${sources[@]}"; then
	echo "${#sources[@]} passed, 0 failed"
else
	echo "$((${#sources[@]} - 1)) passed, 1 failed"
	exit 1
fi
