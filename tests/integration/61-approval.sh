#!/bin/bash
# Requests wait for an operator: strongSwan polls meanwhile, and gets the certificate or the denial.
. "$(dirname "$0")/lib.sh"
begin approval

# poll_device NAME [CHALLENGE]: enrolls in the background, asking again each second; wait for $polling to know how it ended
poll_device()
{
	local name=$1 secret=${2:-}
	(
		cd "$dir/device" || exit 1
		[ -s "$name.key" ] || pki --gen --type rsa --size 2048 --outform pem >"$name.key" || exit 1
		pki --scep --url "$SCEP_URL" --in "$name.key" --dn "CN=$name" --san "$name.example" \
			${secret:+--password "$secret"} --interval 1 --maxpolltime 20 \
			--cacert-enc "$(ra_with 'Key Encipherment' ra*.pem)" \
			--cacert-sig "$(ra_with 'Digital Signature' ra*.pem)" \
			--cacert ca.pem --outform pem >"$name.pem" 2>"$name.err"
	) 2>/dev/null &
	polling=$!
}

waiting()
{
	chancery request list | awk -v name="CN=$1" '$2 == "pending" && $0 ~ name "$" { print $1 }' | grep .
}

make_appliance
echo 'challenge: { missing = "pending"; };' >>"$dir/chancery.conf"
run_appliance
device_setup
poll_device dev1
check "a request without a challenge waits" wait_until 10 waiting dev1
id=$(waiting dev1)
check "the status screen tells of it" grep -q '^ Requests     1 wait for an operator' <(chancery status)
check "the operator sees the name that it asks for" grep -q 'DNS:dev1.example' <(chancery request show "$id")
check "the device asks again meanwhile" wait_until 10 grep -q 'SCEP_ANSWERED.*type=20.*status=pending' "$dir/log"
check "the operator approves" chancery request approve "$id"
check "the device gets its certificate" wait "$polling"
check "and it is good" openssl verify -x509_strict -CAfile "$dir/device/ca.pem" "$dir/device/dev1.pem"
check "by polling" grep -q 'SCEP_ANSWERED.*type=20.*status=issued' "$dir/log"
refuse "what is issued waits no more" chancery request show "$id"
refuse "and cannot be approved again" chancery request approve "$id"

poll_device dev2
check "another one waits" wait_until 10 waiting dev2
check "the operator denies it" chancery request deny "$(waiting dev2)" --reason 'no such device'
refuse "the device is told and gives up" wait "$polling"
logged "the refusal is a poll's" 'SCEP_REFUSED.*type=20.*fail=badRequest'
check "the audit trail has decision and reason" grep -q 'request-denied.*no such device' <(chancery audit list)

poll_device dev3
check "a third one waits" wait_until 10 waiting dev3
appliance_stop "$dir"
launch_appliance
check "requests that wait outlive a restart" wait_until 15 waiting dev3
check "and are approved" chancery request approve "$(waiting dev3)"
wait "$polling"
poll_device dev3
wait "$polling"
check "the device that asks again gets the certificate" openssl verify -CAfile "$dir/device/ca.pem" "$dir/device/dev3.pem"

sed -i '/^challenge:/d' "$dir/chancery.conf"
echo 'template: { approval = true; };' >>"$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
logged "the settings are taken" CONFIG_RELOADED
refuse "now a challenge is needed" enroll_device dev4 "" --password ""
secret=$(challenge)
poll_device dev5 "$secret"
check "with a good challenge the request waits all the same" wait_until 10 waiting dev5
refuse "the challenge is held: another device cannot use it" enroll_device dev6 "$secret"
logged "the log says why" 'another request holds it'
check "approved" chancery request approve "$(waiting dev5)"
check "the device gets its certificate" wait "$polling"
refuse "the challenge is used up" enroll_device dev7 "$secret"
finish
