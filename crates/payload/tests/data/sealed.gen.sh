#!/bin/sh
# Makes sealed.hex, a channel file's envelope signed by openssl (3.0 or later, with xxd). Run it in this folder.
set -eu
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
# PKCS #8 around the seed of 32 bytes 0x07.
{ printf '302e020100300506032b657004220420' && printf '07%.0s' $(seq 32); } | xxd -r -p >"$dir/key"
openssl pkey -inform DER -in "$dir/key" -pubout -outform DER | tail -c 32 >"$dir/public"
printf '{"a":1}' >"$dir/body"
{ printf 'slipway channel file format 1\0' && openssl dgst -sha256 -binary "$dir/body"; } >"$dir/message"
{
  printf 'SLWCHANL\001\0\0\0\007\0\0\0\001\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
  cat "$dir/body"
  openssl dgst -sha256 -binary "$dir/public" | head -c 16
  openssl pkeyutl -sign -rawin -keyform DER -inkey "$dir/key" -in "$dir/message"
} | xxd -p -c 32 >sealed.hex
