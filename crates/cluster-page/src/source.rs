//! What is asked: programs of this machine, each by a command that prints JSON and changes nothing.

use std::fmt;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// What each machine's locksmith says of its machine.
    Machines,
    /// The slots of a group; the empty name is the group without one.
    Locks(String),
    /// The versions that a group knows.
    Versions(String),
    /// Machines that fleet sees.
    FleetMachines,
    /// Units on machines.
    Units,
    /// Units that are stored, wherever they are.
    UnitFiles,
    /// Members of etcd.
    Members,
    /// What each member of etcd says of itself.
    Endpoints,
}

impl Source {
    /// Returns program and arguments.
    pub fn command(&self) -> (&'static str, Vec<String>) {
        let with_group = |word: &str, group: &str| {
            let mut args = vec![word.to_owned(), "--json".to_owned()];
            if !group.is_empty() {
                // One word, so that a group's name is never taken for a flag.
                args.push(format!("--group={group}"));
            }
            args
        };
        let plain = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::Machines => ("locksmithctl", with_group("machines", "")),
            Self::Locks(group) => ("locksmithctl", with_group("status", group)),
            Self::Versions(group) => ("locksmithctl", with_group("versions", group)),
            Self::FleetMachines => ("fleetctl", plain(&["list-machines", "--json"])),
            Self::Units => ("fleetctl", plain(&["list-units", "--json"])),
            Self::UnitFiles => ("fleetctl", plain(&["list-unit-files", "--json"])),
            Self::Members => ("etcdctl", plain(&["member", "list", "--write-out=json"])),
            Self::Endpoints => ("etcdctl", plain(&["endpoint", "status", "--write-out=json"])),
        }
    }

    /// Returns the group of a question about one.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Locks(group) | Self::Versions(group) => Some(group),
            Self::Machines
            | Self::FleetMachines
            | Self::Units
            | Self::UnitFiles
            | Self::Members
            | Self::Endpoints => None,
        }
    }
}

/// What it is called where it is missing.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (program, words) = self.command();
        let words = words.iter().filter(|word| !matches!(word.as_str(), "--json" | "--write-out=json"));
        write!(f, "{program} {}", words.map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_one_word_whatever_its_name() {
        let (program, args) = Source::Locks("--json x".to_owned()).command();
        assert_eq!(
            (program, args),
            ("locksmithctl", ["status", "--json", "--group=--json x"].map(str::to_owned).to_vec())
        );
        assert_eq!(Source::Versions(String::new()).command().1, ["versions", "--json"]);
    }

    #[test]
    fn a_source_is_called_by_its_command() {
        assert_eq!(Source::Members.to_string(), "etcdctl member list");
        assert_eq!(Source::Locks("web".to_owned()).to_string(), "locksmithctl status --group=web");
    }
}
