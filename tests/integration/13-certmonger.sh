#!/bin/bash
# certmonger enrolls: its daemon through getcert, on a session bus of its own.  It sends PKIOperation by GET.
. "$(dirname "$0")/lib.sh"
begin certmonger
start_appliance "${1:-rsa2048}"
mkdir "$dir/device" && cd "$dir/device" || exit 1
submit=/usr/lib/certmonger/scep-submit
check "scep-submit reads the capabilities" grep -q SCEPStandard <("$submit" -u "$SCEP_URL" -c)
check "scep-submit reads the CA certificates" grep -q 'BEGIN CERTIFICATE' <("$submit" -u "$SCEP_URL" -C)
curl -fs "$CA_URL" | openssl x509 -inform DER -out ca.pem

cat >enroll.sh <<'END'
/usr/lib/certmonger/certmonger-session -n -d 1 >certmonger.log 2>&1 &
daemon=$!
for try in $(seq 100); do getcert list-cas -s >/dev/null 2>&1 && break; sleep 0.1; done
getcert add-scep-ca -s -c chancery -u "$SCEP_URL" -N "$PWD/ca.pem"
for try in $(seq 100); do getcert list-cas -s -c chancery | grep -q 'SCEP RA\|CA certificate' && break; sleep 0.1; done
getcert request -s -c chancery -k "$PWD/key.pem" -f "$PWD/cert.pem" -g 2048 -N "CN=dev.example,O=Example,C=DE" \
	-D dev.example -L "$CHALLENGE" -I request1 -v
for try in $(seq 300); do getcert list -s -i request1 | grep -qE 'status: (MONITORING|CA_REJECTED|NEED_GUIDANCE|CA_UNCONFIGURED)' && break; sleep 0.1; done
getcert list -s -i request1
kill $daemon
END
export SCEP_URL CHALLENGE
mkdir home
HOME=$PWD/home timeout 120 dbus-run-session -- bash enroll.sh >enroll.log 2>&1
check "certmonger reaches MONITORING" grep -q 'status: MONITORING' enroll.log
grep -q 'status: MONITORING' enroll.log || tail -n 30 enroll.log certmonger.log
check "its certificate verifies" openssl verify -CAfile ca.pem cert.pem
check "it came by GET" grep -qE 'method=GET|SCEP_ANSWERED' "$dir/log"
finish
