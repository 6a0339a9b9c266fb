//! How an agent does what it has planned, and what must hold when it does.

use fleet_core::agent::{Task, Wish};
use fleet_core::model::State;
use fleet_core::name::UnitName;

use super::Agent;
use crate::cast::HASHES;
use crate::ether::{Ether, Reply};
use crate::flaw::Flaw;
use crate::host::{Host, Phase, Service};
use crate::store::{Author, Compare, Key, Op, Txn, Value};

impl Agent {
    /// Does one task; returns how long to wait before the next step.
    pub(super) fn carry_out(&mut self, task: Task, host: &mut Host, ether: &mut Ether) -> Option<u64> {
        ether.say(|| format!("machine {}: does {task:?}", self.number));
        let unit = task.unit().map(|name| ether.cast.unit(name));
        if !ether.has(Flaw::BeginNotNoted) {
            host.run.memory.begin(&task);
        }
        let done = match (&task, unit) {
            (Task::Unload(_), Some(unit)) => {
                self.check_stop(unit, host, ether);
                host.stop(unit, ether);
                if host.units.get(&unit).is_some_and(Service::runs) {
                    // Meanwhile the others are stopped too.
                    let unloads = self.tasks.iter().take_while(|task| matches!(task, Task::Unload(_)));
                    let behind = unloads.count();
                    self.tasks.insert(behind, task);
                    return Some(100);
                }
                host.units.remove(&unit);
                true
            }
            (Task::Load(name), Some(unit)) => self.load(name, unit, host),
            (Task::Stop(_), Some(unit)) => {
                self.check_stop(unit, host, ether);
                host.stop(unit, ether);
                true
            }
            (Task::Release(_), Some(unit)) => {
                let key = Key::Claim(unit);
                let mine = ether.value(key) == Some(Value::Claim(self.number));
                let compares = vec![ether.unchanged(key)];
                match mine && !ether.has(Flaw::ClaimKept) {
                    true => self.claim_written(compares, Op::Delete(key), ether),
                    false => true,
                }
            }
            (Task::Claim { modification, .. }, Some(unit)) => self.claim(unit, *modification, host, ether),
            (Task::Start { started, .. }, Some(unit)) => {
                self.check_start(unit, started.modification, host, ether);
                let taken = host.start(unit, started.modification, ether);
                // Dead before it could write down that it started the unit: the next process starts it again.
                if self.doomed
                    && let Some(service) = host.units.get_mut(&unit)
                {
                    service.started_for = None;
                    self.dead = true;
                }
                taken && !self.doomed
            }
            (Task::Reload, _) | (_, None) => true,
        };
        self.dirty |= !matches!(task, Task::Reload);
        match done {
            true => host.run.memory.done(&task),
            false => self.tasks.retain(|later| later.unit() != task.unit()),
        }
        // What the store refuses is tried again after a while, not at once.
        (!done).then(|| ether.rng.range(200, 1_000))
    }

    fn load(&self, name: &UnitName, unit: usize, host: &mut Host) -> bool {
        let wish = self.wanted.entries.get(name).or_else(|| self.wanted.globals.get(name));
        let Some(Wish::Known(wish)) = wish else { return false };
        let content = HASHES.iter().position(|hash| *hash == wish.hash).unwrap();
        host.units.insert(unit, Service { content, phase: Phase::Stopped, started_for: None });
        true
    }

    fn claim(&mut self, unit: usize, modification: i64, host: &Host, ether: &mut Ether) -> bool {
        if ether.has(Flaw::NoClaim) {
            return true;
        }
        let key = Key::Claim(unit);
        let free = match ether.value(key) {
            None => true,
            Some(Value::Claim(machine)) => machine == self.number || ether.has(Flaw::BlindClaim),
            Some(_) => false,
        };
        let compares = match ether.has(Flaw::BlindClaim) {
            true => vec![],
            false => {
                vec![ether.unchanged(key), Compare::Modification(Key::Entry(self.number, unit), modification)]
            }
        };
        let own = host.run.lease.is_some();
        own && free && self.claim_written(compares, Op::Put(key, Value::Claim(self.number)), ether)
    }

    fn claim_written(&mut self, compares: Vec<Compare>, op: Op, ether: &mut Ether) -> bool {
        match self.write(compares, op, ether) {
            Reply::Done(_) => true,
            Reply::Refused | Reply::LeaseGone => false,
            Reply::Unknown => {
                self.claims_known = false;
                false
            }
        }
    }

    /// Writes with its own key compared. That key is put anew when the outcome is not known, which keeps out what may
    /// still be on its way, or when it is not as it was put last.
    pub(super) fn write(&mut self, mut compares: Vec<Compare>, op: Op, ether: &mut Ether) -> Reply {
        if !ether.has(Flaw::NoOwnFence) {
            compares.push(Compare::Modification(Key::Machine(self.number), self.key));
        }
        let reply = ether.write(self.number, Txn { compares, ops: vec![op], author: Author::Other });
        let same = ether.store.modification(Key::Machine(self.number)) == self.key;
        match reply {
            Reply::Unknown => self.key = 0,
            Reply::Refused if !same => self.key = 0,
            _ => {}
        }
        reply
    }

    /// A unit is stopped only if the registry does not want it here, or did not until a moment ago.
    fn check_stop(&self, unit: usize, host: &Host, ether: &mut Ether) {
        let role = &ether.cast.units[unit];
        let Some(service) = host.units.get(&unit) else { return };
        if role.is_exclusive() || role.is_global() || !service.runs() {
            return;
        }
        let settled = |at: u64| ether.now > at + 15_000;
        let Some(kv) = ether.store.get(Key::Entry(self.number, unit)) else {
            if ether.wiped.is_some_and(settled) {
                let name = role.name.clone();
                ether.breaks(|| format!("{name} is stopped because the registry is empty"));
            }
            return;
        };
        if let Value::Place { content, desired, .. } = kv.value
            && (content, desired) == (service.content, State::Launched)
            && settled(kv.at)
        {
            let (name, at) = (role.name.clone(), kv.at);
            let number = self.number;
            ether.breaks(|| format!("{name} is stopped on {number}, which was to run it since {at}"));
        }
    }

    /// A plain unit is started once for an entry, unless the process died just then, and never when it has finished.
    fn check_start(&self, unit: usize, entry: i64, host: &Host, ether: &mut Ether) {
        let Some(service) = host.units.get(&unit) else { return };
        let role = &ether.cast.units[unit];
        let again = service.started_for == Some(entry) && !role.is_exclusive() && !service.runs();
        if again {
            let name = role.name.clone();
            ether.breaks(|| format!("{name} is started again for entry {entry}"));
        }
    }
}
