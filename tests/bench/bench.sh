#!/bin/bash
# "make bench": what Chancery costs and how fast it is, in one run; tables and build/bench.json.  What each number means
# is in appliance/doc/performance.md.
#
#   --only NAME[,NAME]   enroll getcacaps renew poll ocsp crl store memory peer; default: all
#   --quick              small counts: to see that it works, not how fast
#   --out DIR --bin DIR  the build (default: build, build/bin)
#   --ca, --counts, --revoked  the arrangements of keys, CONNECTIONS:REQUESTS, and numbers of revoked certificates
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/bench/lib.sh
all="enroll getcacaps renew poll ocsp crl store memory peer"
only=$all
out=${O:-$PWD/build}
bin=
arrangements="rsa2048 p256-rsa p256"
counts="1:300 8:1200 64:2000"
revoked="10000 100000 1000000"
stored="1000 1000000"
some=2000      # requests of one kind
idle=10000     # connections
seconds=3      # for what is fetched again and again
speed_s=3      # for each of the token's operations
while [ $# -gt 0 ]; do
	case $1 in
	--quick)
		counts="1:20 8:60 64:200" revoked="1000 10000" stored="1000 10000" some=200 idle=500 seconds=1 speed_s=1
		shift
		continue
		;;
	--out) out=$2 ;;
	--bin) bin=$2 ;;
	--ca) arrangements=$2 ;;
	--counts) counts=$2 ;;
	--revoked) revoked=$2 ;;
	--only) only=${2//,/ } ;;
	-h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
	*) echo "bench.sh: $1 is no option" >&2; exit 2 ;;
	esac
	[ $# -gt 1 ] || { echo "bench.sh: $1 needs a value" >&2; exit 2; }
	shift 2
done
bin=${bin:-$out/bin}
mkdir -p "$out" || exit 1
for name in $only; do
	[[ " $all " == *" $name "* ]] || { echo "bench.sh: $name is none of: $all" >&2; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "make bench: only root can start the roles under their own user ids" >&2; exit 1; }
dir=
work=$(mktemp -d /tmp/chancery-bench.XXXXXX)
chmod 755 "$work"
trap 'peer_stop; put_away; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# wanted NAME…: one of them is to be measured
wanted()
{
	local name
	for name in "$@"; do
		[[ " $only " != *" $name "* ]] || return 0
	done
	return 1
}

# ---- measurements: each leaves JSON in $work/NAME.json ----------------------------------------------------------------

# One arrangement of keys: lines of JSON into $work/enroll.rows, and the token's rates into $work/token.rows.
enroll_with()
{
	local ca=$1 pair before after
	appliance "$ca" || return 1
	appliance_stop "$dir"
	speed >"$work/before.json" || return 1
	appliance_start "$dir" "$bin" || return 1
	: >"$work/runs"
	for pair in $counts; do
		# Making challenges is no part of what an enrollment costs.
		control challenge create --count "${pair#*:}" >"$work/challenges" || return 1
		before=$(ticks)
		load "$work/run.json" --connections "${pair%:*}" --count "${pair#*:}" --challenges "$work/challenges" || return 1
		after=$(ticks)
		jq -c --argjson t "$((after - before))" --argjson hz "$(getconf CLK_TCK)" \
			'. + {cpu_ms: ($t * 1000 / $hz / .sent)}' "$work/run.json" >>"$work/runs"
	done
	appliance_stop "$dir"
	speed >"$work/after.json" || return 1
	jq -s -c --arg ca "$ca" --slurpfile b "$work/before.json" --slurpfile a "$work/after.json" '
		def mean(k; f): (($b[0][k][f] + $a[0][k][f]) / 2);
		def ops: ["ca_sign", "ra_sign", "ra_unwrap"];
		(reduce ops[] as $o (0; . + 1 / mean($o; "per_s"))) as $seconds
		| (reduce ops[] as $o (0; . + mean($o; "cpu_us") / 1000)) as $token_ms
		| .[] | {ca: $ca, connections, per_s: .ok_per_s, ok, done: .sent, efficiency: (.ok_per_s * $seconds), cpu_ms,
			cpu_ms_outside_token: (.cpu_ms - $token_ms), p50_ms: .kinds.enroll.p50_ms,
			p99_ms: .kinds.enroll.p99_ms}' "$work/runs" >>"$work/enroll.rows" || return 1
	jq -c --slurpfile b "$work/before.json" 'to_entries | map({
			key: (.value.algorithm + (if .key == "ra_unwrap" then "_decrypt" else "_sign" end) + "_per_s"),
			value: ((.value.per_s + $b[0][.key].per_s) / 2)}) | from_entries' "$work/after.json" >>"$work/token.rows"
	put_away
}

measure_enroll()
{
	local ca
	: >"$work/enroll.rows"
	: >"$work/token.rows"
	for ca in $arrangements; do
		enroll_with "$ca" || return 1
	done
	jq -s '{token: add}' "$work/token.rows" >"$work/token.json" && jq -s '{enroll: .}' "$work/enroll.rows" >"$work/enroll.json"
}

