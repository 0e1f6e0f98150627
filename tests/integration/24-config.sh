#!/bin/bash
# What chanceryd says before it starts anything: about its configuration, and about what is missing.
. "$(dirname "$0")/lib.sh"
begin config
chanceryd=$BIN_DIR/chanceryd

# refused "WHAT" LINE PATTERN: the configuration on standard input is refused with FILE:LINE and that text
refused()
{
	cat >"$dir/test.conf"
	"$chanceryd" --check-config "$dir/test.conf" >"$dir/out" 2>"$dir/err"
	same "$1: exit status 1" 1 $?
	check "$1: file, line and reason" grep -qE "^$dir/test.conf:$2: .*$3" "$dir/err"
	same "$1: nothing on standard output" "" "$(cat "$dir/out")"
	same "$1: one line" 1 "$(wc -l <"$dir/err")"
}

accepted()
{
	cat >"$dir/test.conf"
	check "$1" "$chanceryd" --check-config "$dir/test.conf"
}

refused "misspelt setting" 3 'signer.pinfile.*(no such|unknown)' <<'END'
signer: {
	token = "x";
	pinfile = "/etc/chancery/pin";
};
END
refused "text for a number" 2 'front.loops.*number' <<'END'
/* a comment */
front: { loops = "2"; };
END
refused "number for a text" 1 'signer.token.*text' <<<'signer: { token = 5; };'
refused "number for a boolean" 1 'scep.sha1.*true' <<<'scep: { sha1 = 1; };'
refused "below the range" 1 'signer.workers.*1.*16' <<<'signer: { workers = 0; };'
refused "above the range" 1 'signer.workers.*1.*16' <<<'signer: { workers = 17; };'
refused "far above the range" 1 'signer.workers.*1.*16' <<<'signer: { workers = 4294967298L; };'
refused "negative" 1 'challenge.lifetime_minutes.*1' <<<'challenge: { lifetime_minutes = -1; };'
refused "unknown group" 2 'scepp' <<'END'

scepp: { sha1 = true; };
END
refused "setting without its group" 1 'sha1' <<<'sha1 = true;'
refused "syntax error" 2 'syntax error' <<'END'
scep: { sha1 = true; };
store { cache_mib }
END
refused "too long" 1 'log.level' <<<'log: { level = "extraordinarily loud"; };'
refused "not an address" 1 'front.http.*ADDRESS:PORT' <<<'front: { http = "localhost:80"; };'
refused "contradiction: RSA sizes" 1 'rsa_bits' <<<'template: { rsa_bits_min = 4096; rsa_bits_max = 2048; };'
refused "contradiction: template longer than the signer allows" 1 'validity_days' \
	<<<'ca: { max_validity_days = 100; }; template: { validity_days = 365; };'
refused "unknown key usage" 1 'template.key_usage' <<<'template: { key_usage = "digitalSignature keyCertSigning"; };'
refused "PIN in the token's URI" 1 'signer.token' <<<'signer: { token = "pkcs11:token=x?pin-value=1234"; };'
refused "relative path" 1 'paths.state' <<<'paths: { state = "var/lib"; };'
refused "the same setting twice" 1 duplicate <<<'scep: { sha1 = true; sha1 = false; };'
refused "no listener at all" '[0-9]+' 'front.http' <<<'front: { http = ""; https = ""; };'
accepted "an empty file is valid: everything has a default" </dev/null
accepted "an ordinary file is valid" <<'END'
front: { http = "[::]:8080 127.0.0.1:80"; };
ca: { crl_url = "http://pki.example/crl"; };
END
"$chanceryd" --check-config "$dir/nowhere.conf" 2>"$dir/err"
same "a file that is not there: exit status 1" 1 $?
check "a file that is not there: named" grep -q "$dir/nowhere.conf.*No such file" "$dir/err"
check "--print-config prints" eval '"$chanceryd" --print-config >"$dir/printed.conf"'
check "what it prints is valid" "$chanceryd" --check-config "$dir/printed.conf"
check "and says that it is" eval '"$chanceryd" --check-config "$dir/printed.conf" | grep -q valid'
for wrong in --nonsense "--check-config" extra; do
	# shellcheck disable=SC2086
	"$chanceryd" $wrong >"$dir/out" 2>&1
	same "wrong usage ($wrong): exit status 2" 2 $?
	check "wrong usage ($wrong): help" grep -q usage: "$dir/out"
done
check "--help" eval '"$chanceryd" --help | grep -q usage:'
check "--version" eval '"$chanceryd" --version | grep -q Chancery'

# Starting: what is missing is named, with what to do.
setpriv --reuid 65534 --regid 65534 --clear-groups "$chanceryd" --config "$dir/printed.conf" >"$dir/out" 2>&1
same "not root: exit status 1" 1 $?
check "not root: says so" grep -qi 'root' "$dir/out"
make_unprovisioned()
{
	appliance_make "$dir" "$BIN_DIR" p256
}
check "a configuration without a ceremony" make_unprovisioned
timeout 10 "$chanceryd" --config "$dir/chancery.conf" >"$dir/out" 2>&1
same "not provisioned: exit status 1" 1 $?
check "not provisioned: says what to do" grep -q "chancery provision --config $dir/chancery.conf" "$dir/out"
check "the ceremony" eval 'appliance_provision "$dir" "$BIN_DIR"'
run_appliance
timeout 10 "$chanceryd" --config "$dir/chancery.conf" >"$dir/out" 2>&1
same "a second one: exit status 1" 1 $?
check "a second one: says that another runs" grep -q 'another chanceryd runs' "$dir/out"
check "which is not disturbed" eval 'healthy && chancery status'
sed "s|run = \"[^\"]*\"|run = \"$dir/run2\"|" "$dir/chancery.conf" >"$dir/second.conf"
timeout 10 "$chanceryd" --config "$dir/second.conf" >"$dir/out" 2>&1
same "a port in use: exit status 1" 1 $?
check "a port in use: which" grep -q "127.0.0.1:$HTTP: Address already in use" "$dir/out"
check "which does not disturb it either" healthy
finish
