#!/bin/bash
# "make run": the throw-away appliance, kept running in the foreground until Ctrl-C.
set -u
cd "$(dirname "$0")/../.." || exit 1
. board/sim/appliance.sh
while [ $# -gt 1 ]; do
	case $1 in
	--out) out=$2 ;;
	--bin) bin=$2 ;;
	--ca) ca=$2 ;;
	--legacy) legacy=$2 ;;
	esac
	shift 2
done
[ "$(id -u)" = 0 ] || { echo "make run: only root can start the roles under their own user ids" >&2; exit 1; }
rm -rf "$out"
dir=$(appliance_folder "$out") || exit 1
trap 'appliance_stop "$dir"; [ "$dir" = "$out" ] || rm -rf "$dir"; rm -f "$out/endpoints.env"' EXIT
trap 'exit 0' INT TERM

echo "Making a token, the keys and a CA ($ca)"
appliance_make "$dir" "$bin" "$ca" "$(appliance_port 8080)" "$(appliance_port 8443)" || exit
if [ -n "${legacy:-}" ]; then
	echo "Letting in clients with SHA-1, 3DES and single DES"
	sed -i 's/^scep: {/& sha1 = true; des3 = true; des_requests = true;/' "$dir/chancery.conf"
fi
appliance_provision "$dir" "$bin" >"$dir/provision.log" 2>&1 || { cat "$dir/provision.log"; exit 1; }
echo "Starting the appliance"
appliance_start "$dir" "$bin" || exit 1
[ "$dir" = "$out" ] || cp "$dir/endpoints.env" "$out/endpoints.env"
. "$dir/endpoints.env"
cat <<END

Chancery runs on loopback.
  SCEP           $SCEP_URL
  SCEP over TLS  $SCEP_TLS_URL
  CRL            $CRL_URL
  CA certificate $CA_URL
  CA SHA-256     $CA_FINGERPRINT_SHA256
  Challenge      $CHALLENGE   (one enrollment, within an hour)
The same as variables: $out/endpoints.env    Log: $dir/log

Next, in another terminal:
  $bin/chancery --control $CONTROL challenge create     another challenge
  $bin/chancery --control $CONTROL certificate list     what was issued
  $bin/chancery --control $CONTROL status               how it is
Ctrl-C stops it.
END
tail --pid="$(cat "$dir/chanceryd.pid")" -n 0 -f "$dir/log" &
wait $!
echo "chanceryd ended; its last lines:"
tail -n 5 "$dir/log"
exit 1
