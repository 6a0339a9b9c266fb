//! What systemd-boot does with entries: its order, its choice, and the counting of a try. A model for decisions
//! and tests; the loader itself decides on the machine.

use std::cmp::Ordering;

use crate::entry::EntryName;
use crate::uapi;

/// Compares two entries of one product as the loader's menu sorts them: first comes what is booted first.
///
/// Entries without tries last; then newer versions first; then, for two names of one version, the order of the
/// names.
pub fn boot_order(a: &EntryName, b: &EntryName) -> Ordering {
    a.is_exhausted()
        .cmp(&b.is_exhausted())
        .then_with(|| b.version.cmp(&a.version))
        .then_with(|| uapi::compare(&b.to_string(), &a.to_string()))
}

/// Returns the position of the entry that is booted, or `None` without entries. With nothing else, an entry
/// without tries left is booted as well.
pub fn boot_choice(entries: &[EntryName]) -> Option<usize> {
    let best = entries.iter().enumerate().min_by(|(_, a), (_, b)| boot_order(a, b));
    best.map(|(idx, _)| idx)
}

/// Does what one start of the machine does: chooses, renames the chosen entry, and returns its position.
pub fn boot_once(entries: &mut [EntryName]) -> Option<usize> {
    let idx = boot_choice(entries)?;
    entries[idx] = entries[idx].after_try();
    Some(idx)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Vec<EntryName> {
        names.iter().map(|name| EntryName::parse("slipway", name).unwrap()).collect()
    }

    #[track_caller]
    fn check_choice(names: &[&str], expected: &str) {
        let entries = entries(names);
        assert_eq!(entries[boot_choice(&entries).unwrap()].to_string(), expected);
    }

    #[test]
    fn the_newest_with_tries_left_is_booted() {
        check_choice(&["slipway_0.9.0.efi", "slipway_0.10.0+3.efi"], "slipway_0.10.0+3.efi");
        check_choice(&["slipway_0.10.0~rc.1+1-2.efi", "slipway_0.10.0.efi"], "slipway_0.10.0.efi");
        check_choice(&["slipway_0.10.0+0-3.efi", "slipway_0.9.0.efi"], "slipway_0.9.0.efi");
        check_choice(&["slipway_0.10.0+0-3.efi"], "slipway_0.10.0+0-3.efi");
        check_choice(&["slipway_0.9.0+0-3.efi", "slipway_0.10.0+0-3.efi"], "slipway_0.10.0+0-3.efi");
        assert_eq!(boot_choice(&[]), None);
    }

    #[test]
    fn a_bad_version_is_tried_three_times_and_then_never_again() {
        let mut disk = entries(&["slipway_0.1.0.efi", "slipway_0.2.0+3.efi"]);
        let booted: Vec<_> = std::iter::repeat_with(|| boot_once(&mut disk).unwrap()).take(6).collect();
        assert_eq!(booted, [1, 1, 1, 0, 0, 0]);
        assert_eq!(disk, entries(&["slipway_0.1.0.efi", "slipway_0.2.0+0-3.efi"]));
    }

    #[test]
    fn a_rolled_back_version_is_not_booted() {
        let mut disk = entries(&["slipway_0.1.0.efi", "slipway_0.2.0.efi"]);
        assert_eq!(boot_choice(&disk), Some(1));
        disk[1] = disk[1].without_tries();
        assert_eq!(boot_choice(&disk), Some(0));
    }
}
