//! The build manifest, `slipway_<v>.manifest.json`: what a build made, from what, and with what.
//! `docs/formats/manifest.md` describes every field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All that a build says of itself. Same inputs give the same bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the product.
    pub product: String,
    /// Version of the image.
    pub version: String,
    /// Root hash of `/usr`, hexadecimal.
    pub root_hash: String,
    /// Salt of the hash tree, hexadecimal.
    pub salt: String,
    /// Length of the `/usr` image in blocks of 4096 bytes.
    pub usr_blocks: u64,
    /// Files by role: `raw`, `uki`, `usr`, `verity`, `sbom`, and `payload` if one was made.
    pub artifacts: BTreeMap<String, Artifact>,
    /// Packages by name.
    pub packages: Vec<Package>,
    /// Set-id, group-owned and capability-carrying files below `/usr`.
    pub special_files: Vec<SpecialFile>,
    /// SHA-256 of packages.lock.
    pub lock_sha256: String,
    /// Commit of the checkout, with `-dirty` for an unclean tree.
    pub commit: String,
    /// Compiler and linker.
    pub toolchain: BTreeMap<String, String>,
    /// Time of the lock, seconds since 1970: the time of every file in the image.
    pub build_time: u64,
    /// Whether the trusted keys are the committed development pair.
    pub insecure_keys: bool,
    /// Partitions of the raw image.
    pub partitions: Vec<Partition>,
    /// Bytes of `/usr` before compression, by package; ours under the name of the product.
    pub contents: BTreeMap<String, u64>,
}

/// One file of the build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Artifact {
    /// Name beside the manifest.
    pub file: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// One package of the image; the same rows are sealed in `/usr/lib/slipway/packages.json`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// Short names of the licences that its copyright file lists.
    pub licence: String,
}

/// One file whose owner or mode matters.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct SpecialFile {
    /// Below the root, with a leading slash.
    pub path: String,
    /// Octal permission bits.
    pub mode: String,
    /// Owner.
    pub owner: String,
    /// Group.
    pub group: String,
}

/// One partition of the raw image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Partition {
    /// GPT label.
    pub label: String,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
}
