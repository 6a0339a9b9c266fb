//! Files that QEMU's command line hands in: `-fw_cfg name=opt/slipway/cloud-config,file=FILE`.

use agent_support::host::Host;

use super::{Asker, Given, Reach, Source, credentials};

const USER_DATA: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/slipway/cloud-config/raw";
const METADATA: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/slipway/metadata/raw";

/// The source.
pub static SOURCE: Source = Source { name: "fw-cfg", reach: Reach::Local, find, read };

fn find(host: &Host) -> anyhow::Result<Option<String>> {
    Ok(host.path(USER_DATA).exists().then(|| USER_DATA.to_owned()))
}

fn read(asker: &Asker, at: &str) -> anyhow::Result<Given> {
    credentials::pair(&asker.host, at, METADATA)
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;

    use super::*;

    #[test]
    fn files_of_the_emulator_are_user_data_and_metadata() {
        let tree = Tree::new();
        assert_eq!(find(&tree.host).unwrap(), None);
        tree.file(USER_DATA, "#!/bin/sh\n").file(METADATA, r#"{"private_ipv4": "10.0.0.5"}"#);
        let at = find(&tree.host).unwrap().unwrap();
        let given = credentials::pair(&tree.host, &at, METADATA).unwrap();
        assert_eq!(given.user_data, b"#!/bin/sh\n");
        assert!(given.metadata.addresses.private_ipv4.is_some());
    }
}
