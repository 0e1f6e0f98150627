#!/bin/bash
# A CA roll-over from end to end: prepared, announced, given up, cut over to by date and by command; what came before
# goes on being served; a kill leaves the one state or the other.
. "$(dirname "$0")/lib.sh"
begin rollover

prepare()
{
	"$BIN_DIR/chancery" ca rollover prepare --config "$dir/chancery.conf" --file "${1:-$dir/next.conf}"
}

# says "WHAT" STATUS PATTERN COMMAND…
says()
{
	local what=$1 status=$2 pattern=$3
	shift 3
	"$@" >"$dir/says" 2>&1
	same "$what: exit status" "$status" $?
	check "$what: text" grep -qE "$pattern" "$dir/says"
}

hup()
{
	kill -HUP "$(cat "$dir/chanceryd.pid")"
}

announces()
{
	curl -fs "$SCEP_URL?operation=GetCACaps" | grep -qx 'GetNextCACert.\?'
}

# issued_by CA.pem CERTIFICATE
issued_by()
{
	openssl verify -x509_strict -CAfile "$1" "$2"
}

# crl_is URL CA.pem: the CRL there is that CA's; $dir/crl.txt is its text
crl_is()
{
	curl -fs "$1" >"$dir/crl.der" && openssl crl -inform DER -in "$dir/crl.der" -noout -verify -CAfile "$2" &&
		openssl crl -inform DER -in "$dir/crl.der" -noout -text >"$dir/crl.txt"
}

# crl_has URL CERTIFICATE
crl_has()
{
	curl -fs "$1" | openssl crl -inform DER -noout -text | grep -qi "$(serial_of "$2")"
}

# ocsp_says CA.pem CERTIFICATE STATE
ocsp_says()
{
	openssl ocsp -issuer "$1" -cert "$2" -CAfile "$1" -url "http://127.0.0.1:$HTTP/ocsp" -timeout 5 >"$dir/ocsp.out" 2>&1
	cat "$dir/ocsp.out"
	grep -q 'Response verify OK' "$dir/ocsp.out" && grep -q ": $3" "$dir/ocsp.out"
}

# fresh_device NAME: enrolls with what GetCACert says now
fresh_device()
{
	local old=$dir/device
	mv "$old" "$dir/device.kept" && device_setup && enroll_device "$1"
	local code=$?
	cp "$dir/device/$1.pem" "$dir/device/$1.key" "$dir/device.kept/" 2>/dev/null
	rm -rf "$dir/device.now" && mv "$dir/device" "$dir/device.now" && mv "$dir/device.kept" "$old"
	return $code
}

# renew NAME OLD: with the RA certificates that the device has kept
renew()
{
	(
		cd "$dir/device" || exit 1
		pki --gen --type rsa --size 2048 --outform pem >"$1.key" || exit 1
		pki --scep --url "$SCEP_URL" --in "$1.key" --dn "CN=$2" --cert "$2.pem" --key "$2.key" \
			--cacert-enc "$(ra_with 'Key Encipherment' ra*.pem)" \
			--cacert-sig "$(ra_with 'Digital Signature' ra*.pem)" \
			--cacert ca.pem --outform pem >"$1.new" || exit 1
		mv "$1.new" "$1.pem"
	)
}

# signer_has N: the signer was started with the key of CA N
signer_has()
{
	grep -q "event=SIGNER_READY.*ca-$1:" "$dir/log" && healthy
}

current()
{
	chancery ca show | sed -n 's/^ *\([0-9]*\)  current .*/\1/p'
}

is_current()
{
	[ "$(current)" = "$1" ]
}

# get_crl CERTIFICATE KEY URL CA.pem: GetCRL about it gives that CA's CRL, as at URL
get_crl()
{
	"$TESTS_DIR/getdrive" 127.0.0.1 "$HTTP" "$dir/serials" "$1" "$2" "$dir/got.crl" "$4" && cmp "$dir/got.crl" <(curl -fs "$3")
}

again()
{
	appliance_stop "$dir"
	run_appliance
}

