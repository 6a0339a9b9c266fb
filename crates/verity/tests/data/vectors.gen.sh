#!/bin/sh
# Makes vectors.txt with the real veritysetup (package cryptsetup-bin).
# The data of each vector is the start of `seq 1 9999999`. Run it in this folder.
set -eu
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
salt=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
uuid=00112233-4455-6677-8899-aabbccddeeff
{
  echo "# data blocks, root hash, SHA-256 of superblock and tree; made by $(basename "$0")"
  for n in 1 2 127 128 129 300 16384 16385; do
    seq 1 9999999 | head -c $((n * 4096)) >"$dir/data"
    rm -f "$dir/hash"
    root=$(veritysetup format --salt $salt --uuid $uuid "$dir/data" "$dir/hash" | sed -n 's/^Root hash:[[:space:]]*//p')
    echo "$n $root $(sha256sum <"$dir/hash" | cut -d' ' -f1)"
  done
} >vectors.txt
