//! Who plays in a history: machines with metadata, units with two contents each.

use std::collections::BTreeMap;

use fleet_core::model::MachineId;
use fleet_core::name::UnitName;
use fleet_core::requirements::Requirements;

use crate::random::Rng;

#[derive(Debug)]
pub struct Cast {
    pub machines: Vec<MachineId>,
    pub metadata: Vec<BTreeMap<String, String>>,
    pub units: Vec<Role>,
    numbers: BTreeMap<UnitName, usize>,
}

#[derive(Debug)]
pub struct Role {
    pub name: UnitName,
    pub contents: [Requirements; 2],
    pub life: Life,
}

/// What becomes of a unit that is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Runs,
    Fails,
    /// Is a oneshot and ends well.
    Ends,
}

pub const HASHES: [&str; 2] = ["first", "second"];

impl Role {
    pub fn is_global(&self) -> bool {
        self.contents[0].global
    }

    pub fn is_exclusive(&self) -> bool {
        self.contents[0].exclusive
    }
}

impl Cast {
    pub fn draw(rng: &mut Rng) -> Self {
        let count = 3 + rng.index(3);
        let machines = (0..count).map(|n| MachineId(format!("{n:032x}"))).collect();
        let zone = |n: usize| BTreeMap::from([("az".to_owned(), ["a", "b"][n % 2].to_owned())]);
        let mut units = vec![role(rng, 4, 0), role(rng, 0, 1)];
        for n in 2..3 + rng.index(4) {
            let kind = rng.index(13);
            units.push(role(rng, kind, n));
        }
        units.sort_by(|a, b| a.name.cmp(&b.name));
        let numbers = units.iter().enumerate().map(|(n, unit)| (unit.name.clone(), n)).collect();
        Self { machines, metadata: (0..count).map(zone).collect(), units, numbers }
    }

    pub fn unit(&self, name: &UnitName) -> usize {
        self.numbers[name]
    }

    pub fn machine(&self, id: &MachineId) -> usize {
        self.machines.iter().position(|other| other == id).unwrap()
    }
}

fn role(rng: &mut Rng, kind: usize, n: usize) -> Role {
    let mut wants = Requirements { run_once: true, ..Requirements::default() };
    let zone = |value: &str| BTreeMap::from([("az".to_owned(), [value.to_owned()].into())]);
    let mut life = Life::Runs;
    let name = match kind {
        1 | 2 => {
            wants.conflicts = vec!["web@*.service".to_owned()];
            format!("web@{n}.service")
        }
        3 => {
            wants.machine_of = ["plain1.service".to_owned()].into();
            format!("follower{n}.service")
        }
        4 | 5 => {
            wants.exclusive = true;
            format!("only{n}.service")
        }
        6 => {
            life = Life::Ends;
            wants.run_once = rng.percent(70);
            format!("job{n}.service")
        }
        7 => {
            life = Life::Fails;
            format!("broken{n}.service")
        }
        8 => {
            wants.global = true;
            format!("global{n}.service")
        }
        9 => {
            wants.global = true;
            wants.conflicts = vec!["web@*.service".to_owned()];
            format!("guest{n}.service")
        }
        10 => {
            wants.replaces = vec!["plain1.service".to_owned()];
            format!("heir{n}.service")
        }
        11 => {
            wants.spread_by = Some("az".to_owned());
            format!("spread@{n}.service")
        }
        12 => {
            wants.metadata = zone("b");
            format!("zoned{n}.service")
        }
        _ => format!("plain{n}.service"),
    };
    let mut second = wants.clone();
    if rng.percent(30) {
        second.metadata = zone("a");
    }
    Role { name: UnitName::parse(&name).unwrap(), contents: [wants, second], life }
}
