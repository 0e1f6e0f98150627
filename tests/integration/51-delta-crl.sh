#!/bin/bash
# Delta CRLs: made after each full one and at each hold, revocation and release; OpenSSL takes them into account.
. "$(dirname "$0")/lib.sh"
begin delta

# crls_fetch: the full and the delta CRL as PEM, each and together
crls_fetch()
{
	curl -fs -m 5 "$CRL_URL" | openssl crl -inform DER -out "$dir/full.pem" 2>/dev/null &&
		curl -fs -m 5 -D "$dir/delta.head" "$DELTA_URL" | openssl crl -inform DER -out "$dir/delta.pem" 2>/dev/null &&
		cat "$dir/full.pem" "$dir/delta.pem" >"$dir/both.pem"
}

number_of()
{
	echo $(($(openssl crl -in "$1" -noout -crlnumber | sed 's/.*=//')))
}

# Full and delta CRL together, as a verifier reads them.
verified()
{
	crls_fetch && openssl verify -crl_check -extended_crl -use_deltas -CAfile "$dir/state/ca/ca.pem" -CRLfile "$dir/both.pem" "$1"
}

# The full CRL alone does not know it.
verified_by_full()
{
	crls_fetch && openssl verify -crl_check -CAfile "$dir/state/ca/ca.pem" -CRLfile "$dir/full.pem" "$1"
}

revoked()
{
	verified "$1" 2>&1 | grep -q 'certificate revoked'
}

make_appliance "${1:-rsa2048}"
. "$dir/ports"
DELTA_URL=http://127.0.0.1:$HTTP/delta.crl
refuse "a delta CRL on revocation needs delta CRLs" "$BIN_DIR/chanceryd" --config <(sed 's/crl_url/crl_on_revocation = "delta"; crl_url/' "$dir/chancery.conf") --check-config
sed -i "s|crl_url = |delta_hours = 12; delta_url = \"$DELTA_URL\"; crl_on_revocation = \"delta\"; crl_url = |" "$dir/chancery.conf"
run_appliance
device_setup
enroll_device one >/dev/null 2>&1 || bad "a device enrolls"
enroll_device two >/dev/null 2>&1 || bad "another device enrolls"
check "both CRLs are served" wait_until 5 crls_fetch
check "/delta.crl: Content-Type" grep -qi '^Content-Type: application/pkix-crl' "$dir/delta.head"
check "the certificate says where the delta CRL is" grep -q "Freshest CRL" <(openssl x509 -in "$dir/device/one.pem" -noout -text)
check "so does the full CRL" grep -q "Freshest CRL" <(openssl crl -in "$dir/full.pem" -noout -text)
check "the delta CRL names its base" grep -A1 "Delta CRL Indicator: critical" <(openssl crl -in "$dir/delta.pem" -noout -text)
for list in full delta; do
	check "the $list CRL is the CA's" grep -q OK <(openssl crl -in "$dir/$list.pem" -noout -CAfile "$dir/state/ca/ca.pem" 2>&1)
done
check "the certificate verifies with both" verified "$dir/device/one.pem"

full=$(number_of "$dir/full.pem") delta=$(number_of "$dir/delta.pem")
check "they share their numbers" test "$delta" -gt "$full"
serial=$(serial_of "$dir/device/one.pem")
check "the status screen tells of the delta CRL" grep -q "^ Delta CRL    number $delta on $full, 0 entries, ends in 1[12]h" <(chancery status)
check "hold" chancery certificate hold "$serial"
check "on hold it fails with both" wait_until 5 revoked "$dir/device/one.pem"
check "the full CRL stayed as it was" test "$(number_of "$dir/full.pem")" = "$full"
check "and does not know it" verified_by_full "$dir/device/one.pem"
check "the delta CRL is a new one" test "$(number_of "$dir/delta.pem")" -gt "$delta"
check "crl show --delta agrees" grep -qE "Adds to *$full$" <(chancery crl show --delta)

check "a full CRL in between" chancery crl make
check "it knows the hold" wait_until 5 eval '! verified_by_full "$dir/device/one.pem"'
check "the delta CRL adds to it" wait_until 5 eval 'crls_fetch; [ "$(chancery crl show --delta | sed -n "s/Adds to *//p")" = "$(number_of "$dir/full.pem")" ]'
check "release" chancery certificate release "$serial"
check "the delta CRL takes it off" wait_until 5 eval 'crls_fetch; openssl crl -in "$dir/delta.pem" -noout -text | grep -q "Remove From CRL"'
check "released it verifies with both" verified "$dir/device/one.pem"

check "revoke" chancery certificate revoke "$(serial_of "$dir/device/two.pem")" --reason keyCompromise
check "revoked it fails with both" wait_until 5 revoked "$dir/device/two.pem"
check "the other one verifies still" verified "$dir/device/one.pem"

sed -i 's|delta_hours = 12; delta_url = "[^"]*"; crl_on_revocation = "delta"; ||' "$dir/chancery.conf"
kill -HUP "$(cat "$dir/chanceryd.pid")"
check "without delta CRLs there is nothing at the address" wait_until 10 eval '[ "$(http_code "$DELTA_URL")" = 404 ]'
check "a full CRL follows" chancery crl make
check "it knows all" wait_until 5 eval '! verified_by_full "$dir/device/two.pem"'
finish
