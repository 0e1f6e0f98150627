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
while [ $# -gt 1 ]; do
	case $1 in
	--out) out=$2 ;;
	--bin) bin=$2 ;;
	--ca) arrangements=$2 ;;
	--counts) counts=$2 ;;
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

get()
{
	"$out/tests/bench_load" get '/scep?operation=GetCACaps' 127.0.0.1 "$HTTP" "$1"
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

# One arrangement: lines of JSON into $work/enroll, and the token's rates into $work/token.
arrangement()
{
	local ca=$1 first=0 total=0 beside='' pair connections count before after
	dir=$work/$ca
	mkdir "$dir"
	appliance_make "$dir" "$bin" "$ca" || return 1
	echo 'challenge: { max_open = 1000000; };' >>"$dir/chancery.conf"
	appliance_provision "$dir" "$bin" >"$work/provision.log" 2>&1 || { cat "$work/provision.log"; return 1; }
	speed >"$work/before.json" || return 1
	appliance_start "$dir" "$bin" || return 1
	. "$dir/ports"
	for pair in $counts; do total=$((total + ${pair#*:})); done
	echo "  $ca: preparing $total requests"
	prepare "$total" || return 1
	[ "$ca" = "${arrangements%% *}" ] && get 3 >"$work/idle.json"
	: >"$work/runs"
	for pair in $counts; do
		connections=${pair%:*} count=${pair#*:}
		before=$(ticks)
		if [ "$ca" = "${arrangements%% *}" ] && [ "$connections" = 64 ]; then
			(sleep 1; get 3 >"$work/loaded.json") &
			beside=$!
		fi
		"$out/tests/bench_load" enroll "$work/requests" 127.0.0.1 "$HTTP" "$connections" "$first" "$count" >"$work/run.json" || {
			echo "not every enrollment succeeded:" >&2
			cat "$work/run.json" >&2
			tail -n 3 "$dir/log" >&2
		}
		after=$(ticks)
		[ -z "$beside" ] || wait "$beside"
		first=$((first + count))
		jq -c --argjson c "$connections" --argjson t "$((after - before))" --argjson hz "$(getconf CLK_TCK)" \
			'. + {connections: $c, cpu_ms: ($t * 1000 / $hz / .done)}' "$work/run.json" >>"$work/runs"
	done
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
for ca in $arrangements; do
	arrangement "$ca" || { echo "make bench: $ca could not be measured" >&2; exit 1; }
done
jq -n --slurpfile token "$work/token" --slurpfile enroll "$work/enroll" --slurpfile idle "$work/idle.json" \
	--slurpfile loaded "$work/loaded.json" '{
		token: ($token | add), enroll: $enroll,
		getcacaps: {idle_p50_ms: $idle[0].p50_ms, idle_p99_ms: $idle[0].p99_ms,
			loaded_p50_ms: $loaded[0].p50_ms, loaded_p99_ms: $loaded[0].p99_ms}}' >"$out/bench.json" || exit 1

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
echo "The same as JSON: $out/bench.json"
