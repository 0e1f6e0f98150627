#!/bin/bash
# chancery-load: every request is counted once, as what it was; what it says of a stopped appliance.
. "$(dirname "$0")/lib.sh"
begin load
make_appliance
echo 'challenge: { missing = "pending"; };' >>"$dir/chancery.conf"
run_appliance

# load OPTION…: results in $dir/load.json
load()
{
	rm -f "$dir/load.json"
	"$BIN_DIR/chancery-load" --url "$SCEP_URL" --keys "$dir/keys.pem" --pool 4 --json "$dir/load.json" "$@" \
		--challenge-command "$BIN_DIR/chancery --control $CONTROL challenge create --count"
}

# result FILTER: what jq makes of the results
result()
{
	jq -r "$1" "$dir/load.json"
}

holds()
{
	jq -e "$1" "$dir/load.json"
}

check "300 requests of all kinds over 16 connections get the right answers" \
	load --count 300 --connections 16 --mix enroll=200,renew=40,poll=20,get=20,malformed=12,slow=8 --slow-ms 500 --verify 300
same "as many of each kind as were wanted" "200 40 20 20 12 8" \
	"$(result '.kinds | "\(.enroll.sent) \(.renew.sent) \(.poll.sent) \(.get.sent) \(.malformed.sent) \(.slow.sent)"')"
same "all were right" "300 300 0 0" "$(result '"\(.sent) \(.ok) \(.later) \(.failed)"')"
check "the kinds add up" holds '. as $a | ([.kinds[].sent] | add) == $a.sent and ([.kinds[].ok] | add) == $a.ok'
check "each request is in one column" holds '[.kinds[] | .sent == .ok + .later + .failed] | all'
check "so do HTTP's statuses" holds '([.http[]] | add) == .sent'
same "malformed ones were refused with 400, or in a CertRep" "6 294" "$(result '"\(.http["400"]) \(.http["200"])"')"
check "percentiles are in order" \
	holds '[.kinds[] | [.p50_ms, .p90_ms, .p99_ms, .p99_9_ms, .max_ms] | . == sort and .[0] > 0] | all'
check "a slow client is not answered before it has sent all" holds '.kinds.slow.p50_ms > 400'
same "polls were for requests that wait" waiting "$(result .polls)"
same "every CertRep was verified" "268 0" "$(result '"\(.verified.good) \(.verified.wrong)"')"
# 16 polled for, 208 enrolled, 4 enrolled to be renewed, 40 renewed.
same "the appliance counts as many certificates" 252 \
	"$(chancery status | sed -n 's/^ Devices *\([0-9]*\) valid.*/\1/p')"
same "and as many requests that wait" 16 "$(chancery request list | grep -c pending)"

check "every connection may be given up after a request" load --count 40 --requests-per-connection 1 --connections 4
check "an EC key can be had by renewing" load --count 10 --mix renew=1 --key p256
check "GETs need no number" load --mix get=1 --get /ca --seconds 1 --connections 2
check "1,000 connections from addresses of our own" load --mix get=1 --count 3000 --connections 1000
check "idle connections beside others" load --mix get=1 --count 10 --connections 1 --idle 500 --hold 1
same "were opened" "500 500 0" "$(result '.idle | "\(.wanted) \(.opened) \(.closed)"')"

refuse "a challenge that is none: refused" bash -c "echo 00112233445566778899aabbccddeeff >'$dir/wrong' &&
	'$BIN_DIR/chancery-load' --url '$SCEP_URL' --count 8 --connections 2 --shared-challenge '$dir/wrong' --json '$dir/load.json'"
same "and told apart" "0 8 8 8" "$(result '"\(.ok) \(.failed) \(.errors.refused) \(.refused.badRequest)"')"
refuse "a path that nothing serves" bash -c "'$BIN_DIR/chancery-load' --url '$SCEP_URL' --mix get=1 --count 5 --get /nothing --json '$dir/load.json'"
same "is HTTP 404" "5 5" "$(result '"\(.http["404"]) \(.errors.http_status)"')"

for wrong in "--mix enrol=1" "--mix enroll=0" "--mix enroll=x" "--count -1" "--connections 0" "--key dsa" "--source 1.2.3" \
	"--key p256" "--url https://localhost/scep" "--url http:///scep"; do
	# shellcheck disable=SC2086
	"$BIN_DIR/chancery-load" --url "$SCEP_URL" $wrong >"$dir/wrong.out" 2>&1
	same "$wrong is wrong usage" 2 $?
done
refuse "too few challenges" bash -c "echo one | '$BIN_DIR/chancery-load' --url '$SCEP_URL' --count 2 --challenges - 2>'$dir/wrong.out'"
check "are counted" grep -q '2 challenges are needed, and there are 1' "$dir/wrong.out"

load --mix get=1 --seconds 5 --connections 4 >"$dir/load.out" 2>"$dir/load.err" &
loading=$!
check "the clock starts" wait_until 10 grep -q sending "$dir/load.err"
appliance_stop "$dir"
launch_appliance
wait "$loading"
same "the appliance was stopped meanwhile: exit status" 1 $?
check "what failed is counted, by kind" holds '.failed > 0 and .errors.connect > 0 and .failed == ([.errors[]] | add)'
check "what did not is right" holds '.ok > 0 and .sent == .ok + .failed'
check "the appliance works" wait_until 20 healthy
appliance_stop "$dir"
load --count 5 >"$dir/load.out" 2>"$dir/load.err"
same "without an appliance nothing can be prepared: exit status" 1 $?
check "and the reason is said" grep -q 'GetCACert: connect' "$dir/load.err"
load --mix get=1 --count 20 --connections 4 >/dev/null 2>&1
same "GETs end with exit status" 1 $?
same "and are counted as connections that failed" "20 20" "$(result '"\(.failed) \(.errors.connect)"')"
finish
