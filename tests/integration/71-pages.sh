#!/bin/bash
# The pages for people, as a browser and a text browser show them.  The pictures stay in log/ of the output folder.
. "$(dirname "$0")/lib.sh"
begin pages
pictures=$O/log
mkdir -p "$pictures"

# chrome OPTION…: headless, with a profile of its own, and no way to anywhere but loopback
chrome()
{
	rm -rf "$dir/profile"
	timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync \
		--user-data-dir="$dir/profile" --window-size=1280,720 --hide-scrollbars \
		--host-resolver-rules='MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' "$@" 2>"$dir/chrome.err"
}

# picture NAME URL: a screenshot of what a person sees without scrolling
picture()
{
	rm -f "$pictures/$1.png"
	chrome --screenshot="$pictures/$1.png" "$2" >/dev/null
	[ -s "$pictures/$1.png" ]
}

# width_and_height FILE: of a PNG
width_and_height()
{
	od -An -tu1 -j16 -N8 "$1" | awk '{ print $3 * 256 + $4, $7 * 256 + $8 }'
}

# is_filled NAME: a picture of the right size with much more in it than an empty page has
is_filled()
{
	[ "$(width_and_height "$pictures/$1.png")" = "1280 720" ] &&
		[ "$(wc -c <"$pictures/$1.png")" -gt $((4 * $(wc -c <"$pictures/page-empty.png"))) ]
}

make_appliance
echo 'challenge: { max_open = 3; };' >>"$dir/chancery.conf"
run_appliance
device_setup
check "an administrator has a certificate" enroll_device operator
echo "admin: { certificates = \"$(openssl x509 -in "$dir/device/operator.pem" -noout -fingerprint -sha256 |
	sed 's/.*=//')\"; };" >>"$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
logged "it is listed" 'event=CONFIG_RELOADED'
check "an empty page has a picture to compare with" picture page-empty about:blank

service=http://127.0.0.1:$HTTP/certsrv/mscep/mscep.dll
check "the page for devices has a picture" picture page-service "$service"
check "and something is on it" is_filled page-service
chrome --dump-dom "$service" >"$dir/service.dom"
check "it says what to type into a device" grep -qF "<code>$service</code>" "$dir/service.dom"
check "its style sheet is let in by its policy" test ! -s <(grep -i 'content security policy' "$dir/chrome.err")

# A browser would ask a person for the certificate; curl has it, and the browser shows what curl got.
admin_page()
{
	curl -ks -m 10 -H 'Accept-Language: en' --cert "$dir/device/operator.pem" --key "$dir/device/operator.key" \
		-o "$dir/$1.html" "$ADMIN_URL"
}
check "the administrator's page is there" admin_page admin
challenge=$(sed -n 's/.*The enrollment challenge password is: <B> \([^ ]*\) <.*/\1/p' "$dir/admin.html")
check "it has a picture" picture page-admin "file://$dir/admin.html"
check "with something on it" is_filled page-admin
chrome --dump-dom "file://$dir/admin.html" >"$dir/admin.dom"
check "the challenge is in what the browser shows" grep -qE "password is: <b> $challenge </b>" "$dir/admin.dom"
check "and enrolls a device" enroll_device from-page "$challenge"
for _ in 1 2 3 4; do admin_page full; done
check "the page of a full cache has a picture" picture page-full "file://$dir/full.html"
check "with something on it too" is_filled page-full
curl -ks -m 10 -H 'Accept-Language: en' -o "$dir/denied.html" "$ADMIN_URL"
check "so has the page of who may not" picture page-denied "file://$dir/denied.html"
check "with something on it as well" is_filled page-denied

curl -fs "$service" >"$dir/service.html"
lynx -dump -width 80 "$dir/service.html" >"$dir/service.text"
check "a text browser shows the URL in one piece" grep -qF "$service" "$dir/service.text"
lynx -dump -width 80 "$dir/admin.html" >"$dir/admin.text"
check "and the challenge" grep -qF "$challenge" "$dir/admin.text"

finish
