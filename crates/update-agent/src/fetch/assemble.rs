//! Putting a file together from blocks: what lies at its own place already, what another file has, and what only
//! a server has. Every block is hashed before it is kept.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use anyhow::Context;
use disk_image::Device;
use payload::plan::{Plan, Wanted, join};
use payload::{BlockList, Digest, Extent};
use verity::{BlockHasher, VerifiedTree};

use super::{check_padding, to_u64, to_usize};
use crate::source::Source;
use crate::status::Reporter;

/// Bytes read at once.
const CHUNK: usize = 1 << 20;
/// What was written is synced this often, so that a kill loses little and the memory limit meets few dirty pages.
const SYNC_BYTES: u64 = 32 << 20;

/// The blocks of a file: without gaps, in order, each with a hash that was verified.
pub trait Blocks {
    /// Returns the name of the section, for messages.
    fn section(&self) -> &'static str;
    /// Returns the number of blocks.
    fn count(&self) -> usize;
    /// Returns where a block begins, and its length.
    fn place(&self, idx: usize) -> (u64, usize);
    /// Returns the block that begins at `offset`, if one does.
    fn begins_at(&self, offset: u64) -> Option<usize>;
    /// Returns the hash that a block must have.
    fn expected(&self, idx: usize) -> Digest;
    /// Returns the hash that bytes have.
    fn hash(&self, bytes: &[u8]) -> Digest;
}

/// The blocks of `/usr`.
#[derive(Debug)]
pub struct UsrBlocks<'a> {
    tree: &'a VerifiedTree,
    hasher: BlockHasher,
    count: usize,
}

impl<'a> UsrBlocks<'a> {
    /// Returns the blocks that `tree` is over.
    pub fn new(tree: &'a VerifiedTree, hasher: BlockHasher) -> anyhow::Result<Self> {
        Ok(Self { tree, hasher, count: to_usize(tree.n_data_blocks())? })
    }
}

impl Blocks for UsrBlocks<'_> {
    fn section(&self) -> &'static str {
        "usr"
    }

    fn count(&self) -> usize {
        self.count
    }

    fn place(&self, idx: usize) -> (u64, usize) {
        (to_u64(idx) * payload::ALIGNMENT, verity::BLOCK_SIZE)
    }

    fn begins_at(&self, offset: u64) -> Option<usize> {
        let idx = usize::try_from(offset / payload::ALIGNMENT).ok()?;
        (offset.is_multiple_of(payload::ALIGNMENT) && idx < self.count).then_some(idx)
    }

    fn expected(&self, idx: usize) -> Digest {
        Digest(self.tree.leaf(to_u64(idx)))
    }

    fn hash(&self, bytes: &[u8]) -> Digest {
        Digest(self.hasher.hash(bytes))
    }
}

/// The blocks of a section that has a block list.
#[derive(Debug)]
pub struct ListedBlocks<'a> {
    /// Name of the section.
    pub section: &'static str,
    /// Its list.
    pub list: &'a BlockList,
}

impl Blocks for ListedBlocks<'_> {
    fn section(&self) -> &'static str {
        self.section
    }

    fn count(&self) -> usize {
        self.list.blocks().len()
    }

    fn place(&self, idx: usize) -> (u64, usize) {
        let block = &self.list.blocks()[idx];
        (block.offset, block.len)
    }

    fn begins_at(&self, offset: u64) -> Option<usize> {
        self.list.blocks().binary_search_by_key(&offset, |block| block.offset).ok()
    }

    fn expected(&self, idx: usize) -> Digest {
        self.list.blocks()[idx].hash
    }

    fn hash(&self, bytes: &[u8]) -> Digest {
        Digest::of(bytes)
    }
}

/// A file that is being put together at the start of `target`.
pub struct Assembly<'a, B, T> {
    blocks: &'a B,
    target: T,
    done: Vec<bool>,
    unsynced: u64,
}

impl<B: Blocks, T> std::fmt::Debug for Assembly<'_, B, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n_done = self.done.iter().filter(|done| **done).count();
        write!(f, "Assembly({n_done} of {} blocks of {})", self.done.len(), self.blocks.section())
    }
}

impl<'a, B: Blocks, T: Device> Assembly<'a, B, T> {
    /// Starts with no block known to be there. `target` has to be as long as the file.
    pub fn new(blocks: &'a B, target: T) -> Self {
        Self { blocks, target, done: vec![false; blocks.count()], unsynced: 0 }
    }

    /// Looks for each block at its own place: what an interrupted run, or the slot's former version, left there.
    pub fn take_own(&mut self, reporter: &mut Reporter<'_>) -> anyhow::Result<()> {
        self.target.seek(SeekFrom::Start(0)).context("reading the target")?;
        let mut reader = BufReader::with_capacity(CHUNK, &mut self.target);
        let mut block = Vec::new();
        for idx in 0..self.blocks.count() {
            let (_, len) = self.blocks.place(idx);
            block.resize(len, 0);
            reader.read_exact(&mut block).context("reading the target")?;
            if self.blocks.hash(&block) == self.blocks.expected(idx) {
                self.done[idx] = true;
                reporter.reused(to_u64(len))?;
            }
        }
        Ok(())
    }

