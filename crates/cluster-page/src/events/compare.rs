//! The comparison of two views. A source that had never answered before gives no events: what is new is only the knowledge.

use std::collections::{BTreeMap, BTreeSet};

use super::{Event, What, event};
use crate::source::Source;
use crate::summary::failure;
use crate::view::{Etcd, Group, Lock, Member, Role, Unit, Version, View};

/// What a document says of when it happened, where nothing of that document was known before.
pub(super) fn told(before: Option<&View>, after: &View) -> Vec<Event> {
    let is_new = |source: Source| {
        after.heard.contains(&source) && before.is_none_or(|before| !before.heard.contains(&source))
    };
    let mut found = Vec::new();
    for group in &after.groups {
        if is_new(Source::Versions(group.name.clone())) {
            let dated = group.versions.iter().filter_map(|version| Some((version, version.at.as_ref()?)));
            found.extend(dated.filter_map(|(version, at)| Some(event(became(group, version)?, at))));
        }
        if is_new(Source::Locks(group.name.clone())) {
            let dated = group.holders.iter().filter_map(|lock| Some((lock, lock.since.as_ref()?)));
            found.extend(dated.map(|(lock, since)| event(taken(group, lock), since)));
        }
    }
    found
}

/// What differs between two views.
pub(super) fn seen(before: &View, after: &View) -> Vec<What> {
    let both = |source: &Source| before.heard.contains(source) && after.heard.contains(source);
    let mut found = machines(before, after);
    for group in &after.groups {
        let Some(old) = before.groups.iter().find(|old| old.name == group.name) else { continue };
        if both(&Source::Locks(group.name.clone())) {
            found.extend(slots(old, group));
        }
        if both(&Source::Versions(group.name.clone())) {
            found.extend(versions(old, group));
        }
    }
    if let (Some(old), Some(new)) = (&before.etcd, &after.etcd) {
        found.extend(etcd(old, new, both(&Source::Members), both(&Source::Endpoints)));
    }
    if both(&Source::Units) && both(&Source::UnitFiles) {
        found.extend(units(
            before.units.as_deref().unwrap_or_default(),
            after.units.as_deref().unwrap_or_default(),
        ));
    }
    found.extend(sources(before, after));
    found
}

/// Machines that are there, by what is known best; the source says by what.
fn present(view: &View) -> (Option<Source>, BTreeSet<&str>) {
    let ids = |alive: Option<bool>| {
        let there = view.machines.iter().filter(move |machine| alive.is_none() || machine.alive == alive);
        there.map(|machine| machine.id.as_str()).collect()
    };
    if view.heard.contains(&Source::FleetMachines) {
        (Some(Source::FleetMachines), ids(Some(true)))
    } else if view.heard.contains(&Source::Machines) {
        (Some(Source::Machines), ids(None))
    } else {
        (None, BTreeSet::new())
    }
}

fn machines(before: &View, after: &View) -> Vec<What> {
    let mut found = Vec::new();
    let ((old_source, old), (new_source, new)) = (present(before), present(after));
    if old_source == new_source && new_source.is_some() {
        found.extend(new.difference(&old).map(|id| What::MachineCame((*id).to_owned())));
        found.extend(old.difference(&new).map(|id| What::MachineWent((*id).to_owned())));
    }
    let old: BTreeMap<_, _> = before.machines.iter().map(|machine| (&machine.id, machine)).collect();
    for machine in &after.machines {
        let Some(old) = old.get(&machine.id) else { continue };
        let id = machine.id.clone();
        if let (Some(from), Some(to)) = (&old.version, &machine.version)
            && from != to
        {
            found.push(What::VersionChanged { machine: id.clone(), from: from.clone(), to: to.clone() });
        }
        // Of a machine that is away fleet says nothing.
        if old.alive == Some(true) && machine.alive == Some(true) && old.hold != machine.hold {
            found.push(What::HoldChanged { machine: id, to: machine.hold.clone() });
        }
    }
    found
}

fn slots(old: &Group, new: &Group) -> Vec<What> {
    let held = |group: &Group, lock: &Lock| {
        group.holders.iter().any(|other| other.id == lock.id && other.since == lock.since)
    };
    let gone = old.holders.iter().filter(|lock| !held(new, lock));
    let come = new.holders.iter().filter(|lock| !held(old, lock));
    let back = |lock: &Lock| What::SlotGivenBack { machine: lock.id.clone(), group: new.name.clone() };
    gone.map(back).chain(come.map(|lock| taken(new, lock))).collect()
}

fn taken(group: &Group, lock: &Lock) -> What {
    What::SlotTaken { machine: lock.id.clone(), group: group.name.clone(), version: lock.version.clone() }
}

