//! A machine made of files, with stand-ins for the programs that locksmith asks, and both programs run on it.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_support::testing::Tree;
use rustix::process::{Pid, Signal, kill_process};

/// When a test gives up. Nothing is this slow unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

const SLIPWAY_UPDATE: &str = r#"#!/bin/sh
echo "$*" >> "$LAB/agent-calls"
case "$1" in
status) cat "$LAB/status.json" ;;
reboot-wanted)
    [ -s "$LAB/run/slipway/reboot-required" ] || { echo "no version waits for a reboot"; exit 1; }
    cat "$LAB/run/slipway/reboot-required" ;;
refuse)
    rm -f "$LAB/run/slipway/reboot-required"
    printf '{"running_version":"1.0.0","good_version":"1.0.0","failed_versions":[{"version":"%s","stage":"group","reason":"r","time":1700000000,"forgiven":false}]}' "$2" > "$LAB/status.json" ;;
esac
"#;
const SYSTEMCTL: &str = r#"#!/bin/sh
case "$*" in
show*) cat "$LAB/units" ;;
*) echo "$*" >> "$LAB/systemctl-calls" ;;
esac
"#;
const LOGINCTL: &str = "#!/bin/sh\ncat \"$LAB/sessions.json\"\n";
const FLEETCTL: &str = r#"#!/bin/sh
echo "$*" >> "$LAB/fleet-calls"
case "$1" in
list-machines) cat "$LAB/machines.json" ;;
list-unit-files) cat "$LAB/unit-files.json" ;;
drain)
    printf '[{"id":"%s","hold":"draining"}]' "$2" > "$LAB/machines.json"
    echo '[]' > "$LAB/unit-files.json"
    printf '[{"machine":"%s","hold":"draining","left":[]}]' "$2" ;;
undrain) printf '[{"id":"%s"}]' "$2" > "$LAB/machines.json" ;;
esac
"#;

/// A machine. Its first boot is complete, version 1.0.0 runs and is good, and nobody is logged in.
pub struct Machine {
    pub id: String,
    pub tree: Tree,
    endpoints: String,
    boot: AtomicU32,
}

/// A daemon that runs; killed when dropped.
pub struct Daemon {
    child: Child,
    log: std::path::PathBuf,
}

impl Machine {
    /// Makes one whose etcd is at `endpoints`, of which several are apart by commas.
    pub fn new(id: &str, endpoints: &str) -> Self {
        let tree = Tree::new();
        for (name, text) in [
            ("slipway-update", SLIPWAY_UPDATE),
            ("systemctl", SYSTEMCTL),
            ("loginctl", LOGINCTL),
            ("fleetctl", FLEETCTL),
        ] {
            tree.program(&format!("/bin/{name}"), text);
        }
        symlink(env!("CARGO_BIN_EXE_locksmithctl"), tree.host.path("/bin/locksmithd")).unwrap();
        tree.file("/etc/machine-id", format!("{id}\n"))
            .file("/usr/lib/os-release", "IMAGE_VERSION=1.0.0\n")
            .file("/units", "Id=etcd.service\nActiveState=inactive\n")
            .file("/sessions.json", "[]")
            .file("/machines.json", "[]")
            .file("/unit-files.json", "[]");
        let machine =
            Self { id: id.to_owned(), tree, endpoints: endpoints.to_owned(), boot: AtomicU32::new(0) };
        machine.runs("1.0.0", "1.0.0");
        machine.begin_boot();
        machine.complete_boot();
        machine
    }

    /// Sets the strategy.
    pub fn strategy(&self, strategy: &str) -> &Self {
        self.tree.file("/etc/slipway/update.conf", format!("REBOOT_STRATEGY={strategy}\n"));
        self
    }

    /// A version waits for a reboot.
    pub fn waits(&self, version: &str) -> &Self {
        self.tree.file("/run/slipway/reboot-required", format!("{version}\n"));
        self
    }

