//! What does not go together: options with each other, with the unit's name, with the rest of its file.

use std::collections::BTreeMap;

use super::option::Name;
use super::{Remark, Requirements};
use crate::name::{UnitName, matches};
use crate::unit_file::{Line, UnitFile};

/// Each option with those that it never stands beside.
const NEVER: [(Name, &[Name]); 4] = [
    (Name::MachineId, &[Name::MachineOf, Name::Conflicts, Name::Global, Name::Replaces, Name::SpreadBy]),
    (Name::MachineOf, &[Name::Global]),
    (Name::Conflicts, &[Name::Replaces]),
    (Name::Global, &[Name::Replaces, Name::Exclusive, Name::SpreadBy]),
];

/// Returns what does not go together; `at` has the line of each option that asks for something.
pub(super) fn check(
    unit: &UnitName,
    file: &UnitFile,
    wants: &Requirements,
    at: &BTreeMap<Name, Line>,
) -> Vec<Remark> {
    let mut problems = Vec::new();
    let line = |name: Name| at.get(&name).copied();
    let mut refuse = |line: Line, text: String| problems.push(Remark { line: Some(line), text });
    for (one, others) in NEVER {
        for &other in others {
            if let (Some(a), Some(b)) = (line(one), line(other)) {
                let (one, other) = (one.as_str(), other.as_str());
                refuse(a.max(b), format!("{one}= and {other}= do not go together: leave one of them out"));
            }
        }
    }
    for (name, patterns) in [(Name::Conflicts, &wants.conflicts), (Name::Replaces, &wants.replaces)] {
        let Some(line) = line(name) else { continue };
        let name = name.as_str();
        for target in &wants.machine_of {
            if let Some(pattern) = patterns.iter().find(|pattern| matches(pattern, target)) {
                refuse(
                    line,
                    format!(
                        "{name}={pattern} matches {target}, which MachineOf= wants to be with: leave one of them out"
                    ),
                );
            }
        }
    }
    if let Some(line) = line(Name::SpreadBy)
        && !unit.is_template()
        && unit.instance().is_none()
    {
        refuse(
            line,
            "SpreadBy= is for instances of a template: name the unit name@instance.service".to_owned(),
        );
    }
    if let Some(line) = line(Name::RunOnce)
        && !file.is_oneshot()
    {
        refuse(
            line,
            "RunOnce= is for Type=oneshot: leave it out, other services are started wherever they are placed"
                .to_owned(),
        );
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, fleet: &str) -> Vec<String> {
        let text = format!("[Service]\nExecStart=/bin/a\n[X-Fleet]\n{fleet}");
        let file = UnitFile::parse(&text).unwrap();
        match Requirements::of(&UnitName::parse(name).unwrap(), &file) {
            Ok(_) => vec![],
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_never_goes_together_is_refused() {
        let options = [
            "MachineID=e1cd2bcd",
            "MachineOf=b.service",
            "Conflicts=x*",
            "Global=true",
            "Replaces=y*",
            "Exclusive=true",
            "SpreadBy=zone",
        ];
        // Rows and columns as above.
        let matrix = [
            [0, 1, 1, 1, 1, 0, 1],
            [1, 0, 0, 1, 0, 0, 0],
            [1, 0, 0, 0, 1, 0, 0],
            [1, 1, 0, 0, 1, 1, 1],
            [1, 0, 1, 1, 0, 0, 0],
            [0, 0, 0, 1, 0, 0, 0],
            [1, 0, 0, 1, 0, 0, 0],
        ];
        for (one, row) in options.iter().zip(matrix) {
            for (other, is_refused) in options.iter().zip(row).filter(|(other, _)| *other != one) {
                let read = refused("a@1.service", &format!("{one}\n{other}"));
                assert_eq!(read.len(), is_refused, "{one} {other}: {read:?}");
                assert!(read.iter().all(|text| text.starts_with("line 5: ")), "{read:?}");
            }
        }
    }

    #[test]
    fn metadata_goes_with_everything() {
        for option in
            ["MachineID=e1cd2bcd", "MachineOf=b.service", "Conflicts=x*", "Global=true", "Replaces=y*"]
        {
            assert_eq!(refused("a.service", &format!("MachineMetadata=a=b\n{option}")), [""; 0], "{option}");
        }
    }

    #[test]
    fn a_unit_does_not_drive_away_what_it_wants_to_be_with() {
        for name in ["Conflicts", "Replaces"] {
            let problems = refused("a.service", &format!("{name}=b*\nMachineOf=c.service b.service"));
            let expected = format!("line 4: {name}=b* matches b.service, which MachineOf= wants to be with");
            assert!(problems.len() == 1 && problems[0].starts_with(&expected), "{problems:?}");
            assert_eq!(refused("a.service", &format!("{name}=x*\nMachineOf=b.service")), [""; 0]);
        }
    }

    #[test]
    fn a_switch_that_says_no_goes_with_everything() {
        assert_eq!(refused("a.service", "Global=true\nGlobal=false\nMachineOf=b.service"), [""; 0]);
        assert_eq!(refused("a.service", "Global=true\nExclusive=no"), [""; 0]);
    }

    #[test]
    fn only_instances_are_spread() {
        let expected =
            ["line 4: SpreadBy= is for instances of a template: name the unit name@instance.service"];
        assert_eq!(refused("a.service", "SpreadBy=zone"), expected);
        assert_eq!(refused("a@.service", "SpreadBy=zone"), [""; 0]);
    }

    #[test]
    fn only_a_oneshot_may_run_again() {
        let problems = refused("a.service", "RunOnce=false");
        assert!(problems.len() == 1 && problems[0].starts_with("line 4: RunOnce= is for Type=oneshot"));
        let text = "[Service]\nType=oneshot\nExecStart=/bin/a\n[X-Fleet]\nRunOnce=false\n";
        let file = UnitFile::parse(text).unwrap();
        let (requirements, _) = Requirements::of(&UnitName::parse("a.service").unwrap(), &file).unwrap();
        assert!(!requirements.run_once && Requirements::default().run_once);
    }
}
