#!/bin/bash
# "make demo": from nothing to an enrolled device, with strongSwan's pki as the device.
set -u
cd "$(dirname "$0")/../.." || exit 1
. board/sim/appliance.sh
while [ $# -gt 1 ]; do
	case $1 in
	--out) out=$2 ;;
	--bin) bin=$2 ;;
	--ca) ca=$2 ;;
	esac
	shift 2
done
[ "$(id -u)" = 0 ] || { echo "make demo: only root can start the roles under their own user ids" >&2; exit 1; }
out=${out%/run}/demo
rm -rf "$out"
dir=$(appliance_folder "$out") || exit 1
trap 'appliance_stop "$dir"; [ "$dir" = "$out" ] || rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

echo "Making a token, the keys and a CA ($ca)"
appliance_make "$dir" "$bin" "$ca" || exit
appliance_provision "$dir" "$bin" || exit 1
echo "Starting the appliance"
appliance_start "$dir" "$bin" || exit 1
. "$dir/endpoints.env"

echo "The device: strongSwan's pki fetches the CA certificates, makes a key, and enrolls"
device=$dir/device
mkdir "$device"
cd "$device" || exit 1
pki --scepca --url "$SCEP_URL" --caout ca.pem --raout ra.pem --outform pem --force >pki.log 2>&1 &&
	pki --gen --type rsa --size 2048 --outform pem >key.pem 2>>pki.log || { cat pki.log; exit 1; }
seen=$(openssl x509 -in ca.pem -noout -fingerprint -sha256 | sed 's/.*=//')
if [ "$seen" != "$CA_FINGERPRINT_SHA256" ]; then
	echo "the CA certificate's fingerprint is not the expected one"
	exit 1
fi
# The RA certificate with keyEncipherment encrypts the request, the other one signed the answer.
for ra in ra*.pem; do
	if openssl x509 -in "$ra" -noout -ext keyUsage | grep -q 'Key Encipherment'; then encrypt=$ra; else sign=$ra; fi
done
if ! pki --scep --url "$SCEP_URL" --in key.pem --dn "C=DE, O=Example, CN=device-1.example" --san device-1.example \
	--password "$CHALLENGE" --cacert-enc "$encrypt" --cacert-sig "$sign" --cacert ca.pem --outform pem >cert.pem 2>>pki.log; then
	cat pki.log
	tail -n 5 "$dir/log"
	exit 1
fi

echo "Verifying the certificate against the chain and the CRL"
curl -fs "$CRL_URL" | openssl crl -inform DER -out crl.pem 2>/dev/null || { echo "no CRL at $CRL_URL"; exit 1; }
openssl verify -crl_check -CAfile ca.pem -CRLfile crl.pem cert.pem || exit 1
echo
openssl x509 -in cert.pem -noout -text -nameopt utf8,sep_comma_plus_space -certopt no_pubkey,no_sigdump,no_version
echo "The device's key and certificate are in $device; the appliance stops now."
echo "Next: \"make run\" keeps one running for your own clients; \"make check\" runs the tests."
