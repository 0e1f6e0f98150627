#!/bin/bash
# A wrong include must not compile: tries one in each direction that design.md forbids.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
out=${O:-$PWD/build}
# Away from the tree: a quoted include is looked for beside the including file first.
cd "$out" || exit 1
try()
{
	local room=$1 header=$2
	if echo "#include \"$header\"" | gcc -fsyntax-only -D_GNU_SOURCE -include "$out/include/generated/autoconf.h" \
		-I"$out/view/${room//\//-}" -x c - 2>/dev/null; then
		echo "a file in $room/ can include $header"
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
}
try hsm net/scep.h
try net hsm/queue.h
try board hsm/queue.h
try board net/scep.h
try net appliance/store.h
try hsm appliance/store.h
# And the allowed ones do, or the test would prove nothing.
for pair in "hsm board/base/err.h" "net board/base/err.h" "appliance net/scep.h" "appliance hsm/queue.h"; do
	read -r room header <<<"$pair"
	if echo "#include \"$header\"" | gcc -fsyntax-only -D_GNU_SOURCE -include "$out/include/generated/autoconf.h" \
		-I"$out/view/$room" -x c -; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
