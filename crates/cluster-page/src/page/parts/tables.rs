//! A table for each thing that there is: machines, slots, versions, units, members of etcd, events.

use std::collections::BTreeMap;

use super::{Table, Tone, code, or_dash, text, time, word};
use crate::markup::Markup;
use crate::summary::{group_name, short};
use crate::view::{Group, Machine, Role, Unit, View};

/// Machines.
pub(super) fn machines(view: &View) -> Markup {
    let names = &["Machine", "Seen", "System", "Reboots", "Reboot slot", "etcd", "Units"];
    let mut table = Table::new("Machines", names);
    for machine in &view.machines {
        let name = called(&machine.id);
        let name = match &machine.address {
            Some(address) => name.element("<small>", address, "</small>"),
            None => name,
        };
        let cells = [
            seen(machine),
            system(machine),
            reboots(machine),
            slot(machine),
            role(machine.etcd),
            units_on(machine),
        ];
        table.row(&name, &cells);
    }
    table.finish_or("Machines", "No machine is known.")
}

/// The beginning of an id by which people know a machine, with the whole of it below.
fn called(id: &str) -> Markup {
    let name = short(id);
    let made = text(&name);
    if name == id { made } else { made.raw("<small>").piece(&code(id)).raw("</small>") }
}

fn seen(machine: &Machine) -> Markup {
    let state = match machine.alive {
        Some(true) => word(Tone::Well, "there"),
        Some(false) => word(Tone::Trouble, "away"),
        None => word(Tone::Plain, "not known"),
    };
    match &machine.hold {
        Some(hold) => state.raw(" ").piece(&word(Tone::Note, hold)),
        None => state,
    }
}

fn system(machine: &Machine) -> Markup {
    let made = or_dash(machine.version.as_ref());
    let made = match &machine.slot {
        Some(slot) => made.element("<small>slot ", slot, "</small>"),
        None => made,
    };
    match &machine.waiting {
        Some(waiting) => made.element("<small>", &format!("{waiting} waits for a reboot"), "</small>"),
        None => made,
    }
}

fn reboots(machine: &Machine) -> Markup {
    let Some(phase) = &machine.phase else { return text("–") };
    let made = word(if phase == "idle" { Tone::Plain } else { Tone::Note }, phase);
    let made = match &machine.why {
        Some(why) => made.element("<small>", why, "</small>"),
        None => made,
    };
    let place = match (&machine.strategy, machine.group.as_deref().unwrap_or_default()) {
        (Some(strategy), "") => strategy.clone(),
        (Some(strategy), group) => format!("{strategy}, {}", group_name(group)),
        (None, group) => group_name(group),
    };
    let made = made.raw("<small>").text(&place);
    let made = match &machine.reported_at {
        Some(at) => made.raw(", since ").piece(&time(at)),
        None => made,
    };
    made.raw("</small>")
}

fn slot(machine: &Machine) -> Markup {
    let Some(lock) = &machine.lock else { return text("–") };
    let made = word(Tone::Note, "holds one");
    let made = match &lock.version {
        Some(version) => made.element("<small>", &format!("for {version}"), "</small>"),
        None => made,
    };
    match &lock.since {
        Some(since) => made.raw("<small>since ").piece(&time(since)).raw("</small>"),
        None => made,
    }
}

fn role(role: Option<Role>) -> Markup {
    let Some(role) = role else { return text("–") };
    let tone = match role {
        Role::Leader | Role::Follower => Tone::Well,
        Role::Learner => Tone::Plain,
        Role::NoLeader | Role::Silent => Tone::Trouble,
    };
    word(tone, role.words())
}

fn units_on(machine: &Machine) -> Markup {
    let Some(units) = &machine.units else { return text("–") };
    if units.is_empty() {
        return text("none");
    }
    let pieces = units.iter().map(|(state, n)| word(tone_of(Some(state)), &format!("{n} {state}")));
    pieces
        .enumerate()
        .fold(Markup::new(), |made, (at, piece)| if at == 0 { piece } else { made.raw(" ").piece(&piece) })
}

fn tone_of(active: Option<&str>) -> Tone {
    match active {
        Some("active") => Tone::Well,
        Some("failed") => Tone::Trouble,
        Some(_) => Tone::Note,
        None => Tone::Plain,
    }
}

