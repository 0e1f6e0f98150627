#!/bin/bash
# Named operators: their accounts, their passwords on the command line and on the administrator's page, the lock-out.
. "$(dirname "$0")/lib.sh"
begin operators

status_of()
{
	local wanted=$1
	shift
	"$@"
	[ $? = "$wanted" ]
}

# says TEXT COMMAND…: the command fails, and tells that
says()
{
	local text=$1
	shift
	"$@" >"$dir/says.out" 2>&1 && return 1
	cat "$dir/says.out"
	grep -qF "$text" "$dir/says.out"
}

# password NAME TEXT: a file that only its owner may read
password()
{
	(umask 077; printf '%s\n' "$2" >"$dir/$1.password")
	printf '%s\n' "$2" >>"$dir/secrets"
}

# as NAME COMMAND…: the command in the name of this operator
as()
{
	local name=$1
	shift
	chancery --operator "$name" --password-file "$dir/$name.password" "$@"
}

# add NAME GROUPS PASSWORD
add()
{
	password "$1" "$3"
	chancery operator add "$1" --groups "$2" --password-file "$dir/$1.password"
}

# page NAME[:PASSWORD] [OPTION…]: the administrator's page; prints the status, the body is in $dir/http.body
page()
{
	local who=$1
	shift
	printf 'user = "%s"\n' "$who" >"$dir/user.conf"
	http_code -k -m 20 -H 'Accept-Language: en' -K "$dir/user.conf" -D "$dir/page.head" "$@" "$ADMIN_URL"
}

# prompts FILE COUNT: the terminal has asked so often
prompts()
{
	[ "$(grep -aoE '(assword[^:]*|again): ' "$1" 2>/dev/null | wc -l)" -ge "$2" ]
}

# at_terminal FILE COMMAND KEYS…: the command at a terminal of its own; the next keys are typed each time that it asks
at_terminal()
{
	local out=$1 command=$2 count=0 keys
	shift 2
	rm -f "$dir/keys" "$out"
	mkfifo "$dir/keys"
	# What bash starts in the background ignores Ctrl-C.
	timeout $((20 * PATIENCE)) env --default-signal=INT,QUIT script -qefc "$command" "$out" <"$dir/keys" >"$dir/script.out" 2>&1 &
	exec 7>"$dir/keys"
	for keys in "$@"; do
		count=$((count + 1))
		wait_until 5 prompts "$out" $count || break
		printf '%b' "$keys" >&7
	done
	wait $!
	count=$?
	exec 7>&-
	return $count
}

failures()
{
	sqlite3 "$dir/state/store/store.db" "SELECT failed FROM account WHERE name = '$1'"
}

# forget_time NAME SECONDS: as if the last wrong password had been so long ago
forget_time()
{
	sqlite3 "$dir/state/store/store.db" ".timeout 5000" "UPDATE account SET failed_at = failed_at - $2 WHERE name = '$1'"
}

make_appliance
echo 'operator: { lockout_failures = 3; lockout_decay_minutes = 10; };' >>"$dir/chancery.conf"
run_appliance
device_setup

# ---- accounts
check "an administrator is added" add alice administrators 'four words of alice'
check "an RA operator" add rita "ra-operators wifi" 'four words of rita'
check "a CA officer" add oscar ca-officers 'four words of oscar'
check "an auditor" add audrey auditors 'four words of audrey'
check "somebody without a group" add norman "" 'four words of norman'
check "a group that only templates know is told" eval 'add gina vpn "four words of gina" | grep -q "Note: the group vpn"'
check "an auditor is in no other group" says "in no other group" add both "auditors ra-operators" 'four words of both'
check "nor does he get into one later" says "in no other group" \
	chancery operator change audrey --groups "auditors administrators"
check "a name is taken once" says "there is an account alice already" add alice "" 'four words of alice'
check "root is no account" says "root is who gives no name" add root administrators 'four words of root'
check "a bad name is refused" status_of 2 add 'Al ice' "" 'four words of alice'
check "a short password is refused, and why" says "at least 12 characters: who gets hold of the store" \
	add short "" 'short words'
password long "$(head -c 300 /dev/zero | tr '\0' x)"
check "one of 300 characters too" says "at most 256" chancery operator add long --password-file "$dir/long.password"
chmod 640 "$dir/alice.password"
check "a password file that others may read is refused" says "mode 0640" \
	chancery operator password alice --password-file "$dir/alice.password"
