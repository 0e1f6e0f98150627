# Sourced by run.sh, demo.sh and the integration tests: a throw-away appliance on loopback.
#
#   appliance_make DIR BIN CA      token, configuration, ceremony; CA is rsa2048, p256-rsa or p256
#   appliance_start DIR BIN        starts chanceryd, waits until everything works, writes DIR/endpoints.env
#   appliance_stop DIR             stops it in order
#   appliance_challenge DIR BIN    prints a fresh one-time challenge
#
# Extra settings can be appended to DIR/chancery.conf between make and start.

uid_base=64100 # CONFIG_ROLE_UID_BASE of the sim board

# A port of 127.0.0.1 that nobody listens on; the wanted one if it is free.
appliance_port()
{
	local port=$1 try
	for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return 0; }
		port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
	done
	echo "no free port on 127.0.0.1" >&2
	return 1
}

appliance_port_random()
{
	appliance_port $((20000 + (RANDOM * 32768 + RANDOM) % 12000))
}

# The roles run under user ids of their own and must reach the folder: /root, for one, is closed to them.
appliance_folder()
{
	local wanted=$1
	mkdir -p "$wanted"
	chmod 755 "$wanted"
	if setpriv --reuid $((uid_base + 2)) --regid $((uid_base + 2)) --clear-groups test -x "$wanted"; then
		echo "$wanted"
	else
		mktemp -d /tmp/chancery.XXXXXX
	fi
}

appliance_make()
{
	local dir=$1 bin=$2 ca=$3 http=${4:-} https=${5:-} admin=${6:-} ca_key ra_key
	case $ca in
	rsa2048) ca_key=rsa2048 ra_key=rsa2048 ;;
	p256-rsa) ca_key=p256 ra_key=rsa2048 ;;
	p256) ca_key=p256 ra_key=p256 ;;
	*) echo "CA=$ca: one of rsa2048, p256-rsa, p256 is wanted" >&2; return 2 ;;
	esac
	[ -n "$http" ] || http=$(appliance_port_random) || return 1
	[ -n "$https" ] || https=$(appliance_port_random) || return 1
	[ -n "$admin" ] || admin=$(appliance_port_random) || return 1
	chmod 755 "$dir"
	mkdir -p "$dir/tokens"
	chown $((uid_base + 2)):$((uid_base + 2)) "$dir/tokens"
	chmod 700 "$dir/tokens"
	printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n' "$dir" >"$dir/softhsm2.conf"
	(umask 077; tr -dc 0-9 </dev/urandom | head -c 12 >"$dir/pin"; tr -dc 0-9 </dev/urandom | head -c 12 >"$dir/so-pin")
	cat >"$dir/ceremony.conf" <<-END
		token = { label = "chancery-sim"; so_pin_file = "$dir/so-pin"; };
		ca = { kind = "root"; name = "CN=Chancery Demonstration CA,O=Example"; key = "$ca_key"; validity_days = 3650; path_length = 0; };
		ra = { sign_key = "$ra_key"; decrypt_key = "rsa2048"; };
		audit = { key = "p256"; };
	END
	cat >"$dir/chancery.conf" <<-END
		paths: { state = "$dir/state"; run = "$dir/run"; };
		signer: { token = "chancery-sim"; pin_file = "$dir/pin"; environment = "SOFTHSM2_CONF=$dir/softhsm2.conf"; };
		front: {
			http = "127.0.0.1:$http"; https = "127.0.0.1:$https"; admin_https = "127.0.0.1:$admin";
			tls_names = "localhost 127.0.0.1";
		};
		ca: { crl_url = "http://127.0.0.1:$http/crl"; ca_url = "http://127.0.0.1:$http/ca"; ocsp_url = "http://127.0.0.1:$http/ocsp"; };
		/* strongSwan 5.9.8 of Debian 12 misreads the capabilities without it. */
		scep: { caps_blank_line = true; };
	END
	printf 'HTTP=%s\nHTTPS=%s\nADMIN=%s\n' "$http" "$https" "$admin" >"$dir/ports"
}

appliance_provision()
{
	"$2/chancery" provision --config "$1/chancery.conf" --file "$1/ceremony.conf"
}

# Starts chanceryd in the background and waits for READY=1, which says that every role works.
appliance_start()
{
	local dir=$1 bin=$2 try
	# shellcheck disable=SC1091
	. "$dir/ports"
	: >"$dir/log"
	"$bin/chanceryd" --config "$dir/chancery.conf" >>"$dir/log" 2>&1 &
	echo $! >"$dir/chanceryd.pid"
	for try in $(seq 300); do
		if ! kill -0 "$(cat "$dir/chanceryd.pid")" 2>/dev/null; then
			echo "chanceryd ended:" >&2
			tail -n 20 "$dir/log" >&2
			return 1
		fi
		curl -fs -o /dev/null "http://127.0.0.1:$HTTP/health" && break
		[ "$try" = 300 ] && { echo "chanceryd is not ready after 30 s:" >&2; tail -n 20 "$dir/log" >&2; return 1; }
		sleep 0.1
	done
	appliance_endpoints "$dir" "$bin"
}

appliance_challenge()
{
	"$2/chancery" --control "$1/run/control" challenge create
}

appliance_endpoints()
{
	local dir=$1 bin=$2 fingerprint challenge
	# shellcheck disable=SC1091
	. "$dir/ports"
	fingerprint=$(openssl x509 -in "$dir/state/ca/ca.pem" -noout -fingerprint -sha256 | sed 's/.*=//') || return 1
	challenge=$(appliance_challenge "$dir" "$bin") || return 1
	cat >"$dir/endpoints.env.new" <<-END
		SCEP_URL=http://127.0.0.1:$HTTP/scep
		SCEP_TLS_URL=https://127.0.0.1:$HTTPS/scep
		ADMIN_URL=https://127.0.0.1:$ADMIN/certsrv/mscep_admin/
		CRL_URL=http://127.0.0.1:$HTTP/crl
		CA_URL=http://127.0.0.1:$HTTP/ca
		CA_FINGERPRINT_SHA256=$fingerprint
		CHALLENGE=$challenge
		CONTROL=$dir/run/control
	END
	mv "$dir/endpoints.env.new" "$dir/endpoints.env"
}

appliance_stop()
{
	local dir=$1 pid
	pid=$(cat "$dir/chanceryd.pid" 2>/dev/null) || return 0
	kill "$pid" 2>/dev/null
	tail --pid="$pid" -f /dev/null 2>/dev/null
	rm -f "$dir/chanceryd.pid"
}
