//! An image that was built: what its manifest says that the scenarios need.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use disk_image::{SlotIdentity, Uuid};
use serde::Deserialize;
use slots::{EntryName, SlotLabel, Version, part_uuids};

/// One build's outputs.
#[derive(Debug, Clone)]
pub struct Image {
    /// Name of the product.
    pub product: String,
    /// Version, as on the machine.
    pub version: Version,
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
    /// The update payload.
    pub payload: PathBuf,
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
        let payload = file("payload");
        for path in [&raw, &uki, &usr, &verity, &payload] {
            anyhow::ensure!(
                path.exists(),
                "{} is missing beside its manifest: build the image anew",
                path.display()
            );
        }
        let version = version.parse().with_context(|| format!("parsing {}", manifest.display()))?;
        Ok(Self { product, version, root_hash, raw, uki, usr, verity, payload })
    }

    /// Returns labels and UUIDs of the slot that holds it.
    pub fn identity(&self) -> anyhow::Result<SlotIdentity> {
        let hash =
            root_hash(&self.root_hash).with_context(|| format!("parsing root hash `{}`", self.root_hash))?;
        let (usr, verity) = part_uuids(&hash);
        Ok(SlotIdentity {
            usr_label: SlotLabel::Usr(self.version.clone()).to_string(),
            verity_label: SlotLabel::Verity(self.version.clone()).to_string(),
            usr_uuid: Uuid::from_bytes(usr.0),
            verity_uuid: Uuid::from_bytes(verity.0),
        })
    }

    /// Returns the name of its entry without tries to count.
    pub fn blessed_entry(&self) -> String {
        EntryName::blessed(&self.product, self.version.clone()).to_string()
    }

    /// Returns the name of its entry with `left` tries.
    pub fn counted_entry(&self, left: u32) -> String {
        EntryName::counted(&self.product, self.version.clone(), left).to_string()
    }
}

/// Reads a root hash; none where the text is no 64 hexadecimal digits.
pub fn root_hash(hex: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        // What is no hexadecimal number has no value.
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    (hex.len() == 64).then_some(hash)
}
