//! How the cluster stands: one word, one sentence, and what somebody should look at.

use jiff::Timestamp;
use serde::Serialize;
use slots::compare_version_text;

use crate::view::{Etcd, Group, Machine, Role, Version, View};

/// How long a machine may be away with a slot before somebody should look: a drain and two starts of a slow machine.
const REBOOT_SECS_MAX: i64 = 30 * 60;

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stands {
    /// Nothing has answered yet.
    Unknown,
    /// Nothing is wrong that can be seen.
    Well,
    /// Somebody should look.
    Trouble,
}

impl Stands {
    /// Returns the words for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unknown => "Not known",
            Self::Well => "In order",
            Self::Trouble => "Needs a look",
        }
    }
}

/// Returns word, sentence and troubles.
pub fn summary(view: &View) -> (Stands, String, Vec<String>) {
    let mut troubles = Vec::new();
    troubles.extend(view.groups.iter().flat_map(failed));
    troubles.extend(view.etcd.as_ref().into_iter().flat_map(|etcd| of_etcd(view, etcd)));
    troubles.extend(view.machines.iter().filter_map(|machine| away(view, machine)));
    troubles.extend(of_units(view));
    troubles.extend(unheard(view));
    if view.heard.is_empty() {
        let sentence = match troubles.first() {
            Some(_) => "Nothing answers on this machine.",
            None => "The first look is under way.",
        };
        return (Stands::Unknown, sentence.to_owned(), troubles);
    }
    let stands = if troubles.is_empty() { Stands::Well } else { Stands::Trouble };
    (stands, sentence(view), troubles)
}

/// The beginning of an id, by which people know a machine.
pub fn short(id: &str) -> String {
    if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return format!("{}…", &id[..8]);
    }
    id.to_owned()
}

/// What a group is called.
pub fn group_name(name: &str) -> String {
    if name.is_empty() { "the default group".to_owned() } else { format!("group {name}") }
}

/// `1 machine`, `3 machines`.
pub fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// What failed in a version, as one clause.
pub fn failure(version: &Version) -> String {
    let Version { version, by, stage, reason, .. } = version;
    let by = by.as_ref().map_or_else(String::new, |by| format!(" on {}", short(by)));
    let why = [stage, reason].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(": ");
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("version {version} failed{by}{why}")
}

/// A version that failed is told until a newer one is good.
fn failed(group: &Group) -> Vec<String> {
    let is_past = |failed: &Version| {
        let good = group.versions.iter().filter(|version| version.state == "good");
        good.into_iter().any(|good| compare_version_text(&failed.version, &good.version).is_lt())
    };
    let failed = group.versions.iter().filter(|version| version.state == "failed" && !is_past(version));
    let place = if group.name.is_empty() { String::new() } else { format!(" ({})", group_name(&group.name)) };
    failed.map(|version| format!("{}{place}", failure(version))).collect()
}

fn of_etcd(view: &View, etcd: &Etcd) -> Vec<String> {
    let mut troubles = Vec::new();
    if !etcd.quorum {
        let Etcd { healthy, voting, .. } = etcd;
        troubles.push(format!(
            "etcd has no quorum: {healthy} of {voting} voting members answer and have a leader"
        ));
    }
    let machine = |id: &Option<String>| view.machines.iter().find(|machine| Some(&machine.id) == id.as_ref());
    let is_expected = |id| machine(id).is_some_and(|machine| is_rebooting(view, machine));
    let silent = etcd.members.iter().filter(|member| member.role == Role::Silent);
    for member in silent.filter(|member| !is_expected(&member.machine)) {
        let name = short(member.name.as_ref().unwrap_or(&member.id));
        let reason = member.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        troubles.push(format!("member {name} of etcd does not answer{reason}"));
    }
    troubles
}

/// Tells whether a machine is away for a reboot that locksmith let it have, and not for too long yet.
fn is_rebooting(view: &View, machine: &Machine) -> bool {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let since = machine.lock.as_ref().and_then(|lock| time(lock.since.as_deref()?));
    let held = since.zip(time(&view.at)).map(|(since, at)| at.duration_since(since).as_secs());
    machine.alive == Some(false) && held.is_some_and(|secs| secs < REBOOT_SECS_MAX)
}

