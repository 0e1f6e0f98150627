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
logged "and enrolls" 'event=ENROLL_ISSUED .*device-0\.example'

# A flood of the largest bodies, none of which is ever complete.
kib_before=$(awk '/^VmRSS:/ { print $2 }' "/proc/$(role_pid front)/status")
flood=
for n in $(seq 24); do
	{ printf 'POST /scep HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n'; head -c 29000000 /dev/zero; sleep 8; } |
		timeout 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$HTTP; cat >&3; cat <&3" >"$dir/flood.$n" 2>&1 &
	flood="$flood $!"
done
logged "the log names front.body_bytes_total" 'event=HTTP_REFUSED .*status=503 .*front.body_bytes_total'
check "a device enrolls during the flood" enroll_device ndes-3
kib=$(awk '/^VmRSS:/ { print $2 }' "/proc/$(role_pid front)/status")
check "the front holds less than 400 MiB more ($((kib - kib_before)) KiB), not 24 times 30 MB" \
	[ $((kib - kib_before)) -lt 409600 ]
# shellcheck disable=SC2086
wait $flood
check "who was turned away was told when to come again" grep -qs '^Retry-After: 3' "$dir"/flood.*
check "afterwards all is as before" healthy

finish
