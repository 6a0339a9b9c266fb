//! What configurations made: each path with the SHA-256 of its content, or of where its link leads.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::STATE;
use super::tree::{Found, Mood, Tree};

/// The record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest(BTreeMap<String, String>);

fn file() -> String {
    format!("{STATE}/applied.json")
}

/// Returns the SHA-256 as hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Manifest {
    /// Reads the record; there is none before the first run.
    pub fn read(tree: &Tree) -> anyhow::Result<Self> {
        let Found::File(found) = tree.find(&file())? else { return Ok(Self::default()) };
        // A broken record must not keep a machine from its configuration: what it listed is then nobody's.
        Ok(Self(serde_json::from_slice(&found.bytes).unwrap_or_default()))
    }

    /// Writes the record.
    pub fn write(&self, tree: &Tree) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(&self.0).context("writing the record of files")?;
        text.push('\n');
        tree.write(&file(), text.as_bytes(), 0o600, None, Mood::Do).map(drop)
    }

    /// Records a path.
    pub fn record(&mut self, path: &str, bytes: &[u8]) {
        self.0.insert(path.to_owned(), sha256(bytes));
    }

    /// Removes a path from the record.
    pub fn forget(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// Returns the recorded paths.
    pub fn paths(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// Tells whether what is at a path is what was recorded.
    pub fn is_as_recorded(&self, path: &str, found: &Found) -> bool {
        let now = match found {
            Found::File(file) => sha256(&file.bytes),
            Found::Link(target) => sha256(target.as_bytes()),
            Found::Nothing | Found::Other => return false,
        };
        self.0.get(path) == Some(&now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        assert_eq!(Manifest::read(&tree).unwrap(), Manifest::default());
        let mut manifest = Manifest::default();
        manifest.record("/a", b"x");
        manifest.write(&tree).unwrap();
        assert_eq!(Manifest::read(&tree).unwrap(), manifest);
        assert_eq!(manifest.paths().into_iter().collect::<Vec<_>>(), ["/a"]);
        assert!(manifest.is_as_recorded("/a", &Found::Link("x".to_owned())));
        assert!(!manifest.is_as_recorded("/a", &Found::Nothing));
        tree.write(&file(), b"{broken", 0o600, None, Mood::Do).unwrap();
        assert_eq!(Manifest::read(&tree).unwrap(), Manifest::default());
    }
}
