#!/bin/bash
# The token hangs: a call into its module does not return.  SoftHSM does that while another process has its files locked.
. "$(dirname "$0")/lib.sh"
begin token-hang

# Locks every file of the token as SoftHSM itself does, until it is killed.
hold_token()
{
	exec perl -e 'use Fcntl; my @held; for my $f (@ARGV) { open(my $h, "+<", $f) or next;
		fcntl($h, F_SETLKW, pack("s s x4 q q l x4", F_WRLCK, SEEK_SET, 0, 0, 0)) or die; push @held, $h; }
		$| = 1; print "held\n"; sleep 100' "$dir"/tokens/*/* >"$dir/held"
}

caps()
{
	curl -fs -m 1 "$SCEP_URL?operation=GetCACaps" | grep -q AES
}

make_appliance rsa2048
sed -i 's/signer: {/& hang_ms = 1500; deadline_ms = 1000; health_s = 1;/; s/scep: {/& timeout_ms = 1500;/' "$dir/chancery.conf"
run_appliance
device_setup
check "a device enrolls" enroll_device before
make_request "$dir/probe.der"
front=$(role_pid front) authority=$(role_pid authority)
hold_token &
holder=$!
check "the token is held" wait_until 10 grep -q held "$dir/held"
logged "the log says that a call hangs" 'event=SIGNER_HUNG|event=SIGNER_TOKEN_LOST'
same "a device gets 503" 503 "$(post_request "$dir/probe.der")"
for round in 1 2 3; do
	check "GetCACaps is answered at once ($round)" caps
	check "the CRL is answered at once ($round)" curl -fs -m 1 -o /dev/null "$CRL_URL"
done
same "/health says 503" 503 "$(http_code -m 2 "http://127.0.0.1:$HTTP/health")"
refuse "chancery status says DEGRADED, and does not hang" timeout 10 "$BIN_DIR/chancery" --control "$CONTROL" status
kill "$holder"
wait "$holder" 2>/dev/null
check "when the token answers again, all is well within 15 s" wait_until 15 healthy
same "the request that was told to come again is answered" 200 "$(post_request "$dir/probe.der")"
check "a device enrolls again" enroll_device after
same "front and authority were left alone" "$front $authority" "$(role_pid front) $(role_pid authority)"
finish
