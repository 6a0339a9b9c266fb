//! From the lines of `[X-Fleet]` to requirements, and what is wrong with them.

use std::collections::BTreeMap;

use super::option::Name;
use super::{Remark, Requirements, combinations, misplaced, specifiers, words};
use crate::name::{UnitName, is_pattern};
use crate::unit_file::{FLEET, Line, UnitFile};

pub(super) fn read(name: &UnitName, file: &UnitFile) -> Result<(Requirements, Vec<Remark>), Vec<Remark>> {
    let mut reader = Reader {
        unit: name,
        requirements: Requirements::default(),
        at: BTreeMap::new(),
        warnings: misplaced::find(file),
        problems: Vec::new(),
    };
    for (line, option) in file.numbered().filter(|(_, option)| option.section == FLEET) {
        reader.option(Line(line), &option.name, &specifiers::expand(&words::joined(&option.value), name));
    }
    let Reader { requirements, at, mut warnings, mut problems, .. } = reader;
    problems.extend(combinations::check(name, file, &requirements, &at));
    problems.sort_by_key(|problem| problem.line);
    warnings.sort_by_key(|warning| warning.line);
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

    fn refuse(&mut self, line: Line, text: impl Into<String>) {
        self.problems.push(Remark { line: Some(line), text: text.into() });
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
                let patterns = self.patterns(line, name, value);
                self.requirements.conflicts.extend(patterns);
                !self.requirements.conflicts.is_empty()
            }
            Name::Replaces => {
                let patterns = self.patterns(line, name, value);
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
            self.warn(line, "MachineOf= without a unit asks for nothing");
        }
        for target in words::list(value) {
            if self.unit.is_template() && target.contains('%') {
                self.requirements.machine_of.insert(target.to_owned());
                continue;
            }
            match UnitName::parse(target) {
                Err(err) => self.refuse(line, format!("MachineOf={target}: {err}")),
                Ok(target) if target == *self.unit => {
                    self.refuse(line, "MachineOf= names the unit itself: leave it out");
                }
                Ok(target) if target.is_template() => {
                    self.refuse(
                        line,
                        format!("MachineOf={target} is a template, which is on no machine: name an instance"),
                    );
                }
                Ok(target) => {
                    self.requirements.machine_of.insert(target.as_str().to_owned());
                }
            }
        }
        !self.requirements.machine_of.is_empty()
    }

    fn metadata(&mut self, line: Line, value: &str) -> bool {
        let quoted = words::quoted(value);
        for text in quoted.between {
            self.warn(
                line,
                format!("{text:?} between the quotes of MachineMetadata= asks for nothing: leave it out"),
            );
        }
        for text in quoted.inside {
            let Some((key, value)) = words::pair(text) else {
                self.warn(
                    line,
                    format!(
                        "MachineMetadata={text} is no `key=value` and asks for nothing: write one pair, or each in quotes"
                    ),
                );
                continue;
            };
            self.requirements.metadata.entry(key.to_owned()).or_default().insert(value.to_owned());
        }
        !self.requirements.metadata.is_empty()
    }

    fn patterns(&mut self, line: Line, name: Name, value: &str) -> Vec<String> {
        let name = name.as_str();
        if value.is_empty() {
            self.warn(line, format!("{name}= without a pattern asks for nothing"));
        }
        for pattern in words::list(value).filter(|pattern| !is_pattern(pattern)) {
            self.warn(
                line,
                format!("{name}={pattern} matches nothing: end its [set], or write \\[ for the character"),
            );
        }
        words::list(value).map(str::to_owned).collect()
    }

    fn truth(&mut self, line: Line, name: Name, value: &str) -> bool {
        let Some(is_wanted) = words::truth(value) else {
            self.refuse(
                line,
                format!("{}={value} is neither true nor false: write one of them", name.as_str()),
            );
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
    fn wrong_values_are_problems_with_their_line() {
        for (name, fleet, expected) in [
            ("a.service", "MachineID=web1", "line 4: MachineID=web1 is no id"),
            ("a.service", "MachineOf=b", "line 4: MachineOf=b: unit name \"b\" is not `name.type`"),
            ("a.service", "MachineOf=a.service", "line 4: MachineOf= names the unit itself"),
            ("a.service", "MachineOf=b@.service", "line 4: MachineOf=b@.service is a template"),
            ("a.service", "Global=maybe", "line 4: Global=maybe is neither true nor false"),
            ("a@1.service", "SpreadBy=a b", "line 4: SpreadBy=a b is no key"),
            ("a@1.service", "SpreadBy=", "line 4: SpreadBy= is no key"),
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
            ("MachineMetadata=a=b c=d", "line 4: MachineMetadata=a=b c=d is no `key=value`"),
            ("MachineMetadata=\"a=b\", \"c=d\"", "line 4: \", \" between the quotes"),
            ("MachineOf=", "line 4: MachineOf= without a unit"),
            ("Conflicts=", "line 4: Conflicts= without a pattern"),
            ("Replaces=", "line 4: Replaces= without a pattern"),
            ("Conflicts=a* web@[1.service", "line 4: Conflicts=web@[1.service matches nothing"),
            ("Conflict=x", "line 4: Conflict= in [X-Fleet] is unknown: did you mean Conflicts=?"),
            ("Foo=x", "line 4: Foo= in [X-Fleet] is unknown"),
            ("X-MemoryReservation=100", "line 4: X-MemoryReservation= was never kept to"),
            ("X-CoresReservation=100", "line 4: X-CoresReservation= was never kept to"),
            ("X-DiskReservation=100", "line 4: X-DiskReservation= was never kept to"),
            ("MachineID=e1cd2bcd\nMachineID=00000000", "line 5: MachineID= is given more than once"),
        ] {
            let (_, warnings) = read_as("a.service", fleet).unwrap();
            assert!(warnings.len() == 1 && warnings[0].starts_with(expected), "{fleet}: {warnings:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_in_the_order_of_the_file() {
        let problems = read_as("a.service", "SpreadBy=zone\nGlobal=maybe\nMachineOf=b").unwrap_err();
        let lines: Vec<&str> = problems.iter().filter_map(|text| text.split(':').next()).collect();
        assert_eq!(lines, ["line 4", "line 5", "line 6"]);
    }

    #[test]
    fn a_continued_value_is_one() {
        let requirements = right("Conflicts=a \\\n# not b\n  c\nMachineMetadata=\"x=1\" \\\n \"y=2\"");
        assert_eq!(requirements.conflicts, ["a", "c"]);
        assert_eq!(requirements.metadata.len(), 2);
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
