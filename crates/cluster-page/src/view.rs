//! The cluster as the programs describe it, which is also the document of `--json` and `/status.json`.
//!
//! What could not be learned is `null`, and `missing` says why. Nothing here fails.

mod etcd;
mod groups;
mod machines;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::documents;
use crate::events::Event;
use crate::known::Known;
use crate::source::Source;
use crate::summary::{self, Stands};

/// Of [`View`]; fields are only added.
const FORMAT: u32 = 1;

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// 1.
    pub format: u32,
    /// When the programs were asked.
    pub at: String,
    /// How it stands, in one word.
    pub stands: Stands,
    /// How it stands, in one sentence.
    pub summary: String,
    /// What somebody should look at, worst first.
    pub troubles: Vec<String>,
    /// Machines that fleet sees or that said something of themselves, by id.
    pub machines: Vec<Machine>,
    /// Groups of locksmith.
    pub groups: Vec<Group>,
    /// Members of etcd; none if nobody could be asked.
    pub etcd: Option<Etcd>,
    /// Units of fleet, by name and machine; none if fleet does not say.
    pub units: Option<Vec<Unit>>,
    /// What did not answer at this look.
    pub missing: Vec<Missing>,
    /// What happened, newest first.
    pub events: Vec<Event>,
    /// What has ever answered.
    #[serde(skip)]
    pub heard: BTreeSet<Source>,
}

/// A machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Its id.
    pub id: String,
    /// Address that fleet knows.
    pub address: Option<String>,
    /// Whether fleet sees it.
    pub alive: Option<bool>,
    /// Version that runs.
    pub version: Option<String>,
    /// Slot that it runs from: `A` or `B`.
    pub slot: Option<String>,
    /// When it reboots: its `REBOOT_STRATEGY`.
    pub strategy: Option<String>,
    /// Its group; empty for the one without a name, none if it said nothing of itself.
    pub group: Option<String>,
    /// How far its locksmith is.
    pub phase: Option<String>,
    /// Why it is there.
    pub why: Option<String>,
    /// Version that waits for a reboot.
    pub waiting: Option<String>,
    /// When it said so.
    pub reported_at: Option<String>,
    /// What fleet keeps it from: `cordoned`, `draining`.
    pub hold: Option<String>,
    /// What its etcd is.
    pub etcd: Option<Role>,
    /// The slot for a reboot that it holds.
    pub lock: Option<Lock>,
    /// Units on it, by what systemd says of them.
    pub units: Option<BTreeMap<String, usize>>,
}

/// A slot for a reboot that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// Machine.
    pub id: String,
    /// Since when.
    pub since: Option<String>,
    /// For which version.
    pub version: Option<String>,
    /// Whether its units were moved away for it.
    pub drained: bool,
}

/// A group of locksmith.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name; empty for the one without.
    pub name: String,
    /// Most machines that may be away at once.
    pub max: Option<i64>,
    /// How many more may.
    pub available: Option<i64>,
    /// Who holds a slot.
    pub holders: Vec<Lock>,
    /// What became of versions, newest first.
    pub versions: Vec<Version>,
}

/// What became of a version in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// The version.
    pub version: String,
    /// `good`, `failed`, `forgiven`.
    pub state: String,
    /// Machine that said so.
    pub by: Option<String>,
    /// When.
    pub at: Option<String>,
    /// How far a failed one came.
    pub stage: Option<String>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Etcd {
    /// Members that have a vote.
    pub voting: usize,
    /// Those of them that answer and have a leader.
    pub healthy: usize,
    /// Whether they are a majority.
    pub quorum: bool,
    /// The leader's number.
    pub leader: Option<String>,
    /// All members, by name.
    pub members: Vec<Member>,
}

/// A member of etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its number, in hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// The machine that it is on, if that is known.
    pub machine: Option<String>,
    /// What it is.
    pub role: Role,
    /// Why it does not answer.
    pub reason: Option<String>,
    /// Version of etcd.
    pub version: Option<String>,
    /// Where clients reach it.
    pub url: Option<String>,
}

/// What a member of etcd is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It leads.
    Leader,
    /// It follows the leader.
    Follower,
    /// It has no vote.
    Learner,
    /// It runs and knows no leader.
    NoLeader,
    /// It does not answer.
    Silent,
}

impl Role {
    /// Returns the words for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Learner => "learner",
            Self::NoLeader => "no leader",
            Self::Silent => "does not answer",
        }
    }
}

