#!/bin/bash
# The operator's commands for certificates, CRL, challenges and audit, and who may use them.
. "$(dirname "$0")/lib.sh"
begin certificates

# says "WHAT" STATUS PATTERN COMMAND…: chancery ends with that status, and prints or complains like that
says()
{
	local what=$1 status=$2 pattern=$3
	shift 3
	chancery "$@" >"$dir/says" 2>&1
	same "$what: exit status" "$status" $?
	check "$what: text" grep -qiE "$pattern" "$dir/says"
}

crl_fetch()
{
	curl -fs -m 5 -D "$dir/crl.head" "$CRL_URL" | openssl crl -inform DER -out "$dir/crl.pem" 2>/dev/null
}

crl_number()
{
	crl_fetch && echo $(($(openssl crl -in "$dir/crl.pem" -noout -crlnumber | sed 's/.*=//')))
}

verified()
{
	crl_fetch && openssl verify -crl_check -CAfile "$dir/state/ca/ca.pem" -CRLfile "$dir/crl.pem" "$1"
}

# A revoked certificate fails for that reason, now or in a moment.
revoked()
{
	verified "$1" 2>&1 | grep -q 'certificate revoked'
}

start_appliance "${1:-rsa2048}"
device_setup
for name in first second third; do
	enroll_device $name >/dev/null 2>&1 || bad "$name enrolls"
done
serial=$(serial_of "$dir/device/first.pem")
check "the list has the newest certificate first" eval 'chancery certificate list --usage device | sed -n 2p | grep CN=third'
check "the list shows serial, end, state and subject" \
	grep -qE "^$serial  20[0-9-]{8}  valid    CN=first" <(chancery certificate list)
same "--limit" 2 "$(chancery certificate list --usage device --limit 2 | grep -c CN=)"
check "--limit says that there are more" eval 'chancery certificate list --usage device --limit 2 | grep -q "offset 2"'
same "--offset goes on there" "CN=first" "$(chancery certificate list --usage device --limit 2 --offset 2 | sed -n '2s/.* //p')"
same "--match" 1 "$(chancery certificate list --match second | grep -c CN=)"
check "the appliance's own certificates are there too" eval 'chancery certificate list --usage ra-sign | grep -q valid'
says "unknown usage" 2 'usage: one of device' certificate list --usage nonsense
says "limit that is no number" 2 'limit: a number from 1' certificate list --limit many
says "limit too low" 2 'limit: a number from 1' certificate list --limit 0
says "unknown option" 2 'Unknown option.*--color' certificate list --color
says "unknown command" 2 'no command.*help' certificates
says "half a command" 2 'certificate (list|show|revoke)' certificate

says "show" 0 "State *valid" certificate show "$serial"
check "show prints the fields" grep -q 'Subject: CN *= *first' "$dir/says"
says "show with colons and capitals" 0 CN=first certificate show "$(echo "$serial" | tr a-f A-F | sed 's/../&:/g;s/:$//')"
check "show --pem is the certificate" eval 'chancery certificate show "$serial" --pem | cmp - <(openssl x509 -in "$dir/device/first.pem")'
says "show without a serial" 2 SERIAL certificate show
says "show with nonsense" 2 '32 hexadecimal' certificate show xyz
says "show with too many" 2 'Too much' certificate show "$serial" "$serial"
says "show of an unknown serial" 1 'no certificate with serial' certificate show 0123456789abcdef0123456789abcdef

check "the certificate verifies" verified "$dir/device/first.pem"
before=$(crl_number)
says "revoke with an unknown reason" 2 'reason: one of .*keyCompromise' certificate revoke "$serial" --reason boredom
says "revoke with a reason that is not for good" 2 'reason: one of' certificate revoke "$serial" --reason certificateHold
says "revoke with an empty reason" 2 'reason: one of' certificate revoke "$serial" --reason ""
says "revoke without a serial" 2 SERIAL certificate revoke
says "revoke of an unknown serial" 1 'no certificate' certificate revoke 0123456789abcdef0123456789abcdef
check "nothing of that revoked it" verified "$dir/device/first.pem"
says "revoke" 0 'Revoked.*CRL' certificate revoke "$serial" --reason keyCompromise
check "the revoked certificate fails openssl verify within seconds" wait_until 5 revoked "$dir/device/first.pem"
check "others do not" verified "$dir/device/second.pem"
check "the CRL's number grew" test "$(crl_number)" -gt "$before"
check "the CRL names the reason" grep -q 'Key Compromise' <(openssl crl -in "$dir/crl.pem" -noout -text)
says "show says revoked, and why" 0 'State *revoked since .*keyCompromise' certificate show "$serial"
says "revoked twice" 1 'revoked already' certificate revoke "$serial"
says "the CA's own certificate" 1 'no certificate|own certificate' certificate revoke "$(serial_of "$dir/state/ca/ca.pem")"
# Capitals do not matter: RFC 5280 writes cACompromise.
for reason in unspecified caCompromise affiliationChanged superseded cessationOfOperation privilegeWithdrawn; do
	enroll_device "r$reason" >/dev/null 2>&1 || bad "a device enrolls"
	says "revoke, $reason" 0 Revoked certificate revoke "$(serial_of "$dir/device/r$reason.pem")" --reason $reason
	check "revoke, $reason: in force" wait_until 5 revoked "$dir/device/r$reason.pem"
