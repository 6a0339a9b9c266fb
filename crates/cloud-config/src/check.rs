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

use std::cmp::Reverse;

use crate::finding::{Finding, Level, Position, worst};
use crate::model::Config;
use crate::yaml::Node;

use self::fields::Fields;

/// More than these nobody reads.
const FINDINGS_MAX: usize = 100;

/// Checks a tree. There is a configuration if and only if no finding is an error.
pub fn check(root: &Node) -> (Option<Config>, Vec<Finding>) {
    let mut findings = Vec::new();
    structure::check(root, &mut findings);
    let config = mean(root, &mut findings);
    shorten(&mut findings);
    // In the order of the file, the worst first where several stand at one place.
    findings.sort_by_key(|finding| (finding.at, Reverse(finding.level)));
    let is_right = worst(&findings) != Some(Level::Error);
    (is_right.then_some(config), findings)
}

/// Keeps the worst findings, and says how many are missing.
fn shorten(findings: &mut Vec<Finding>) {
    let n_more = findings.len().saturating_sub(FINDINGS_MAX);
    if n_more == 0 {
        return;
    }
    findings.sort_by_key(|finding| (Reverse(finding.level), finding.at));
    findings.truncate(FINDINGS_MAX);
    findings.push(Finding::info(Position::START, format!("{n_more} more findings are not shown")));
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

    /// Checks a text and returns what it is and the lines about it.
    pub fn checked(text: &str) -> (Option<Config>, Vec<String>) {
        let (config, findings) = check(&crate::yaml::parse(text).unwrap());
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

#[cfg(test)]
mod tests {
    use super::testing::checked;

    #[test]
    fn of_many_findings_the_worst_are_shown() {
        let unknown: String = (0..500).map(|n| format!("k{n}: x\n")).collect();
        let (config, lines) = checked(&format!("{unknown}users: x\n"));
        assert!(config.is_none() && lines.len() == 101);
        assert_eq!(lines[0], "f:1:1: warning: unrecognized key \"k0\"");
        assert!(lines.contains(&"f:1:1: info: 401 more findings are not shown".to_owned()), "{lines:?}");
        assert!(lines[100].starts_with("f:501:8: error: "), "{}", lines[100]);
    }
}
