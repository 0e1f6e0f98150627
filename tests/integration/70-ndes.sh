#!/bin/bash
# What a site that ran NDES relies on: its addresses, and its limits.
. "$(dirname "$0")/lib.sh"
begin ndes

# is_scep URL: capabilities, CA certificates, and the page for people are there
is_scep()
{
	curl -fs -m 5 "$1?operation=GetCACaps&message=default" | grep -q POSTPKIOperation &&
		curl -fs -m 5 "$1?operation=GetCACert" -o "$dir/bundle" && [ -s "$dir/bundle" ] &&
		curl -fs -m 5 "$1" | grep -q '<h2>What to type into a device</h2>'
}

# zeros N: a text of N octets
zeros()
{
	head -c "$1" /dev/zero | tr '\0' 0
}

# get URL [OPTION…]: the status; the URL comes from a file, since an argument cannot be that long
get()
{
	printf 'url = "%s"\n' "$1" >"$dir/curl.conf"
	shift
	http_code -m 10 -K "$dir/curl.conf" "$@"
}

# get_operation FILE URL: the URL that asks with this message by GET
get_operation()
{
	printf '%s?operation=PKIOperation&message=' "$2"
	base64 -w 0 "$1" | sed 's/+/%2B/g; s/=/%3D/g'
}

make_appliance
(umask 077; zeros 40000 >"$dir/long-challenge")
cat >>"$dir/chancery.conf" <<-END
	challenge: { static_file = "$dir/long-challenge"; };
END
run_appliance
base=http://127.0.0.1:$HTTP

for path in /certsrv/mscep/mscep.dll /certsrv/mscep /certsrv/mscep/ /CertSrv/mscep/mscep.dll/pkiclient.exe \
	/certsrv/mscep/pkiclient.exe /cgi-bin/pkiclient.exe /CGI-BIN/PKICLIENT.EXE /scep /scep/ /scep/pkiclient.exe; do
	check "$path is SCEP" is_scep "$base$path"
done
for path in /scep/nothing /certsrv/mscep/nothing /certsrv /certsrv/mscep_admin /certsrv/mscep_admin/ \
	/certsrv/mscep_admin/mscep.dll; do
	same "$path is nowhere" 404 "$(http_code "$base$path?operation=GetCACaps")"
done
same "the administrator's page is not on the devices' TLS listener" 404 \
	"$(http_code -k "https://127.0.0.1:$HTTPS/certsrv/mscep_admin/")"

SCEP_URL=$base/certsrv/mscep/mscep.dll
check "strongSwan gets the CA from NDES' address" device_setup
check "strongSwan enrolls at NDES' address" enroll_device ndes-1
SCEP_URL=$base/certsrv/mscep/
check "and at its folder" enroll_device ndes-2

# Each limit, one octet below and one octet above.
same "a URL of 65,534 octets is read" 400 \
	"$(get "$base/scep?operation=PKIOperation&message=M$(zeros $((65534 - 38)))")"
same "a longer one is not" 414 "$(get "$base/scep?operation=PKIOperation&message=M$(zeros $((65535 - 38)))")"
logged "the log names maxUrl" 'event=HTTP_REFUSED .*status=414 .*\(maxUrl\)'
printf 'header = "X: %s"\n' "$(zeros $((65534 - 3)))" >"$dir/fits.conf"
printf 'header = "X: %s"\n' "$(zeros $((65535 - 3)))" >"$dir/long.conf"
same "a field of 65,534 octets is read" 200 "$(get "$base/health" -K "$dir/fits.conf")"
same "a longer one is not" 431 "$(get "$base/health" -K "$dir/long.conf")"
logged "the log names MaxFieldLength" 'event=HTTP_REFUSED .*status=431 .*\(MaxFieldLength\)'
head -c 30000000 /dev/zero >"$dir/body"
same "a body of 30,000,000 octets arrives, and is no SCEP message" 413 "$(http_code --data-binary "@$dir/body" "$base/scep")"
logged "the log names scep.message_bytes" 'event=HTTP_REFUSED .*status=413 .*scep.message_bytes'
echo >>"$dir/body"
same "a longer one does not arrive" 413 "$(http_code -H 'Expect:' --data-binary "@$dir/body" "$base/scep")"
logged "the log names maxAllowedContentLength" 'event=HTTP_REFUSED .*status=413 .*\(maxAllowedContentLength\)'