# What a front that is busy with enrollments still does for others.
measure_getcacaps()
{
	local caps='/scep?operation=GetCACaps' loading
	get "$work/idle.json" "$caps" "$seconds" || return 1
	rm -f "$work/load.err"
	load "$work/run.json" --connections 64 --count "$some" &
	loading=$!
	loading_begun || return 1
	"$bin/chancery-load" --url "http://127.0.0.1:$HTTP/scep" --mix get=1 --get "$caps" --seconds 1 --connections 1 \
		--json "$work/loaded.json" >/dev/null 2>&1 || return 1
	wait "$loading" || return 1
	jq -n --slurpfile i "$work/idle.json" --slurpfile l "$work/loaded.json" '{getcacaps: {
		idle_p50_ms: $i[0].kinds.get.p50_ms, idle_p99_ms: $i[0].kinds.get.p99_ms,
		loaded_p50_ms: $l[0].kinds.get.p50_ms, loaded_p99_ms: $l[0].kinds.get.p99_ms}}' >"$work/getcacaps.json"
}

# kind NAME: requests of one kind, 64 connections
kind()
{
	load "$work/run.json" --mix "$1=1" --count "$some" --connections 64 || return 1
	jq --arg k "$1" '.polls as $polls | {($k): (.kinds[$k] | {per_s: .ok_per_s, ok, done: .sent, p50_ms, p99_ms})}
		| if $k == "poll" then .poll.for = $polls else . end' "$work/run.json" >"$work/$1.json"
}

measure_renew()
{
	kind renew
}

measure_poll()
{
	kind poll
}

# OCSP answers from memory beside a static body of about that size, both on one connection.
measure_ocsp()
{
	local serial path
	serial=$(control certificate list --usage ra-sign | sed -n '2s/ .*//p')
	control certificate show "$serial" --pem >"$work/asked.pem" || return 1
	openssl ocsp -issuer "$dir/state/ca/ca.pem" -cert "$work/asked.pem" -no_nonce -reqout "$work/ocsp.req" >/dev/null 2>&1 || return 1
	path=/ocsp/$(base64 -w0 "$work/ocsp.req" | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g')
	for _ in 1 2 3 4 5 6 7 8; do curl -fs -o "$work/ocsp.der" "http://127.0.0.1:$HTTP$path" || return 1; done
	curl -fs -o "$work/ca.der" "http://127.0.0.1:$HTTP/ca" || return 1
	get "$work/cached.json" "$path" "$seconds" && get "$work/static.json" /ca "$seconds" || return 1
	jq -n --slurpfile c "$work/cached.json" --slurpfile s "$work/static.json" \
		--argjson bytes "$(stat -c %s "$work/ocsp.der")" --argjson static "$(stat -c %s "$work/ca.der")" '{ocsp: {
		cached_per_s: $c[0].ok_per_s, cached_bytes: $bytes, static_per_s: $s[0].ok_per_s, static_bytes: $static,
		static_to_cached: ($s[0].ok_per_s / $c[0].ok_per_s)}}' >"$work/ocsp.json"
}

# A full CRL: from the command to the CRL being served; and enrollments without and while CRLs are made one after another.
crl_row()
{
	local count=$1 begin end making
	store_fill "$count" 1 || return 1
	begin=$(date +%s%N)
	control crl make >/dev/null || return 1
	end=$(date +%s%N)
	load "$work/without.json" --count "$some" --connections 16 || return 1
	: >"$work/crls"
	touch "$work/crls.go"
	while [ -e "$work/crls.go" ]; do
		control crl make >/dev/null && echo >>"$work/crls"
	done &
	making=$!
	load "$work/during.json" --count "$some" --connections 16 || return 1
	rm "$work/crls.go"
	wait "$making"
	jq -n -c --argjson n "$count" --argjson ms "$(((end - begin) / 1000000))" --argjson made "$(wc -l <"$work/crls")" \
		--slurpfile w "$work/without.json" --slurpfile d "$work/during.json" '{revoked: $n, ms: $ms,
		enroll_per_s: $w[0].ok_per_s, enroll_p99_ms: $w[0].kinds.enroll.p99_ms, crls_meanwhile: $made,
		enroll_per_s_meanwhile: $d[0].ok_per_s, enroll_p99_ms_meanwhile: $d[0].kinds.enroll.p99_ms,
		p99_ratio: ($d[0].kinds.enroll.p99_ms / $w[0].kinds.enroll.p99_ms)}' >>"$work/crl.rows"
}

measure_crl()
{
	local count
	: >"$work/crl.rows"
	for count in $revoked; do
		crl_row "$count" || return 1
	done
	jq -s '{crl: .}' "$work/crl.rows" >"$work/crl.json"
}

measure_store()
{
	local count
	: >"$work/store.rows"
	for count in $stored; do
		store_fill "$count" 0 && load "$work/run.json" --count "$some" --connections 64 || return 1
		jq -c --argjson n "$count" '{certificates: $n, enroll_per_s: .ok_per_s, p99_ms: .kinds.enroll.p99_ms}' \
			"$work/run.json" >>"$work/store.rows"
	done
	jq -s '{store: {rows: ., rate_ratio: (.[-1].enroll_per_s / .[0].enroll_per_s)}}' "$work/store.rows" >"$work/store.json"
}

