#!/bin/bash
# Roles are killed, or stop moving, at the worst moments: the others go on, what died comes back, nothing is lost.
. "$(dirname "$0")/lib.sh"
begin kill-roles
ca=${1:-rsa2048}

caps()
{
	curl -fs -m 1 "$SCEP_URL?operation=GetCACaps" | grep -q AES
}

# recovered ROLE PID NAME: that role is another process now, all is well, and a device enrolls
recovered()
{
	check "$1: started again" wait_until 15 role_replaced "$1" "$2"
	check "$1: /health says 200 again" wait_until 15 healthy
	check "$1: a device enrolls again" wait_until 10 enroll_device "$3"
	logged "$1: the log says that it ended, and of what" "event=ROLE_EXITED name=$1 pid=$2 cause=$4"
}

# unchanged ROLE PID: the role is the process that it was
unchanged()
{
	same "$1 was left alone" "$2" "$(role_pid "$1")"
}

all_known()
{
	local file
	for file in "$dir"/device/*[0-9].pem; do
		openssl x509 -in "$file" -noout || continue
		chancery certificate show "$(serial_of "$file")" | grep -q '^State *valid' || return 1
	done
}

one_intent()
{
	chancery status | grep -q '(1 intents in the store)'
}

on_crl()
{
	[ -n "$1" ] && curl -fs -m 2 "$CRL_URL" | openssl crl -inform DER -noout -text | grep -qi "Serial Number: 0*$1"
}

no_orphans()
{
	[ -z "$(ps -o pid= -p "$1")" ]
}

make_appliance "$ca"
sed -i 's/scep: {/& timeout_ms = 2000;/' "$dir/chancery.conf"
run_appliance
device_setup
front=$(role_pid front) authority=$(role_pid authority) signer=$(role_pid signer) parent=$(cat "$dir/chanceryd.pid")

kill -9 "$signer"
check "signer killed: GetCACaps is answered" caps
recovered signer "$signer" dev1 SIGKILL
unchanged front "$front"
unchanged authority "$authority"

kill -9 "$front"
recovered front "$front" dev2 SIGKILL
unchanged authority "$authority"
check "HTTPS works again" wait_until 10 curl -fsk -m 2 -o /dev/null "https://127.0.0.1:$HTTPS/health"

kill -9 "$authority"
check "authority killed: GetCACaps is answered" caps
check "authority killed: the CRL is answered" curl -fs -m 1 -o /dev/null "$CRL_URL"
recovered authority "$authority" dev3 SIGKILL
check "chancery works again" wait_until 10 chancery status

# A process that does not move any more: requests get their answer, and it is replaced.
make_request "$dir/probe.der"
signer=$(role_pid signer)
kill -STOP "$signer"
check "signer stopped: GetCACaps is answered" caps
same "signer stopped: a device gets 503 within the time of scep.timeout_ms" 503 "$(post_request "$dir/probe.der")"
check "signer stopped: and GetCACaps is still answered" caps
check "signer stopped: chancery status ends and says so" eval 'chancery status | grep -q DEGRADED'
check "signer stopped: it is replaced" wait_until 30 role_replaced signer "$signer"
logged "signer stopped: the log says that it hung" "event=ROLE_HUNG name=signer pid=$signer"
check "signer stopped: all is well again" wait_until 15 healthy
check "signer stopped: a device enrolls" enroll_device dev4

for loop in 1 2 3; do enroll_under_load $loop & loads="${loads:-} $!"; done
check "devices enroll under load" wait_until 20 enrolled_under_load 3
for round in 1 2 3 4; do
	authority=$(role_pid authority)
	kill -9 "$authority"
	check "authority killed under load ($round): back" wait_until 15 role_replaced authority "$authority"
	check "authority killed under load ($round): well" wait_until 15 healthy
	n=$(find "$dir/device" -name 'load*.pem' | wc -l)
	check "authority killed under load ($round): devices enroll" wait_until 20 enrolled_under_load $((n + 2))
done
touch "$dir/load.stop"
# shellcheck disable=SC2086
wait ${loads:-}
check "every certificate that a device got is known and valid" all_known
check "the audit trail holds" chancery audit verify
check "no intent is open" eval 'chancery status | grep -q "(0 intents in the store)"'

# A serial number that was promised to the token when the authority died: nobody can know whether it was signed.
signer=$(role_pid signer) authority=$(role_pid authority)
kill -STOP "$signer"
sed -i 's/timeout_ms = 2000;//; s/tls_names = "[^"]*"/tls_names = "localhost"/' "$dir/chancery.conf"
kill -HUP "$parent"
check "an intent is in the store while the signer does not answer" wait_until 8 one_intent
kill -9 "$authority"
kill -9 "$signer"
logged "the next start reports the intent that came to no end" 'event=STORE_INTENT_UNRESOLVED'
unresolved=$(sed -n 's/.*STORE_INTENT_UNRESOLVED serial=\([0-9a-f]*\).*/\1/p' "$dir/log" | tail -n 1)
check "and its serial number comes on the CRL" wait_until 15 on_crl "$unresolved"
check "all is well after that" wait_until 15 chancery status

roles="$(role_pid front) $(role_pid authority) $(role_pid signer)"
kill -9 "$parent"
wait "$parent" 2>/dev/null
for pid in $roles; do
	check "the parent killed: $(cat "/proc/$pid/comm" 2>/dev/null || echo the role) goes with it" wait_until 10 no_orphans "$pid"
done
check "the appliance starts again after that" run_appliance
check "and a device enrolls" enroll_device dev5
finish
