#!/bin/sh
# Installs the Debian packages that the build, the tests and the peers need, where
# one is missing. The first argument, if any, is the command to become root with.
set -eu
packages="gcc cmake ninja-build pkg-config libngtcp2-dev libngtcp2-crypto-gnutls-dev libgnutls28-dev
libjansson-dev libjwt-gnutls-dev libgammu-dev check libyaml-dev libev-dev libsqlite3-dev uthash-dev libbsd-dev
libxml2-dev liboath-dev libcjose-dev libssl-dev gammu gammu-smsd gnutls-bin golang-go
golang-github-lucas-clemente-quic-go-dev python3 python3-jsonschema python3-yaml libxml2-utils"
missing=""
for p in $packages ${EXTRA_PACKAGES:-}; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
	echo "setup: not a Debian system; install what corresponds to:$missing" >&2
	exit 3
fi
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
${1:-} apt-get update -qq
# shellcheck disable=SC2086
${1:-} apt-get install -y -qq --no-install-recommends $missing >/dev/null
