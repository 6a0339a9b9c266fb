#!/bin/sh
# Makes an authority and a server's certificate for this machine, for a hundred years; the authority's key is not kept.
set -eu
cd "$(dirname "$0")"
key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
secret=$(mktemp -d)
# shellcheck disable=SC2086
openssl req -x509 $key -keyout "$secret/ca.key" -out authority.pem -days 36500 -subj "/CN=Slipway test authority" \
    -addext keyUsage=critical,keyCertSign
# shellcheck disable=SC2086
openssl req $key -keyout server.key -out "$secret/server.csr" -subj "/CN=localhost"
printf '%s\n' subjectAltName=DNS:localhost,IP:127.0.0.1 keyUsage=critical,digitalSignature \
    extendedKeyUsage=serverAuth basicConstraints=CA:FALSE >"$secret/server.conf"
openssl x509 -req -in "$secret/server.csr" -CA authority.pem -CAkey "$secret/ca.key" -days 36500 \
    -out server.pem -extfile "$secret/server.conf"
rm -r "$secret"
