#!/bin/bash
# SIGHUP: a valid configuration is in force at once, an invalid one changes nothing and says why.
. "$(dirname "$0")/lib.sh"
begin reload

hup()
{
	kill -HUP "$(cat "$dir/chanceryd.pid")"
}

caps_have()
{
	curl -fs -m 2 "$SCEP_URL?operation=GetCACaps" | grep -qx "$1.\?"
}

set_line()
{
	sed -i "$1" "$dir/chancery.conf"
	: >"$dir/log"
	hup
}

days()
{
	local from to
	from=$(date +%s -d "$(openssl x509 -in "$1" -noout -startdate | cut -d= -f2)")
	to=$(date +%s -d "$(openssl x509 -in "$1" -noout -enddate | cut -d= -f2)")
	echo $(((to - from + 43200) / 86400))
}

pids()
{
	pgrep -P "$(cat "$dir/chanceryd.pid")" | paste -sd ' '
}

start_appliance rsa2048
device_setup
roles=$(pids)
refuse "GetCACaps has no SHA-1 at first" caps_have SHA-1
set_line 's/scep: {/& sha1 = true;/'
check "scep.sha1: GetCACaps has SHA-1 after SIGHUP" wait_until 5 caps_have SHA-1
logged "the log says that the configuration was read" "event=CONFIG_RELOADED file=$dir/chancery.conf"
set_line 's/ sha1 = true;//'
check "and no more after the next one" wait_until 5 eval '! caps_have SHA-1'

check "a certificate has the life of the template" eval 'enroll_device year && [ "$(days "$dir/device/year.pem")" = 365 ]'
set_line '$a template: { validity_days = 30; extended_key_usage = "serverAuth"; };'
logged "template: read" event=CONFIG_RELOADED
check "a device enrolls" enroll_device month
same "template.validity_days is in force" 30 "$(days "$dir/device/month.pem")"
check "template.extended_key_usage is in force" \
	grep -q 'TLS Web Server Authentication' <(openssl x509 -in "$dir/device/month.pem" -noout -ext extendedKeyUsage)

wrong=$(($(wc -l <"$dir/chancery.conf") + 1))
set_line '$a log: { level = "loud"; };'
logged "an invalid file: the reason with file and line" "event=CONFIG_REFUSED reason=.*chancery.conf:$wrong: .*log.level"
check "what was in force stays: a device enrolls" enroll_device still
same "with the life as before" 30 "$(days "$dir/device/still.pem")"
set_line '$s/.*/template: { key_usage = "keyCertSign"; };/'
logged "a template that nobody may have is refused" 'event=CONFIG_REFUSED reason='
set_line '$s/.*/front: { http = "nonsense/'
logged "a syntax error: file and line" "event=CONFIG_REFUSED reason=.*chancery.conf:[0-9]+"
mv "$dir/chancery.conf" "$dir/chancery.conf.old"
: >"$dir/log"
hup
logged "a missing file: named" "event=CONFIG_REFUSED reason=.*chancery.conf"
mv "$dir/chancery.conf.old" "$dir/chancery.conf"
check "the appliance works on" eval 'healthy && enroll_device fourth'

sed -i '$d' "$dir/chancery.conf"
set_line '$a store: { queue = 100; cache_mib = 10; };'
logged "settings that need a restart are named: store.queue" 'event=CONFIG_RESTART_NEEDED setting=store.queue'
logged "and store.cache_mib" 'event=CONFIG_RESTART_NEEDED setting=store.cache_mib'
logged "the others are in force" event=CONFIG_RELOADED

set_line 's/tls_names = "[^"]*"/tls_names = "reload.example 127.0.0.1"/'
tls_name()
{
	openssl s_client -connect "127.0.0.1:$HTTPS" </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName |
		grep -q 'DNS:reload.example'
}
check "front.tls_names: a new TLS certificate" wait_until 10 tls_name
set_line '$a log: { level = "debug"; };'
logged "log.level: read" event=CONFIG_RELOADED
check "and in force in the roles: the signer's health probe can be seen" \
	wait_until 15 grep -q 'role=signer level=debug' "$dir/log"
same "no role was restarted for all that" "$roles" "$(pids)"
finish
