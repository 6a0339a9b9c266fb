//! `fleetctl` through the machine's own SSH server: a tunnel to the machine, and through it to the address that the
//! cluster has of it.

use anyhow::ensure;

use super::{COMMAND, FOO};
use crate::guest::Guest;

/// Makes a key by which `core` lets `core` in.
const OPEN: &str = r#"set -e
mkdir -m 700 /tmp/tunnel
cp -p ~/.ssh/authorized_keys /tmp/tunnel/before
ssh-keygen -q -t ed25519 -N "" -f /tmp/tunnel/key
(echo; cat /tmp/tunnel/key.pub) >> ~/.ssh/authorized_keys"#;
/// Takes it back: the file is as it was, its time too.
const CLOSE: &str = "cp -p /tmp/tunnel/before ~/.ssh/authorized_keys && rm -r /tmp/tunnel";

/// Asks fleetd, runs a command and reads a unit's log, as from a machine that is none of the cluster's.
pub fn leads_there(guest: &Guest, id: &str) -> anyhow::Result<()> {
    guest.sh(OPEN)?;
    let machines = through(guest, "list-machines --full --no-legend --fields=machine")?;
    ensure!(machines == id, "the machines are `{machines}`, not {id}");
    let (name, said) = (guest.sh("uname -n")?, through(guest, &format!("ssh {id} uname -n"))?);
    ensure!(said == name, "it ran on `{said}`, not on {name}");
    let journal = through(guest, &format!("journal {FOO}"))?;
    ensure!(journal.contains(&format!("Started {FOO}")), "the log of {FOO} is:\n{journal}");
    guest.sh(CLOSE).map(drop)
}

/// Runs fleetctl through the tunnel; returns what it printed. It does not know on which machine it is, or it would do
/// what is to be done there without SSH.
fn through(guest: &Guest, arguments: &str) -> anyhow::Result<String> {
    let fleetctl = "fleetctl --tunnel 127.0.0.1 --known-hosts-file /tmp/tunnel/known_hosts";
    let line = format!(
        "FLEETCTL_MACHINE_ID_FILE=/dev/null ssh-agent sh -c 'ssh-add -q /tmp/tunnel/key && {fleetctl} {arguments}'"
    );
    let out = guest.run(&line, COMMAND)?;
    ensure!(out.status == 0, "`{line}` ended with {}: {} {}", out.status, out.stdout, out.stderr);
    Ok(out.stdout)
}
