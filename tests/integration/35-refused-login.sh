#!/bin/bash
# A login that the token refuses is never tried again by itself, whatever the code; one that it could not judge is.
. "$(dirname "$0")/lib.sh"
begin refused-login

logins()
{
	token_calls C_Login "$1"
}

held()
{
	grep -q "event=ROLE_HELD .*name=signer" "$dir/log"
}

make_faulty_appliance p256-rsa
run_appliance
device_setup
appliance_stop "$dir"
for code in CKR_PIN_INCORRECT CKR_PIN_LOCKED CKR_PIN_EXPIRED CKR_USER_PIN_NOT_INITIALIZED CKR_VENDOR_DEFINED; do
	: >"$dir/log"
	: >"$dir/faults.trace"
	faults "C_Login return=$code"
	launch_appliance
	check "$code: the signer is held" wait_until 10 held
	check "$code: the CRL is served" wait_until 10 curl -fs -m 2 -o /dev/null "http://127.0.0.1:$HTTP/crl"
	kill -HUP "$(cat "$dir/chanceryd.pid")"
	logged "$code: SIGHUP with the same PIN is no second try" 'event=ROLE_HELD .*name=signer.*same'
	same "$code: one C_Login" 1 "$(logins "$code")"
	same "$code: one signer" 1 "$(grep -c 'event=ROLE_STARTED name=signer' "$dir/log")"
	appliance_stop "$dir"
done

: >"$dir/log"
faults "C_Login return=CKR_DEVICE_ERROR"
launch_appliance
check "after a device's error it is tried again" wait_until 10 eval '[ "$(logins CKR_DEVICE_ERROR)" -ge 3 ]'
faults
check "and when the device is well, so is the appliance, within 15 s" wait_until 15 healthy
: >"$dir/faults.trace"
check "a device enrolls" enroll_device first

# In service: the token forgets the login, and refuses the next one.
faults "C_SignInit nth=1 logout" "C_Login return=CKR_PIN_INCORRECT"
check "the login is lost, the next one refused: held" wait_until 15 held
same "one C_Login" 1 "$(logins CKR_PIN_INCORRECT)"
same "/health says 503" 503 "$(http_code -m 2 "http://127.0.0.1:$HTTP/health")"
appliance_stop "$dir"
faults
run_appliance
check "an operator's new start heals that" enroll_device second
finish
