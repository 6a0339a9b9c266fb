//! The folder of a payload that is being fetched: everything but `/usr`, each file whole and verified.
//!
//! | file | content |
//! | --- | --- |
//! | `uki_blocks`, `loader`, `tree_blocks` | the sections, written when they are verified |
//! | `uki.partial`, `tree.partial` | blocks of UKI and hash tree at their places |
//! | `uki`, `tree` | the sections, whole |
//!
//! What is there already is checked again before it is used: the folder records nothing that would have to be true.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use agent_support::host::{Host, sorted_names};
use agent_support::{durable, esp};
use anyhow::Context;
use payload::{Block, BlockList, Digest, Extent};
use sha2::{Digest as _, Sha256};
use verity::{RootHash, Salt, VerifiedTree};

use super::assemble::{Ask, Assembly, ListedBlocks};
use super::{Head, check_padding, check_sha256, read_part, to_u64, to_usize};
use crate::disk::Disk;
use crate::files;
use crate::source::{Limits, Source, Traffic};
use crate::status::Reporter;

/// Gaps between ranges of a hash tree that cost less than a request: its hashes change in many places.
const TREE_GAP: u64 = 4 << 10;

/// A section that is being put together.
type Assembled<'a> = Assembly<'a, ListedBlocks<'a>, File>;

/// What the writer needs beside `/usr`.
#[derive(Debug)]
pub struct Spooled {
    /// File with the UKI.
    pub uki: PathBuf,
    /// File with the boot loader, unless the machine has the same.
    pub loader: Option<PathBuf>,
    /// The hash tree.
    pub tree: VerifiedTree,
}

/// What spooling goes by.
#[derive(Debug)]
pub struct Spooling<'a> {
    /// The machine.
    pub host: &'a Host,
    /// Patience and sizes of requests.
    pub limits: &'a Limits,
    /// What the network took.
    pub traffic: &'a Traffic,
    /// The entry that runs, below the mount point of the ESP.
    pub running_entry: &'a str,
    /// Whether the ESP has the payload's boot loader.
    pub has_loader: bool,
    /// The disk with the slot that runs, whose hash tree has most of the new one.
    pub disk: &'a Disk,
}

/// Fetches what is not there yet.
pub fn spool(
    spooling: &Spooling<'_>,
    head: &Head,
    source: &mut dyn Source,
    reporter: &mut Reporter<'_>,
) -> anyhow::Result<Spooled> {
    let dir = spooling.host.path(files::DOWNLOAD_DIR).join(head.digest.to_string());
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let layout = &head.manifest.layout;
    let parts = Parts { spooling, dir: &dir };
    let gap = |from: Extent, to: Extent| Extent { offset: from.end(), len: to.offset - from.end() };

    let blocks = parts.section(
        source,
        "uki_blocks",
        layout.uki_blocks,
        &[gap(layout.uki_blocks, layout.uki)],
        &|bytes| check_sha256("uki_blocks", bytes, head.manifest.uki_blocks_sha256),
        reporter,
    )?;
    let blocks = BlockList::parse(&blocks, layout.uki.len).context("reading the block list of the UKI")?;
    let uki = parts.uki(source, head, &blocks, gap(layout.uki, layout.loader), reporter)?;
    let loader = if spooling.has_loader {
        reporter.reused(layout.loader.len)?;
        None
    } else {
        let check = |bytes: &[u8]| check_sha256("loader", bytes, head.manifest.loader_sha256);
        parts.section(source, "loader", layout.loader, &[], &check, reporter)?;
        Some(dir.join("loader"))
    };
    let list = parts.section(
        source,
        "tree_blocks",
        layout.tree_blocks,
        &[gap(layout.loader, layout.tree_blocks), gap(layout.tree_blocks, layout.tree)],
        &|bytes| check_sha256("tree_blocks", bytes, head.manifest.tree_blocks_sha256),
        reporter,
    )?;
    let tree = match layout.tree.len {
        // The root hash of an image of one block is that block's.
        0 => verified_tree(vec![], head)?,
        len => {
            let blocks = BlockList::parse(&list, len).context("reading the block list of the hash tree")?;
            parts.tree(source, head, &blocks, reporter)?
        }
    };
    Ok(Spooled { uki, loader, tree })
}

