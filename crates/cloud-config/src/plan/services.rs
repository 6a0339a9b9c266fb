//! Options of services as drop-ins, settings of updates, and who made the machine.

use crate::environment::{file_line, unit_line};
use crate::facts::LOCKSMITH;
use crate::model::Options;

use super::{Action, Command, File, Inputs, Plan, Scope, etcd};

const UPDATE_CONF: &str = "/etc/slipway/update.conf.d/20-cloudinit.conf";
const LOCKSMITH_MASK: &str = "/run/systemd/system/locksmithd.service";
const LOCKSMITH_DROP_IN: &str = "/run/systemd/system/locksmithd.service.d/20-cloudinit.conf";

/// Files that are no units.
pub(super) fn files(inputs: Inputs<'_>, plan: &mut Plan) {
    let config = inputs.config;
    if let Some(oem) = &config.oem {
        let lines = [
            ("ID", &oem.id),
            ("VERSION_ID", &oem.version_id),
            ("NAME", &oem.name),
            ("HOME_URL", &oem.home_url),
            ("BUG_REPORT_URL", &oem.bug_report_url),
        ];
        let text: String = lines
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| file_line(key, value))
            .collect();
        plan.push(File::new("/etc/oem-release", text));
    }
    if !config.flannel.is_empty() {
        let set = config.flannel.iter().map(|(key, value)| file_line(&format!("FLANNELD_{key}"), value));
        let mode = mode(&config.flannel);
        plan.push(File { mode, ..File::new("/run/flannel/options.env", set.collect::<String>()) });
    }
    let update = &config.update;
    let strategy = strategy(inputs, plan);
    let settings = [
        ("GROUP", update.group.as_deref()),
        ("SERVER", update.server.as_deref()),
        ("REBOOT_STRATEGY", strategy),
    ];
    let text: String =
        settings.iter().filter_map(|(key, value)| Some(format!("{key}={}\n", (*value)?))).collect();
    if !text.is_empty() {
        plan.push(File::new(UPDATE_CONF, text));
    }
}

