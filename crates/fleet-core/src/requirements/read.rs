//! From the lines of `[X-Fleet]` to requirements, and what is wrong with them.

use std::collections::BTreeMap;

use super::option::Name;
use super::{Remark, Requirements, specifiers, words};
use crate::name::{UnitName, matches};
use crate::unit_file::{FLEET, Line, UnitFile};

pub(super) fn read(name: &UnitName, file: &UnitFile) -> Result<(Requirements, Vec<Remark>), Vec<Remark>> {
    let mut reader = Reader {
        unit: name,
        requirements: Requirements::default(),
        at: BTreeMap::new(),
        warnings: Vec::new(),
        problems: Vec::new(),
    };
    for (line, option) in file.numbered().filter(|(_, option)| option.section == FLEET) {
        reader.option(Line(line), &option.name, &specifiers::expand(&option.value, name));
    }
    reader.combinations(file);
    let Reader { requirements, warnings, problems, .. } = reader;
    if problems.is_empty() { Ok((requirements, warnings)) } else { Err(problems) }
}

struct Reader<'a> {
    unit: &'a UnitName,
    requirements: Requirements,
    /// Where each option is that says something.
    at: BTreeMap<Name, Line>,
    warnings: Vec<Remark>,
    problems: Vec<Remark>,
}

