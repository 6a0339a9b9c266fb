//! A daemon at one of its steps, and what it says in one line.

use std::time::Duration;

use jiff::Timestamp;
use locksmith_core::order::{
    Fleet, Hold, Last, LocalEtcd, Me, Memory, Moment, Next, Reading, Seen, Settings, Step, Wish, step,
};
use locksmith_core::quorum::{Health, Member, MemberId, Role};
use locksmith_core::semaphore::{Outcome, Semaphore, Slot};
use locksmith_core::strategy::Mode;
use locksmith_core::versions::Local;
use locksmith_core::window::Standing;
use slots::Version;

pub const START: u64 = 1_000;

pub fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_764_000_000 + i64::try_from(second).unwrap()).unwrap()
}

pub fn version(n: u64) -> Version {
    format!("{n}.0.0").parse().unwrap()
}

pub fn good(n: u64) -> Outcome {
    Outcome::Good { version: version(n), at: at(0) }
}

pub fn failed(n: u64) -> Outcome {
    let (stage, reason) = ("health-failed".to_owned(), "no answer".to_owned());
    Outcome::Failed { version: version(n), at: at(0), stage, reason }
}

pub fn members(down: &[u64]) -> Vec<Member> {
    let health = |id| if down.contains(&id) { Health::Down } else { Health::Healthy };
    (1..=3).map(|id| Member { id: MemberId(id), role: Role::Voter, health: health(id) }).collect()
}

/// A daemon whose machine runs 1.0.0, which its group knows, and where 2.0.0 waits.
#[derive(Debug, Clone)]
pub struct Lab {
    pub seen: Seen,
    pub reading: Reading,
    pub memory: Memory,
}

pub fn lab() -> Lab {
    let local =
        Local { running: Some(version(1)), blessed: true, waiting: Some(version(2)), failures: vec![] };
    let seen = Seen {
        now: at(START),
        moment: Moment(Duration::from_secs(START)),
        mode: Mode::Locked,
        me: Me { id: "m1".to_owned(), boot: "b1".to_owned(), booted: at(0) },
        local,
        wish: Wish::None,
        standing: Standing::Always,
        terminals: 0,
        last: Last::Done,
        reading: None,
        has_news: false,
        settings: Settings::default(),
        dice: 0,
    };
    let reading = Reading {
        semaphore: Ok(Semaphore::default().record("m1", &good(1))),
        etcd: LocalEtcd::Member { id: MemberId(1), role: Role::Voter, has_leader: true, behind: 0 },
        members: Some(members(&[])),
        fleet: Fleet::Here { hold: Hold::None, units: 2 },
        machines: None,
    };
    Lab { seen, reading, memory: Memory::default() }
}

/// The same with a slot of this boot, on a machine that has no units any more.
pub fn held() -> Lab {
    let mut lab = lab();
    let slot = Slot {
        since: Some(at(500)),
        boot: Some("b1".to_owned()),
        version: Some(version(2)),
        drained: true,
        ..Slot::default()
    };
    lab.reading.fleet = Fleet::Here { hold: Hold::Draining, units: 0 };
    lab.semaphore(|semaphore| semaphore.lock("m1", slot.clone()).unwrap());
    lab
}

/// The same after the reboot.
pub fn back() -> Lab {
    let mut lab = held();
    lab.seen.me = Me { boot: "b2".to_owned(), booted: at(900), ..lab.seen.me };
    lab.seen.local.running = Some(version(2));
    lab.seen.local.waiting = None;
    lab.reading.fleet = Fleet::Here { hold: Hold::None, units: 0 };
    lab
}

impl Lab {
    pub fn semaphore(&mut self, change: impl Fn(&Semaphore) -> Semaphore) {
        self.reading.semaphore = Ok(change(self.reading.semaphore.as_ref().unwrap()));
    }

    /// One step without a reading.
    pub fn look(&mut self) -> Step {
        self.seen.reading = None;
        self.take()
    }

    /// Steps until something is to be done, reading when it is asked for.
    pub fn act(&mut self) -> Step {
        let first = self.look();
        if first.next != Next::Read {
            return first;
        }
        self.seen.reading = Some(self.reading.clone());
        self.take()
    }

    pub fn take(&mut self) -> Step {
        let step = step(&self.seen, &self.memory);
        self.memory = step.memory.clone();
        self.seen.last = Last::Done;
        step
    }

    pub fn fail(&mut self) -> &mut Self {
        self.seen.last = Last::Failed { why: "it failed".to_owned() };
        self
    }

    pub fn after(&mut self, secs: u64) -> &mut Self {
        self.seen.moment = self.seen.moment.after(Duration::from_secs(secs));
        self.seen.now += Duration::from_secs(secs);
        self
    }
}

/// `phase next: why`, with what is waited for in seconds from the start.
pub fn told(step: &Step) -> String {
    let next = match &step.next {
        Next::Wait { until } => {
            format!("wait {}", until.0.as_secs().saturating_sub(START))
        }
        Next::Read => "read".to_owned(),
        Next::Notify => "notify".to_owned(),
        Next::Refuse { version, .. } => format!("refuse {version}"),
        Next::Unhold { version } => format!("unhold {version}"),
        Next::Record(outcome) => format!("record {}", word(outcome)),
        Next::Lock(slot) => format!("lock{}", if slot.drained { " drained" } else { "" }),
        Next::Drain { timeout } => format!("drain {}", timeout.as_secs()),
        Next::Undrain => "undrain".to_owned(),
        Next::Unlock => "unlock".to_owned(),
        Next::Settle(outcome) => format!("settle {}", word(outcome)),
        Next::Break { holder, .. } => format!("break {holder}"),
        Next::Reboot => "reboot".to_owned(),
        Next::Exit => "exit".to_owned(),
    };
    format!("{} {next}: {}", step.phase.name(), step.why)
}

pub fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Good { version, .. } => format!("good {version}"),
        Outcome::Failed { version, .. } => format!("failed {version}"),
        Outcome::Neither => "neither".to_owned(),
    }
}

#[track_caller]
pub fn check(mut lab: Lab, change: impl Fn(&mut Lab), expected: &str) {
    change(&mut lab);
    assert_eq!(told(&lab.act()), expected);
}

pub fn opens(lab: &mut Lab) {
    lab.seen.standing = Standing::Opens { at: at(START + 3600) };
}

pub fn others(lab: &mut Lab, slot: &Slot) {
    lab.semaphore(|semaphore| semaphore.lock("m2", slot.clone()).unwrap());
}