/// Groups and who holds a slot.
pub(super) fn slots(view: &View) -> Markup {
    let mut table = Table::new("Slots for reboots", &["Group", "Free", "Holder", "Since", "For", "Units"]);
    for group in view.groups.iter().filter(|group| group.max.is_some()) {
        let free = free(group);
        if group.holders.is_empty() {
            table.row(&group_cell(&group.name), &[free, text("nobody"), text("–"), text("–"), text("–")]);
            continue;
        }
        for holder in &group.holders {
            let since = holder.since.as_ref().map_or_else(|| text("–"), |since| time(since));
            let version = or_dash(holder.version.as_ref());
            let drained = text(if holder.drained { "moved away" } else { "stay" });
            table.row(&group_cell(&group.name), &[free.clone(), code(&holder.id), since, version, drained]);
        }
    }
    table.finish_or("Slots for reboots", "No slots are known.")
}

fn group_cell(name: &str) -> Markup {
    text(if name.is_empty() { "default" } else { name })
}

fn free(group: &Group) -> Markup {
    match (group.available, group.max) {
        (Some(available), Some(max)) => text(&format!("{available} of {max}")),
        (_, max) => or_dash(max.map(|max| max.to_string()).as_ref()),
    }
}

/// What became of versions.
pub(super) fn versions(view: &View) -> Markup {
    let mut table = Table::new("Versions", &["Version", "Group", "State", "What happened", "Said by", "At"]);
    for group in &view.groups {
        for version in &group.versions {
            let tone = match version.state.as_str() {
                "good" => Tone::Well,
                "failed" => Tone::Trouble,
                _ => Tone::Note,
            };
            let why = [&version.stage, &version.reason].into_iter().flatten().map(String::as_str);
            let why = why.collect::<Vec<_>>().join(": ");
            let why = if why.is_empty() { text("–") } else { text(&why) };
            let at = version.at.as_ref().map_or_else(|| text("–"), |at| time(at));
            let by = version.by.as_ref().map_or_else(|| text("–"), |by| text(&short(by)));
            let state = word(tone, &version.state);
            table.row(&text(&version.version), &[group_cell(&group.name), state, why, by, at]);
        }
    }
    table.finish_or("Versions", "No group knows of a version that was tried.")
}

/// Units: those that need a look first.
pub(super) fn units(view: &View) -> Markup {
    let mut table = Table::new("Units", &["Unit", "State", "Machine", "Wanted"]);
    let units: Vec<&Unit> = view.units.iter().flatten().collect();
    let (needy, fine): (Vec<_>, Vec<_>) =
        units.into_iter().partition(|unit| unit.is_failed() || unit.is_nowhere());
    let names: BTreeMap<&str, &Machine> =
        view.machines.iter().map(|machine| (machine.id.as_str(), machine)).collect();
    for unit in needy.into_iter().chain(fine) {
        let state = match &unit.active {
            Some(active) => word(tone_of(Some(active)), active),
            None if unit.is_nowhere() => word(Tone::Trouble, "on no machine"),
            None => word(Tone::Plain, "not known"),
        };
        let state = match &unit.sub {
            Some(sub) if unit.active.as_ref() != Some(sub) => state.element("<small>", sub, "</small>"),
            Some(_) | None => state,
        };
        let address = unit.machine.as_deref().and_then(|id| names.get(id)?.address.as_ref());
        let machine = unit.machine.as_ref().map_or_else(|| text("–"), |id| text(&short(id)));
        let machine = match address {
            Some(address) => machine.element("<small>", address, "</small>"),
            None => machine,
        };
        let wanted = or_dash(unit.desired.as_ref());
        let wanted = if unit.global { wanted.raw("<small>on every machine</small>") } else { wanted };
        table.row(&code(&unit.name), &[state, machine, wanted]);
    }
    let nothing = if view.units.is_some() { "fleet has no unit." } else { "fleet has not said." };
    table.finish_or("Units", nothing)
}

/// Members of etcd.
pub(super) fn etcd(view: &View) -> Markup {
    let mut table = Table::new("Members of etcd", &["Member", "State", "Machine", "Version", "Clients"]);
    for member in view.etcd.iter().flat_map(|etcd| &etcd.members) {
        let name = text(&short(member.name.as_ref().unwrap_or(&member.id)));
        let name = name.raw("<small>").piece(&code(&member.id)).raw("</small>");
        let state = role(Some(member.role));
        let state = match &member.reason {
            Some(reason) => state.element("<small>", reason, "</small>"),
            None => state,
        };
        let machine =
            member.machine.as_ref().map_or_else(|| text("none that is known"), |id| text(&short(id)));
        let (version, url) = (or_dash(member.version.as_ref()), or_dash(member.url.as_ref()));
        table.row(&name, &[state, machine, version, url]);
    }
    table.finish_or("Members of etcd", "etcd has not said.")
}

/// What happened.
pub(super) fn events(view: &View) -> Markup {
    let mut table = Table::new("What happened", &["When", "What"]);
    for event in &view.events {
        table.row(&time(&event.at), &[text(&event.text)]);
    }
    table.finish_or("What happened", "Nothing since this page was started.")
}
