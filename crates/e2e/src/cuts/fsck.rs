//! What `fsck.fat -n` says of an ESP, sorted into what a cut may leave and what it may not.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use vm::Sandbox;

/// Lines that mean nothing beside the ones that they follow.
const WORDS: [&str; 8] = [
    "fsck.fat ",
    "Automatically removing dirty bit.",
    "Auto-correcting.",
    "Leaving filesystem unchanged.",
    "This is mostly harmless.",
    "Not automatically fixing this.",
    "Using first FAT.",
    "/esp: ",
];

/// The remark about clusters that no name has.
pub const LOST: &str = "lost clusters";

/// What is allowed, by the start of its line, with the name under which it is counted.
const ALLOWED: [(&str, &str); 5] = [
    ("Dirty bit is set.", "dirty bit"),
    ("Reclaimed ", LOST),
    ("Free cluster summary ", "free count"),
    // Tables are written one after the other, and everybody reads the first.
    ("FATs differ but appear to be intact.", "second table behind"),
    // Followed by a line with the places, of which only some are allowed.
    ("There are differences between boot sector and its backup.", "boot sector"),
];
/// Bytes of the boot sector in which it may differ from its backup: dirty bit, serial number.
const BOOT_SECTOR: [&str; 5] = ["65", "67", "68", "69", "70"];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is allowed.
    pub remarks: Vec<&'static str>,
    /// The lines of everything else.
    pub wrong: Vec<String>,
}

impl Findings {
    /// Says what is wrong, in one line.
    pub fn failure(&self) -> Option<String> {
        (!self.wrong.is_empty()).then(|| format!("fsck.fat: {}", self.wrong.join(" / ")))
    }
}

/// Runs `fsck.fat -n` on the file.
pub fn run(sandbox: &Sandbox, file: &Path) -> anyhow::Result<Findings> {
    let mut command = sandbox.clone().without_network().ro_bind_at(file, "/esp").command("fsck.fat");
    let out = command.args(["-n", "/esp"]).stdin(Stdio::null()).output().context("starting fsck.fat")?;
    let said = String::from_utf8_lossy(&out.stdout);
    let error = String::from_utf8_lossy(&out.stderr);
    // 1: it would change something.
    let ran = matches!(out.status.code(), Some(0 | 1)) && said.starts_with("fsck.fat ");
    ensure!(ran, "fsck.fat ended with {}: {said}{error}", out.status);
    Ok(parse(&said))
}

fn parse(said: &str) -> Findings {
    let mut findings = Findings::default();
    for line in said.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // Some lines begin with the place, as in `0x41: Dirty bit is set.`
        let text =
            line.split_once(": ").filter(|(place, _)| place.starts_with("0x")).map_or(line, |two| two.1);
        if let Some(places) = differing_places(text) {
            let wrong = !places.iter().all(|place| BOOT_SECTOR.contains(place));
            findings.wrong.extend(wrong.then(|| line.to_owned()));
        } else if let Some((_, name)) = ALLOWED.iter().find(|(start, _)| text.starts_with(start)) {
            findings.remarks.push(name);
        } else if !WORDS.iter().any(|start| text.starts_with(start)) {
            findings.wrong.push(line.to_owned());
        }
    }
    findings
}

/// Reads `65:01/00, 67:f6/19`: the bytes at which boot sector and backup differ.
fn differing_places(text: &str) -> Option<Vec<&str>> {
    let place = |pair: &'_ str| -> bool {
        let is_hex = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        pair.split_once('/').is_some_and(|(one, two)| is_hex(one) && is_hex(two))
    };
    let pairs = text.split(", ").map(|pair| pair.split_once(':').filter(|(_, values)| place(values)));
    pairs.map(|pair| pair.map(|(place, _)| place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(said: &str, remarks: &[&str], wrong: &[&str]) {
        let found = parse(said);
        assert_eq!(found.remarks, remarks);
        assert_eq!(found.wrong, wrong);
    }

    #[test]
    fn a_dirty_bit_and_lost_clusters_are_allowed() {
        check(
            "fsck.fat 4.2 (2021-01-31)
There are differences between boot sector and its backup.
This is mostly harmless. Differences: (offset:original/backup)
  65:01/00
  Not automatically fixing this.
Dirty bit is set. Fs was not properly unmounted and some data may be corrupt.
 Automatically removing dirty bit.
FATs differ but appear to be intact.
  Using first FAT.
Reclaimed 12104 unused clusters (49577984 bytes).
Free cluster summary wrong (106525 vs. really 118629)
  Auto-correcting.

Leaving filesystem unchanged.
/esp: 11 files, 12178/130812 clusters
",
            &["boot sector", "dirty bit", "second table behind", "lost clusters", "free count"],
            &[],
        );
    }

    #[test]
    fn anything_else_is_wrong() {
        check("  3:01/00, 65:01/00\n", &[], &["3:01/00, 65:01/00"]);
        check(
            "/EFI/Linux/a.efi and\n/EFI/Linux/b.efi\n  share clusters.\n  Truncating second to 0 bytes.\n",
            &[],
            &["/EFI/Linux/a.efi and", "/EFI/Linux/b.efi", "share clusters.", "Truncating second to 0 bytes."],
        );
    }
}
