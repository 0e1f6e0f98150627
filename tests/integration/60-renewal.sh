#!/bin/bash
# strongSwan's pki renews by RenewalReq and by PKCSReq with its old certificate; signers that may not are refused.
. "$(dirname "$0")/lib.sh"
begin renewal

# renew NAME OLD [OPTION…]: $dir/device/NAME.pem for a fresh key, signed by OLD.pem and OLD.key
renew()
{
	local name=$1 old=$2
	shift 2
	(
		cd "$dir/device" || exit 1
		pki --gen --type rsa --size 2048 --outform pem >"$name.key" || exit 1
		pki --scep --url "$SCEP_URL" --in "$name.key" --dn "CN=dev1" --cert "$old.pem" --key "$old.key" \
			--cacert-enc "$(ra_with 'Key Encipherment' ra*.pem)" \
			--cacert-sig "$(ra_with 'Digital Signature' ra*.pem)" \
			--cacert ca.pem "$@" --outform pem >"$name.new" || exit 1
		mv "$name.new" "$name.pem"
	)
}

good()
{
	openssl verify -x509_strict -CAfile "$dir/device/ca.pem" "$dir/device/$1.pem" &&
		cmp <(openssl x509 -in "$dir/device/$1.pem" -noout -pubkey) <(openssl pkey -in "$dir/device/$1.key" -pubout)
}

start_appliance
device_setup
check "GetCACaps announces Renewal" grep -qx Renewal <(curl -fs "$SCEP_URL?operation=GetCACaps")
check "a device enrolls with a challenge" enroll_device dev1
check "it renews with its old certificate, without a challenge" renew second dev1
check "what it got is good and for the new key" good second
logged "the log says that it was type 17" 'SCEP_ANSWERED.*type=17.*status=issued'
same "the subject stayed" "subject=CN = dev1" "$(openssl x509 -in "$dir/device/second.pem" -noout -subject)"
check "the renewed one renews again" renew third second
check "the audit trail names the old certificate" grep -q "renews=$(serial_of "$dir/device/second.pem")" <(chancery audit list)

printf 'include /etc/strongswan.conf\npki {\n\tscep {\n\t\trenewal_via_pkcs_req = yes\n\t}\n}\n' >"$dir/strongswan.conf"
export STRONGSWAN_CONF=$dir/strongswan.conf
check "it renews by type 19" renew by19 third
check "what it got is good" good by19
same "by type 17 the device came twice" 2 "$(grep -c 'SCEP_ANSWERED.*type=17.*status=issued' "$dir/log")"
refuse "another subject is refused by type 19 too" renew other third --dn "CN=dev2"
unset STRONGSWAN_CONF

refuse "another subject is refused" renew other third --dn "CN=dev2"
logged "the log names the rule" 'another subject \(scep.renewal_subject_match\)'
refuse "another subjectAltName is refused" renew other third --san dev2.example
logged "the log names that rule" 'another subjectAltName'

cd "$dir/device" || exit 1
openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -subj /CN=dev1 -days 9 2>/dev/null
refuse "a self-signed certificate does not renew" renew other self
logged "the log names the reason" 'not one of this CA'
openssl req -x509 -newkey rsa:2048 -nodes -keyout fake-ca.key -out fake-ca.pem -days 9 2>/dev/null \
	-subj "$(openssl x509 -in ca.pem -noout -subject -nameopt compat | sed 's/^subject=//')"
openssl req -newkey rsa:2048 -nodes -keyout foreign.key -subj /CN=dev1 2>/dev/null |
	openssl x509 -req -CA fake-ca.pem -CAkey fake-ca.key -set_serial "0x$(serial_of third.pem)" -days 9 -out foreign.pem 2>/dev/null
refuse "a certificate of another CA with the same name does not renew" renew other foreign
logged "the log says who did not sign it" 'this CA did not sign'
chancery certificate revoke "$(serial_of third.pem)" >/dev/null
refuse "a revoked certificate does not renew" renew other third
logged "the log names that reason" 'the old certificate is revoked'
same "nothing more was issued than was asked for rightly" 4 \
	"$(grep -c 'SCEP_ANSWERED.*status=issued' "$dir/log")"

echo 'scep: { caps_blank_line = true; renewal_window_days = 30; };' >"$dir/scep.conf"
sed -i '/^scep:/d' "$dir/chancery.conf" && cat "$dir/scep.conf" >>"$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
logged "the settings are taken" 'CONFIG_RELOADED'
refuse "a renewal before its window is refused" renew other by19
logged "the log names the setting" 'scep.renewal_window_days 30'
sed -i 's/^scep:.*/scep: { caps_blank_line = true; renewal = false; };/' "$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
check "switched off, Renewal is announced no more" wait_until 10 bash -c "! curl -fs '$SCEP_URL?operation=GetCACaps' | grep -qx Renewal"
refuse "and refused" renew other by19
finish