make_appliance p256-rsa
sed 's/validity_days = 3650/validity_days = 7300/' "$dir/ceremony.conf" >"$dir/next.conf"
sed 's/validity_days = 3650/validity_days = 9000/; s/Demonstration CA/Demonstration CA G4/; s/ key = "p256"/ key = "rsa2048"/' "$dir/ceremony.conf" >"$dir/other.conf"
. "$dir/ports"
CONTROL=$dir/run/control
says "without the appliance nothing is prepared" 1 'the appliance has to run' prepare
run_appliance
ca1=$dir/state/ca/ca.pem ca3=$dir/state/ca/ca-3.pem ca4=$dir/state/ca/ca-4.pem

# ---- before ----------------------------------------------------------------------------------------------------------
device_setup
check "a device enrolls" enroll_device dev1
check "another one enrolls" enroll_device dev2
check "its certificate is revoked" chancery certificate revoke "$(serial_of "$dir/device/dev2.pem")" --reason keyCompromise
refuse "there is no capability" announces
same "GetNextCACert: there is none" 404 "$(http_code "$SCEP_URL?operation=GetNextCACert")"
says "there is nothing to cut over to" 1 'no next CA is prepared' chancery ca rollover now --confirm
says "nor to plan" 1 'no next CA is prepared' chancery ca rollover at 2040-01-01
says "nor to give up" 1 'no next CA is prepared' chancery ca rollover cancel

# ---- prepared --------------------------------------------------------------------------------------------------------
sed 's/validity_days = 3650/validity_days = 3000/' "$dir/ceremony.conf" >"$dir/short.conf"
says "a next CA that ends earlier" 1 'would not last longer' prepare "$dir/short.conf"
says "the next CA" 0 'systemctl reload' prepare
refuse "it is not announced before the reload" announces
says "the ceremony once more" 0 'is there already' prepare
hup
check "after the reload it is" wait_until 10 announces
check "the signer has its key" wait_until 10 signer_has 2
logged "the log says so" 'event=CA_PREPARED generation=2'
curl -fs -D "$dir/next.head" "$SCEP_URL?operation=GetNextCACert" >"$dir/next.p7"
check "GetNextCACert: Content-Type" grep -qi '^Content-Type: application/x-x509-next-ca-cert' "$dir/next.head"
check "GetNextCACert is signed by the current CA" \
	openssl cms -verify -inform DER -in "$dir/next.p7" -CAfile "$ca1" -binary -out "$dir/inner.p7" -certsout "$dir/signer.pem"
check "by its own key" cmp <(openssl x509 -in "$ca1" -outform DER) <(openssl x509 -in "$dir/signer.pem" -outform DER)
check "and holds the next CA's certificate" cmp <(openssl x509 -in "$dir/state/ca/ca-2.pem" -outform DER) \
	<(openssl pkcs7 -inform DER -in "$dir/inner.p7" -print_certs | openssl x509 -outform DER)
refuse "another CA has not signed it" \
	openssl cms -verify -inform DER -in "$dir/next.p7" -CAfile "$dir/state/ca/ca-2.pem" -binary -out /dev/null
says "ca show has both" 0 '^ 2  next ' chancery ca show
check "status has it" grep -q 'Next CA *number 2, announced' <(chancery status)
says "one at a time" 1 'CA 2 is prepared already' prepare
again
check "after a restart it is announced" announces
check "but issues nothing" enroll_device dev3
check "as the current one does" issued_by "$ca1" "$dir/device/dev3.pem"
says "the cut-over wants to be confirmed" 2 'say --confirm' chancery ca rollover now
says "given up" 0 'is given up' chancery ca rollover cancel
refuse "there is no capability" announces
same "GetNextCACert: there is none" 404 "$(http_code "$SCEP_URL?operation=GetNextCACert")"
again
refuse "after a restart neither" announces

# ---- cut over by date ------------------------------------------------------------------------------------------------
says "another next CA" 0 'systemctl reload' prepare
hup
check "it is announced" wait_until 10 announces
check "the signer has its key" wait_until 10 signer_has 3
says "a date in the past" 2 'in the future' chancery ca rollover at 2020-01-01
says "a date" 0 'CA 3 issues from 2040-02-03T00:00:00Z on' chancery ca rollover at 2040-02-03
check "ca show has the date" grep -q 'roll-over  2040-02-03' <(chancery ca show)
says "no date" 0 'CA 3 waits' chancery ca rollover at never
check "a date in four seconds" chancery ca rollover at "$(date -u -d '+4 seconds' +%Y-%m-%dT%H:%M:%SZ)"
check "until then the old one issues" is_current 1
appliance_stop "$dir"
run_appliance
check "it is cut over to by itself, also over a restart" wait_until 15 is_current 3
logged "the log says so" 'event=CA_ROLLOVER generation=3 actor="system"'
refuse "the capability is gone" announces
check "the audit trail has it" grep -q 'event=ca-rollover ' <(chancery audit list --limit 40)
check "RA certificates are there at once" wait_until 10 eval 'curl -fs "$SCEP_URL?operation=GetCACert" |
	openssl pkcs7 -inform DER -print_certs -out "$dir/getca.pem" && split_pem "$dir/getca.pem" "$dir/getca" &&
	cmp <(openssl x509 -in "$dir/getca-3.pem" -outform DER) <(openssl x509 -in "$ca3" -outform DER)'
