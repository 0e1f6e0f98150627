#!/bin/bash
# certmonger's system daemon, as it runs on a server, on a system bus of its own, driven by getcert: it enrolls, waits
# for an operator and asks again, renews with the same key and with a new one, and is told when it was denied.
. "$(dirname "$0")/lib.sh"
begin certmonger-daemon
bus=$dir/bus
mkdir "$bus" "$bus/requests" "$bus/cas" "$bus/local" "$bus/tmp" "$dir/device"
cat >"$bus/system.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
	"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
	<type>system</type>
	<listen>unix:path=$bus/socket</listen>
	<auth>EXTERNAL</auth>
	<policy context="default">
		<allow user="*"/>
		<allow send_destination="org.freedesktop.DBus"/>
		<allow send_type="method_return"/>
		<allow send_type="error"/>
		<allow send_type="signal"/>
		<allow receive_type="method_call"/>
		<allow receive_type="method_return"/>
		<allow receive_type="error"/>
		<allow receive_type="signal"/>
	</policy>
	<includedir>/usr/share/dbus-1/system.d</includedir>
	<includedir>/etc/dbus-1/system.d</includedir>
</busconfig>
END
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$bus/socket
export CERTMONGER_REQUESTS_DIR=$bus/requests CERTMONGER_CAS_DIR=$bus/cas CERTMONGER_LOCAL_CA_DIR=$bus/local
export CERTMONGER_TMPDIR=$bus/tmp CERTMONGER_SYSTEM_LOCK_FILE=$bus/lock

daemon_stop()
{
	local name
	for name in certmonger dbus; do
		[ ! -s "$bus/$name.pid" ] || kill "$(cat "$bus/$name.pid")" 2>/dev/null
	done
}
trap 'daemon_stop; appliance_stop "$dir"; rm -rf "$dir"' EXIT

# A daemon that does not answer is not waited for.
getcert()
{
	timeout 20 /usr/bin/getcert "$@"
}

daemon_start()
{
	dbus-daemon --config-file="$bus/system.conf" --nofork --nopidfile >"$bus/dbus.log" 2>&1 &
	echo $! >"$bus/dbus.pid"
	wait_until 10 test -S "$bus/socket" || return 1
	certmonger -S -n -d 1 >"$bus/certmonger.log" 2>&1 &
	echo $! >"$bus/certmonger.pid"
	wait_until 20 getcert list-cas -S
}

# status ID: what certmonger says of a request
status()
{
	getcert list -S -i "$1" | sed -n 's/.*status: //p'
}

# reaches ID STATUS
reaches()
{
	[ "$(status "$1")" = "$2" ]
}

# asks ID COMMON-NAME [OPTION…]
asks()
{
	local id=$1 name=$2
	shift 2
	getcert request -S -c chancery -I "$id" -k "$dir/device/$id.key" -f "$dir/device/$id.pem" -g 2048 \
		-N "CN=$name,O=Example" -D "$name" "$@"
}

# waiting NAME: the number of the request that waits for an operator
waiting()
{
	chancery request list | awk -v name="CN=$1" '$2 == "pending" && $0 ~ name { print $1 }' | grep .
}

good()
{
	openssl verify -x509_strict -CAfile "$dir/device/ca.pem" "$dir/device/$1.pem" &&
		cmp <(openssl x509 -in "$dir/device/$1.pem" -noout -pubkey) <(openssl pkey -in "$dir/device/$1.key" -pubout)
}

# renewed ID SERIAL: the certificate is another than SERIAL, and certmonger is content
renewed()
{
	reaches "$1" MONITORING && [ "$(serial_of "$dir/device/$1.pem")" != "$2" ]
}

key_of()
{
	openssl pkey -in "$dir/device/$1.key" -pubout
}

make_appliance
cat >>"$dir/chancery.conf" <<END
challenge: { missing = "pending"; };
profiles = ( { name = "certmonger"; preset = "certmonger"; } );
END
run_appliance
curl -fs "$CA_URL" | openssl x509 -inform DER -out "$dir/device/ca.pem"
check "certmonger's daemon runs on a system bus" daemon_start
[ $failed -eq 0 ] || { cat "$bus/dbus.log" "$bus/certmonger.log"; finish; }
check "it is told of the CA" getcert add-scep-ca -S -c chancery -u "$SCEP_URL/certmonger" -N "$dir/device/ca.pem"

challenge >"$dir/device/challenge"
check "getcert asks with a challenge" asks first dev1.example -l "$dir/device/challenge"
check "certmonger has its certificate" wait_until 30 reaches first MONITORING
check "it is good" good first
serial=$(serial_of "$dir/device/first.pem") key=$(key_of first)

# It sends the file's challenge each time, which is used by now; the certificate that signs the request vouches for it.
check "getcert resubmit asks with the same key and the used challenge" getcert resubmit -S -i first
check "certmonger has a new certificate" wait_until 30 renewed first "$serial"
check "it is good too" good first
same "the key stayed" "$key" "$(key_of first)"
check "it was a renewal" grep -q "renews=$serial" <(chancery audit list)
serial=$(serial_of "$dir/device/first.pem")
check "getcert rekey asks with a new key" getcert rekey -S -i first
check "certmonger has a certificate for it" wait_until 30 renewed first "$serial"
check "that is good" good first
refuse "the key is another" test "$key" = "$(key_of first)"
check "it was a renewal, for which the used challenge did not count" grep -q "renews=$serial" <(chancery audit list)

check "getcert asks without a challenge" asks second dev2.example
check "an operator finds the request" wait_until 20 waiting dev2.example
check "certmonger waits" wait_until 20 reaches second CA_WORKING
check "the operator approves" chancery request approve "$(waiting dev2.example)"
check "certmonger is to ask again" getcert refresh -S -i second
check "it has its certificate" wait_until 30 reaches second MONITORING
check "which is good" good second
check "having asked again" test "$(grep -c 'SCEP_ANSWERED.*status=pending' "$dir/log")" -ge 1

serial=$(serial_of "$dir/device/second.pem") key=$(key_of second)
check "getcert resubmit renews without a challenge" getcert resubmit -S -i second
check "certmonger has a new certificate" wait_until 30 renewed second "$serial"
check "it is good" good second
same "the key stayed" "$key" "$(key_of second)"
check "the audit trail knows what was renewed" grep -q "renews=$serial" <(chancery audit list)

check "another one asks" asks third dev3.example
check "and waits" wait_until 20 waiting dev3.example
check "certmonger knows" wait_until 20 reaches third CA_WORKING
check "the operator denies" chancery request deny "$(waiting dev3.example)" --reason 'unknown device'
check "certmonger is to ask again" getcert refresh -S -i third
check "it is told" wait_until 20 reaches third CA_REJECTED

echo 0123456789abcdef0123456789abcdef >"$dir/device/wrong"
check "one asks with a wrong challenge" asks fourth dev4.example -l "$dir/device/wrong"
check "it is refused" wait_until 20 reaches fourth CA_REJECTED
same "no answer was taken for a wrong one" 0 "$(grep -c 'failed to verify signature' "$bus/certmonger.log")"
getcert list -S | sed 's/^/    /' >"$dir/list"
[ $failed -eq 0 ] || { cat "$dir/list"; tail -n 40 "$bus/certmonger.log"; }
finish
