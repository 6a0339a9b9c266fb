//! A cluster in memory that takes its time: unlike the library's fake it has units that come up late, fail, end or
//! stay where they are, a store that goes away, and a list of what was asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use fleet::api::{
    Api, Error, ErrorKind, Explanation, Filter, Look, Machine, MetadataChange, Move, Page, Put, Token, Unit,
    UnitState, Wish,
};
use fleet_core::model::{Hold, State};
use fleet_core::name::UnitName;
use fleet_core::requirements::Requirements;
use fleet_core::unit_file::UnitFile;

/// Rows of a page: few, so that listings of tests have several.
const PAGE: usize = 2;

/// A cluster that tests and the server share.
#[derive(Clone, Default)]
pub struct Cluster(Arc<Mutex<Inner>>);

/// What is in it.
#[derive(Default)]
pub struct Inner {
    /// Machines that are alive.
    pub machines: Vec<Machine>,
    /// Units by name.
    pub units: BTreeMap<String, Stored>,
    /// Every change that was asked for, one line each.
    pub changes: Vec<String>,
    /// In place of every answer.
    pub fault: Option<Error>,
    /// How many answers are an error after the next change.
    pub outage: u32,
    /// How many answers are still an error.
    away: u32,
    /// How many times a unit is looked at before what was asked of it has happened.
    pub lag: u32,
    /// What `rebalance` finds.
    pub moves: Vec<Move>,
    /// Units that do not leave a machine that is drained.
    pub stuck: Vec<String>,
}

/// A unit.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its file.
    pub content: String,
    /// What is wanted of it.
    pub desired: State,
    /// What has come of it.
    pub current: State,
    /// Where it is.
    pub machine: Option<String>,
    /// Looks until `current` becomes what is wanted.
    pub looks: u32,
}

impl Stored {
    fn file(&self) -> UnitFile {
        UnitFile::parse(&self.content).unwrap()
    }

    fn is_global(&self, name: &str) -> bool {
        let name = UnitName::parse(name).unwrap();
        Requirements::of(&name, &self.file()).unwrap().0.global
    }

    /// What systemd says: `/bin/false` fails, what is a oneshot ends, all else runs.
    fn active(&self) -> (&'static str, &'static str) {
        match self.current {
            State::Launched if self.content.contains("/bin/false") => ("failed", "failed"),
            State::Launched if self.content.contains("Type=oneshot") => ("inactive", "dead"),
            State::Launched if self.content.contains("Type=notify") => ("activating", "start"),
            State::Launched => ("active", "running"),
            _ => ("inactive", "dead"),
        }
    }

    fn state(&self, name: &str, machine: &str) -> UnitState {
        let (active, sub) = self.active();
        UnitState {
            name: name.to_owned(),
            hash: self.file().hash().to_owned(),
            machine_id: machine.to_owned(),
            systemd_load_state: "loaded".to_owned(),
            systemd_active_state: active.to_owned(),
            systemd_sub_state: sub.to_owned(),
        }
    }
}