check "from the new CA" eval 'issued_by "$ca3" "$dir/getca-1.pem" && issued_by "$ca3" "$dir/getca-2.pem"'
check "TLS too" wait_until 10 curl -fs --cacert "$ca3" -o /dev/null "https://localhost:$HTTPS/health"

# after "PHASE": what must be so from here on, again after a restart
after()
{
	local n
	n=$(echo "$1" | tr -dc a-z0-9)
	check "$1: a device enrolls with the new certificates" fresh_device "fresh$n"
	check "$1: from the new CA" issued_by "$ca3" "$dir/device/fresh$n.pem"
	check "$1: a device that kept the old RA certificates enrolls, and knows who answers" enroll_device "kept$n"
	check "$1: from the new CA too" issued_by "$ca3" "$dir/device/kept$n.pem"
	check "$1: a device renews with its old certificate" renew "renewed$n" dev1
	check "$1: from the new CA" issued_by "$ca3" "$dir/device/renewed$n.pem"
	check "$1: /crl is the old CA's" crl_is "$CRL_URL" "$ca1"
	check "$1: with what it revoked" crl_has "$CRL_URL" "$dir/device/dev2.pem"
	check "$1: /crl/3 is the new CA's" crl_is "$CRL_URL/3" "$ca3"
	check "$1: and current" cmp <(curl -fs "$CRL_URL/current") <(curl -fs "$CRL_URL/3")
	refuse "$1: without what the old one revoked" crl_has "$CRL_URL/3" "$dir/device/dev2.pem"
	check "$1: OCSP for the old one" ocsp_says "$ca1" "$dir/device/dev1.pem" good
	check "$1: OCSP for its revoked one" ocsp_says "$ca1" "$dir/device/dev2.pem" revoked
	check "$1: OCSP for the new one" ocsp_says "$ca3" "$dir/device/fresh$n.pem" good
	refuse "$1: OCSP under the wrong one" ocsp_says "$ca1" "$dir/device/fresh$n.pem" good
	check "$1: /ca is the old CA" cmp <(curl -fs "$CA_URL") <(openssl x509 -in "$ca1" -outform DER)
	check "$1: /ca/3 is the new one" cmp <(curl -fs "$CA_URL/3") <(openssl x509 -in "$ca3" -outform DER)
	same "$1: there is no other" 404 "$(http_code "$CRL_URL/2")"
}

after "cut over"
check "GetCRL about an old certificate" get_crl "$dir/device/dev1.pem" "$dir/device/dev1.key" "$CRL_URL" "$ca1"
check "GetCRL about a new one" get_crl "$dir/device/freshcutover.pem" "$dir/device/freshcutover.key" "$CRL_URL/3" "$ca3"
check "certificates say where their CRL is" grep -q "/crl/3$" <(openssl x509 -in "$dir/device/freshcutover.pem" -noout -ext crlDistributionPoints)
check "and their CA" grep -q "/ca/3$" <(openssl x509 -in "$dir/device/freshcutover.pem" -noout -ext authorityInfoAccess)
check "an old certificate is revoked" chancery certificate revoke "$(serial_of "$dir/device/dev3.pem")"
check "on the old CRL" wait_until 5 crl_has "$CRL_URL" "$dir/device/dev3.pem"
check "a new one is revoked" chancery certificate revoke "$(serial_of "$dir/device/keptcutover.pem")"
check "on the new CRL" wait_until 5 crl_has "$CRL_URL/3" "$dir/device/keptcutover.pem"
refuse "and not on the old one" crl_has "$CRL_URL" "$dir/device/keptcutover.pem"
again
after "restarted"

