# Sourced by every integration test: a temporary folder, a running appliance when asked for, and checks that count.
#
#   begin NAME             once, first
#   start_appliance [CA]   provisions and starts one; $dir, $SCEP_URL, $CRL_URL, $CA_URL, $CONTROL and so on are set
#   check "WHAT MUST HOLD" COMMAND…      passes when the command does
#   refuse "WHAT MUST NOT" COMMAND…      passes when the command fails
#   skip "WHAT" "WHY"      counts it as not tested
#   make_faulty_appliance  like make_appliance; its token fails as faults LINE… says (tests/mock/README.md)
#   wait_until SECONDS COMMAND…          polls; fails at the deadline, which is $PATIENCE times later in slow builds
#   finish                 once, last: the closing line
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. board/sim/appliance.sh
passed=0 failed=0 skipped=0
PATIENCE=${PATIENCE:-1} # and SANITIZE is not empty in builds with a sanitizer
O=${O:-$PWD/build}
BIN_DIR=${BIN_DIR:-$O/bin}
TESTS_DIR=$O/tests

begin()
{
	[ "$(id -u)" = 0 ] || { echo "only root can start the roles under their own user ids"; exit 1; }
	dir=$(mktemp -d "/tmp/chancery-test-$1.XXXXXX")
	chmod 755 "$dir"
	trap 'appliance_stop "$dir"; rm -rf "$dir"' EXIT
	trap 'exit 1' INT TERM
}

make_appliance()
{
	appliance_make "$dir" "$BIN_DIR" "${1:-rsa2048}" && appliance_provision "$dir" "$BIN_DIR" >"$dir/provision.log" 2>&1 && return
	cat "$dir/provision.log"
	exit 1
}

# From now on the token does what these lines say; none: no fault.
faults()
{
	printf '%s\n' "environment SOFTHSM2_CONF=$dir/softhsm2.conf" "$@" >"$dir/faults.new"
	chmod 644 "$dir/faults.new"
	mv "$dir/faults.new" "$dir/faults"
}

# token_calls FUNCTION RESULT: how many such calls the token's trace has
token_calls()
{
	grep -c " $1 [0-9]* $2\$" "$dir/faults.trace"
}

make_faulty_appliance()
{
	make_appliance "${1:-rsa2048}"
	: >"$dir/faults.trace"
	: >"$dir/faults.counts"
	chmod 666 "$dir/faults.trace" "$dir/faults.counts"
	faults
	sed -i "s|environment = \"[^\"]*\";|environment = \"TOKEN_FAULTS=$dir/faults\"; module = \"$TESTS_DIR/p11_mock.so\";|" \
		"$dir/chancery.conf"
}

run_appliance()
{
	appliance_start "$dir" "$BIN_DIR" || exit 1
	. "$dir/endpoints.env"
	. "$dir/ports"
}

# Starts chanceryd without waiting for anything, for tests in which it does not become healthy; the log goes on.
launch_appliance()
{
	. "$dir/ports"
	CONTROL=$dir/run/control
	"$BIN_DIR/chanceryd" --config "$dir/chancery.conf" >>"$dir/log" 2>&1 &
	echo $! >"$dir/chanceryd.pid"
}

start_appliance()
{
	make_appliance "${1:-rsa2048}"
	run_appliance
}

chancery()
{
	"$BIN_DIR/chancery" --control "$CONTROL" "$@"
}

challenge()
{
	chancery challenge create
}

ok()
{
	passed=$((passed + 1))
	echo "ok: $1"
}

bad()
{
	failed=$((failed + 1))
	echo "NOT ok: $1"
	[ ! -e "$dir/log" ] || tail -n 15 "$dir/log" | sed 's/^/    log: /'
}

skip()
{
	skipped=$((skipped + 1))
	echo "skipped: $1: $2"
}

check()
{
	local what=$1
	shift
	if "$@" >"$dir/check.out" 2>&1; then
		ok "$what"
	else
		bad "$what"
		sed 's/^/    /' "$dir/check.out" | tail -n 20
	fi
}

refuse()
{
	local what=$1
	shift
	if "$@" >"$dir/check.out" 2>&1; then
		bad "$what"
		sed 's/^/    /' "$dir/check.out" | tail -n 20
	else
		ok "$what"
	fi
}

# same "WHAT" EXPECTED SEEN
same()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		bad "$1"
		echo "    expected: $2"
		echo "    seen:     $3"
	fi
}

