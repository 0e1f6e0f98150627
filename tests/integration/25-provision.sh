#!/bin/bash
# The ceremony: a subordinate CA with all that can be wrong with its chain, interruptions, and errors in the file.
. "$(dirname "$0")/lib.sh"
begin provision

provision()
{
	"$BIN_DIR/chancery" provision --config "$dir/chancery.conf" --file "${1:-$dir/ceremony.conf}"
}

import()
{
	"$BIN_DIR/chancery" import-chain "$1" --config "$dir/chancery.conf"
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

# A root in $dir/NAME.pem and .key
make_root()
{
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/$1.key" -out "$dir/$1.pem" -days 3650 -subj "/CN=$1" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}

# sign_request REQUEST OUT EXTENSIONS OPTION…: the root's answer to a request
sign_request()
{
	printf '%b' "$3" >"$dir/ext"
	openssl x509 -req -in "$1" -out "$2" -CA "$dir/root.pem" -CAkey "$dir/root.key" -CAcreateserial \
		-extfile "$dir/ext" "${@:4}" 2>/dev/null
}

fingerprint()
{
	openssl x509 -in "$dir/state/ca/ca.pem" -noout -fingerprint
}

wrong_ceremony()
{
	local what=$1 pattern=$2
	cat >"$dir/wrong.conf"
	says "$what" 1 "$dir/wrong.conf:$pattern" provision "$dir/wrong.conf"
}

appliance_make "$dir" "$BIN_DIR" p256-rsa
# ---- errors in the file: nothing may have happened -------------------------------------------------------------------
good_ca='ca = { kind = "root"; name = "CN=X"; key = "p256"; };'
good_ra='ra = { sign_key = "rsa2048"; decrypt_key = "rsa2048"; };'
wrong_ceremony "a misspelt setting" '2: ca.keys: no such setting' <<END
token = { label = "chancery-sim"; };
ca = { kind = "root"; name = "CN=X"; keys = "p256"; };
$good_ra
END
wrong_ceremony "a setting that is missing" ' token.label: is missing' <<<"$good_ca $good_ra"
wrong_ceremony "an unknown algorithm" '2: ca.key: one of rsa2048' <<END
token = { label = "chancery-sim"; };
ca = { kind = "root"; name = "CN=X"; key = "p521"; };
$good_ra
END
wrong_ceremony "EC for decryption" '3: ra.decrypt_key: .*RSA' <<END
token = { label = "chancery-sim"; };
$good_ca
ra = { sign_key = "rsa2048"; decrypt_key = "p256"; };
END
wrong_ceremony "a name that is none" '2: ca.name: ' <<END
token = { label = "chancery-sim"; so_pin_file = "$dir/so-pin"; };
ca = { kind = "root"; name = "Example"; key = "p256"; };
$good_ra
END
wrong_ceremony "a wrong type" '2: ca.validity_days: a number' <<END
token = { label = "chancery-sim"; };
ca = { kind = "root"; name = "CN=X"; key = "p256"; validity_days = "ten"; };
$good_ra
END
wrong_ceremony "a syntax error" '2: ' <<END
token = { label = "chancery-sim"; };
ca { kind }
END
wrong_ceremony "another label than signer.token" ' token.label: .*signer.token' <<END
token = { label = "another"; so_pin_file = "$dir/so-pin"; };
$good_ca
$good_ra
END
says "no such ceremony" 1 "$dir/nowhere.conf: cannot be read" provision "$dir/nowhere.conf"
same "after all that there is no token" "" "$(find "$dir/tokens" -type f)"
same "and no CA" "" "$(find "$dir/state" -name '*.pem' 2>/dev/null)"
says "import-chain before the ceremony" 1 'request.pem is not there: run "chancery provision"' import "$dir/so-pin"

# ---- a subordinate ---------------------------------------------------------------------------------------------------
sed -i 's/kind = "root"/kind = "subordinate"/; s/Demonstration CA/Subordinate CA/' "$dir/ceremony.conf"
says "a subordinate" 0 "import-chain" provision
request=$dir/state/ca/request.pem
check "the request is signed by its own key" openssl req -in "$request" -noout -verify
check "with the name from the ceremony" grep -q 'CN *= *Chancery Subordinate CA' <(openssl req -in "$request" -noout -subject)
timeout 10 "$BIN_DIR/chanceryd" --config "$dir/chancery.conf" >"$dir/says" 2>&1
same "chanceryd does not start yet" 1 $?
check "and says what is missing" grep -q 'import-chain' "$dir/says"
cp "$request" "$dir/request.first"
says "the ceremony once more" 0 'is there already' provision
check "leaves the key as it is" cmp <(openssl req -in "$request" -noout -pubkey) <(openssl req -in "$dir/request.first" -noout -pubkey)

sed 's/sign_key = "[^"]*"/sign_key = "rsa3072"/' "$dir/ceremony.conf" >"$dir/wrong.conf"
says "the ceremony with another kind of key" 1 'key ra-sign .*has that key already, as rsa2048' provision "$dir/wrong.conf"

make_root root
make_root stranger
ca_ext='basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'
sign_request "$request" "$dir/sub.pem" "$ca_ext" -days 1000
openssl req -newkey rsa:2048 -nodes -keyout "$dir/other.key" -out "$dir/other.csr" -subj "/CN=Chancery Subordinate CA/O=Example" 2>/dev/null
sign_request "$dir/other.csr" "$dir/other.pem" "$ca_ext" -days 1000
sign_request "$request" "$dir/noca.pem" 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' -days 1000
sign_request "$request" "$dir/nocrl.pem" 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' -days 1000
sign_request "$request" "$dir/expired.pem" "$ca_ext" -days -1
cat "$dir/other.pem" "$dir/root.pem" >"$dir/chain-other"
cat "$dir/sub.pem" >"$dir/chain-noroot"
cat "$dir/expired.pem" "$dir/root.pem" >"$dir/chain-expired"
cat "$dir/noca.pem" "$dir/root.pem" >"$dir/chain-noca"
cat "$dir/nocrl.pem" "$dir/root.pem" >"$dir/chain-nocrl"
cat "$dir/sub.pem" "$dir/stranger.pem" >"$dir/chain-stranger"
{ head -c 600 "$dir/sub.pem"; cat "$dir/root.pem"; } >"$dir/chain-broken"
says "a certificate for another key" 1 "CA's key" import "$dir/chain-other"
says "without the root" 1 'issuer "CN=root" is missing' import "$dir/chain-noroot"
says "expired" 1 'expired' import "$dir/chain-expired"
says "not a CA" 1 'CA' import "$dir/chain-noca"
says "may not sign CRLs" 1 'cRLSign' import "$dir/chain-nocrl"
says "with another root" 1 'issuer "CN=root" is missing' import "$dir/chain-stranger"
says "a broken file" 1 'malformed' import "$dir/chain-broken"
says "no certificates in it" 1 'no certificate' import "$dir/so-pin"
says "no such file" 1 'No such file' import "$dir/nowhere"
check "after all that there is no CA certificate" test ! -e "$dir/state/ca/ca.pem"
cat "$dir/stranger.pem" "$dir/root.pem" "$dir/sub.pem" >"$dir/chain"
says "the right chain, in any order" 0 'imported' import "$dir/chain"
same "the chain is kept in order, without what does not belong to it" "$(cat "$dir/sub.pem" "$dir/root.pem" | grep -v '^Cert')" \
	"$(cat "$dir/state/ca/ca.pem")"
before=$(fingerprint)
says "the ceremony after that" 0 'is there already' provision
says "import of the same again" 0 'imported|already' import "$dir/chain"
same "change nothing" "$before" "$(fingerprint)"
run_appliance
device_setup
check "GetCACert has subordinate and root" eval 'curl -fs "$SCEP_URL?operation=GetCACert" |
	openssl pkcs7 -inform DER -print_certs | grep -c "subject=.*CN *= *\(root\|Chancery Subordinate CA\)$\|subject=.*Subordinate CA, O *= *Example$" | grep -qx 2'
make_request "$dir/probe.der" && same "a device is answered" 200 "$(post_request "$dir/probe.der")"
serial=$(chancery certificate list --usage device | sed -n 2p | cut -d' ' -f1)
chancery certificate show "$serial" --pem >"$dir/leaf.pem"
curl -fs "$CRL_URL" | openssl crl -inform DER -out "$dir/crl.pem" 2>/dev/null
check "its certificate verifies up to the root" \
	openssl verify -x509_strict -CAfile "$dir/root.pem" -untrusted "$dir/sub.pem" "$dir/leaf.pem"
check "and the CRL is the subordinate's" openssl crl -in "$dir/crl.pem" -noout -verify -CAfile "$dir/sub.pem"
appliance_stop "$dir"
# ---- interruptions ---------------------------------------------------------------------------------------------------
# provision_well: or what it said is shown
provision_well()
{
	provision >"$dir/says" 2>&1 && grep -q 'start chanceryd' "$dir/says" && return
	sed "s/^/    $1: /" "$dir/says"
	return 1
}

interrupted()
{
	local pid first
	rm -rf "$dir"/tokens/* "$dir/state"
	"$BIN_DIR/chancery" provision --config "$dir/chancery.conf" --file "$dir/ceremony.conf" >"$dir/killed" 2>&1 &
	pid=$!
	sleep "$1"
	kill -9 "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	provision_well "second run" || return 1
	first=$(fingerprint)
	provision_well "third run" || return 1
	[ "$first" = "$(fingerprint)" ] || { echo "the third run made another CA certificate"; return 1; }
	[ -z "$(find "$dir/state" -name '*.new')" ] || { find "$dir/state"; return 1; }
}

sed -i 's/kind = "subordinate"/kind = "root"/; s/"rsa2048"/"p256"/' "$dir/ceremony.conf"
sed -i 's/sign_key = "[^"]*"/sign_key = "p256"/; s/decrypt_key = "[^"]*"/decrypt_key = "rsa2048"/' "$dir/ceremony.conf"
for delay in 0.005 0.01 0.015 0.02 0.025 0.03 0.04 0.05 0.06 0.08 0.1 0.13 0.16 0.2 0.25; do
	check "killed after $delay s: a second run completes it, a third changes nothing" interrupted $delay
done
run_appliance
device_setup
make_request "$dir/probe.der" && same "the appliance works after that" 200 "$(post_request "$dir/probe.der")"
check "and has issued a certificate" eval 'chancery certificate list --usage device | grep -q valid'
finish
