//! Slots, their partition labels, and their partition UUIDs.

use std::fmt;

use crate::version::{ParseVersionError, Version};

/// One of the two places for a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The first usr partition of the disk and the first verity partition.
    A,
    /// The second of each.
    B,
}

impl Slot {
    /// Both slots in the order of the disk.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// Returns the other slot.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Returns the position in [`Slot::ALL`].
    pub fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// The label of a slot's partition; `Display` gives the text on disk, at most 36 UTF-16 units.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SlotLabel {
    /// `_empty`: both partitions of a slot that holds nothing.
    Empty,
    /// `usr_<version>`.
    Usr(Version),
    /// `usr_<version>_verity`.
    Verity(Version),
}

impl SlotLabel {
    /// Reads a label. A text that is none of a slot is an error like a version that is none.
    pub fn parse(text: &str) -> Result<Self, ParseVersionError> {
        if text == "_empty" {
            return Ok(Self::Empty);
        }
        let version =
            text.strip_prefix("usr_").ok_or_else(|| ParseVersionError::Form { text: text.to_owned() })?;
        match version.strip_suffix("_verity") {
            Some(version) => version.parse().map(Self::Verity),
            None => version.parse().map(Self::Usr),
        }
    }
}

impl fmt::Display for SlotLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("_empty"),
            Self::Usr(version) => write!(f, "usr_{version}"),
            Self::Verity(version) => write!(f, "usr_{version}_verity"),
        }
    }
}

/// A partition UUID, its bytes in the order of its text; `Display` gives the text in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartUuid(pub [u8; 16]);

impl fmt::Display for PartUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let hyphen = if [4, 6, 8, 10].contains(&i) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Returns the UUIDs of a slot's usr and verity partition: the halves of its root hash, digit by digit
/// (systemd-gpt-auto-generator(8), `usrhash=`).
pub fn part_uuids(root_hash: &[u8; 32]) -> (PartUuid, PartUuid) {
    let half = |start: usize| PartUuid(std::array::from_fn(|i| root_hash[start + i]));
    (half(0), half(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_round_trip_and_fit_an_entry_of_the_table() {
        for text in ["_empty", "usr_0.1.0", "usr_0.1.0_verity", "usr_1.2.3~abcdefghijk.10_verity"] {
            assert_eq!(SlotLabel::parse(text).unwrap().to_string(), text);
            assert!(text.encode_utf16().count() <= 36);
        }
    }

    #[test]
    fn rejects_foreign_labels() {
        for text in ["", "usr", "usr_", "usr_1.0", "root", "_Empty", "usr_0.1.0_verity_verity", "esp"] {
            assert!(SlotLabel::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn uuids_are_the_halves_of_the_root_hash_digit_by_digit() {
        let root_hash: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap() * 8);
        let (usr, verity) = part_uuids(&root_hash);
        assert_eq!(usr.to_string(), "00081018-2028-3038-4048-505860687078");
        assert_eq!(verity.to_string(), "80889098-a0a8-b0b8-c0c8-d0d8e0e8f0f8");
    }

    #[test]
    fn each_slot_has_the_other() {
        for slot in Slot::ALL {
            assert_eq!(slot.other().other(), slot);
            assert_eq!(Slot::ALL[slot.index()], slot);
        }
        assert_eq!(Slot::A.other().to_string(), "B");
    }
}