done
check "crl show agrees with what is served" grep -qE "CRL number *$(crl_number)$" <(chancery crl show)
check "crl show --pem is it" eval 'chancery crl show --pem | cmp - "$dir/crl.pem"'
before=$(crl_number)
says "crl make" 0 'CRL [0-9]+ with 7 entries' crl make
check "it is served at once" test "$(crl_number)" -gt "$before"
check "/crl: Content-Type" grep -qi '^Content-Type: application/pkix-crl' "$dir/crl.head"
check "/crl: caches may keep it" grep -qiE '^Cache-Control: max-age=[1-9][0-9]+' "$dir/crl.head"
etag=$(sed -n 's/^ETag: \(.*\)\r$/\1/Ip' "$dir/crl.head")
same "/crl: 304 for who has it" 304 "$(http_code -H "If-None-Match: $etag" "$CRL_URL")"
same "/crl: HEAD" 200 "$(http_code -I "$CRL_URL")"
same "/crl: POST is refused" 405 "$(http_code -d x "$CRL_URL")"
check "/ca: the CA certificate in DER" eval 'curl -fs "$CA_URL" | openssl x509 -inform DER | cmp - <(openssl x509 -in "$dir/state/ca/ca.pem")'
check "ca show: the fingerprint" grep -q "${CA_FINGERPRINT_SHA256:0:47}" <(chancery ca show)
check "ca show --pem" eval 'chancery ca show --pem | cmp - "$dir/state/ca/ca.pem"'

says "audit verify" 0 'chain of [0-9]+ audit records holds' audit verify
check "audit list names the revocation" grep -qi "revoke.*$serial\|$serial.*revoke" <(chancery audit list --limit 500)
same "audit list --limit" 3 "$(chancery audit list --limit 3 | wc -l)"

says "challenge create" 0 '^[0-9A-Fa-f]{32}$' challenge create
same "--count" 5 "$(chancery challenge create --count 5 | sort -u | wc -l)"
says "--count 0" 2 'count: a number from 1' challenge create --count 0
says "--minutes" 0 '^[0-9A-Fa-f]{32}$' challenge create --minutes 1
says "--minutes without a number" 2 'minutes' challenge create --minutes
says "challenge list" 0 'Open *[0-9]+ of at most 1000' challenge list
check "a challenge from --count works" eval 'enroll_device fourth "$(chancery challenge create --count 3 | tail -n 1)"'
says "status" 0 OPERATIONAL status
serial=$(serial_of "$dir/device/third.pem")
says "an invalidity date that is none" 2 'invalidity-date' certificate revoke "$serial" --invalidity-date soon
says "an invalidity date to come" 2 'invalidity-date' certificate revoke "$serial" --invalidity-date 2999-01-01
says "release of what is not on hold" 1 'not on hold' certificate release "$serial"
says "hold" 0 'On hold.*CRL' certificate hold "$serial"
check "on hold it fails openssl verify" wait_until 5 revoked "$dir/device/third.pem"
check "the CRL gives the reason" grep -q 'Certificate Hold' <(openssl crl -in "$dir/crl.pem" -noout -text)
says "show says that it is on hold" 0 'State *on hold since .*certificateHold' certificate show "$serial"
says "hold twice" 1 'revoked already' certificate hold "$serial"
says "release" 0 'Released.*CRL' certificate release "$serial"
check "released it verifies again" wait_until 5 verified "$dir/device/third.pem"
says "hold again" 0 'On hold' certificate hold "$serial"
says "a hold becomes final" 0 'Revoked' certificate revoke "$serial" --reason keyCompromise --invalidity-date 2026-01-02
says "and cannot be released any more" 1 'not on hold' certificate release "$serial"
says "show tells since when" 0 'not to be trusted since 2026-01-02' certificate show "$serial"
crl_fetch
check "the CRL tells since when" grep -q 'Invalidity Date' <(openssl crl -in "$dir/crl.pem" -noout -text)
check "audit list names the release" eval 'chancery audit list --limit 500 | grep -q "event=release.*$serial\|$serial.*event=release"'
says "help" 0 'certificate revoke' help

setpriv --reuid 65534 --regid 65534 --clear-groups "$BIN_DIR/chancery" --control "$CONTROL" status >"$dir/says" 2>&1
same "another user id: exit status" 1 $?
check "another user id: told that only root may" grep -qi 'only root' "$dir/says"
chmod 666 "$CONTROL"
setpriv --reuid 65534 --regid 65534 --clear-groups "$BIN_DIR/chancery" --control "$CONTROL" status >"$dir/says" 2>&1
same "another user id, were the socket open: exit status" 1 $?
check "another user id, were the socket open: told so" grep -qi 'only root' "$dir/says"
logged "and logged" 'event=CONTROL_DENIED uid=65534'
chmod 600 "$CONTROL"
"$BIN_DIR/chancery" --control "$dir/nowhere" status >"$dir/says" 2>&1
same "no appliance: exit status" 1 $?
check "no appliance: said" grep -q 'not running' "$dir/says"

# Limits and the static challenge, which need other settings.
refuse "a static challenge does not work unless configured" enroll_device fifth FixedForAll2026
appliance_stop "$dir"
(umask 077 && echo FixedForAll2026 >"$dir/static")
echo "challenge: { max_open = 20; static_file = \"$dir/static\"; };" >>"$dir/chancery.conf"
run_appliance
check "a static challenge works when configured" enroll_device sixth FixedForAll2026
check "and again" enroll_device seventh FixedForAll2026
refuse "but not a part of it" enroll_device eighth FixedForAll202
says "challenge list says that there is one" 0 'Static *one for all' challenge list
says "no more than challenge.max_open" 1 'challenge.max_open allows 20' challenge create --count 50
check "what was open before the limit was reached was printed" test "$(grep -cE '^[0-9A-F]{32}$' "$dir/says")" -lt 20
finish
