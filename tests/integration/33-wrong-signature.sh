#!/bin/bash
# The token signs wrongly now and then: nothing of that leaves, each one is counted in the log, and it heals by itself.
. "$(dirname "$0")/lib.sh"
begin wrong-signature

# Every certificate and CRL that anybody was given.
all_verify()
{
	local file n=0
	for file in "$dir"/device/dev*.pem; do
		openssl verify -CAfile "$dir/state/ca/ca.pem" "$file" || return 1
		n=$((n + 1))
	done
	[ $n -gt 0 ]
}

crl_verifies()
{
	curl -fs -m 2 "$CRL_URL" | openssl crl -inform DER -noout -CAfile "$dir/state/ca/ca.pem" -verify 2>&1 | grep -q 'verify OK'
}

unhealthy()
{
	! healthy
}

# Devices keep trying, as RFC 8894 has it.
enroll_some()
{
	local n
	for n in $1; do
		wait_until 20 enroll_device "$n" || return 1
	done
}

make_faulty_appliance rsa2048
run_appliance
device_setup
check "a device enrolls" enroll_device dev1
# A start signs with each of the keys once, so that a smaller number would have hardly any start succeed.
faults "C_Sign every=11 wrong"
check "devices that keep trying enroll, though each eleventh signature is wrong" enroll_some "dev2 dev3 dev4 dev5 dev6 more1 more2 more3 more4 more5"
logged "wrong signatures are told and counted" 'event=SIGNER_WRONG_SIGNATURE key=chancery-[a-z-]* count=[1-9]'
check "each was the end of that signer" test "$(grep -c 'event=SIGNER_WRONG_SIGNATURE' "$dir/log")" -le \
	"$(grep -c 'event=ROLE_EXITED name=signer' "$dir/log")"
check "all certificates verify" all_verify
check "and so does the CRL" crl_verifies

faults "C_Sign wrong"
check "a token that always signs wrongly gets out of service" wait_until 20 unhealthy
refuse "a device gets no certificate of it" enroll_device never
check "the CRL is served" crl_verifies
check "GetCACert is served" curl -fs -m 2 -o /dev/null "$SCEP_URL?operation=GetCACert"
faults
check "it heals within 15 s when the token signs again" wait_until 15 healthy
check "a device enrolls" enroll_device dev7
check "all certificates verify" all_verify
check "the audit trail holds" chancery audit verify
refuse "the parent, the front and the authority were never restarted" grep -qE 'event=ROLE_EXITED name=(front|authority)' "$dir/log"
finish
