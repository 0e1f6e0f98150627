#!/bin/bash
# Certificate templates: looked at, imported, chosen by the settings ndes.*, and who may make challenges for them.  That
# the key usage chooses among three is shown in tests/unit/test_appliance_templates.c; strongSwan asks for none.
. "$(dirname "$0")/lib.sh"
begin templates

# says TEXT COMMAND…: the command fails, and tells that
says()
{
	local text=$1
	shift
	"$@" >"$dir/says.out" 2>&1 && return 1
	cat "$dir/says.out"
	grep -qF "$text" "$dir/says.out"
}

as_bob()
{
	chancery --operator bob --password-file "$dir/bob.password" "$@"
}

# general NAME: the template for requests without a key usage, after a reload
general()
{
	: >"$dir/log"
	sed -i '/^ndes: {/d' "$dir/chancery.conf"
	echo "ndes: { general_purpose_template = \"$1\"; };" >>"$dir/chancery.conf"
	kill -HUP "$(cat "$dir/chanceryd.pid")"
}

template_of()
{
	chancery certificate show "$(serial_of "$dir/device/$1.pem")" | sed -n 's/^Usage .* template \([^ ,]*\).*/\1/p'
}

start_appliance
device_setup

# ---- looking
check "the list has the built-in templates and that of the settings" test 7 = "$(chancery template list | tail -n +2 | wc -l)"
check "the list fits a terminal" test -z "$(chancery template list | awk 'length($0) > 80')"
check "IPSec (Offline request) is there under NDES' name" grep -q '^IPSECIntermediateOffline .*IPSec (Offline request)' <(chancery template list)
check "the settings' one is what NDES' rule chooses" grep -qE '^device +settings +365d +SEG' <(chancery template list)
check "one is shown with its permissions" grep -q 'group ra-operators: read enroll autoenroll' <(chancery template show WebServer)
refuse "an unknown one is not" chancery template show nowhere

# ---- files
cat >"$dir/bad.conf" <<'END'
template = {
	name = "Router";
	exportable = true;
};
END
check "an error names file, line and field" says "$dir/bad.conf:3: exportable: no such field" chancery template check "$dir/bad.conf"
check "import says the same" says "$dir/bad.conf:3: exportable: no such field" chancery template import "$dir/bad.conf"
printf 'template = {\n name = "Router";\n validity_days = 30;\n renewal_days = 30;\n};\n' >"$dir/bad.conf"
check "a contradiction is named with its line" says "bad.conf:4: renewal_days: must be less" chancery template import "$dir/bad.conf"
chancery template show IPSECIntermediateOffline --file >"$dir/router.conf"
check "a built-in one cannot be replaced" says "is built in" chancery template import "$dir/router.conf"
sed -i -e 's/name = "IPSECIntermediateOffline"/name = "Router"/' -e 's/schema_version = 1/schema_version = 2/' \
	-e 's/oid = ""/oid = "1.3.6.1.4.1.311.21.8.99.1"/' -e 's/information_extension = false/information_extension = true/' \
	-e 's/name_extension = true/name_extension = false/' -e 's/validity_days = 730/validity_days = 90/' -e 's/subject_fixed = ""/subject_fixed = "O=Example"/' "$dir/router.conf"
check "a file from show can be checked" chancery template check "$dir/router.conf"
refuse "checking stores nothing" chancery template show Router
check "and imported" chancery template import "$dir/router.conf"
check "what was imported is printed the same" cmp "$dir/router.conf" <(chancery template show Router --file)
check "the audit trail has it with its actor" grep -q 'template-imported actor="operator uid=0".*template="Router"' <(chancery audit list)
head -c 300000 /dev/zero | tr '\0' '#' >"$dir/large.conf"
refuse "a file beyond 256 KiB is refused" chancery template check "$dir/large.conf"

# ---- choosing
general nowhere
logged "a setting that names no template is refused by its name" 'CONFIG_REFUSED.*ndes.general_purpose_template.*nowhere'
refuse "status is degraded" chancery status
check "and says why" eval 'chancery status | grep -q "configuration refused: ndes.general_purpose_template"'
general CEPEncryption
logged "and so is one for enrollment agents" 'CONFIG_REFUSED.*Certificate Request Agent'
check "devices enroll as before" enroll_device before
same "with the template before" device "$(template_of before)"
general Router
logged "a good one is taken" 'event=CONFIG_RELOADED'
check "status is well again" wait_until 5 chancery status
check "a device enrolls" wait_until 5 enroll_device router '' --profile WebServer
same "the store has its template, not the one that the request names" Router "$(template_of router)"
check "the log too" grep -q 'event=ENROLL_ISSUED .*template=Router' "$dir/log"
openssl asn1parse -in "$dir/device/router.pem" >"$dir/asn1"
check "the certificate has the template information" grep -q '1.3.6.1.4.1.311.21.7$' "$dir/asn1"
same "with OID and versions" "06:0B:2B:06:01:04:01:82:37:15:08:63:01:02:01:07:02:01:01" \
	"$(openssl x509 -in "$dir/device/router.pem" -outform DER | xxd -p -u | tr -d '\n' |
		grep -o '060B2B060104018237150863010201070201..' | sed 's/../&:/g; s/:$//')"
