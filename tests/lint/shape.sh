#!/bin/bash
# What style.md limits and a script can count: sizes, nesting, includes, comments, documented prototypes.
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/lib/rule.sh
scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT
mapfile -t sources < <(git ls-files 'board/*.c' 'hsm/*.c' 'net/*.c' 'appliance/*.c' 'tests/*.c')
mapfile -t headers < <(git ls-files '*.h')

wc -l "${sources[@]}" | awk '$2 != "total" && $2 !~ /^tests\// && $1 > 600 { print $2 ": " $1 " lines, at most 600" }
	$2 ~ /^tests\// && $1 > 900 { print $2 ": " $1 " lines, at most 900" }' | rule "source files are short"
wc -l "${headers[@]}" | awk '$2 != "total" && $1 > 200 { print $2 ": " $1 " lines, at most 200" }' | rule "headers are short"
ctags -x --language-force=C --kinds-C=f --fields=+ne --_xformat='%N %F %n %e' "${sources[@]}" |
	awk '$4 - $3 + 1 > 80 { print $2 ":" $3 ": " $1 "() has " $4 - $3 + 1 " lines, at most 80" }' | rule "functions are short"
awk 'length($0) > 0 { n = $0; gsub(/\t/, "        ", n); if (length(n) > 120) print FILENAME ":" FNR ": " length(n) " columns, at most 120" }' \
	"${sources[@]}" "${headers[@]}" | rule "lines are short"
awk '/^{/ { inside = 1 } /^}/ { inside = 0 } inside && /^\t\t\t\t\t\t*(if|for|while|switch|do)\>.*{$/ {
	print FILENAME ":" FNR ": braces deeper than four" }' "${sources[@]}" | rule "nesting is at most four deep"
grep -nE '#include "\.\./' "${sources[@]}" "${headers[@]}" | rule "no include reaches upwards"
grep -nE '(^|[^:"a-zA-Z])//' "${sources[@]}" "${headers[@]}" | grep -vE '"[^"]*//[^"]*"|https?://|/\*.*//.*\*/|^\S+:[0-9]+: ?\*' | rule "comments are /* */"
grep -nE '\bgoto\b' "${sources[@]}" "${headers[@]}" | grep -vE ':\s*(/?\*)' | rule "no goto"
grep -nE '\b(TODO|FIXME|XXX|HACK)\b' "${sources[@]}" "${headers[@]}" | rule "nothing is left open"
for header in "${headers[@]}"; do
	head -n 1 "$header" | grep -q '^/\*$' && sed -n 2p "$header" | grep -q '^ \* .* - ' || echo "$header: begins with /* and NAME - purpose"
done | rule "headers say what they are for"

# A prototype is documented by a comment directly above it, or behind it on its line(s).
awk 'FNR == 1 { above = 0; depth = 0; open = 0 }
	/^\/\*/ || /^ \*/ { above = 1; next }
	/^$/ { above = 0; next }
	/^MUST_CHECK [a-z0-9_ *]+$/ { next }
	/^static[^;=]*$/ { body = 1; above = 0; next }
	body { if (/^}/) body = 0; next }
	/^#/ || /^\t/ || /^[ }]/ || /^(static|struct|enum|typedef|extern)[^(]*[;{]$/ || /^static/ || /^typedef/ { if ($0 !~ /^\t/) above = 0; next }
	/^[a-zA-Z].*[a-z_0-9]\(/ && !/^[A-Z_]+\(/ { if (!above && $0 !~ /\/\*/) print FILENAME ":" FNR ": " $0; above = 0; next }
	{ above = 0 }' "${headers[@]}" | rule "every prototype is documented"

# Third-party headers have a home (style.md 5.2).
home()
{
	grep -nE "#include <$1" "${sources[@]}" "${headers[@]}" | grep -vE "^($2)[:]" | sed "s~\$~   belongs into $2 only~"
}
{
	home 'sqlite3\.h' 'appliance/store[a-z_]*\.[ch]|appliance/audit\.[ch]|tests/.*'
	home 'libconfig\.h' 'board/config(_value|_profile)?\.c|appliance/(ceremony|fields|template_parse)\.c'
	home 'event2/' 'board/base/loop\.c|net/http[a-z_]*\.[ch]|net/tls\.c|tests/.*'
	home 'openssl/engine\.h' 'hsm/engine\.c|tests/.*'
	home '(p11-kit/)?pkcs11\.h' 'hsm/(call|token|key|engine)\.[ch]|tests/.*'
	home 'seccomp\.h' 'board/sandbox_seccomp\.c'
} | rule "third-party headers stay at home"
for event in $(sed -n 's/^EVENT(\([A-Z0-9_]*\),.*/\1/p' board/base/log.def); do
	git grep -qwE "log_event\($event|LOG_$event" -- '*.c' || echo "log.def: nobody logs $event"
done | rule "every event of the catalogue is used"
sed -nE 's/^NDES(_FIELD)?\(([A-Z_]+), ([0-9]+),.*/\3 \2/p' board/base/ndes.def | while read -r number event; do
	grep -qE "^\| $number\b.*\`$event\`" appliance/doc/migrating-from-ndes.md || echo "migrating-from-ndes.md: NDES $number is not $event"
done | rule "the table of NDES' events is complete"
{
	# A setting that is a field of SCEP profiles is used as that.
	sed -nE 's/^(BOOL|TEXT)\([a-z0-9_]+, ([a-z]+), ([a-z0-9_]+),.*/\2_\3/p' board/profile.def >"$scratch"
	for setting in $(sed -nE 's/^(INT|BOOL|TEXT)\(([a-z]+), ([a-z0-9_]+),.*/\2_\3/p' board/config.def); do
		grep -qx "$setting" "$scratch" || git grep -qw "$setting" -- '*.c' || echo "config.def: nobody uses $setting"
	done
	for field in $(sed -nE 's/^(OWN|BOOL|TEXT)\(([a-z0-9_]+),.*/\2/p' board/profile.def); do
		git grep -qw "$field" -- 'board/*.c' 'net/*.c' 'appliance/*.c' || echo "profile.def: nobody uses $field"
	done
} | rule "every setting is used"
finish