    /// Says which version runs and which was found good last.
    pub fn runs(&self, running: &str, good: &str) -> &Self {
        let text =
            format!(r#"{{"running_version":"{running}","good_version":"{good}","failed_versions":[]}}"#);
        self.says(&text)
    }

    /// Says all that the update agent does.
    pub fn says(&self, status: &str) -> &Self {
        self.tree.file("/status.json", status);
        // What changes the agent's answer changes a file of its.
        self.tree.file("/var/lib/slipway/update/state.json.new", "");
        let state = |name: &str| self.tree.host.path(&format!("/var/lib/slipway/update/{name}"));
        fs::rename(state("state.json.new"), state("state.json")).unwrap();
        self
    }

    /// etcd and fleet as the service manager sees them.
    pub fn units(&self, etcd: &str, fleet: &str) -> &Self {
        let text = format!("Id=etcd.service\nActiveState={etcd}\n\nId=fleet.service\nActiveState={fleet}\n");
        self.tree.file("/units", text);
        self
    }

    /// Begins another boot: what was in /run is gone.
    pub fn begin_boot(&self) -> &Self {
        let boot = self.boot.fetch_add(1, Ordering::Relaxed) + 1;
        // None at the first boot.
        let _ = fs::remove_dir_all(self.tree.host.path("/run"));
        self.tree.file("/proc/sys/kernel/random/boot_id", format!("{}-boot-{boot}\n", self.id));
        #[expect(clippy::disallowed_methods, reason = "a boot begins now")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        self.tree.file("/proc/stat", format!("btime {now}\n"));
        self
    }

    /// The health checks of this boot have passed.
    pub fn complete_boot(&self) -> &Self {
        self.tree.file("/run/slipway/boot-complete", "");
        self
    }

    /// What was asked of the service manager, beside questions.
    pub fn systemctl_calls(&self) -> String {
        self.read("/systemctl-calls")
    }

    /// How often a reboot was asked for.
    pub fn n_reboots(&self) -> usize {
        self.systemctl_calls().lines().filter(|line| *line == "--no-block reboot").count()
    }

    /// Reads a file that may not be there.
    pub fn read(&self, path: &str) -> String {
        self.tree.host.read(path).unwrap().unwrap_or_default()
    }

    /// Runs `locksmithctl`.
    pub fn ctl(&self, args: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_locksmithctl"));
        command.env("LOCKSMITHCTL_ENDPOINT", &self.endpoints).args(args).output().unwrap()
    }

    /// Runs it, checks the exit code, and gives what it printed and complained of.
    #[track_caller]
    pub fn check(&self, args: &[&str], code: i32) -> (String, String) {
        let Output { status, stdout, stderr } = self.ctl(args);
        let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(status.code(), Some(code), "{args:?}: {stdout}{stderr}");
        (stdout, stderr)
    }

    /// Starts the daemon.
    pub fn daemon(&self, variables: &[(&str, &str)]) -> Daemon {
        let log = self.tree.host.path("/log");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = self.command(self.tree.host.path("/bin/locksmithd").to_str().unwrap());
        let command = command
            .arg0("locksmithd")
            .env("LOCKSMITHD_ENDPOINT", &self.endpoints)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(file);
        Daemon { child: command.spawn().unwrap(), log }
    }

    fn command(&self, program: &str) -> Command {
        let root = self.tree.host.path("/");
        let mut command = Command::new(program);
        command.env_clear().arg("--root").arg(&root).stdin(Stdio::null());
        command.env("LAB", root.to_str().unwrap().trim_end_matches('/')).env("TZ", "UTC");
        command.env("PATH", format!("{}:/usr/bin:/bin", root.join("bin").display()));
        command
    }
}

impl Daemon {
    /// What it said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it says something.
    #[track_caller]
    pub fn until_says(&mut self, text: &str) {
        let begin = Instant::now();
        while !self.log().contains(text) {
            assert!(begin.elapsed() < DEADLINE, "it never says `{text}`:\n{}", self.log());
            sleep(Duration::from_millis(50));
        }
    }

    /// Waits until something is so.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < DEADLINE, "waited in vain: {what}:\n{}", self.log());
            sleep(Duration::from_millis(50));
        }
    }

    /// Tells it to end, and waits.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.wait_end()
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn wait_end(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < DEADLINE, "it does not end:\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
