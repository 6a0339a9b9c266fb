//! A registry in memory to which decisions are applied.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet_core::engine::{
    Action, Claim, Decision, Entry, Known, Place, Reported, Seen, Snapshot, Told, Unit, explain, pass, told,
};
use fleet_core::model::{Hold, Machine, MachineId, Report, State};
use fleet_core::moment::Moment;
use fleet_core::name::UnitName;
use fleet_core::requirements::Requirements;
use fleet_core::unit_file::UnitFile;

pub struct Lab {
    pub snapshot: Snapshot,
    pub now: Moment,
    revision: i64,
}

pub fn name(text: &str) -> UnitName {
    UnitName::parse(text).unwrap()
}

/// Machine `n` as an id.
pub fn id(n: usize) -> MachineId {
    MachineId(format!("{n:032x}"))
}

impl Lab {
    /// Machines 1 to `count`, without metadata.
    pub fn of(count: usize) -> Self {
        let mut lab = Self { snapshot: Snapshot::default(), now: Moment(1_000_000), revision: 1 };
        (1..=count).for_each(|n| lab.join(n, &[]));
        lab
    }

    pub fn join(&mut self, n: usize, metadata: &[(&str, &str)]) {
        let metadata: BTreeMap<String, String> =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let machine = Machine { id: id(n), ip: String::new(), metadata, hold: Hold::None };
        self.snapshot.machines.insert(id(n), Seen::Known(machine));
    }

    pub fn hold(&mut self, n: usize, hold: Hold) {
        let Some(Seen::Known(machine)) = self.snapshot.machines.get_mut(&id(n)) else {
            panic!("no machine {n}")
        };
        machine.hold = hold;
    }

    pub fn lose(&mut self, machines: &[usize]) {
        self.see();
        for n in machines {
            self.snapshot.machines.remove(&id(*n)).unwrap();
        }
        self.see();
    }

    pub fn see(&mut self) {
        self.snapshot.observe(self.now);
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.see();
    }

    /// Wants a unit launched; `fleet` is what its section `[X-Fleet]` has.
    pub fn start(&mut self, unit: &str, fleet: &str) {
        self.want(unit, fleet, State::Launched);
    }

    pub fn want(&mut self, unit: &str, fleet: &str, desired: State) {
        let unit = name(unit);
        let text = format!("[Service]\nExecStart=/usr/bin/sleep 500\n\n[X-Fleet]\n{fleet}\n");
        let file = UnitFile::parse(&text).unwrap();
        let (requirements, _) = Requirements::of(&unit, &file).unwrap();
        self.revision += 1;
        let global = requirements.global;
        let known = Known {
            modification: self.revision,
            hash: file.hash().to_owned(),
            desired,
            requirements,
            oneshot: false,
        };
        let units = if global { &mut self.snapshot.globals } else { &mut self.snapshot.units };
        units.insert(unit, Unit::Known(known));
    }

    pub fn known(&mut self, unit: &str) -> &mut Known {
        match self.snapshot.units.get_mut(&name(unit)) {
            Some(Unit::Known(known)) => known,
            _ => panic!("{unit} is not known"),
        }
    }

    /// Writes an entry by hand.
    pub fn place(&mut self, unit: &str, n: usize) {
        let known = self.known(unit).clone();
        self.put(&name(unit), &id(n), &known, false, "by hand");
    }

    fn put(&mut self, unit: &UnitName, machine: &MachineId, known: &Known, finished: bool, reason: &str) {
        self.revision += 1;
        let place = Place {
            modification: self.revision,
            hash: known.hash.clone(),
            desired: known.desired,
            finished,
            reason: reason.to_owned(),
        };
        let entries = self.snapshot.entries.entry(unit.clone()).or_default();
        entries.insert(machine.clone(), Entry::Known(place));
    }

    pub fn report(&mut self, unit: &str, n: usize, active: &str, sub: &str) {
        let Entry::Known(place) = &self.snapshot.entries[&name(unit)][&id(n)] else { panic!("frozen") };
        let report = Report {
            hash: place.hash.clone(),
            load: "loaded".to_owned(),
            active: active.to_owned(),
            sub: sub.to_owned(),
            started: true,
        };
        let reported = Reported { report, entry: place.modification };
        self.snapshot.reports.entry(name(unit)).or_default().insert(id(n), reported);
    }