check "for the log-in too" says "mode 0640" as alice status
chmod 600 "$dir/alice.password"
chown 65534 "$dir/alice.password"
check "so is one of somebody else" says "belongs to uid 65534" as alice status
chown 0 "$dir/alice.password"
chancery operator list >"$dir/list"
check "the list has groups and state" grep -qE '^rita +active +[0-9-]{10}  ra-operators wifi$' "$dir/list"
check "it has no more than these" [ "$(wc -l <"$dir/list")" = 7 ]
check "it fits a terminal" eval '! grep -q ".\{80\}" "$dir/list"'

# ---- what they may
check "the administrator logs in" as alice status
check "and may do what root may" as alice operator change gina --groups "wifi"
check "the audit trail has his name" eval 'chancery audit list | grep -q "event=account-changed actor=\"operator alice\""'
check "CHANCERY_OPERATOR says the same as --operator" eval \
	'CHANCERY_OPERATOR=rita chancery --password-file "$dir/rita.password" challenge create >"$dir/challenge"'
check "a challenge made by rita" enroll_device first "$(cat "$dir/challenge")"
check "has her name in the audit trail" eval \
	'chancery audit list --limit 100 | grep -q "event=challenge-created actor=\"operator rita\""'
serial=$(serial_of "$dir/device/first.pem")
for who in rita norman audrey; do
	check "$who may not revoke, and is told who may" says 'needs the group ca-officers or administrators' \
		as $who certificate revoke "$serial"
	check "$who may not manage accounts" says 'needs the group administrators' as $who operator add eve --password-file "$dir/rita.password"
	check "$who may not give another a password" says "needs the group administrators" \
		as $who operator password alice --password-file "$dir/rita.password"
done
logged "the log says so" 'event=OPERATOR_DENIED by=operator rita command=certificate revoke'
check "the officer may not manage accounts" says 'needs the group administrators' as oscar operator remove alice
check "the officer holds a certificate" as oscar certificate hold "$serial"
check "the auditor reads the audit trail" as audrey audit verify
check "and the list of accounts" as audrey operator list
check "but makes no challenge" says 'not in auditors' as audrey challenge create
check "who is in no group reads certificates" as norman certificate list
check "but not the audit trail" says 'the group auditors or administrators' as norman audit list

# ---- passwords
password old 'four words of rita'
password rita 'other words of rita'
check "rita changes her own password" chancery --operator rita --password-file "$dir/old.password" \
	operator password rita --password-file "$dir/rita.password"
check "the new one is good" as rita status
mv "$dir/rita.password" "$dir/new.password"
password rita 'four words of rita'
check "the old one is not: exit status 1" status_of 1 as rita status
cp "$dir/check.out" "$dir/wrong"
check "who is nobody gets the same answer" status_of 1 chancery --operator nobody --password-file "$dir/rita.password" status
cp "$dir/check.out" "$dir/nobody"
check "to the letter" cmp "$dir/wrong" "$dir/nobody"
mv "$dir/new.password" "$dir/rita.password"
check "root is nobody's log-in" status_of 1 chancery --operator root --password-file "$dir/rita.password" status
logged "the log has the cause" 'event=OPERATOR_LOGIN_FAILED by=rita from="console" cause=wrong password'
logged "but no name that is none" 'event=OPERATOR_LOGIN_FAILED by=- from="console" cause=no such account'
check "root asks nobody" chancery status

# ---- at a terminal
check "a password is asked for without echo" at_terminal "$dir/typed" \
	"$BIN_DIR/chancery --control $CONTROL --operator rita status" 'other words of rita\n'
refuse "and not shown" grep -aqF 'other words' "$dir/typed"
check "a new one is asked for twice" at_terminal "$dir/typed" \
	"$BIN_DIR/chancery --control $CONTROL operator password rita" 'typed words of rita\n' 'typed words of rita\n'
password rita 'typed words of rita'
check "and is good" as rita status
refuse "two that differ are refused" at_terminal "$dir/typed" \
	"$BIN_DIR/chancery --control $CONTROL operator password rita" 'typed words of rita\n' 'typed words of anna\n'
