//! A daemon's runner: it gathers what is seen, asks the crate, and does one thing, with time passing in between.

use std::time::Duration;

use locksmith_core::order::{
    Fleet, Hold, Last, LocalEtcd, Me, Moment, Next, Phase, Reading, Seen, Settings, Wish, step,
};
use locksmith_core::quorum::{Health, Member, MemberId, Role};
use locksmith_core::semaphore::{Outcome, Refusal, Semaphore};
use locksmith_core::strategy::Mode;
use locksmith_core::window::Standing;

use crate::flaw::Flaw;
use crate::machine::Task;
use crate::world::World;

impl World {
    /// Lets the daemon of a machine go on.
    pub fn daemon(&mut self, n: usize) {
        if self.has(Flaw::Leases) {
            self.end_leases();
        }
        self.count_step(n);
        match std::mem::take(&mut self.machines[n].daemon.task) {
            Task::Decide => self.decide(n, None),
            Task::DecideWithReading => {
                self.machines[n].daemon.read_at = self.now;
                let mut reading = self.reading(n);
                if self.has(Flaw::OldReading) && reading.semaphore.is_ok() {
                    reading = self.old_readings.entry(n).or_insert(reading).clone();
                    // Of the slot it knows: it took it itself.
                    reading.semaphore = Ok(match self.store.value.slot(&self.machines[n].id) {
                        Some(slot) => {
                            reading.semaphore.unwrap().set_max(9).lock(&self.machines[n].id, slot.clone())
                        }
                        None => reading.semaphore.map_err(|_| Refusal::NoHolder),
                    }
                    .unwrap_or_default());
                }
                self.decide(n, Some(reading));
            }
            Task::Write { next, revision, value, tries } => self.write(n, next, revision, *value, tries),
            Task::Act(next) => self.act(n, next),
        }
    }

    fn end_leases(&mut self) {
        let wall = self.machines[0].wall(self.now).as_second();
        let value = self.store.value.clone();
        let old = value.holders().filter(|(_, slot)| {
            slot.and_then(|slot| slot.since).is_some_and(|since| since.as_second() + 900 < wall)
        });
        let next = old.fold(value.clone(), |next, (id, _)| next.unlock(id).unwrap());
        if next != value {
            self.store.write(self.store.revision, next);
        }
    }

    /// Something that is done again and again is found out.
    fn count_step(&mut self, n: usize) {
        let hour = self.now / 3600;
        let steps = &mut self.machines[n].daemon.steps;
        *steps = if steps.0 == hour { (hour, steps.1 + 1) } else { (hour, 1) };
        if 2_000 < steps.1 {
            self.breaks(|| format!("m{n} comes to no rest"));
        }
    }

    fn decide(&mut self, n: usize, reading: Option<Reading>) {
        let seen = self.seen(n, reading);
        let opens_in = match seen.standing {
            Standing::Opens { at } => u64::try_from(at.duration_since(seen.now).as_secs()).unwrap(),
            Standing::Always | Standing::Open { .. } => 0,
        };
        let decision = step(&seen, &self.machines[n].daemon.memory);
        if !matches!(decision.next, Next::Wait { .. } | Next::Read) {
            self.say(|| format!("m{n}: {:?}: {}", decision.next, decision.why));
        }
        let daemon = &mut self.machines[n].daemon;
        daemon.memory = decision.memory;
        daemon.last = None;
        self.begin(n, decision.next);
        if decision.phase == Phase::Window {
            // It looks at its clock each minute; here the clock is looked at when it is set.
            let daemon = &mut self.machines[n].daemon;
            daemon.ready = daemon.ready.max(self.now + opens_in.saturating_sub(60));
        }
    }

    fn seen(&mut self, n: usize, reading: Option<Reading>) -> Seen {
        let dice = u8::try_from(self.rng.range(0, 255)).unwrap();
        let (now, machine) = (self.now, &self.machines[n]);
        let standing = match machine.window {
            None => Standing::Always,
            _ if self.has(Flaw::WindowIgnored) => Standing::Always,
            Some(_) if machine.is_open(now) => {
                Standing::Open { since: machine.wall(now), until: machine.wall(now) }
            }
            Some((start, _)) => {
                let of_day = machine.wall(now).as_second().rem_euclid(86_400);
                let wait = (i64::try_from(start).unwrap() - of_day).rem_euclid(86_400);
                Standing::Opens { at: machine.wall(now + u64::try_from(wait).unwrap()) }
            }
        };
        let mut local = machine.local(now);
        local.blessed |= self.has(Flaw::Unblessed);
        Seen {
            now: machine.wall(now),
            moment: Moment(Duration::from_secs(now - machine.booted)),
            mode: Mode::Locked,
            me: Me { id: machine.id.clone(), boot: machine.boot_id(), booted: machine.wall(machine.booted) },
            local,
            wish: if machine.operator { Wish::Reboot } else { Wish::None },
            standing,
            terminals: if self.has(Flaw::NoNotice) { 0 } else { machine.terminals },
            last: machine.daemon.last.clone().unwrap_or(Last::Done),
            reading,
            settings: Settings { break_stale: self.break_stale, ..Settings::default() },
            has_news: dice % 16 == 0,
            dice,
        }
    }