# logged "WHAT" PATTERN: the log has such a line, now or within five seconds
logged()
{
	check "$1" wait_until 5 grep -qE "$2" "$dir/log"
}

wait_until()
{
	local end=$((SECONDS + $1 * PATIENCE))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

healthy()
{
	curl -fs -m 5 -o /dev/null "http://127.0.0.1:$HTTP/health"
}

# The process id of a role (front, authority, signer); nothing while it does not run.
role_pid()
{
	pgrep -P "$(cat "$dir/chanceryd.pid")" -f "/chancery-$1\$"
}

# role_replaced ROLE PID: the role runs, and not as that process
role_replaced()
{
	local now
	now=$(role_pid "$1") && [ "$now" != "$2" ]
}

http_code()
{
	curl -s -o "$dir/http.body" -w '%{http_code}' "$@"
}

# The RA certificate of a folder that has this key usage ("Key Encipherment", "Digital Signature").
ra_with()
{
	local usage=$1 file
	shift
	for file in "$@"; do
		openssl x509 -in "$file" -noout -ext keyUsage 2>/dev/null | grep -q "$usage" && echo "$file"
	done | head -n 1
}

# Fetches the CA and RA certificates for enroll_device.
device_setup()
{
	mkdir -p "$dir/device"
	(cd "$dir/device" && pki --scepca --url "$SCEP_URL" --caout ca.pem --raout ra.pem --outform pem --force) \
		>"$dir/scepca.log" 2>&1
}

# enroll_device NAME [CHALLENGE [OPTION…]]: $dir/device/NAME.pem is the certificate for a fresh key, or it fails
enroll_device()
{
	local name=$1 challenge=${2:-}
	shift $(($# < 2 ? $# : 2))
	[ -n "$challenge" ] || challenge=$(challenge) || return 1
	(
		cd "$dir/device" || exit 1
		[ -s "$name.key" ] || pki --gen --type rsa --size 2048 --outform pem >"$name.key" || exit 1
		pki --scep --url "$SCEP_URL" --in "$name.key" --dn "CN=$name" --password "$challenge" \
			--cacert-enc "$(ra_with 'Key Encipherment' ra*.pem)" \
			--cacert-sig "$(ra_with 'Digital Signature' ra*.pem)" \
			--cacert ca.pem "$@" --outform pem >"$name.new" || exit 1
		mv "$name.new" "$name.pem"
	)
}

# enroll_under_load N: enrolls one device after the other until there is $dir/load.stop; N tells it from others beside it
enroll_under_load()
{
	local i=0
	while [ ! -e "$dir/load.stop" ]; do
		i=$((i + 1))
		enroll_device "load$1-$i" >/dev/null 2>&1
	done
}

# enrolled_under_load COUNT: at least so many have their certificate
enrolled_under_load()
{
	[ "$(find "$dir/device" -name 'load*.pem' | wc -l)" -ge "$1" ]
}

# make_request FILE [CHALLENGE]: a good PKCSReq in DER, for asking a server with curl
make_request()
{
	{ [ $# -gt 1 ] && echo "$2" || challenge; } >"$dir/request.challenge" || return 1
	"$BIN_DIR/chancery-load" --url "$SCEP_URL" --challenges "$dir/request.challenge" --write "$1" 2>"$dir/request.err"
}

# post_request FILE: posts it; the answer's body is in $dir/answer, its header fields in $dir/answer.head; prints the status
post_request()
{
	http_code -m "${timeout:-15}" -D "$dir/answer.head" -o "$dir/answer" --data-binary "@$1" \
		-H 'Content-Type: application/x-pki-message' "$SCEP_URL?operation=PKIOperation"
}

serial_of()
{
	openssl x509 -in "$1" -noout -serial | sed 's/.*=//' | tr A-F a-f
}

# Splits a file of PEM certificates into PREFIX-1.pem, PREFIX-2.pem, …
split_pem()
{
	awk -v prefix="$2" '/-----BEGIN CERTIFICATE-----/ { n++ } n { print > (prefix "-" n ".pem") }' "$1"
}

finish()
{
	if [ $skipped -gt 0 ]; then
		echo "$passed passed, $failed failed, $skipped skipped"
	else
		echo "$passed passed, $failed failed"
	fi
	[ $failed -eq 0 ] && [ $passed -gt 0 ]
	exit
}
