#!/bin/bash
# Somebody broke into a role: what he tries in the live process ends it, or is refused; and the appliance goes on.
. "$(dirname "$0")/lib.sh"
begin intruder
[ "$(uname -m)" = x86_64 ] || { skip "calls made inside a role" "written for x86-64"; finish; }
ldd "$BIN_DIR/chancery-front" | grep -q libseccomp || { skip "calls made inside a role" "builds with sanitizers confine no role"; finish; }
start_appliance rsa2048
roles="front authority signer"

intrude()
{
	local role=$1
	shift
	timeout 10 "$TESTS_DIR/intrude" "$(role_pid "$role")" "$@"
}

all_there()
{
	healthy && [ "$(for role in $roles; do role_pid "$role"; done | wc -l)" = 3 ]
}

# ends "WHAT" "ROLES" ACT…: their lists of system calls end them (SIGSYS is 31), and the parent starts others
ends()
{
	local what=$1 role
	for role in $2; do
		same "the $role cannot $what" "killed by signal 31" "$(intrude "$role" "${@:3}")"
	done
	wait_until 30 all_there || bad "the roles are started again"
}

# gets "WHAT" ROLE RESULT ACT…: the call is made and fails with this errno, and the role lives
gets()
{
	local before
	before=$(role_pid "$2")
	same "the $2 cannot $1" "result -$3" "$(intrude "$2" "${@:4}")"
	same "the $2 lives on" "$before" "$(role_pid "$2")"
}

EACCES=13
wait_until 20 all_there || bad "the appliance works"
pin=$dir/pin
store=$(find "$dir/state" -name store.db)
tokens=$(find "$dir" -path '*/tokens/*' -name '*.object' | head -n 1)
check "the test knows where PIN, store and token are" test -s "$pin" -a -s "$store" -a -s "$tokens"

# ---- files: the front has none; the others those of their own user id
gets "read a file" front $EACCES read /etc/passwd
gets "read the store" front $EACCES read "$store"
for role in authority signer; do
	gets "read the PIN's file" "$role" $EACCES read "$pin"
	gets "write the configuration" "$role" $EACCES write "$dir/chancery.conf"
done
gets "read the token's files" authority $EACCES read "$tokens"
gets "read the store" signer $EACCES read "$store"
# Another process's memory is a file too.
gets "read the signer's memory" authority $EACCES read "/proc/$(role_pid signer)/mem"
gets "read the authority's memory" signer $EACCES read "/proc/$(role_pid authority)/mem"
gets "read the parent's memory" signer $EACCES read "/proc/$(cat "$dir/chanceryd.pid")/mem"

# ---- system calls that are on no list
for act in "start a program:exec:/bin/true" "open a connection:socket:" "connect:connect:" \
	"trace a process:ptrace:1" "read another's memory:read-memory:1"; do
	IFS=: read -r what call argument <<<"$act"
	ends "$what" "$roles" "$call" "$argument"
done
ends "end another process" "authority signer" kill 1
ends "write a file" front write /tmp/chancery-intruder
ends "become root" "authority signer" setuid
ends "make code" front map-code

# A fresh start, so that the next roles are not kept waiting for those that ended.
appliance_stop "$dir"
run_appliance
wait_until 20 all_there || bad "the appliance works after a restart"

# ---- the signer, asked over the live channels for what is not the asker's
for pair in front:ca front:ocsp authority:ra-sign authority:ca; do
	role=${pair%:*} class=${pair#*:}
	lines=$(grep -c SIGNER_REFUSED "$dir/log")
	check "the $role says SIGN with $class on its channels" intrude "$role" sign "$class"
	refused_more() { [ "$(grep -c SIGNER_REFUSED "$dir/log")" -gt "$lines" ]; }
	check "the signer refuses it" wait_until 10 refused_more
	check "the appliance goes on" wait_until 30 all_there
done
secret=$(challenge)
check "and issues challenges as before" test -n "$secret"
finish