/// The strategy as the machine can follow it: without locksmith nobody could give leave to reboot.
fn strategy(inputs: Inputs<'_>, plan: &mut Plan) -> Option<&'static str> {
    let wanted = inputs.config.update.reboot_strategy?;
    let alone = matches!(wanted, "reboot" | "off");
    if alone || inputs.facts.units.contains_key(LOCKSMITH) {
        return Some(wanted);
    }
    plan.warn(format!(
        "reboot_strategy {wanted}: this machine has no {LOCKSMITH}, so it does not reboot by itself"
    ));
    Some("off")
}

/// Options as variables of the services.
pub(super) fn drop_ins(inputs: Inputs<'_>, plan: &mut Plan) {
    let config = inputs.config;
    let etcd = etcd::completed(inputs);
    for (unit, prefix, options) in [
        ("etcd.service", "ETCD_", &etcd),
        ("fleet.service", "FLEET_", &config.fleet),
        (LOCKSMITH, "LOCKSMITHD_", &config.locksmith),
    ] {
        if options.is_empty() {
            continue;
        }
        let set: String =
            options.iter().map(|(key, value)| unit_line(&format!("{prefix}{key}"), value)).collect();
        let path = format!("/run/systemd/system/{unit}.d/20-cloudinit.conf");
        plan.push(File { mode: mode(options), ..File::new(path, format!("[Service]\n{set}")) });
    }
    // The original masked it where nothing is to reboot. With `off` it ends by itself, once it has given back a slot.
    if inputs.facts.units.contains_key(LOCKSMITH) && config.update.reboot_strategy.is_some() {
        plan.push(Action::Unmask(LOCKSMITH_MASK.to_owned()));
    }
}

/// Passwords are for root alone.
fn mode(options: &Options) -> u32 {
    if options.keys().any(|key| key.ends_with("PASSWORD")) { 0o600 } else { 0o644 }
}

/// Lets those who read the settings see what changed.
pub(super) fn update(inputs: Inputs<'_>, plan: &mut Plan) {
    let restart = ["systemctl", "--no-block", "try-restart", "slipway-update.service"];
    plan.push(Command::new(restart).if_changed(Scope::Path(UPDATE_CONF)));
    if !inputs.facts.units.contains_key(LOCKSMITH) {
        return;
    }
    // It reads the strategy by itself, if it runs: with `off` it has ended.
    if inputs.config.update.reboot_strategy.is_some() {
        let restart = Command::new(["systemctl", "--no-block", "restart", LOCKSMITH]);
        plan.push(restart.if_changed(Scope::Path(UPDATE_CONF)));
    }
    if !inputs.config.locksmith.is_empty() {
        let restart = Command::new(["systemctl", "--no-block", "try-restart", LOCKSMITH]);
        plan.push(restart.if_changed(Scope::Path(LOCKSMITH_DROP_IN)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lines, planned, text};
    use super::*;
    use crate::facts::{Facts, UnitFact};
    use crate::metadata::Metadata;

    fn with_locksmith() -> Facts {
        let fact =
            UnitFact { path: "/usr/lib/systemd/system/locksmithd.service".to_owned(), text: String::new() };
        Facts { units: [(LOCKSMITH.to_owned(), fact)].into(), ..Facts::default() }
    }

    #[test]
    fn options_are_variables_escaped_for_systemd() {
        let yaml = "coreos: {fleet: {metadata: 'a=\"100%\"', disable-engine: false}, locksmith: {etcd-password: p}}\n";
        let plan = planned(yaml, &Metadata::default(), &Facts::default());
        assert_eq!(
            text(&plan, "/run/systemd/system/fleet.service.d/20-cloudinit.conf"),
            "[Service]\nEnvironment=\"FLEET_DISABLE_ENGINE=false\"\nEnvironment=\"FLEET_METADATA=a=\\\"100%%\\\"\"\n"
        );
        let shown = plan.actions[1].to_string();
        assert!(
            shown.starts_with("write /run/systemd/system/locksmithd.service.d/20-cloudinit.conf (0600"),
            "{shown}"
        );
    }

    #[test]
    fn settings_of_updates_are_a_file_of_their_own() {
        let yaml = "coreos: {update: {group: beta, server: \"https://u/x\", reboot-strategy: off}}\n";
        let plan = planned(yaml, &Metadata::default(), &Facts::default());
        assert_eq!(text(&plan, UPDATE_CONF), "GROUP=beta\nSERVER=https://u/x\nREBOOT_STRATEGY=off\n");
        assert_eq!(
            plan.actions[1].to_string(),
            format!("run systemctl --no-block try-restart slipway-update.service, if {UPDATE_CONF} changed")
        );
    }

    #[test]
    fn without_locksmith_a_machine_that_should_ask_does_not_reboot() {
        let yaml = "coreos: {update: {reboot-strategy: etcd-lock}}\n";
        let plan = planned(yaml, &Metadata::default(), &Facts::default());
        assert_eq!((text(&plan, UPDATE_CONF).as_str(), plan.warnings.len()), ("REBOOT_STRATEGY=off\n", 1));
        let plan = planned(yaml, &Metadata::default(), &with_locksmith());
        assert_eq!(
            (text(&plan, UPDATE_CONF).as_str(), plan.warnings.len()),
            ("REBOOT_STRATEGY=etcd-lock\n", 0)
        );
    }

    #[test]
    fn locksmith_is_free_to_run_whatever_the_strategy() {
        for strategy in ["off", "reboot", "etcd-lock"] {
            let yaml = format!("coreos: {{update: {{reboot-strategy: {strategy}}}}}\n");
            let plan = planned(&yaml, &Metadata::default(), &with_locksmith());
            let shown: Vec<_> = plan.actions[1..].iter().map(ToString::to_string).collect();
            assert_eq!(shown[0], "unmask /run/systemd/system/locksmithd.service");
            let last = shown.last().unwrap();
            assert!(
                last.starts_with("run systemctl --no-block restart locksmithd.service, if "),
                "{shown:?}"
            );
        }
    }

    #[test]
    fn locksmith_begins_anew_with_changed_options() {
        let yaml = "coreos: {locksmith: {window-start: 04:00, window-length: 1h, drain-timeout: 5m}}\n";
        let plan = planned(yaml, &Metadata::default(), &with_locksmith());
        let set = text(&plan, LOCKSMITH_DROP_IN);
        assert!(
            set.contains("LOCKSMITHD_DRAIN_TIMEOUT=5m")
                && set.contains("LOCKSMITHD_REBOOT_WINDOW_START=04:00")
        );
        let last = plan.actions.last().unwrap().to_string();
        let expected = "run systemctl --no-block try-restart locksmithd.service, if ";
        assert_eq!(last, format!("{expected}{LOCKSMITH_DROP_IN} changed"));
    }

    #[test]
    fn oem_and_flannel_are_files_for_others() {
        let yaml =
            "coreos: {oem: {id: x, name: A B, version-id: 1.0}, flannel: {interface: eth0, ip-masq: yes}}\n";
        let plan = planned(yaml, &Metadata::default(), &Facts::default());
        assert_eq!(text(&plan, "/etc/oem-release"), "ID=x\nVERSION_ID=1.0\nNAME=\"A B\"\n");
        assert_eq!(text(&plan, "/run/flannel/options.env"), "FLANNELD_IFACE=eth0\nFLANNELD_IP_MASQ=true\n");
        assert_eq!(lines(yaml).len(), 2);
    }
}
