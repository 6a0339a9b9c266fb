//! Units: their files, what enables and masks them, and what the service manager is told.

use crate::model::Unit;
use crate::names::is_network;

use super::{Action, Command, File, Inputs, Link, Plan, Scope, install, unit_file_name};

/// Pulls in all units to start, so that they are one transaction and come in the order that they want: units
/// that are told to start one by one may wait for one that nobody started yet.
const START_TARGET: &str = "slipway-cloudinit-start.target";
const DEV_NULL: &str = "/dev/null";

/// Returns the folder that a unit's file belongs to.
fn folder(unit: &Unit) -> String {
    let top = if unit.runtime { "/run/systemd" } else { "/etc/systemd" };
    let kind = if is_network(&unit.name) { "network" } else { "system" };
    format!("{top}/{kind}")
}

pub(super) fn files(inputs: Inputs<'_>, plan: &mut Plan) {
    for unit in &inputs.config.units {
        let folder = folder(unit);
        let path = format!("{folder}/{}", unit.name);
        if let Some(content) = &unit.content {
            plan.push(File::new(path.clone(), content.clone()));
        }
        for (name, content) in &unit.drop_ins {
            plan.push(File::new(format!("{path}.d/{name}"), content.clone()));
        }
        if unit.mask {
            plan.push(Link { path, target: DEV_NULL.to_owned() });
        } else if unit.runtime && unit.content.is_none() {
            plan.push(Action::Unmask(path));
        }
        if unit.enable {
            enable(inputs, unit, &folder, plan);
        }
    }
}

fn enable(inputs: Inputs<'_>, unit: &Unit, folder: &str, plan: &mut Plan) {
    let given = |other: &&Unit| other.name == unit_file_name(&unit.name) && other.content.is_some();
    let there = inputs.facts.units.get(&unit.name);
    let found = match inputs.config.units.iter().find(given) {
        Some(given) => {
            let file = format!("{}/{}", self::folder(given), given.name);
            given.content.as_deref().map(|content| (file, content))
        }
        None => there.map(|fact| (fact.path.clone(), fact.text.as_str())),
    };
    let Some((file, content)) = found else {
        plan.warn(format!("{}: this machine has no such unit to enable", unit.name));
        return;
    };
    let drop_ins = inputs.config.units.iter().filter(|other| other.name == unit.name);
    let drop_ins = drop_ins.flat_map(|other| other.drop_ins.iter().map(|(_, content)| content.as_str()));
    let texts: Vec<&str> = std::iter::once(content).chain(drop_ins).collect();
    let (links, warnings) = install::links(&unit.name, &file, &texts, folder);
    links.into_iter().for_each(|link| plan.push(link));
    plan.warnings.extend(warnings);
}

/// Writes the target that pulls in what is to start; tells whether there is anything.
pub(super) fn start_target(inputs: Inputs<'_>, plan: &mut Plan) -> bool {
    for unit in inputs.config.units.iter().filter(|unit| unit.command.is_some()) {
        let template = unit_file_name(&unit.name);
        let given = |other: &Unit| other.content.is_some() && [&unit.name, &template].contains(&&other.name);
        if !inputs.facts.units.contains_key(&unit.name) && !inputs.config.units.iter().any(given) {
            plan.warn(format!("{}: this machine has no such unit", unit.name));
        }
    }
    let mut names: Vec<&str> = Vec::new();
    for unit in inputs.config.units.iter().filter(|unit| unit.command == Some("start")) {
        if !names.contains(&unit.name.as_str()) {
            names.push(&unit.name);
        }
    }
    if names.is_empty() {
        return false;
    }
    let wants: String = names.iter().map(|name| format!("Wants={name}\n")).collect();
    let text = format!("[Unit]\nDescription=Units that the cloud-config starts\n{wants}");
    plan.push(File::new(format!("/run/systemd/system/{START_TARGET}"), text));
    true
}

/// Lets the service manager and networkd see what changed, which may be that an earlier file's units are gone.
pub(super) fn reload(plan: &mut Plan) {
    plan.push(Command::new(["systemctl", "daemon-reload"]).if_changed(Scope::Units));
    let restart = ["systemctl", "--no-block", "try-restart", "systemd-networkd.service"];
    plan.push(Command::new(restart).if_changed(Scope::Network));
}

