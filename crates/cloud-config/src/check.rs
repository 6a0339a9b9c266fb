//! From a tree of nodes to a configuration, and all that is to be said about it.
//!
//! First the shape, by the table of keys, then what the values mean; a value of a wrong type is like none there.

mod accounts;
mod etcd;
mod fields;
mod files;
mod services;
mod structure;
mod units;

use crate::finding::{Finding, Level, worst};
use crate::model::Config;
use crate::yaml::Node;

use self::fields::Fields;

/// Checks a tree. There is a configuration if and only if no finding is an error.
pub fn check(root: &Node) -> (Option<Config>, Vec<Finding>) {
    let mut findings = Vec::new();
    structure::check(root, &mut findings);
    let config = mean(root, &mut findings);
    let is_right = worst(&findings) != Some(Level::Error);
    (is_right.then_some(config), findings)
}

fn mean(root: &Node, findings: &mut Vec<Finding>) -> Config {
    let top = Fields(root);
    let coreos = top.section("coreos");
    let mut config = Config {
        users: accounts::users(top, findings),
        write_files: files::files(top, findings),
        units: units::units(coreos, findings),
        update: services::update(coreos, findings),
        oem: services::oem(coreos, findings),
        etcd: etcd::options(coreos, findings),
        fleet: services::options(coreos, "fleet", findings),
        locksmith: services::options(coreos, "locksmith", findings),
        flannel: services::options(coreos, "flannel", findings),
        ..Config::default()
    };
    accounts::host(top, &mut config, findings);
    config
}

#[cfg(test)]
mod testing {
    //! What tests of the parts share.

    use super::*;
    use crate::finding::shorten;

    /// Checks a text and returns what it is and the lines about it.
    pub fn checked(text: &str) -> (Option<Config>, Vec<String>) {
        let (config, mut findings) = check(&crate::yaml::parse(text).unwrap());
        shorten(&mut findings);
        (config, findings.iter().map(|finding| finding.line("f")).collect())
    }

    /// Checks a text about which there is nothing to say.
    #[track_caller]
    pub fn config(text: &str) -> Config {
        let (config, lines) = checked(text);
        assert_eq!(lines, Vec::<String>::new());
        config.unwrap()
    }

    /// Checks that exactly these lines are said, of which each begins as given behind the name of the file.
    #[track_caller]
    pub fn check_says(text: &str, expected: &[&str]) {
        let (config, lines) = checked(text);
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(&format!("f:{expected}")), "{line}\ninstead of f:{expected}");
        }
        assert_eq!(config.is_some(), !lines.iter().any(|line| line.contains(": error: ")));
    }
}
