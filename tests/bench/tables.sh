# Sourced by bench.sh with the JSON: a table for each part that it has.
results=$1

# part NAME "TITLE"
part()
{
	jq -e --arg n "$1" 'has($n)' "$results" >/dev/null || return 1
	printf '\n%s\n' "$2"
}

# rows "HEADING,…" FILTER: comma-separated; r(n) in the filter rounds to n-ths
rows()
{
	{ [ -z "$1" ] || echo "$1"; jq -r "def r(n): (. * n | round) / n; $2 | @csv" "$results"; } | table
}

part token "Token through the queue, operations per second" &&
	rows "" '.token | to_entries[] | [(.key | sub("_per_s$"; "")), (.value | floor)]'
part enroll "Enrollment" &&
	rows "keys,connections,per s,p50 ms,p99 ms,efficiency,CPU ms,outside token" '.enroll[] | [.ca, .connections, (.per_s | r(10)),
		(.p50_ms | r(10)), (.p99_ms | r(10)), (.efficiency | r(100)), (.cpu_ms | r(100)), (.cpu_ms_outside_token | r(100))]'
part getcacaps "GetCACaps on one connection" &&
	rows ",p50 ms,p99 ms" '.getcacaps | ["alone", .idle_p50_ms, .idle_p99_ms], ["while 64 connections enroll", .loaded_p50_ms, .loaded_p99_ms]'
part renew "Renewals, 64 connections" &&
	rows "per s,p50 ms,p99 ms" '.renew | [(.per_s | r(10)), (.p50_ms | r(10)), (.p99_ms | r(10))]'
part poll "CertPolls for requests that wait, 64 connections" &&
	rows "per s,p50 ms,p99 ms" '.poll | [(.per_s | r(10)), (.p50_ms | r(10)), (.p99_ms | r(10))]'
part ocsp "OCSP answers from memory and a static body, on one connection" &&
	rows ",octets,per s" '.ocsp | ["OCSP", .cached_bytes, (.cached_per_s | floor)], ["/ca", .static_bytes, (.static_per_s | floor)],
		["times as many", "", (.static_to_cached | r(100))]'
part crl "A full CRL, and enrollments on 16 connections while CRLs are made" &&
	rows "revoked,ms,enrollments per s,meanwhile,p99 ms,meanwhile,times,CRLs meanwhile" '.crl[] | [.revoked, .ms, (.enroll_per_s | r(10)),
		(.enroll_per_s_meanwhile | r(10)), (.enroll_p99_ms | r(10)), (.enroll_p99_ms_meanwhile | r(10)), (.p99_ratio | r(100)), .crls_meanwhile]'
part store "Enrollment with certificates in the store, 64 connections" &&
	rows "certificates,per s,p99 ms" '.store | (.rows[] | [.certificates, (.enroll_per_s | r(10)), (.p99_ms | r(10))]),
		["times as many", (.rate_ratio | r(1000)), ""]'
part memory "Memory of the front, KiB" &&
	rows "idle connections,before,with,octets each" '.memory | [.idle_connections, .front_before_kib, .front_with_kib, (.per_connection_bytes | floor)]'
part peer "Beside Debian's scepserver, 64 connections" &&
	rows ",right,of,per s,p50 ms,p99 ms" '.peer | (to_entries[] | select(.value | type == "object") | [.key, .value.ok, .value.done,
		(.value.per_s | r(10)), (.value.p50_ms | r(10)), (.value.p99_ms | r(10))]), ["times as many", "", "", (.times_as_many | r(100)), "", ""]'
