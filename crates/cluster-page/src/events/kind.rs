//! Kinds of events, and what is said of each.

use serde::Serialize;

use crate::summary::{group_name, short};

/// What kind of thing happened, as it is called in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is described where it carries what happened, in `What`")]
pub enum Kind {
    MachineCame,
    MachineWent,
    VersionChanged,
    SlotTaken,
    SlotGivenBack,
    VersionGood,
    VersionFailed,
    VersionForgiven,
    LeaderChanged,
    LeaderLost,
    MemberLost,
    MemberBack,
    MemberAdded,
    MemberRemoved,
    UnitPlaced,
    UnitMoved,
    UnitFailed,
    UnitGone,
    HoldChanged,
    SourceLost,
    SourceBack,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// fleet sees a machine.
    MachineCame(String),
    /// fleet does not see a machine any more.
    MachineWent(String),
    /// A machine runs another version.
    VersionChanged {
        /// Machine.
        machine: String,
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// A machine took a slot for a reboot.
    SlotTaken {
        /// Machine.
        machine: String,
        /// Group.
        group: String,
        /// For which version.
        version: Option<String>,
    },
    /// A machine has no slot any more.
    SlotGivenBack {
        /// Machine.
        machine: String,
        /// Group.
        group: String,
    },
    /// A version is good in a group.
    VersionGood {
        /// Version.
        version: String,
        /// Group.
        group: String,
        /// Machine that found it so.
        by: Option<String>,
    },
    /// A version failed in a group.
    VersionFailed {
        /// What failed, and why.
        failure: String,
        /// Group.
        group: String,
    },
    /// A version may be tried again in a group.
    VersionForgiven {
        /// Version.
        version: String,
        /// Group.
        group: String,
    },
    /// Another member of etcd leads.
    LeaderChanged {
        /// Its name.
        to: String,
    },
    /// No member of etcd leads.
    LeaderLost,
    /// A member of etcd does not answer any more.
    MemberLost {
        /// Its name.
        member: String,
        /// Why.
        reason: Option<String>,
    },
    /// A member of etcd answers again.
    MemberBack(String),
    /// etcd has a new member.
    MemberAdded(String),
    /// A member was removed from etcd.
    MemberRemoved(String),
    /// A unit is on a machine.
    UnitPlaced {
        /// Unit.
        unit: String,
        /// Machine.
        machine: String,
    },
    /// A unit is on another machine.
    UnitMoved {
        /// Unit.
        unit: String,
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// A unit failed.
    UnitFailed {
        /// Unit.
        unit: String,
        /// Machine.
        machine: String,
    },
    /// A unit is not on a machine any more, and on no other instead.
    UnitGone {
        /// Unit.
        unit: String,
        /// Machine.
        machine: String,
    },
    /// fleet keeps a machine from units, or lets it have them again.
    HoldChanged {
        /// Machine.
        machine: String,
        /// `cordoned`, `draining`, or nothing.
        to: Option<String>,
    },
    /// A program stopped answering.
    SourceLost {
        /// Its command.
        source: String,
        /// Why.
        reason: String,
    },
    /// A program answers again.
    SourceBack(String),
}

impl What {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::MachineCame(_) => Kind::MachineCame,
            Self::MachineWent(_) => Kind::MachineWent,
            Self::VersionChanged { .. } => Kind::VersionChanged,
            Self::SlotTaken { .. } => Kind::SlotTaken,
            Self::SlotGivenBack { .. } => Kind::SlotGivenBack,
            Self::VersionGood { .. } => Kind::VersionGood,
            Self::VersionFailed { .. } => Kind::VersionFailed,
            Self::VersionForgiven { .. } => Kind::VersionForgiven,
            Self::LeaderChanged { .. } => Kind::LeaderChanged,
            Self::LeaderLost => Kind::LeaderLost,
            Self::MemberLost { .. } => Kind::MemberLost,
            Self::MemberBack(_) => Kind::MemberBack,
            Self::MemberAdded(_) => Kind::MemberAdded,
            Self::MemberRemoved(_) => Kind::MemberRemoved,
            Self::UnitPlaced { .. } => Kind::UnitPlaced,
            Self::UnitMoved { .. } => Kind::UnitMoved,
            Self::UnitFailed { .. } => Kind::UnitFailed,
            Self::UnitGone { .. } => Kind::UnitGone,
            Self::HoldChanged { .. } => Kind::HoldChanged,
            Self::SourceLost { .. } => Kind::SourceLost,
            Self::SourceBack(_) => Kind::SourceBack,
        }
    }

    /// Says it in one clause.
    pub fn text(&self) -> String {
        match self {
            Self::MachineCame(machine) => format!("machine {} came", short(machine)),
            Self::MachineWent(machine) => format!("machine {} went", short(machine)),
            Self::VersionChanged { machine, from, to } => {
                format!("machine {} went from {from} to {to}", short(machine))
            }
            Self::SlotTaken { machine, group, version } => {
                let version = version.as_ref().map_or_else(String::new, |version| format!(" for {version}"));
                format!("machine {} took a slot of {}{version}", short(machine), group_name(group))
            }
            Self::SlotGivenBack { machine, group } => {
                format!("the slot of machine {} in {} was given back", short(machine), group_name(group))
            }
            Self::VersionGood { version, group, by } => {
                let by = by.as_ref().map_or_else(String::new, |by| format!(", says {}", short(by)));
                format!("version {version} is good in {}{by}", group_name(group))
            }
            Self::VersionFailed { failure, group } if group.is_empty() => failure.clone(),
            Self::VersionFailed { failure, group } => format!("{failure} ({})", group_name(group)),
            Self::VersionForgiven { version, group } => {
                format!("version {version} may be tried again in {}", group_name(group))
            }
            Self::LeaderChanged { to } => format!("member {} leads etcd", short(to)),
            Self::LeaderLost => "etcd has no leader".to_owned(),
            Self::MemberLost { member, reason: None } => {
                format!("member {} of etcd does not answer", short(member))
            }
            Self::MemberLost { member, reason: Some(reason) } => {
                format!("member {} of etcd does not answer: {reason}", short(member))
            }
            Self::MemberBack(member) => format!("member {} of etcd answers again", short(member)),
            Self::MemberAdded(member) => format!("member {} was added to etcd", short(member)),
            Self::MemberRemoved(member) => format!("member {} was removed from etcd", short(member)),
            Self::UnitPlaced { unit, machine } => format!("unit {unit} is on {}", short(machine)),
            Self::UnitMoved { unit, from, to } => {
                format!("unit {unit} moved from {} to {}", short(from), short(to))
            }
            Self::UnitFailed { unit, machine } => format!("unit {unit} failed on {}", short(machine)),
            Self::UnitGone { unit, machine } => format!("unit {unit} left {}", short(machine)),
            Self::HoldChanged { machine, to: None } => {
                format!("machine {} takes units again", short(machine))
            }
            Self::HoldChanged { machine, to: Some(hold) } => format!("machine {} is {hold}", short(machine)),
            Self::SourceLost { source, reason } => format!("{source} stopped answering: {reason}"),
            Self::SourceBack(source) => format!("{source} answers again"),
        }
    }
}
