//! Where each section of a payload lies. The lengths decide; there is one layout for them.
//!
//! Behind the envelope, each at the next multiple of [`ALIGNMENT`]: the UKI's block list, the UKI, the loader, the
//! hash tree's block list, the tree without superblock, the `/usr` image. What vouches for a section lies in front of
//! it, so a reader that gets the file from start to end can check every byte as it comes.

use crate::blocks::{BLOCKS_MAX, ROW_LEN, UKI_MAX};
use crate::envelope::ENVELOPE_MAX;

/// Sections start at multiples of this: the size of a block of `/usr`.
pub const ALIGNMENT: u64 = 4096;

/// A range of bytes of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

impl Extent {
    /// Returns the first byte behind it.
    pub fn end(self) -> u64 {
        self.offset + self.len
    }
}

/// Lengths of the sections in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionLens {
    /// Block list of the UKI.
    pub uki_blocks: u64,
    /// UKI.
    pub uki: u64,
    /// Boot loader.
    pub loader: u64,
    /// Block list of the hash tree; zero if that is.
    pub tree_blocks: u64,
    /// Hash tree without superblock; zero for an image of one block, whose hash is the root hash.
    pub tree: u64,
    /// `/usr` image.
    pub usr: u64,
}

/// Places of the sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Block list of the UKI.
    pub uki_blocks: Extent,
    /// UKI.
    pub uki: Extent,
    /// Boot loader.
    pub loader: Extent,
    /// Block list of the hash tree.
    pub tree_blocks: Extent,
    /// Hash tree without superblock.
    pub tree: Extent,
    /// `/usr` image.
    pub usr: Extent,
}

/// Why lengths have no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A section's length is out of its limits.
    #[error("section `{section}` has {found} bytes: expected {expected}")]
    Limit {
        /// Name of the section.
        section: &'static str,
        /// Its length.
        found: u64,
        /// What is accepted.
        expected: String,
    },
}

/// Most bytes of each section: far above what we make, far below what could hurt.
const LIMITS: SectionLens = SectionLens {
    uki_blocks: ROW_LEN * BLOCKS_MAX,
    uki: UKI_MAX,
    loader: 4 << 20,
    tree_blocks: ROW_LEN * BLOCKS_MAX,
    tree: 64 << 20,
    usr: 4 << 30,
};

impl SectionLens {
    /// Refuses lengths beyond their limits.
    pub fn check(&self) -> Result<(), LayoutError> {
        let rows = [
            ("uki_blocks", self.uki_blocks, ROW_LEN, LIMITS.uki_blocks, ROW_LEN),
            ("uki", self.uki, 1, LIMITS.uki, 1),
            ("loader", self.loader, 1, LIMITS.loader, 1),
            ("tree_blocks", self.tree_blocks, 0, LIMITS.tree_blocks, ROW_LEN),
            ("tree", self.tree, 0, LIMITS.tree, ALIGNMENT),
            ("usr", self.usr, ALIGNMENT, LIMITS.usr, ALIGNMENT),
        ];
        rows.into_iter()
            .try_for_each(|(section, found, min, max, step)| limit(section, found, min, max, step))
    }
}

impl Layout {
    /// Lays the sections out behind an envelope of `envelope_len` bytes.
    pub fn new(envelope_len: u64, lens: &SectionLens) -> Result<Self, LayoutError> {
        limit("envelope", envelope_len, 1, ENVELOPE_MAX, 1)?;
        lens.check()?;
        let mut at = envelope_len;
        let mut next = |len: u64| {
            let extent = Extent { offset: at.next_multiple_of(ALIGNMENT), len };
            at = extent.end();
            extent
        };
        Ok(Self {
            uki_blocks: next(lens.uki_blocks),
            uki: next(lens.uki),
            loader: next(lens.loader),
            tree_blocks: next(lens.tree_blocks),
            tree: next(lens.tree),
            usr: next(lens.usr),
        })
    }

    /// Returns the sections in the order of the file.
    pub fn sections(&self) -> [Extent; 6] {
        [self.uki_blocks, self.uki, self.loader, self.tree_blocks, self.tree, self.usr]
    }

    /// Returns the length of the whole payload.
    pub fn total(&self) -> u64 {
        self.usr.end()
    }

    /// Returns the ranges between envelope and sections, which are zero.
    pub fn padding(&self, envelope_len: u64) -> Vec<Extent> {
        let mut at = envelope_len;
        let mut padding = vec![];
        for section in self.sections() {
            padding.push(Extent { offset: at, len: section.offset.saturating_sub(at) });
            at = section.end();
        }
        padding.retain(|extent| extent.len != 0);
        padding
    }
}

fn limit(section: &'static str, found: u64, min: u64, max: u64, step: u64) -> Result<(), LayoutError> {
    if (min..=max).contains(&found) && found.is_multiple_of(step) {
        return Ok(());
    }
    let expected = match step {
        1 => format!("{min} to {max}"),
        _ => format!("{min} to {max}, a multiple of {step}"),
    };
    Err(LayoutError::Limit { section, found, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENS: SectionLens =
        SectionLens { uki_blocks: 72, uki: 5000, loader: 4096, tree_blocks: 36, tree: 4096, usr: 8192 };

    #[test]
    fn each_section_starts_at_the_next_multiple() {
        let layout = Layout::new(1000, &LENS).unwrap();
        let starts = layout.sections().map(|section| section.offset);
        assert_eq!(starts, [4096, 8192, 16384, 20480, 24576, 28672]);
        assert_eq!(layout.total(), 36864);
        let padding: Vec<_> = layout.padding(1000).iter().map(|extent| (extent.offset, extent.len)).collect();
        assert_eq!(padding, [(1000, 3096), (4168, 4024), (13192, 3192), (20516, 4060)]);
        assert_eq!(Layout::new(4097, &LENS).unwrap().uki_blocks.offset, 8192);
    }

    #[test]
    fn lengths_hold_their_limits() {
        let check = |change: fn(&mut SectionLens), section| {
            let mut lens = LENS;
            change(&mut lens);
            let LayoutError::Limit { section: found, .. } = lens.check().unwrap_err();
            assert_eq!(found, section);
        };
        check(|lens| lens.uki_blocks = 0, "uki_blocks");
        check(|lens| lens.uki_blocks = 73, "uki_blocks");
        check(|lens| lens.uki_blocks = LIMITS.uki_blocks + 36, "uki_blocks");
        check(|lens| lens.uki = 0, "uki");
        check(|lens| lens.uki = (256 << 20) + 1, "uki");
        check(|lens| lens.loader = u64::MAX, "loader");
        check(|lens| lens.tree_blocks = 35, "tree_blocks");
        check(|lens| lens.tree_blocks = LIMITS.tree_blocks + 36, "tree_blocks");
        check(|lens| lens.tree = 1, "tree");
        check(|lens| lens.tree = (64 << 20) + 4096, "tree");
        check(|lens| lens.usr = 0, "usr");
        check(|lens| lens.usr = (4 << 30) + 4096, "usr");
        LIMITS.check().unwrap();
        for len in [0, ENVELOPE_MAX + 1, u64::MAX] {
            let LayoutError::Limit { section, found, .. } = Layout::new(len, &LENS).unwrap_err();
            assert_eq!((section, found), ("envelope", len));
        }
    }

    #[test]
    fn the_longest_payload_is_within_its_limit() {
        let longest = Layout::new(ENVELOPE_MAX, &LIMITS).unwrap();
        assert!(longest.total() < crate::PAYLOAD_MAX);
    }
}