check "and the template name is not there" test -z "$(grep '1.3.6.1.4.1.311.20.2$' "$dir/asn1")"
same "the template's purpose is in it" "1.3.6.1.5.5.8.2.2" "$(openssl x509 -in "$dir/device/router.pem" -noout -ext extendedKeyUsage | tail -1 | tr -d ' ')"
same "and the RDN that the template fixes" "subject=CN = router, O = Example" "$(openssl x509 -in "$dir/device/router.pem" -noout -subject)"

# ---- permissions
(umask 077; echo "the word of bob" >"$dir/bob.password")
check "an account in no group of ours" chancery operator add bob --groups mdm --password-file "$dir/bob.password"
check "has no challenge" says "no right to enroll on the template" as_bob challenge create
same "and sees no template" 1 "$(as_bob template list | wc -l)"
refuse "nor can it permit itself" as_bob template permit Router --group mdm --rights "read enroll"
check "rights that contradict each other are refused" says "autoenroll needs enroll" chancery template permit Router --group mdm --rights autoenroll
check "the administrator permits its group" chancery template permit Router --group mdm --rights "read enroll"
check "it can make a challenge that is bound to the template at once" as_bob challenge create --template Router
check "but none that is good for others too" says "template device" as_bob challenge create
chancery template permit device --group mdm --rights "read enroll" >/dev/null
check "with the right on all of them it can" as_bob challenge create
check "taken away, it cannot at once" chancery template permit Router --group mdm --rights none
refuse "neither bound nor unbound" as_bob challenge create --template Router
check "the audit trail has the permission" grep -q 'template-permissions .*template="Router"' <(chancery audit list)

# ---- who approves, and programs that fetch challenges
echo 'challenge: { missing = "pending"; };' >>"$dir/chancery.conf"
: >"$dir/log"
kill -HUP "$(cat "$dir/chanceryd.pid")"
logged "requests may wait" 'event=CONFIG_RELOADED'
enroll_device waits "" --password "" --interval 1 --maxpolltime 20 >"$dir/waits.log" 2>&1 &
polling=$!
waits_for()
{
	chancery request list | awk '$2 == "pending" && /CN=waits$/ { print $1 }' | grep .
}
check "one waits" wait_until 10 waits_for
id=$(waits_for)
check "who may not enroll on its template does not approve it" says "no right to enroll on the template Router" as_bob request approve "$id"
chancery template permit Router --group mdm --rights "read enroll" >/dev/null
check "who may, does" as_bob request approve "$id"
check "and the device has its certificate" wait "$polling"
check "bob is a registration operator now" chancery operator change bob --groups "mdm ra-operators"
chancery template permit Router --group ra-operators --rights "read enroll" >/dev/null
same "without autoenroll a program has no challenge" 403 \
	"$(http_code -k -m 10 -u "bob:$(cat "$dir/bob.password")" "$ADMIN_URL?operation=NDESGenerateChallenge")"
check "a person has" grep -q 'challenge password is' \
	<(curl -ks -m 10 -H 'Accept-Language: en' -u "bob:$(cat "$dir/bob.password")" "$ADMIN_URL")
chancery template permit Router --group ra-operators --rights "read enroll autoenroll" >/dev/null
same "with it the program has too" 200 \
	"$(http_code -k -m 10 -u "bob:$(cat "$dir/bob.password")" "$ADMIN_URL?operation=NDESGenerateChallenge")"

# ---- restart and removal
appliance_stop "$dir"
run_appliance
check "after a restart the template is there" cmp <(sed '/permissions/,$d' "$dir/router.conf") <(chancery template show Router --file | sed '/permissions/,$d')
check "and so are permissions of others" grep -q 'group mdm: read enroll' <(chancery template show device)
check "a template that a setting names is not removed" says "ndes.general_purpose_template" chancery template remove Router
general ""
check "otherwise it is" wait_until 5 chancery template remove Router
refuse "a built-in one is never" chancery template remove WebServer
check "its certificate is still in the inventory" test Router = "$(template_of router)"
finish
