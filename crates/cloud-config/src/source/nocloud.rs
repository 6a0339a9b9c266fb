//! NoCloud: a small disk with the label `cidata`, which most tools for virtual machines can make.

use std::collections::BTreeMap;
use std::path::Path;

use agent_support::host::Host;
use anyhow::{Context as _, anyhow};

use super::{Asker, Given, Reach, Source, drive, read_file};
use crate::metadata::Metadata;
use crate::yaml::{self, Node};

/// The source.
pub static SOURCE: Source = Source { name: "nocloud", reach: Reach::Local, find, read };

fn find(host: &Host) -> anyhow::Result<Option<String>> {
    drive::find(host, ["cidata", "CIDATA"])
}

fn read(asker: &Asker, at: &str) -> anyhow::Result<Given> {
    drive::with_mounted(&asker.host, at, folder)
}

fn folder(dir: &Path) -> anyhow::Result<Given> {
    let user_data = read_file(&dir.join("user-data"))?.unwrap_or_default();
    let metadata = match read_file(&dir.join("meta-data"))? {
        Some(bytes) => metadata(&bytes).context("in meta-data of the drive cidata")?,
        None => Metadata::default(),
    };
    Ok(Given { user_data, metadata })
}

/// Reads `meta-data`: YAML with a name and keys, which are one, a list or a map.
fn metadata(bytes: &[u8]) -> anyhow::Result<Metadata> {
    let text = std::str::from_utf8(bytes).context("it is no text")?;
    let root = yaml::parse(text).map_err(|finding| anyhow!("{}", finding.line("meta-data")))?;
    let hostname = ["local_hostname", "hostname"].iter().find_map(|key| root.get(key)?.text());
    let keys = root.get("public_keys").map(texts).unwrap_or_default();
    let public_keys: BTreeMap<_, _> =
        keys.into_iter().enumerate().map(|(idx, key)| (format!("{idx:03}"), key)).collect();
    Ok(Metadata { hostname: hostname.map(str::to_owned), public_keys, ..Metadata::default() })
}

fn texts(node: &Node) -> Vec<String> {
    let inner = node.items().iter().chain(node.entries().iter().map(|entry| &entry.node));
    node.text().map(str::to_owned).into_iter().chain(inner.flat_map(texts)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::source::testing::key;

    #[test]
    fn a_drive_has_user_data_and_metadata_and_may_have_neither() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(folder(dir.path()).unwrap(), Given::default());
        fs::write(dir.path().join("user-data"), "#cloud-config\n").unwrap();
        fs::write(dir.path().join("meta-data"), "instance-id: x\nlocal-hostname: b\n").unwrap();
        let given = folder(dir.path()).unwrap();
        assert_eq!(given.user_data, b"#cloud-config\n");
        assert_eq!(given.metadata.hostname.as_deref(), Some("b"));
    }

    #[test]
    fn keys_are_one_or_a_list_or_a_map() {
        let (a, b) = (key('A'), key('B'));
        for text in [
            format!("public-keys: \"{a}\"\n"),
            format!("public-keys: [\"{a}\"]\n"),
            format!("public-keys: {{mine: \"{a}\"}}\n"),
            format!("{{\"public-keys\": {{\"mine\": [\"{a}\"]}}}}"),
        ] {
            assert_eq!(metadata(text.as_bytes()).unwrap().public_keys["000"], a, "{text}");
        }
        let two = metadata(format!("public-keys: [\"{b}\", \"{a}\"]\n").as_bytes()).unwrap();
        assert_eq!(two.public_keys.into_values().collect::<Vec<_>>(), [b, a]);
        assert!(metadata(b"a: [").is_err());
    }
}
