//! The state on disk: one JSON object with a format number.
//!
//! A field that is missing has its default and an unknown one is passed over, so that the two versions of a
//! machine can read each other's state. What cannot be read within a field drops that entry alone.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Failure, Fetching, Figures, Hold, Seen, State};

/// Counts up only when an old reader would misread.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Wire {
    format: u32,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    channels: BTreeMap<String, WireSeen>,
    #[serde(default)]
    failed: BTreeMap<String, WireFailure>,
    #[serde(default)]
    hold_everything: bool,
    #[serde(default)]
    hold_versions: Vec<String>,
    #[serde(default)]
    retired_keys: Vec<String>,
    #[serde(default)]
    last_check: u64,
    #[serde(default)]
    last_error: String,
    #[serde(default)]
    fetching: Option<WireFetching>,
    #[serde(default)]
    waiting: Option<String>,
    #[serde(default)]
    good: Option<String>,
    #[serde(default)]
    loader: Option<String>,
    #[serde(default)]
    figures: Option<WireFigures>,
}

#[derive(Serialize, Deserialize)]
struct WireSeen {
    sequence: u64,
    issued: u64,
}

#[derive(Serialize, Deserialize)]
struct WireFailure {
    stage: String,
    reason: String,
    time: u64,
    #[serde(default)]
    forgiven: bool,
}

#[derive(Serialize, Deserialize)]
struct WireFetching {
    version: String,
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct WireFigures {
    version: String,
    payload: u64,
    reused: u64,
    fetched: u64,
    requests: u64,
}

pub(super) fn to_bytes(state: &State) -> anyhow::Result<Vec<u8>> {
    let failure = |failure: &Failure| WireFailure {
        stage: failure.stage.clone(),
        reason: failure.reason.clone(),
        time: failure.time,
        forgiven: failure.is_forgiven,
    };
    let channels = state.channels.iter();
    let wire = Wire {
        format: FORMAT,
        seed: state.seed,
        channels: channels
            .map(|(name, seen)| (name.clone(), WireSeen { sequence: seen.sequence, issued: seen.issued }))
            .collect(),
        failed: state.failed.iter().map(|(version, why)| (version.to_string(), failure(why))).collect(),
        hold_everything: state.hold.everything,
        hold_versions: state.hold.versions.iter().map(ToString::to_string).collect(),
        retired_keys: state.retired.iter().map(ToString::to_string).collect(),
        last_check: state.last_check,
        last_error: state.last_error.clone(),
        fetching: state.fetching.as_ref().map(|fetching| WireFetching {
            version: fetching.version.to_string(),
            digest: fetching.digest.to_string(),
        }),
        waiting: state.waiting.as_ref().map(ToString::to_string),
        good: state.good.as_ref().map(ToString::to_string),
        loader: state.loader.as_ref().map(ToString::to_string),
        figures: state.figures.as_ref().map(|figures| WireFigures {
            version: figures.version.to_string(),
            payload: figures.payload,
            reused: figures.reused,
            fetched: figures.fetched,
            requests: figures.requests,
        }),
    };
    serde_json::to_vec_pretty(&wire).context("writing the state")
}

pub(super) fn parse(bytes: &[u8]) -> anyhow::Result<State> {
    let wire: Wire = serde_json::from_slice(bytes).context("parsing the state")?;
    anyhow::ensure!(wire.format == FORMAT, "it has format {}: expected {FORMAT}", wire.format);
    // A text of ours that no longer parses says nothing that could be used: `ok` drops it.
    let version = |text: &String| text.parse().ok();
    let failure = |(text, wire): (String, WireFailure)| {
        let WireFailure { stage, reason, time, forgiven } = wire;
        Some((text.parse().ok()?, Failure { stage, reason, time, is_forgiven: forgiven }))
    };
    Ok(State {
        seed: wire.seed,
        channels: wire
            .channels
            .into_iter()
            .map(|(name, seen)| (name, Seen { sequence: seen.sequence, issued: seen.issued }))
            .collect(),
        failed: wire.failed.into_iter().filter_map(failure).collect(),
        hold: Hold {
            everything: wire.hold_everything,
            versions: wire.hold_versions.iter().filter_map(version).collect(),
        },
        retired: wire.retired_keys.iter().filter_map(|text| text.parse().ok()).collect(),
        last_check: wire.last_check,
        last_error: wire.last_error,
        fetching: wire.fetching.and_then(|wire| {
            Some(Fetching { version: wire.version.parse().ok()?, digest: wire.digest.parse().ok()? })
        }),
        waiting: wire.waiting.as_ref().and_then(version),
        good: wire.good.as_ref().and_then(version),
        loader: wire.loader.as_ref().and_then(version),
        figures: wire.figures.and_then(|wire| {
            Some(Figures {
                version: wire.version.parse().ok()?,
                payload: wire.payload,
                reused: wire.reused,
                fetched: wire.fetched,
                requests: wire.requests,
            })
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use payload::{Digest, KeyId};

    fn full() -> State {
        let version = |text: &str| text.parse::<slots::Version>().unwrap();
        State {
            seed: u64::MAX,
            channels: [("stable".to_owned(), Seen { sequence: 7, issued: 1000 })].into(),
            failed: [(
                version("2.0.0"),
                Failure {
                    stage: "initrd".to_owned(),
                    reason: "panic".to_owned(),
                    time: 9,
                    is_forgiven: true,
                },
            )]
            .into(),
            hold: Hold { everything: true, versions: [version("3.0.0~rc.1")].into() },
            retired: [KeyId([7; 16])].into(),
            last_check: 5,
            last_error: "no answer".to_owned(),
            fetching: Some(Fetching { version: version("4.0.0"), digest: Digest([1; 32]) }),
            waiting: Some(version("4.0.0")),
            good: Some(version("1.0.0")),
            loader: Some(version("4.0.0")),
            figures: Some(Figures {
                version: version("4.0.0"),
                payload: 5,
                reused: 3,
                fetched: 2,
                requests: 1,
            }),
        }
    }

    #[test]
    fn reads_what_it_writes() {
        for state in [full(), State::default()] {
            assert_eq!(parse(&to_bytes(&state).unwrap()).unwrap(), state);
        }
    }

    #[test]
    fn a_later_field_is_passed_over_and_a_missing_one_has_its_default() {
        let state = parse(br#"{"format": 1, "seed": 3, "colour": {"a": 1}}"#).unwrap();
        assert_eq!(state, State { seed: 3, ..State::default() });
    }

    #[test]
    fn another_format_is_refused_and_a_foreign_version_dropped() {
        assert_eq!(parse(br#"{"format": 2}"#).unwrap_err().to_string(), "it has format 2: expected 1");
        let state = parse(br#"{"format": 1, "waiting": "v2", "hold_versions": ["x", "1.0.0"]}"#).unwrap();
        assert_eq!((state.waiting, state.hold.versions.len()), (None, 1));
    }
}
