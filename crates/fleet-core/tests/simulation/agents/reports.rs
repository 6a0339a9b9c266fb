//! What an agent says of its units, and what it looks up of those that went elsewhere.

use std::collections::BTreeMap;

use fleet_core::agent::{Elsewhere, reports};
use fleet_core::model::Report;

use super::Agent;
use crate::cast::HASHES;
use crate::ether::{Ether, NEVER, Reply};
use crate::flaw::Flaw;
use crate::host::Host;
use crate::store::{Key, Op, Value};

impl Agent {
    /// Looks up where surplus units are.
    pub(super) fn look_around(&mut self, host: &Host, ether: &Ether) {
        self.elsewhere.clear();
        self.look = NEVER;
        for name in host.run.memory.surplus.keys() {
            let unit = ether.cast.unit(name);
            let mut machines = 0..ether.cast.machines.len();
            let place = machines.find(|machine| ether.value(Key::Entry(*machine, unit)).is_some());
            let report = place.and_then(|machine| report_of(ether.value(Key::State(machine, unit))?));
            let found = match ether.has(Flaw::SurplusForever) {
                true => Elsewhere::Coming,
                false => Elsewhere::of(place.map(|_| report.as_ref())),
            };
            self.elsewhere.insert(name.clone(), found);
            self.look = ether.now + 1_000;
        }
        self.dirty = true;
    }

    /// Puts one report that is not as it should be; false if all are.
    pub(super) fn report(&mut self, host: &Host, ether: &mut Ether) -> bool {
        let Some(lease) = host.run.lease.filter(|_| self.key != 0 && self.reports_known) else {
            return false;
        };
        let here = self.here(host, ether);
        let all = reports(&self.wanted, &here, &host.run.memory);
        let mut wanted: BTreeMap<usize, Value> = BTreeMap::new();
        for (name, found) in &all {
            let unit = ether.cast.unit(name);
            let service = &host.units[&unit];
            let (active, sub, _) = service.state();
            let (started, entry) = (found.report.started, found.entry);
            wanted.insert(unit, Value::Report { content: service.content, active, sub, started, entry });
        }
        let gone = self.reported.keys().find(|unit| !wanted.contains_key(unit)).copied();
        let changed = wanted.iter().find(|(unit, value)| self.reported.get(unit) != Some(*value));
        let (unit, op) = match (gone, changed) {
            (Some(unit), _) => (unit, Op::Delete(Key::State(self.number, unit))),
            (None, Some((unit, value))) => {
                (*unit, Op::PutWithLease(Key::State(self.number, *unit), *value, lease))
            }
            (None, None) => return false,
        };
        match (self.write(vec![], op, ether), op) {
            (Reply::Done(_), Op::PutWithLease(_, value, _)) => {
                self.reported.insert(unit, value);
            }
            (Reply::Done(_), _) => {
                self.reported.remove(&unit);
            }
            (Reply::LeaseGone, _) => self.keep_alive = ether.now,
            (Reply::Unknown | Reply::Refused, _) => self.reports_known = false,
        }
        true
    }
}

fn report_of(value: Value) -> Option<Report> {
    let Value::Report { content, active, sub, started, .. } = value else { return None };
    let hash = HASHES[content].to_owned();
    Some(Report { hash, load: "loaded".to_owned(), active: active.to_owned(), sub: sub.to_owned(), started })
}
