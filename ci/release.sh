#!/usr/bin/env bash
# The job of a tag, for any CI system: makes the release of the tag `vVERSION` and checks it. What is to be uploaded lies
# in target/releases.
#
#   ci/release.sh TAG
#
# SLIPWAY_RELEASE_KEY        text of the secret key that signs (a *.key file of `cargo xtask keys new`)
# SLIPWAY_RELEASE_SEQUENCE   counts up with each release: sequence of the channel file
# SLIPWAY_BUILDER            URI of this job, for the provenance (optional)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source ci/allow-namespaces.sh

tag=${1:?name the tag, such as v0.1.0}
version=${tag#v}
keys=$(mktemp --directory)
trap 'rm -rf "$keys"' EXIT
(umask 077 && printf '%s\n' "${SLIPWAY_RELEASE_KEY:?holds the secret key that signs}" >"$keys/release.key")
cargo xtask keys public "$keys/release.key" >"$keys/release.pub"
# Further keys that the image trusts, such as the one that is kept offline.
if [[ -d ci/release-keys ]]; then
    cp ci/release-keys/* "$keys/"
fi

cargo xtask release --keys "$keys" --version "$version" --out "target/releases/$tag" \
    --sequence "${SLIPWAY_RELEASE_SEQUENCE:?counts up with each release}" \
    --builder "${SLIPWAY_BUILDER:-urn:slipway:builder:unnamed}"
cargo xtask verify-release "target/releases/$tag" --keys "$keys"
