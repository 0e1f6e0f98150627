#!/bin/bash
# Hostile and odd requests: each gets its answer and a line in the log, and leaves the processes as they were.
. "$(dirname "$0")/lib.sh"
begin hostile

roles()
{
	echo "$(role_pid front) $(role_pid authority) $(role_pid signer)"
}

# The most memory that the front ever had.
front_kib()
{
	awk '/^VmHWM:/ { print $2 }' "/proc/$(role_pid front)/status"
}

# drive PROGRAM: its lines are ours
drive()
{
	local line
	chancery challenge create --count 80 >"$dir/challenges.new" || bad "challenges can be made"
	cat "$dir/challenges.new" >>"$dir/challenges"
	"$TESTS_DIR/$1" 127.0.0.1 "$HTTP" "$dir/serials" <"$dir/challenges.new" >"$dir/$1.out" 2>&1
	while read -r line; do
		case $line in
		ok:\ *) passed=$((passed + 1)) ;;
		NOT\ ok:\ *) failed=$((failed + 1)) ;;
		esac
	done <"$dir/$1.out"
	cat "$dir/$1.out"
	check "$1 came to its end" grep -qE '^[0-9]+ passed, [0-9]+ failed$' "$dir/$1.out"
	sed -i '/ passed, /d' "$dir/$1.out"
}

# The appliance's own list has what the devices got, and nothing more but the appliance's own certificates.
compare_lists()
{
	chancery certificate list --limit 1000 >"$dir/list"
	sort -u "$dir/serials" | tr A-F a-f >"$dir/got"
	awk 'NR > 1 { print $1 }' "$dir/list" | sort >"$dir/listed"
	same "every certificate that a device got is in the list" "" "$(comm -23 "$dir/got" "$dir/listed")"
	same "and none more but those of the CA, of the RA (two), for OCSP and for TLS" 5 "$(comm -13 "$dir/got" "$dir/listed" | wc -l)"
}

one_arrangement()
{
	local before kib
	start_appliance "$1"
	before=$(roles) kib=$(front_kib)
	: >"$dir/serials"
	drive scepdrive
	drive httpdrive
	same "no role was replaced" "$before" "$(roles)"
	if [ -n "${SANITIZE:-}" ]; then
		skip "the front has not grown" "sanitizers keep what was freed"
	else
		check "the front has not grown by 20 MiB (from $kib KiB to $(front_kib) KiB)" \
			test "$(front_kib)" -lt $((kib + 20480))
	fi
	compare_lists
	check "the appliance is healthy" healthy
	refuse "no challenge is in the log" grep -qFf "$dir/challenges" "$dir/log"
	refuse "and no PIN" grep -qFf "$dir/pin" "$dir/log"
	refuse "no peer writes lines of its own into the log" grep -qE '^[^"]*event=FORGED' "$dir/log"
}

one_arrangement rsa2048
while read -r cause; do
	check "the log names a cause: $cause" grep -qE "event=(SCEP_REFUSED|SCEP_NOT_SCEP|ENROLL_REFUSED|HTTP_REFUSED) .*$cause" "$dir/log"
done <<'END'
the outer signature is wrong
messageDigest does not fit the content
the signer's certificate is missing
attribute transactionID is missing
attribute senderNonce is there twice
no IssuerAndSerialNumber
messageType 4 is unknown
the message is for an unknown recipient
SHA-1 is not allowed
3DES is not allowed
single DES is not allowed
content cipher not supported
RSA key has 1024 bits
RSA exponent with 2 bits
request is not signed by its own key
request is signed with MD5 or SHA-1
signed with another key than the request's
challenge: used already
challenge: not known
challenge: missing
subjectAltName: DNS is not well-formed
subjectAltName: more than 64 names
subject: empty, and there is no subjectAltName
message is cut short
the message is no base64
the URL is longer than front.url_bytes \(maxUrl\)
the length of the body is not certain
only GET, HEAD and POST are served
no HTTP
a header field is longer than front.field_bytes \(MaxFieldLength\)
the body is longer than front.body_bytes \(maxAllowedContentLength\)
END
device_setup
check "strongSwan enrolls after all that" enroll_device afterwards
appliance_stop "$dir"

rm -rf "${dir:?}"/{state,run,tokens,log,challenges}
one_arrangement p256
finish
