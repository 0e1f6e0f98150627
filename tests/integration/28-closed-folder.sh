#!/bin/bash
# The programs lie where the roles' own user ids cannot look, as below /root: the parent starts them all the same.
. "$(dirname "$0")/lib.sh"
begin closed

# The roles' executables as the kernel sees them, one a line.
role_programs()
{
	local pid
	for pid in $(pgrep -P "$(cat "$dir/chanceryd.pid")"); do
		readlink "/proc/$pid/exe"
	done | sort
}

role_names()
{
	ps -o comm= --ppid "$(cat "$dir/chanceryd.pid")" | sort | tr '\n' ' '
}

mkdir -p "$dir/closed/bin"
cp "$BIN_DIR"/chancer* "$dir/closed/bin"
chmod 700 "$dir/closed"
BIN_DIR=$dir/closed/bin
refuse "the signer's user id cannot enter the folder" \
	setpriv --reuid $((uid_base + 2)) --regid $((uid_base + 2)) --clear-groups test -x "$BIN_DIR/chancery-signer"
make_appliance p256
check "the ceremony ran" test -s "$dir/state/ca/ca.pem"
run_appliance
check "the appliance works" healthy
same "all roles run, from that folder" \
	"$BIN_DIR/chancery-authority $BIN_DIR/chancery-courier $BIN_DIR/chancery-front $BIN_DIR/chancery-signer" "$(role_programs | paste -sd ' ')"
same "ps shows them under their names" "chancery-author chancery-courie chancery-front chancery-signer " "$(role_names)"
check "and none of them as root" test -z "$(ps -o uid= --ppid "$(cat "$dir/chanceryd.pid")" | grep -w 0)"
check "a challenge can be made" challenge

before=$(role_pid signer)
kill -9 "$before"
check "a role that ended is started again from there" wait_until 15 role_replaced signer "$before"
check "and works" wait_until 15 healthy
finish
