//! The host's name, zone, hosts file and environment.

use crate::environment;
use crate::names::hostname;

use super::{Command, File, Inputs, Link, Plan, Scope};

const HOSTNAME: &str = "/etc/hostname";
const ENVIRONMENT: &str = "/etc/environment";

/// The name that the host gets: that of the file, else that of the metadata.
fn wanted<'a>(inputs: Inputs<'a>) -> Option<&'a str> {
    let told = inputs.metadata.hostname.as_deref().filter(|name| hostname(name).is_ok());
    inputs.config.hostname.as_deref().or(told)
}

pub(super) fn name(inputs: Inputs<'_>, plan: &mut Plan) {
    let told = inputs.metadata.hostname.as_deref();
    if let Some(told) = told.filter(|told| hostname(told).is_err()) {
        plan.warn(format!("the hostname of the metadata, {told:?}, is none"));
    }
    if let (Some(own), Some(told)) = (inputs.config.hostname.as_deref(), told)
        && own != told
    {
        plan.warn(format!("the file says hostname {own:?} and the metadata {told:?}: the file counts"));
    }
    let Some(name) = wanted(inputs) else { return };
    plan.push(File::new(HOSTNAME, format!("{name}\n")));
    // Not hostnamectl: before the network there is no message bus yet.
    let command = Command { about: Some(HOSTNAME), ..Command::new(["hostname", name]) };
    // The file may be right already and the running name not.
    let is_other = inputs.facts.hostname.as_deref().is_some_and(|now| now != name);
    plan.push(if is_other { command } else { command.if_changed(Scope::Path(HOSTNAME)) });
}

pub(super) fn zone(inputs: Inputs<'_>, plan: &mut Plan) {
    let Some(zone) = &inputs.config.timezone else { return };
    if inputs.facts.has_zone {
        let target = format!("/usr/share/zoneinfo/{zone}");
        plan.push(Link { path: "/etc/localtime".to_owned(), target });
    } else {
        plan.warn(format!("this machine knows no timezone {zone:?}: it keeps its own"));
    }
}

pub(super) fn hosts(inputs: Inputs<'_>, plan: &mut Plan) {
    if !inputs.config.manage_etc_hosts {
        return;
    }
    let Some(name) = wanted(inputs).or(inputs.facts.hostname.as_deref()) else {
        plan.warn("manage_etc_hosts: the name of the host is not known");
        return;
    };
    let text = format!("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.0.1 {name}\n");
    plan.push(File::new("/etc/hosts", text));
}

/// The addresses of the machine for units, unless the file has this file itself.
pub(super) fn environment(inputs: Inputs<'_>, plan: &mut Plan) {
    if inputs.config.write_files.iter().any(|file| file.path == ENVIRONMENT) {
        return;
    }
    let known = inputs.metadata.addresses.by_variable().into_iter();
    let mut variables: Vec<_> = known
        .filter_map(|(name, value)| Some((format!("COREOS_{}", name.to_uppercase()), value?.to_string())))
        .collect();
    variables.sort();
    let text = environment::edited_file(&inputs.facts.environment, &variables);
    if !variables.is_empty() && text != inputs.facts.environment {
        plan.push(File { owned: false, ..File::new(ENVIRONMENT, text) });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{planned, text};
    use super::*;
    use crate::facts::Facts;
    use crate::metadata::{Addresses, Metadata};

    #[test]
    fn the_file_wins_over_the_metadata_and_both_are_named() {
        let metadata = Metadata { hostname: Some("b".to_owned()), ..Metadata::default() };
        let plan = planned("hostname: a\n", &metadata, &Facts::default());
        assert_eq!(text(&plan, HOSTNAME), "a\n");
        assert_eq!(plan.warnings, ["the file says hostname \"a\" and the metadata \"b\": the file counts"]);
        let plan = planned("", &metadata, &Facts::default());
        assert_eq!((text(&plan, HOSTNAME).as_str(), plan.warnings.len()), ("b\n", 0));
        let wrong = Metadata { hostname: Some("a b".to_owned()), ..Metadata::default() };
        assert_eq!(planned("", &wrong, &Facts::default()).actions, []);
    }

    #[test]
    fn a_running_name_that_is_another_is_set_in_any_case() {
        let facts = Facts { hostname: Some("old".to_owned()), ..Facts::default() };
        let shown =
            |facts: &Facts| planned("hostname: a\n", &Metadata::default(), facts).actions[1].to_string();
        assert_eq!(shown(&facts), "run hostname a");
        assert_eq!(shown(&Facts::default()), "run hostname a, if /etc/hostname changed");
    }

    #[test]
    fn a_zone_is_a_link_if_the_machine_has_it() {
        let plan = |has_zone| {
            let facts = Facts { has_zone, ..Facts::default() };
            planned("timezone: Europe/Berlin\n", &Metadata::default(), &facts)
        };
        assert_eq!(
            plan(true).actions[0].to_string(),
            "link /etc/localtime to /usr/share/zoneinfo/Europe/Berlin"
        );
        assert_eq!((plan(false).actions.len(), plan(false).warnings.len()), (0, 1));
    }

    #[test]
    fn hosts_names_the_host() {
        let plan =
            planned("hostname: a\nmanage_etc_hosts: localhost\n", &Metadata::default(), &Facts::default());
        assert!(text(&plan, "/etc/hosts").ends_with("\n127.0.0.1 a\n"));
    }

    #[test]
    fn known_addresses_are_in_the_environment_beside_what_is_there() {
        let addresses = Addresses::default().or_environment(|name| {
            ["COREOS_PRIVATE_IPV4", "COREOS_PUBLIC_IPV4"].contains(&name).then(|| "10.0.0.5".to_owned())
        });
        let metadata = Metadata { addresses, ..Metadata::default() };
        let facts = |text: &str| Facts { environment: text.to_owned(), ..Facts::default() };
        let plan = planned("", &metadata, &facts("A=1\nCOREOS_PUBLIC_IPV4=1.2.3.4\n"));
        let expected = "A=1\nCOREOS_PUBLIC_IPV4=10.0.0.5\nCOREOS_PRIVATE_IPV4=10.0.0.5\n";
        assert_eq!(text(&plan, ENVIRONMENT), expected);
        assert!(plan.owned().is_empty());
        assert_eq!(planned("", &metadata, &facts(expected)).actions, []);
        let own = "write_files: [{path: /etc/environment, content: x}]\n";
        assert_eq!(text(&planned(own, &metadata, &facts("")), ENVIRONMENT), "x");
    }
}
