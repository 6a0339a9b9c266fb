//! One machine of a scenario: power, shell, console, and what is worth reading when it fails.

use std::cell::{Ref, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use vm::machine::{Mac, NETWORK};
use vm::running::KEY_CREDENTIAL;
use vm::{Binds, Home, Machine, Network, Vm, ssh};

use crate::lab::Setup;

/// From power-on to the first login under software emulation, with a good margin: it takes about a minute.
pub const BOOT: Duration = Duration::from_secs(300);
/// Between two looks at a machine that boots.
const LOOK: Duration = Duration::from_secs(20);
/// Resets of a machine that ought to boot at once.
const RESETS_MAX: usize = 2;
/// From the first login to the end of the start job.
const SETTLE: Duration = Duration::from_secs(240);
/// A command in the guest.
const COMMAND: Duration = Duration::from_secs(180);
/// From the command to the reset.
const SHUTDOWN: Duration = Duration::from_secs(180);
/// Lines of console and journal in a failure's report.
const TAIL_LINES: usize = 40;
/// A key that nobody has.
const NOBODY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA nobody";
/// Prints the journal's warnings of the boot before, if there was one, and of this one.
const JOURNAL: &str = "sudo journalctl -b -1 --no-pager -q -p warning -n 40 2>/dev/null && echo '--- this boot'; \
                       sudo journalctl -b --no-pager -q -p warning -n 40; systemctl list-jobs --no-legend; \
                       systemctl --failed --no-legend";

/// A machine. It is off until started; its disk survives power cycles.
#[derive(Debug)]
pub struct Guest {
    name: String,
    home: Home,
    machine: RefCell<Machine>,
    vm: RefCell<Option<Vm>>,
    image: RefCell<PathBuf>,
    network: RefCell<Option<Rc<Network>>>,
    patience: u32,
}

/// What a command in the guest left.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status; [`ssh::TIME_IS_UP`] and [`ssh::FAILED`] are not the command's.
    pub status: i32,
    /// Standard output, trimmed.
    pub stdout: String,
    /// Standard error, trimmed.
    pub stderr: String,
}

impl Guest {
    /// Returns a machine that is off.
    pub fn new(name: &str, home: Home, machine: Machine, setup: &Setup) -> Self {
        let (machine, vm) = (RefCell::new(machine), RefCell::new(None));
        Self {
            name: name.to_owned(),
            home,
            machine,
            vm,
            image: RefCell::new(setup.image.raw.clone()),
            network: RefCell::default(),
            patience: setup.patience,
        }
    }

    /// Returns the folder with its disk.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Changes the machine for its next start.
    pub fn configure(&self, change: impl FnOnce(&mut Machine)) {
        change(&mut self.machine.borrow_mut());
    }

    /// Hands in a key that nobody has from the next start on: the machine's own lets in only if it comes another way.
    pub fn hand_in_no_key(&self) {
        self.configure(|machine| {
            machine.credentials.insert(KEY_CREDENTIAL.to_owned(), NOBODY.as_bytes().to_vec());
        });
    }

    /// Gives the machine a second network card from its next start on, on the private network.
    pub fn join(&self, network: &Rc<Network>, mac: Mac) {
        *self.network.borrow_mut() = Some(Rc::clone(network));
        self.configure(|machine| machine.private_mac = Some(mac));
    }

    /// Sets the raw disk aside and records what is written from the next start on. The machine has to be off.
    pub fn record(&self) -> anyhow::Result<()> {
        self.home.set_base_aside().context("setting the disk aside")?;
        *self.image.borrow_mut() = self.home.base();
        self.configure(|machine| machine.record_writes = true);
        Ok(())
    }

    /// Returns `time` with the run's patience.
    pub fn patient(&self, time: Duration) -> Duration {
        time * self.patience
    }

