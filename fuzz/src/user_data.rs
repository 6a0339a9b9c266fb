//! Target for what a machine is given at its first start.

use cloud_config::UserData;
use cloud_config::facts::Facts;
use cloud_config::finding::{Level, worst};
use cloud_config::metadata::{Addresses, Metadata};
use cloud_config::plan::{Inputs, KEY_SET, plan};
use cloud_config::substitute::Unknown;

/// Bytes end in user data or in findings with an error, at places of the file; a plan is the same each time, has
/// one file for a path, and writes nowhere but below folders of the machine's own.
pub fn cloud_config(data: &[u8]) {
    let (read, findings) = cloud_config::read(data, &Addresses::examples(), Unknown::Refuse);
    assert_eq!(read.is_none(), worst(&findings) == Some(Level::Error));
    for finding in &findings {
        assert!(finding.at.line >= 1 && finding.at.column >= 1);
        assert_eq!(finding.line("f").lines().count(), 1, "{finding:?}");
    }
    let Some(UserData::Config(config)) = read else { return };
    let metadata = Metadata { addresses: Addresses::examples(), ..Metadata::default() };
    let facts = Facts::default();
    let inputs =
        Inputs { config: &config, script: None, metadata: &metadata, facts: &facts, key_set: KEY_SET };
    let planned = plan(inputs);
    assert_eq!(planned, plan(inputs));
    let mut paths: Vec<_> = planned.actions.iter().filter_map(|action| action.file_path()).collect();
    for path in &paths {
        assert!(path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path}");
        assert!(["/usr/", "/proc/", "/sys/", "/dev/"].iter().all(|tree| !path.starts_with(tree)), "{path}");
    }
    paths.sort_unstable();
    assert!(paths.is_sorted_by(|one, two| one < two), "{paths:?}");
}

/// Returns inputs that the target of that name accepts; none for an unknown name.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "cloud_config" => [TALK, EVERYTHING].map(|text| text.as_bytes().to_vec()).to_vec(),
        _ => vec![],
    }
}

const TALK: &str = include_str!("../../crates/cloud-config/tests/data/talk.yml");
const EVERYTHING: &str = include_str!("../../crates/cloud-config/tests/data/everything.yml");
