#!/usr/bin/env bash
# The job of a pull request, for any CI system: allows what the build's sandbox needs, then runs the checks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source ci/allow-namespaces.sh

exec .ci/run
