#!/bin/bash
# The token goes away under load: everything that needs no key goes on, nothing hangs, and it heals by itself.
. "$(dirname "$0")/lib.sh"
begin token-loss
ca=${1:-rsa2048}

# A page is there and comes at once: while the token is away no request may wait for it.
at_once()
{
	curl -fs -m 1 -o "$dir/page" "http://127.0.0.1:$HTTP/$1" && [ -s "$dir/page" ]
}

health_is()
{
	[ "$(http_code -m 2 "http://127.0.0.1:$HTTP/health")" = "$1" ]
}

# A device is told to come again, and when.
told_to_retry()
{
	[ "$(post_request "$dir/probe.der")" = 503 ] && grep -qiE '^Retry-After: [1-9][0-9]?.?$' "$dir/answer.head"
}

enroll_under_load()
{
	local i=0
	while [ ! -e "$dir/load.stop" ]; do
		i=$((i + 1))
		enroll_device "load$1-$i" >/dev/null 2>&1
	done
	rm -f "$dir"/device/load"$1"-*.key
}

all_known()
{
	local file
	for file in "$dir"/device/{before,after,load*}.pem; do
		chancery certificate show "$(serial_of "$file")" || return 1
	done
}

# enrolled N: that many devices of the load have their certificate
enrolled()
{
	[ "$(find "$dir/device" -name 'load*.pem' | wc -l)" -ge "$1" ]
}

start_appliance "$ca"
device_setup
check "a device enrolls while all is well" enroll_device before
for loop in 1 2 3; do enroll_under_load $loop & loads="${loads:-} $!"; done
check "devices enroll under load" wait_until 20 enrolled 6
make_request "$dir/probe.der"

mv "$dir/tokens" "$dir/tokens.away"
logged "the log says that the token is lost" 'event=SIGNER_TOKEN_LOST'
check "/health says 503" wait_until 10 health_is 503
for round in 1 2 3; do
	check "GetCACaps is answered at once ($round)" at_once "scep?operation=GetCACaps"
	check "GetCACert is answered at once ($round)" at_once "scep?operation=GetCACert"
	check "the CRL is answered at once ($round)" at_once crl
	check "the CA certificate is answered at once ($round)" at_once ca
	check "/health still says 503 ($round)" health_is 503
done
chancery status >"$dir/status" 2>&1
same "chancery status ends with 1" 1 $?
check "chancery status says DEGRADED and why" grep -qE 'Cause.*(signer|token)' "$dir/status"
check "a device gets 503 with Retry-After" told_to_retry
refuse "a device cannot enroll now" enroll_device during
logged "the log says that a device was told to come again" 'event=(SCEP_RETRY|ENROLL_POSTPONED)'
check "challenges can be made all the same" challenge
restarts=$(grep -c 'event=ROLE_STARTED name=signer' "$dir/log")
check "the signer is tried again, later each time" test "$restarts" -lt 12

touch "$dir/load.stop"
# shellcheck disable=SC2086
wait ${loads:-}
mv "$dir/tokens.away" "$dir/tokens"
check "/health says 200 within 15 s of the token's return" wait_until 15 health_is 200
same "the request that was told to come again is answered now" 200 "$(post_request "$dir/probe.der")"
check "a device enrolls again" enroll_device after
check "chancery status ends with 0" wait_until 10 chancery status
check "the parent, the front and the authority were never restarted" \
	test "$(grep -cE 'event=ROLE_EXITED name=(front|authority)' "$dir/log")" = 0
check "every certificate that a device got is known" all_known

appliance_stop "$dir"
mv "$dir/tokens" "$dir/tokens.away"
launch_appliance
check "without a token at its start the appliance comes up" wait_until 10 at_once crl
check "and serves the CA certificate" wait_until 5 at_once ca
check "and GetCACert" at_once "scep?operation=GetCACert"
same "and /health says 503" 503 "$(http_code "http://127.0.0.1:$HTTP/health")"
same "a device gets 503" 503 "$(post_request "$dir/probe.der")"
chancery status >"$dir/status" 2>&1
same "chancery status ends with 1" 1 $?
check "challenges can be made" challenge
check "the signer is tried ever more rarely" wait_until 30 grep -q 'ROLE_EXITED name=signer.*restart_ms=10000' "$dir/log"
mv "$dir/tokens.away" "$dir/tokens"
check "it heals within 15 s, however long the token was away" wait_until 15 health_is 200
check "HTTPS too, for which a certificate was wanting" \
	wait_until 5 curl -fsk -m 2 -o /dev/null "https://127.0.0.1:$HTTPS/health"
check "a device enrolls" enroll_device late
finish