/// A machine that said something of itself and is gone.
fn away(view: &View, machine: &Machine) -> Option<String> {
    if machine.alive != Some(false) || is_rebooting(view, machine) {
        return None;
    }
    let slot = match &machine.lock {
        Some(lock) => match &lock.since {
            Some(since) => format!(", and holds a slot since {since}"),
            None => ", and holds a slot".to_owned(),
        },
        None => String::new(),
    };
    Some(format!("machine {} is not seen by fleet{slot}", short(&machine.id)))
}

fn of_units(view: &View) -> Vec<String> {
    let units = view.units.iter().flatten();
    let failed = units.clone().filter(|unit| unit.is_failed()).map(|unit| {
        let place = unit.machine.as_ref().map_or_else(String::new, |id| format!(" on {}", short(id)));
        format!("unit {} failed{place}", unit.name)
    });
    let nowhere = units.filter(|unit| unit.is_nowhere()).map(|unit| {
        format!("unit {} is on no machine: `fleetctl explain {}` says why", unit.name, unit.name)
    });
    failed.chain(nowhere).collect()
}

fn unheard(view: &View) -> Vec<String> {
    let sources: Vec<&str> = view.missing.iter().map(|missing| missing.source.as_str()).collect();
    match sources.as_slice() {
        [] => vec![],
        [one] => vec![format!("{one} did not answer wholly")],
        several => vec![format!("{} commands did not answer wholly: {}", several.len(), several.join(", "))],
    }
}

fn sentence(view: &View) -> String {
    let mut clauses = vec![machines(view)];
    let quorum = |etcd: &Etcd| if etcd.quorum { "etcd has its quorum" } else { "etcd has no quorum" };
    clauses.extend(view.etcd.as_ref().map(|etcd| quorum(etcd).to_owned()));
    let held: Vec<_> = view.groups.iter().flat_map(|group| &group.holders).collect();
    let is_known = view.groups.iter().any(|group| group.max.is_some());
    clauses.extend(is_known.then(|| match held.as_slice() {
        [] => "no slot is held".to_owned(),
        [one] => {
            let version = one.version.as_ref().map_or_else(String::new, |version| format!(" for {version}"));
            let gone = |machine: &Machine| machine.id == one.id && machine.alive == Some(false);
            let away = if view.machines.iter().any(gone) { " and is away" } else { "" };
            format!("{} holds a slot{version}{away}", short(&one.id))
        }
        several => format!("{} slots are held", several.len()),
    }));
    format!("{}.", clauses.join(", "))
}

