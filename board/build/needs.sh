#!/bin/sh
# Installs the Debian packages that are missing for the purposes named: build run demo check pages bench sanitize
set -eu

build="gcc libc6-dev make kconfig-frontends-nox libevent-dev libconfig-dev libssl-dev libsqlite3-dev
	libseccomp-dev libp11-kit-dev libcurl4-openssl-dev libjansson-dev"
run="softhsm2 libengine-pkcs11-openssl openssl curl procps util-linux iproute2"
demo="strongswan-pki libstrongswan-extra-plugins libstrongswan-standard-plugins"
check="libcmocka-dev certmonger scep opensc sqlite3 clang-format clang-tidy cppcheck shellcheck universal-ctags man-db dbus-daemon jq bsdextrautils gnutls-bin clang libclang-rt-14-dev"
pages="chromium lynx"
bench="scep sqlite3 jq bsdextrautils"
sanitize="clang libclang-rt-14-dev"

missing=
for purpose in "$@"; do
	eval "list=\$$purpose"
	for package in $list; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "These Debian packages are missing; as root: apt-get install$missing" >&2
	exit 1
fi
echo "Installing what is missing:$missing (a minute or two)"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "apt-get could not install them; mend that and try again." >&2
	exit 1
fi
