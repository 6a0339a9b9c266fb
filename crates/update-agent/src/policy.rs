//! Whether this machine may take a version: pure, on what the machine is and what the signed files say.

use payload::Manifest;
use slots::Version;

use crate::state::{GROUP_STAGE, State};

/// Bytes of the ESP that stay free: folders grow, and try records are written there.
const ESP_RESERVE: u64 = 1 << 20;

/// What the machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// Its product.
    pub product: String,
    /// The version that runs.
    pub running: Version,
    /// The root hash that runs.
    pub root_hash: [u8; 32],
    /// Size of the other slot's `/usr` partition in bytes.
    pub usr_size: u64,
    /// Size of its verity partition in bytes.
    pub verity_size: u64,
    /// Free bytes of the ESP once the other slot's entry is gone.
    pub esp_free: u64,
}

/// What an operator or a channel offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer<'a> {
    /// Its product.
    pub product: &'a str,
    /// Its version.
    pub version: &'a Version,
}

/// Why a version is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It runs already.
    #[error("version {version} runs already: nothing to do")]
    Running {
        /// The version.
        version: Version,
    },
    /// Its content runs already, under another version.
    #[error("version {version} has the root hash that runs already: nothing to do")]
    SameRoot {
        /// The version.
        version: Version,
    },
    /// Another product.
    #[error("product: expected `{expected}`, found `{found}`")]
    Product {
        /// Product of this machine.
        expected: String,
        /// Product on offer.
        found: String,
    },
    /// Older than what runs.
    #[error(
        "version: {found} is older than {running}, which runs; going back to the other slot is `slipway-update rollback`"
    )]
    Older {
        /// The version that runs.
        running: Version,
        /// The version on offer.
        found: Version,
    },
    /// A step in between is needed.
    #[error("min_from: it can be taken from {min_from} on, {running} runs; take a version in between first")]
    MinFrom {
        /// The lowest that may take it.
        min_from: Version,
        /// The version that runs.
        running: Version,
    },
    /// It failed before.
    #[error(
        "failed before: {version} reached stage {stage}{reason}; it is not taken again before a newer one appears, or \
         after `slipway-update unhold {version}`"
    )]
    Failed {
        /// The version.
        version: Version,
        /// The farthest stage of its last try.
        stage: String,
        /// What it said.
        reason: String,
    },
    /// It failed on another machine.
    #[error(
        "refused: {version} failed in this machine's group{reason}; it is not taken before a newer one appears, or after \
         `locksmithctl forgive {version}`"
    )]
    Refused {
        /// The version.
        version: Version,
        /// Where, and how.
        reason: String,
    },
    /// An operator does not want it.
    #[error("held: {version} is not wanted; `slipway-update unhold` lifts that")]
    Held {
        /// The version.
        version: Version,
    },
    /// It does not fit.
    #[error("{what}: {version} needs {found} bytes, this machine has {limit}")]
    TooLarge {
        /// What is too small.
        what: &'static str,
        /// The version.
        version: Version,
        /// Bytes there.
        limit: u64,
        /// Bytes needed.
        found: u64,
    },
}

impl Refusal {
    /// Returns whether there is simply nothing to do.
    pub fn is_nothing_to_do(&self) -> bool {
        matches!(self, Self::Running { .. } | Self::SameRoot { .. })
    }
}

/// Judges what a channel file says, or the first of what a payload says.
pub fn judge_offer(offer: Offer<'_>, state: &State, situation: &Situation) -> Result<(), Refusal> {
    let (version, running) = (offer.version, &situation.running);
    if offer.product != situation.product {
        let (expected, found) = (situation.product.clone(), offer.product.to_owned());
        return Err(Refusal::Product { expected, found });
    }
    if version == running {
        return Err(Refusal::Running { version: version.clone() });
    }
    if version < running {
        return Err(Refusal::Older { running: running.clone(), found: version.clone() });
    }
    judge_state(version, state)
}

/// Judges what is known of a version here: whether it is held, and whether it failed.
pub fn judge_state(version: &Version, state: &State) -> Result<(), Refusal> {
    if state.hold.covers(version) {
        return Err(Refusal::Held { version: version.clone() });
    }
    let Some(failure) = state.failure(version) else { return Ok(()) };
    let reason = if failure.reason.is_empty() { String::new() } else { format!(": {}", failure.reason) };
    let version = version.clone();
    Err(if failure.stage == GROUP_STAGE {
        Refusal::Refused { version, reason }
    } else {
        Refusal::Failed { version, stage: failure.stage.clone(), reason }
    })
}

