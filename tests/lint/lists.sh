#!/bin/bash
# What is named in a list is there, and what is there is named: sources, tests, boards, settings of the build.
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/lib/rule.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A source that no Makefile names is not compiled, and a test that none names never fails.
git ls-files '*.c' | while read -r source; do
	folder=$(dirname "$source") name=$(basename "$source" .c)
	grep -qE "(^|[ ,(])$name(\.o)?([ ,)]|\$)" "$folder/Makefile" || echo "$folder/Makefile does not name $name"
done | rule "every source is compiled"
git ls-files 'tests/integration/*.sh' | grep -vE '/([0-9][0-9]-[a-z0-9-]+|lib)\.sh$' | rule "check.sh finds every integration test"
git ls-files 'tests/integration/[0-9]*.sh' | sed -E 's~.*/([0-9]+)-.*~\1~' | uniq -d | rule "integration tests have a number each"
for board in board/*/defconfig; do
	board=$(basename "$(dirname "$board")")
	make -s O="$scratch/$board" "${board}_defconfig" 2>&1 >/dev/null
	make -s O="$scratch/$board" savedefconfig >/dev/null
	diff "$scratch/$board/defconfig" "board/$board/defconfig" | sed "s~^~board/$board/defconfig: ~"
done | rule "a defconfig is what savedefconfig writes"
git ls-files 'board/*Kconfig' 'hsm/Kconfig' 'net/Kconfig' 'appliance/Kconfig' | xargs sed -n 's/^config //p' | while read -r symbol; do
	[[ $symbol == BOARD_* ]] || git grep -qw "CONFIG_$symbol" -- '*.c' '*.h' '*.def' '*Makefile' '*.mk' ||
		echo "nobody uses CONFIG_$symbol"
done | rule "every choice of the build has an effect"
git ls-files | grep -E '\.(orig|rej|o|a|swp|log)$|~$' | rule "nothing but sources is in the tree"
finish
