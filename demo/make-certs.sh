#!/usr/bin/env bash
# Throw-away certificates for trying things out: make-certs.sh FOLDER
# One CA, one server certificate (localhost, 127.0.0.1, ::1), one client certificate; valid for two days.
set -euo pipefail
dir=${1:?usage: make-certs.sh FOLDER}
mkdir -p "$dir"
chmod 700 "$dir"
umask 077

key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null ||
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

key "$dir/ca.key"
openssl req -x509 -new -key "$dir/ca.key" -subj "/CN=EQO demo CA" -days 2 -out "$dir/ca.pem" \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
issue() {  # name, subject, extensions
  key "$dir/$1.key"
  openssl req -new -key "$dir/$1.key" -subj "/CN=$2" -out "$dir/$1.csr"
  openssl x509 -req -in "$dir/$1.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
    -extfile <(printf '%s\n' "$3") -out "$dir/$1.pem" 2>/dev/null
  rm -f "$dir/$1.csr"
}
issue server "EQO demo server" "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1
extendedKeyUsage=serverAuth"
issue client "EQO demo client" "extendedKeyUsage=clientAuth"
