//! Packs the initrd as segments, one per origin of its files, so that an update fetches what has changed.
//!
//! A segment is a cpio archive with a trailer of its own in one zstd frame, and zeros to the next multiple
//! of [`ALIGNMENT`]. `docs/formats/uki.md` has the layout, the kernel's Documentation/driver-api/
//! early-userspace/buffer-format.rst the grammar that allows it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::log::Cancel;
use crate::tree::{self, Content, Kind, Node, Tree};

pub mod unpack;

/// Where segments start: blocks of an update have this length and are counted from the section's start.
pub const ALIGNMENT: usize = 4096;
/// Time of every file, in seconds since 1970: the lock's time would change every segment whenever one
/// package does. Programs may take 0 for "none".
pub const MTIME: u32 = 1;
/// What is packed between two looks at the cancel flag.
const CHUNK: usize = 1 << 18;

/// Where a file of the initrd comes from, in the order of the segments.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Origin {
    /// All folders and links: first, because files need their folders.
    Frame,
    /// A package of the distribution.
    Package(String),
    /// Kernel modules and their index.
    Modules,
    /// Made by the build, from overlays, or of no package.
    Ours,
    /// One of our programs.
    Agent(String),
}

/// What tells origins apart.
#[derive(Debug)]
pub struct Origins<'a> {
    /// The assembled packages.
    pub rootfs: &'a Path,
    /// Path to package.
    pub owners: BTreeMap<String, String>,
    /// Folder of the kernel modules.
    pub modules: &'a Path,
    /// Name and file of our programs.
    pub agents: &'a BTreeMap<String, PathBuf>,
}

impl Origins<'_> {
    /// Decides by the place of the bytes, not by the path that they will have: an overlay that replaces a
    /// package's file is ours.
    pub fn of(&self, node: &Node) -> Origin {
        let disk = match &node.kind {
            Kind::Dir | Kind::Symlink(_) => return Origin::Frame,
            Kind::File(Content::Bytes(_)) => return Origin::Ours,
            Kind::File(Content::Disk(disk)) => disk,
        };
        if let Some((name, _)) = self.agents.iter().find(|(_, path)| *path == disk) {
            return Origin::Agent(name.clone());
        }
        if disk.starts_with(self.modules) {
            return Origin::Modules;
        }
        let installed = disk.strip_prefix(self.rootfs).ok().and_then(Path::to_str);
        match installed.and_then(|path| self.owners.get(path)) {
            Some(package) => Origin::Package(package.clone()),
            None => Origin::Ours,
        }
    }
}

/// Parts the tree by origin; fails when a file has no folder, which the kernel would pass over in silence.
pub fn split(tree: &Tree, origin: impl Fn(&Node) -> Origin) -> anyhow::Result<BTreeMap<Origin, Tree>> {
    let mut parts: BTreeMap<Origin, Tree> = BTreeMap::new();
    for (path, node) in &tree.0 {
        if let Some(above) = tree::parent(path) {
            let is_dir = tree.0.get(above).is_some_and(|node| matches!(node.kind, Kind::Dir));
            anyhow::ensure!(is_dir, "packing {path}: {above} is no folder of the initrd");
        }
        parts.entry(origin(node)).or_default().0.insert(path.clone(), node.clone());
    }
    Ok(parts)
}

/// Writes one segment per part.
pub fn write(
    parts: &BTreeMap<Origin, Tree>,
    level: i32,
    cancel: &Cancel,
    mut out: impl Write,
) -> anyhow::Result<()> {
    for (origin, tree) in parts {
        let packed = pack(tree, level, cancel).with_context(|| format!("packing segment {origin:?}"))?;
        out.write_all(&packed).with_context(|| format!("writing segment {origin:?}"))?;
    }
    Ok(())
}

fn pack(tree: &Tree, level: i32, cancel: &Cancel) -> anyhow::Result<Vec<u8>> {
    let mut archive = Vec::new();
    tree::cpio::write_cpio(tree, MTIME, cancel.stream(&mut archive))?;
    let mut packer = zstd::Encoder::new(Vec::new(), level).context("starting compression")?;
    // With its length known, a small segment gets a small window, for which the kernel then takes less memory.
    packer.set_pledged_src_size(Some(u64::try_from(archive.len())?)).context("starting compression")?;
    for chunk in archive.chunks(CHUNK) {
        cancel.check()?;
        packer.write_all(chunk)?;
    }
    let mut packed = packer.finish()?;
    packed.resize(packed.len().next_multiple_of(ALIGNMENT), 0);
    Ok(packed)
}

#[cfg(test)]
mod tests;
