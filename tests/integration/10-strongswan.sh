#!/bin/bash
# strongSwan's pki enrolls with each arrangement of keys, and openssl accepts what it got.
. "$(dirname "$0")/lib.sh"
begin strongswan
ca=${1:-rsa2048}

enroll()
{
	pki --scep --url "$1" --in key.pem --dn "C=DE, O=Example, CN=$2" --san "$2" --password "$3" \
		--cacert-enc "$(ra_with 'Key Encipherment' ra*.pem)" --cacert-sig "$(ra_with 'Digital Signature' ra*.pem)" \
		--cacert ca.pem "${@:5}" --outform pem >"$4"
}

start_appliance "$ca"
mkdir "$dir/device" && cd "$dir/device" || exit 1
check "pki fetches the CA and RA certificates" pki --scepca --url "$SCEP_URL" --caout ca.pem --raout ra.pem --outform pem --force
same "the CA certificate is the one that was announced" "$CA_FINGERPRINT_SHA256" \
	"$(openssl x509 -in ca.pem -noout -fingerprint -sha256 | sed 's/.*=//')"
pki --gen --type rsa --size 2048 --outform pem >key.pem
check "pki enrolls with a one-time challenge" enroll "$SCEP_URL" dev1.example "$CHALLENGE" cert.pem
curl -fs "$CRL_URL" | openssl crl -inform DER -out crl.pem 2>/dev/null
check "the certificate verifies with chain and CRL" openssl verify -x509_strict -crl_check -CAfile ca.pem -CRLfile crl.pem cert.pem
same "subject as asked" "subject=C = DE, O = Example, CN = dev1.example" "$(openssl x509 -in cert.pem -noout -subject)"
check "subjectAltName as asked" grep -q 'DNS:dev1.example' <(openssl x509 -in cert.pem -noout -ext subjectAltName)
check "the key is the device's" cmp <(openssl x509 -in cert.pem -noout -pubkey) <(openssl pkey -in key.pem -pubout)
serial=$(openssl x509 -in cert.pem -noout -serial | sed 's/.*=//')
check "chancery lists the certificate" grep -qi "$serial" <(chancery certificate list)

pki --gen --type rsa --size 2048 --outform pem >key.pem
refuse "the same challenge does not work twice" enroll "$SCEP_URL" dev2.example "$CHALLENGE" second.pem
logged "the log says that the challenge was used" 'challenge.*used|used.*challenge'
refuse "a wrong challenge is refused" enroll "$SCEP_URL" dev2.example 0123456789ABCDEF0123456789ABCDEF second.pem
check "pki enrolls with SHA-512" enroll "$SCEP_URL" dev3.example "$(challenge)" third.pem --digest sha512
finish