impl Inner {
    fn check(&mut self) -> Result<(), Error> {
        if self.away > 0 {
            self.away -= 1;
            return Err(error(ErrorKind::Unavailable, "no leader"));
        }
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// Places what is wanted on a machine and is on none, and takes away what is not wanted.
    fn settle(&mut self, name: &str) {
        let mut unit = self.units[name].clone();
        if unit.looks > 0 {
            unit.looks -= 1;
        } else if unit.desired == State::Inactive {
            (unit.machine, unit.current) = (None, State::Inactive);
        } else if !unit.is_global(name) {
            if unit.machine.is_none() && !unit.content.contains("MachineMetadata=") {
                unit.machine = self.least();
            }
            unit.current = if unit.machine.is_some() { unit.desired } else { State::Inactive };
        } else {
            unit.current = unit.desired;
        }
        self.units.insert(name.to_owned(), unit);
    }

    fn least(&self) -> Option<String> {
        let count = |id: &str| self.units.values().filter(|unit| unit.machine.as_deref() == Some(id)).count();
        let free = self.machines.iter().filter(|machine| machine.hold.is_none());
        free.map(|machine| (count(&machine.id), machine.id.clone())).min().map(|(_, id)| id)
    }

    fn entity(&self, name: &str) -> Option<Unit> {
        let unit = self.units.get(name)?;
        let global = unit.is_global(name);
        Some(Unit {
            name: name.to_owned(),
            options: Vec::new(),
            content: Some(unit.content.clone()),
            desired_state: Some(unit.desired),
            current_state: (!global).then_some(unit.current),
            machine_id: unit.machine.clone(),
        })
    }

    fn states(&self) -> Vec<UnitState> {
        let mut states = Vec::new();
        for (name, unit) in &self.units {
            let everywhere = self.machines.iter().map(|machine| machine.id.clone());
            let machines: Vec<String> = match &unit.machine {
                _ if unit.is_global(name) && unit.current > State::Inactive => everywhere.collect(),
                machine => machine.clone().into_iter().collect(),
            };
            states.extend(machines.iter().map(|machine| unit.state(name, machine)));
        }
        states
    }
}

impl Cluster {
    /// A look at what is in it, and a hand on it.
    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Adds a machine.
    pub fn machine(&self, id: &str, ip: &str) {
        let machine =
            Machine { id: id.to_owned(), primary_ip: ip.to_owned(), metadata: BTreeMap::new(), hold: None };
        self.inner().machines.push(machine);
    }

    /// Adds a unit that has come where it is wanted.
    pub fn unit(&self, name: &str, content: &str, desired: State) {
        let current = State::Inactive;
        let unit = Stored { content: content.to_owned(), desired, current, machine: None, looks: 0 };
        let mut inner = self.inner();
        inner.units.insert(name.to_owned(), unit);
        inner.settle(name);
    }

    /// Returns what was asked for since the last time.
    pub fn changes(&self) -> Vec<String> {
        std::mem::take(&mut self.inner().changes)
    }
}

fn error(kind: ErrorKind, message: &str) -> Error {
    Error { kind, message: message.to_owned() }
}

fn missing() -> Error {
    error(ErrorKind::NotFound, "unit does not exist")
}

/// Cuts a page out of all rows; the token's name counts the rows before it.
fn page<T>(rows: Vec<T>, from: Option<Token>) -> Page<T> {
    let start: usize = from.map_or(0, |token| token.after.parse().unwrap());
    let more = rows.len() > start + PAGE;
    let next = more.then(|| Token { revision: 1, after: (start + PAGE).to_string() });
    Page { rows: rows.into_iter().skip(start).take(PAGE).collect(), next }
}

impl Api for Cluster {
    async fn units(&self, from: Option<Token>) -> Result<Page<Unit>, Error> {
        let mut inner = self.inner();
        inner.check()?;
        Ok(page(inner.units.keys().filter_map(|name| inner.entity(name)).collect(), from))
    }

    async fn unit(&self, name: &str) -> Result<Unit, Error> {
        let mut inner = self.inner();
        inner.check()?;
        if inner.units.contains_key(name) {
            inner.settle(name);
        }
        inner.entity(name).ok_or_else(missing)
    }