fn versions(old: &Group, new: &Group) -> Vec<What> {
    let was = |version: &Version| {
        let same = |other: &&Version| other.version == version.version;
        old.versions
            .iter()
            .find(same)
            .is_some_and(|other| other.state == version.state && other.at == version.at)
    };
    new.versions.iter().filter(|version| !was(version)).filter_map(|version| became(new, version)).collect()
}

/// What a version became; nothing for a state that is not known here.
fn became(group: &Group, version: &Version) -> Option<What> {
    let group = group.name.clone();
    match version.state.as_str() {
        "good" => Some(What::VersionGood { version: version.version.clone(), group, by: version.by.clone() }),
        "failed" => Some(What::VersionFailed { failure: failure(version), group }),
        "forgiven" => Some(What::VersionForgiven { version: version.version.clone(), group }),
        _ => None,
    }
}

fn etcd(old: &Etcd, new: &Etcd, both_listed: bool, both_asked: bool) -> Vec<What> {
    let mut found = Vec::new();
    let of = |etcd: &Etcd, id: &str| etcd.members.iter().find(|member| member.id == id).cloned();
    if both_listed {
        let added = new.members.iter().filter(|member| of(old, &member.id).is_none());
        found.extend(added.map(|member| What::MemberAdded(called(member))));
        let removed = old.members.iter().filter(|member| of(new, &member.id).is_none());
        found.extend(removed.map(|member| What::MemberRemoved(called(member))));
    }
    if !both_asked {
        return found;
    }
    for member in &new.members {
        let Some(was) = of(old, &member.id) else { continue };
        match (was.role == Role::Silent, member.role == Role::Silent) {
            (false, true) => {
                found.push(What::MemberLost { member: called(member), reason: member.reason.clone() });
            }
            (true, false) => found.push(What::MemberBack(called(member))),
            (true, true) | (false, false) => {}
        }
    }
    match (&old.leader, &new.leader) {
        (Some(_), None) => found.push(What::LeaderLost),
        (old, Some(leader)) if old.as_ref() != Some(leader) => {
            let to = of(new, leader).map_or_else(|| leader.clone(), |member| called(&member));
            found.push(What::LeaderChanged { to });
        }
        (None | Some(_), _) => {}
    }
    found
}

fn called(member: &Member) -> String {
    member.name.clone().unwrap_or_else(|| member.id.clone())
}

fn units(old: &[Unit], new: &[Unit]) -> Vec<What> {
    let (old, new) = (by_name(old), by_name(new));
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let nothing = BTreeMap::new();
    let mut found = Vec::new();
    for name in names {
        let (was, is) = (old.get(name).unwrap_or(&nothing), new.get(name).unwrap_or(&nothing));
        let unit = name.to_owned();
        let left: Vec<&str> = was.keys().filter(|machine| !is.contains_key(*machine)).copied().collect();
        let come: Vec<&str> = is.keys().filter(|machine| !was.contains_key(*machine)).copied().collect();
        let n_moved = left.len().min(come.len());
        for (from, to) in left.iter().zip(&come) {
            found.push(What::UnitMoved {
                unit: unit.clone(),
                from: (*from).to_owned(),
                to: (*to).to_owned(),
            });
        }
        for machine in &come[n_moved..] {
            found.push(What::UnitPlaced { unit: unit.clone(), machine: (*machine).to_owned() });
        }
        for machine in &left[n_moved..] {
            found.push(What::UnitGone { unit: unit.clone(), machine: (*machine).to_owned() });
        }
        let failed = is.iter().filter(|(machine, failed)| **failed && was.get(*machine) != Some(&true));
        let failed = failed
            .map(|(machine, _)| What::UnitFailed { unit: unit.clone(), machine: (*machine).to_owned() });
        found.extend(failed);
    }
    found
}

/// Machines that each unit is on, with whether it failed there.
fn by_name(units: &[Unit]) -> BTreeMap<&str, BTreeMap<&str, bool>> {
    let mut found: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
    for unit in units {
        if let Some(machine) = &unit.machine {
            found.entry(&unit.name).or_default().insert(machine, unit.is_failed());
        }
    }
    found
}

fn sources(before: &View, after: &View) -> Vec<What> {
    let names =
        |view: &View| view.missing.iter().map(|missing| missing.source.clone()).collect::<BTreeSet<_>>();
    let (old, new) = (names(before), names(after));
    let lost = after.missing.iter().filter(|missing| !old.contains(&missing.source));
    let lost = lost
        .map(|missing| What::SourceLost { source: missing.source.clone(), reason: missing.reason.clone() });
    // A group that is gone is not asked for any more: that is no answer.
    let asked: BTreeSet<String> = after.heard.iter().map(ToString::to_string).collect();
    let back = old.difference(&new).filter(|source| asked.contains(*source)).cloned().map(What::SourceBack);
    lost.chain(back).collect()
}