/// Removes the folders of all payloads but `keep`. Returns whether there were any.
pub fn clear(host: &Host, keep: Option<Digest>) -> anyhow::Result<bool> {
    let base = host.path(files::DOWNLOAD_DIR);
    let keep = keep.map(|digest| digest.to_string());
    let mut found = false;
    for name in sorted_names(&base)?.into_iter().filter(|name| Some(name) != keep.as_ref()) {
        let path = base.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("removing {}", path.display()))?;
        found = true;
    }
    Ok(found)
}

/// Returns the SHA-256 of a file, read piece by piece.
pub fn sha256_of(mut file: impl Read) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest(hasher.finalize().into())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

struct Parts<'a> {
    spooling: &'a Spooling<'a>,
    dir: &'a Path,
}

impl Parts<'_> {
    /// Returns a section that fits memory: from the spool if it checks, else from the source, with its padding:
    /// ranges that touch it in front or behind.
    fn section(
        &self,
        source: &mut dyn Source,
        name: &str,
        section: Extent,
        padding: &[Extent],
        check: &dyn Fn(&[u8]) -> anyhow::Result<()>,
        reporter: &mut Reporter<'_>,
    ) -> anyhow::Result<Vec<u8>> {
        let path = self.dir.join(name);
        let len = to_usize(section.len)?;
        if let Ok(bytes) = fs::read(&path)
            && bytes.len() == len
            && check(&bytes).is_ok()
        {
            reporter.reused(section.len)?;
            return Ok(bytes);
        }
        let start = padding.iter().map(|extent| extent.offset).fold(section.offset, u64::min);
        let end = padding.iter().map(|extent| extent.end()).fold(section.end(), u64::max);
        let mut bytes = Vec::with_capacity(to_usize(end - start)?);
        read_part(source, Extent { offset: start, len: end - start }, &mut bytes)?;
        let before = to_usize(section.offset - start)?;
        check_padding(&bytes[..before], start)?;
        check_padding(&bytes[before + len..], section.end())?;
        bytes.truncate(before + len);
        bytes.drain(..before);
        check(&bytes)?;
        durable::write(&path, &bytes)?;
        reporter.checked(section.len)?;
        Ok(bytes)
    }

    /// Puts the UKI together and returns its path.
    fn uki(
        &self,
        source: &mut dyn Source,
        head: &Head,
        blocks: &BlockList,
        padding: Extent,
        reporter: &mut Reporter<'_>,
    ) -> anyhow::Result<PathBuf> {
        let limits = self.spooling.limits;
        let ask = Ask {
            section: head.manifest.layout.uki,
            padding,
            gap: limits.gap,
            requests: limits.uki_requests,
        };
        let expected = head.manifest.uki_sha256;
        let check = |file: File| {
            let found = sha256_of(file)?;
            anyhow::ensure!(found == expected, "section `uki`: expected SHA-256 {expected}, found {found}");
            Ok(())
        };
        let take_old = |assembly: &mut Assembled<'_>, reporter: &mut Reporter<'_>| {
            esp::read(self.spooling.host, |esp| {
                let old = esp.join(self.spooling.running_entry);
                match places_of(&old) {
                    Ok(places) => assembly.take_old(File::open(&old)?, &places, reporter),
                    // It started, but it need not be a file that our parser takes: then everything is fetched.
                    Err(err) => {
                        reporter.say(&format!("fetching the whole UKI: {err:#}"));
                        Ok(())
                    }
                }
            })
            .context("copying from the entry that runs")
        };
        let blocks = ListedBlocks { section: "uki", list: blocks };
        self.assembled(source, &blocks, &ask, &take_old, &check, reporter)
    }

    /// Puts the hash tree together from the one that runs and from the source.
    fn tree(
        &self,
        source: &mut dyn Source,
        head: &Head,
        blocks: &BlockList,
        reporter: &mut Reporter<'_>,
    ) -> anyhow::Result<VerifiedTree> {
        let layout = &head.manifest.layout;
        let ask = Ask {
            section: layout.tree,
            padding: Extent { offset: layout.tree.end(), len: layout.usr.offset - layout.tree.end() },
            gap: TREE_GAP,
            requests: self.spooling.limits.tree_requests,
        };
        let check = |mut file: File| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            verified_tree(bytes, head).map(drop)
        };
        let take_old = |assembly: &mut Assembled<'_>, reporter: &mut Reporter<'_>| match running_hashes(
            self.spooling.disk,
        ) {
            Ok((hashes, places)) => assembly.take_old(io::Cursor::new(hashes), &places, reporter),
            // The kernel verifies what runs; that we cannot read its tree only costs bytes.
            Err(err) => {
                reporter.say(&format!("fetching the whole hash tree: {err:#}"));
                Ok(())
            }
        };
        let blocks = ListedBlocks { section: "tree", list: blocks };
        let path = self.assembled(source, &blocks, &ask, &take_old, &check, reporter)?;
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        verified_tree(bytes, head)
    }

    /// Puts a section together from blocks that the machine has and blocks of the source, and returns its path.
    fn assembled(
        &self,
        source: &mut dyn Source,
        blocks: &ListedBlocks<'_>,
        ask: &Ask,
        take_old: &dyn Fn(&mut Assembled<'_>, &mut Reporter<'_>) -> anyhow::Result<()>,
        check: &dyn Fn(File) -> anyhow::Result<()>,
        reporter: &mut Reporter<'_>,
    ) -> anyhow::Result<PathBuf> {
        let path = self.dir.join(blocks.section);
        let partial = path.with_extension("partial");
        if let Ok(file) = File::open(&path) {
            if check(file).is_ok() {
                reporter.reused(ask.section.len)?;
                return Ok(path);
            }
            durable::remove(&path)?;
        }
        let open = || -> io::Result<File> {
            let file =
                OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&partial)?;
            file.set_len(ask.section.len)?;
            Ok(file)
        };
        let file = open().with_context(|| format!("opening {}", partial.display()))?;
        let mut assembly = Assembly::new(blocks, file);
        assembly.take_own(reporter)?;
        take_old(&mut assembly, reporter)?;
        let traffic = self.spooling.traffic;
        assembly.take_remote(source, ask, reporter, &|| (traffic.bytes(), traffic.requests()))?;
        drop(assembly.finish()?);
        let file = File::open(&partial).with_context(|| format!("opening {}", partial.display()))?;
        if let Err(err) = check(file) {
            durable::remove(&partial)?;
            return Err(err);
        }
        durable::rename(&partial, &path)?;
        Ok(path)
    }
}

