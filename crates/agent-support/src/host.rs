//! The machine as a tree of files: every path goes through [`Host`], so tests run on a folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Vendor of the variables of the boot loader interface (<https://systemd.io/BOOT_LOADER_INTERFACE/>).
pub(crate) const LOADER_VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// The efivarfs file of a variable starts with its attributes.
const EFI_ATTRIBUTES_LEN: usize = 4;

/// The root below which everything is looked up.
#[derive(Debug)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// Makes a host of the tree at `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns the absolute `path` of the target below this host's root.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Returns whether this is the running machine, where things are mounted and programs asked.
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns whether this is the initrd of a machine that is starting.
    pub fn in_initrd(&self) -> bool {
        self.path("/etc/initrd-release").exists()
    }

    /// Reads a text file; `None` if there is none.
    pub fn read(&self, path: &str) -> anyhow::Result<Option<String>> {
        match fs::read_to_string(self.path(path)) {
            Ok(text) => Ok(Some(text)),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err).with_context(|| format!("reading {path}")),
        }
    }

    /// Returns the arguments of the running kernel, in order.
    pub fn kernel_args(&self) -> anyhow::Result<Vec<String>> {
        let line = self.read("/proc/cmdline")?.context("reading /proc/cmdline: no such file")?;
        Ok(line.split_whitespace().map(str::to_owned).collect())
    }

    /// Returns the root hash that the kernel command line pins `/usr` to.
    pub fn root_hash(&self) -> anyhow::Result<Option<String>> {
        Ok(self.kernel_args()?.iter().rev().find_map(|arg| arg.strip_prefix("usrhash=").map(str::to_owned)))
    }

    /// Returns a text variable that the boot loader set for this boot.
    pub fn loader_variable(&self, name: &str) -> anyhow::Result<Option<String>> {
        let path = format!("/sys/firmware/efi/efivars/{name}-{LOADER_VENDOR}");
        match fs::read(self.path(&path)) {
            Ok(bytes) => parse_text_variable(&bytes)
                .with_context(|| format!("reading the EFI variable {name}"))
                .map(Some),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err).with_context(|| format!("reading {path}")),
        }
    }

    /// Returns the names in a folder, sorted; none if there is no such folder.
    pub fn list(&self, path: &str) -> anyhow::Result<Vec<String>> {
        sorted_names(&self.path(path))
    }
}

/// Returns the names in `dir`, sorted; none if there is no such folder. Names that are no UTF-8 are left out.
pub fn sorted_names(dir: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(err).with_context(|| format!("listing {}", dir.display())),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("listing {}", dir.display()))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Returns the value of `key` in os-release text (os-release(5)), without its quotes.
pub fn os_release_value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(|c| c == '"' || c == '\''))
}

/// Parses an efivarfs file that holds UTF-16 text, with or without the closing zero.
fn parse_text_variable(bytes: &[u8]) -> anyhow::Result<String> {
    let value = bytes.get(EFI_ATTRIBUTES_LEN..).context("it is shorter than its attributes")?;
    let (units, []) = value.as_chunks::<2>() else {
        anyhow::bail!("its length of {} bytes is odd", value.len());
    };
    let units: Vec<u16> =
        units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0).collect();
    String::from_utf16(&units).context("it is not UTF-16")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn reads_a_loader_variable() {
        let tree = Tree::new();
        tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi");
        let value = tree.host.loader_variable("LoaderEntrySelected").unwrap();
        assert_eq!(value.as_deref(), Some("slipway_1.0.0.efi"));
        assert_eq!(tree.host.loader_variable("LoaderBootCountPath").unwrap(), None);
    }

    #[test]
    fn rejects_a_variable_of_odd_length_or_without_attributes() {
        assert!(parse_text_variable(&[6, 0, 0, 0, 65]).is_err());
        assert!(parse_text_variable(&[6, 0]).is_err());
        assert!(parse_text_variable(&[6, 0, 0, 0, 0, 0xd8]).is_err());
    }

    #[test]
    fn the_last_root_hash_on_the_command_line_counts() {
        let tree = Tree::new();
        tree.file("/proc/cmdline", "quiet usrhash=aa panic=10 usrhash=bb\n");
        assert_eq!(tree.host.root_hash().unwrap().as_deref(), Some("bb"));
    }

    #[test]
    fn os_release_values_lose_their_quotes() {
        let text = "ID=slipway\nIMAGE_VERSION=\"1.2.3\"\nVERSION_ID='9'\n";
        assert_eq!(os_release_value(text, "IMAGE_VERSION"), Some("1.2.3"));
        assert_eq!(os_release_value(text, "VERSION_ID"), Some("9"));
        assert_eq!(os_release_value(text, "VERSION"), None);
    }
}
