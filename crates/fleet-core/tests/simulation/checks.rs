//! What must hold, looked at from outside: by the whole truth, and without the code that is tested.

use std::collections::BTreeMap;

use fleet_core::engine::{Action, Decision, Entry, Reason, Seen, Snapshot, Unit};
use fleet_core::model::{Hold, Machine, MachineId, State};
use fleet_core::name::{UnitName, matches};
use fleet_core::requirements::Requirements;

use crate::GRACE;
use crate::cast::Life;
use crate::ether::Ether;
use crate::host::{Host, Phase};
use crate::store::{Key, Value};

/// Each decision holds against the snapshot that it was made from and the decisions before it.
pub fn decisions(snapshot: &Snapshot, decisions: &[Decision], ether: &mut Ether) {
    let mut places: BTreeMap<&UnitName, &MachineId> = BTreeMap::new();
    for (unit, entries) in &snapshot.entries {
        places.extend(entries.keys().map(|machine| (unit, machine)));
    }
    for decision in decisions {
        let (unit, to) = match &decision.action {
            Action::Place { unit, machine, .. } => (unit, Some(machine)),
            Action::Move { unit, to, .. } => (unit, Some(to)),
            Action::Remove { unit, .. } => (unit, None),
            _ => continue,
        };
        places.remove(unit);
        let Some(to) = to else { continue };
        let (Some(Unit::Known(known)), Some(Seen::Known(machine))) =
            (snapshot.units.get(unit), snapshot.machines.get(to))
        else {
            ether.breaks(|| format!("{unit} is placed on {to}, and one of them is not known"));
            return;
        };
        let there: Vec<(&UnitName, Option<&Requirements>)> = places
            .iter()
            .filter(|(_, place)| **place == to)
            .map(|(name, _)| {
                (*name, snapshot.units.get(*name).and_then(Unit::known).map(|unit| &unit.requirements))
            })
            .collect();
        if machine.hold != Hold::None || !suits(unit, &known.requirements, machine, &there) {
            ether.breaks(|| format!("{unit} is placed on {to}, which does not suit: {machine:?}, {there:?}"));
        }
        if matches!(snapshot.entries.get(unit).and_then(|all| all.values().next()), Some(Entry::Frozen)) {
            ether.breaks(|| format!("{unit} is moved although it is frozen"));
        }
        places.insert(unit, to);
    }
}

/// Whether a machine with these units suits: the rules of `[X-Fleet]` as simply as they can be said.
fn suits(
    name: &UnitName,
    wants: &Requirements,
    machine: &Machine,
    there: &[(&UnitName, Option<&Requirements>)],
) -> bool {
    let metadata = wants
        .metadata
        .iter()
        .all(|(key, values)| machine.metadata.get(key).is_some_and(|value| values.contains(value)));
    let together = wants.machine_of.iter().all(|of| there.iter().any(|(other, _)| other.as_str() == of));
    let hit = |patterns: &[String], name: &UnitName| patterns.iter().any(|one| matches(one, name.as_str()));
    let apart = there.iter().filter(|(other, _)| *other != name).all(|(other, theirs)| {
        let theirs_hit = theirs.is_some_and(|theirs| {
            hit(&theirs.conflicts, name) || (hit(&theirs.replaces, name) && !hit(&wants.replaces, other))
        });
        !hit(&wants.conflicts, other) && !theirs_hit
    });
    metadata && together && apart
}

/// A machine's units move no sooner than its grace is over. The time without a leader does not count, if it was long
/// enough for the engine to ask for something and get no answer.
pub fn written(decision: &Decision, ether: &mut Ether) {
    let Reason::Lost(machine, _) = &decision.reason else { return };
    let machine = ether.cast.machine(machine);
    let grace = millis(GRACE) * 99 / 100;
    let lost = ether.absent[machine].map(|since| {
        let noticed = ether.leaderless_times.iter().filter(|(from, to)| to - from > 5_000);
        let without = noticed.map(|(from, to)| to.min(&ether.now).saturating_sub(*from.max(&since)));
        (ether.now - since).saturating_sub(without.sum())
    });
    if lost.is_some_and(|lost| lost < grace) {
        ether.breaks(|| format!("{:?} after {lost:?} ms", decision.action));
    }
}

/// What is kept up between steps about copies of units.
#[derive(Debug, Default)]
pub struct Copies {
    /// Since when a plain unit runs on a machine that is not to run it.
    surplus: BTreeMap<(usize, usize), u64>,
}

