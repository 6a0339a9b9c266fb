//! What is seen of a machine and its group.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use slots::Version;

use super::Moment;
use crate::quorum::{Member, MemberId, Role};
use crate::semaphore::Semaphore;
use crate::strategy::Mode;
use crate::versions::Local;
use crate::window::Standing;

/// Entries of etcd's log that a member may be behind and still count as back.
const BEHIND_MAX: u64 = 1000;

/// What is seen when a step is decided. All but `reading` costs no other machine anything.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The wall clock.
    pub now: Timestamp,
    /// The clock since the boot.
    pub moment: Moment,
    /// What the strategy comes to now.
    pub mode: Mode,
    /// The machine.
    pub me: Me,
    /// What its update agent says.
    pub local: Local,
    /// Whether an operator wants a reboot.
    pub wish: Wish,
    /// Where `now` stands to the window.
    pub standing: Standing,
    /// Terminals of logged-in users.
    pub terminals: usize,
    /// What became of what the step before said. `Done` for a daemon that has just begun.
    pub last: Last,
    /// What was read after [`super::Next::Read`], for this step only.
    pub reading: Option<Reading>,
    /// Whether the semaphore was written since the step before, as far as that was heard.
    pub has_news: bool,
    /// Settings.
    pub settings: Settings,
    /// A random number, for the jitter of pauses.
    pub dice: u8,
}

/// A machine in one of its boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// `/etc/machine-id`.
    pub id: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// When the boot began, by the wall clock.
    pub booted: Timestamp,
}

/// What is wanted beside versions that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    None,
    /// A reboot: the same order, without a window.
    Reboot,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// It is done.
    Done,
    /// It was refused, or could not be done, or it is not known whether it was.
    Failed {
        /// Why.
        why: String,
    },
}

/// Settings of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long units may take to move away; after that the machine reboots all the same.
    pub drain_timeout: Duration,
    /// After how long the slot of a machine that never came back is taken from it; none for never.
    pub break_stale: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { drain_timeout: Duration::from_secs(10 * 60), break_stale: None }
    }
}

/// What other programs answered, all of it after the step before.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The semaphore of the group, or why it could not be read. Read linearizably; absent is the default.
    pub semaphore: Result<Semaphore, String>,
    /// The etcd of this machine.
    pub etcd: LocalEtcd,
    /// The members of etcd; none if nobody says. Not asked for where `etcd` is absent.
    pub members: Option<Vec<Member>>,
    /// The fleet of this machine.
    pub fleet: Fleet,
    /// Machines that fleet sees, by id; none if it does not say. Asked for only if stale slots are to be broken.
    pub machines: Option<BTreeSet<String>>,
}

/// The etcd of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalEtcd {
    /// `etcd.service` is neither enabled nor active.
    Absent,
    /// It is one of both and does not answer.
    Silent,
    /// It answers.
    Member {
        /// Its number.
        id: MemberId,
        /// Whether it votes.
        role: Role,
        /// Whether it knows a leader.
        has_leader: bool,
        /// Entries between what it knows to be committed and what it has applied.
        behind: u64,
    },
}

/// The fleet of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fleet {
    /// `fleet.service` is neither enabled nor active.
    Absent,
    /// It is enabled and not active (yet).
    Inactive,
    /// It is active and does not answer.
    Silent,
    /// It answers.
    Here {
        /// What the machine takes.
        hold: Hold,
        /// Units that are to move away before it reboots: those with an entry on this machine.
        units: usize,
    },
}

/// What fleet gives a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Units.
    None,
    /// No new units.
    Cordoned,
    /// No units.
    Draining,
}

/// What a machine has of a semaphore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// No slot.
    None,
    /// A slot of the boot before, or of a boot of which nothing is known; or one that was taken from it while it was
    /// drained.
    Old,
    /// A slot that it took in this boot.
    Current,
    /// A slot that somebody took for it by hand in this boot.
    ByHand,
}

/// Says what a machine has.
pub fn own(semaphore: &Semaphore, me: &Me) -> Own {
    if !semaphore.holds(&me.id) {
        return if semaphore.is_left_drained(&me.id) { Own::Old } else { Own::None };
    }
    let Some(slot) = semaphore.slot(&me.id) else { return Own::Old };
    match (&slot.boot, slot.since) {
        (Some(boot), _) if *boot == me.boot => Own::Current,
        (None, Some(since)) if me.booted <= since => Own::ByHand,
        _ => Own::Old,
    }
}

impl Seen {
    /// Returns whether a reboot is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.wish == Wish::Reboot || self.local.waiting.is_some()
    }

    /// Returns the version that a reboot would start, if it is another one.
    pub(super) fn target(&self) -> Option<&Version> {
        self.local.waiting.as_ref()
    }

    /// Returns when the window opens, if it is to be waited for.
    pub(super) fn closed_until(&self) -> Option<Timestamp> {
        match (self.wish, self.standing) {
            (Wish::None, Standing::Opens { at }) => Some(at),
            (Wish::Reboot, _) | (_, Standing::Always | Standing::Open { .. }) => None,
        }
    }

    /// Names what is wanted.
    pub(super) fn goal(&self) -> String {
        match self.target() {
            Some(version) => format!("version {version} waits for a reboot"),
            None => "an operator wants a reboot".to_owned(),
        }
    }
}

impl LocalEtcd {
    /// Returns its number.
    pub fn id(self) -> Option<MemberId> {
        match self {
            Self::Absent | Self::Silent => None,
            Self::Member { id, .. } => Some(id),
        }
    }

    /// Says why it is not back yet: others must be able to go on without another member from now on.
    pub(super) fn not_back(self) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Silent => Some("etcd does not answer here".to_owned()),
            Self::Member { role: Role::Learner, .. } => Some("etcd does not vote here yet".to_owned()),
            Self::Member { has_leader: false, .. } => Some("etcd has no leader here".to_owned()),
            Self::Member { behind, .. } if BEHIND_MAX < behind => {
                Some(format!("etcd is {behind} entries behind here"))
            }
            Self::Member { .. } => None,
        }
    }
}
