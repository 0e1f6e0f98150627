#!/bin/bash
# A policy module: strongSwan enrolls through a registration point (a stand-in, regpeer), which the appliance asks over
# mutual TLS with the token's policy key; refused, hanging, away, with another root; the policy key's certificate renewed.
. "$(dirname "$0")/lib.sh"
begin policy
make_appliance
run_appliance
mkdir -p "$dir/device" "$dir/crp"

# ---- the registration point: a root of its own, a server certificate, and our CA as the root of its clients
crp=$dir/crp
certificate()
{
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$crp/$1.key" -out "$crp/$1.pem" -days 2 -subj "/CN=$1" \
		-addext "subjectAltName=IP:127.0.0.1" 2>/dev/null
}
certificate root
certificate other
chancery ca show --pem >"$crp/ca.pem"
cat "$crp/other.pem" >>"$crp/ca.pem"
echo Success >"$crp/mode"
"$TESTS_DIR/regpeer" "$crp/root.pem" "$crp/root.key" "$crp/ca.pem" "$crp/mode" "$crp/log" >"$crp/port" &
peer=$!
trap 'kill $peer 2>/dev/null; appliance_stop "$dir"; rm -rf "$dir"' EXIT
wait_until 5 [ -s "$crp/port" ]
url=https://127.0.0.1:$(cat "$crp/port")

# ---- installing
refuse "a module without a root is not installed" chancery policy-module install crp --url "$url"
refuse "nor one by plain HTTP" chancery policy-module install crp --url "http://127.0.0.1" --root "$crp/root.pem"
refuse "nor one with a file that has no certificate" chancery policy-module install crp --url "$url" --root "$crp/root.key"
check "the module is installed" chancery policy-module install crp --url "$url/CMCertificateRegistration" \
	--root "$crp/root.pem" --deadline-ms 1000
renews_itself()
{
	chancery policy-module status | grep -q "renewed by itself"
}
check "its client certificate is made" wait_until 10 renews_itself
has_certificate()
{
	chancery certificate list --usage policy | grep -qE "^[0-9a-f]{32} "
}
check "and is in the inventory" wait_until 10 has_certificate
check "the registration point is there" wait_until 10 chancery policy-module test crp
check "it saw the certificate of the policy key" grep -q "^GET .*CN=.*policy module" "$crp/log"
check "status names the module" grep -q "Policy  *crp: ok" <(chancery status)

# ---- enrolling
check "pki fetches the certificates" device_setup
check "and enrolls" enroll_device plain
printf 'policy: { module = "crp"; };\n' >>"$dir/chancery.conf"
check "the setting is valid" "$BIN_DIR/chanceryd" --check-config "$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
in_use()
{
	chancery policy-module list | grep -q "policy.module"
}
check "the module is named" wait_until 5 in_use
check "a device enrolls with what the registration point takes" enroll_device first any-challenge
check "it was asked" grep -q "^POST .*/Certificate/VerifyRequest .*CN=.*policy module" "$crp/log"
check "and told" wait_until 5 grep -q "^POST .*/Certificate/Notify " "$crp/log"
echo SubjectNameMismatch >"$crp/mode"
refuse "one that it refuses gets nothing" enroll_device second any-challenge
logged "the log has the reason" 'event=ENROLL_REFUSED .*policy module crp: SubjectNameMismatch'
refuse "a built-in challenge counts for nothing" enroll_device third
same "a refusal is in the audit trail" 1 "$(chancery audit list --limit 100 | grep -c 'refuse.*CN=second.*SubjectNameMismatch')"
refuse "a module that is named cannot be uninstalled" chancery policy-module uninstall crp

# ---- hanging, and away
echo hang >"$crp/mode"
make_request "$dir/one.der" any-challenge 2>/dev/null
same "while it hangs a request is told to come again" 503 "$(post_request "$dir/one.der")"
check "when to is said" grep -qi '^Retry-After:' "$dir/answer.head"
post_request "$dir/one.der" >"$dir/slow" &
slow=$!
same "GetCACaps is served meanwhile" 200 "$(http_code -m 2 "$SCEP_URL?operation=GetCACaps")"
wait $slow
same "and again a request" 503 "$(cat "$dir/slow")"
echo Success >"$crp/mode"
enrolls_again()
{
	[ "$(post_request "$dir/one.der")" = 200 ]
}
check "when it answers again the same request is answered" wait_until 20 enrolls_again

# ---- the certificate of the policy key is revoked, and made again without a restart
serial=$(chancery certificate list --usage policy | awk 'length($1) == 32 { print $1; exit }')
pid=$(role_pid courier)
check "the client certificate is revoked" chancery certificate revoke "$serial" --reason superseded
another()
{
	local now
	now=$(chancery certificate list --usage policy --limit 1 | awk 'length($1) == 32 { print $1; exit }')
	[ -n "$now" ] && [ "$now" != "$serial" ]
}
check "another is made" wait_until 10 another
check "a device enrolls with it" enroll_device renewed any-challenge
same "by the same courier" "$pid" "$(role_pid courier)"

# ---- a certificate that another CA made
chancery policy-module request >"$crp/request.pem"
check "the request for the policy key is good" openssl req -in "$crp/request.pem" -noout -verify
printf 'extendedKeyUsage = clientAuth\n' >"$crp/extensions"
openssl x509 -req -in "$crp/request.pem" -CA "$crp/other.pem" -CAkey "$crp/other.key" -CAcreateserial -days 2 \
	-extfile "$crp/extensions" -out "$crp/foreign.pem" 2>/dev/null
refuse "a certificate for another key is not taken" chancery policy-module certificate "$crp/other.pem"
check "the one for the policy key is" chancery policy-module certificate "$crp/foreign.pem"
made_elsewhere()
{
	chancery policy-module status | grep -q "made elsewhere"
}
check "status says that nobody renews it" made_elsewhere
check "a device enrolls with it" enroll_device foreign any-challenge
appliance_stop "$dir"
run_appliance
check "it is still used after a restart" wait_until 10 made_elsewhere
check "the registration point takes it" wait_until 10 chancery policy-module test crp
check "the own CA's is taken again" chancery policy-module certificate --own
check "and made" wait_until 10 renews_itself
check "a device enrolls with that" enroll_device own any-challenge

# ---- another server
check "another root is installed for it" chancery policy-module install crp --url "$url" --root "$crp/other.pem" \
	--deadline-ms 1000 --unavailable refuse
refuse "the server is not the one that is trusted" chancery policy-module test crp
refuse "so no device enrolls" enroll_device fifth any-challenge
logged "as refused" 'event=ENROLL_REFUSED .*policy module crp: cannot be asked'
refuse "status says so" chancery policy-module status

# ---- uninstalling
sed -i 's/^policy: .*/policy: { module = "gone"; };/' "$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
unused()
{
	chancery policy-module uninstall crp
}
check "a module that nothing names is uninstalled" wait_until 5 unused
refuse "a module that is not installed issues nothing" enroll_device sixth any-challenge
logged "and the log says why" 'event=ENROLL_REFUSED .*policy module gone: is not installed'
check "the audit trail has what was done" grep -q "policy-module-removed" <(chancery audit list --limit 100)
finish
