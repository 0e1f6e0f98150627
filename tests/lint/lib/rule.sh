# Sourced by the lints that count rules: passed, failed, rule(), finish().
shopt -s lastpipe # rule counts in this shell, not in one of its own
passed=0 failed=0

# rule NAME: the complaints come on standard input, one a line.
rule()
{
	local complaints
	complaints=$(cat)
	if [ -z "$complaints" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf '%s:\n%s\n' "$1" "$complaints" | sed '2,$s/^/  /'
	fi
}

finish()
{
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ]
	exit
}