    pub fn claim(&mut self, unit: &str, n: usize) {
        self.revision += 1;
        let claim = Claim::Known { machine: id(n), modification: self.revision };
        self.snapshot.claims.insert(name(unit), claim);
    }

    /// Makes one pass and writes what it decides.
    pub fn pass(&mut self) -> Vec<Decision> {
        self.see();
        let decisions = pass(&self.snapshot, self.now);
        for decision in &decisions {
            self.write(decision);
        }
        decisions
    }

    /// Passes until there is nothing to do, which must be soon, and returns all reasons.
    #[track_caller]
    pub fn settle(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..5 {
            let decisions = self.pass();
            if decisions.is_empty() {
                return said;
            }
            said.extend(decisions.iter().map(|decision| decision.reason.to_string()));
        }
        panic!("no rest: {said:#?}");
    }

    fn write(&mut self, decision: &Decision) {
        let reason = decision.reason.to_string();
        let known = |lab: &Self, unit: &UnitName| lab.snapshot.units[unit].known().unwrap().clone();
        match &decision.action {
            Action::Place { unit, machine, .. } => {
                self.put(unit, machine, &known(self, unit), false, &reason)
            }
            Action::Move { unit, from, to, finished, .. } => {
                self.snapshot.entries.get_mut(unit).unwrap().remove(from).unwrap();
                self.put(unit, to, &known(self, unit), *finished, &reason);
            }
            Action::Change { unit, machine, finished, .. } => {
                self.put(unit, machine, &known(self, unit), *finished, &reason);
            }
            Action::Remove { unit, machine, .. } => {
                let entries = self.snapshot.entries.get_mut(unit).unwrap();
                entries.remove(machine).unwrap();
                if entries.is_empty() {
                    self.snapshot.entries.remove(unit);
                }
            }
            Action::Release { unit, .. } => {
                self.snapshot.claims.remove(unit).unwrap();
            }
            Action::Rebalanced => self.snapshot.rebalance = false,
        }
    }

    /// Number of the machine that a unit is on.
    pub fn at(&self, unit: &str) -> Option<usize> {
        let entries = self.snapshot.entries.get(&name(unit))?;
        assert_eq!(entries.len(), 1, "{unit} is on {entries:?}");
        let MachineId(text) = entries.keys().next()?;
        usize::from_str_radix(text, 16).ok()
    }

    /// How many units each of the machines 1 to `count` has.
    pub fn loads(&self, count: usize) -> Vec<usize> {
        let on = |n: usize| self.snapshot.entries.values().filter(|all| all.contains_key(&id(n))).count();
        (1..=count).map(on).collect()
    }

    /// What the engine tells of lost machines; the clock on the wall shows what its own does.
    pub fn told(&self) -> BTreeMap<MachineId, Told> {
        told(&self.snapshot, self.now, Duration::from_millis(self.now.0))
    }

    /// What the engine tells of machine `n`: from when to when, by the clock of the day, and whether with many.
    pub fn told_of(&self, n: usize) -> Option<(String, Option<String>, bool)> {
        let Told { since, moves, mass } = *self.told().get(&id(n))?;
        let clock = |time: fleet_core::utc::Utc| time.to_string()["1970-01-01T".len()..].to_owned();
        Some((clock(since), moves.map(clock), mass))
    }

    /// What `explain` says in one line, and of machine `n`, to whom the engine has told all.
    pub fn explain(&self, unit: &str, n: usize) -> (String, Vec<String>) {
        explained(&Snapshot { told: self.told(), ..self.snapshot.clone() }, self.now, unit, n)
    }

    /// The same where no engine has told anything.
    pub fn explain_untold(&self, unit: &str) -> String {
        explained(&Snapshot { told: BTreeMap::new(), ..self.snapshot.clone() }, self.now, unit, 0).0
    }
}

fn explained(snapshot: &Snapshot, now: Moment, unit: &str, n: usize) -> (String, Vec<String>) {
    let said = explain(snapshot, &name(unit), now).unwrap();
    let of = said.machines.get(&id(n));
    let of = of.map(|found| found.iter().map(ToString::to_string).collect()).unwrap_or_default();
    (said.summary.replace(&"0".repeat(31), ""), of)
}