    /// Powers the machine on and returns at once.
    pub fn power_on(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.vm.borrow().is_none(), "machine {} is on already", self.name);
        let (image, network) = (self.image.borrow(), self.network.borrow());
        let binds = Binds { image: Some(&image), net: network.as_deref().map(Network::dir) };
        let vm = Vm::start_with(&self.home, &self.machine.borrow(), binds);
        *self.vm.borrow_mut() = Some(vm.with_context(|| format!("powering on machine {}", self.name))?);
        Ok(())
    }

    /// Powers the machine on and waits until `core` can log in.
    pub fn boot(&self) -> anyhow::Result<()> {
        self.power_on()?;
        self.wait_boot(BOOT)
    }

    /// Waits until `core` can log in to a machine that was powered on. One that is reset again and again is given up
    /// before the deadline.
    pub fn wait_boot(&self, timeout: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + self.patient(timeout);
        while self.vm()?.wait_ssh(LOOK).is_err() {
            let resets = self.resets()?;
            anyhow::ensure!(
                resets < RESETS_MAX,
                "machine {} was reset {resets} times without a login",
                self.name
            );
            anyhow::ensure!(Instant::now() < end, "machine {} did not let core log in", self.name);
        }
        Ok(())
    }

    /// Waits until `core` can log in.
    pub fn wait_login(&self, timeout: Duration) -> anyhow::Result<()> {
        self.vm()?
            .wait_ssh(self.patient(timeout))
            .with_context(|| format!("logging in to machine {}", self.name))
    }

    /// Waits until nothing is starting any more, and returns what systemd calls the system then. The machine must not
    /// be reset meanwhile.
    pub fn settled(&self) -> anyhow::Result<String> {
        let resets = self.resets()?;
        let end = Instant::now() + self.patient(SETTLE);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let out = self.run_within("systemctl is-system-running --wait", left)?;
            anyhow::ensure!(
                self.resets()? == resets,
                "machine {} was reset before its start ended",
                self.name
            );
            if out.status == ssh::TIME_IS_UP || left.is_zero() {
                anyhow::bail!("the start did not end: {} {}", out.stderr, self.sh("systemctl list-jobs")?);
            }
            if let Some(state) = system_state(&out)? {
                return Ok(state);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Waits until nothing is starting any more; nothing of it may have failed.
    pub fn settled_running(&self) -> anyhow::Result<()> {
        let state = self.settled()?;
        anyhow::ensure!(
            state == "running",
            "the system is {state}: {}",
            self.sh("systemctl --failed --no-legend --plain")?
        );
        Ok(())
    }

    /// Runs a shell command line as `core`; it has to succeed. Returns its trimmed output.
    pub fn sh(&self, line: &str) -> anyhow::Result<String> {
        let out = self.run(line, COMMAND)?;
        anyhow::ensure!(out.status == 0, "`{line}` ended with {}: {} {}", out.status, out.stdout, out.stderr);
        Ok(out.stdout)
    }

    /// Runs a bash script as root; every command of it has to succeed. Returns its trimmed output.
    pub fn root(&self, script: &str) -> anyhow::Result<String> {
        let out = self.try_root(script)?;
        let shown = if script.len() < 200 { script } else { "a script" };
        anyhow::ensure!(
            out.status == 0,
            "`{shown}` ended with {}: {}\n{}",
            out.status,
            out.stdout,
            out.stderr
        );
        Ok(out.stdout)
    }

    /// Runs a bash script as root and returns what became of it; it ends at the first command that fails.
    pub fn try_root(&self, script: &str) -> anyhow::Result<Outcome> {
        let quoted = script.replace('\'', r"'\''");
        self.run(&format!("sudo bash -euo pipefail -c '{quoted}'"), COMMAND)
    }

    /// Runs a shell command line as `core` and returns what became of it.
    pub fn run(&self, line: &str, timeout: Duration) -> anyhow::Result<Outcome> {
        self.run_within(line, self.patient(timeout))
    }

    /// As [`Guest::run`], with a time that has the run's patience already.
    fn run_within(&self, line: &str, timeout: Duration) -> anyhow::Result<Outcome> {
        let out = self.vm()?.ssh(line, timeout)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
        Ok(Outcome { status: out.status.code().unwrap_or(-1), stdout, stderr })
    }

    /// Reboots from inside and waits for the next login.
    pub fn reboot(&self) -> anyhow::Result<()> {
        self.reset()?;
        self.wait_login(BOOT)
    }

    /// Reboots from inside and waits for the reset.
    pub fn reset(&self) -> anyhow::Result<()> {
        let resets = self.resets()?;
        // The connection may be gone before the command's status is.
        self.run("sudo systemctl reboot", COMMAND)?;
        self.wait_resets(resets + 1, SHUTDOWN)
    }

    /// Pulls the cable of the first network card.
    pub fn pull_cable(&self) -> anyhow::Result<()> {
        self.set_link(false)
    }

    /// Puts the cable of the first network card in.
    pub fn plug_cable(&self) -> anyhow::Result<()> {
        self.set_link(true)
    }

    fn set_link(&self, up: bool) -> anyhow::Result<()> {
        let arguments = json!({ "name": NETWORK, "up": up });
        self.vm()?.qmp().execute("set_link", arguments).map(drop).context("setting a card's link")
    }

    /// Shuts down from inside and waits for the end of the machine.
    pub fn power_off(&self) -> anyhow::Result<()> {
        // The connection may be gone before the command's status is.
        self.run("sudo systemctl poweroff", COMMAND)?;
        let end = self.patient(SHUTDOWN);
        let mut vm = self.vm.borrow_mut();
        vm.as_mut().context("the machine is off")?.wait_end(end).context("shutting down")?;
        *vm = None;
        Ok(())
    }

    /// Cuts the power. A machine that is off stays so.
    pub fn power_cut(&self) {
        self.vm.borrow_mut().take();
    }

    /// Returns how often the machine was reset since it was powered on.
    pub fn resets(&self) -> anyhow::Result<usize> {
        Ok(self.vm()?.resets())
    }

    /// Waits for that many resets since the machine was powered on.
    pub fn wait_resets(&self, count: usize, timeout: Duration) -> anyhow::Result<()> {
        Ok(self.vm()?.wait_resets(count, self.patient(timeout))?)
    }

    /// Waits until the console shows `text` behind `mark`, and returns the place behind it.
    pub fn wait_console(&self, text: &str, mark: usize, timeout: Duration) -> anyhow::Result<usize> {
        let vm = self.vm()?;
        let console = vm.console().context("the machine has no console log")?;
        Ok(console.wait_for(text, mark, self.patient(timeout))?)
    }

    /// Returns what the console has shown since power-on.
    pub fn console(&self) -> anyhow::Result<String> {
        let vm = self.vm()?;
        Ok(vm.console().context("the machine has no console log")?.text_since(0))
    }

    /// Returns the running machine.
    pub fn vm(&self) -> anyhow::Result<Ref<'_, Vm>> {
        Ref::filter_map(self.vm.borrow(), Option::as_ref)
            .map_err(|_| anyhow::anyhow!("machine {} is off", self.name))
    }

    /// Returns the last lines of console and journal, for a report.
    pub fn last_words(&self) -> String {
        let mut words = String::new();
        match self.console() {
            Ok(_) => {
                let tail = self.vm().ok().and_then(|vm| Some(vm.console()?.tail(TAIL_LINES)));
                words.push_str(&format!("--- console of {}\n{}\n", self.name, tail.unwrap_or_default()));
            }
            Err(error) => words.push_str(&format!("--- {error:#}\n")),
        }
        // A machine that cannot be entered has no journal to show.
        if let Ok(out) = self.run(JOURNAL, Duration::from_secs(60)) {
            words.push_str(&format!("--- journal of {}\n{}\n", self.name, out.stdout));
        }
        words
    }
}

/// Returns what systemd calls the system; nothing when the connection broke, which says nothing of the system.
fn system_state(out: &Outcome) -> anyhow::Result<Option<String>> {
    if out.status == ssh::FAILED {
        return Ok(None);
    }
    anyhow::ensure!(
        !out.stdout.is_empty(),
        "systemd did not say how the system is, the command ended with {}: {}",
        out.status,
        out.stderr
    );
    Ok(Some(out.stdout.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: i32, stdout: &str, stderr: &str) -> Outcome {
        Outcome { status, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
    }

    #[test]
    fn a_broken_connection_says_nothing_of_the_system() {
        let state = |status, stdout, stderr| system_state(&outcome(status, stdout, stderr));
        assert_eq!(state(0, "running", "").unwrap().as_deref(), Some("running"));
        assert_eq!(state(1, "degraded", "").unwrap().as_deref(), Some("degraded"));
        let broken = "client_loop: send disconnect: Broken pipe";
        assert_eq!(state(ssh::FAILED, "", broken).unwrap(), None);
        let err = state(1, "", "Failed to connect to system scope bus").unwrap_err().to_string();
        assert!(err.ends_with("ended with 1: Failed to connect to system scope bus"), "{err}");
    }
}
