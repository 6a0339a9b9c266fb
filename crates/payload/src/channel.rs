//! The channel file: which version a channel offers, where its payload is, and when a machine may take it.
//!
//! `docs/formats/channel.md` describes every field. Whether a file is too old, replayed or from the future is
//! for the agent to judge, which knows the time and what it has seen; see [`Channel::judge`].

mod judge;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, ParseDigestError};
use crate::manifest::PAYLOAD_MAX;
use crate::text;

pub use judge::{AHEAD_MAX_SECS, Known, Refusal};

/// Most places of one payload.
pub const LOCATIONS_MAX: usize = 16;
/// Longest place in bytes.
pub const LOCATION_LEN_MAX: usize = 1024;
/// Most waves.
pub const WAVES_MAX: usize = 32;
/// Longest that a wave may wait or last, in seconds: a year.
pub const WAVE_SECS_MAX: u64 = 366 * 24 * 3600;

/// What a channel offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Name of the product.
    pub product: String,
    /// Name of the channel.
    pub channel: String,
    /// Version on offer, as text.
    pub version: String,
    /// Counts up with every file of the channel.
    pub sequence: u64,
    /// When it was made, seconds since 1970.
    pub issued: u64,
    /// When it stops being believed, seconds since 1970.
    pub expires: u64,
    /// URLs of the payload, or paths from the channel file's own URL; tried in order.
    pub locations: Vec<String>,
    /// Digest of the payload's manifest.
    pub manifest_sha256: Digest,
    /// Length of the payload in bytes.
    pub payload_len: u64,
    /// Who may update when; all at once if there is none.
    pub waves: Vec<Wave>,
}

/// A share of the machines that updates in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wave {
    /// When it begins, seconds after `issued`.
    pub start: u64,
    /// How long it takes until its last machine may update, in seconds.
    pub duration: u64,
    /// Share of all machines, in percent.
    pub percent: u32,
}

/// Why a text is no channel file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// No JSON of that shape.
    #[error("channel file: {0}")]
    Json(String),
    /// A field has a value that we do not accept.
    #[error("channel file, field `{field}`: expected {expected}, found `{found}`")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// The value, shortened.
        found: String,
    },
    /// The digest is no hexadecimal number.
    #[error("channel file, field `manifest_sha256`")]
    Digest(#[from] ParseDigestError),
}

#[derive(Serialize, Deserialize)]
struct Wire {
    product: String,
    channel: String,
    version: String,
    sequence: u64,
    issued: u64,
    expires: u64,
    locations: Vec<String>,
    manifest_sha256: String,
    payload_length: u64,
    waves: Vec<WireWave>,
}

#[derive(Serialize, Deserialize)]
struct WireWave {
    start: u64,
    duration: u64,
    percent: u32,
}

impl Channel {
    /// Reads the body of a channel file's envelope.
    pub fn parse(body: &[u8]) -> Result<Self, ChannelError> {
        let wire: Wire = serde_json::from_slice(body).map_err(|err| ChannelError::Json(err.to_string()))?;
        let channel = Self {
            product: wire.product,
            channel: wire.channel,
            version: wire.version,
            sequence: wire.sequence,
            issued: wire.issued,
            expires: wire.expires,
            locations: wire.locations,
            manifest_sha256: wire.manifest_sha256.parse()?,
            payload_len: wire.payload_length,
            waves: wire
                .waves
                .iter()
                .map(|wave| Wave { start: wave.start, duration: wave.duration, percent: wave.percent })
                .collect(),
        };
        channel.check()?;
        Ok(channel)
    }

    /// Refuses values out of their limits; [`Channel::parse`] has done so.
    pub fn check(&self) -> Result<(), ChannelError> {
        let name = "1 to 32 of a-z, 0-9 and `-`";
        ensure("product", name, &self.product, text::is_name(&self.product))?;
        ensure("channel", name, &self.channel, text::is_name(&self.channel))?;
        let version = "a version of at most 20 characters";
        ensure("version", version, &self.version, text::is_version(&self.version))?;
        ensure("sequence", "at least 1", self.sequence, 0 < self.sequence)?;
        ensure("expires", "later than `issued`", self.expires, self.issued < self.expires)?;
        let n_locations = self.locations.len();
        ensure("locations", "1 to 16 places", n_locations, (1..=LOCATIONS_MAX).contains(&n_locations))?;
        for location in &self.locations {
            let is_plain = location.bytes().all(|byte| byte.is_ascii_graphic());
            let is_bounded = (1..=LOCATION_LEN_MAX).contains(&location.len());
            ensure("locations", "1 to 1024 printable characters", location, is_plain && is_bounded)?;
        }
        let is_bounded = (1..=PAYLOAD_MAX).contains(&self.payload_len);
        ensure("payload_length", "1 byte to 5 GiB", self.payload_len, is_bounded)?;
        let n_waves = self.waves.len();
        ensure("waves", "at most 32", n_waves, n_waves <= WAVES_MAX)?;
        for wave in &self.waves {
            let longest = wave.start.max(wave.duration);
            ensure("waves", "a start and a duration of at most a year", longest, longest <= WAVE_SECS_MAX)?;
        }
        let percent: u64 = self.waves.iter().map(|wave| u64::from(wave.percent)).sum();
        let is_whole = self.waves.is_empty() || percent == 100;
        ensure("waves", "shares of 100 percent together", percent, is_whole)
    }

    /// Returns the text of the file's body: the same fields give the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let wave =
            |wave: &Wave| WireWave { start: wave.start, duration: wave.duration, percent: wave.percent };
        let wire = Wire {
            product: self.product.clone(),
            channel: self.channel.clone(),
            version: self.version.clone(),
            sequence: self.sequence,
            issued: self.issued,
            expires: self.expires,
            locations: self.locations.clone(),
            manifest_sha256: self.manifest_sha256.to_string(),
            payload_length: self.payload_len,
            waves: self.waves.iter().map(wave).collect(),
        };
        serde_json::to_vec_pretty(&wire).expect("strings and numbers are JSON")
    }
}

fn ensure(
    field: &'static str,
    expected: &'static str,
    found: impl ToString,
    holds: bool,
) -> Result<(), ChannelError> {
    if holds {
        return Ok(());
    }
    Err(ChannelError::Field { field, expected, found: text::shown(&found.to_string()) })
}