/// Tells the service manager what to do, and waits for nothing: a unit may wait for the boot that waits for this.
pub(super) fn commands(inputs: Inputs<'_>, starts: bool, plan: &mut Plan) {
    for unit in &inputs.config.units {
        if let Some(command) = unit.command.filter(|command| *command != "start") {
            plan.push(Command::new(["systemctl", "--no-block", command, &unit.name]));
        }
    }
    if starts {
        plan.push(Command::new(["systemctl", "--no-block", "start", START_TARGET]));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lines, planned, text};
    use crate::facts::{Facts, UnitFact};
    use crate::metadata::Metadata;

    #[test]
    fn files_drop_ins_masks_and_links_are_reloaded_once() {
        let yaml = "coreos:\n  units:\n  - name: a.service\n    content: x\n    drop-ins:\n    - {name: 1.conf, content: a}\n    \
                    - {name: 2.conf, content: b}\n  - name: b.service\n    mask: true\n  - name: c.service\n    enable: true\n    \
                    content: \"[Install]\\nWantedBy=multi-user.target\\n\"\n";
        assert_eq!(
            lines(yaml),
            [
                "write /etc/systemd/system/a.service (0644 root, 1 bytes)",
                "write /etc/systemd/system/a.service.d/1.conf (0644 root, 1 bytes)",
                "write /etc/systemd/system/a.service.d/2.conf (0644 root, 1 bytes)",
                "link /etc/systemd/system/b.service to /dev/null",
                "write /etc/systemd/system/c.service (0644 root, 37 bytes)",
                "link /etc/systemd/system/multi-user.target.wants/c.service to /etc/systemd/system/c.service",
                "run systemctl daemon-reload, if a unit changed",
            ]
        );
    }

    #[test]
    fn runtime_units_are_gone_after_the_boot() {
        assert_eq!(
            lines(
                "coreos: {units: [{name: a.service, content: x, runtime: yes}, {name: b.service, runtime: yes}]}\n"
            ),
            [
                "write /run/systemd/system/a.service (0644 root, 1 bytes)",
                "unmask /run/systemd/system/b.service",
                "run systemctl daemon-reload, if a unit changed",
            ]
        );
    }

    #[test]
    fn network_files_are_for_networkd() {
        assert_eq!(
            lines(
                "coreos: {units: [{name: a.network, content: x}, {name: b.link, content: y, runtime: yes}]}\n"
            ),
            [
                "write /etc/systemd/network/a.network (0644 root, 1 bytes)",
                "write /run/systemd/network/b.link (0644 root, 1 bytes)",
                "run systemctl --no-block try-restart systemd-networkd.service, if a file of networkd changed",
            ]
        );
    }

    #[test]
    fn what_is_to_start_is_one_transaction_and_other_commands_come_first_in_order() {
        let yaml = "coreos: {units: [{name: a.service, command: start}, {name: b.service, command: stop}, \
                    {name: c.service, command: start}, {name: d.service, command: reload}]}\n";
        let plan = planned(yaml, &Metadata::default(), &Facts::default());
        let target = text(&plan, "/run/systemd/system/slipway-cloudinit-start.target");
        assert!(target.ends_with("\nWants=a.service\nWants=c.service\n"), "{target}");
        let shown: Vec<_> = plan.actions[2..].iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "run systemctl --no-block stop b.service",
                "run systemctl --no-block reload d.service",
                "run systemctl --no-block start slipway-cloudinit-start.target",
            ]
        );
        assert_eq!(plan.warnings.len(), 4);
    }

    #[test]
    fn units_of_the_machine_are_enabled_by_their_own_words() {
        let fact = UnitFact {
            path: "/usr/lib/systemd/system/etcd.service".to_owned(),
            text: "[Install]\nWantedBy=multi-user.target\n".to_owned(),
        };
        let facts = Facts { units: [("etcd.service".to_owned(), fact)].into(), ..Facts::default() };
        let yaml =
            "coreos: {units: [{name: etcd.service, enable: yes}, {name: none.service, enable: yes}]}\n";
        let plan = planned(yaml, &Metadata::default(), &facts);
        assert_eq!(
            plan.actions[0].to_string(),
            "link /etc/systemd/system/multi-user.target.wants/etcd.service to /usr/lib/systemd/system/etcd.service"
        );
        assert_eq!(plan.warnings, ["none.service: this machine has no such unit to enable"]);
    }
}