check "a request with a challenge of 40,000 characters is made" \
	make_request "$dir/long.der" "$(cat "$dir/long-challenge")"
get_operation "$dir/long.der" "$SCEP_URL" >"$dir/url"
check "its URL has about 60 KiB" [ "$(wc -c <"$dir/url")" -gt 55000 ]
same "it is answered by GET" 200 "$(get "$(cat "$dir/url")")"
logged "and enrolls" 'event=ENROLL_ISSUED .*load-[0-9a-f]*-0\.example'

# A flood of the largest bodies, none of which is ever complete.
kib_before=$(awk '/^VmRSS:/ { print $2 }' "/proc/$(role_pid front)/status")
flood=
for n in $(seq 24); do
	{ printf 'POST /scep HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n'; head -c 29000000 /dev/zero; sleep 8; } |
		timeout $((10 * PATIENCE)) bash -c "exec 3<>/dev/tcp/127.0.0.1/$HTTP; cat >&3; cat <&3" >"$dir/flood.$n" 2>&1 &
	flood="$flood $!"
done
logged "the log names front.body_bytes_total" 'event=HTTP_REFUSED .*status=503 .*front.body_bytes_total'
check "a device enrolls during the flood" enroll_device ndes-3
kib=$(awk '/^VmRSS:/ { print $2 }' "/proc/$(role_pid front)/status")
if [ -n "${SANITIZE:-}" ]; then
	skip "the front holds less than 400 MiB more" "sanitizers keep what was freed"
else
	check "the front holds less than 400 MiB more ($((kib - kib_before)) KiB), not 24 times 30 MB" \
		[ $((kib - kib_before)) -lt 409600 ]
fi
# shellcheck disable=SC2086
wait $flood
check "who was turned away was told when to come again" grep -qs '^Retry-After: 3' "$dir"/flood.*
check "afterwards all is as before" healthy

# The administrator's page, on a listener of its own.
page=$ADMIN_URL
# visit [OPTION…]: the page in UTF-8, to standard output
visit()
{
	curl -ks -m 10 -H 'Accept-Language: en' "$@"
}

# The static challenge would be shown to everybody; the rest is about one-time ones.
appliance_stop "$dir"
sed -i '/static_file/d' "$dir/chancery.conf"
echo 'challenge: { max_open = 6; };' >>"$dir/chancery.conf"
run_appliance
check "an administrator has a certificate of this CA" enroll_device operator
check "somebody else has one too" enroll_device other
admin() { visit --cert "$dir/device/operator.pem" --key "$dir/device/operator.key" "$@"; }
other() { visit --cert "$dir/device/other.pem" --key "$dir/device/other.key" "$@"; }
openssl x509 -in "$dir/device/operator.pem" -noout -fingerprint -sha256 | sed 's/.*=//' >"$dir/fingerprint"

refuse "over plain HTTP there is no page" curl -fs -m 5 "http://127.0.0.1:$ADMIN/certsrv/mscep_admin/"
check "a certificate that is not listed gets no challenge" grep -q 'do not have sufficient permission' <(admin "$page")
echo "admin: { certificates = \"$(cat "$dir/fingerprint")\"; };" >>"$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
logged "the list is read again" 'event=CONFIG_RELOADED'
check "nor does who has none" grep -q 'do not have sufficient permission' <(visit "$page")
check "nor does another one" grep -q 'do not have sufficient permission' <(other "$page")
logged "the log says why" 'event=ADMIN_REFUSED .*not in admin.certificates'
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=operator -keyout "$dir/self.key" -out "$dir/self.pem" 2>/dev/null
check "nor does one that nobody issued" grep -q 'do not have sufficient permission' \
	<(visit --cert "$dir/self.pem" --key "$dir/self.key" "$page")
