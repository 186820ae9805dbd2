#!/usr/bin/env bash
# Classifies real photographs privately: a server and a client as two processes over mutual TLS 1.3, with throw-away
# certificates. The server sees no picture, the client no weight; the answer is compared with the integer twin's.
set -euo pipefail
cd "$(dirname "$0")/.."
eqo=build/eqo
model=models/resnet20-cifar10-w4a6.eqo
photos=build/demo/photos

demo/photos.sh "$photos"
work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
demo/make-certs.sh "$work/certs" >/dev/null 2>&1

echo "Server: $model, mutual TLS 1.3 on a free port of 127.0.0.1"
"$eqo" serve "$model" --listen 127.0.0.1:0 --port-file "$work/port" --threads 1 \
  --cert "$work/certs/server.pem" --key "$work/certs/server.key" --client-ca "$work/certs/ca.pem" 2> "$work/server.log" &
server=$!
for _ in $(seq 100); do
  [ -s "$work/port" ] && break
  kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
  sleep 0.1
done

echo "Client: four photographs, two of them cropped to one animal, resized to 32 x 32; the twin checks each answer"
echo
"$eqo" infer "$photos"/chelsea.png "$photos"/dog.jpg "$photos"/horses.jpg "$photos"/eagle.jpg \
  --crop none --crop 100,215,240,330 --crop 420,180,190,180 --crop none \
  --server "127.0.0.1:$(cat "$work/port")" --threads 1 --verify "$model" \
  --ca "$work/certs/ca.pem" --cert "$work/certs/client.pem" --key "$work/certs/client.key"

kill -TERM "$server"
wait "$server" || { echo "the server did not stop cleanly" >&2; cat "$work/server.log" >&2; exit 1; }
server=