check "and told apart" grep -aq 'the two passwords differ' "$dir/typed"
at_terminal "$dir/typed" "trap : INT; $BIN_DIR/chancery --control $CONTROL --operator rita status; echo ended=\$?; stty -a" '\003'
check "Ctrl-C ends it" grep -aq 'ended=130' "$dir/typed"
check "and leaves the terminal with echo" grep -aqE '(^|[ ;])echo( |;|$)' "$dir/typed"
at_terminal "$dir/typed" "set -m; $BIN_DIR/chancery --control $CONTROL --operator rita status; stty -a; fg" '\032' 'typed words of rita\n'
check "Ctrl-Z stops it, with echo" grep -aqE '(^|[ ;])echo( |;|$)' "$dir/typed"
check "and it goes on where it was" grep -aq 'OPERATIONAL' "$dir/typed"

# ---- the lock-out
password guess 'a wrong password'
mv "$dir/oscar.password" "$dir/right.password"
cp "$dir/guess.password" "$dir/oscar.password"
for _ in 1 2 3; do as oscar status >"$dir/wrong" 2>&1; done
mv "$dir/right.password" "$dir/oscar.password"
logged "three wrong passwords lock an account" 'event=OPERATOR_LOCKED account=oscar failures=3'
check "the right one is refused then, with the same answer" eval '! as oscar status >"$dir/locked" 2>&1 && cmp "$dir/wrong" "$dir/locked"'
check "the list says so" eval 'chancery operator list | grep -qE "^oscar +locked"'
check "the audit trail too" eval 'chancery audit list | grep -q "event=account-locked actor=\"console\".*operator oscar"'
same "refusals while it is locked do not count" 3 "$(failures oscar)"
forget_time oscar 580
check "it is locked for ten minutes" status_of 1 as oscar status
appliance_stop "$dir"
run_appliance
check "a restart forgets nothing" status_of 1 as oscar status
forget_time oscar 20
check "then it opens by itself" as oscar status
cp "$dir/guess.password" "$dir/norman.password"
for _ in 1 2 3; do as norman status >"$dir/wrong" 2>&1; done
password norman 'four words of norman'
refuse "another account is locked" as norman status
check "and unlocked by an administrator" as alice operator unlock norman
check "it is open" as norman status
check "an account is disabled" chancery operator change norman --disable
refuse "it is not let in" as norman status
check "and enabled" chancery operator change norman --enable
check "it is let in" as norman status

# ---- the administrator's page
same "without a password the page says 401" 401 "$(http_code -k -D "$dir/page.head" "$ADMIN_URL")"
check "and how to get in" grep -qi '^WWW-Authenticate: Basic realm="Chancery", charset="UTF-8"' "$dir/page.head"
check "nobody keeps the answer" grep -qi '^cache-control: no-store' "$dir/page.head"
same "rita gets a page" 200 "$(page 'rita:typed words of rita')"
challenge=$(sed -n 's/.*The enrollment challenge password is: <B> \([^ ]*\) <.*/\1/p' "$dir/http.body")
check "with a challenge that enrolls" enroll_device from-page "$challenge"
check "nobody keeps that either" grep -qi '^cache-control: no-store' "$dir/page.head"
check "the audit trail has her name" eval \
	'chancery audit list --limit 10 | grep "event=challenge-created" | head -n 1 | grep -q "operator rita"'
for who in norman:'four words of norman' audrey:'four words of audrey' oscar:'four words of oscar'; do
	same "${who%%:*} is known but has no permission" 200 "$(page "$who")"
	check "which the page says as NDES does" grep -qF 'You do not have sufficient permission to enroll with SCEP.' "$dir/http.body"
done
same "NDESGenerateChallenge is 403 then" 403 "$(ADMIN_URL="$ADMIN_URL?operation=NDESGenerateChallenge" page 'norman:four words of norman')"
same "alice gets one by NDESGenerateChallenge" 200 "$(ADMIN_URL="$ADMIN_URL?operation=NDESGenerateChallenge" page 'alice:four words of alice')"
same "a wrong password is 401" 401 "$(page 'gina:a wrong password')"
cp "$dir/http.body" "$dir/wrong"
same "nobody at all is 401" 401 "$(page 'nobody:a wrong password')"
check "with the same page" cmp "$dir/wrong" "$dir/http.body"
page 'gina:a wrong password' >"$dir/check.out"
page 'gina:a wrong password' >"$dir/check.out"
logged "gina is locked" 'event=OPERATOR_LOCKED account=gina'
same "a locked account is 401" 401 "$(page 'gina:four words of gina')"
check "with the same page too" cmp "$dir/wrong" "$dir/http.body"
for field in 'Basic' 'Basic !!!!' 'Basic bm9jb2xvbg==' 'Basic YQA6Yg==' 'Basic YTr//g==' "Basic $(head -c 10000 /dev/zero | tr '\0' Q)"; do
	same "nonsense in the field is 401: ${field:0:20}" 401 "$(http_code -k -H "Authorization: $field" "$ADMIN_URL")"