    /// Copies what `old` has, where `places` says that it lies. A block that is something else is left missing.
    pub fn take_old(
        &mut self,
        mut old: impl Read + Seek,
        places: &HashMap<Digest, u64>,
        reporter: &mut Reporter<'_>,
    ) -> anyhow::Result<()> {
        let blocks = self.blocks;
        let wanted = (0..blocks.count()).filter(|idx| !self.done[*idx]).map(|idx| {
            let (offset, len) = blocks.place(idx);
            Wanted { offset, len: to_u64(len), hash: blocks.expected(idx) }
        });
        let plan = Plan::new(wanted, places);
        let mut block = Vec::new();
        for copy in plan.copies {
            old.seek(SeekFrom::Start(copy.from)).context("reading what the machine has")?;
            let mut reader = BufReader::with_capacity(CHUNK, (&mut old).take(copy.len));
            let mut at = copy.to;
            while at < copy.to + copy.len {
                let idx = blocks.begins_at(at).context("a copy begins within a block")?;
                let (_, len) = blocks.place(idx);
                block.resize(len, 0);
                reader.read_exact(&mut block).context("reading what the machine has")?;
                // Where it lies was said by nobody who vouches for it.
                if blocks.hash(&block) == blocks.expected(idx) {
                    self.put(idx, &block)?;
                    reporter.reused(to_u64(len))?;
                }
                at += to_u64(len);
            }
        }
        Ok(())
    }

    /// Asks `source` for what is missing, and for `padding` behind the section, which has to be zero.
    pub fn take_remote(
        &mut self,
        source: &mut dyn Source,
        ask: &Ask,
        reporter: &mut Reporter<'_>,
        traffic: &dyn Fn() -> (u64, u64),
    ) -> anyhow::Result<()> {
        let mut ranges = join(&self.missing(ask.section.offset), ask.gap, ask.requests);
        if ask.padding.len != 0 {
            match ranges.last_mut() {
                Some(last) if last.end() == ask.padding.offset => last.len += ask.padding.len,
                Some(_) | None => ranges.push(ask.padding),
            }
        }
        let place = source.place();
        let (mut idx, mut pending) = (0, Vec::new());
        source.read_ranges(&ranges, &mut |mut at, mut bytes| {
            let (fetched, requests) = traffic();
            reporter.traffic(fetched, requests);
            while !bytes.is_empty() {
                if ask.section.end() <= at {
                    return check_padding(bytes, at);
                }
                if pending.is_empty() {
                    let begins = self.blocks.begins_at(at - ask.section.offset);
                    idx = begins.context("a range begins within a block")?;
                }
                let (_, len) = self.blocks.place(idx);
                let n = bytes.len().min(len - pending.len());
                pending.extend_from_slice(&bytes[..n]);
                (at, bytes) = (at + to_u64(n), &bytes[n..]);
                if pending.len() < len {
                    break;
                }
                // Between joined ranges there are blocks that the machine had.
                if !self.done[idx] {
                    self.check(idx, &pending).with_context(|| format!("getting it from {place}"))?;
                    self.put(idx, &pending)?;
                    reporter.checked(to_u64(len))?;
                }
                pending.clear();
            }
            Ok(())
        })?;
        let (fetched, requests) = traffic();
        reporter.traffic(fetched, requests);
        anyhow::ensure!(self.done.iter().all(|done| *done), "the source gave less than it was asked for");
        Ok(())
    }

    /// Makes what was written durable, and gives the target back.
    pub fn finish(mut self) -> anyhow::Result<T> {
        self.target.sync().context("syncing what was written")?;
        Ok(self.target)
    }

    /// Returns what is missing, as ranges of the payload in which the section begins at `base`.
    fn missing(&self, base: u64) -> Vec<Extent> {
        let mut missing: Vec<Extent> = Vec::new();
        for idx in (0..self.blocks.count()).filter(|idx| !self.done[*idx]) {
            let (offset, len) = self.blocks.place(idx);
            match missing.last_mut() {
                Some(last) if last.end() == base + offset => last.len += to_u64(len),
                Some(_) | None => missing.push(Extent { offset: base + offset, len: to_u64(len) }),
            }
        }
        missing
    }

    fn check(&self, idx: usize, bytes: &[u8]) -> anyhow::Result<()> {
        let (expected, found) = (self.blocks.expected(idx), self.blocks.hash(bytes));
        let section = self.blocks.section();
        anyhow::ensure!(
            found == expected,
            "block {idx} of `{section}`: expected hash {expected}, found {found}"
        );
        Ok(())
    }

    fn put(&mut self, idx: usize, bytes: &[u8]) -> anyhow::Result<()> {
        let (offset, len) = self.blocks.place(idx);
        let mut write = || -> std::io::Result<()> {
            self.target.seek(SeekFrom::Start(offset))?;
            self.target.write_all(bytes)?;
            self.unsynced += to_u64(len);
            if SYNC_BYTES <= self.unsynced {
                self.unsynced = 0;
                self.target.sync()?;
            }
            Ok(())
        };
        write().with_context(|| format!("writing block {idx} of `{}`", self.blocks.section()))?;
        self.done[idx] = true;
        Ok(())
    }
}

/// What to ask a source for.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// Place of the section in the payload.
    pub section: Extent,
    /// Padding behind it that is to be checked with it; may be empty.
    pub padding: Extent,
    /// Gaps that cost less than a request.
    pub gap: u64,
    /// Most requests.
    pub requests: usize,
}
