#!/bin/bash
# GetCert and GetCRL: what is asked for and nothing else, by OpenSSL's CMS.
. "$(dirname "$0")/lib.sh"
begin getcert
start_appliance
device_setup
check "a device enrolls" enroll_device dev1
check "another one enrolls" enroll_device dev2
chancery certificate revoke "$(serial_of "$dir/device/dev2.pem")" >/dev/null
check "the CRL is served" wait_until 10 bash -c "curl -fs '$CRL_URL' | openssl crl -inform DER -noout -text | grep -qi '$(serial_of "$dir/device/dev2.pem")'"
check "the driver agrees" "$TESTS_DIR/getdrive" 127.0.0.1 "$HTTP" "$dir/serials" "$dir/device/dev1.pem" "$dir/device/dev1.key" \
	"$dir/got.crl"
cat "$dir/check.out"
curl -fs "$CRL_URL" >"$dir/http.crl"
check "GetCRL gives the CRL that HTTP serves" cmp "$dir/got.crl" "$dir/http.crl"
check "a revoked certificate is still there to be fetched" "$TESTS_DIR/getdrive" 127.0.0.1 "$HTTP" "$dir/serials" \
	"$dir/device/dev2.pem" "$dir/device/dev2.key" "$dir/got.crl"
finish
