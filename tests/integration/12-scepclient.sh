#!/bin/bash
# micromdm's scepclient (Debian package scep) enrolls.
. "$(dirname "$0")/lib.sh"
begin scepclient
start_appliance "${1:-rsa2048}"
mkdir "$dir/device" && cd "$dir/device" || exit 1
curl -fs "$SCEP_URL?operation=GetCACert" | openssl pkcs7 -inform DER -print_certs -out all.pem
split_pem all.pem part
encrypt=$(ra_with 'Key Encipherment' part-*.pem)
fingerprint=$(openssl x509 -in "$encrypt" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f)
enroll()
{
	scepclient -debug -private-key client.key -certificate client.pem -server-url="$SCEP_URL" -challenge="$1" -cn dev.example \
		-organization Example -country DE -keySize 2048 -ca-fingerprint "$fingerprint"
}
enroll "$CHALLENGE" >client.log 2>&1
# Version 2.1.0 encrypts with single DES, which RFC 8894 2.9 forbids on both sides.
if grep -q 'single DES' "$dir/log" || grep -qi 'badAlg' "$dir/log"; then
	ok "scepclient 2.1.0 asks for single DES and is refused with badAlg"
else
	check "scepclient enrolls" openssl x509 -in client.pem -noout -subject
	check "its certificate verifies" openssl verify -CAfile <(curl -fs "$CA_URL" | openssl x509 -inform DER) client.pem
fi
finish
