#!/bin/bash
# Slow and idle peers are closed, too many of one address refused, others served meanwhile; and what TLS promises.
. "$(dirname "$0")/lib.sh"
begin slow

limits='idle_s = 2; answer_s = 2; connections_per_address = 20;'

front_sockets()
{
	find "/proc/$(role_pid front)/fd" -lname 'socket:*' | wc -l
}

# back_to N: the front has that many sockets again
back_to()
{
	[ "$(front_sockets)" -le "$1" ]
}

# tls OPTION…: a handshake that verifies the server against the CA
tls()
{
	openssl s_client -connect "127.0.0.1:$HTTPS" -CAfile "$dir/state/ca/ca.pem" -verify_return_error \
		-verify_hostname localhost "$@" </dev/null
}

# refused_version OPTION: the server says so itself, with the alert of RFC 8446 6.2
refused_version()
{
	tls "$1" -cipher DEFAULT:@SECLEVEL=0 2>&1 | grep -q 'alert protocol version'
}

# s_client takes "R" at the beginning of a line for the wish to renegotiate, once the connection stands.
renegotiation()
{
	coproc client { openssl s_client -connect "127.0.0.1:$HTTPS" -tls1_2 -legacy_renegotiation 2>&1; }
	local line out in pid=$client_PID
	# Copies: the shell closes its own when the client ends, read or not.
	exec {out}<&"${client[0]}" {in}>&"${client[1]}"
	while read -r -t 5 line <&"$out"; do
		[[ $line != *"Verify return code"* ]] || echo R >&"$in"
		[[ $line != *"RENEGOTIATING"* ]] || echo Q >&"$in"
		echo "$line"
	done
	exec {out}<&- {in}>&-
	wait "$pid"
}

# Files that the front has open, but for the log, and those that it could write.
front_writable()
{
	local uid
	uid=$(stat -c %u "/proc/$(role_pid front)")
	[ "$uid" != 0 ] || echo "it is root"
	find "/proc/$(role_pid front)/fd" -lname '/*' ! -lname '/dev/*' ! -lname "$dir/log" -printf '%l\n'
	setpriv --reuid "$uid" --regid "$uid" --clear-groups find "$dir" ! -type l -writable 2>/dev/null
}

key_of_tls()
{
	tls 2>/dev/null | openssl x509 -noout -pubkey
}

make_appliance
sed -i "s/tls_names = /$limits &/" "$dir/chancery.conf"
echo 'log: { level = "debug"; };' >>"$dir/chancery.conf"
run_appliance
before=$(role_pid front) sockets=$(front_sockets)
"$TESTS_DIR/slowdrive" 127.0.0.1 "$HTTP" "$HTTPS" 2 20 >"$dir/slowdrive.out" 2>&1
status=$?
sed '$d' "$dir/slowdrive.out"
passed=$((passed + $(grep -c '^ok: ' "$dir/slowdrive.out")))
same "slowdrive found no fault" 0 $status
check "the front keeps none of those connections" wait_until 5 back_to "$sockets"
same "and was not replaced" "$before" "$(role_pid front)"
logged "the log says: nothing came" 'event=CONNECTION_CLOSED .*no request in time'
logged "the log says: not read" 'event=CONNECTION_CLOSED .*answer not read in time'
logged "the log says: too many" 'event=CONNECTION_REFUSED .*too many of this address'

check "TLS 1.2, verified against the CA" tls -tls1_2
check "TLS 1.3, verified against the CA" tls -tls1_3
refuse "another name is not in the certificate" tls -verify_hostname other.example
check "TLS 1.1 is refused" refused_version -tls1_1
check "TLS 1.0 is refused" refused_version -tls1
refuse "key exchange without forward secrecy is refused" tls -tls1_2 -cipher kRSA
check "a renegotiation, which costs us more than the peer, is refused" grep -q "no renegotiation" <(renegotiation)
refuse "plain HTTP has no answer on the TLS port" curl -s -m 5 "http://127.0.0.1:$HTTPS/health"
device_setup
make_request "$dir/request.der"
same "a device enrolls over HTTPS" 200 "$(http_code --cacert "$dir/state/ca/ca.pem" -m 15 -D "$dir/head" \
	--data-binary "@$dir/request.der" "https://localhost:$HTTPS/scep?operation=PKIOperation")"
check "with the answer of RFC 8894" grep -qi '^Content-Type: application/x-pki-message.$' "$dir/head"
logged "and got its certificate" 'event=SCEP_ANSWERED .*status=issued'
first=$(key_of_tls)
refuse "no file has a private key" grep -rlE 'PRIVATE KEY' "$dir/state" "$dir/run"
same "the front has no file that it could write one to" "" "$(front_writable)"
kill -9 "$(role_pid front)"
check "a new front serves TLS" wait_until 15 tls -tls1_3
refuse "with a new key, as the old one was nowhere" test "$first" = "$(key_of_tls)"
finish
