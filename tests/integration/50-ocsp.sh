#!/bin/bash
# OCSP as OpenSSL, GnuTLS and strongSwan see it; by POST and GET, from memory while the token is away.
. "$(dirname "$0")/lib.sh"
begin ocsp

# ask NAME [OPTION…]: OpenSSL's words about the certificate of that device
ask()
{
	local name=$1
	shift
	openssl ocsp -issuer "$dir/state/ca/ca.pem" "$@" -cert "$dir/device/$name.pem" -CAfile "$dir/state/ca/ca.pem" \
		-url "$OCSP_URL" -timeout 5 >"$dir/ocsp.out" 2>&1
	cat "$dir/ocsp.out"
}

# says NAME PATTERN: verified, and with that state
says()
{
	ask "$1" && grep -q 'Response verify OK' "$dir/ocsp.out" && grep -q "$2" "$dir/ocsp.out"
}

# request NAME FILE [OPTION…]: a request without a nonce
request()
{
	local name=$1 file=$2
	shift 2
	openssl ocsp -issuer "$dir/state/ca/ca.pem" "$@" -cert "$dir/device/$name.pem" -no_nonce -reqout "$file" >/dev/null 2>&1
}

# error FILE NUMBER: an answer without a signature, with this OCSPResponseStatus
error()
{
	[ "$(od -An -tx1 "$1" | tr -d ' \n')" = "30030a010$2" ]
}

post()
{
	curl -s -m 5 -D "$dir/post.head" -H 'Content-Type: application/ocsp-request' --data-binary "@$1" -o "$2" "$OCSP_URL"
}

escaped()
{
	base64 -w0 "$1" | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g'
}

start_appliance "${1:-rsa2048}"
OCSP_URL=http://127.0.0.1:$HTTP/ocsp
device_setup
for name in one two three; do
	enroll_device $name >/dev/null 2>&1 || bad "$name enrolls"
done
check "certificates say where to ask" grep -q "OCSP - URI:$OCSP_URL" <(openssl x509 -in "$dir/device/one.pem" -noout -text)
check "the responder has a certificate" wait_until 10 eval 'chancery certificate list --usage ocsp | grep -q valid'
serial=$(chancery certificate list --usage ocsp | sed -n '2s/ .*//p')
chancery certificate show "$serial" --pem >"$dir/responder.pem"
check "for OCSP alone" grep -q "OCSP Signing" <(openssl x509 -in "$dir/responder.pem" -noout -ext extendedKeyUsage)
check "whose own state nobody asks" grep -q "OCSP No Check" <(openssl x509 -in "$dir/responder.pem" -noout -text)

check "a good certificate" says one ': good'
check "the status screen tells of the answer" grep -q '^ OCSP         ends .*; 1 signed, last [0-9]*s ago' <(chancery status)
check "with SHA-256" eval 'ask one -sha256 && grep -q ": good" "$dir/ocsp.out"'
check "revoke" chancery certificate revoke "$(serial_of "$dir/device/two.pem")" --reason keyCompromise
check "a revoked certificate, with its reason" says two ': revoked'
check "the reason" grep -q 'Reason: keyCompromise' "$dir/ocsp.out"
check "hold" chancery certificate hold "$(serial_of "$dir/device/one.pem")"
check "an answer that was kept holds no more" says one ': revoked'
check "release" chancery certificate release "$(serial_of "$dir/device/one.pem")"
check "released it is good again" says one ': good'

openssl ocsp -issuer "$dir/state/ca/ca.pem" -serial 0x0102030405060708090a0b0c0d0e0f10 -no_nonce -reqout "$dir/unknown.req" >/dev/null 2>&1
check "an unknown serial number" post "$dir/unknown.req" "$dir/unknown.rsp"
check "is unauthorized, unsigned" error "$dir/unknown.rsp" 6
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout /dev/null -out "$dir/other.pem" 2>/dev/null
openssl ocsp -issuer "$dir/other.pem" -cert "$dir/device/one.pem" -no_nonce -reqout "$dir/foreign.req" >/dev/null 2>&1
post "$dir/foreign.req" "$dir/foreign.rsp"
check "a certificate of another CA is unauthorized too" error "$dir/foreign.rsp" 6
head -c 60 /dev/urandom >"$dir/garbage"
post "$dir/garbage" "$dir/garbage.rsp"
check "garbage is a malformed request" error "$dir/garbage.rsp" 1
check "errors are not to be cached" grep -qi '^Cache-Control: no-store' "$dir/post.head"
openssl ocsp -issuer "$dir/state/ca/ca.pem" -cert "$dir/device/one.pem" -cert "$dir/device/two.pem" -no_nonce -reqout "$dir/two.req" >/dev/null 2>&1
post "$dir/two.req" "$dir/two.rsp"
check "two questions at once are not served" error "$dir/two.rsp" 6

