//! A program as user data.

use std::collections::BTreeSet;

use anyhow::ensure;

use crate::guest::Guest;

/// Waits for the test, so that whatever waits for this hangs, and writes which boot and which unit it ran in.
pub const TEXT: &str = r#"#!/bin/bash
for try in $(seq 600); do
  test -e /run/e2e-go && break
  sleep 1
done
unit=$(basename "$(cat /proc/self/cgroup)")
echo "$(cat /proc/sys/kernel/random/boot_id) $unit" >> /var/lib/e2e-script
"#;

/// Lets it go on, and waits for COUNT lines of it.
const GO: &str = r#"
touch /run/e2e-go
for try in $(seq 90); do
  test "$(grep -sc . /var/lib/e2e-script)" = COUNT && break
  sleep 1
done
cat /var/lib/e2e-script"#;

/// Checks that the stage that started the script has ended, and the script has not.
pub fn is_beside_the_boot(guest: &Guest) -> anyhow::Result<()> {
    guest.sh("systemctl is-active slipway-cloudinit-local.service")?;
    let units = guest.sh("systemctl list-units --plain --no-legend --state=running 'coreos-cloudinit-*'")?;
    ensure!(units.lines().count() == 1, "expected one running unit, found `{units}`");
    Ok(())
}

/// Lets the script end, and checks that it ran in so many boots, each time in the same unit.
pub fn ran(guest: &Guest, n_boots: usize) -> anyhow::Result<()> {
    let text = guest.root(&GO.replace("COUNT", &n_boots.to_string()))?;
    let rows: Vec<_> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let boots: BTreeSet<_> = rows.iter().map(|(boot, _)| boot).collect();
    let units: BTreeSet<_> = rows.iter().map(|(_, unit)| unit).collect();
    let is_its = units.iter().all(|unit| unit.starts_with("coreos-cloudinit-") && unit.ends_with(".service"));
    ensure!(
        (rows.len(), boots.len(), units.len()) == (n_boots, n_boots, 1) && is_its,
        "expected a line from one unit in each of {n_boots} boots, found `{text}`"
    );
    Ok(())
}
