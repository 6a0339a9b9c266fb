//! What docs/operating/cluster.md promises, typed as a person would: a cluster comes up, takes an update one machine
//! after another, leaves a bad one after one machine has tried it, and goes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::ctx::Ctx;
use crate::durable;

const SIZE: &str = "3";
/// From the offer of a version to the last machine that runs it; three emulated machines reboot one after another.
const ROLL: Duration = Duration::from_secs(3600);
const LOOK: Duration = Duration::from_secs(10);
/// A health program of the bad version, and what it says.
const SICK: &str = "usr/lib/slipway/health.d/50-sick";
const COMPLAINT: &str = "the patient is sick";

/// The document of `cluster status --json`.
#[derive(Debug, Deserialize)]
struct View {
    image_version: String,
    failed_versions: Vec<Failed>,
    machines: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Failed {
    version: String,
    by: Option<String>,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    id: Option<String>,
    version: Option<String>,
    boot_complete: Option<String>,
    etcd: Option<String>,
    lock: Option<String>,
}

/// Runs the commands on the checkout's own cluster, and ends it whatever becomes of them.
pub fn takes_a_good_and_refuses_a_bad_update(ctx: &Ctx, image_dir: &Path) -> anyhow::Result<()> {
    let desk = Desk::new(ctx)?;
    let outcome = desk.lives(ctx, image_dir);
    if outcome.is_err() {
        // What cannot be shown adds nothing to the failure.
        let _ = desk.cluster(&["status"]);
    }
    outcome.and(desk.cluster(&["down"]))
}

/// This program, under a name that stays: compiling its tests replaces its file while it runs.
struct Desk {
    program: PathBuf,
    target: PathBuf,
}

impl Desk {
    fn new(ctx: &Ctx) -> anyhow::Result<Self> {
        let dir = ctx.target.join("soak");
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let program = dir.join("xtask");
        // Another run's cluster may still execute it.
        durable::remove_if_there(&program)?;
        fs::copy("/proc/self/exe", &program).context("copying the running program")?;
        Ok(Self { program, target: ctx.target.clone() })
    }

    fn lives(&self, ctx: &Ctx, image_dir: &Path) -> anyhow::Result<()> {
        let image_dir = image_dir.to_str().context("the image's folder is no UTF-8")?;
        self.cluster(&["up", SIZE, "--image-dir", image_dir])?;
        self.look(ctx, View::is_formed)?;
        self.cluster(&["apply"])?;
        self.look(ctx, View::is_updated)?;
        self.cluster(&["ssh", "2", "--", "fleetctl", "list-machines"])?;
        let sick = ctx.target.join("soak/sick");
        make_sick(&sick)?;
        self.cluster(&["apply", "--overlay", sick.to_str().context("the target folder is no UTF-8")?])?;
        self.look(ctx, View::has_refused)?;
        self.cluster(&["status"])
    }

