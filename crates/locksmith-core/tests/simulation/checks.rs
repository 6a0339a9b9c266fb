//! What must hold, looked at from outside: by the whole truth, and without the code that is tested.

use locksmith_core::order::{Hold, Next};
use locksmith_core::semaphore::{Outcome, Semaphore};

use crate::flaw::Flaw;
use crate::machine::Cause;
use crate::world::World;

impl World {
    /// A write has changed the semaphore.
    pub fn written(&mut self, n: usize, next: &Next, before: &Semaphore) {
        let (now, value) = (self.now, self.store.value.clone());
        let id = self.machines[n].id.clone();
        for version in self.versions.keys().cloned().collect::<Vec<_>>() {
            if before.is_good(&version) && !value.is_good(&version) {
                self.doubted.insert(version, now);
            }
        }
        match next {
            Next::Lock(_) if value.available() < 0 => {
                self.breaks(|| format!("there are more holders than slots after a lock of m{n}"));
            }
            Next::Break { holder, .. } => self.broke(n, holder),
            Next::Record(Outcome::Failed { version, .. }) => {
                self.failed.entry(version.clone()).or_insert(now);
            }
            _ => {}
        }
        if let Next::Record(Outcome::Good { version, .. }) | Next::Settle(Outcome::Good { version, .. }) =
            next
            && !(self.machines[n].running == *version && self.machines[n].is_blessed(now))
        {
            self.breaks(|| format!("m{n} finds {version} good, which it has not blessed"));
        }
        if before.holds(&id) && !value.holds(&id) && self.machines[n].away {
            self.came_back(n);
        }
    }

    /// A machine has given back the slot of the boot before.
    fn came_back(&mut self, n: usize) {
        let now = self.now;
        let machine = &mut self.machines[n];
        machine.away = false;
        let trial = machine.trial.take();
        let is_whole = machine.is_blessed(now) && machine.member_at.is_none_or(|at| at <= now);
        let is_drained = machine.hold == Hold::Draining;
        if let Some(version) = trial.filter(|version| machine.local(now).failure(version).is_some()) {
            self.failed.entry(version).or_insert(now);
        }
        if !is_whole || is_drained {
            self.breaks(|| format!("m{n} gives its slot back and is not whole; drained: {is_drained}"));
        }
    }

    fn broke(&mut self, n: usize, holder: &str) {
        let other = self.machines.iter().position(|machine| machine.id == holder).unwrap();
        let read_at = self.machines[n].daemon.read_at;
        let machine = &mut self.machines[other];
        let trial = machine.trial.take();
        machine.away = false;
        let was_there =
            machine.is_up() && machine.booted + 60 < read_at && machine.cut_off_until + 60 < read_at;
        if let Some(version) = trial {
            let is_good = self.store.value.is_good(&version);
            if !is_good {
                self.failed.entry(version).or_insert(self.now);
            }
        }
        if was_there {
            self.breaks(|| format!("m{n} breaks {holder}, which fleet sees"));
        }
    }

    /// A daemon has asked for a reboot, and it begins.
    pub fn reboots(&mut self, n: usize) {
        let now = self.now;
        let machine = &self.machines[n];
        let (id, boot, read_at) = (machine.id.clone(), machine.boot_id(), machine.daemon.read_at);
        let slot = self.store.value.slot(&id);
        if slot.is_none_or(|slot| slot.boot.as_ref() != Some(&boot)) {
            self.breaks(|| format!("m{n} reboots without a slot"));
        }
        let machine = &self.machines[n];
        if !machine.operator && !machine.is_open(read_at) {
            self.breaks(|| format!("m{n} reboots outside of its window"));
        }
        let has_users = 0 < self.machines[n].terminals && self.machines[n].logged_in + 1200 < read_at;
        if has_users && self.machines[n].notified.is_none_or(|at| now < at + 300) {
            self.breaks(|| format!("m{n} reboots and has not told its users"));
        }
        let away = self.machines.iter().filter(|other| other.id != id && other.away).count();
        if self.store.value.max() <= i64::try_from(away).unwrap() {
            self.breaks(|| format!("m{n} reboots while {away} others are away"));
        }
        if let Some(version) = self.machines[n].waiting.clone() {
            let others = self.machines.iter().filter(|other| other.id != id);
            let tried = others.filter(|other| other.trial.as_ref() == Some(&version)).count();
            let was_good = self.doubted.get(&version).is_some_and(|at| read_at <= *at);
            if 0 < tried && !self.store.value.is_good(&version) && !was_good {
                self.breaks(|| format!("m{n} tries {version}, as {tried} others do"));
            }
            if self.failed.get(&version).is_some_and(|at| *at < read_at) {
                self.breaks(|| format!("m{n} starts {version}, which has failed elsewhere"));
            }
            self.machines[n].trial = Some(version);
        }
        if n < self.voters && !self.keeps_quorum(n, read_at) {
            self.breaks(|| format!("m{n} reboots, and etcd loses its quorum"));
        }
        self.machines[n].away = true;
        self.goes_down(n, Cause::Locksmith);
    }

    /// Whether etcd goes on without a member: what crashed after the daemon looked was not its to know.
    fn keeps_quorum(&self, n: usize, read_at: u64) -> bool {
        let is_left = |other: &usize| {
            let machine = &self.machines[*other];
            let crashed = |down: crate::machine::Down| down.by == Cause::Crash && read_at <= down.since;
            let cut_off = self.now < machine.cut_off_until;
            let excused = machine.down.is_some_and(crashed) || (cut_off && machine.is_up());
            excused || machine.is_healthy(self.now)
        };
        let left = (0..self.voters).filter(|other| *other != n).filter(is_left).count();
        self.voters < 3 || self.voters / 2 < left
    }

    /// After long enough without incidents.
    pub fn check_end(&mut self) {
        if !self.store_is_up() {
            return;
        }
        let dead = self.machines.iter().filter(|machine| machine.dead).count();
        for n in 0..self.machines.len() {
            let machine = &self.machines[n];
            if machine.dead || !machine.is_up() {
                continue;
            }
            let id = machine.id.clone();
            if self.store.value.holds(&id) {
                let slot = self.store.value.slot(&id).cloned();
                self.breaks(|| format!("m{n} keeps its slot: {slot:?}"));
            }
            let machine = &self.machines[n];
            if machine.hold == Hold::Draining {
                self.breaks(|| format!("m{n} stays drained"));
            }
            let machine = &self.machines[n];
            if dead == 0 && machine.waiting.is_some() {
                let (waiting, memory) = (machine.waiting.clone(), format!("{:?}", machine.daemon.memory));
                self.breaks(|| format!("{waiting:?} waits on m{n} for ever: {memory}"));
            }
            let failed = self.failed.keys().find(|version| {
                let local = self.machines[n].local(self.now);
                local.waiting.as_ref() == Some(version)
            });
            if let Some(version) = failed.cloned()
                && self.flaw != Some(Flaw::FailureHidden)
            {
                self.breaks(|| format!("{version} failed and waits on m{n}"));
            }
        }
    }
}
