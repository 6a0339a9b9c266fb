//! The talk's session with fleet, on one machine: what an operator types, and what becomes of it.

mod tunnel;

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::guest::Guest;
use crate::lab::Lab;

/// The unit of the talk.
const FOO: &str = "foo.service";
/// One whose process fails, and what it says before.
const BAD: &str = "bad.service";
const LAST_WORDS: &str = "this is the last line";
/// One that is to run in later boots too.
const KEPT: &str = "kept.service";
/// The address that the machine's default route gives it.
const ADDRESS: &str = "10.0.2.15";
/// How long a command of fleetctl may take.
const COMMAND: Duration = Duration::from_secs(120);

/// Writes the units as `core` has them in its folder; `\047` is a quote to printf.
const FILES: &str = r"
printf '[Service]\nExecStart=/usr/bin/sleep 500\n' > foo.service
printf '[Service]\nExecStart=/usr/bin/sh -c \047echo LAST_WORDS; exit 1\047\n' > bad.service
printf '[Service]\nExecStart=/usr/bin/sleep infinity\n' > kept.service";

/// Types the session; a unit is left running for the next boots.
pub fn session(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    lab.check("fleet is active, and core may ask it", || {
        guest.root("systemctl is-active fleet.service")?;
        let machines = until(guest, "fleetctl list-machines --no-legend", ADDRESS)?;
        ensure!(machines.lines().count() == 1, "one machine is there, not:\n{machines}");
        Ok(())
    })?;
    guest.sh(&FILES.replace("LAST_WORDS", LAST_WORDS))?;
    let id = guest.sh("cat /etc/machine-id")?;
    let target = target(&id)?;
    lab.check("`fleetctl start` says where the unit runs, and it does", || {
        let said = fleetctl(guest, "start foo.service")?;
        ensure!(said == format!("Unit {FOO} launched on {target}"), "it said `{said}`");
        let state = guest.sh("systemctl is-active foo.service")?;
        ensure!(state == "active", "systemd says {state}");
        expect_row(&fleetctl(guest, "list-units --no-legend")?, &[FOO, &target, "active", "running"])?;
        let status = guest.run("fleetctl status foo.service", COMMAND)?.stdout;
        ensure!(status.contains("active (running)"), "its status is:\n{status}");
        Ok(())
    })?;
    lab.check("fleetctl reaches it through a tunnel of SSH", || tunnel::leads_there(guest, &id))?;
    lab.check("a unit that fails is shown as failed, with its last words", || {
        // Whether it was seen running before it failed is not what is looked at.
        guest.run("fleetctl start bad.service", COMMAND)?;
        let units = until(guest, "fleetctl list-units --no-legend", "failed")?;
        expect_row(&units, &[BAD, &target, "failed", "failed"])?;
        let journal = fleetctl(guest, "journal bad.service")?;
        ensure!(journal.contains(LAST_WORDS), "its journal has:\n{journal}");
        fleetctl(guest, "destroy bad.service").map(drop)
    })?;
    lab.check("fleetd may be restarted, reloaded and killed while the unit runs on", || runs_on(guest))?;
    lab.check("stop and destroy do what they say", || {
        fleetctl(guest, "stop foo.service")?;
        let files =
            until(guest, "fleetctl list-unit-files --no-legend | grep foo", "loaded[[:space:]]*loaded")?;
        ensure!(files.contains(&target), "it stays where it is: {files}");
        ensure!(guest.run("systemctl is-active foo.service", COMMAND)?.stdout == "inactive", "it still runs");
        fleetctl(guest, "destroy foo.service")?;
        let files = fleetctl(guest, "list-unit-files --no-legend")?;
        ensure!(!files.contains(FOO), "it is still there: {files}");
        Ok(())
    })?;
    lab.check("a unit is left for the next boots", || {
        fleetctl(guest, "start kept.service")?;
        kept_runs(guest)
    })
}

/// Checks that the unit that was left runs.
pub fn kept_runs(guest: &Guest) -> anyhow::Result<()> {
    let target = target(&guest.sh("cat /etc/machine-id")?)?;
    let units = until(guest, "fleetctl list-units --no-legend", "active[[:space:]]*running")?;
    expect_row(&units, &[KEPT, &target, "active", "running"])?;
    let state = guest.sh("systemctl is-active kept.service")?;
    ensure!(state == "active", "systemd says {state}");
    Ok(())
}

/// The unit keeps its process whatever happens to fleetd.
fn runs_on(guest: &Guest) -> anyhow::Result<()> {
    let process = || guest.sh("systemctl show -P MainPID foo.service");
    let before = process()?;
    ensure!(before != "0", "it does not run");
    for command in [
        "systemctl restart fleet.service",
        "systemctl reload fleet.service",
        "systemctl kill -s KILL fleet.service",
    ] {
        guest.root(command)?;
        until(guest, "fleetctl list-units --no-legend", "foo.service.*[[:space:]]active[[:space:]]*running")?;
        let now = process()?;
        ensure!(now == before, "`{command}` made process {before} to {now}");
    }
    Ok(())
}

/// Runs fleetctl as `core`; returns what it printed.
fn fleetctl(guest: &Guest, arguments: &str) -> anyhow::Result<String> {
    let out = guest.run(&format!("fleetctl {arguments}"), COMMAND)?;
    let said = || format!("`fleetctl {arguments}` ended with {}: {} {}", out.status, out.stdout, out.stderr);
    ensure!(out.status == 0, "{}", said());
    Ok(out.stdout)
}

/// Repeats a command until a line of its output has a pattern of grep; returns the output.
fn until(guest: &Guest, command: &str, pattern: &str) -> anyhow::Result<String> {
    let script = format!(
        "until ({command}) 2>&1 | tee /tmp/seen | grep -q '{pattern}'; do sleep 1; done; cat /tmp/seen"
    );
    let out = guest.run(&format!("timeout 120 bash -c \"{}\"", script.replace('"', "\\\"")), COMMAND * 2)?;
    if out.status == 0 {
        return Ok(out.stdout);
    }
    let seen = guest.sh("cat /tmp/seen; journalctl -b -u fleet.service -n 20 -o cat")?;
    anyhow::bail!("`{command}` never had `{pattern}`; at the end it had, with fleet's journal:\n{seen}")
}

/// A machine as fleetctl shows it: the first eight digits of its id, and its address.
fn target(id: &str) -> anyhow::Result<String> {
    let short = id.get(..8).with_context(|| format!("`{id}` is no machine's id"))?;
    Ok(format!("{short}.../{ADDRESS}"))
}

/// Checks that a table has a row with these cells.
fn expect_row(table: &str, cells: &[&str]) -> anyhow::Result<()> {
    let has = table.lines().any(|line| line.split_whitespace().eq(cells.iter().copied()));
    ensure!(has, "no row {cells:?} in:\n{table}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_compared_by_cells() {
        let table = "a.service\tid.../1\tactive\trunning\nb.service\tid.../1\tfailed\tfailed";
        expect_row(table, &["b.service", "id.../1", "failed", "failed"]).unwrap();
        assert!(expect_row(table, &["b.service", "id.../1", "active", "running"]).is_err());
        assert!(expect_row(table, &["b.service", "id.../1", "failed"]).is_err());
    }

    #[test]
    fn a_machine_is_shown_by_eight_digits_and_address() {
        assert_eq!(target("e1cd2bcd00000000000000000000000a").unwrap(), "e1cd2bcd.../10.0.2.15");
        assert!(target("e1").is_err());
    }
}
