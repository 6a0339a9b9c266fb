//! What becomes of each machine while the cluster comes up: one line a machine on a terminal, else a line a step.

use std::fmt;
use std::time::Instant;

use indicatif::ProgressBar;

use super::ask::{Program, Said};
use super::view::{Role, role};
use crate::log::Log;

/// How far a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It was not started yet.
    Waiting,
    /// Its power is on.
    Power,
    /// `core` logged in.
    Login,
    /// Its etcd has a leader and takes a write.
    Etcd,
    /// Its fleet sees all machines.
    Fleet,
    /// Its health checks passed: its boot is complete.
    Healthy,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waits for its start",
            Self::Power => "power is on",
            Self::Login => "core logs in",
            Self::Etcd => "etcd is a healthy member",
            Self::Fleet => "fleet sees all machines",
            Self::Healthy => "its health checks passed",
        })
    }
}

/// How far a machine of `size` is that was logged in to.
pub fn stage(said: &Said, size: usize) -> Stage {
    let document = |program: Program| said.get(&program).and_then(|said| said.as_ref().ok());
    let has_leader = document(Program::Etcd)
        .and_then(role)
        .is_some_and(|role| matches!(role, Role::Leader | Role::Follower));
    let is_healthy = document(Program::Health).is_some_and(|health| health[0]["health"] == true);
    let seen = document(Program::Machines).and_then(|machines| machines.as_array()).map_or(0, Vec::len);
    let is_complete = document(Program::Slipway).is_some_and(|status| status["boot_complete"] == "passed");
    match (has_leader && is_healthy, seen == size, is_complete) {
        (true, true, true) => Stage::Healthy,
        (true, true, false) => Stage::Fleet,
        (true, false, _) => Stage::Etcd,
        (false, ..) => Stage::Login,
    }
}

/// What a machine's failed health checks said; it does not become healthy in this boot.
pub fn sickness(said: &Said) -> Option<&str> {
    said.get(&Program::Slipway)?.as_ref().ok()?["health_failure"].as_str()
}

/// Why a machine is no farther, for whoever waited too long.
pub fn reason(said: &Said) -> Option<String> {
    let reason = |(program, said): (&Program, &Result<_, String>)| {
        said.as_ref().err().map(|reason| format!("{}: {reason}", program.name()))
    };
    said.iter().find_map(reason)
}

/// The line of one machine.
#[derive(Debug)]
pub struct Line<'a> {
    log: &'a Log,
    name: &'a str,
    bar: ProgressBar,
    stage: Stage,
    start: Instant,
}

impl<'a> Line<'a> {
    /// Begins the line.
    pub fn new(log: &'a Log, name: &'a str, start: Instant) -> Self {
        let bar = log.spinner(name);
        bar.set_message(Stage::Waiting.to_string());
        Self { log, name, bar, stage: Stage::Waiting, start }
    }

    /// Says how far the machine is, if that has changed.
    pub fn show(&mut self, stage: Stage) {
        if stage == self.stage {
            return;
        }
        self.stage = stage;
        self.bar.set_message(stage.to_string());
        if self.bar.is_hidden() {
            let secs = self.start.elapsed().as_secs();
            self.log.line(&format!("{secs:>5} s  {}: {stage}", self.name));
        }
    }

    /// Leaves the line as it is.
    pub fn finish(&self) {
        self.bar.finish();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(etcd: bool, health: bool, machines: usize, boot: &str) -> Said {
        let status = json!([{ "Status": { "header": { "member_id": 1 }, "leader": u8::from(etcd) } }]);
        let machines: Vec<_> = (0..machines).map(|id| json!({ "id": id })).collect();
        [
            (Program::Etcd, Ok(status)),
            (Program::Health, Ok(json!([{ "health": health }]))),
            (Program::Machines, Ok(json!(machines))),
            (Program::Slipway, Ok(json!({ "boot_complete": boot, "health_failure": null }))),
        ]
        .into()
    }

    #[test]
    fn a_machine_is_as_far_as_all_that_came_before() {
        assert_eq!(stage(&said(false, true, 3, "passed"), 3), Stage::Login);
        assert_eq!(stage(&said(true, false, 3, "passed"), 3), Stage::Login);
        assert_eq!(stage(&said(true, true, 2, "passed"), 3), Stage::Etcd);
        assert_eq!(stage(&said(true, true, 3, "waiting"), 3), Stage::Fleet);
        assert_eq!(stage(&said(true, true, 3, "failed"), 3), Stage::Fleet);
        assert_eq!(stage(&said(true, true, 3, "passed"), 3), Stage::Healthy);
        assert_eq!(stage(&Said::new(), 3), Stage::Login);
    }

    #[test]
    fn a_machine_whose_health_checks_failed_is_sick() {
        let mut said = said(true, true, 3, "failed");
        assert_eq!(sickness(&said), None);
        said.insert(
            Program::Slipway,
            Ok(json!({ "boot_complete": "failed", "health_failure": "sshd: off" })),
        );
        assert_eq!(sickness(&said), Some("sshd: off"));
        said.insert(Program::Slipway, Err("no slipway".to_owned()));
        assert_eq!(sickness(&said), None);
    }

    #[test]
    fn the_first_program_without_an_answer_is_the_reason() {
        let mut said = said(true, true, 3, "passed");
        assert_eq!(reason(&said), None);
        said.insert(Program::Machines, Err("no etcd".to_owned()));
        assert_eq!(reason(&said).as_deref(), Some("fleetctl list-machines: no etcd"));
        said.insert(Program::Health, Err("unhealthy".to_owned()));
        assert_eq!(reason(&said).as_deref(), Some("etcdctl endpoint health: unhealthy"));
    }
}