    async fn put_unit(&self, name: &str, wish: Wish) -> Result<Put, Error> {
        let mut inner = self.inner();
        inner.check()?;
        let is_template = UnitName::parse(name).unwrap().is_template();
        if is_template && wish.desired.is_some_and(|desired| desired > State::Inactive) {
            return Err(error(ErrorKind::Invalid, "cannot activate template"));
        }
        let content = if wish.content.is_some() { " with content" } else { "" };
        let desired = wish.desired.map_or(String::new(), |desired| format!(" {desired}"));
        inner.changes.push(format!("put {name}{desired}{content}"));
        let looks = inner.lag;
        let put = match inner.units.get_mut(name) {
            Some(unit) => {
                let replaced = wish.content.as_ref().is_some_and(|content| *content != unit.content);
                unit.content = wish.content.unwrap_or_else(|| unit.content.clone());
                unit.desired = wish.desired.unwrap_or(unit.desired);
                unit.looks = looks;
                if replaced { Put::Replaced } else { Put::Kept }
            }
            None => {
                let content =
                    wish.content.ok_or_else(|| error(ErrorKind::Conflict, "the unit has no content"))?;
                let desired = wish.desired.unwrap_or(State::Inactive);
                let unit = Stored { content, desired, current: State::Inactive, machine: None, looks };
                inner.units.insert(name.to_owned(), unit);
                Put::Created
            }
        };
        inner.settle(name);
        inner.away = std::mem::take(&mut inner.outage);
        Ok(put)
    }

    async fn delete_unit(&self, name: &str) -> Result<(), Error> {
        let mut inner = self.inner();
        inner.check()?;
        inner.changes.push(format!("delete {name}"));
        inner.units.remove(name).map(|_| ()).ok_or_else(missing)
    }

    async fn states(&self, filter: Filter, from: Option<Token>) -> Result<Page<UnitState>, Error> {
        let mut inner = self.inner();
        inner.check()?;
        let fits = |state: &UnitState| {
            filter.machine.as_ref().is_none_or(|machine| *machine == state.machine_id)
                && filter.unit.as_ref().is_none_or(|unit| *unit == state.name)
        };
        Ok(page(inner.states().into_iter().filter(fits).collect(), from))
    }

    async fn machines(&self, from: Option<Token>) -> Result<Page<Machine>, Error> {
        let mut inner = self.inner();
        inner.check()?;
        Ok(page(inner.machines.clone(), from))
    }

    async fn change_metadata(&self, _changes: Vec<MetadataChange>) -> Result<(), Error> {
        Err(error(ErrorKind::Invalid, "fleetctl changes no metadata"))
    }

    async fn hold(&self, machine: &str, hold: Hold) -> Result<(), Error> {
        let mut inner = self.inner();
        inner.check()?;
        inner.changes.push(format!("hold {machine} {hold:?}"));
        let word = match hold {
            Hold::None => None,
            Hold::Cordoned => Some("cordoned".to_owned()),
            Hold::Draining => Some("draining".to_owned()),
        };
        if let Some(known) = inner.machines.iter_mut().find(|known| known.id == machine) {
            known.hold = word;
        }
        if hold == Hold::Draining {
            let names: Vec<String> = inner.units.keys().cloned().collect();
            for name in names.into_iter().filter(|name| !inner.stuck.contains(name)).collect::<Vec<_>>() {
                if inner.units[&name].machine.as_deref() == Some(machine) {
                    let target = inner.least();
                    inner.units.get_mut(&name).unwrap().machine = target;
                }
            }
        }
        Ok(())
    }

    async fn explain(&self, name: &str) -> Result<Explanation, Error> {
        let mut inner = self.inner();
        inner.check()?;
        let unit = inner.units.get(name).ok_or_else(missing)?;
        let against = |machine: &Machine| {
            let held = machine.hold.as_ref().map(|hold| format!("is {hold}"));
            let metadata = unit.content.contains("MachineMetadata=").then(|| "has no region=us".to_owned());
            (machine.id.clone(), held.into_iter().chain(metadata).collect())
        };
        let summary = match &unit.machine {
            Some(machine) => format!("on {machine}"),
            None => "on no machine: none is eligible".to_owned(),
        };
        let machines = inner.machines.iter().map(against).collect();
        Ok(Explanation { summary, machines, lost: None })
    }

    async fn rebalance(&self, look: Look) -> Result<Vec<Move>, Error> {
        let mut inner = self.inner();
        inner.check()?;
        if look == Look::AndDo {
            inner.changes.push("rebalance".to_owned());
        }
        Ok(inner.moves.clone())
    }
}
