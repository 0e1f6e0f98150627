#!/bin/bash
# A wrong PIN is tried once and never again by itself; the PIN is nowhere to be read.
. "$(dirname "$0")/lib.sh"
begin pin

attempts()
{
	grep -c 'event=ROLE_STARTED name=signer' "$dir/log"
}

# What the token itself says about its user PIN.
pin_flags()
{
	SOFTHSM2_CONF=$dir/softhsm2.conf pkcs11-tool --module /usr/lib/softhsm/libsofthsm2.so --list-token-slots |
		grep 'token flags'
}

# found_pin WHERE…: the PIN, the wrong PIN or the challenge is in one of these files
found_secret()
{
	grep -aqFf "$dir/secrets" "$@"
}

all_of_proc()
{
	local pid file
	for pid in $(cat "$dir/chanceryd.pid") $(pgrep -P "$(cat "$dir/chanceryd.pid")"); do
		for file in cmdline environ; do
			cat "/proc/$pid/$file" || return 2
			echo
		done
	done
}

make_appliance rsa2048
right=$(cat "$dir/pin")
wrong=$(echo "$right" | tr 0-9 1-90)
printf '%s\n' "$right" "$wrong" "$(cat "$dir/so-pin")" >"$dir/secrets"

chmod 640 "$dir/pin"
timeout 10 "$BIN_DIR/chanceryd" --config "$dir/chancery.conf" >"$dir/refused" 2>&1
same "a PIN file that others may read is refused" 1 $?
check "the message names the file, the mode and what is wanted" grep -q "$dir/pin.*0640.*0600" "$dir/refused"
chmod 600 "$dir/pin"
: >"$dir/empty" && chmod 600 "$dir/empty"
sed "s|pin_file = \"[^\"]*\"|pin_file = \"$dir/empty\"|" "$dir/chancery.conf" >"$dir/other.conf"
timeout 10 "$BIN_DIR/chanceryd" --config "$dir/other.conf" >"$dir/refused" 2>&1
same "an empty PIN file is refused" 1 $?
check "and named" grep -q "$dir/empty is empty" "$dir/refused"
sed "s|pin_file = \"[^\"]*\"|pin_file = \"$dir/nowhere\"|" "$dir/chancery.conf" >"$dir/other.conf"
timeout 10 "$BIN_DIR/chanceryd" --config "$dir/other.conf" >"$dir/refused" 2>&1
same "a PIN file that is not there is refused" 1 $?
check "and named, with the reason" grep -q "$dir/nowhere.*No such file" "$dir/refused"

run_appliance
device_setup
check "with the right PIN a device enrolls" enroll_device first
appliance_stop "$dir"
same "SoftHSM has seen no wrong PIN" "" "$(pin_flags | grep -i 'count low\|final try\|locked')"

echo "$wrong" >"$dir/pin"
: >"$dir/log"
launch_appliance
logged "with a wrong PIN the log says that the signer is held, and why" 'event=ROLE_HELD ndes=2 name=signer.*PIN'
check "the CRL is served" wait_until 10 curl -fs -o /dev/null "$CRL_URL"
check "GetCACert is served" curl -fs -o /dev/null "$SCEP_URL?operation=GetCACert"
same "/health says 503" 503 "$(http_code "http://127.0.0.1:$HTTP/health")"
chancery status >"$dir/status" 2>&1
same "chancery status ends with 1" 1 $?
check "and says that the signer is missing" grep -q 'Cause.*signer' "$dir/status"
before=$(role_pid authority)
kill -HUP "$(cat "$dir/chanceryd.pid")"
logged "SIGHUP with a PIN file that did not change is no second attempt" 'event=ROLE_HELD ndes=2 name=signer.*same'
same "the token was tried once" 1 "$(attempts)"
same "and never since" "" "$(role_pid signer)"
check "the token still has attempts left" test -z "$(pin_flags | grep -i 'final try\|locked')"

echo "$right" >"$dir/pin"
kill -HUP "$(cat "$dir/chanceryd.pid")"
check "the right PIN and SIGHUP heal" wait_until 15 healthy
check "a device enrolls" enroll_device second
same "the authority was not restarted for it" "$before" "$(role_pid authority)"
kill -9 "$(role_pid signer)"
check "a signer that is restarted later logs in again" wait_until 15 grep -q 'name=signer.*cause=SIGKILL' "$dir/log"
check "and works" wait_until 15 healthy

printf '%s\n' "$(challenge)" >>"$dir/secrets"
refuse "no PIN or challenge in the log" found_secret "$dir/log" "$dir/refused" "$dir/provision.log"
check "command lines and environments of all processes can be read" eval 'all_of_proc >"$dir/proc"'
refuse "no PIN or challenge in them" found_secret "$dir/proc"
refuse "no PIN or challenge in the state folder" found_secret -r "$dir/state" "$dir/run"
finish
