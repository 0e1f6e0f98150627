#!/bin/bash
# A registration point: set-up, its own root and TLS, whom it trusts.
. "$(dirname "$0")/lib.sh"
begin regpoint

make_appliance
POINT=$(appliance_port_random)
sed -i "s|tls_names = |registration_https = \"127.0.0.1:$POINT\"; tls_names = |" "$dir/chancery.conf"
run_appliance
url=https://localhost:$POINT/CMCertificateRegistration

# root NAME: a root of somebody else, NAME.pem and NAME.key
root()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/$1.key" -out "$dir/$1.pem" \
		-subj "/CN=$1" -days 30 -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}

refuse "no root before a point is installed" chancery registration-point export-root
refuse "no TLS either" curl -sk -m 3 -o /dev/null "$url"
refuse "a name must be one" chancery registration-point install 'a b'
refuse "so must an application" chancery registration-point install site1 --application ../x
check "a point is installed" eval 'chancery registration-point install site1 >"$dir/setup.log"'
check "the set-up ends with a result code" grep -qx 'site1: exit code 0' "$dir/setup.log"
check "the log has it, too" grep -q 'event=REGISTRATION_SETUP point="site1" step="exit code 0"' "$dir/log"
check "so has the audit trail" eval 'chancery audit list | grep registration-point-installed | grep -q "exit code 0"'
refuse "no two of one name" chancery registration-point install site1 --application Other
refuse "nor at one path, in other letters" chancery registration-point install site2 --application cmcertificateregistration
check "another at another path" chancery registration-point install site2 --application Site2
check "the root is exported" cmp <(chancery registration-point export-root) "$dir/state/registration/root.pem"
check "it is a CA with nothing below but servers" grep -q 'CA:TRUE, pathlen:0' \
	<(openssl x509 -in "$dir/state/registration/root.pem" -noout -ext basicConstraints)
check "the store knows it" eval '[ "$(chancery certificate list --usage registration-root | grep -c valid)" = 1 ]'
serial=$(chancery certificate list --usage registration-root | sed -n '2s/ .*//p')
refuse "no list of the CA can have it" chancery certificate revoke "$serial"

served()
{
	curl -s -m 3 --cacert "$dir/state/registration/root.pem" -o "$dir/http.body" "$url"
}
check "TLS is verified with the exported root" wait_until 90 served
refuse "not with the CA's" curl -s -m 3 --cacert "$dir/state/ca/ca.pem" -o /dev/null "$url"
look()
{
	curl -s -m 3 --cacert "$dir/state/registration/root.pem" -o "$dir/http.body" -w '%{http_code}' "$@"
}
same "a browser gets 404" 404 "$(look "$url")"
check "with the words that are the sign of health" grep -q "Server Error in '/CMCertificateRegistration' Application" "$dir/http.body"
same "404 where there is no point" 404 "$(look "https://localhost:$POINT/Nothing")"
refuse "without them" grep -q 'Server Error' "$dir/http.body"
same "calls need a certificate" 403 "$(look -H 'Content-Type: application/json' -d '{}' "$url/Certificate/VerifyRequest")"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/client.key" -out "$dir/client.pem" \
	-subj /CN=client -days 3 2>/dev/null
same "and JSON of the right form" 400 "$(look --cert "$dir/client.pem" --key "$dir/client.key" \
	-H 'Content-Type: application/json' -d '{}' "$url/Certificate/Notify")"
openssl s_client -connect "127.0.0.1:$POINT" </dev/null 2>/dev/null | openssl x509 >"$dir/tls.pem"
check "for TLS servers alone" eval '[ "$(openssl x509 -in "$dir/tls.pem" -noout -ext extendedKeyUsage |
	sed 1d | tr -d " ")" = TLSWebServerAuthentication ]'
refuse "for less than 90 days" openssl x509 -in "$dir/tls.pem" -noout -checkend $((90 * 86400))
check "the store knows that, too" eval 'chancery certificate list --usage registration-tls | grep -q valid'

root first
root second
refuse "a root is wanted" chancery registration-point trust site1 --ndes https://ndes/
refuse "that is one" chancery registration-point trust site1 --ndes https://ndes/ --root "$dir/tls.pem"
refuse "of a point that is there" chancery registration-point trust nobody --ndes https://ndes/ --root "$dir/first.pem"
refuse "a thumbprint is a SHA-256" chancery registration-point trust site1 --ndes https://ndes/ --root "$dir/first.pem" --thumbprint 12
check "it is trusted" chancery registration-point trust site1 --ndes https://ndes/ --root "$dir/first.pem"
check "anew with another" chancery registration-point trust site1 --ndes https://ndes/ --root "$dir/second.pem"
check "the list has the new one" grep -q 'below CN=second' <(chancery registration-point list)
refuse "and it alone" grep -q 'below CN=first' <(chancery registration-point list)
check "trust is taken back" chancery registration-point untrust site1 --ndes https://ndes/
refuse "once" chancery registration-point untrust site1 --ndes https://ndes/
check "and given again" chancery registration-point trust site1 --ndes https://ndes/ --root "$dir/first.pem"

before=$(chancery registration-point list)
appliance_stop "$dir"
run_appliance
same "all of it lasts" "$before" "$(chancery registration-point list)"
check "with the same root" wait_until 30 served
check "the second is removed" chancery registration-point remove site2
refuse "once" chancery registration-point remove site2
check "the audit trail holds" chancery audit verify

finish
