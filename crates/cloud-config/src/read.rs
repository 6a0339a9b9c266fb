//! From bytes to what user data says, with places in the file that was given.

use crate::check::check;
use crate::document::{self, Document};
use crate::finding::{Finding, Level, shorten, worst};
use crate::metadata::Addresses;
use crate::model::Config;
use crate::substitute::{Unknown, substitute};
use crate::yaml;

/// What user data says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserData {
    /// What a machine is to become; of no bytes, nothing in particular.
    Config(Box<Config>),
    /// A program to run.
    Script(String),
    /// A configuration for another program.
    Ignition,
}

/// Reads user data. It says something if and only if no finding is an error; findings are in the order of the file.
pub fn read(bytes: &[u8], addresses: &Addresses, unknown: Unknown) -> (Option<UserData>, Vec<Finding>) {
    let (data, mut findings) = read_all(bytes, addresses, unknown);
    shorten(&mut findings);
    (data, findings)
}

fn read_all(bytes: &[u8], addresses: &Addresses, unknown: Unknown) -> (Option<UserData>, Vec<Finding>) {
    let (text, is_script) = match document::parse(bytes) {
        Ok(Document::Empty) => return (Some(UserData::Config(Box::default())), Vec::new()),
        Ok(Document::Ignition) => return (Some(UserData::Ignition), Vec::new()),
        Ok(Document::Config(text)) => (text, false),
        Ok(Document::Script(text)) => (text, true),
        Err(finding) => return (None, vec![finding]),
    };
    let substituted = match substitute(&text, addresses, unknown) {
        Ok(substituted) => substituted,
        Err(findings) => return (None, findings),
    };
    if is_script {
        return (Some(UserData::Script(substituted.text)), Vec::new());
    }
    let (config, mut findings) = match yaml::parse(&substituted.text) {
        Ok(root) => check(&root),
        Err(finding) => (None, vec![finding]),
    };
    for finding in &mut findings {
        finding.at = substituted.original(finding.at);
    }
    debug_assert_eq!(config.is_none(), worst(&findings) == Some(Level::Error));
    (config.map(|config| UserData::Config(Box::new(config))), findings)
}

/// Checks a file without a machine: variables have values that stand for any.
pub fn validate(bytes: &[u8]) -> Vec<Finding> {
    read(bytes, &Addresses::examples(), Unknown::Refuse).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_file_that_was_given() {
        let text = b"#cloud-config\ncoreos: {etcd: {addr: \"$private_ipv4:1\", nmae: a, nme: b}}\n";
        let lines: Vec<_> = validate(text).iter().map(|finding| finding.line("f")).collect();
        let message = "warning: unrecognized key";
        assert_eq!(
            lines,
            [
                format!("f:2:42: {message} \"nmae\"; did you mean `name`?"),
                format!("f:2:51: {message} \"nme\"; did you mean `name`?")
            ]
        );
    }

    #[test]
    fn of_many_findings_a_hundred_are_shown() {
        let uses = "$public_ipv4 ".repeat(1000);
        for text in [format!("#!/bin/sh\n{uses}"), (0..1000).map(|n| format!("k{n}: x\n")).collect()] {
            let text = if text.starts_with('#') { text } else { format!("#cloud-config\n{text}") };
            let (_, findings) = read(text.as_bytes(), &Addresses::default(), Unknown::Refuse);
            assert_eq!(findings.len(), 101);
        }
    }

    #[test]
    fn scripts_and_nothing_and_ignition_are_right() {
        for text in ["", "#!/bin/sh\nfoo: [\n", "{\"ignition\": {\"version\": \"2\"}}"] {
            assert_eq!(validate(text.as_bytes()), []);
        }
        let script = read(b"#!/bin/sh\necho $private_ipv4\n", &Addresses::examples(), Unknown::Refuse).0;
        assert_eq!(script, Some(UserData::Script("#!/bin/sh\necho 192.0.2.1\n".to_owned())));
    }

    #[test]
    fn an_escaped_variable_is_no_escape_of_yaml() {
        assert_eq!(
            validate(
                b"#cloud-config\nhostname: a\nwrite_files: [{path: /a, content: \"\\$private_ipv4\"}]\n"
            ),
            []
        );
    }
}
