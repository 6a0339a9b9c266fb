//! What runs, as the supervisor says it in `cluster.json`.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use super::config;
use super::place::Place;
use super::plan::Plan;
use crate::durable;

/// Of [`State`].
const FORMAT: u32 = 1;

/// A cluster that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// 1.
    pub format: u32,
    /// Process of the supervisor.
    pub pid: u32,
    /// Version of the image that the machines were made from.
    pub version: String,
    /// The tools tree with which they are entered.
    pub tools: PathBuf,
    /// Whether they are emulated.
    pub emulated: bool,
    /// URL of the update server on this machine; none before it listens.
    pub updates: Option<String>,
    /// The machines, in the order of their numbers.
    pub machines: Vec<Machine>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// From 1.
    pub number: u8,
    /// `m` and the number.
    pub name: String,
    /// Address on the private network.
    pub address: Ipv4Addr,
    /// Whether it is on.
    pub power: Power,
}

/// Whether a machine is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// It was not started yet.
    Waiting,
    /// It is on; the port on 127.0.0.1 leads to its SSH.
    On(u16),
    /// It has ended, and how.
    Off(String),
}

impl State {
    /// Returns the state before any machine is on.
    pub fn new(plan: &Plan, pid: u32) -> Self {
        let machine = |number| Machine {
            number,
            name: config::name(number),
            address: config::address(number),
            power: Power::Waiting,
        };
        Self {
            format: FORMAT,
            pid,
            version: plan.version.clone(),
            tools: plan.tools.clone(),
            emulated: plan.emulated,
            updates: None,
            machines: (1..=plan.size).map(machine).collect(),
        }
    }

    /// Says what became of a machine's power.
    pub fn set(&mut self, number: u8, power: Power) {
        if let Some(machine) = self.machines.iter_mut().find(|machine| machine.number == number) {
            machine.power = power;
        }
    }

    /// Returns the state of the cluster that runs.
    pub fn of_running(place: &Place) -> anyhow::Result<Self> {
        place.ensure_used()?;
        Self::read(&place.state())?.context("the cluster is only being started: try again in a moment")
    }

    /// Reads the state; `None` if there is none.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err).with_context(|| format!("reading {}", path.display())),
        };
        let state: Self =
            serde_json::from_slice(&bytes).with_context(|| format!("parsing {}", path.display()))?;
        ensure!(
            state.format == FORMAT,
            "{}: format {}, not {FORMAT}: the cluster is one of another version of xtask; end process {} first",
            path.display(),
            state.format,
            state.pid
        );
        Ok(Some(state))
    }

    /// Writes the state.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        durable::write(path, &serde_json::to_vec_pretty(self)?)
    }

    /// Returns a machine and its port, if it is on.
    pub fn machine_on(&self, number: u8) -> anyhow::Result<(&Machine, u16)> {
        let Some(machine) = self.machines.iter().find(|machine| machine.number == number) else {
            let names: Vec<&str> = self.machines.iter().map(|machine| machine.name.as_str()).collect();
            bail!("the cluster has no {}, only {}", config::name(number), names.join(", "));
        };
        match &machine.power {
            Power::On(port) => Ok((machine, *port)),
            Power::Waiting => bail!("{} is not started yet: try again in a moment", machine.name),
            Power::Off(why) => bail!(
                "{} is off ({why}): `cargo xtask cluster down`, then `up` makes the cluster anew",
                machine.name
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cluster::plan::made;

    #[test]
    fn a_state_is_read_as_it_was_written_and_another_format_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.json");
        assert_eq!(State::read(&path).unwrap(), None);
        let mut state = State::new(&made::plan(3), 17);
        state.set(1, Power::On(40123));
        state.set(2, Power::Off("QEMU ended with exit status: 0".to_owned()));
        state.write(&path).unwrap();
        assert_eq!(State::read(&path).unwrap().unwrap(), state);
        state.format = 2;
        state.write(&path).unwrap();
        let refused = format!("{:#}", State::read(&path).unwrap_err());
        assert!(
            refused.ends_with(
                "format 2, not 1: the cluster is one of another version of xtask; end process 17 first"
            ),
            "{refused}"
        );
        fs::write(&path, "{").unwrap();
        assert!(format!("{:#}", State::read(&path).unwrap_err()).contains("parsing "));
    }

    #[test]
    fn only_a_machine_that_is_on_is_entered() {
        let mut state = State::new(&made::plan(3), 17);
        state.set(1, Power::On(40123));
        state.set(2, Power::Off("it was powered off".to_owned()));
        let (machine, port) = state.machine_on(1).unwrap();
        assert_eq!((machine.name.as_str(), port), ("m1", 40123));
        let refused = [2, 3, 4].map(|number| state.machine_on(number).unwrap_err().to_string());
        assert_eq!(
            refused,
            [
                "m2 is off (it was powered off): `cargo xtask cluster down`, then `up` makes the cluster anew",
                "m3 is not started yet: try again in a moment",
                "the cluster has no m4, only m1, m2, m3",
            ]
        );
    }
}