# ---- once more, by command, with another name and another kind of key ------------------------------------------------
says "a third CA" 0 'systemctl reload' prepare "$dir/other.conf"
hup
check "it is announced" wait_until 10 announces
curl -fs "$SCEP_URL?operation=GetNextCACert" >"$dir/next.p7"
check "by the CA before it" openssl cms -verify -inform DER -in "$dir/next.p7" -CAfile "$ca3" -binary -out /dev/null
check "the signer has its key" wait_until 10 signer_has 4
says "cut over by command" 0 'CA 4 issues from now on' chancery ca rollover now --confirm
check "its RA certificates are there" wait_until 10 eval 'curl -fs "$SCEP_URL?operation=GetCACert" | openssl pkcs7 -inform DER -print_certs -noout | grep -q G4'
check "a device enrolls" fresh_device dev4
check "from the third CA" issued_by "$ca4" "$dir/device/dev4.pem"
check "a device of the second renews" renew renewed4 freshcutover
check "from the third" issued_by "$ca4" "$dir/device/renewed4.pem"
check "a device of the first renews" renew renewed41 dev1
check "the first one's CRL" crl_is "$CRL_URL" "$ca1"
check "the second one's CRL" crl_is "$CRL_URL/3" "$ca3"
check "the third one's CRL" crl_is "$CRL_URL/4" "$ca4"
check "OCSP for the first" ocsp_says "$ca1" "$dir/device/dev1.pem" good
check "OCSP for the second" ocsp_says "$ca3" "$dir/device/freshcutover.pem" good
check "OCSP for the third" ocsp_says "$ca4" "$dir/device/dev4.pem" good
check "GetCRL about the first" get_crl "$dir/device/dev1.pem" "$dir/device/dev1.key" "$CRL_URL" "$ca1"
check "GetCRL about the third" get_crl "$dir/device/dev4.pem" "$dir/device/dev4.key" "$CRL_URL/4" "$ca4"
check "the audit trail holds" chancery audit verify

# ---- kills -----------------------------------------------------------------------------------------------------------
# kept_whole N: after a kill one CA is the current one, and what it issues is under it
kept_whole()
{
	local now file
	now=$(current)
	file=$dir/state/ca/ca-$now.pem
	[ "$now" = "$1" ] || [ "$now" = $(($1 - 1)) ] || return 1
	fresh_device "killed$1" && issued_by "$file" "$dir/device/killed$1.pem" && crl_is "$CRL_URL/$now" "$file"
}

days=9100
for n in 5 6 7; do
	days=$((days + 100))
	sed "s/validity_days = 3650/validity_days = $days/" "$dir/ceremony.conf" >"$dir/next.conf"
	# The ceremony is killed somewhere, and done again.
	setsid "$BIN_DIR/chancery" ca rollover prepare --config "$dir/chancery.conf" --file "$dir/next.conf" >/dev/null 2>&1 &
	ceremony=$!
	sleep "0.$((RANDOM % 20 + 10))"
	kill -9 -- "-$ceremony" 2>/dev/null
	wait "$ceremony" 2>/dev/null
	says "CA $n after a killed ceremony" 0 'systemctl reload' prepare
	hup
	check "CA $n is announced" wait_until 10 announces
	check "CA $n: the signer has its key" wait_until 10 signer_has $n
	authority=$(role_pid authority)
	chancery ca rollover now --confirm >/dev/null 2>&1 &
	command=$!
	sleep "0.0$((RANDOM % 40 + 10))"
	kill -9 "$authority"
	wait "$command"
	check "CA $n: the authority is back" wait_until 15 eval 'role_replaced authority "$authority" && healthy'
	check "CA $n: what a kill left is whole" wait_until 10 kept_whole $n
	is_current $n || check "CA $n: the cut-over once more" chancery ca rollover now --confirm
	check "CA $n is the current one" wait_until 5 is_current $n
	check "CA $n: a device enrolls" fresh_device "dev$n"
	check "CA $n issued it" wait_until 5 issued_by "$dir/state/ca/ca-$n.pem" "$dir/device/dev$n.pem"
done
check "the first one's CRL is still there" crl_is "$CRL_URL" "$ca1"
check "OCSP for the first too" wait_until 10 ocsp_says "$ca1" "$dir/device/dev1.pem" good
check "the audit trail holds" chancery audit verify
finish