    fn reading(&self, n: usize) -> Reading {
        let (now, machine) = (self.now, &self.machines[n]);
        let reaches = self.reaches(n);
        let semaphore = if reaches { Ok(self.store.value.clone()) } else { Err("no answer".to_owned()) };
        let number = |n: usize| MemberId(u64::try_from(n).unwrap());
        let member = |other: usize| Member {
            id: number(other),
            role: Role::Voter,
            health: match self.is_seen_healthy(other) || self.has(Flaw::QuorumIgnored) {
                true => Health::Healthy,
                false => Health::Down,
            },
        };
        let etcd = match machine.member_at {
            None => LocalEtcd::Absent,
            Some(at) if now + 20 < at && !self.has(Flaw::EtcdIgnored) => LocalEtcd::Silent,
            Some(at) => LocalEtcd::Member {
                id: number(n),
                role: Role::Voter,
                has_leader: reaches,
                behind: if now < at && !self.has(Flaw::EtcdIgnored) { 5_000 } else { 3 },
            },
        };
        let fleet = match self.has_fleet {
            false => Fleet::Absent,
            true if now < machine.booted + 20 => Fleet::Inactive,
            true if machine.cut_off_until > now => Fleet::Silent,
            true => {
                let is_empty = machine.hold == Hold::Draining && machine.drained_at <= now;
                Fleet::Here { hold: machine.hold, units: if is_empty { 0 } else { machine.units } }
            }
        };
        let machines = (self.has_fleet && reaches).then(|| self.fleet_machines());
        let machines = match self.has(Flaw::FleetIgnored) {
            true => Some([machine.id.clone()].into()),
            false => machines,
        };
        let members = reaches.then(|| (0..self.voters).map(member).collect());
        Reading { semaphore, etcd, members, fleet, machines }
    }

    fn begin(&mut self, n: usize, next: Next) {
        let short = self.now + self.rng.range(0, 2);
        let machine = &mut self.machines[n];
        match next {
            Next::Wait { until } => {
                let second = until.0.as_millis().div_ceil(1000);
                let at = machine.booted.saturating_add(u64::try_from(second).unwrap());
                let blessed = if self.now < machine.blessed_at { machine.blessed_at } else { u64::MAX };
                machine.daemon.ready = at.min(blessed).max(self.now + 1);
            }
            Next::Read => {
                (machine.daemon.task, machine.daemon.ready) = (Task::DecideWithReading, short);
            }
            Next::Lock(_) if self.flaw == Some(Flaw::BlindReboot) => {
                self.start_write(n, next);
                if self.machines[n].daemon.last.is_none() {
                    self.machines[n].daemon.task = Task::Act(Next::Reboot);
                }
            }
            Next::Settle(_) if self.flaw == Some(Flaw::NoRelease) => {
                machine.daemon.ready = self.now + 60;
            }
            Next::Record(_) | Next::Lock(_) | Next::Unlock | Next::Settle(_) | Next::Break { .. } => {
                self.start_write(n, next);
            }
            Next::Exit => self.breaks(|| format!("m{n} ends")),
            Next::Notify
            | Next::Refuse { .. }
            | Next::Unhold { .. }
            | Next::Drain { .. }
            | Next::Undrain
            | Next::Reboot => (machine.daemon.task, machine.daemon.ready) = (Task::Act(next), short),
        }
    }

    fn ends(&mut self, n: usize, last: Last, pause: u64) {
        let daemon = &mut self.machines[n].daemon;
        (daemon.last, daemon.ready) = (Some(last), self.now + pause);
    }

    fn fails(&mut self, n: usize, why: &str) {
        self.say(|| format!("m{n}: {why}"));
        self.ends(n, Last::Failed { why: why.to_owned() }, 1);
    }

