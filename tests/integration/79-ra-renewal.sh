#!/bin/bash
# RA certificates are renewed and nobody notices: who kept the old ones enrolls and renews, who asks gets the new ones.
. "$(dirname "$0")/lib.sh"
begin ra-renewal

ra_serials()
{
	curl -fs "$SCEP_URL?operation=GetCACert" | openssl pkcs7 -inform DER -print_certs -out "$dir/getca.pem" || return 1
	split_pem "$dir/getca.pem" "$dir/getca" && serial_of "$dir/getca-1.pem" && serial_of "$dir/getca-2.pem"
}

renewed()
{
	ra_serials >"$dir/serials.now" && ! grep -qxFf "$dir/serials.first" "$dir/serials.now"
}

renew()
{
	(
		cd "$dir/device" || exit 1
		pki --gen --type rsa --size 2048 --outform pem >"$1.key" || exit 1
		pki --scep --url "$SCEP_URL" --in "$1.key" --dn "CN=$2" --cert "$2.pem" --key "$2.key" \
			--cacert-enc "$(ra_with 'Key Encipherment' ra*.pem)" \
			--cacert-sig "$(ra_with 'Digital Signature' ra*.pem)" --cacert ca.pem --outform pem >"$1.pem"
	)
}

# The store is told that the RA certificates end in half an hour, which is within a third of the life that it then sees.
age()
{
	[ "$(sqlite3 "$dir/state/store/store.db" "UPDATE certificate SET not_before = unixepoch() - 7200,
		not_after = unixepoch() + 1800 WHERE usage IN ('ra-sign', 'ra-decrypt'); SELECT changes()")" = 2 ]
}

start_appliance
device_setup
check "a device enrolls" enroll_device dev1
check "GetCACert has two RA certificates" eval 'ra_serials >"$dir/serials.first" && [ "$(wc -l <"$dir/serials.first")" = 2 ]'
appliance_stop "$dir"
check "they near their end" age
run_appliance
check "both are renewed by themselves" wait_until 10 renewed
check "a device that kept the old ones enrolls" enroll_device dev2
check "and renews" renew again dev1
logged "by type 17" 'SCEP_ANSWERED.*type=17.*status=issued'
device_setup
check "a device that asks enrolls with the new ones" enroll_device dev3
check "status tells that the old ones are accepted" grep -q 'older ones still accepted' <(chancery status)
refuse "nobody was told to try again" grep -q 'event=SCEP_RETRY\|event=SCEP_REFUSED' "$dir/log"
finish
