#!/bin/bash
# Challenges that are good for one device alone, made with the chancery command and by an MDM.
. "$(dirname "$0")/lib.sh"
begin bound

# verdict_of FILE: what the answer's attributes say, without what differs in every message
verdict_of()
{
	openssl asn1parse -inform DER -in "$1" |
		grep -A 2 -E ':2\.16\.840\.1\.113733\.1\.9\.[234]$|:1\.3\.6\.1\.5\.5\.7\.24\.1$' |
		grep -E 'OBJECT|STRING' | sed 's/.*\(OBJECT\|STRING\) *//'
}

# spki_hash KEY: SHA-256 of its SubjectPublicKeyInfo
spki_hash()
{
	openssl pkey -in "$1" -pubout -outform DER | sha256sum | cut -d ' ' -f 1
}

# new_log: from here on the log's lines count
new_log()
{
	log_from=$(($(wc -l <"$dir/log") + 1))
}

# refused_for WHAT: since new_log a request was refused for that
refused_for()
{
	tail -n +"$log_from" "$dir/log" | grep "event=ENROLL_REFUSED .*cause=\"challenge: $1\"" >/dev/null
}

# wrong NAME CHALLENGE WHY [OPTION…]: the device gets nothing, and the log says why
wrong()
{
	local why=$3
	new_log
	refuse "$1 with ${*:4} gets no certificate" enroll_device "$1" "$2" "${@:4}"
	check "the log says: $why" wait_until 5 refused_for "$why"
}

make_appliance
run_appliance
device_setup

refuse "a subject that is none is refused" chancery challenge create --subject dev1
secret=$(chancery challenge create --subject 'CN=dev1,O=Example')
wrong dev2 "$secret" "made for another subject"
wrong dev1 "$secret" "made for another subject" --dn "CN=dev1"
wrong dev1 "$secret" "made for another subject" --dn "O=Example, CN=dev1"
check "the audit trail says it too" grep -q 'refuse .*made for another subject' <(chancery audit list)
check "the list tells what it is for" grep -q '    Subject   CN=dev1, O=Example' <(chancery challenge list)
refuse "and not what it is" grep -q "$secret" <(chancery challenge list --all)

check "an unknown challenge is posted" make_request "$dir/unknown.der" 00112233445566778899AABBCCDDEEFF
same "and answered" 200 "$(post_request "$dir/unknown.der")"
mv "$dir/http.body" "$dir/unknown.answer"
check "one for another subject is posted" make_request "$dir/bound.der" "$secret"
same "and answered" 200 "$(post_request "$dir/bound.der")"
check "the answer is a failure with its cause" grep -q 'challenge password not accepted' <(verdict_of "$dir/http.body")
same "the same as for the unknown one" "$(verdict_of "$dir/unknown.answer")" "$(verdict_of "$dir/http.body")"
same "not longer either" "$(wc -c <"$dir/unknown.answer")" "$(wc -c <"$dir/http.body")"

appliance_stop "$dir"
run_appliance
wrong dev2 "$secret" "made for another subject"
check "the device that it was made for enrolls, after all that and a restart" \
	enroll_device dev1 "$secret" --dn "CN=dev1, O=Example"
check "with that name" grep -q 'CN = dev1, O = Example' <(openssl x509 -in "$dir/device/dev1.pem" -noout -subject)
wrong dev2 "$secret" "used already"

secret=$(chancery challenge create --subject CN=dev3 --san DNS:dev3.example,DNS:DEV3.site.example)
wrong dev3 "$secret" "made for another subjectAltName"
wrong dev3 "$secret" "made for another subjectAltName" --san dev3.example
wrong dev3 "$secret" "made for another subjectAltName" --san dev3.example --san dev3.site.example --san www.example
check "all names in any order are right" \
	enroll_device dev3 "$secret" --san dev3.site.example --san dev3.example
secret=$(chancery challenge create --san none)
wrong dev4 "$secret" "made for another subjectAltName" --san dev4.example
check "no names are right where none are allowed" enroll_device dev4 "$secret"

openssl genrsa -out "$dir/device/dev5.key" 2048 2>/dev/null
secret=$(chancery challenge create --key "$(spki_hash "$dir/device/dev5.key")")
wrong dev6 "$secret" "made for another key"
check "the key that it was made for is right" enroll_device dev5 "$secret"
refuse "a challenge for a template that is not there is not made" chancery challenge create --template nothing-like-it
refuse "a challenge is not made for a template that no request gets" chancery challenge create --template WebServer
echo 'profiles = ( { name = "web"; template = "WebServer"; } );' >>"$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
check "it is, when a profile has it" wait_until 5 chancery challenge create --template WebServer
secret=$(chancery challenge create --template WebServer)
wrong dev7 "$secret" "made for another template"

first=$(chancery challenge create)
second=$(chancery challenge create)
number=$(chancery challenge list --all | awk '$1 ~ /^[0-9]+$/ { n = $1 } END { print n }')
check "one challenge is revoked by its number" chancery challenge revoke "$number"
wrong dev8 "$second" "revoked by an operator"
check "the others are good" enroll_device dev8 "$first"
first=$(chancery challenge create --count 20 | tail -n 1)
check "all are revoked" chancery challenge revoke --all
wrong dev9 "$first" "revoked by an operator"
check "none is open" grep -q '^Open  *0 of' <(chancery challenge list)

# An MDM asks the administrator's page for them.
check "an administrator has a certificate of this CA" enroll_device operator
openssl x509 -in "$dir/device/operator.pem" -noout -fingerprint -sha256 | sed 's/.*=//' >"$dir/fingerprint"
echo "admin: { certificates = \"$(cat "$dir/fingerprint")\"; };" >>"$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
logged "the list is read again" 'event=CONFIG_RELOADED'
admin=(--cert "$dir/device/operator.pem" --key "$dir/device/operator.key" -k)
generate="$ADMIN_URL?operation=NDESGenerateChallenge"
mdm() { curl -s -m 10 "${admin[@]}" "$generate$1"; }
for usage in zz 0x 0xA0A0 256 -1; do
	same "keyUsage=$usage is not understood" 400 "$(http_code "${admin[@]}" "$generate&keyUsage=$usage")"
done
same "nor are params of another module" 400 "$(http_code "${admin[@]}" "$generate&params=user%3Dann")"
logged "the log names the word" 'event=ADMIN_REFUSED .*user.* is none of subject, san, key, template'
same "nor broken escapes" 400 "$(http_code "${admin[@]}" "$generate&params=subject%3DCN%253")"
same "nor what is no text" 400 "$(http_code "${admin[@]}" "$generate&params=%00")"
same "nor what is too long" 400 "$(http_code "${admin[@]}" "$generate&params=$(head -c 3000 /dev/zero | tr '\0' a)")"
check "none of that made a challenge" grep -q '^Open  *0 of' <(chancery challenge list)
secret=$(mdm '&keyUsage=0xA0&params=subject%3DCN%253Dphone1%252CO%253DExample%26san%3DDNS%3Aphone1.example')
check "params as they are meant give a challenge" grep -qE '^[0-9A-F]{32}$' <<<"$secret"
check "for that key usage" grep -q '    Key usage 0xA0' <(chancery challenge list)
check "made by who has that certificate" grep -qi "certificate $(tr -d : <"$dir/fingerprint" | head -c 16)" \
	<(chancery challenge list)
wrong phone2 "$secret" "made for another subject"
check "the phone enrolls" enroll_device phone1 "$secret" --dn 'CN=phone1, O=Example' --san phone1.example

check "the chain of the audit trail holds" chancery audit verify
finish