    fn start_write(&mut self, n: usize, next: Next) {
        if !self.reaches(n) {
            return self.fails(n, "no answer");
        }
        self.prepare(n, next, 5);
    }

    fn prepare(&mut self, n: usize, next: Next, tries: u32) {
        match self.computed(n, &next) {
            Ok(value) if value == self.store.value => self.ends(n, Last::Done, 1),
            Ok(value) => {
                let (revision, value) = (self.store.revision, Box::new(value));
                let ready = self.now + self.rng.range(0, 3);
                let daemon = &mut self.machines[n].daemon;
                daemon.read_at = self.now;
                daemon.task = Task::Write { next, revision, value, tries };
                daemon.ready = ready;
            }
            Err(Refusal::NoHolder) if next == Next::Unlock => self.ends(n, Last::Done, 1),
            Err(refusal) => self.fails(n, &refusal.to_string()),
        }
    }

    fn computed(&self, n: usize, next: &Next) -> Result<Semaphore, Refusal> {
        let (value, id) = (&self.store.value, self.machines[n].id.as_str());
        let shown = |outcome: &Outcome| match outcome {
            Outcome::Failed { .. } if self.has(Flaw::FailureHidden) => Outcome::Neither,
            other => other.clone(),
        };
        match next {
            Next::Record(outcome) => Ok(value.record(id, &shown(outcome))),
            Next::Settle(outcome) => Ok(value.settle(id, &shown(outcome))),
            Next::Unlock => value.unlock(id),
            Next::Lock(slot) => {
                let mut slot = slot.clone();
                slot.drained &= !self.has(Flaw::DrainNotNoted);
                if self.has(Flaw::BootNotNoted) {
                    slot.boot = None;
                }
                if self.has(Flaw::VersionNotNoted) {
                    slot.version = None;
                }
                value.lock(id, slot)
            }
            Next::Break { holder, since } => {
                value.release_stale(holder, *since, self.machines[n].wall(self.now))
            }
            _ => unreachable!("{next:?} writes nothing"),
        }
    }

    fn write(&mut self, n: usize, next: Next, revision: u64, value: Semaphore, tries: u32) {
        if !self.reaches(n) {
            return self.fails(n, "no answer");
        }
        let before = self.store.value.clone();
        let revision = if self.has(Flaw::NoCompare) { self.store.revision } else { revision };
        if !self.store.write(revision, value) {
            return match tries {
                0 => self.fails(n, "others write all the time"),
                _ => self.prepare(n, next, tries - 1),
            };
        }
        self.written(n, &next, &before);
        if !self.peace && self.rng.percent(5) {
            return self.fails(n, "the answer is lost");
        }
        self.ends(n, Last::Done, 1);
    }

    fn act(&mut self, n: usize, next: Next) {
        let now = self.now;
        if !self.peace && next != Next::Reboot && self.rng.percent(4) {
            return self.fails(n, "the program fails");
        }
        if matches!(next, Next::Drain { .. } | Next::Undrain) && self.machines[n].cut_off_until > now {
            return self.fails(n, "fleet does not answer");
        }
        let slot = self.store.value.slot(&self.machines[n].id);
        let is_other = slot.is_some_and(|slot| slot.version != self.machines[n].waiting);
        if next == Next::Reboot && is_other {
            return self.fails(n, "another version waits by now");
        }
        let drained_at = now + self.rng.range(0, 900);
        let machine = &mut self.machines[n];
        match next {
            Next::Notify => machine.notified = Some(now),
            Next::Refuse { version, .. } => {
                if self.flaw != Some(Flaw::RefusalIgnored) {
                    machine.refuse(&version, now);
                }
            }
            Next::Unhold { version } => {
                machine.failures.retain(|failure| failure.version != version);
                // The server offers it still.
                machine.offer(&version);
            }
            Next::Drain { timeout } => {
                if machine.hold != Hold::Draining {
                    (machine.hold, machine.drained_at) = (Hold::Draining, drained_at);
                }
                let wait = machine.drained_at.saturating_sub(now).min(timeout.as_secs() + 1);
                return self.ends(n, Last::Done, wait + 1);
            }
            Next::Undrain => {
                if self.flaw != Some(Flaw::NoUndrain) {
                    machine.hold = Hold::None;
                }
            }
            Next::Reboot => return self.reboots(n),
            _ => unreachable!("{next:?} is a write"),
        }
        self.ends(n, Last::Done, 1);
    }
}
