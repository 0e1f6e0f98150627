#!/bin/bash
# The roll-over of a subordinate CA: a request to the CA above, its answer, the announcement, and the cut-over.
. "$(dirname "$0")/lib.sh"
begin rollover-sub

import()
{
	"$BIN_DIR/chancery" import-chain --config "$dir/chancery.conf" "$@"
}

# sign REQUEST OUT DAYS: by the root, which grants what is asked for
sign()
{
	printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,digitalSignature,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' >"$dir/ext"
	openssl x509 -req -in "$1" -CA "$dir/root.pem" -CAkey "$dir/root.key" -set_serial "0x$(openssl rand -hex 15)" \
		-days "$3" -extfile "$dir/ext" -out "$2" 2>/dev/null
	cat "$dir/root.pem" >>"$2"
}

announces()
{
	curl -fs "$SCEP_URL?operation=GetCACaps" | grep -qx 'GetNextCACert.\?'
}

make_root()
{
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/root.key" -out "$dir/root.pem" -days 9000 \
		-subj "/CN=Root of the Test" -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' 2>/dev/null
}

appliance_make "$dir" "$BIN_DIR" rsa2048
sed -i 's/kind = "root"/kind = "subordinate"/' "$dir/ceremony.conf"
make_root
appliance_provision "$dir" "$BIN_DIR" >/dev/null 2>&1
sign "$dir/state/ca/request.pem" "$dir/sub.pem" 1000
check "the first chain" import "$dir/sub.pem"
run_appliance
device_setup
check "a device enrolls" enroll_device dev1

sed 's/Demonstration CA/Demonstration CA G2/; s/rsa2048/rsa3072/' "$dir/ceremony.conf" >"$dir/next.conf"
refuse "there is no request to continue with" import --next "$dir/sub.pem"
check "prepare makes a request" grep -q 'import-chain --next' <("$BIN_DIR/chancery" ca rollover prepare --config "$dir/chancery.conf" --file "$dir/next.conf")
request=$dir/state/ca/request-2.pem
check "with the new name" grep -q 'Demonstration CA G2' <(openssl req -in "$request" -noout -subject)
check "and a key of its own" eval '! cmp -s <(openssl req -in "$request" -noout -pubkey) <(openssl req -in "$dir/state/ca/request.pem" -noout -pubkey)'
kill -HUP "$(cat "$dir/chanceryd.pid")"
logged "a reload finds nothing yet" 'event=CONFIG_RELOADED'
refuse "nothing is announced" announces
refuse "the old chain is not the answer to it" import --next "$dir/sub.pem"
sign "$request" "$dir/short.pem" 900
refuse "a CA that ends earlier is not taken" import --next "$dir/short.pem"
sign "$request" "$dir/sub2.pem" 3000
check "the chain is taken" import --next "$dir/sub2.pem"
kill -HUP "$(cat "$dir/chanceryd.pid")"
check "it is announced" wait_until 10 announces
check "the signer has its key" wait_until 10 eval 'grep -q "event=SIGNER_READY.*ca-2:" "$dir/log" && healthy'
curl -fs "$SCEP_URL?operation=GetNextCACert" >"$dir/next.p7"
check "the announcement verifies up to the root" \
	openssl cms -verify -inform DER -in "$dir/next.p7" -CAfile "$dir/root.pem" -binary -out "$dir/inner.p7"
same "it has the next CA and the root" 2 \
	"$(openssl pkcs7 -inform DER -in "$dir/inner.p7" -print_certs | grep -c BEGIN)"
check "cut over" chancery ca rollover now --confirm
check "GetCACert has the new CA" wait_until 10 eval 'curl -fs "$SCEP_URL?operation=GetCACert" |
	openssl pkcs7 -inform DER -print_certs -noout | grep -q "CN *= *Chancery Demonstration CA G2,\|CN *= *Chancery Demonstration CA G2$"'
device_setup
check "a device enrolls" enroll_device dev2
openssl x509 -in "$dir/sub2.pem" -out "$dir/ca2.pem"
openssl x509 -in "$dir/sub.pem" -out "$dir/ca1.pem"
check "from the new CA" openssl verify -x509_strict -CAfile "$dir/root.pem" -untrusted "$dir/ca2.pem" "$dir/device/dev2.pem"
check "the old CRL" openssl crl -inform DER -noout -verify -CAfile "$dir/ca1.pem" -in <(curl -fs "$CRL_URL")
check "the new CRL" openssl crl -inform DER -noout -verify -CAfile "$dir/ca2.pem" -in <(curl -fs "$CRL_URL/2")
finish
