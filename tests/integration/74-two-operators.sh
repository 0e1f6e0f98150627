#!/bin/bash
# Requests that two named operators have to approve, seen from strongSwan, which polls meanwhile.
. "$(dirname "$0")/lib.sh"
begin two-operators

# poll_device NAME [CHALLENGE]: enrolls in the background, asking again each second; wait for $polling to know how it ended
poll_device()
{
	local name=$1 secret=${2:-}
	(
		cd "$dir/device" || exit 1
		[ -s "$name.key" ] || pki --gen --type rsa --size 2048 --outform pem >"$name.key" || exit 1
		pki --scep --url "$SCEP_URL" --in "$name.key" --dn "CN=$name" ${secret:+--password "$secret"} \
			--interval 1 --maxpolltime 40 \
			--cacert-enc "$(ra_with 'Key Encipherment' ra*.pem)" \
			--cacert-sig "$(ra_with 'Digital Signature' ra*.pem)" \
			--cacert ca.pem --outform pem >"$name.pem" 2>"$name.err"
	) 2>/dev/null &
	polling=$!
}

waiting()
{
	chancery request list | awk -v name="CN=$1" '$2 == "pending" && $0 ~ name "$" { print $1 }' | grep .
}

# add NAME GROUPS: an account, with a password in a file
add()
{
	(umask 077; echo "the word of $1" >"$dir/$1.password")
	chancery operator add "$1" --groups "$2" --password-file "$dir/$1.password"
}

# as NAME COMMAND…: the command in the name of this operator
as()
{
	local name=$1
	shift
	chancery --operator "$name" --password-file "$dir/$name.password" "$@"
}

# says TEXT COMMAND…: the command fails, and tells that
says()
{
	local text=$1
	shift
	"$@" >"$dir/says.out" 2>&1 && return 1
	cat "$dir/says.out"
	grep -qF "$text" "$dir/says.out"
}

# polled COUNT: so many polls were answered with PENDING
polled()
{
	[ "$(grep -c 'SCEP_ANSWERED.*type=20.*status=pending' "$dir/log")" -ge "$1" ]
}

make_appliance
cat >>"$dir/chancery.conf" <<-END
	challenge: { missing = "pending"; };
	template: { approvals = 2; };
END
run_appliance
device_setup
for name in alice bob carol dave; do
	check "$name becomes an operator" add "$name" ra-operators
done
check "eve becomes an auditor" add eve auditors

poll_device dev1
check "a request waits" wait_until 10 waiting dev1
id=$(waiting dev1)
check "root is nobody in particular" says \
	"this request needs 2 named operators: chancery --operator NAME request approve $id" chancery request approve "$id"
refuse "an auditor does not approve" as eve request approve "$id"
check "the first of two approves" grep -q 'Approved by alice; 1 more is needed' <(as alice request approve "$id")
check "once" says 'already approved by alice; 1 more is needed' as alice request approve "$id"
logged "the log tells who" "event=REQUEST_APPROVAL request=$id .*alice.* approvals=1 needed=2"
check "the list tells how many" grep -q "^ *$id  pending   1 of 2 " <(chancery request list)
check "the request tells who" grep -q 'Approved      1 of 2 approvals (alice)' <(chancery request show "$id")
polls=$(grep -c 'SCEP_ANSWERED.*type=20.*status=pending' "$dir/log")
check "the device is told to wait, as before" wait_until 10 polled $((polls + 2))
check "it has nothing yet" [ ! -s "$dir/device/dev1.pem" ]
appliance_stop "$dir"
launch_appliance
check "after a restart it still waits" wait_until 15 waiting dev1
check "and is still approved once" grep -q '1 of 2 approvals (alice)' <(chancery request show "$id")
check "the second one completes it" grep -q 'Approved and issued' <(as bob request approve "$id")
wait "$polling"
poll_device dev1
wait "$polling"
check "the device has its certificate" openssl verify -CAfile "$dir/device/ca.pem" "$dir/device/dev1.pem"
for name in alice bob; do
	check "the audit trail has $name" grep -q "event=request-approved actor=.*$name" <(chancery audit list --limit 60)
done

poll_device dev2
check "another one waits" wait_until 10 waiting dev2
id=$(waiting dev2)
check "one approves" as alice request approve "$id"
check "another one denies" as bob request deny "$id" --reason 'not ours'
refuse "that is the end of it" as carol request approve "$id"
refuse "and the device is told" wait "$polling"

poll_device dev3
check "a third one waits" wait_until 10 waiting dev3
id=$(waiting dev3)
check "one approves" as alice request approve "$id"
check "alice is sent away" chancery operator change alice --disable
check "her approval does not count any more" grep -q '0 of 2 approvals' <(chancery request show "$id")
check "so another one is the first" grep -q 'Approved by bob; 1 more is needed' <(as bob request approve "$id")
for name in carol dave; do
	as "$name" request approve "$id" >"$dir/$name.out" 2>&1 &
	eval "run_$name=\$!"
done
# shellcheck disable=SC2154
wait "$run_carol" "$run_dave"
same "of two that come at once one has it issued" 1 "$(cat "$dir/carol.out" "$dir/dave.out" | grep -c 'Approved and issued')"
check "the device gets its certificate" wait "$polling"
same "one" 1 "$(chancery certificate list --match CN=dev3 | grep -c CN=dev3)"

sed -i 's/template: { approvals = 2; };/template: { approvals = 2; approval = true; };/' "$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
logged "the settings are taken" CONFIG_RELOADED
secret=$(as bob challenge create --subject CN=dev4)
check "the challenge has its maker" grep -q ' bob$' <(chancery challenge list)
poll_device dev4 "$secret"
check "a request with bob's challenge waits" wait_until 10 waiting dev4
id=$(waiting dev4)
check "bob does not approve it" says 'bob made its challenge, so others have to approve it' as bob request approve "$id"
check "carol does" as carol request approve "$id"
check "and dave" as dave request approve "$id"
check "the device gets its certificate" wait "$polling"
check "the chain of the audit trail holds" chancery audit verify
finish