fn machines(view: &View) -> String {
    let n = counted(view.machines.len(), "machine", "machines");
    let mut versions: Vec<&str> =
        view.machines.iter().filter_map(|machine| machine.version.as_deref()).collect();
    let all_say = versions.len() == view.machines.len();
    versions.sort_by(|a, b| compare_version_text(b, a));
    versions.dedup();
    match (versions.as_slice(), all_say) {
        ([], _) => n,
        ([one], true) if view.machines.len() == 1 => format!("{n} on {one}"),
        ([one], true) => format!("{n}, all on {one}"),
        ([one], false) => format!("{n}, those that say it on {one}"),
        (several, _) => format!("{n}, on {}", several.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::Source;
    use crate::testing::{after_a_bad_version, edit, id, seen};

    #[test]
    fn a_cluster_in_order_is_one_sentence() {
        let view = seen(|_| {});
        assert_eq!(view.stands, Stands::Well);
        assert_eq!(view.summary, "3 machines, all on 0.1.1, etcd has its quorum, no slot is held.");
        assert_eq!(view.troubles, [""; 0]);
    }

    #[test]
    fn a_bad_version_is_told_with_what_happened() {
        let view = seen(after_a_bad_version);
        assert_eq!(view.stands, Stands::Trouble);
        assert_eq!(
            view.troubles,
            [
                "version 0.1.2 failed on 2aaaaaaa…: kernel-panic: Kernel panic - not syncing: sysrq triggered crash"
            ]
        );
        assert_eq!(
            view.summary,
            "3 machines, all on 0.1.1, etcd has its quorum, 3aaaaaaa… holds a slot for 0.1.1."
        );
    }

    #[test]
    fn a_bad_version_is_past_when_a_newer_one_is_good() {
        let view = seen(|all| {
            after_a_bad_version(all);
            edit(all, Source::Versions(String::new()), |value| {
                let good = json!({ "version": "0.1.10", "state": "good", "by": id(1), "at": "2026-11-29T02:50:00Z" });
                value.as_array_mut().unwrap().push(good);
            });
        });
        assert_eq!(view.troubles, [""; 0]);
    }

    #[test]
    fn each_trouble_is_named() {
        let view = seen(|all| {
            edit(all, Source::Endpoints, |value| *value = json!([]));
            edit(all, Source::FleetMachines, |value| drop(value.as_array_mut().unwrap().pop()));
            edit(all, Source::Units, |value| value[0]["systemdActiveState"] = json!("failed"));
            edit(all, Source::UnitFiles, |value| {
                value
                    .as_array_mut()
                    .unwrap()
                    .push(json!({ "name": "lost.service", "desiredState": "launched" }));
            });
            all.insert(Source::Machines, None);
        });
        let expected = [
            "etcd has no quorum: 0 of 3 voting members answer and have a leader",
            "member 1aaaaaaa… of etcd does not answer",
            "member 2aaaaaaa… of etcd does not answer",
            "member 3aaaaaaa… of etcd does not answer",
            "unit web.service failed on 1aaaaaaa…",
            "unit lost.service is on no machine: `fleetctl explain lost.service` says why",
            "locksmithctl machines did not answer wholly",
        ];
        assert_eq!(view.troubles, expected);
        let away =
            seen(|all| edit(all, Source::FleetMachines, |value| drop(value.as_array_mut().unwrap().pop())));
        assert_eq!(away.troubles, ["machine 3aaaaaaa… is not seen by fleet"]);
    }

    #[test]
    fn a_machine_that_reboots_with_a_slot_is_no_trouble_for_a_while() {
        let look = |since: &str| {
            seen(|all| {
                edit(all, Source::FleetMachines, |value| drop(value.as_array_mut().unwrap().pop()));
                edit(all, Source::Endpoints, |value| drop(value.as_array_mut().unwrap().pop()));
                edit(all, Source::Locks(String::new()), |value| {
                    value["holders"] = json!([{ "id": id(3), "since": since, "version": "0.1.2" }]);
                });
            })
        };
        let soon = look("2026-11-29T02:55:00Z");
        assert_eq!(soon.troubles, [""; 0]);
        assert!(soon.summary.ends_with("3aaaaaaa… holds a slot for 0.1.2 and is away."), "{}", soon.summary);
        let late = look("2026-11-29T02:00:00Z");
        let expected = [
            "member 3aaaaaaa… of etcd does not answer",
            "machine 3aaaaaaa… is not seen by fleet, and holds a slot since 2026-11-29T02:00:00Z",
        ];
        assert_eq!(late.troubles, expected);
    }

    #[test]
    fn nothing_that_answers_is_not_known() {
        let view = seen(|all| all.values_mut().for_each(|document| *document = None));
        assert_eq!(
            (view.stands, view.summary.as_str()),
            (Stands::Unknown, "Nothing answers on this machine.")
        );
        let none = seen(std::collections::BTreeMap::clear);
        assert_eq!((none.stands, none.summary.as_str()), (Stands::Unknown, "The first look is under way."));
    }

    #[test]
    fn machines_of_several_versions_are_said_to_be() {
        let view = seen(|all| edit(all, Source::Machines, |value| value[0]["version"] = json!("0.1.2")));
        assert!(view.summary.starts_with("3 machines, on 0.1.2 and 0.1.1, "), "{}", view.summary);
        let view = seen(|all| edit(all, Source::Machines, |value| drop(value.as_array_mut().unwrap().pop())));
        assert!(view.summary.starts_with("3 machines, those that say it on 0.1.1, "), "{}", view.summary);
    }
}