done
same "another scheme is 401" 401 "$(http_code -k -H "Authorization: Negotiate YTpi" "$ADMIN_URL")"
refuse "over plain HTTP there is no page" curl -fs -m 5 -K "$dir/user.conf" "${ADMIN_URL/https:/http:}"
same "nor on the devices' plain listener" 404 "$(http_code -K "$dir/user.conf" "http://127.0.0.1:$HTTP/certsrv/mscep_admin/")"
same "nor on their TLS listener" 404 "$(http_code -k -K "$dir/user.conf" "https://127.0.0.1:$HTTPS/certsrv/mscep_admin/")"
same "a link of another page costs nothing" 403 "$(page 'rita:typed words of rita' -H 'Sec-Fetch-Site: cross-site')"

# ---- a certificate of an account
check "a certificate for rita" enroll_device rita
fingerprint=$(openssl x509 -in "$dir/device/rita.pem" -noout -fingerprint -sha256 | sed 's/.*=//')
with_certificate() { http_code -k --cert "$dir/device/rita.pem" --key "$dir/device/rita.key" "$@" "$ADMIN_URL"; }
same "is nobody's at first" 401 "$(with_certificate)"
check "her account gets it" chancery operator change rita --certificate "$fingerprint"
check "a second account does not" says "belongs to the account rita already" \
	chancery operator change alice --certificate "$fingerprint"
check "half a fingerprint is none" status_of 2 chancery operator change alice --certificate 0123
same "now it opens the page" 200 "$(with_certificate)"
check "in her name" eval 'chancery audit list --limit 5 | grep "event=challenge-created" | head -n 1 | grep -q "operator rita"'
same "with a wrong password beside it, it does not" 401 "$(with_certificate -u 'rita:a wrong password')"
check "she is disabled" chancery operator change rita --disable
same "then it does not either" 401 "$(with_certificate)"
check "she is back without it" chancery operator change rita --enable --certificate none
same "then it is nobody's again" 401 "$(with_certificate)"
check "alice gets it" chancery operator change alice --certificate "${fingerprint//:/}"
same "it is hers now" 200 "$(with_certificate)"
check "revoked" chancery certificate revoke "$(serial_of "$dir/device/rita.pem")"
same "it is of no use" 401 "$(with_certificate)"

# ---- too much
printf 'user = "nobody:a wrong password"\n' >"$dir/user.conf"
curl -ks -m 30 -Z --parallel-max 30 -K "$dir/user.conf" -o /dev/null -w '%{http_code}\n' "$ADMIN_URL?n=[1-90]" >"$dir/flood" 2>/dev/null
check "a flood of log-ins is slowed down" grep -q 503 "$dir/flood"
logged "which is logged" 'event=OPERATOR_LOGIN_LATER from="127.0.0.1"'
check "the command line is not slowed down by it" as alice status
check "and devices are served" enroll_device after-flood

check "an account is removed" chancery operator remove gina
refuse "and gone" as gina status
check "once" says "there is no account gina" chancery operator remove gina
check "the chain of the audit trail holds" chancery audit verify
chancery audit list --limit 1000 >"$dir/audit"
refuse "no password in the log or the audit trail" grep -aqFf "$dir/secrets" "$dir/log" "$dir/audit"
refuse "nor in the state folder" grep -raqFf "$dir/secrets" "$dir/state" "$dir/run"

# While it waits for the password's verdict its command line and environment are looked at.
"$BIN_DIR/chancery" --control "$CONTROL" --operator alice --password-file "$dir/alice.password" audit list --limit 1000 \
	>"$dir/check.out" &
reader=$!
for file in cmdline environ; do tr '\0' '\n' <"/proc/$reader/$file"; done >"$dir/proc" 2>&1
wait $reader
for pid in $(cat "$dir/chanceryd.pid") $(pgrep -P "$(cat "$dir/chanceryd.pid")"); do
	for file in cmdline environ; do tr '\0' '\n' <"/proc/$pid/$file"; done
done >>"$dir/proc"
refuse "nor in command lines and environments" grep -aqFf "$dir/secrets" "$dir/proc"
finish
