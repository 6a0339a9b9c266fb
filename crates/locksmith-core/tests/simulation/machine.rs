//! A machine: its boots, its update agent, its place in etcd and fleet.

use jiff::Timestamp;
use locksmith_core::order::{Hold, Last, Memory, Next};
use locksmith_core::versions::{Failure, GROUP_STAGE, Local};
use slots::Version;

/// Second of the world's clock that never comes.
pub const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub struct Machine {
    pub id: String,
    /// Set when it never comes back.
    pub dead: bool,
    /// While it is down: when it comes up.
    pub down: Option<Down>,
    pub boot: u64,
    pub booted: u64,
    /// Seconds that its wall clock is ahead, or behind.
    pub ahead: i64,
    pub cut_off_until: u64,
    /// Seconds of the day at which its window opens, and its length.
    pub window: Option<(u64, u64)>,
    pub terminals: usize,
    /// When terminals last became some.
    pub logged_in: u64,
    pub notified: Option<u64>,
    pub operator: bool,
    pub running: Version,
    pub blessed_at: u64,
    /// What the running version replaced, if it is bad.
    pub falls_back: Option<(u64, Version)>,
    pub waiting: Option<Version>,
    pub failures: Vec<Failure>,
    /// When its member of etcd has caught up; none without a member.
    pub member_at: Option<u64>,
    pub hold: Hold,
    pub units: usize,
    pub drained_at: u64,
    /// The version that a reboot of ours started, and that is not settled yet.
    pub trial: Option<Version>,
    /// It was rebooted by us and has not given back its slot.
    pub away: bool,
    pub daemon: Daemon,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down {
    pub since: u64,
    pub until: u64,
    pub by: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Locksmith,
    Crash,
}

#[derive(Debug, Default)]
pub struct Daemon {
    pub memory: Memory,
    /// When it goes on.
    pub ready: u64,
    pub last: Option<Last>,
    pub task: Task,
    /// When it last read.
    pub read_at: u64,
    /// Steps since the world's clock was at that hour.
    pub steps: (u64, u64),
}

#[derive(Debug, Default)]
pub enum Task {
    #[default]
    Decide,
    DecideWithReading,
    /// About to compare and write what is to be done.
    Write {
        next: Next,
        revision: u64,
        value: Box<locksmith_core::semaphore::Semaphore>,
        tries: u32,
    },
    /// About to do something on the machine.
    Act(Next),
}

impl Machine {
    pub fn is_up(&self) -> bool {
        !self.dead && self.down.is_none()
    }

    pub fn is_healthy(&self, now: u64) -> bool {
        self.is_up() && self.member_at.is_some_and(|at| at <= now)
    }

    pub fn is_blessed(&self, now: u64) -> bool {
        self.is_up() && self.blessed_at <= now
    }

    pub fn wall(&self, now: u64) -> Timestamp {
        let second = 1_764_000_000 + i64::try_from(now).unwrap() + self.ahead;
        Timestamp::from_second(second).unwrap()
    }

    pub fn boot_id(&self) -> String {
        format!("{}-{}", self.id, self.boot)
    }

    pub fn local(&self, now: u64) -> Local {
        Local {
            running: Some(self.running.clone()),
            blessed: self.is_blessed(now),
            waiting: self.waiting.clone(),
            failures: self.failures.clone(),
        }
    }

    /// Is offered a version by a server.
    pub fn offer(&mut self, version: &Version) {
        let refused = self.failures.iter().any(|failure| failure.version == *version);
        if self.running < *version && !refused && self.falls_back.is_none() {
            self.waiting = Some(version.clone());
        }
    }

    pub fn refuse(&mut self, version: &Version, now: u64) {
        if self.waiting.as_ref() == Some(version) {
            self.waiting = None;
        }
        if !self.failures.iter().any(|failure| failure.version == *version) {
            self.failed(version.clone(), GROUP_STAGE, now);
        }
    }

    pub fn failed(&mut self, version: Version, stage: &str, now: u64) {
        let (at, stage) = (self.wall(now), stage.to_owned());
        self.failures.push(Failure { version, at, stage, reason: "simulated".to_owned() });
    }

    /// Whether its window is open at a moment of its own clock, looked at without the code that is tested.
    pub fn is_open(&self, now: u64) -> bool {
        let Some((start, length)) = self.window else { return true };
        let of_day = u64::try_from(self.wall(now).as_second().rem_euclid(86_400)).unwrap();
        (of_day + 86_400 - start) % 86_400 <= length
    }
}
