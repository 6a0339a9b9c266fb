//! What is sealed in `/usr`: the image's own description and the trusted keys.

use anyhow::Context;
use serde::Deserialize;

use crate::host::{Host, os_release_value};

/// Folder of our sealed files.
pub const DIR: &str = "/usr/lib/slipway";
/// What a public key file says in a comment when it belongs to the committed development pair.
pub const INSECURE_MARK: &str = "INSECURE";

/// `/usr/lib/slipway/image.json`, written by the build.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// Product name.
    pub product: String,
    /// Version of this `/usr`.
    pub version: String,
    /// Disk GUID that every copy of the image starts with.
    pub disk_guid: String,
    /// Time of the locked packages, seconds since 1970: the least that a machine believes of the time.
    #[serde(default)]
    pub build_time: Option<u64>,
}

/// Reads the image's description.
pub fn image(host: &Host) -> anyhow::Result<Image> {
    let path = format!("{DIR}/image.json");
    let text = host.read(&path)?.with_context(|| format!("reading {path}: no such file"))?;
    serde_json::from_str(&text).with_context(|| format!("parsing {path}"))
}

/// Returns the version of the running system.
pub fn version(host: &Host) -> anyhow::Result<String> {
    let path = "/usr/lib/os-release";
    let text = host.read(path)?.with_context(|| format!("reading {path}: no such file"))?;
    let version = os_release_value(&text, "IMAGE_VERSION");
    version.map(str::to_owned).with_context(|| format!("reading {path}: it has no IMAGE_VERSION"))
}

/// Returns the names of trusted keys that are known to everybody.
pub fn insecure_keys(host: &Host) -> anyhow::Result<Vec<String>> {
    let mut insecure = Vec::new();
    for name in host.list(&format!("{DIR}/keys"))?.into_iter().filter(|name| name.ends_with(".pub")) {
        let text = host.read(&format!("{DIR}/keys/{name}"))?.unwrap_or_default();
        if text.lines().any(|line| line.trim_start().starts_with('#') && line.contains(INSECURE_MARK)) {
            insecure.push(name);
        }
    }
    Ok(insecure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn only_keys_marked_in_a_comment_are_insecure() {
        let tree = Tree::new();
        tree.file("/usr/lib/slipway/keys/dev.pub", "# INSECURE development key\nabc\n")
            .file("/usr/lib/slipway/keys/release.pub", "# release\nINSECUREabc\n")
            .file("/usr/lib/slipway/keys/notes.txt", "# INSECURE\n");
        assert_eq!(insecure_keys(&tree.host).unwrap(), ["dev.pub"]);
        assert_eq!(insecure_keys(&Tree::new().host).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_description_without_disk_guid_names_the_file_and_field() {
        let tree = Tree::new();
        tree.file("/usr/lib/slipway/image.json", r#"{"product":"slipway","version":"1.0.0"}"#);
        let err = format!("{:#}", image(&tree.host).unwrap_err());
        assert!(err.starts_with("parsing /usr/lib/slipway/image.json: missing field `disk_guid`"), "{err}");
    }

    #[test]
    fn the_version_is_that_of_the_image() {
        let tree = Tree::new();
        tree.file("/usr/lib/os-release", "VERSION_ID=13\nIMAGE_VERSION=1.2.3~rc.1\n");
        assert_eq!(version(&tree.host).unwrap(), "1.2.3~rc.1");
    }
}
