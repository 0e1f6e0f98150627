#!/bin/bash
# Each client below the URL of its own SCEP profile: strongSwan, scepclient, certmonger and hand-made requests, each refused
# where another profile's floor is; what the answers hold; Microsoft's attributes; NDES' event numbers; odd addresses.
. "$(dirname "$0")/lib.sh"
begin profiles
make_appliance
sed -i '/^scep:/d' "$dir/chancery.conf"
echo static-secret >"$dir/static" && chmod 600 "$dir/static"
cat >>"$dir/chancery.conf" <<END2
challenge: { static_file = "$dir/static"; accept = "any"; };
profiles = (
	{ name = "strongswan"; preset = "strongswan"; challenge = "one-time"; },
	{ name = "legacy"; preset = "scepclient"; challenge = "static"; approval = false; },
	{ name = "certmonger"; preset = "certmonger"; },
	{ name = "cisco"; preset = "cisco-ios"; caps_extra = "SHA-384"; },
	{ name = "juniper"; preset = "juniper"; getcacert_chain = false; },
	{ name = "windows"; preset = "windows"; },
	{ name = "kiosk"; approval = true; }
);
END2

# ---- the configuration
check "the configuration is valid" "$BIN_DIR/chanceryd" --check-config "$dir/chancery.conf"
"$BIN_DIR/chanceryd" --config "$dir/chancery.conf" --print-config >"$dir/printed.conf"
check "what --print-config prints is valid" "$BIN_DIR/chanceryd" --check-config "$dir/printed.conf"
"$BIN_DIR/chanceryd" --config "$dir/printed.conf" --print-config >"$dir/again.conf"
check "and the same again" cmp "$dir/printed.conf" "$dir/again.conf"
check "a profile is printed with all that its preset sets" \
	test 1 = "$(awk '/name = "cisco"/, /}/' "$dir/printed.conf" | grep -c 'certrep_ca = true')"
sed 's/preset = "juniper"/preset = "jupiter"/' "$dir/chancery.conf" >"$dir/wrong.conf"
"$BIN_DIR/chanceryd" --check-config "$dir/wrong.conf" 2>"$dir/wrong"
check "an unknown preset is named with file, line and profile" \
	grep -q "^$dir/wrong.conf:$(grep -n jupiter "$dir/wrong.conf" | cut -d: -f1): profiles\[4\].preset: must be one of" "$dir/wrong"

run_appliance
base=$SCEP_URL
logged "the start has NDES' number" 'event=APPLIANCE_READY ndes=1 version='
mkdir -p "$dir/device" && cd "$dir/device" || exit 1

# ---- strongSwan, which misreads the capabilities without the empty line
SCEP_URL=$base/strongswan
check "pki fetches the certificates below /scep/strongswan" device_setup
check "pki enrolls there" enroll_device swan1
SCEP_URL=$base
refuse "pki does not believe the capabilities of /scep" enroll_device swan2
SCEP_URL=$base/strongswan
refuse "below /scep/strongswan the static challenge is not accepted" enroll_device swan3 static-secret
logged "the log has NDES' number for that" 'event=ENROLL_REFUSED .*cause="challenge: not known" ndes=29'
logged "and the profile" 'event=SCEP_REFUSED .*profile=strongswan'

# ---- scepclient, with SHA-1 and single DES
legacy()
{
	rm -rf legacy && mkdir legacy && (cd legacy && scepclient -debug -private-key client.key -certificate client.pem \
		-server-url="$1" -challenge="$2" -cn dev.example -organization Example -country DE -keySize 2048 && [ -s client.pem ])
}
refuse "scepclient is refused below /scep" legacy "$base" static-secret
logged "because of its algorithms" 'event=SCEP_REFUSED .*fail=badAlg .*profile=- ndes=-'
refuse "and below /scep/cisco" legacy "$base/cisco" static-secret
refuse "below /scep/legacy one-time challenges are not accepted" legacy "$base/legacy" "$CHALLENGE"
check "scepclient enrolls below /scep/legacy with the static one" legacy "$base/legacy" static-secret
check "its certificate verifies" openssl verify -CAfile ca.pem legacy/client.pem
SCEP_URL=$base/strongswan
check "the one-time challenge is still good" enroll_device swan4 "$CHALLENGE"

# ---- certmonger's helper
submit=/usr/lib/certmonger/scep-submit
check "scep-submit reads capabilities below /scep/certmonger" grep -q SCEPStandard <("$submit" -u "$base/certmonger" -c)
"$submit" -u "$base/certmonger" -C >cas.pem 2>/dev/null
split_pem cas.pem cm
SCEP_URL=$base/certmonger
make_request cm.der
openssl pkcs7 -inform DER -in cm.der -outform PEM -out cm.pem
check "scep-submit enrolls below /scep/certmonger" "$submit" -u "$base/certmonger" -p \
	-r "$(ra_with 'Key Encipherment' cm-*.pem)" -I "$(ra_with 'Digital Signature' cm-*.pem)" -N ca.pem cm.pem
logged "as that profile" 'event=SCEP_ANSWERED .*status=issued profile=certmonger'

