//! Which blocks of a new file the machine has already, and which byte ranges it has to ask a server for.
//!
//! Pure: the hashes of the new file come from its hash tree or block list, those of the old one from its own.

use std::collections::HashMap;

use crate::digest::Digest;
use crate::layout::Extent;

/// A block of the new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// First byte in the new file.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// Its hash.
    pub hash: Digest,
}

/// Bytes that are copied from an old file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// First byte in the old file.
    pub from: u64,
    /// First byte in the new file.
    pub to: u64,
    /// Length in bytes.
    pub len: u64,
}

/// What to do for a new file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the machine has, in the order of the new file.
    pub copies: Vec<Copy>,
    /// What it has not, in order; ranges do not touch.
    pub missing: Vec<Extent>,
}

impl Plan {
    /// Plans for `wanted`, in the order of the new file. `old` gives the place of each block in the old file.
    /// A block that occurs twice and is missing is missing twice.
    pub fn new(wanted: impl IntoIterator<Item = Wanted>, old: &HashMap<Digest, u64>) -> Self {
        let mut plan = Self::default();
        for Wanted { offset, len, hash } in wanted {
            match old.get(&hash) {
                Some(&from) => match plan.copies.last_mut() {
                    Some(last) if last.is_followed_by(from, offset) => last.len += len,
                    _ => plan.copies.push(Copy { from, to: offset, len }),
                },
                None => match plan.missing.last_mut() {
                    Some(last) if last.end() == offset => last.len += len,
                    _ => plan.missing.push(Extent { offset, len }),
                },
            }
        }
        plan
    }

    /// Returns how many bytes are copied.
    pub fn copied_len(&self) -> u64 {
        self.copies.iter().map(|copy| copy.len).sum()
    }

    /// Returns how many bytes are missing.
    pub fn missing_len(&self) -> u64 {
        self.missing.iter().map(|extent| extent.len).sum()
    }
}

impl Copy {
    fn is_followed_by(&self, from: u64, to: u64) -> bool {
        (self.from + self.len, self.to + self.len) == (from, to)
    }
}

/// Joins ranges so that few requests fetch them: over every gap of at most `gap_max` bytes, which costs less
/// than a request, and then over the smallest gaps until at most `count_max` ranges are left (at least one).
pub fn join(missing: &[Extent], gap_max: u64, count_max: usize) -> Vec<Extent> {
    let gap = |pair: &[Extent]| pair[1].offset.saturating_sub(pair[0].end());
    let mut gaps: Vec<u64> = missing.windows(2).map(gap).filter(|gap| gap_max < *gap).collect();
    gaps.sort_unstable_by(|a, b| b.cmp(a));
    // The largest gaps stay: one less than there may be ranges. Gaps as large as one that goes, go too.
    let limit = gaps.get(count_max.saturating_sub(1)).map_or(gap_max, |gap| *gap);
    let mut joined: Vec<Extent> = vec![];
    for extent in missing {
        match joined.last_mut() {
            Some(last) if extent.offset.saturating_sub(last.end()) <= limit => {
                last.len = extent.end() - last.offset;
            }
            _ => joined.push(*extent),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(n: u8) -> Digest {
        Digest([n; 32])
    }

    fn wanted(hashes: &[u8]) -> Vec<Wanted> {
        (0..).zip(hashes).map(|(idx, n)| Wanted { offset: idx * 4096, len: 4096, hash: hash(*n) }).collect()
    }

    fn extents(list: &[(u64, u64)]) -> Vec<Extent> {
        list.iter().map(|&(offset, len)| Extent { offset, len }).collect()
    }

    #[test]
    fn copies_what_is_there_wherever_it_lies() {
        let old = HashMap::from([(hash(1), 8192), (hash(2), 12288), (hash(3), 0)]);
        let plan = Plan::new(wanted(&[1, 2, 9, 9, 3, 1]), &old);
        let copies: Vec<_> = plan.copies.iter().map(|copy| (copy.from, copy.to, copy.len)).collect();
        assert_eq!(copies, [(8192, 0, 8192), (0, 16384, 4096), (8192, 20480, 4096)]);
        assert_eq!(plan.missing, extents(&[(8192, 8192)]));
        assert_eq!((plan.copied_len(), plan.missing_len()), (16384, 8192));
    }

    #[test]
    fn joins_small_gaps_first() {
        let missing = extents(&[(0, 10), (20, 10), (130, 10), (1140, 10), (1200, 10)]);
        assert_eq!(join(&missing, 0, 10), missing);
        assert_eq!(join(&missing, 10, 10), extents(&[(0, 30), (130, 10), (1140, 10), (1200, 10)]));
        assert_eq!(join(&missing, 0, 3), extents(&[(0, 30), (130, 10), (1140, 70)]));
        assert_eq!(join(&missing, 0, 2), extents(&[(0, 140), (1140, 70)]));
        assert_eq!(join(&missing, 0, 1), extents(&[(0, 1210)]));
        assert_eq!(join(&missing, 0, 0), extents(&[(0, 1210)]));
        assert_eq!(join(&[], 0, 5), []);
    }

    proptest! {
        #[test]
        fn every_block_is_copied_from_an_equal_one_or_missing(
            new in prop::collection::vec(0_u8..20, 0..100),
            old in prop::collection::vec(0_u8..20, 0..100),
        ) {
            let places: HashMap<_, _> = wanted(&old).iter().map(|block| (block.hash, block.offset)).collect();
            let plan = Plan::new(wanted(&new), &places);
            let mut made = vec![None; new.len()];
            for Copy { from, to, len } in plan.copies {
                for at in (0..len).step_by(4096) {
                    let block = |offset: u64| usize::try_from((offset + at) / 4096).unwrap();
                    prop_assert_eq!(made[block(to)].replace(old[block(from)]), None);
                }
            }
            for extent in plan.missing {
                for at in (extent.offset..extent.end()).step_by(4096) {
                    let block = usize::try_from(at / 4096).unwrap();
                    prop_assert!(!old.contains(&new[block]));
                    prop_assert_eq!(made[block].replace(new[block]), None);
                }
            }
            prop_assert_eq!(made, new.into_iter().map(Some).collect::<Vec<_>>());
        }

        #[test]
        fn joining_covers_everything_within_the_count(
            steps in prop::collection::vec((1_u64..100, 1_u64..100), 0..60),
            gap_max in 0_u64..50,
            count_max in 1_usize..20,
        ) {
            let mut at = 0;
            let missing: Vec<_> = steps.iter().map(|&(gap, len)| {
                let extent = Extent { offset: at + gap, len };
                at = extent.end();
                extent
            }).collect();
            let joined = join(&missing, gap_max, count_max);
            prop_assert!(joined.len() <= count_max);
            for extent in &missing {
                let inside = |range: &Extent| range.offset <= extent.offset && extent.end() <= range.end();
                prop_assert!(joined.iter().any(inside));
            }
            for pair in joined.windows(2) {
                prop_assert!(pair[0].end() < pair[1].offset);
            }
        }
    }
}