/// Judges the rest of what a payload says: who may take it, and whether it fits.
///
/// The architecture is checked by the manifest's parser, which knows only ours.
pub fn judge_manifest(
    manifest: &Manifest,
    version: &Version,
    min_from: &Version,
    situation: &Situation,
) -> Result<(), Refusal> {
    if manifest.root_hash.0 == situation.root_hash {
        return Err(Refusal::SameRoot { version: version.clone() });
    }
    if situation.running < *min_from {
        return Err(Refusal::MinFrom { min_from: min_from.clone(), running: situation.running.clone() });
    }
    let superblock = payload::ALIGNMENT;
    let rows = [
        ("usr partition", situation.usr_size, manifest.layout.usr.len),
        ("verity partition", situation.verity_size, manifest.layout.tree.len + superblock),
        (
            "space on the EFI system partition",
            situation.esp_free.saturating_sub(ESP_RESERVE),
            manifest.layout.uki.len + manifest.layout.loader.len,
        ),
    ];
    for (what, limit, found) in rows {
        if limit < found {
            return Err(Refusal::TooLarge { what, version: version.clone(), limit, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Failure;
    use payload::{Architecture, Digest, Layout, SectionLens};

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn situation() -> Situation {
        Situation {
            product: "slipway".to_owned(),
            running: version("2.0.0"),
            root_hash: [9; 32],
            usr_size: 8192,
            verity_size: 8192,
            esp_free: (1 << 20) + 5300,
        }
    }

    fn manifest() -> Manifest {
        let lens =
            SectionLens { uki_blocks: 72, uki: 5000, loader: 300, tree_blocks: 36, tree: 4096, usr: 8192 };
        Manifest {
            product: "slipway".to_owned(),
            version: "3.0.0".to_owned(),
            architecture: Architecture::X86_64,
            min_from: "1.0.0".to_owned(),
            root_hash: Digest([1; 32]),
            salt: Digest([2; 32]),
            verity_uuid: [3; 16],
            layout: Layout::new(3000, &lens).unwrap(),
            uki_sha256: Digest([4; 32]),
            uki_blocks_sha256: Digest([5; 32]),
            loader_sha256: Digest([6; 32]),
            tree_blocks_sha256: Digest([7; 32]),
            build_time: 1,
        }
    }

    #[track_caller]
    fn check_offer(product: &str, text: &str, state: &State, expected: &str) {
        let version = version(text);
        let found = judge_offer(Offer { product, version: &version }, state, &situation());
        assert!(found.clone().unwrap_err().to_string().starts_with(expected), "{found:?}");
    }

    #[test]
    fn a_newer_version_of_the_product_is_taken() {
        let (version, state) = (version("2.0.1"), State::default());
        let offer = Offer { product: "slipway", version: &version };
        assert_eq!(judge_offer(offer, &state, &situation()), Ok(()));
    }

    #[test]
    fn each_refusal_names_its_check() {
        let mut state = State::default();
        check_offer("other", "3.0.0", &state, "product: expected `slipway`, found `other`");
        check_offer("slipway", "2.0.0", &state, "version 2.0.0 runs already");
        check_offer("slipway", "2.0.0~rc.1", &state, "version: 2.0.0~rc.1 is older than 2.0.0");
        let failure =
            Failure { stage: "initrd".to_owned(), reason: "panic".to_owned(), time: 0, is_forgiven: false };
        state.failed.insert(version("3.0.0"), failure);
        check_offer("slipway", "3.0.0", &state, "failed before: 3.0.0 reached stage initrd: panic; it is");
        state.failed.get_mut(&version("3.0.0")).unwrap().stage = GROUP_STAGE.to_owned();
        check_offer(
            "slipway",
            "3.0.0",
            &state,
            "refused: 3.0.0 failed in this machine's group: panic; it is",
        );
        state.hold.versions.insert(version("3.0.0"));
        check_offer("slipway", "3.0.0", &state, "held: 3.0.0 is not wanted");
        state.hold.everything = true;
        check_offer("slipway", "4.0.0", &state, "held: 4.0.0");
    }

    #[test]
    fn nothing_to_do_is_told_from_wrong() {
        let running = Refusal::Running { version: version("2.0.0") };
        assert!(running.is_nothing_to_do());
        assert!(!Refusal::Held { version: version("2.0.0") }.is_nothing_to_do());
    }

    #[track_caller]
    fn check_manifest(change: fn(&mut Situation), expected: Option<&str>) {
        let mut situation = situation();
        change(&mut situation);
        let found = judge_manifest(&manifest(), &version("3.0.0"), &version("1.0.0"), &situation);
        match expected {
            None => assert_eq!(found, Ok(())),
            Some(expected) => {
                let err = found.unwrap_err().to_string();
                assert!(err.starts_with(expected), "{err}");
            }
        }
    }

    #[test]
    fn a_payload_fits_to_the_byte_or_not() {
        check_manifest(|_| {}, None);
        check_manifest(|situation| situation.usr_size -= 1, Some("usr partition: 3.0.0 needs 8192 bytes"));
        check_manifest(|situation| situation.verity_size -= 1, Some("verity partition: 3.0.0 needs 8192"));
        check_manifest(
            |situation| situation.esp_free -= 1,
            Some("space on the EFI system partition: 3.0.0 needs"),
        );
        check_manifest(|situation| situation.esp_free = 0, Some("space on the EFI"));
        check_manifest(|situation| situation.root_hash = [1; 32], Some("version 3.0.0 has the root hash"));
        check_manifest(|situation| situation.running = "0.9.0".parse().unwrap(), Some("min_from: it can be"));
    }
}
