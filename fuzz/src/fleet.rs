//! Target for units of a cluster.

use fleet_core::name::{NAME_MAX, UnitName, is_pattern, matches};
use fleet_core::requirements::{Remark, Requirements};
use fleet_core::unit_file::{FILE_MAX, OPTIONS_MAX, UnitFile, UnitOption, serialize};

/// The first line is a name, the rest the unit's file. A name is written as it was read; a file's text is kept, and
/// what its options say is the same when they are written and read again, and when an API client sends them; what
/// is said about the file is one line at a line of it.
pub fn fleet_unit(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, text) = text.split_once('\n').unwrap_or((text, ""));
    let name = UnitName::parse(first).ok();
    if let Some(name) = &name {
        name_holds(name, first);
    }
    if let Ok(name) = UnitName::from_argument(first) {
        assert!(!name.as_str().contains('/'));
    }
    let Ok(file) = UnitFile::parse(text) else { return };
    assert!(file.content() == text && text.len() <= FILE_MAX && file.options().len() <= OPTIONS_MAX);
    let written = serialize(file.options());
    // Continued lines are written as they were read, so no line gets longer; the file may.
    if written.len() <= FILE_MAX {
        let again = UnitFile::parse(&written).expect("written options read");
        assert_eq!((again.hash(), serialize(again.options())), (file.hash(), written));
        assert!(UnitFile::from_options(file.options()).is_ok());
        assert_eq!(again.is_oneshot(), file.is_oneshot());
    }
    let n_lines = text.split('\n').count();
    let name = name.unwrap_or_else(|| UnitName::parse("web@1.service").expect("a name"));
    match Requirements::of(&name, &file) {
        Ok((wants, warnings)) => {
            remarks_hold(&warnings, n_lines);
            requirements_hold(&name, &wants, &file);
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            remarks_hold(&problems, n_lines);
        }
    }
}

fn name_holds(name: &UnitName, text: &str) {
    assert!(name.as_str() == text && text.len() <= NAME_MAX && !text.contains('/'));
    assert_eq!(UnitName::from_argument(&format!("folder/{text}")), UnitName::from_argument(text));
    if let Some(template) = name.template() {
        assert!(template.is_template() && !name.is_template() && template.prefix() == name.prefix());
    }
    assert!(!is_pattern(text) || text.contains('\\') || matches(text, text));
}

fn remarks_hold(remarks: &[Remark], n_lines: usize) {
    assert!(remarks.is_sorted_by_key(|remark| remark.line));
    for line in remarks.iter().filter_map(|remark| remark.line) {
        assert!((1..=n_lines).contains(&line.0), "{line} of {n_lines}");
    }
}

/// What never goes together does not come out together, and options written anew ask for the same.
fn requirements_hold(name: &UnitName, wants: &Requirements, file: &UnitFile) {
    assert!(!wants.global || (wants.machine_id.is_none() && wants.machine_of.is_empty() && !wants.exclusive));
    assert!(wants.conflicts.is_empty() || wants.replaces.is_empty());
    assert!(!wants.machine_of.contains(name.as_str()));
    for target in &wants.machine_of {
        assert!(!wants.conflicts.iter().chain(&wants.replaces).any(|pattern| matches(pattern, target)));
    }
    let options: Vec<UnitOption> = file.options().to_vec();
    if let Ok(again) = UnitFile::from_options(&options) {
        assert_eq!(Requirements::of(name, &again).map(|(wants, _)| wants).as_ref(), Ok(wants));
    }
}

/// Returns inputs that the target of that name accepts; none for an unknown name.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "fleet_unit" => [TALK, PLACED, GLOBAL, TEMPLATE].map(|text| text.as_bytes().to_vec()).to_vec(),
        _ => vec![],
    }
}

const TALK: &str = "foo.service\n[Service]\nExecStart=/usr/bin/sleep 500\n";
const PLACED: &str = "web@1.service
# Serves.
[Unit]
Description=Web server
After=network-online.target

[Service]
Type=oneshot
ExecStart=/usr/bin/web \\
# Not yet: --debug
  --listen=80 \\
  --name=%i

[X-Fleet]
MachineMetadata=\"region=us\" \"region=eu\"
X-ConditionMachineMetadata=disk=ssd
Conflicts=%p@*.service other@[1-3].service
MachineOf=db@%i.service
Exclusive=true
SpreadBy=zone
RunOnce=false
";
const GLOBAL: &str = "agent.timer
[Timer]
OnCalendar=daily
[Install]
WantedBy=timers.target
[X-Fleet]
Global=yes
X-Conflicts=x?.service
";
const TEMPLATE: &str = "old@.service
[Service]
ExecStart=/bin/true
[X-Fleet]
X-ConditionMachineID=%i
X-MemoryReservation=100
";
