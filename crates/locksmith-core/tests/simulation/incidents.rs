//! What goes wrong, and what users do.

use crate::machine::{Cause, Daemon, Task};
use crate::world::{World, version};

impl World {
    pub fn incident(&mut self) {
        let now = self.now;
        self.next_incident = now + self.rng.range(60, 3600);
        let n = self.rng.index(self.machines.len());
        let is_up = self.machines[n].is_up();
        match self.rng.index(16) {
            0..=3 => self.release_version(),
            4..=6 if is_up => {
                self.say(|| format!("daemon of m{n} is killed"));
                let ready = now + self.rng.range(1, 15);
                self.machines[n].daemon = Daemon { ready, ..Daemon::default() };
            }
            7 if is_up => {
                self.say(|| format!("m{n} crashes"));
                self.goes_down(n, Cause::Crash);
            }
            8 | 9 => {
                let until = now + self.rng.range(30, 3000);
                self.say(|| format!("m{n} is cut off until {until}"));
                self.machines[n].cut_off_until = until;
            }
            10 => {
                let jump = i64::try_from(self.rng.range(0, 7200)).unwrap() - 3600;
                self.say(|| format!("clock of m{n} jumps by {jump} s"));
                self.machines[n].ahead += jump;
                self.wake(n);
            }
            11 | 12 if is_up => {
                let terminals = self.rng.index(3);
                self.say(|| format!("{terminals} terminals on m{n}"));
                let machine = &mut self.machines[n];
                if machine.terminals == 0 {
                    machine.logged_in = now;
                }
                machine.terminals = terminals;
                self.wake(n);
            }
            13 if is_up && self.rng.percent(50) => {
                self.say(|| format!("an operator wants m{n} to reboot"));
                self.machines[n].operator = true;
                self.wake(n);
            }
            14 => self.forgive(),
            // The daemon of a machine that just took its slot, or is about to, is what a kill hits hardest.
            15 => self.kill_a_busy_one(),
            _ => {}
        }
    }

    fn release_version(&mut self) {
        if 7 < self.versions.len() {
            return;
        }
        let new = version(self.versions.len() + 1);
        let is_good = self.rng.percent(60);
        self.say(|| format!("{new} is offered, {}", if is_good { "good" } else { "bad" }));
        self.versions.insert(new.clone(), is_good);
        for n in 0..self.machines.len() {
            let at = self.now + self.rng.range(1, 3000);
            self.offers.insert((at, n), new.clone());
        }
    }

    fn forgive(&mut self) {
        let mut failed = self.failed.keys().cloned();
        let Some(version) = failed.next() else { return };
        let wall = self.machines[0].wall(self.now);
        let Ok(value) = self.store.value.forgive(&version, "operator", wall) else { return };
        // Forgiven because it is mended, as it were.
        self.say(|| format!("{version} is forgiven"));
        self.store.write(self.store.revision, value);
        self.failed.remove(&version);
        self.versions.insert(version, true);
    }

    fn kill_a_busy_one(&mut self) {
        let busy =
            |n: &usize| self.machines[*n].is_up() && !matches!(self.machines[*n].daemon.task, Task::Decide);
        let Some(n) = (0..self.machines.len()).find(busy) else { return };
        if self.rng.percent(50) {
            self.say(|| format!("m{n} crashes while it is busy"));
            self.goes_down(n, Cause::Crash);
        } else {
            self.say(|| format!("daemon of m{n} is killed while it is busy"));
            let ready = self.now + 10;
            self.machines[n].daemon = Daemon { ready, ..Daemon::default() };
        }
    }
}
