//! A machine in memory whose service manager does at once what it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet_core::agent::{Here, Job, KnownWish, Lease, Local, Memory, Reading, Task, Wanted, Wish, plan};
use fleet_core::model::{Hold, Machine, MachineId, State};
use fleet_core::moment::Moment;
use fleet_core::name::UnitName;
use fleet_core::requirements::Requirements;

pub struct Lab {
    pub wanted: Wanted,
    pub here: Here,
    pub memory: Memory,
    revision: i64,
}

pub fn name(text: &str) -> UnitName {
    UnitName::parse(text).unwrap()
}

impl Lab {
    pub fn new() -> Self {
        let machine = Machine {
            id: MachineId("1".repeat(32)),
            ip: String::new(),
            metadata: BTreeMap::from([("az".to_owned(), "a".to_owned())]),
            hold: Hold::None,
        };
        let (entries, globals) = (BTreeMap::new(), BTreeMap::new());
        Self {
            wanted: Wanted { reading: Reading::Whole, machine: Some(machine), entries, globals },
            here: Here {
                now: Moment(1_000_000),
                lease: Lease::Alive,
                units: BTreeMap::new(),
                elsewhere: BTreeMap::new(),
            },
            memory: Memory::default(),
            revision: 0,
        }
    }

    pub fn wish(&mut self, hash: &str, desired: State, requirements: Requirements) -> Wish {
        self.revision += 1;
        let (modification, hash) = (self.revision, hash.to_owned());
        Wish::Known(KnownWish { modification, hash, desired, finished: false, requirements })
    }

    /// Wants a unit here.
    pub fn want(&mut self, unit: &str, hash: &str, desired: State) {
        let wish = self.wish(hash, desired, Requirements::default());
        self.wanted.entries.insert(name(unit), wish);
    }

    pub fn want_exclusive(&mut self, unit: &str) {
        let wants = Requirements { exclusive: true, ..Requirements::default() };
        let wish = self.wish("one", State::Launched, wants);
        self.wanted.entries.insert(name(unit), wish);
    }

    pub fn want_global(&mut self, unit: &str, requirements: Requirements) {
        let wish = self.wish("one", State::Launched, Requirements { global: true, ..requirements });
        self.wanted.globals.insert(name(unit), wish);
    }

    pub fn hold(&mut self, hold: Hold) {
        self.wanted.machine.as_mut().unwrap().hold = hold;
    }

    pub fn wait(&mut self, seconds: u64) {
        self.here.now = self.here.now.after(Duration::from_secs(seconds));
    }

    pub fn plan(&self) -> Vec<String> {
        plan(&self.wanted, &self.here, &self.memory).iter().map(word).collect()
    }

    /// Plans and does it all; then there must be nothing left to do.
    #[track_caller]
    pub fn run(&mut self) -> Vec<String> {
        let tasks = plan(&self.wanted, &self.here, &self.memory);
        for task in &tasks {
            self.memory.begin(task);
            self.act(task);
            self.memory.done(task);
        }
        // A claim can only go when the unit has been seen to have stopped.
        let rest = plan(&self.wanted, &self.here, &self.memory);
        for task in &rest {
            assert!(matches!(task, Task::Release(_)), "{tasks:?} is followed by {rest:?}");
            self.memory.done(task);
        }
        assert_eq!(self.plan(), [""; 0]);
        tasks.iter().chain(&rest).map(word).collect()
    }

    fn act(&mut self, task: &Task) {
        match task {
            Task::Unload(unit) => {
                self.here.units.remove(unit);
            }
            Task::Load(unit) => {
                let wish = self.wanted.entries.get(unit).or_else(|| self.wanted.globals.get(unit));
                let Some(Wish::Known(wish)) = wish else { panic!("{unit} is loaded and not known") };
                let local = Local {
                    hash: wish.hash.clone(),
                    load: "loaded".to_owned(),
                    active: "inactive".to_owned(),
                    sub: "dead".to_owned(),
                    job: Job::None,
                };
                self.here.units.insert(unit.clone(), local);
            }
            Task::Stop(unit) => self.become_(unit.as_str(), "inactive", "dead"),
            Task::Start { unit, .. } => self.become_(unit.as_str(), "active", "running"),
            Task::Reload | Task::Release(_) | Task::Claim { .. } => {}
        }
    }

    pub fn become_(&mut self, unit: &str, active: &str, sub: &str) {
        let local = self.here.units.get_mut(&name(unit)).unwrap();
        (local.active, local.sub) = (active.to_owned(), sub.to_owned());
    }

    pub fn came_back(&mut self) {
        self.memory.came_back(&self.wanted, &self.here, Duration::from_secs(30));
    }
}

fn word(task: &Task) -> String {
    match task {
        Task::Unload(unit) => format!("unload {unit}"),
        Task::Load(unit) => format!("load {unit}"),
        Task::Reload => "reload".to_owned(),
        Task::Stop(unit) => format!("stop {unit}"),
        Task::Release(unit) => format!("release {unit}"),
        Task::Claim { unit, .. } => format!("claim {unit}"),
        Task::Start { unit, .. } => format!("start {unit}"),
    }
}