# ---- what is in the answers
certificates()
{
	openssl pkcs7 -inform DER -in "$dir/http.body" -print_certs | grep -c '^subject'
}
SCEP_URL=$base/cisco
make_request one.der
same "below /scep/cisco a request is answered" 200 "$(post_request one.der)"
same "with the CA certificate" 2 "$(certificates)"
SCEP_URL=$base/juniper
same "the same request below /scep/juniper is answered" 200 "$(post_request one.der)"
same "without it" 1 "$(certificates)"
logged "and is the same transaction" 'event=SCEP_ANSWERED .*status=issued profile=juniper'
same "for which no second certificate was made" 1 \
	"$(grep 'event=SCEP_ANSWERED' "$dir/log" | grep profile=cisco | sed 's/.*transaction=\("[^"]*"\).*/\1/' |
		xargs -I@ grep -c 'event=ENROLL_ISSUED .*transaction="@"' "$dir/log")"
getcacert()
{
	curl -fs -o /dev/null -w '%{content_type}' "$1?operation=GetCACert"
}
same "/scep/juniper has the CA certificate alone in GetCACert" application/x-x509-ca-cert "$(getcacert "$base/juniper")"
same "/scep/cisco has the RA certificates too" application/x-x509-ca-ra-cert "$(getcacert "$base/cisco")"
check "/scep/cisco announces its extra line" grep -qx SHA-384 <(curl -fs "$base/cisco?operation=GetCACaps")
refuse "/scep does not" grep -qx SHA-384 <(curl -fs "$base?operation=GetCACaps")
SCEP_URL=$base/kiosk
make_request wait.der
same "below /scep/kiosk a request is answered" 200 "$(post_request wait.der)"
logged "but waits for an operator" 'event=SCEP_ANSWERED .*status=pending profile=kiosk'
SCEP_URL=$base
same "and waits when it asks elsewhere" 200 "$(post_request wait.der)"
logged "too" 'event=SCEP_ANSWERED .*status=pending profile=-'

# ---- Microsoft's attributes
attributes()
{
	openssl cms -in "$dir/http.body" -inform DER -cmsout -print 2>/dev/null | grep -A 4 "object: .*1\.3\.6\.1\.4\.1\.311\.21\.$1"
}
post_as_windows()
{
	http_code -m 15 --data-binary "@$1" -A 'Mozilla/4.0 (compatible; Win32; NDES client 10.0.26100.1/ge_release)' \
		-H 'Content-Type: application/x-pki-message' "$SCEP_URL?operation=PKIOperation"
}
SCEP_URL=http://127.0.0.1:$HTTP/certsrv/mscep/mscep.dll
make_request good.der && make_request bad.der FEDCBA9876543210FEDCBA9876543210
same "Windows gets an answer from the URL of NDES" 200 "$(post_as_windows good.der)"
check "that says Issued in Microsoft's attribute" grep -q Issued <(attributes 38)
same "a wrong challenge gets an answer too" 200 "$(post_as_windows bad.der)"
check "that has CERT_E_WRONG_USAGE in Microsoft's other one" grep -q -- '-2146762480' <(attributes 33)
same "somebody else's wrong challenge is answered" 200 "$(post_request bad.der)"
refuse "without it" grep -q . <(attributes 33)
SCEP_URL=$base/windows
same "below /scep/windows a wrong challenge is answered" 200 "$(post_request bad.der)"
check "with it for whoever asks" grep -q -- '-2146762480' <(attributes 33)

# ---- addresses that are no profile's
curl -s -o /dev/null --data-binary nonsense "$base/cisco?operation=PKIOperation"
logged "what is no SCEP has NDES' number" 'event=SCEP_NOT_SCEP ndes=16 '
for path in /scep/none /scep//cisco /scep/cisco// /scep/%63isco /scep/cisco%2f /scep/../scep/cisco /scep/cisco/.. /scep/cisco%00 \
	"/scep/$(head -c 60000 /dev/zero | tr '\0' a)" "/scep/$(head -c 20000 /dev/zero | sed 's/\x0/%61/g')" "/scep/cisco/$(head -c 60000 /dev/zero | tr '\0' /)"; do
	same "${path:0:24} is nowhere" 404 "$(http_code --path-as-is "http://127.0.0.1:$HTTP$path?operation=GetCACaps")"
done
same "70,000 characters are too many" 414 "$(http_code "$base/$(head -c 70000 /dev/zero | tr '\0' a)")"
check "/crl may be cached for an hour, not until it ends" \
	grep -qiE '^Cache-Control: max-age=3600' <(curl -fsD - -o /dev/null "$CRL_URL")

# ---- reload
sed -i 's/name = "cisco"/name = "routers"/' "$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
routers()
{
	[ "$(http_code "$base/routers?operation=GetCACaps")" = 200 ]
}
check "a renamed profile is there after a reload" wait_until 5 routers
same "and its old address is nowhere" 404 "$(http_code "$base/cisco?operation=GetCACaps")"
SCEP_URL=$base/routers
make_request two.der
same "requests are answered there" 200 "$(post_request two.der)"
refuse "nothing was wrong inside" grep -qE 'event=(BUG|IPC_REFUSED|SIGNER_REFUSED)' "$dir/log"
appliance_stop "$dir"
logged "the stop has NDES' number" 'event=STOPPING ndes=3 '
finish
