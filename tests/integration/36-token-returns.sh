#!/bin/bash
# The token goes and comes back in every way: at the start, in service, with other handles, with few sessions, hung.
. "$(dirname "$0")/lib.sh"
begin token-returns

# told PATTERN: the log has such a line, of after the fault began
told()
{
	sed "1,${begun}d" "$dir/log" | grep -qE "$1"
}

# returns WHAT PATTERN LINE…: with these faults the log tells of PATTERN, and the appliance is not healthy; without, it
# is again, by itself
returns()
{
	local what=$1 pattern=$2 begun
	shift 2
	begun=$(wc -l <"$dir/log")
	faults "$@"
	check "$what: the log says so" wait_until 15 told "$pattern"
	check "$what: /health says 503" wait_until 15 unhealthy
	check "$what: GetCACaps is answered" curl -fs -m 1 -o /dev/null "$SCEP_URL?operation=GetCACaps"
	check "$what: the CRL is answered" curl -fs -m 1 -o /dev/null "$CRL_URL"
	faults
	check "$what: over, and well within 15 s" wait_until 15 healthy
	check "$what: a device enrolls" enroll_device "dev$begun"
}

unhealthy()
{
	[ "$(http_code -m 2 "http://127.0.0.1:$HTTP/health")" = 503 ]
}

make_faulty_appliance p256-rsa
sed -i 's/signer: {/& hang_ms = 1000; health_s = 1; workers = 4;/' "$dir/chancery.conf"
faults "sessions 2"
run_appliance
device_setup
check "with two sessions for four workers a device enrolls" enroll_device dev0
returns "one session" 'gives one session, and no second one' "sessions 1" "C_GetSessionInfo nth=1 drop-sessions"
returns "pulled out" 'no token fits signer.token' "absent"
returns "a module that hangs at its start" 'event=SIGNER_START_HUNG step="loading the module"' \
	"C_GetSessionInfo nth=1 kill" "C_Initialize hang"
returns "a device that only fails to decrypt" 'chancery-ra-decrypt|CKR_DEVICE_ERROR' "C_Decrypt return=CKR_DEVICE_ERROR"
returns "a module that crashes" 'name=signer.*cause=SIGKILL' "C_Sign kill"

faults "handles-change-at-login" "C_SignInit nth=3 logout"
check "with handles that change the signer starts again" wait_until 15 grep -q 'CKR_USER_NOT_LOGGED_IN' "$dir/log"
check "and works" wait_until 15 healthy
check "a device enrolls" enroll_device late
refuse "the parent, the front and the authority were never restarted" grep -qE 'event=ROLE_EXITED name=(front|authority)' "$dir/log"
finish
