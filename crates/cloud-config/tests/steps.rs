//! Steps of a plan on a machine that records what it is told.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeSet;
use std::fs;

use cloud_config::apply::status::{Outcome, Step};
use cloud_config::apply::tree::{Mood, Tree};
use cloud_config::apply::{Machine, Ran, apply};
use cloud_config::facts;
use cloud_config::metadata::Metadata;
use cloud_config::plan::{Command, Import, Inputs, KEY_SET, plan};
use cloud_config::substitute::Unknown;
use cloud_config::{UserData, read};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Records programs, and answers imports.
#[derive(Default)]
struct Recorder {
    ran: Vec<String>,
    stdin: Vec<String>,
    /// A program that fails.
    broken: Option<&'static str>,
    /// What imports give; without it they fail.
    keys: Option<Vec<String>>,
    /// Units that were read before, if that is known.
    units: Option<&'static [&'static str]>,
    /// Whether somebody asked for them.
    has_asked: bool,
}

impl Machine for Recorder {
    fn run(&mut self, command: &Command) -> anyhow::Result<Ran> {
        self.ran.push(command.argv.join(" "));
        self.stdin.extend(command.stdin.iter().map(|secret| secret.0.clone()));
        anyhow::ensure!(Some(command.argv[0].as_str()) != self.broken, "running {}: no", command.argv[0]);
        Ok(Ran::Done)
    }

    fn has_units(&self) -> bool {
        self.units.is_some()
    }

    fn units(&mut self) -> anyhow::Result<BTreeSet<String>> {
        self.has_asked = true;
        Ok(self.units.into_iter().flatten().map(|&unit| unit.to_owned()).collect())
    }

    fn import(&mut self, _: &Import, _: Mood) -> anyhow::Result<Option<Vec<String>>> {
        let keys = self.keys.clone();
        keys.map(Some).ok_or_else(|| anyhow::anyhow!("the server does not answer"))
    }
}

fn run(dir: &tempfile::TempDir, text: &str, machine: &mut Recorder) -> Vec<Step> {
    let metadata = Metadata::default();
    let (data, findings) =
        read(format!("#cloud-config\n{text}\n").as_bytes(), &metadata.addresses, Unknown::Refuse);
    let Some(UserData::Config(config)) = data else { panic!("{findings:?}") };
    let tree = Tree::open(dir.path()).unwrap();
    let facts = facts::read(&tree, &config).unwrap();
    let plan =
        plan(Inputs { config: &config, script: None, metadata: &metadata, facts: &facts, key_set: KEY_SET });
    apply(&tree, &plan, machine, Mood::Do).unwrap()
}

const UNITS: &str = "coreos: {units: [{name: a.service, content: x, command: start}, {name: b.service, command: restart}, \
                     {name: c.network, content: y}]}";

#[test]
fn the_service_manager_is_told_once_what_changed_and_each_time_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Recorder::default();
    run(&dir, UNITS, &mut machine);
    let commands = [
        "systemctl --no-block restart b.service",
        "systemctl --no-block start slipway-cloudinit-start.target",
    ];
    let reloads = ["systemctl daemon-reload", "systemctl --no-block try-restart systemd-networkd.service"];
    assert_eq!(machine.ran, [reloads, commands].concat());
    let mut again = Recorder::default();
    run(&dir, UNITS, &mut again);
    assert_eq!(again.ran, commands);
    fs::write(dir.path().join("etc/systemd/system/a.service"), "changed").unwrap();
    let mut repaired = Recorder::default();
    run(&dir, UNITS, &mut repaired);
    assert_eq!(repaired.ran, [&reloads[..1], &commands[..]].concat());
    let mut removed = Recorder::default();
    run(
        &dir,
        "coreos: {units: [{name: b.service, command: stop, drop-ins: [{name: a.conf, content: x}]}]}",
        &mut removed,
    );
    // The file of networkd is gone too.
    assert_eq!(removed.ran, [&reloads[..], &["systemctl --no-block stop b.service"]].concat());
}

#[test]
fn files_of_units_that_were_not_read_before_need_no_reload() {
    let has_reloaded = |units| {
        let dir = tempfile::tempdir().unwrap();
        run(&dir, "coreos: {units: [{name: a.service, content: z}]}", &mut Recorder::default());
        let mut machine = Recorder { units, ..Recorder::default() };
        run(&dir, UNITS, &mut machine);
        machine.ran.contains(&"systemctl daemon-reload".to_owned())
    };
    assert!(!has_reloaded(Some(&["b.service", "docker.service"])));
    assert!(has_reloaded(Some(&["a.service"])));
    assert!(has_reloaded(None));
}

#[test]
fn nobody_asks_for_the_units_that_were_read_where_all_files_are_new() {
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Recorder { units: Some(&["a.service"]), ..Recorder::default() };
    run(&dir, UNITS, &mut machine);
    assert!(!machine.has_asked && !machine.ran.contains(&"systemctl daemon-reload".to_owned()));
}

#[test]
fn removing_the_last_unit_is_told_to_the_service_manager_too() {
    let dir = tempfile::tempdir().unwrap();
    run(&dir, UNITS, &mut Recorder::default());
    let mut removed = Recorder::default();
    run(&dir, "", &mut removed);
    assert_eq!(
        removed.ran,
        ["systemctl daemon-reload", "systemctl --no-block try-restart systemd-networkd.service"]
    );
    let mut nothing = Recorder::default();
    run(&dir, "", &mut nothing);
    assert_eq!(nothing.ran, Vec::<String>::new());
}

#[test]
fn a_password_goes_to_standard_input_and_a_broken_tool_stops_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Recorder { broken: Some("useradd"), ..Recorder::default() };
    let text = "users: [{name: ann, groups: [g], passwd: $6$x}]\nwrite_files: [{path: /etc/a, content: b}]";
    let steps = run(&dir, text, &mut machine);
    assert_eq!(machine.stdin, ["ann:$6$x\n"]);
    assert!(machine.ran.iter().all(|line| !line.contains("$6$x")), "{:?}", machine.ran);
    let programs: Vec<_> = machine.ran.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(programs, ["groupadd", "useradd", "chpasswd"]);
    let failed: Vec<_> = steps.iter().filter(|step| matches!(step.outcome, Outcome::Failed(_))).collect();
    assert!(failed.len() == 1 && failed[0].what.starts_with("run useradd"), "{failed:?}");
    assert_eq!(fs::read(dir.path().join("etc/a")).unwrap(), b"b");
}

#[test]
fn a_failed_import_is_told_and_keeps_the_last_good_set_while_units_are_started() {
    let dir = tempfile::tempdir().unwrap();
    let text = include_str!("data/talk.yml");
    let mut good = Recorder { keys: Some(vec![KEY.to_owned()]), ..Recorder::default() };
    run(&dir, text, &mut good);
    let keys = || fs::read_to_string(dir.path().join("home/core/.ssh/authorized_keys")).unwrap();
    assert_eq!(keys(), format!("{KEY}\n"));
    let mut dead = Recorder::default();
    let steps = run(&dir, text, &mut dead);
    assert_eq!(keys(), format!("{KEY}\n"));
    assert!(dead.ran.contains(&"systemctl --no-block start slipway-cloudinit-start.target".to_owned()));
    let last = steps.last().unwrap();
    assert_eq!(last.outcome, Outcome::Failed("the server does not answer".to_owned()), "{last:?}");
    // The set is still this configuration's own, and goes with its line.
    run(&dir, "users: [{name: core}]", &mut dead);
    assert_eq!(keys(), "");
}