request one "$dir/one.req"
check "POST" post "$dir/one.req" "$dir/one.rsp"
check "its answer verifies" grep -q ': good' <(openssl ocsp -respin "$dir/one.rsp" -issuer "$dir/state/ca/ca.pem" \
	-cert "$dir/device/one.pem" -CAfile "$dir/state/ca/ca.pem" 2>&1)
GET_URL=$OCSP_URL/$(escaped "$dir/one.req")
check "GET" curl -fs -m 5 -D "$dir/get.head" -o "$dir/get.rsp" "$GET_URL"
check "it gives the same, from memory" wait_until 5 eval 'curl -fs -o "$dir/get.rsp" "$GET_URL"; post "$dir/one.req" "$dir/one.rsp"; cmp "$dir/get.rsp" "$dir/one.rsp"'
check "GET with bare base64" eval 'curl -fs --path-as-is "$OCSP_URL/$(base64 -w0 "$dir/one.req")" | openssl ocsp -respin /dev/stdin -noverify -resp_text | grep -q good'
check "Content-Type" grep -qi '^Content-Type: application/ocsp-response' "$dir/get.head"
check "Cache-Control" grep -qiE '^Cache-Control: max-age=[1-9][0-9]+, public, no-transform, must-revalidate' "$dir/get.head"
check "Expires" grep -qi '^Expires: .*GMT' "$dir/get.head"
check "Last-Modified" grep -qi '^Last-Modified: .*GMT' "$dir/get.head"
check "304 for who has it" wait_until 5 eval '[ "$(http_code -H "If-None-Match: $(curl -fs -D - -o /dev/null "$GET_URL" | sed -n "s/^ETag: \(.*\)\r$/\1/Ip")" "$GET_URL")" = 304 ]'

if command -v ocsptool >/dev/null; then
	check "GnuTLS: good" eval 'ocsptool --ask="$OCSP_URL" --load-cert "$dir/device/one.pem" --load-issuer "$dir/state/ca/ca.pem" | grep -q "Certificate Status: good"'
	check "GnuTLS: revoked" eval 'ocsptool --ask="$OCSP_URL" --load-cert "$dir/device/two.pem" --load-issuer "$dir/state/ca/ca.pem" | grep -q "Certificate Status: revoked"'
else
	skip "GnuTLS" "ocsptool (gnutls-bin) is not installed"
fi
check "strongSwan: good" pki --verify --in "$dir/device/one.pem" --cacert "$dir/state/ca/ca.pem" --online
refuse "strongSwan: revoked" pki --verify --in "$dir/device/two.pem" --cacert "$dir/state/ca/ca.pem" --online

# Every loop of the front has been asked for it by now, or is asked here.
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do curl -fs -o /dev/null "$GET_URL"; done
old=$(role_pid signer)
mv "$dir/tokens" "$dir/tokens.away"
kill -9 "$old"
check "the token is away" wait_until 15 eval '! healthy'
request three "$dir/three.req"
post "$dir/three.req" "$dir/three.rsp"
check "what was not asked before: try later" error "$dir/three.rsp" 3
check "what was asked before is answered" eval 'curl -fs "$GET_URL" | openssl ocsp -respin /dev/stdin -noverify -resp_text | grep -q good'
mv "$dir/tokens.away" "$dir/tokens"
check "the token is back" wait_until 30 healthy
check "all are answered" wait_until 15 says three ': good'

# A token from before OCSP: all else works, and the ceremony run again makes the key.
appliance_stop "$dir"
for type in privkey pubkey; do
	setpriv --reuid $((uid_base + 2)) --regid $((uid_base + 2)) --clear-groups env SOFTHSM2_CONF="$dir/softhsm2.conf" \
		pkcs11-tool --module /usr/lib/softhsm/libsofthsm2.so --token-label chancery-sim --login --pin "$(cat "$dir/pin")" \
		--delete-object --type $type --label chancery-ocsp >/dev/null 2>&1 || bad "the $type is taken out"
done
run_appliance
logged "without the key the log says so" 'event=OCSP_OFF key=ocsp'
check "devices enroll all the same" enroll_device four
post "$dir/one.req" "$dir/one.rsp"
check "OCSP is for later" error "$dir/one.rsp" 3
appliance_stop "$dir"
check "the ceremony again makes the key" appliance_provision "$dir" "$BIN_DIR"
run_appliance
check "and OCSP works" wait_until 15 says one ': good'
finish
