#!/bin/bash
# What an operator does with the chancery command, seen from the devices.
. "$(dirname "$0")/lib.sh"
begin operator

# status_of WANTED COMMAND…: the command ends with that exit status
status_of()
{
	local wanted=$1
	shift
	"$@"
	[ $? = "$wanted" ]
}

# The certificate of a device verifies against the chain and the CRL that is served now.
verifies()
{
	curl -fs "$CRL_URL" | openssl crl -inform DER -out "$dir/crl.pem" 2>/dev/null || return 1
	openssl verify -crl_check -CAfile "$dir/state/ca/ca.pem" -CRLfile "$dir/crl.pem" "$1"
}

crl_number()
{
	curl -fs "$CRL_URL" | openssl crl -inform DER -noout -crlnumber | sed 's/.*=//'
}

start_appliance rsa2048
device_setup
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)

check "the appliance is not running: said so, exit status 1" eval \
	'"$BIN_DIR/chancery" --control "$dir/nothing" status 2>&1 | grep -q "not running"'
check "an unknown command: exit status 2" status_of 2 chancery burn
check "a wrong reason: exit status 2" status_of 2 chancery certificate revoke "$(printf '%032d' 1)" --reason fun
check "an unknown serial number: exit status 1" status_of 1 chancery certificate revoke "$(printf '%032d' 1)"
refuse "another user may not use the socket" "${nobody[@]}" "$BIN_DIR/chancery" --control "$CONTROL" status
chmod 666 "$CONTROL"
refuse "not even when the socket is open to all" "${nobody[@]}" "$BIN_DIR/chancery" --control "$CONTROL" challenge create
logged "and that is logged" "event=CONTROL_DENIED uid=65534"
chmod 600 "$CONTROL"

check "chancery status says that all is well" status_of 0 chancery status
check "fifty challenges at once, all different" eval '[ "$(chancery challenge create --count 50 | sort -u | wc -l)" = 50 ]'
check "they are counted" eval 'chancery challenge list | grep -q "^Open *51 of"'
check "challenges stand in no log" eval '! grep -qF "$CHALLENGE" "$dir/log"'
check "and not in the store" eval '! grep -aqF "$CHALLENGE" "$dir"/state/store/*'

check "a device enrolls" enroll_device good
check "another one too" enroll_device bad
serial=$(serial_of "$dir/device/bad.pem")
check "its certificate is listed" eval 'chancery certificate list --match CN=bad | grep -q "^$serial .* valid"'
check "it can be shown" eval 'chancery certificate show "$serial" | grep -q "^State *valid"'
check "PEM is what the device has" eval \
	'[ "$(chancery certificate show "$serial" --pem)" = "$(openssl x509 -in "$dir/device/bad.pem")" ]'
check "it verifies" verifies "$dir/device/bad.pem"
before=$(crl_number)
check "it is revoked" chancery certificate revoke "$serial" --reason keyCompromise
refuse "it verifies no more" verifies "$dir/device/bad.pem"
check "the other one does" verifies "$dir/device/good.pem"
check "the CRL number went up" eval '[ $((16#$(crl_number | sed s/0x//))) -gt $((16#${before#0x})) ]'
check "revoking twice: exit status 1" status_of 1 chancery certificate revoke "$serial"
check "the audit trail says who did it" eval 'chancery audit list | grep -q "event=revoke actor=\"operator uid=0\""'

ra=$(chancery certificate list --usage ra-decrypt | awk 'NR == 2 { print $1 }')
check "the RA decryption certificate is revoked" chancery certificate revoke "$ra" --reason superseded
check "a new one takes its place" wait_until 5 eval \
	'[ "$(chancery certificate list --usage ra-decrypt | grep -c " valid")" = 1 ]'
rm "$dir"/device/ra*.pem
check "devices that fetch it" device_setup
check "enroll again" enroll_device later

check "the chain of the audit trail holds" chancery audit verify
appliance_stop "$dir"
check "it starts again" appliance_start "$dir" "$BIN_DIR"
refuse "and the revoked certificate is still revoked" verifies "$dir/device/bad.pem"
check "no RA certificates were made for nothing" eval \
	'[ "$(chancery certificate list --usage ra-sign | grep -c " valid")" = 1 ]'
check "the chain still holds" chancery audit verify
finish
