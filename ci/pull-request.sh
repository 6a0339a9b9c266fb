#!/usr/bin/env bash
# The job of a pull request, for any CI system: allows what the build's sandbox needs, then runs the checks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Ubuntu forbids unprivileged user namespaces through AppArmor; the sandbox of the tools tree needs them.
setting=kernel.apparmor_restrict_unprivileged_userns
file=/proc/sys/${setting//./\/}
if [[ -r $file && $(<"$file") != 0 && $EUID != 0 ]]; then
    sudo --non-interactive sysctl --write "$setting=0"
fi

exec .ci/run
