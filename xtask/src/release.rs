//! What the folder of a release holds; `docs/formats/release.md` describes every file.

use std::path::Path;

use anyhow::Context as _;

use crate::disk_format::DiskFormat;
use crate::hash;
use crate::manifest::Manifest;
use crate::stage::netboot;

pub mod notes;
pub mod provenance;
pub mod sources;
pub mod sums;

/// For people: what is new.
pub const NOTES: &str = "RELEASE-NOTES.md";
/// Folder of the public keys.
pub const KEYS_DIR: &str = "keys";
/// Folder of the locked packages, each by the name `<SHA-256>.deb`.
pub const PACKAGES_DIR: &str = "packages";
/// Folder that any static web server serves to machines.
pub const UPDATE_DIR: &str = "update";
/// The locks of the build, as in `image/`.
pub const LOCKS: [&str; 2] = ["packages.lock", "tools.lock"];
/// The files of the source packages that everything in `packages/` was built from.
pub const SOURCES_LOCK: &str = "sources.lock";
/// Folder of those files, where they are wanted.
pub const SOURCES_DIR: &str = "sources";
/// End of the build manifest's name.
const MANIFEST_END: &str = ".manifest.json";

/// Names of the files that have product and version in them.
#[derive(Clone, Debug)]
pub struct Names {
    stem: String,
}

impl Names {
    /// Names of one version's files.
    pub fn new(product: &str, version: &str) -> Self {
        Self { stem: format!("{product}_{version}") }
    }

    /// Names of the files of the build with this manifest.
    pub fn of(manifest: &Manifest) -> Self {
        Self::new(&manifest.product, &manifest.version)
    }

    /// Product and version.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// The raw image, packed.
    pub fn raw(&self) -> String {
        format!("{}.raw.zst", self.stem)
    }

    /// The image in another format.
    pub fn disk(&self, format: DiskFormat) -> String {
        format!("{}.{}", self.stem, format.suffix())
    }

    /// Kernel, initrd and script for a start from the network.
    pub fn netboot(&self) -> [String; 3] {
        netboot::ENDS.map(|end| format!("{}.{end}", self.stem))
    }

    /// The build manifest.
    pub fn manifest(&self) -> String {
        format!("{}{MANIFEST_END}", self.stem)
    }

    /// The bill of materials.
    pub fn sbom(&self) -> String {
        format!("{}.cdx.json", self.stem)
    }

    /// What it was made from, by hash.
    pub fn provenance(&self) -> String {
        format!("{}.provenance.json", self.stem)
    }

    /// What it consists of, as a page.
    pub fn report(&self) -> String {
        format!("{}.report.html", self.stem)
    }

    /// The update payload.
    pub fn payload(&self) -> String {
        format!("{UPDATE_DIR}/payloads/{}.payload", self.stem)
    }
}

/// Name of the channel's file.
pub fn channel_file(channel: &str) -> String {
    format!("{UPDATE_DIR}/channels/{channel}.channel")
}

/// Reads the one build manifest of a release's folder.
pub fn manifest(dir: &Path) -> anyhow::Result<Manifest> {
    let names: Vec<_> =
        hash::sorted_dir(dir)?.into_iter().filter(|(name, _)| name.ends_with(MANIFEST_END)).collect();
    let [(_, path)] = names.as_slice() else {
        anyhow::bail!(
            "{} holds {} files *{MANIFEST_END}: a release has exactly one",
            dir.display(),
            names.len()
        );
    };
    read_manifest(path)
}

/// Reads a build manifest.
pub fn read_manifest(path: &Path) -> anyhow::Result<Manifest> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
}
