//! What is known of a holder.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use slots::Version;

use crate::quorum::MemberId;

/// What is known of a holder. Only `since` is always there in slots of ours.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slot {
    /// When it was taken.
    pub since: Option<Timestamp>,
    /// The boot in which it was asked for; none if an operator took it by hand.
    pub boot: Option<String>,
    /// The version that the reboot will start.
    pub version: Option<Version>,
    /// Which member of etcd the machine is.
    pub member: Option<MemberId>,
    /// Whether locksmith drained the machine, or was about to.
    pub drained: bool,
    /// Fields that are not ours.
    pub foreign: Map<String, Value>,
}

#[derive(Serialize)]
pub(super) struct RawSlot<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    drained: bool,
    #[serde(flatten)]
    foreign: &'a Map<String, Value>,
}

/// Absent is `false`, so `false` is not written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Slot {
    /// Returns this slot with what a present holder now says of itself: when it was taken stays, and so does what is
    /// not said anew.
    pub(super) fn updated(&self, now: Self) -> Self {
        Self {
            since: self.since.or(now.since),
            boot: now.boot.or_else(|| self.boot.clone()),
            version: now.version.or_else(|| self.version.clone()),
            member: now.member.or(self.member),
            drained: self.drained || now.drained,
            foreign: self.foreign.clone(),
        }
    }

    pub(super) fn to_raw(&self) -> RawSlot<'_> {
        RawSlot {
            since: self.since.as_ref().map(Timestamp::to_string),
            boot: self.boot.as_deref(),
            version: self.version.as_ref().map(Version::to_string),
            member: self.member.map(|member| member.to_string()),
            drained: self.drained,
            foreign: &self.foreign,
        }
    }
}
