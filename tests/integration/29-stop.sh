#!/bin/bash
# The appliance and its service manager; a store that cannot be used; a stop in order.
. "$(dirname "$0")/lib.sh"
begin stop

# Writes what is sent to the notification socket into a file, a message a line, as a service manager would see it.
manager()
{
	exec perl -e 'use Socket; socket(S, AF_UNIX, SOCK_DGRAM, 0); bind(S, pack_sockaddr_un($ARGV[0])) or die; $| = 1;
		print STDERR "bound\n"; while (recv(S, $m, 4096, 0), 1) { $m =~ s/\n/ /g; print "$m\n" }' "$dir/notify" \
		>"$dir/notices" 2>"$dir/manager.log"
}

noticed()
{
	check "$1" wait_until "${3:-5}" grep -qE "$2" "$dir/notices"
}

gone()
{
	! kill -0 "$1" 2>/dev/null
}

start_appliance rsa2048
device_setup
kill -TERM "$(cat "$dir/chanceryd.pid")"
wait "$(cat "$dir/chanceryd.pid")"
same "SIGTERM: exit status 0" 0 $?

# ---- a store that cannot be used -------------------------------------------------------------------------------------
manager &
manager_pid=$!
wait_until 5 grep -q bound "$dir/manager.log"
export NOTIFY_SOCKET=$dir/notify
: >"$dir/log"
mv "$dir/state/store/store.db" "$dir/store.db"
mkdir "$dir/state/store/store.db"
launch_appliance
parent=$(cat "$dir/chanceryd.pid")
logged "a store that cannot be opened is named" "event=FAILURE step=start .*store.db"
check "GetCACaps is answered" wait_until 5 curl -fs -m 1 -o /dev/null "$SCEP_URL?operation=GetCACaps"
same "/health says 503" 503 "$(http_code -m 2 "http://127.0.0.1:$HTTP/health")"
noticed "the manager hears how the roles are" 'STATUS=.*authority starting'
refuse "and not that the appliance is ready" grep -q READY=1 "$dir/notices"
timeout 25 "$BIN_DIR/chancery" --control "$CONTROL" status >"$dir/says" 2>&1
same "chancery does not wait for ever: exit status" 1 $?
check "and says where to look" grep -q 'log of chanceryd' "$dir/says"
rmdir "$dir/state/store/store.db"
mv "$dir/store.db" "$dir/state/store/store.db"
check "when the store is usable it heals" wait_until 15 healthy
noticed "the manager hears READY=1" READY=1

# ---- reload and stop -------------------------------------------------------------------------------------------------
kill -HUP "$parent"
noticed "a reload: RELOADING=1 with its time, then READY=1" 'RELOADING=1.*MONOTONIC_USEC=[0-9]+'
for loop in 1 2 3; do enroll_under_load $loop & loads="${loads:-} $!"; done
check "devices enroll under load" wait_until 20 enrolled_under_load 3
roles="$(role_pid front) $(role_pid authority) $(role_pid signer)"
started=$SECONDS
kill -TERM "$parent"
wait "$parent"
same "SIGTERM under load: exit status 0" 0 $?
check "within ten seconds" test $((SECONDS - started)) -le 10
noticed "the manager hears STOPPING=1" STOPPING=1
for pid in $roles; do check "no role is left: $pid" gone "$pid"; done
check "no control socket is left" test ! -e "$CONTROL"
refuse "nobody had to be killed" grep -q 'SIGKILL\|SIGTERM.*cause=SIG' "$dir/log"
touch "$dir/load.stop"
# shellcheck disable=SC2086
wait ${loads:-}
rm -f "$dir/chanceryd.pid"
unset NOTIFY_SOCKET
kill "$manager_pid"
run_appliance
refuse "no intent was left open by the stop" grep -q STORE_INTENT_UNRESOLVED "$dir/log"
check "every certificate that a device got is known" \
	eval 'for f in "$dir"/device/load*.pem; do chancery certificate show "$(serial_of "$f")" >/dev/null || exit 1; done'
check "a device enrolls" enroll_device after
finish