impl Reader<'_> {
    fn warn(&mut self, line: Line, text: impl Into<String>) {
        self.warnings.push(Remark { line: Some(line), text: text.into() });
    }

    fn refuse(&mut self, line: impl Into<Option<Line>>, text: impl Into<String>) {
        self.problems.push(Remark { line: line.into(), text: text.into() });
    }

    fn option(&mut self, line: Line, written: &str, value: &str) {
        let Some(name) = Name::parse(written) else {
            let meant = Name::nearest(written).map(|name| format!(": did you mean {name}=?"));
            self.warn(line, format!("{written}= in [{FLEET}] is unknown{}", meant.unwrap_or_default()));
            return;
        };
        let says_something = match name {
            Name::MachineId => self.machine_id(line, value),
            Name::MachineOf => self.machine_of(line, value),
            Name::MachineMetadata => self.metadata(line, value),
            Name::Conflicts => {
                let patterns = words::list(value).map(str::to_owned);
                self.requirements.conflicts.extend(patterns);
                !self.requirements.conflicts.is_empty()
            }
            Name::Replaces => {
                let patterns = words::list(value).map(str::to_owned);
                self.requirements.replaces.extend(patterns);
                !self.requirements.replaces.is_empty()
            }
            Name::Global | Name::Exclusive | Name::RunOnce => self.truth(line, name, value),
            Name::SpreadBy => self.spread_by(line, value),
            Name::Reservation => {
                self.warn(
                    line,
                    format!("{written}= was never kept to: use systemd's MemoryMax= and CPUQuota="),
                );
                false
            }
        };
        if says_something {
            self.at.entry(name).or_insert(line);
        } else {
            self.at.remove(&name);
        }
    }

    fn machine_id(&mut self, line: Line, value: &str) -> bool {
        let is_id = [8, 32].contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_left_open = self.unit.is_template() && value.contains('%');
        if !is_id && !is_left_open {
            self.refuse(line, format!("MachineID={value} is no id of 32 hexadecimal digits, or its first 8"));
        } else if self.requirements.machine_id.is_some() {
            self.warn(line, "MachineID= is given more than once: the first one counts");
        } else {
            self.requirements.machine_id = Some(value.to_ascii_lowercase());
        }
        true
    }

    fn machine_of(&mut self, line: Line, value: &str) -> bool {
        if value.is_empty() {
            self.warn(line, "MachineOf= without a unit says nothing");
        }
        for target in words::list(value) {
            if !(self.unit.is_template() && target.contains('%'))
                && let Err(err) = UnitName::parse(target)
            {
                self.refuse(line, format!("MachineOf={target}: {err}"));
            } else if target == self.unit.as_str() {
                self.refuse(line, "MachineOf= names the unit itself: it would never be placed");
            } else {
                self.requirements.machine_of.insert(target.to_owned());
            }
        }
        !self.requirements.machine_of.is_empty()
    }

    fn metadata(&mut self, line: Line, value: &str) -> bool {
        for text in words::quoted(value) {
            let Some((key, value)) = words::pair(text) else {
                self.warn(line, format!("MachineMetadata={text} is no `key=value`: it asks for nothing"));
                continue;
            };
            self.requirements.metadata.entry(key.to_owned()).or_default().insert(value.to_owned());
        }
        !self.requirements.metadata.is_empty()
    }

    fn truth(&mut self, line: Line, name: Name, value: &str) -> bool {
        let Some(is_wanted) = words::truth(value) else {
            self.refuse(line, format!("{}={value} is neither true nor false", name.as_str()));
            return false;
        };
        match name {
            Name::Global => self.requirements.global = is_wanted,
            Name::Exclusive => self.requirements.exclusive = is_wanted,
            _ => {
                self.requirements.run_once = is_wanted;
                return true;
            }
        }
        is_wanted
    }

    fn spread_by(&mut self, line: Line, value: &str) -> bool {
        if value.is_empty() || value.contains(|character: char| character.is_whitespace() || character == '=')
        {
            self.refuse(
                line,
                format!("SpreadBy={value} is no key of metadata: write one such as SpreadBy=zone"),
            );
        } else {
            self.requirements.spread_by = Some(value.to_owned());
        }
        true
    }

    /// What does not go together.
    fn combinations(&mut self, file: &UnitFile) {
        const NEVER: [(Name, &[Name]); 6] = [
            (
                Name::MachineId,
                &[Name::MachineOf, Name::Conflicts, Name::Global, Name::Replaces, Name::SpreadBy],
            ),
            (Name::MachineOf, &[Name::Global]),
            (Name::Conflicts, &[Name::Replaces]),
            (Name::Global, &[Name::Replaces, Name::Exclusive, Name::SpreadBy]),
            (Name::Exclusive, &[Name::Replaces]),
            (Name::RunOnce, &[]),
        ];
        for (one, others) in NEVER {
            for other in others {
                if let (Some(a), Some(b)) = (self.at.get(&one), self.at.get(other)) {
                    let line = *a.max(b);
                    let (one, other) = (one.as_str(), other.as_str());
                    self.refuse(
                        line,
                        format!("{one}= and {other}= do not go together: leave one of them out"),
                    );
                }
            }
        }
        let own = self.requirements.clone();
        for (name, patterns) in [(Name::Conflicts, own.conflicts), (Name::Replaces, own.replaces)] {
            for target in &own.machine_of {
                if let Some(pattern) = patterns.iter().find(|pattern| matches(pattern, target)) {
                    let line = self.at.get(&name).copied();
                    let name = name.as_str();
                    self.refuse(
                        line,
                        format!("{name}={pattern} matches {target}, which MachineOf= wants to be with"),
                    );
                }
            }
        }
        if let Some(line) = self.at.get(&Name::SpreadBy).copied()
            && !self.unit.is_template()
            && self.unit.instance().is_none()
        {
            self.refuse(
                line,
                "SpreadBy= is for instances of a template: name the unit name@instance.service",
            );
        }
        if let Some(line) = self.at.get(&Name::RunOnce).copied()
            && !file.is_oneshot()
        {
            self.refuse(
                line,
                "RunOnce= is for Type=oneshot: other services are started wherever they are placed",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_as(name: &str, fleet: &str) -> Result<(Requirements, Vec<String>), Vec<String>> {
        let said = |remarks: Vec<Remark>| remarks.iter().map(ToString::to_string).collect::<Vec<_>>();
        let text = format!("[Service]\nExecStart=/bin/a\n[X-Fleet]\n{fleet}");
        let file = UnitFile::parse(&text).unwrap();
        match read(&UnitName::parse(name).unwrap(), &file) {
            Ok((requirements, warnings)) => Ok((requirements, said(warnings))),
            Err(problems) => Err(said(problems)),
        }
    }

    fn right(fleet: &str) -> Requirements {
        let (requirements, warnings) = read_as("a@1.service", fleet).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        requirements
    }

    #[test]
    fn every_option_says_something() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(right("MachineID=e1cd2bcd").machine_id.as_deref(), Some("e1cd2bcd"));
        assert_eq!(right("X-ConditionMachineOf=b-%i.service").machine_of, ["b-1.service".to_owned()].into());
        let metadata =
            right("MachineMetadata=\"region=us\" \"region=eu\"\nMachineMetadata=disk=ssd").metadata;
        assert_eq!(metadata["region"], ["eu".to_owned(), "us".to_owned()].into());
        assert_eq!(metadata["disk"], ["ssd".to_owned()].into());
        assert_eq!(
            right("Conflicts=%p@*.service b*\nX-Conflicts=c").conflicts,
            names(&["a@*.service", "b*", "c"])
        );
        assert_eq!(right("Replaces=b*").replaces, names(&["b*"]));
        assert!(right("Global=yes").global && !right("Global=yes\nGlobal=no").global);
        assert!(right("Exclusive=1").exclusive);
        assert_eq!(right("SpreadBy=zone").spread_by.as_deref(), Some("zone"));
        assert_eq!(right("X-ConditionMachineID=E1CD2BCD\nMachineMetadata=a=b").metadata.len(), 1);
        assert_eq!(right("Conflicts=x\nGlobal=true").conflicts.len(), 1, "a global unit may conflict");
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
        let refused = [
            [0, 1, 1, 1, 1, 0, 1],
            [1, 0, 0, 1, 0, 0, 0],
            [1, 0, 0, 0, 1, 0, 0],
            [1, 1, 0, 0, 1, 1, 1],
            [1, 0, 1, 1, 0, 1, 0],
            [0, 0, 0, 1, 1, 0, 0],
            [1, 0, 0, 1, 0, 0, 0],
        ];
        for (one, row) in options.iter().zip(refused) {
            for (other, is_refused) in options.iter().zip(row).filter(|(other, _)| *other != one) {
                let read = read_as("a@1.service", &format!("{one}\n{other}"));
                assert_eq!(read.is_err(), is_refused == 1, "{one} {other}");
                if let Err(problems) = read {
                    assert!(problems.iter().all(|text| text.starts_with("line 5: ")), "{problems:?}");
                }
            }
        }
        for option in ["Conflicts=b*", "Replaces=b*"] {
            assert!(read_as("a.service", &format!("MachineOf=b.service\n{option}")).is_err(), "{option}");
        }
    }

    #[test]
    fn wrong_values_are_problems_with_their_line() {
        for (name, fleet, expected) in [
            ("a.service", "MachineID=web1", "line 4: MachineID=web1 is no id"),
            ("a.service", "MachineOf=b", "line 4: MachineOf=b: unit name \"b\" has no suffix"),
            ("a.service", "MachineOf=a.service", "line 4: MachineOf= names the unit itself"),
            ("a.service", "Global=maybe", "line 4: Global=maybe is neither true nor false"),
            ("a@1.service", "SpreadBy=a b", "line 4: SpreadBy=a b is no key"),
            ("a.service", "SpreadBy=zone", "line 4: SpreadBy= is for instances"),
            ("a.service", "RunOnce=false", "line 4: RunOnce= is for Type=oneshot"),
        ] {
            let problems = read_as(name, fleet).unwrap_err();
            assert!(problems.len() == 1 && problems[0].starts_with(expected), "{fleet}: {problems:?}");
        }
    }

    #[test]
    fn what_says_nothing_is_a_warning() {
        for (fleet, expected) in [
            ("MachineMetadata=region", "line 4: MachineMetadata=region is no `key=value`"),
            ("MachineMetadata=a=b=c", "line 4: MachineMetadata=a=b=c is no `key=value`"),
            ("Conflict=x", "line 4: Conflict= in [X-Fleet] is unknown: did you mean Conflicts=?"),
            ("Foo=x", "line 4: Foo= in [X-Fleet] is unknown"),
            ("X-MemoryReservation=100", "line 4: X-MemoryReservation= was never kept to"),
            ("MachineID=e1cd2bcd\nMachineID=00000000", "line 5: MachineID= is given more than once"),
        ] {
            let (_, warnings) = read_as("a.service", fleet).unwrap();
            assert!(warnings.len() == 1 && warnings[0].starts_with(expected), "{fleet}: {warnings:?}");
        }
    }

    #[test]
    fn a_template_keeps_its_specifiers() {
        let (requirements, _) =
            read_as("a@.service", "MachineOf=b@%i.service\nMachineID=%i").unwrap_or_default();
        assert_eq!(requirements, Requirements::default(), "MachineID and MachineOf do not go together");
        let (requirements, _) = read_as("a@.service", "MachineOf=b@%i.service").unwrap();
        assert_eq!(requirements.machine_of, ["b@%i.service".to_owned()].into());
        assert!(read_as("a@.service", "MachineID=%i").is_ok());
    }

    #[test]
    fn a_oneshot_may_run_again() {
        let text = "[Service]\nType=oneshot\nExecStart=/bin/a\n[X-Fleet]\nRunOnce=false\n";
        let file = UnitFile::parse(text).unwrap();
        let (requirements, _) = read(&UnitName::parse("a.service").unwrap(), &file).unwrap();
        assert!(!requirements.run_once && Requirements::default().run_once);
    }

    proptest! {
        #[test]
        fn any_value_is_read_or_refused(
            name in "(MachineID|MachineOf|MachineMetadata|Conflicts|Global|SpreadBy|X-Conflicts)",
            value in "[ -~]{0,40}",
        ) {
            let _read_or_refused = read_as("a@1.service", &format!("{name}=.{value}."));
        }
    }
}
