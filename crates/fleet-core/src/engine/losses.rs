//! Which machines are lost, for how long, and whether that is believed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Seen, Settings};
use crate::model::MachineId;
use crate::moment::Moment;

/// Which machines are lost.
///
/// It counts by a clock of its own that stands still while the store does not answer, so that machines that could not
/// keep their leases alive for the store's sake do not use up their grace.
/// A term of the engine begins with an empty one: a machine without a key is lost from the first observation on.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    begun: bool,
    away: Option<Moment>,
    stood: Duration,
    machines: BTreeMap<MachineId, Member>,
}

#[derive(Debug, Clone)]
struct Member {
    /// When it was first seen; `None` if the term began with it.
    since: Option<Moment>,
    loss: Option<Loss>,
}

#[derive(Debug, Clone, Copy)]
struct Loss {
    at: Moment,
    /// The same by the clock that does not stand still.
    seen: Moment,
    /// From when on its grace counts: the loss, or the end of a loss of many that it was part of.
    counted: Moment,
    why: Wait,
}

/// What is to be thought of a machine that has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may come back: its units stay its own.
    Waiting {
        /// For so long it is lost.
        lost: Duration,
        /// After so long it is given up.
        left: Duration,
        /// Why one waits.
        why: Wait,
    },
    /// It is given up: its units move.
    GivenUp {
        /// For so long it is lost.
        lost: Duration,
    },
}

/// Why one waits for a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// As for any.
    Grace,
    /// Many were lost at once: the network is at fault rather than they.
    MassLoss,
}

impl Losses {
    /// Takes note that the store does not answer. From when it last did, nothing is counted.
    pub fn away(&mut self, last_answer: Moment) {
        self.away.get_or_insert(last_answer);
    }

    /// Takes note that the store answers again.
    pub fn back(&mut self, now: Moment) {
        if let Some(away) = self.away.take() {
            self.stood += now.since(away);
        }
    }

    /// Returns what is to be thought of a machine; none if it is there.
    pub fn verdict(&self, machine: &MachineId, now: Moment, settings: &Settings) -> Option<Verdict> {
        let (seen, now) = (now, self.counted(now));
        // One that nobody has observed yet is as one that was lost just now.
        let unseen = Loss { at: now, seen, counted: now, why: Wait::Grace };
        let loss = match self.machines.get(machine) {
            Some(member) => member.loss?,
            None => unseen,
        };
        Some(loss.verdict(now, settings))
    }

    /// Returns all machines that are lost, with when that was seen and what is to be thought of them.
    pub(super) fn all(
        &self,
        now: Moment,
        settings: &Settings,
    ) -> impl Iterator<Item = (&MachineId, Moment, Verdict)> {
        let now = self.counted(now);
        let lost = self.machines.iter().filter_map(|(machine, member)| Some((machine, member.loss?)));
        lost.map(move |(machine, loss)| (machine, loss.seen, loss.verdict(now, settings)))
    }

    /// Returns for how long a machine is lost; none if it is there.
    pub fn lost_for(&self, machine: &MachineId, now: Moment) -> Option<Duration> {
        let now = self.counted(now);
        self.machines.get(machine).map_or(Some(Duration::ZERO), |member| Some(now.since(member.loss?.at)))
    }

    pub(super) fn observe(
        &mut self,
        now: Moment,
        settings: &Settings,
        present: &BTreeMap<MachineId, Seen>,
        mentioned: &BTreeSet<&MachineId>,
    ) {
        let (seen, now) = (now, self.counted(now));
        let since = self.begun.then_some(now);
        self.begun = true;
        for machine in present.keys().chain(mentioned.iter().copied()) {
            if !self.machines.contains_key(machine) {
                self.machines.insert(machine.clone(), Member { since, loss: None });
            }
        }
        for (machine, member) in &mut self.machines {
            if present.contains_key(machine) {
                member.loss = None;
            } else if member.loss.is_none() {
                member.loss = Some(Loss { at: now, seen, counted: now, why: Wait::Grace });
            }
        }
        self.weigh(now, settings);
        // What nobody mentions is forgotten once no loss is measured by it any more.
        self.machines.retain(|machine, member| {
            let loss = member.loss.filter(|_| !mentioned.contains(machine));
            loss.is_none_or(|loss| now < loss.end(settings).max(loss.at.after(settings.window)))
        });
    }

    /// Decides whether the losses are one of many machines at once.
    fn weigh(&mut self, now: Moment, settings: &Settings) {
        let mut there = 0_usize;
        let mut lost = 0_usize;
        for member in self.machines.values().filter(|member| member.was_there(now, settings)) {
            there += 1;
            lost += usize::from(member.loss.is_some());
        }
        let many = lost > 1 && lost * 3 > there;
        for member in self.machines.values_mut() {
            let counts = member.was_there(now, settings);
            let Some(loss) = &mut member.loss else { continue };
            match loss.why {
                // One that is given up already has lost its units: they stay where they went.
                Wait::Grace if many && counts && now < loss.end(settings) => loss.why = Wait::MassLoss,
                // Most are back. Those that are not yet get a grace from here on, as they may be on their way.
                Wait::MassLoss if !many && now < loss.end(settings) => {
                    *loss = Loss { counted: now, why: Wait::Grace, ..*loss };
                }
                _ => {}
            }
        }
    }

    /// Returns after what time a wait is over.
    pub(super) fn due(&self, now: Moment, settings: &Settings) -> Option<Duration> {
        let now = self.counted(now);
        let losses = self.machines.values().filter_map(|member| member.loss);
        let ends = losses.flat_map(|loss| [loss.end(settings), loss.at.after(settings.claim_wait())]);
        ends.filter(|end| now < *end).min().map(|end| end.since(now))
    }

    /// Returns the moment without the time during which the store did not answer.
    fn counted(&self, now: Moment) -> Moment {
        let standing = self.away.map_or(Duration::ZERO, |away| now.since(away));
        now.before(self.stood + standing)
    }
}

impl Loss {
    fn end(&self, settings: &Settings) -> Moment {
        match self.why {
            Wait::Grace => self.counted.after(settings.grace),
            Wait::MassLoss => self.at.after(settings.mass_wait.max(settings.grace)),
        }
    }

    /// What is to be thought of the machine at `now`, as the losses count.
    fn verdict(&self, now: Moment, settings: &Settings) -> Verdict {
        let lost = now.since(self.at);
        match self.end(settings).since(now) {
            Duration::ZERO => Verdict::GivenUp { lost },
            left => Verdict::Waiting { lost, left, why: self.why },
        }
    }
}

impl Member {
    /// Whether it is one of those that a loss is measured by: it was there a window ago, or is not believed to be lost.
    fn was_there(&self, now: Moment, settings: &Settings) -> bool {
        let then = now.before(settings.window);
        let known = self.since.is_none_or(|since| since <= then);
        known
            && self.loss.is_none_or(|loss| {
                loss.at.after(settings.window) > now || loss.why == Wait::MassLoss && now < loss.end(settings)
            })
    }
}