/// A unit on a machine, or one that is wanted and on none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub machine: Option<String>,
    /// What is wanted of it: `inactive`, `loaded`, `launched`.
    pub desired: Option<String>,
    /// Whether it is on every machine that suits.
    pub global: bool,
    /// LOAD of systemd.
    pub load: Option<String>,
    /// ACTIVE of systemd.
    pub active: Option<String>,
    /// SUB of systemd.
    pub sub: Option<String>,
}

impl Unit {
    /// Tells whether it is wanted and on no machine.
    pub fn is_nowhere(&self) -> bool {
        self.machine.is_none()
    }

    /// Tells whether systemd says that it failed.
    pub fn is_failed(&self) -> bool {
        self.active.as_deref() == Some("failed")
    }
}

/// A source that did not answer, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The command.
    pub source: String,
    /// Why.
    pub reason: String,
    /// When what is shown of it was heard; none if nothing is.
    pub known_at: Option<String>,
    /// How long ago that is.
    pub age_secs: Option<i64>,
}

/// Makes the view of what is known. Events are the caller's.
pub fn view(known: &Known, now: Timestamp) -> View {
    let etcd = etcd::etcd(known);
    let mut view = View {
        format: FORMAT,
        at: text(now),
        stands: Stands::Unknown,
        summary: String::new(),
        troubles: Vec::new(),
        machines: machines::machines(known),
        groups: groups::groups(known),
        etcd,
        units: units::units(known),
        missing: missing(known, now),
        events: Vec::new(),
        heard: heard(known),
    };
    join(&mut view, known);
    (view.stands, view.summary, view.troubles) = summary::summary(&view);
    view
}

/// Tells each machine what it holds and what its etcd is.
fn join(view: &mut View, known: &Known) {
    let holders: Vec<documents::Holder> = groups::holders(known);
    for machine in &mut view.machines {
        let held = view.groups.iter().flat_map(|group| &group.holders).find(|held| held.id == machine.id);
        machine.lock = held.cloned();
        if let Some(etcd) = &mut view.etcd {
            let found = etcd.members.iter_mut().find(|member| etcd::is_on(member, machine, &holders));
            if let Some(member) = found {
                member.machine = Some(machine.id.clone());
                machine.etcd = Some(member.role);
            }
        }
        if let Some(units) = &view.units {
            let here = units.iter().filter(|unit| unit.machine.as_ref() == Some(&machine.id));
            let mut counts = BTreeMap::new();
            for unit in here {
                *counts.entry(unit.active.clone().unwrap_or_else(|| "unknown".to_owned())).or_default() += 1;
            }
            machine.units = Some(counts);
        }
    }
}

fn heard(known: &Known) -> BTreeSet<Source> {
    let answered = known.sources.iter().filter(|(_, heard)| heard.last.is_some());
    answered.map(|(source, _)| source.clone()).collect()
}

fn missing(known: &Known, now: Timestamp) -> Vec<Missing> {
    let mut rows = Vec::new();
    for (source, heard) in &known.sources {
        let known_at = heard.last.as_ref().map(|(_, at)| *at);
        if let Some(reason) = &heard.missing {
            rows.push(Missing {
                source: crate::clean::clean(&source.to_string()),
                reason: reason.clone(),
                known_at: known_at.map(text),
                age_secs: known_at.map(|at| now.duration_since(at).as_secs().max(0)),
            });
        }
    }
    rows.extend(too_many(known).into_iter().map(|(source, n_more)| Missing {
        source: source.to_string(),
        reason: format!("the first {} rows are shown, and {n_more} more are not", documents::ROWS_MAX),
        known_at: None,
        age_secs: None,
    }));
    rows
}

/// Sources with more rows than are taken.
fn too_many(known: &Known) -> Vec<(Source, usize)> {
    let more = |source: Source| {
        let value = known.document(&source)?;
        let list = if source == Source::Members { &value["members"] } else { value };
        let n_more = list.as_array().map_or(0, Vec::len).saturating_sub(documents::ROWS_MAX);
        (0 < n_more).then_some((source, n_more))
    };
    let all = [
        Source::Machines,
        Source::FleetMachines,
        Source::Units,
        Source::UnitFiles,
        Source::Members,
        Source::Endpoints,
    ];
    all.into_iter().filter_map(more).collect()
}

/// A moment as it is written everywhere: UTC, to the second.
pub fn text(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// A moment of a document, in the same form; none if it is no moment.
fn moment(found: Option<&String>) -> Option<String> {
    found?.parse().ok().map(text)
}

#[cfg(test)]
mod tests;
