//! OpenStack's config drive, version 2: a small disk with the label `config-2`.

use std::path::Path;

use agent_support::host::Host;
use anyhow::Context as _;

use super::{Asker, Given, Reach, Source, drive, openstack, read_file};

/// The source.
pub static SOURCE: Source = Source { name: "config-drive", reach: Reach::Local, find, read };

/// The same as a folder that must be there.
pub static FOLDER: Source = Source {
    name: "config-drive",
    reach: Reach::Local,
    find: |_| Ok(None),
    read: |_, at| folder(at.as_ref()),
};

fn find(host: &Host) -> anyhow::Result<Option<String>> {
    drive::find(host, ["config-2", "CONFIG-2"])
}

fn read(asker: &Asker, at: &str) -> anyhow::Result<Given> {
    drive::with_mounted(&asker.host, at, folder)
}

/// Reads the drive as a folder; files that are missing say nothing.
fn folder(dir: &Path) -> anyhow::Result<Given> {
    std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    let latest = dir.join("openstack/latest");
    let user_data = read_file(&latest.join("user_data"))?.unwrap_or_default();
    let metadata = match read_file(&latest.join("meta_data.json"))? {
        Some(bytes) => openstack::metadata(&bytes).context("in meta_data.json of the config drive")?,
        None => Default::default(),
    };
    Ok(Given { user_data, metadata })
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
        assert!(folder(&dir.path().join("none")).is_err());
        let latest = dir.path().join("openstack/latest");
        fs::create_dir_all(&latest).unwrap();
        fs::write(latest.join("user_data"), "#cloud-config\n").unwrap();
        let json = format!(r#"{{"uuid": "x", "hostname": "b", "public_keys": {{"mine": "{}"}}}}"#, key('A'));
        fs::write(latest.join("meta_data.json"), json).unwrap();
        let given = folder(dir.path()).unwrap();
        assert_eq!(given.user_data, b"#cloud-config\n");
        assert_eq!(given.metadata.hostname.as_deref(), Some("b"));
        assert_eq!(given.metadata.public_keys["mine"], key('A'));
    }
}