impl Copies {
    /// Never two copies of an exclusive unit; a surplus copy of a plain one no longer than the documented bound after
    /// its machine is well again, `well` being since when each is.
    pub fn check(&mut self, hosts: &[Host], well: &[Option<u64>], ether: &mut Ether) {
        let bound = millis(GRACE) + 8_000 + 17_000;
        for unit in 0..ether.cast.units.len() {
            let (exclusive, global) =
                (ether.cast.units[unit].is_exclusive(), ether.cast.units[unit].is_global());
            let mut running = 0;
            for host in hosts {
                let runs = host.units.get(&unit).is_some_and(|service| service.runs());
                running += usize::from(runs);
                let key = (host.number, unit);
                if global || exclusive || ether.wiped.is_some() {
                    continue;
                }
                if !runs || ether.store.get(Key::Entry(host.number, unit)).is_some() {
                    self.surplus.remove(&key);
                    continue;
                }
                let since = *self.surplus.entry(key).or_insert(ether.now);
                if let Some(well) = well[host.number]
                    && ether.now > since.max(well) + bound
                {
                    let name = ether.cast.units[unit].name.clone();
                    ether.breaks(|| format!("{name} still runs on {}, away since {since}", host.number));
                }
            }
            if exclusive && running > 1 {
                let name = ether.cast.units[unit].name.clone();
                ether.breaks(|| format!("{name} is exclusive and runs {running} times"));
            }
        }
    }
}

/// When all is quiet: each unit that can be placed is placed and launched, nothing else runs, and reports are true.
pub fn settled(hosts: &[Host], ether: &mut Ether) {
    let quiet = ether.store.log.last().is_none_or(|event| {
        let at =
            ether.store.get(event.key).filter(|kv| kv.modification == event.revision).map_or(0, |kv| kv.at);
        at + 20_000 < ether.now
    });
    if !quiet {
        let last = ether.store.log.last().copied();
        ether.breaks(|| format!("it does not come to rest: {last:?}"));
    }
    for unit in 0..ether.cast.units.len() {
        let name = ether.cast.units[unit].name.clone();
        if ether.cast.units[unit].is_global() {
            global(unit, &name, hosts, ether);
        } else {
            placed(unit, &name, hosts, ether);
        }
        for host in hosts.iter().filter(|host| host.up) {
            let report = ether.value(Key::State(host.number, unit));
            let truth = host.units.get(&unit).map(|service| (service.content, service.state()));
            let same = match (report, truth) {
                (Some(Value::Report { content, active, sub, .. }), Some((have, (is, does, _)))) => {
                    (content, active, sub) == (have, is, does)
                }
                (None, None) => true,
                _ => false,
            };
            if !same {
                let number = host.number;
                ether.breaks(|| format!("machine {number} says {report:?} of {name}, which is {truth:?}"));
            }
        }
    }
}

fn placed(unit: usize, name: &UnitName, hosts: &[Host], ether: &mut Ether) {
    let entry = hosts.iter().find(|host| ether.value(Key::Entry(host.number, unit)).is_some());
    let there = |host: &Host| host.units.contains_key(&unit);
    let stray = hosts.iter().find(|host| there(host) && entry.is_none_or(|at| at.number != host.number));
    if let Some(stray) = stray {
        ether.breaks(|| format!("{name} is left on {}", stray.number));
    }
    let Some(Value::Wish { content, desired }) = ether.value(Key::Unit(unit)) else {
        let frozen = ether.value(Key::Unit(unit)).is_some();
        if entry.is_some() && !frozen {
            ether.breaks(|| format!("{name} is destroyed and has an entry"));
        }
        return;
    };
    let claim = ether.value(Key::Claim(unit));
    let takers: Vec<usize> = hosts
        .iter()
        .filter(|host| takes(unit, content, host, hosts, ether))
        .map(|host| host.number)
        .collect();
    let Some(host) = entry else {
        if desired != State::Inactive && !takers.is_empty() {
            ether.breaks(|| format!("{name} is nowhere, but {takers:?} would take it; claim {claim:?}"));
        }
        return;
    };
    let number = host.number;
    if desired == State::Inactive {
        ether.breaks(|| format!("{name} is not wanted and has an entry"));
    }
    let alive = ether.value(Key::Machine(number)).is_some();
    let draining = ether.value(Key::Hold(number)) == Some(Value::Hold(Hold::Draining));
    if (!alive || draining) && !takers.is_empty() {
        ether.breaks(|| format!("{name} stays on {number}, but {takers:?} would take it"));
    }
    if !alive {
        return;
    }
    let finished = matches!(ether.value(Key::Entry(number, unit)), Some(Value::Place { finished: true, .. }));
    let life = ether.cast.units[unit].life;
    let phase = host.units.get(&unit).map(|service| (service.content, service.phase));
    let right = match (desired, life, phase) {
        (State::Launched, Life::Runs, Some((have, Phase::Running))) => have == content,
        (State::Launched, Life::Fails, Some((have, Phase::Failed))) => have == content,
        (State::Launched, Life::Ends, Some((have, Phase::Stopped))) => have == content,
        (State::Loaded, _, Some((have, Phase::Stopped | Phase::Failed))) => have == content,
        _ => false,
    };
    let once = ether.cast.units[unit].contents[content].run_once && life == Life::Ends;
    if !right || (once && desired == State::Launched && !finished) {
        ether.breaks(|| format!("{name} is to be {desired} {content} on {number} and is {phase:?}"));
    }
    let held = claim == Some(Value::Claim(number));
    if ether.cast.units[unit].is_exclusive() && held != (desired == State::Launched) {
        ether.breaks(|| format!("{name} is to be {desired} on {number}, its claim is {claim:?}"));
    }
}

