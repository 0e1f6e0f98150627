#!/bin/bash
# Certificate profiles on the command line: a file with a mistake, one that disagrees with its template, challenges.
. "$(dirname "$0")/lib.sh"
begin certprofile
make_appliance
run_appliance

cat >"$dir/template.conf" <<'END'
template = { name = "wifi"; extended_key_usage = "clientAuth"; };
END
cat >"$dir/profile.conf" <<'END'
certificate_profile = {
	name = "Wi-Fi";
	template = "wifi";
	extended_key_usage = "clientAuth";
	subject_format = "CN={{DeviceName}},O=Example";
	san_formats = "Dns";
};
END
says()
{
	local want=$1
	shift
	"$@" 2>&1 | grep -qF -- "$want"
}
check "a profile whose template is not there is not imported" \
	says "template: there is no template wifi here" chancery certificate-profile import "$dir/profile.conf"
check "its template is imported" chancery template import "$dir/template.conf"
sed 's/clientAuth/serverAuth/' "$dir/profile.conf" >"$dir/other.conf"
check "nor one that disagrees with it" \
	says "extended_key_usage: template wifi has not all" chancery certificate-profile check "$dir/other.conf"
sed 's/{{DeviceName}}/{{ShoeSize}}/' "$dir/profile.conf" >"$dir/bad.conf"
check "a mistake is named with file, line and field" \
	says "bad.conf:5: subject_format: subject: variable ShoeSize" chancery certificate-profile check "$dir/bad.conf"
check "the profile is imported" says "Imported Wi-Fi." chancery certificate-profile import "$dir/profile.conf"
check "and listed" says "Wi-Fi" chancery certificate-profile list
chancery certificate-profile show Wi-Fi --file >"$dir/shown.conf"
check "what is shown can be imported" chancery certificate-profile import "$dir/shown.conf"

check "a variable without a value is named" says "variable DNS: the ask has no value" \
	chancery challenge create --profile Wi-Fi --device d1 --variable "DeviceName=d1"
refuse "a challenge without a device is not made" chancery challenge create --profile Wi-Fi
check "a challenge is made for one device" \
	says "" chancery challenge create --profile Wi-Fi --device d1 --variable "DeviceName=d,O=1;DNS=d1.example.com"
check "what it is bound to is shown, the comma inside the name" says "CN=d\\,O\\=1" chancery challenge list
check "who made it for whom is in the audit trail" says "for_profile" chancery audit list
check "it can be revoked" chancery challenge revoke 2
check "the profile is removed" chancery certificate-profile remove Wi-Fi
refuse "and then it is not there" chancery certificate-profile show Wi-Fi
finish
