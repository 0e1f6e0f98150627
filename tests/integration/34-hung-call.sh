#!/bin/bash
# Calls into the module hang: one costs a worker, and what needs no key is served as fast as ever until the watchdog acts.
. "$(dirname "$0")/lib.sh"
begin hung-call
rounds=300

# times PATH: how long each of some requests on one connection took, in microseconds, sorted
times()
{
	curl -fs -m 60 -o /dev/null -w '%{time_total}\n' "http://127.0.0.1:$HTTP/$1#[1-$rounds]" |
		awk '{ printf "%d\n", $1 * 1000000 }' | sort -n
}

# percentile N FILE
percentile()
{
	sed -n "$((rounds * $1 / 100))p" "$2"
}

# not_slower WHAT: half and 99 of 100 requests took at most three times as long, and two milliseconds for the machine
not_slower()
{
	local p
	for p in 50 99; do
		echo "$1: p$p idle $(percentile $p "$dir/idle.$1") us, hung $(percentile $p "$dir/hung.$1") us"
		[ "$(percentile $p "$dir/hung.$1")" -le $(($(percentile $p "$dir/idle.$1") * 3 + 2000)) ] || return 1
	done
}

ocsp()
{
	openssl ocsp -issuer "$dir/state/ca/ca.pem" -cert "$dir/device/before.pem" -url "http://127.0.0.1:$HTTP/ocsp" \
		-CAfile "$dir/state/ca/ca.pem" -no_nonce 2>&1 | grep -q ': good'
}

# The status comes, and not late, whatever it says: nothing in it is asked of the token.
status_comes()
{
	timeout 5 "$BIN_DIR/chancery" --control "$CONTROL" status >"$dir/status"
	[ $? -ne 124 ] && [ -s "$dir/status" ]
}

hung()
{
	[ "$(token_calls "C_Sign" hangs)" -ge "$1" ]
}

make_faulty_appliance rsa2048
sed -i 's/signer: {/& workers = 2; hang_ms = 12000; deadline_ms = 3000;/; s/scep: {/& timeout_ms = 4000;/; s/front: {/& loops = 1;/' "$dir/chancery.conf"
run_appliance
device_setup
check "a device enrolls" enroll_device before
check "OCSP answers" wait_until 10 ocsp
make_request "$dir/probe.der"
for what in "scep?operation=GetCACaps" crl; do times "$what" >"$dir/idle.${what%%\?*}"; done

faults "C_Sign nth=1 hang"
# Whoever meets the hang is answered with 503; that it is a probe is as likely.
timeout=6 post_request "$dir/probe.der" >"$dir/first"
check "a call hangs" wait_until 10 hung 1
check "a device enrolls all the same: one worker is left" wait_until 10 enroll_device meanwhile
faults "C_Sign hang"
timeout=6 post_request "$dir/probe.der" >/dev/null &
check "both workers hang" wait_until 10 hung 2
for what in "scep?operation=GetCACaps" crl; do
	times "$what" >"$dir/hung.${what%%\?*}"
	check "$what: as fast as ever" not_slower "${what%%\?*}"
	not_slower "${what%%\?*}"
done
check "GetCACert is answered" curl -fs -m 1 -o /dev/null "$SCEP_URL?operation=GetCACert"
check "OCSP is answered from memory" ocsp
check "chancery status comes" status_comes
same "and no signer was replaced up to now" 0 "$(grep -c 'event=ROLE_EXITED name=signer' "$dir/log")"
check "the watchdog replaces the signer" wait_until 20 grep -q 'event=SIGNER_HUNG' "$dir/log"
faults
check "all is well within 15 s" wait_until 15 healthy
check "a device enrolls" enroll_device after
refuse "the parent, the front and the authority were never restarted" grep -qE 'event=ROLE_EXITED name=(front|authority)' "$dir/log"
finish