/// Whether a machine would take a unit that is not there, as everything is.
fn takes(unit: usize, content: usize, host: &Host, hosts: &[Host], ether: &Ether) -> bool {
    let number = host.number;
    let open = ether.value(Key::Machine(number)).is_some()
        && !matches!(ether.value(Key::Hold(number)), Some(Value::Hold(Hold::Cordoned | Hold::Draining)));
    let role = &ether.cast.units[unit];
    let there = |other: &usize| {
        let entry = ether.value(Key::Entry(number, *other)).is_some();
        let global = ether.cast.units[*other].is_global() && hosts[number].units.contains_key(other);
        *other != unit && (entry || global)
    };
    let others: Vec<(&UnitName, Option<&Requirements>)> = (0..ether.cast.units.len())
        .filter(there)
        .map(|other| (&ether.cast.units[other].name, Some(&ether.cast.units[other].contents[0])))
        .collect();
    let machine = Machine {
        id: ether.cast.machines[number].clone(),
        ip: String::new(),
        metadata: ether.cast.metadata[number].clone(),
        hold: Hold::None,
    };
    let here = ether.value(Key::Entry(number, unit)).is_some();
    open && !here && suits(&role.name, &role.contents[content], &machine, &others)
}

/// A global unit runs on each machine that it suits, those aside that take nothing new.
fn global(unit: usize, name: &UnitName, hosts: &[Host], ether: &mut Ether) {
    let wish = ether.value(Key::Global(unit));
    for host in hosts.iter().filter(|host| host.up) {
        let number = host.number;
        let phase = host.units.get(&unit).map(|service| (service.content, service.phase));
        let right = match wish {
            Some(Value::Wish { content, desired }) if desired != State::Inactive => {
                let role = &ether.cast.units[unit];
                let wants = &role.contents[content];
                let zone = &ether.cast.metadata[number];
                let near =
                    wants.metadata.iter().all(|(key, of)| zone.get(key).is_some_and(|at| of.contains(at)));
                let guests = (0..ether.cast.units.len()).filter(|other| {
                    ether.value(Key::Entry(number, *other)).is_some()
                        && wants
                            .conflicts
                            .iter()
                            .any(|one| matches(one, ether.cast.units[*other].name.as_str()))
                });
                let free = near && guests.count() == 0;
                let hold = ether.value(Key::Hold(number));
                match (free, hold, phase) {
                    (true, Some(Value::Hold(Hold::Cordoned | Hold::Draining)), None) => true,
                    (true, _, Some((have, phase))) => {
                        have == content && (phase == Phase::Running) == (desired == State::Launched)
                    }
                    (true, _, None) => false,
                    (false, _, phase) => phase.is_none(),
                }
            }
            Some(Value::Garbage) => true,
            _ => phase.is_none(),
        };
        if !right {
            ether.breaks(|| format!("global {name} is {phase:?} on {number}, wanted {wish:?}"));
        }
    }
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap()
}
