//! Options of fleet that stand where nobody reads them: in a section that is not quite `[X-Fleet]`, or in another.
//!
//! The service manager passes over sections that begin with `X-` without a word, and the original passed over all but its
//! own, so such a unit went to any machine.

use super::Remark;
use super::option::Name;
use super::spelling::distance;
use crate::unit_file::{FLEET, Line, UnitFile};

/// Returns a warning for each such option.
pub(super) fn find(file: &UnitFile) -> Vec<Remark> {
    let elsewhere = file.numbered().filter(|(_, option)| option.section != FLEET);
    let said = elsewhere.filter_map(|(line, option)| {
        let is_nearly = distance(&option.section, FLEET) <= 2;
        // The service manager has a `Conflicts=` of its own, and other programs have sections of theirs.
        let is_ours = Name::parse(&option.name).is_some_and(|name| name != Name::Conflicts);
        let is_lost = is_nearly || (is_ours && !option.section.starts_with("X-"));
        is_lost.then(|| Remark {
            line: Some(Line(line)),
            text: format!(
                "{}= in [{}] asks for nothing: put it below [{FLEET}]",
                option.name, option.section
            ),
        })
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<String> {
        find(&UnitFile::parse(text).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_option_in_a_wrong_section_is_told() {
        for (text, expected) in [
            (
                "[X-fleet]\nConflicts=a",
                "line 2: Conflicts= in [X-fleet] asks for nothing: put it below [X-Fleet]",
            ),
            ("[Fleet]\nColour=red", "line 2: Colour= in [Fleet] asks for nothing: put it below [X-Fleet]"),
            ("[Unit]\nMachineOf=a", "line 2: MachineOf= in [Unit] asks for nothing: put it below [X-Fleet]"),
        ] {
            assert_eq!(warnings(text), [expected]);
        }
    }

    #[test]
    fn what_others_read_is_left_alone() {
        for text in ["[Unit]\nConflicts=a.service", "[X-Fleet]\nGlobal=true", "[X-Other]\nGlobal=true"] {
            assert_eq!(warnings(text), [""; 0], "{text}");
        }
    }
}
