//! The view as text for a terminal: a sentence, and a table for each thing that there is.

use crate::page::span;
use crate::summary::short;
use crate::view::{Machine, View};

/// What could not be learned.
const DASH: &str = "-";
/// Most events that are shown: the document has all.
const EVENTS_MAX: usize = 10;

/// Returns the text, with a line end at its end.
pub fn render(view: &View) -> String {
    let mut text = format!("{}: {}\n", view.stands.words(), view.summary);
    for trouble in &view.troubles {
        text.push_str(&format!("  {trouble}\n"));
    }
    let parts = [
        table(
            &["MACHINE", "ADDRESS", "SEEN", "VERSION", "SLOT", "ETCD", "LOCK", "UNITS", "PHASE", "WHY"],
            machines(view),
        ),
        table(&["GROUP", "FREE", "HOLDER", "SINCE", "FOR"], slots(view)),
        table(&["VERSION", "GROUP", "STATE", "BY", "AT", "WHAT HAPPENED"], versions(view)),
        table(&["UNIT", "STATE", "SUB", "MACHINE", "WANTED"], units(view)),
        table(&["MEMBER", "STATE", "MACHINE", "CLIENTS"], members(view)),
        table(&["WHEN", "WHAT HAPPENED"], events(view)),
        missing(view),
    ];
    for part in parts.iter().filter(|part| !part.is_empty()) {
        text.push('\n');
        text.push_str(part);
    }
    text
}

fn or_dash(found: Option<&String>) -> String {
    found.map_or_else(|| DASH.to_owned(), String::clone)
}

fn short_or_dash(found: Option<&String>) -> String {
    found.map_or_else(|| DASH.to_owned(), |id| short(id))
}

fn machines(view: &View) -> Vec<Vec<String>> {
    let lock = |machine: &Machine| match &machine.lock {
        None => "none".to_owned(),
        Some(lock) => {
            lock.version.as_ref().map_or_else(|| "holds".to_owned(), |version| format!("holds for {version}"))
        }
    };
    let units = |machine: &Machine| match &machine.units {
        None => DASH.to_owned(),
        Some(units) if units.is_empty() => "none".to_owned(),
        Some(units) => units.iter().map(|(state, n)| format!("{n} {state}")).collect::<Vec<_>>().join(", "),
    };
    let seen = |machine: &Machine| match (machine.alive, &machine.hold) {
        (None, _) => DASH.to_owned(),
        (Some(false), _) => "away".to_owned(),
        (Some(true), None) => "there".to_owned(),
        (Some(true), Some(hold)) => format!("there, {hold}"),
    };
    let row = |machine: &Machine| {
        vec![
            machine.id.clone(),
            or_dash(machine.address.as_ref()),
            seen(machine),
            or_dash(machine.version.as_ref()),
            or_dash(machine.slot.as_ref()),
            machine.etcd.map_or(DASH, |role| role.words()).to_owned(),
            lock(machine),
            units(machine),
            or_dash(machine.phase.as_ref()),
            or_dash(machine.why.as_ref()),
        ]
    };
    view.machines.iter().map(row).collect()
}

fn group(name: &str) -> String {
    if name.is_empty() { DASH.to_owned() } else { name.to_owned() }
}

fn slots(view: &View) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for found in &view.groups {
        let (Some(max), Some(available)) = (found.max, found.available) else { continue };
        let free = format!("{available} of {max}");
        if found.holders.is_empty() {
            rows.push(vec![group(&found.name), free, "none".to_owned(), DASH.to_owned(), DASH.to_owned()]);
            continue;
        }
        for holder in &found.holders {
            let (since, version) = (or_dash(holder.since.as_ref()), or_dash(holder.version.as_ref()));
            rows.push(vec![group(&found.name), free.clone(), holder.id.clone(), since, version]);
        }
    }
    rows
}

fn versions(view: &View) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for found in &view.groups {
        for version in &found.versions {
            let why = [&version.stage, &version.reason].into_iter().flatten().map(String::as_str);
            let why = why.collect::<Vec<_>>().join(": ");
            rows.push(vec![
                version.version.clone(),
                group(&found.name),
                version.state.clone(),
                short_or_dash(version.by.as_ref()),
                or_dash(version.at.as_ref()),
                if why.is_empty() { DASH.to_owned() } else { why },
            ]);
        }
    }
    rows
}

fn units(view: &View) -> Vec<Vec<String>> {
    let units = view.units.iter().flatten();
    let row = |unit: &crate::view::Unit| {
        let state =
            if unit.is_nowhere() { "on no machine".to_owned() } else { or_dash(unit.active.as_ref()) };
        let (sub, machine) = (or_dash(unit.sub.as_ref()), short_or_dash(unit.machine.as_ref()));
        let wanted = or_dash(unit.desired.as_ref());
        let wanted = if unit.global { format!("{wanted} everywhere") } else { wanted };
        vec![unit.name.clone(), state, sub, machine, wanted]
    };
    units.map(row).collect()
}

fn members(view: &View) -> Vec<Vec<String>> {
    let members = view.etcd.iter().flat_map(|etcd| &etcd.members);
    let row = |member: &crate::view::Member| {
        let name = short(member.name.as_ref().unwrap_or(&member.id));
        let state = match &member.reason {
            Some(reason) => format!("{}: {reason}", member.role.words()),
            None => member.role.words().to_owned(),
        };
        vec![name, state, short_or_dash(member.machine.as_ref()), or_dash(member.url.as_ref())]
    };
    members.map(row).collect()
}

fn events(view: &View) -> Vec<Vec<String>> {
    view.events.iter().take(EVENTS_MAX).map(|event| vec![event.at.clone(), event.text.clone()]).collect()
}

/// A line for each program that did not answer.
fn missing(view: &View) -> String {
    let line = |missing: &crate::view::Missing| {
        let known = match missing.age_secs {
            Some(age) => format!(" (shown is what it said {} ago)", span(age)),
            None => String::new(),
        };
        format!("{}: {}{known}\n", missing.source, missing.reason)
    };
    view.missing.iter().map(line).collect()
}

/// Columns as wide as they have to be, the last one open; nothing without rows.
fn table(names: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = names.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width =
        |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..names.len()).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::Source;
    use crate::testing::{after_a_bad_version, edit, seen};

    #[test]
    fn a_cluster_after_a_bad_version_is_text() {
        let mut view = seen(after_a_bad_version);
        view.events = crate::events::events(None, &view);
        view.events.reverse();
        expect_test::expect_file!["../tests/data/show.txt"].assert_eq(&render(&view));
    }

    #[test]
    fn what_is_missing_is_a_line_at_the_end() {
        let text = render(&seen(|all| drop(all.insert(Source::Units, None))));
        assert!(text.ends_with("\nfleetctl list-units: no answer within 20 s\n"), "{text}");
    }

    #[test]
    fn no_name_spoils_the_terminal() {
        let text =
            render(&seen(|all| edit(all, Source::Units, |value| value[0]["name"] = json!("a\u{1b}[2Jb\nc"))));
        assert!(!text.contains('\u{1b}') && text.contains("a\u{fffd}[2Jb c"), "{text}");
    }
}
