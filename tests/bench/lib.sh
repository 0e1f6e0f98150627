# Sourced by bench.sh: an appliance to be measured, and what every measurement needs.
#
#   $out $bin $work $dir   folders: of the build, its programs, of this run, of the appliance that runs now (or empty)
. board/sim/appliance.sh

control()
{
	"$bin/chancery" --control "$dir/run/control" "$@"
}

# appliance CA [SETTINGS]: makes one and starts it; the one before must have been put away
appliance()
{
	local ca=$1
	dir=$work/$ca
	mkdir "$dir"
	appliance_make "$dir" "$bin" "$ca" || return 1
	echo 'challenge: { max_open = 1000000; missing = "pending"; };' >>"$dir/chancery.conf"
	[ $# -lt 2 ] || sed -i "$2" "$dir/chancery.conf"
	appliance_provision "$dir" "$bin" >"$work/provision.log" 2>&1 || { cat "$work/provision.log"; return 1; }
	appliance_start "$dir" "$bin" && . "$dir/ports"
}

put_away()
{
	[ -n "$dir" ] || return 0
	appliance_stop "$dir"
	rm -rf "$dir"
	dir=
}

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
	"$bin/chancery-hsmspeed" --config "$dir/chancery.conf" --seconds "$speed_s" --json
}

# load JSON OPTION…: chancery-load against the appliance; says so when a request did not get the answer it should
load()
{
	local json=$1
	shift
	"$bin/chancery-load" --url "http://127.0.0.1:$HTTP/scep" --keys "$work/keys.pem" --json "$json" \
		--challenge-command "$bin/chancery --control $dir/run/control challenge create --count" "$@" \
		>"$work/load.log" 2>"$work/load.err" && return
	[ -s "$json" ] || { cat "$work/load.err" >&2; return 1; }
	{ echo "not every request was answered as it should be:"; grep -E '^(In all|HTTP|Errors|Idle|Verified)' "$work/load.log"; tail -n 3 "$dir/log"; } >&2
}

# loading_begun: the clock of the load that runs in the background has started
loading_begun()
{
	local try
	for try in $(seq 600); do
		grep -q sending "$work/load.err" 2>/dev/null && return
		sleep 0.05
	done
	return 1
}

# get JSON PATH SECONDS: on one connection
get()
{
	load "$1" --mix get=1 --get "$2" --seconds "$3" --connections 1
}

# store_fill COUNT REVOKED: the store has COUNT more certificates, revoked (1) or not (0); starts the appliance again
store_fill()
{
	appliance_stop "$dir"
	sqlite3 "$dir/state/store/store.db" "DELETE FROM certificate WHERE subject = 'CN=bench';
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO certificate (serial, usage, not_before, not_after, issued, revoked, reason, subject, template, peer, der)
		SELECT CAST(printf('%016d', i) AS BLOB), 'device', 1, 4000000000, 1, $([ "$2" = 1 ] && echo 1700000000, 4 || echo 0, -1),
			'CN=bench', 'device', '', x'3000' FROM n;" || return 1
	chown --reference="$dir/state/store/challenge.key" "$dir"/state/store/store.db*
	appliance_start "$dir" "$bin" || return 1
	control crl make >/dev/null
}

# rss ROLE: resident memory in KiB
rss()
{
	awk '/^VmRSS:/ { print $2 }' "/proc/$(pgrep -P "$(cat "$dir/chanceryd.pid")" -f "/chancery-$1\$")/status"
}

# table: columns of comma-separated lines
table()
{
	tr -d '"' | column -t -s , | sed 's/^/  /'
}