# Resident memory of the front, just started, before and with idle connections; the kernel's own for them is not in it.
measure_memory()
{
	local before with loading
	put_away
	appliance "${arrangements%% *}" "s/front: {/front: { connections = 100000; idle_s = 3600;/" || return 1
	get "$work/run.json" '/scep?operation=GetCACaps' 1 || return 1
	before=$(rss front)
	rm -f "$work/load.err"
	load "$work/held.json" --mix get=1 --count 1 --connections 1 --idle "$idle" --hold 3 &
	loading=$!
	loading_begun || return 1
	sleep 1
	with=$(rss front)
	wait "$loading" || return 1
	jq -n --argjson b "$before" --argjson w "$with" --argjson n "$idle" --slurpfile h "$work/held.json" '{memory: {
		idle_connections: $h[0].idle.opened, closed_meanwhile: $h[0].idle.closed, front_before_kib: $b, front_with_kib: $w,
		per_connection_bytes: (($w - $b) * 1024 / $n)}}' >"$work/memory.json"
}

peer_stop()
{
	[ ! -s "$work/peer.pid" ] || kill "$(cat "$work/peer.pid")" 2>/dev/null
	rm -f "$work/peer.pid"
}

# Debian's scepserver with its software key, the same requests at the same connections: twice, cold and warm.
peer_run()
{
	"$bin/chancery-load" --url "http://127.0.0.1:$1/scep" --keys "$work/keys.pem" --shared-challenge "$work/peer.challenge" \
		--connections 64 --count "$some" --json "$work/peer-$2.json" >"$work/load.log" 2>"$work/load.err"
	[ -s "$work/peer-$2.json" ] || { cat "$work/load.err" >&2; return 1; }
}

measure_peer()
{
	local port
	port=$(appliance_port_random) || return 1
	rm -rf "$work/peer"
	mkdir "$work/peer"
	(umask 077; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/peer.challenge")
	(cd "$work/peer" && scepserver ca -init -organization Bench -keySize 2048) >/dev/null 2>&1 || return 1
	(cd "$work/peer" && exec scepserver -port "$port" -depot depot -challenge "$(cat "$work/peer.challenge")" >log 2>&1) &
	echo $! >"$work/peer.pid"
	for _ in $(seq 100); do curl -fs -o "$work/peer.caps" "http://127.0.0.1:$port/scep?operation=GetCACaps" && break; sleep 0.1; done
	peer_run "$port" cold && peer_run "$port" warm || return 1
	peer_stop
	[ -n "$dir" ] || appliance "${arrangements%% *}" || return 1
	load "$work/peer-ours.json" --connections 64 --count "$some" || return 1
	jq -n --slurpfile c "$work/peer-cold.json" --slurpfile w "$work/peer-warm.json" --slurpfile o "$work/peer-ours.json" \
		--arg ca "${arrangements%% *}" '
		def row: {per_s: .ok_per_s, ok, done: .sent, p50_ms: .kinds.enroll.p50_ms, p99_ms: .kinds.enroll.p99_ms};
		{peer: {scepserver_cold: ($c[0] | row), scepserver_warm: ($w[0] | row), ($ca): ($o[0] | row),
			times_as_many: ($o[0].ok_per_s / ([$c[0].ok_per_s, $w[0].ok_per_s] | max))}}' >"$work/peer.json"
}

# ---- the run ----------------------------------------------------------------------------------------------------------

# step NAME "WHAT": measures it, and says how long that took
step()
{
	local begin=$SECONDS
	wanted "$1" || return 0
	printf '  %-10s %s ... ' "$1" "$2"
	"measure_$1" || { echo "failed"; echo "make bench: $1 could not be measured" >&2; exit 1; }
	echo "$((SECONDS - begin)) s"
}

ours()
{
	wanted getcacaps renew poll ocsp crl store || return 0
	appliance "${arrangements%% *}" || exit 1
}

echo "Measuring (five minutes when all is); nothing else should run on this machine"
step enroll "enrollments with each arrangement of keys, beside the token's own rate"
ours
step getcacaps "GetCACaps, alone and beside enrollments"
step renew "renewals"
step poll "polls for requests that wait"
step ocsp "OCSP answers from memory, beside a static body"
step crl "full CRLs, and enrollments meanwhile"
step store "enrollments with few and many certificates in the store"
step memory "memory of the front with idle connections"
put_away
step peer "Debian's scepserver, with the same requests"

parts=()
for name in token $all; do
	[ ! -e "$work/$name.json" ] || parts+=("$work/$name.json")
done
jq -s add "${parts[@]}" >"$out/bench.json" || exit 1
. tests/bench/tables.sh "$out/bench.json"
echo
echo "The same as JSON: $out/bench.json; what the numbers mean: appliance/doc/performance.md"