same "other paths are not there" 404 "$(http_code -k "https://127.0.0.1:$ADMIN/scep?operation=GetCACaps")"
same "HEAD costs no challenge" 405 "$(http_code -k --cert "$dir/device/operator.pem" --key "$dir/device/operator.key" -I "$page")"
same "nor does a link of another page" 403 "$(http_code -k -H 'Sec-Fetch-Site: cross-site' "$page")"

check "who is listed gets a page" admin -o "$dir/page.html" -D "$dir/page.head" "$page"
challenge=$(sed -n 's/.*The enrollment challenge password is: <B> \([^ ]*\) <.*/\1/p' "$dir/page.html")
check "with a challenge" grep -qE '^[0-9A-F]{32}$' <<<"$challenge"
check "that nobody keeps" grep -qi '^cache-control: no-store' "$dir/page.head"
check "and that enrolls a device" enroll_device from-page "$challenge"
refuse "once" enroll_device from-page-again "$challenge"
for digest in sha1 sha256; do
	check "the page has the CA's $digest" grep -q \
		"$(openssl x509 -in "$dir/state/ca/ca.pem" -noout -fingerprint -$digest | sed 's/.*=//; s/://g')" "$dir/page.html"
done
md5=$(openssl x509 -in "$dir/state/ca/ca.pem" -noout -fingerprint -md5 | sed 's/.*=//; s/://g')

# A program that reads NDES' page: UTF-16LE without a mark, found by its expressions.
curl -ks -m 10 --cert "$dir/device/operator.pem" --key "$dir/device/operator.key" "${page%/}" >"$dir/page.wide"
same "a program gets UTF-16LE without a mark" '3c002100' "$(head -c 4 "$dir/page.wide" | od -An -tx1 | tr -d ' ')"
iconv -f UTF-16LE -t UTF-8 "$dir/page.wide" >"$dir/page.text"
check "its expression finds the challenge" grep -qP 'The enrollment challenge password is: <B> [0-9A-F]{32} </B>' "$dir/page.text"
check "and the thumbprint, MD5 in four groups" grep -qF \
	"CA certificate is: <B> ${md5:0:8} ${md5:8:8} ${md5:16:8} ${md5:24:8} </B>" "$dir/page.text"
same "NDESGetCACertThumbprint is the root's MD5" "$md5" "$(admin "$page?operation=NDESGetCACertThumbprint")"
challenge=$(admin "${page}mscep.dll?operation=NDESGenerateChallenge&keyUsage=0xA0&params=")
check "NDESGenerateChallenge is a challenge and nothing else" grep -qE '^[0-9A-F]{32}$' <<<"$challenge"
same "without a certificate it is 401" 401 "$(http_code -k "$page?operation=NDESGenerateChallenge")"
same "none is given for a template that is not there" 400 "$(http_code -k --cert "$dir/device/operator.pem" \
	--key "$dir/device/operator.key" "$page?operation=NDESGenerateChallenge&params=template%3DNope")"
check "an MDM's challenge enrolls" enroll_device from-mdm "$challenge"
for _ in 1 2 3 4 5 6; do admin "$page" >"$dir/page.html"; done
check "when challenge.max_open is reached the page says so" grep -q 'The password cache is full\.' "$dir/page.html"
same "NDESGenerateChallenge says so too" 503 \
	"$(http_code -k --cert "$dir/device/operator.pem" --key "$dir/device/operator.key" "$page?operation=NDESGenerateChallenge")"
check "the audit trail names who got them" grep -qi "certificate $(sed 's/://g; s/^\(.\{16\}\).*/\1/' "$dir/fingerprint")\"" <(chancery audit list)
check "the administrator's certificate is revoked" chancery certificate revoke "$(serial_of "$dir/device/operator.pem")"
check "and then of no use" grep -q 'do not have sufficient permission' <(admin "$page")
logged "the log says that" 'event=ADMIN_REFUSED .*is revoked'

finish
