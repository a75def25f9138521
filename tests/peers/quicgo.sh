#!/bin/sh
# A client on another QUIC library (Debian's quic-go) against `quicrig serve`: register,
# login, publish, refresh; and two clients that must be refused. Exit 77: no Go here.
set -eu
bin=$1 src=$2
go version >/dev/null 2>&1 || { echo "SKIP: no Go toolchain"; exit 77; }
[ -d /usr/share/gocode/src/github.com/lucas-clemente/quic-go ] || { echo "SKIP: no quic-go package"; exit 77; }
umask 077 # a registry that holds TOTP secrets is nobody else's to read
dir=$(mktemp -d)
server=""
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT INT TERM

(cd "$src/tests/peers/quicgo" && GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode \
	GOCACHE="${GOCACHE:-$dir/gocache}" go build -o "$dir/peer" .)
"$bin/quicrig" pki "$dir/keys" --host localhost --host 127.0.0.1
uuid=ee9f2110-5843-11e9-a9ba-139bd26c8b4b
imsi=214010000000001
cat >"$dir/registry.json" <<EOF
{"version": 1, "devices": [{"uuid": "$uuid", "deviceType": "thermometer", "serialId": "0000000001",
 "networkType": "Mobile", "networkId": "$imsi", "msisdn": "+34690000001", "methods": ["SMS", "TOTP"],
 "totpSecret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}]}
EOF
"$bin/quicrig" serve --listen 127.0.0.1:0 --registry "$dir/registry.json" --db "$dir/server.db" --pki "$dir/keys" \
	--lab --sms "file:$dir/sms.txt" --set sms_interval=1s --journal-fd 3 3>"$dir/journal.jsonl" 2>"$dir/log" &
server=$!
port=""
for _ in $(seq 100); do
	port=$(sed -n 's/.*"kind":"ready".*"port":\([0-9]*\).*/\1/p' "$dir/journal.jsonl" | head -n 1)
	[ -z "$port" ] || break
	kill -0 "$server" 2>/dev/null || { cat "$dir/log"; exit 1; }
	sleep 0.1
done
[ -n "$port" ] || { echo "the server did not get ready"; cat "$dir/log"; exit 1; }
"$dir/peer" -server "127.0.0.1:$port" -pki "$dir/keys" -sms "$dir/sms.txt" -uuid "$uuid" -imsi "$imsi"
"$dir/peer" -server "127.0.0.1:$port" -pki "$dir/keys" -no-certificate
"$dir/peer" -server "127.0.0.1:$port" -pki "$dir/keys" -wrong-alpn
"$dir/peer" -server "127.0.0.1:$port" -pki "$dir/keys" -no-alpn
"$dir/peer" -server "127.0.0.1:$port" -pki "$dir/keys" -early
# what was refused was never handled: one decision a request of the first client, two of the last
decisions=$(grep -c '"kind":"server.decision"' "$dir/journal.jsonl")
[ "$decisions" = 10 ] || { echo "FAIL: $decisions decisions, not 10"; exit 1; }
if grep -E 'eyJ|PRIVATE|#[A-Za-z0-9]{12} ' "$dir/journal.jsonl"; then
	echo "FAIL: a secret stands in the journal"
	exit 1
fi
echo "quic-go: registered, logged in, published, refreshed; $decisions decisions"
