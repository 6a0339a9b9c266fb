//! An image that was built: what its manifest says that the scenarios need.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use disk_image::{SlotIdentity, Uuid};
use serde::Deserialize;

/// One build's outputs.
#[derive(Debug, Clone)]
pub struct Image {
    /// Version, as on the machine.
    pub version: String,
    /// Root hash of `/usr`, hexadecimal.
    pub root_hash: String,
    /// The disk image.
    pub raw: PathBuf,
    /// The unified kernel image.
    pub uki: PathBuf,
    /// The file system of `/usr`.
    pub usr: PathBuf,
    /// Its hash tree with superblock.
    pub verity: PathBuf,
}

/// The fields of the build manifest that are used here.
#[derive(Debug, Deserialize)]
struct Manifest {
    product: String,
    version: String,
    root_hash: String,
}

impl Image {
    /// Reads the manifest that `dir/latest` leads to.
    pub fn latest(dir: &Path) -> anyhow::Result<Self> {
        let link = dir.join("latest");
        let remedy = || format!("finding the image behind {}: run `cargo xtask build-image`", link.display());
        let manifest = link.canonicalize().with_context(remedy)?;
        let dir = manifest.parent().context("the manifest has no folder")?;
        let text = std::fs::read(&manifest).with_context(|| format!("reading {}", manifest.display()))?;
        let Manifest { product, version, root_hash } =
            serde_json::from_slice(&text).with_context(|| format!("parsing {}", manifest.display()))?;
        let file = |end: &str| dir.join(format!("{product}_{version}.{end}"));
        let (raw, uki, usr, verity) = (file("raw"), file("efi"), file("usr.erofs"), file("usr.verity"));
        for path in [&raw, &uki, &usr, &verity] {
            anyhow::ensure!(
                path.exists(),
                "{} is missing beside its manifest: build the image anew",
                path.display()
            );
        }
        Ok(Self { version, root_hash, raw, uki, usr, verity })
    }

    /// Returns labels and UUIDs of the slot that holds it.
    pub fn identity(&self) -> anyhow::Result<SlotIdentity> {
        let hash =
            u256(&self.root_hash).with_context(|| format!("parsing root hash `{}`", self.root_hash))?;
        Ok(SlotIdentity {
            usr_label: format!("usr_{}", self.version),
            verity_label: format!("usr_{}_verity", self.version),
            usr_uuid: Uuid::from_u128(hash.0),
            verity_uuid: Uuid::from_u128(hash.1),
        })
    }
}

fn u256(hex: &str) -> Option<(u128, u128)> {
    let (high, low) = hex.split_at_checked(32)?;
    // What is no hexadecimal number has no value.
    Some((u128::from_str_radix(high, 16).ok()?, u128::from_str_radix(low, 16).ok()?))
}
