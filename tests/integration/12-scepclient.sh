#!/bin/bash
# micromdm's scepclient (Debian package scep, 2.1.0).  It encrypts with single DES and signs with SHA-1 whatever the server
# announces, so it is refused with badAlg, and enrolls only where the configuration lets such clients in.
. "$(dirname "$0")/lib.sh"
begin scepclient
start_appliance "${1:-rsa2048}"
mkdir "$dir/device" && cd "$dir/device" || exit 1
curl -fs "$CA_URL" | openssl x509 -inform DER -out ca.pem
# Without -ca-fingerprint it encrypts to every certificate of GetCACert, and knows all of them when it looks for the signer of the
# answer; with it, it would know one, and our RA has one for each purpose.
announced()
{
	curl -fs "$SCEP_URL?operation=GetCACaps" | grep -qx "$1"
}

enroll()
{
	rm -f client.pem csr.pem client.key self.pem
	scepclient -debug -private-key client.key -certificate client.pem -server-url="$SCEP_URL" -challenge="$1" -cn dev.example \
		-organization Example -country DE -keySize 2048 && [ -s client.pem ]
}

refuse "scepclient is refused by default" enroll "$CHALLENGE"
logged "the log names the algorithm" 'SCEP_REFUSED.*badAlg'
echo 'scep: { sha1 = true; des_requests = true; };' >"$dir/scep"
sed -i '/^scep:/d' "$dir/chancery.conf"
cat "$dir/scep" >>"$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
logged "the configuration that allows it is in force" CONFIG_RELOADED
check "GetCACaps announces SHA-1" wait_until 5 announced SHA-1
check "scepclient enrolls with the same challenge, which the refusal did not spend" enroll "$CHALLENGE"
check "its certificate verifies" openssl verify -x509_strict -CAfile ca.pem client.pem
check "the key is the client's" cmp <(openssl x509 -in client.pem -noout -pubkey) <(openssl pkey -in client.key -pubout 2>/dev/null)
finish
