#!/bin/bash
# What the parent promises: roles come back, settings are read again, a refused PIN is not tried twice, an ordered stop.
. "$(dirname "$0")/lib.sh"
begin parent

daemon() { "$BIN_DIR/chanceryd" --config "$dir/chancery.conf"; }
# The process id of a role, from its parent.
role() { pgrep -P "$(cat "$dir/chanceryd.pid")" -f "chancery-$1"; }
# Is the role another process than $2?
again() { local now; now=$(role "$1") && [ -n "$now" ] && [ "$now" != "$2" ]; }
in_log() { grep -q -- "$1" "$dir/log"; }
count() { grep -c -- "$1" "$dir/log"; }
healthy() { curl -fs -o /dev/null "http://127.0.0.1:$HTTP/health"; }
signer_works() { timeout 5 "$BIN_DIR/chancery" --control "$CONTROL" status 2>&1 | grep -q 'Signer *works'; }
hangup() { kill -HUP "$(cat "$dir/chanceryd.pid")"; }
held_twice() { [ "$(count ROLE_HELD)" = 2 ]; }
fails_with() { local want=$1; shift; ! "$@" >"$dir/out" 2>&1 && grep -q -- "$want" "$dir/out"; }

# ---- before there is anything to run
appliance_make "$dir" "$BIN_DIR" rsa2048 || exit 1
check "without a CA it says what to do" fails_with 'not provisioned: run chancery provision' daemon
check "a user is told that it takes root" fails_with 'must be started as root' \
	setpriv --reuid 64100 --regid 64100 --clear-groups "$BIN_DIR/chanceryd" --config "$dir/chancery.conf"
check "a good configuration is valid" "$BIN_DIR/chanceryd" --check-config "$dir/chancery.conf"
printf 'front: {\n\thtp = "x";\n};\n' >"$dir/bad.conf"
check "a bad one is refused with file, line and the right name" \
	fails_with "^$dir/bad.conf:2: front.htp: no such setting; did you mean front.http?" \
	"$BIN_DIR/chanceryd" --check-config "$dir/bad.conf"
"$BIN_DIR/chanceryd" --print-config --config "$dir/chancery.conf" >"$dir/printed.conf"
check "what it prints is valid" "$BIN_DIR/chanceryd" --check-config "$dir/printed.conf"
check "what it prints has the file's values" grep -q "state = \"$dir/state\";" "$dir/printed.conf"
check "provisioning" appliance_provision "$dir" "$BIN_DIR"
chmod 644 "$dir/pin"
check "a PIN file that others may read is refused" fails_with "$dir/pin: its group or others" daemon
chmod 600 "$dir/pin"

# ---- processes
run_appliance
CONTROL=$dir/run/control
check "a second one is refused" fails_with 'another chanceryd runs already' daemon
for pair in authority:64100 front:64101 signer:64102 courier:64103; do
	check "${pair%:*} runs as ${pair#*:} and nothing else" \
		grep -qE "^Uid:(	${pair#*:}){4}$" "/proc/$(role "${pair%:*}")/status"
	# Builds with sanitizers have no lists.
	ldd "$BIN_DIR/chancery-front" | grep -q libseccomp && check "${pair%:*} is confined" grep -qE '^Seccomp:	2$' "/proc/$(role "${pair%:*}")/status"
	check "${pair%:*} has no capabilities" grep -qE '^CapEff:	0+$' "/proc/$(role "${pair%:*}")/status"
done
check "the control socket is root's" test "$(stat -c %a:%u "$dir/run/control")" = 600:0

front=$(role front) authority=$(role authority) signer=$(role signer)
kill -9 "$signer"
check "a killed signer comes back" wait_until 5 again signer "$signer"
check "and works again" wait_until 10 signer_works
check "front and authority were not restarted for that" test "$(role front):$(role authority)" = "$front:$authority"
kill -9 "$front"
check "a request meanwhile waits instead of failing" healthy
check "a killed front comes back" again front "$front"
kill -9 "$authority"
check "a killed authority comes back" wait_until 5 again authority "$authority"
check "and has its signer" wait_until 10 signer_works
courier=$(role courier)
kill -9 "$courier"
check "a killed courier comes back" wait_until 5 again courier "$courier"
check "and nobody else was restarted for that" healthy
check "the log says who ended, and why" in_log "ROLE_EXITED name=signer pid=$signer cause=SIGKILL"

# ---- settings
front=$(role front)
echo 'log: { level = "loud"; };' >>"$dir/chancery.conf"
hangup
check "a bad configuration is refused and named" wait_until 5 in_log 'CONFIG_REFUSED reason=".*log.level: must be error'
sed -i '$d' "$dir/chancery.conf"
echo 'log: { level = "notice"; }; store: { queue = 99; };' >>"$dir/chancery.conf"
hangup
check "a good one is taken" wait_until 5 in_log CONFIG_RELOADED
check "what needs a restart is named" in_log 'CONFIG_RESTART_NEEDED setting=store.queue'
check "nobody is restarted for that" test "$(role front)" = "$front"
check "and it goes on serving" healthy

# ---- a PIN that the token refuses
cp "$dir/pin" "$dir/pin.right"
appliance_stop "$dir"
check "it ended in order" in_log 'event=STOPPING .*cause=SIGTERM'
refuse "the control socket is gone" test -e "$dir/run/control"
(umask 077; echo 000000000000 >"$dir/pin")
"$BIN_DIR/chanceryd" --config "$dir/chancery.conf" >"$dir/log" 2>&1 &
echo $! >"$dir/chanceryd.pid"
check "a refused PIN holds the signer" wait_until 10 in_log 'event=ROLE_HELD .*name=signer'
check "CRL and CA certificate are served all the same" wait_until 5 curl -fs -o /dev/null "http://127.0.0.1:$HTTP/crl"
# Four times the pause before a first restart.
sleep 0.4
check "and it is not tried again" test "$(count 'role=signer.*event=FAILURE step=start')" = 1
hangup
check "a reload tries what the PIN file says then" wait_until 10 held_twice
(umask 077; cp "$dir/pin.right" "$dir/pin")
hangup
check "with the right PIN it works" wait_until 10 signer_works
finish