/// Checks a hash tree against the root hash.
fn verified_tree(bytes: Vec<u8>, head: &Head) -> anyhow::Result<VerifiedTree> {
    let (salt, root) = (Salt(head.manifest.salt.0), RootHash(head.manifest.root_hash.0));
    VerifiedTree::new(bytes, head.manifest.usr_blocks(), &salt, &root).context("checking the hash tree")
}

/// Returns the hashes of the running slot's blocks in a row, as its tree claims, and where their blocks lie in it.
fn running_hashes(disk: &Disk) -> anyhow::Result<(Vec<u8>, HashMap<Digest, u64>)> {
    let (usr, verity) = (disk.extent(disk.running.usr)?, disk.extent(disk.running.verity)?);
    let device = disk.read_partition(disk.running.verity, verity.len)?;
    let device = io::BufReader::with_capacity(64 << 10, device);
    let leaves = verity::read_leaves(device, usr.len / payload::ALIGNMENT)?;
    let hashes = leaves.digests.concat();
    let list = BlockList::of_hashes(&hashes)?;
    let places = list.blocks().iter().map(|Block { offset, hash, .. }| (*hash, *offset)).collect();
    Ok((hashes, places))
}

/// Returns where the blocks of a UKI lie that the machine has.
fn places_of(path: &Path) -> anyhow::Result<HashMap<Digest, u64>> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let len = file.metadata().with_context(|| format!("reading {}", path.display()))?.len();
    let mut head = Vec::new();
    (&mut file).take(to_u64(uki::HEAD_LEN)).read_to_end(&mut head).context("reading the entry that runs")?;
    let starts = uki::section_starts(&head, len).context("finding the sections of the entry that runs")?;
    let again = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let list = BlockList::read(io::BufReader::with_capacity(256 << 10, again), len, starts)
        .context("hashing the entry that runs")?;
    // Of equal blocks any will do.
    Ok(list.blocks().iter().map(|Block { offset, hash, .. }| (*hash, *offset)).collect())
}
