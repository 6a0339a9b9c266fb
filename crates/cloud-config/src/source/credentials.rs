//! System credentials, which the service manager takes from SMBIOS strings of type 11, from QEMU's `fw_cfg` and
//! from the boot loader (systemd.system-credentials(7)).

use agent_support::host::Host;
use anyhow::Context as _;

use super::{Asker, Given, Reach, Source, read_file};
use crate::metadata::Metadata;

const USER_DATA: &str = "/run/credentials/@system/slipway.cloud-config";
const METADATA: &str = "/run/credentials/@system/slipway.metadata";

/// The source.
pub static SOURCE: Source = Source { name: "credentials", reach: Reach::Local, find, read };

fn find(host: &Host) -> anyhow::Result<Option<String>> {
    Ok(host.path(USER_DATA).exists().then(|| USER_DATA.to_owned()))
}

fn read(asker: &Asker, at: &str) -> anyhow::Result<Given> {
    pair(&asker.host, at, METADATA)
}

/// Reads user data at one path, and metadata in this program's own form at another.
pub(super) fn pair(host: &Host, user_data: &str, metadata: &str) -> anyhow::Result<Given> {
    let user_data = read_file(&host.path(user_data))?.unwrap_or_default();
    let metadata = match read_file(&host.path(metadata))? {
        Some(bytes) => Metadata::parse(&bytes).with_context(|| format!("in {metadata}"))?,
        None => Metadata::default(),
    };
    Ok(Given { user_data, metadata })
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;

    use super::*;

    #[test]
    fn credentials_are_user_data_and_metadata() {
        let tree = Tree::new();
        assert_eq!(find(&tree.host).unwrap(), None);
        tree.file(USER_DATA, "#cloud-config\n").file(METADATA, r#"{"hostname": "b"}"#);
        let at = find(&tree.host).unwrap().unwrap();
        let given = pair(&tree.host, &at, METADATA).unwrap();
        assert_eq!(given.user_data, b"#cloud-config\n");
        assert_eq!(given.metadata.hostname.as_deref(), Some("b"));
        tree.file(METADATA, "{");
        let err = format!("{:#}", pair(&tree.host, &at, METADATA).unwrap_err());
        assert!(err.starts_with("in /run/credentials/@system/slipway.metadata: parsing"), "{err}");
    }
}
