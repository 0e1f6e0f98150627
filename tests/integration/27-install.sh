#!/bin/bash
# make install puts everything where the manual pages say, and what is installed runs from there.
. "$(dirname "$0")/lib.sh"
begin install

check "make install" make -s O="$O" DESTDIR="$dir/root" install
cd "$dir/root" || exit 1
for file in usr/sbin/chanceryd usr/sbin/chancery usr/sbin/chancery-hsmspeed usr/sbin/chancery-load usr/libexec/chancery/chancery-front \
	usr/libexec/chancery/chancery-authority usr/libexec/chancery/chancery-signer usr/libexec/chancery/chancery-courier \
	usr/libexec/chancery/chancery-provision; do
	same "$file can be run by all, and changed by root" "755 0" "$(stat -c '%a %u' $file)"
done
for file in usr/share/man/man8/chancery.8 usr/share/man/man8/chanceryd.8 usr/share/man/man8/chancery-hsmspeed.8 usr/share/man/man8/chancery-load.8 \
	usr/share/man/man5/chancery.conf.5 usr/lib/systemd/system/chancery.service usr/lib/sysusers.d/chancery.conf \
	etc/chancery/chancery.conf.sample etc/chancery/ceremony.conf.sample; do
	same "$file" "644 0" "$(stat -c '%a %u' $file)"
done
check "the sample configuration is valid" usr/sbin/chanceryd --check-config etc/chancery/chancery.conf.sample
check "the sample ceremony is understood" eval 'usr/sbin/chancery provision --file etc/chancery/ceremony.conf.sample \
	--config "$dir/nowhere" 2>&1 | grep -q "nowhere"'
for page in usr/share/man/man*/*; do
	same "$page: no warnings" "" "$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$page" 2>&1 >/dev/null)"
	check "$page: not empty" eval "LC_ALL=C.UTF-8 man -l $page 2>/dev/null | grep -q CHANCERY"
	refuse "$page: nothing left to fill in" grep -q '@[A-Z]*@' "$page"
done
man_text()
{
	LC_ALL=C.UTF-8 MANWIDTH=200 man -l "usr/share/man/man$2/$1.$2" 2>/dev/null | col -b
}

# What the pages say is so: each setting, each command, each option.
man_text chancery.conf 5 >"$dir/man.conf"
sed -n 's/^\([a-z]*\): {$/\1/p; s/^\t\([a-z0-9_]*\) = .*/\t\1/p' etc/chancery/chancery.conf.sample |
	awk '/^\t/ { print group "." $1; next } { group = $1 }' >"$dir/settings"
check "there are many settings" test "$(wc -l <"$dir/settings")" -gt 40
same "each is in chancery.conf(5)" "" "$(while read -r setting; do grep -q "^ *$setting" "$dir/man.conf" || echo "$setting"; done <"$dir/settings")"
man_text chancery 8 >"$dir/man.chancery"
man_text chanceryd 8 >"$dir/man.chanceryd"
same "each option of chanceryd is in chanceryd(8)" "" "$(usr/sbin/chanceryd --help | grep -o -- '--[a-z-]*' | sort -u |
	while read -r option; do grep -q -- "$option" "$dir/man.chanceryd" || echo "$option"; done)"

# ---- the installed programs, with everything where they look for it --------------------------------------------------
BIN_DIR=$dir/root/usr/sbin
cd "$OLDPWD" || exit 1
appliance_make "$dir" "$BIN_DIR" rsa2048
check "the installed chancery provisions" eval 'appliance_provision "$dir" "$BIN_DIR" >"$dir/says" 2>&1'
run_appliance
same "the roles run from libexec" "$dir/root/usr/libexec/chancery/chancery-signer" "$(readlink "/proc/$(role_pid signer)/exe")"
device_setup
check "a device enrolls" enroll_device one
chancery help >"$dir/help"
same "each command is in chancery(8)" "" "$(grep -oE '^  chancery [a-z-]+( [a-z-]+)?' "$dir/help" | sed 's/ *chancery //' |
	while read -r command; do grep -q "$command" "$dir/man.chancery" || echo "$command"; done)"
same "each option too" "" "$(grep -o -- '--[a-z-]*' "$dir/help" | sort -u |
	while read -r option; do grep -q -- "$option" "$dir/man.chancery" || echo "$option"; done)"
check "the user ids of sysusers.d are those the roles run under" test "$(ps -o uid= -p "$(role_pid signer)" | tr -d ' ')" = \
	"$(awk '$2 == "chancery-signer" { print $3 }' "$dir/root/usr/lib/sysusers.d/chancery.conf")"
finish
