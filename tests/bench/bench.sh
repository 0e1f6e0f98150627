#!/bin/bash
# "make bench": what enrollment costs, for the three arrangements of keys, in one run; table and build/bench.json.
#
#   efficiency            token time of the private-key operations done ÷ time that the workers had; the token's own rate is
#                         measured by chancery-hsmspeed with the same workers, before and after
#   cpu_ms_outside_token  CPU time of all of Chancery's processes per enrollment, less the token's own for its three
#                         operations (same measurement)
set -u
cd "$(dirname "$0")/../.." || exit 1
. board/sim/appliance.sh
arrangements="rsa2048 p256-rsa p256"
counts="1:300 8:1200 64:2000"
beside=2000 # enrollments while GetCACaps is measured
revoked="10000 100000 1000000"
caps='/scep?operation=GetCACaps'
while [ $# -gt 1 ]; do
	case $1 in
	--out) out=$2 ;;
	--bin) bin=$2 ;;
	--ca) arrangements=$2 ;;
	--counts) counts=$2 ;;
	--revoked) revoked=$2 ;;
	esac
	shift 2
done
[ "$(id -u)" = 0 ] || { echo "make bench: only root can start the roles under their own user ids" >&2; exit 1; }
dir=
work=$(mktemp -d /tmp/chancery-bench.XXXXXX)
chmod 755 "$work"
trap '[ -z "$dir" ] || appliance_stop "$dir"; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# CPU ticks used so far by chanceryd and its roles.
ticks()
{
	local parent pid total=0
	parent=$(cat "$dir/chanceryd.pid")
	for pid in $parent $(pgrep -P "$parent"); do
		total=$((total + $(awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat")))
	done
	echo $total
}

speed()
{
	"$bin/chancery-hsmspeed" --config "$dir/chancery.conf" --seconds 3 --json
}

# get PATH SECONDS: on one connection
get()
{
	"$out/tests/bench_load" get "$1" 127.0.0.1 "$HTTP" "$2"
}

control()
{
	"$bin/chancery" --control "$dir/run/control" "$@"
}

# OCSP answers from memory beside a static body of about that size, both on one connection.
ocsp()
{
	local serial path
	serial=$(control certificate list --usage ra-sign | sed -n '2s/ .*//p')
	control certificate show "$serial" --pem >"$work/asked.pem" || return 1
	openssl ocsp -issuer "$dir/state/ca/ca.pem" -cert "$work/asked.pem" -no_nonce -reqout "$work/ocsp.req" >/dev/null 2>&1 || return 1
	path=/ocsp/$(base64 -w0 "$work/ocsp.req" | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g')
	for _ in 1 2 3 4 5 6 7 8; do curl -fs -o /dev/null "http://127.0.0.1:$HTTP$path" || return 1; done
	get "$path" 3 >"$work/cached.json" && get /ca 3 >"$work/static.json"
}

# How long a CRL takes with so many revoked certificates, from the command to the CRL being served: lines of JSON.
crls()
{
	local count begin end
	for count in $revoked; do
		appliance_stop "$dir"
		sqlite3 "$dir/state/store/store.db" "DELETE FROM certificate WHERE subject = 'CN=bench';
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $count)
			INSERT INTO certificate (serial, usage, not_before, not_after, issued, revoked, reason, subject, template, peer)
			SELECT CAST(printf('%016d', i) AS BLOB), 'device', 1, 4000000000, 1, 1700000000, 4, 'CN=bench', 'device', '' FROM n;" || return 1
		chown --reference="$dir/state/store/challenge.key" "$dir"/state/store/store.db*
		appliance_start "$dir" "$bin" || return 1
		control crl make >/dev/null || return 1
		begin=$(date +%s%N)
		control crl make >/dev/null || return 1
		end=$(date +%s%N)
		jq -n -c --argjson n "$count" --argjson ms "$(((end - begin) / 1000000))" '{revoked: $n, ms: $ms}' >>"$work/crl"
	done
}

prepare()
{
	local total=$1
	"$bin/chancery" --control "$dir/run/control" challenge create --count "$total" >"$work/challenges" || return 1
	curl -fs "http://127.0.0.1:$HTTP/scep?operation=GetCACert" | openssl pkcs7 -inform DER -print_certs -out "$work/all.pem"
	rm -f "$work"/part-*
	awk -v p="$work/part" '/BEGIN CERT/ { n++ } n { print > (p "-" n ".pem") }' "$work/all.pem"
	for part in "$work"/part-*.pem; do
		openssl x509 -in "$part" -noout -ext keyUsage 2>/dev/null | grep -q 'Key Encipherment' && ra=$part
	done
	split -n l/2 "$work/challenges" "$work/half-"
	"$out/tests/bench_prepare" "$work/half-aa" "$ra" "$work/requests-1" &
	"$out/tests/bench_prepare" "$work/half-ab" "$ra" "$work/requests-2" || return 1
	wait $! || return 1
	cat "$work/requests-1" "$work/requests-2" >"$work/requests"
}

enroll()
{
	"$out/tests/bench_load" enroll "$work/requests" 127.0.0.1 "$HTTP" "$1" "$2" "$3" || {
		echo "not every enrollment succeeded:" >&2
		tail -n 3 "$dir/log" >&2
	}
}

# One arrangement: lines of JSON into $work/enroll, and the token's rates into $work/token.
arrangement()
{
	local ca=$1 first=0 total=0 load pair connections count before after
	dir=$work/$ca
	mkdir "$dir"
	appliance_make "$dir" "$bin" "$ca" || return 1
	echo 'challenge: { max_open = 1000000; };' >>"$dir/chancery.conf"
	appliance_provision "$dir" "$bin" >"$work/provision.log" 2>&1 || { cat "$work/provision.log"; return 1; }
	speed >"$work/before.json" || return 1
	appliance_start "$dir" "$bin" || return 1
	. "$dir/ports"
	for pair in $counts; do total=$((total + ${pair#*:})); done
	[ "$ca" != "${arrangements%% *}" ] || total=$((total + beside))
	echo "  $ca: preparing $total requests"
	prepare "$total" || return 1
	[ "$ca" = "${arrangements%% *}" ] && get "$caps" 3 >"$work/idle.json"
	: >"$work/runs"
	for pair in $counts; do
		connections=${pair%:*} count=${pair#*:}
		before=$(ticks)
		enroll "$connections" "$first" "$count" >"$work/run.json"
		after=$(ticks)
		first=$((first + count))
		jq -c --argjson c "$connections" --argjson t "$((after - before))" --argjson hz "$(getconf CLK_TCK)" \
			'. + {connections: $c, cpu_ms: ($t * 1000 / $hz / .done)}' "$work/run.json" >>"$work/runs"
	done
	if [ "$ca" = "${arrangements%% *}" ]; then
		# A run of its own: fetching as fast as it goes takes a core.
		enroll 64 "$first" "$beside" >"$work/run.json" &
		load=$!
		sleep 0.5
		get "$caps" 2 >"$work/loaded.json"
		wait "$load" || return 1
		ocsp && crls || return 1
	fi
	appliance_stop "$dir"
	speed >"$work/after.json" || return 1
	jq -s -c --arg ca "$ca" --slurpfile b "$work/before.json" --slurpfile a "$work/after.json" '
		def mean(k; f): (($b[0][k][f] + $a[0][k][f]) / 2);
		def ops: ["ca_sign", "ra_sign", "ra_unwrap"];
		(reduce ops[] as $o (0; . + 1 / mean($o; "per_s"))) as $seconds
		| (reduce ops[] as $o (0; . + mean($o; "cpu_us") / 1000)) as $token_ms
		| .[] | {ca: $ca, connections, per_s, ok, done, efficiency: (.per_s * $seconds), cpu_ms,
			cpu_ms_outside_token: (.cpu_ms - $token_ms), p50_ms, p99_ms}' "$work/runs" >>"$work/enroll" || return 1
	jq -c --slurpfile b "$work/before.json" 'to_entries | map({
			key: (.value.algorithm + (if .key == "ra_unwrap" then "_decrypt" else "_sign" end) + "_per_s"),
			value: ((.value.per_s + $b[0][.key].per_s) / 2)}) | from_entries' "$work/after.json" >>"$work/token"
	rm -rf "$dir"
	dir=
}

echo "Measuring (about two minutes); nothing else should run on this machine"
: >"$work/enroll"
: >"$work/token"
: >"$work/crl"
for ca in $arrangements; do
	arrangement "$ca" || { echo "make bench: $ca could not be measured" >&2; exit 1; }
done
jq -n --slurpfile token "$work/token" --slurpfile enroll "$work/enroll" --slurpfile idle "$work/idle.json" \
	--slurpfile loaded "$work/loaded.json" --slurpfile cached "$work/cached.json" --slurpfile static "$work/static.json" \
	--slurpfile crl "$work/crl" '{
		token: ($token | add), enroll: $enroll,
		getcacaps: {idle_p50_ms: $idle[0].p50_ms, idle_p99_ms: $idle[0].p99_ms,
			loaded_p50_ms: $loaded[0].p50_ms, loaded_p99_ms: $loaded[0].p99_ms},
		ocsp: {cached_per_s: $cached[0].per_s, static_per_s: $static[0].per_s}, crl: $crl}' >"$out/bench.json" || exit 1

echo
echo "Token through the queue, operations per second"
jq -r '.token | to_entries[] | "  \(.key | sub("_per_s$"; ""))\t\(.value | floor)"' "$out/bench.json" | column -t -s "$(printf '\t')"
echo
echo "Enrollment"
{
	echo "keys,connections,per s,p50 ms,p99 ms,efficiency,CPU ms,outside token"
	jq -r 'def r(n): (. * n | round) / n; .enroll[] | [.ca, .connections, (.per_s | r(10)), (.p50_ms | r(10)), (.p99_ms | r(10)),
		(.efficiency | r(100)), (.cpu_ms | r(100)), (.cpu_ms_outside_token | r(100))] | @csv' "$out/bench.json" | tr -d '"'
} | column -t -s , | sed 's/^/  /'
echo
echo "GetCACaps on one connection"
jq -r '.getcacaps | "  alone: p50 \(.idle_p50_ms) ms, p99 \(.idle_p99_ms) ms; while 64 connections enroll: p50 \(.loaded_p50_ms) ms, p99 \(.loaded_p99_ms) ms"' \
	"$out/bench.json"
echo
echo "OCSP answers from memory, and /ca, on one connection"
jq -r '.ocsp | "  \(.cached_per_s | floor) and \(.static_per_s | floor) per second"' "$out/bench.json"
echo
echo "A full CRL"
jq -r '.crl[] | "  \(.revoked) revoked\t\(.ms) ms"' "$out/bench.json" | column -t -s "$(printf '\t')"
echo
echo "The same as JSON: $out/bench.json"