    /// Looks at the cluster until all is as it should be.
    fn look(&self, ctx: &Ctx, wanted: fn(&View) -> Result<(), String>) -> anyhow::Result<()> {
        let end = Instant::now() + ROLL;
        loop {
            ctx.cancel.check()?;
            let view = self.status()?;
            view.one_at_a_time()?;
            match wanted(&view) {
                Ok(()) => return Ok(()),
                Err(missing) if end <= Instant::now() => bail!("after {} s: {missing}", ROLL.as_secs()),
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    fn status(&self) -> anyhow::Result<View> {
        let out =
            self.command(&["status", "--json"]).output().context("starting the status of the cluster")?;
        ensure!(out.status.success(), "`cluster status`: {}", String::from_utf8_lossy(&out.stderr).trim());
        serde_json::from_slice(&out.stdout).context("parsing what `cluster status --json` printed")
    }

    /// Runs a command of the cluster, which says by itself what it does.
    fn cluster(&self, args: &[&str]) -> anyhow::Result<()> {
        let status = self.command(args).status().with_context(|| format!("starting cluster {args:?}"))?;
        ensure!(status.success(), "`cargo xtask cluster {}` ended with {status}", args.join(" "));
        Ok(())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("cluster").args(args).env("CARGO_TARGET_DIR", &self.target);
        command
    }
}

/// Makes an overlay that no machine is healthy with.
fn make_sick(overlay: &Path) -> anyhow::Result<()> {
    let program = overlay.join(SICK);
    let write = || {
        fs::create_dir_all(program.parent().unwrap_or(overlay))?;
        fs::write(&program, format!("#!/bin/sh\necho {COMPLAINT}\nexit 1\n"))?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
    };
    write().with_context(|| format!("writing {}", program.display()))
}

impl View {
    /// Every machine is healthy and a member of etcd, which has a leader.
    fn is_formed(&self) -> Result<(), String> {
        for row in &self.machines {
            let is_member = matches!(row.etcd.as_deref(), Some("leader" | "follower"));
            if row.boot_complete.as_deref() != Some("passed") || !is_member {
                return Err(format!("{} is not there: {row:?}", row.name));
            }
        }
        match self.machines.iter().filter(|row| row.etcd.as_deref() == Some("leader")).count() {
            1 => Ok(()),
            n_leaders => Err(format!("{n_leaders} machines lead etcd")),
        }
    }

    /// Every machine is there with one newer version, and nobody holds a slot.
    fn is_updated(&self) -> Result<(), String> {
        self.is_formed()?;
        let [first, ..] = self.machines.as_slice() else { return Err("no machine".to_owned()) };
        for row in &self.machines {
            let is_new = row.version.as_ref().is_some_and(|version| *version != self.image_version);
            if !is_new || row.version != first.version || row.lock.is_none() || row.holds() {
                return Err(format!("{} has not arrived: {row:?}", row.name));
            }
        }
        Ok(())
    }

    /// One machine has tried a version that is sick, and all have the one before it again, as in [`View::is_updated`].
    fn has_refused(&self) -> Result<(), String> {
        self.is_updated()?;
        let [failed] = self.failed_versions.as_slice() else {
            return Err(format!("{} versions failed", self.failed_versions.len()));
        };
        let is_why = failed.reason.as_ref().is_some_and(|reason| reason.contains(COMPLAINT));
        let is_one_of_us = self.machines.iter().any(|row| row.id.is_some() && row.id == failed.by);
        let has_it = |row: &Row| row.version.as_ref() == Some(&failed.version);
        if !is_why || !is_one_of_us || self.machines.iter().any(has_it) {
            return Err(format!("it failed otherwise: {failed:?}"));
        }
        Ok(())
    }

    /// The maximum of a new group is one.
    fn one_at_a_time(&self) -> anyhow::Result<()> {
        let holders: Vec<&Row> = self.machines.iter().filter(|row| row.holds()).collect();
        ensure!(holders.len() <= 1, "more than one machine holds a slot: {holders:?}");
        Ok(())
    }
}

impl Row {
    fn holds(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.starts_with("holds"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Three machines of 0.1.0, changed.
    fn view(change: impl FnOnce(&mut [Value])) -> View {
        let row = |name: &str, etcd: &str| {
            json!({ "name": name, "id": name.repeat(2), "version": "0.1.0", "boot_complete": "passed",
            "etcd": etcd, "lock": "none" })
        };
        let mut rows = [row("m1", "follower"), row("m2", "leader"), row("m3", "follower")];
        change(&mut rows);
        let view = json!({ "image_version": "0.1.0", "failed_versions": [], "machines": rows });
        serde_json::from_value(view).unwrap()
    }

    fn set(rows: &mut [Value], field: &str, values: [Value; 3]) {
        rows.iter_mut().zip(values).for_each(|(row, value)| row[field] = value);
    }

    #[test]
    fn a_cluster_is_formed_by_healthy_members_with_one_leader() {
        view(|_| {}).is_formed().unwrap();
        view(|rows| rows[0]["boot_complete"] = Value::Null).is_formed().unwrap_err();
        view(|rows| rows[1]["etcd"] = json!("no-leader")).is_formed().unwrap_err();
        view(|rows| rows[0]["etcd"] = json!("leader")).is_formed().unwrap_err();
        view(|rows| rows[2]["etcd"] = Value::Null).is_formed().unwrap_err();
    }

    #[test]
    fn a_cluster_is_updated_when_all_have_one_newer_version_and_no_slot() {
        let new = || json!("0.1.1");
        view(|_| {}).is_updated().unwrap_err();
        view(|rows| set(rows, "version", [new(), new(), new()])).is_updated().unwrap();
        view(|rows| set(rows, "version", [new(), new(), json!("0.1.0")])).is_updated().unwrap_err();
        view(|rows| set(rows, "version", [new(), new(), json!("0.1.2")])).is_updated().unwrap_err();
        let held = |lock: Value| {
            view(|rows| {
                set(rows, "version", [new(), new(), new()]);
                rows[2]["lock"] = lock;
            })
        };
        held(json!("idle")).is_updated().unwrap();
        held(json!("holds for 0.1.1")).is_updated().unwrap_err();
        held(Value::Null).is_updated().unwrap_err();
    }

    #[test]
    fn a_bad_version_is_refused_when_one_has_tried_it_and_none_has_it() {
        let refused = |version: &str, failed: &[[&str; 3]]| {
            let mut view = view(|rows| {
                set(rows, "version", [json!("0.1.1"), json!("0.1.1"), json!("0.1.1")]);
            });
            view.failed_versions = failed
                .iter()
                .map(|[version, by, reason]| Failed {
                    version: (*version).to_owned(),
                    by: Some((*by).to_owned()),
                    reason: Some((*reason).to_owned()),
                })
                .collect();
            view.machines[0].version = Some(version.to_owned());
            view.has_refused()
        };
        let sick = ["0.1.2", "m2m2", "programs: 50-sick: the patient is sick"];
        refused("0.1.1", &[sick]).unwrap();
        refused("0.1.1", &[]).unwrap_err();
        refused("0.1.1", &[sick, sick]).unwrap_err();
        refused("0.1.2", &[sick]).unwrap_err();
        refused("0.1.1", &[["0.1.1", "m2m2", COMPLAINT]]).unwrap_err();
        refused("0.1.1", &[["0.1.2", "gone", COMPLAINT]]).unwrap_err();
        refused("0.1.1", &[["0.1.2", "m2m2", "docker"]]).unwrap_err();
    }

    #[test]
    fn two_holders_at_once_are_one_too_many() {
        let held = json!("holds for 0.1.1");
        view(|rows| rows[0]["lock"] = held.clone()).one_at_a_time().unwrap();
        view(|rows| set(rows, "lock", [held.clone(), json!("none"), held.clone()]))
            .one_at_a_time()
            .unwrap_err();
    }
}
