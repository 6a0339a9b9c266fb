//! `slipway-update check` and `slipway-update apply`: one update, as far as asked.

use agent_support::host::Host;
use anyhow::Context;
use serde::Serialize;

use super::Exit;
use super::print::{self, Format};
use crate::driver::{self, Origin, Outcome, Place};
use crate::lock;
use crate::machine::{Aim, Phase};
use crate::source::Limits;
use crate::status::{Op, Words};

#[derive(Serialize)]
struct Document {
    format: u32,
    current_op: &'static str,
    version: Option<String>,
    nothing: Option<String>,
    due: Option<u64>,
}

/// Says what is on offer.
pub fn check(host: &Host, limits: &Limits, format: Format) -> anyhow::Result<Exit> {
    show(one(host, limits, &Origin::Channel, Aim::Look, format)?, format)
}

/// Takes what is on offer, or the payload named, without waiting for this machine's place in a rollout.
pub fn apply(host: &Host, limits: &Limits, payload: Option<&str>, format: Format) -> anyhow::Result<Exit> {
    let origin = match payload {
        Some(text) => Origin::Payload(Place::parse(text).context("reading the place of the payload")?),
        None => Origin::Channel,
    };
    show(one(host, limits, &origin, Aim::TakeNow, format)?, format)
}

fn one(host: &Host, limits: &Limits, origin: &Origin, aim: Aim, format: Format) -> anyhow::Result<Outcome> {
    let _lock = lock::work(host, lock::COMMAND_WAIT)?;
    driver::clean(host)?;
    let words = match format {
        Format::Text => Words::Stdout,
        Format::Json => Words::Stderr,
    };
    driver::run(host, limits, origin, aim, words)
}

fn show(outcome: Outcome, format: Format) -> anyhow::Result<Exit> {
    if let Some(err) = outcome.error {
        return Err(err);
    }
    let op = match outcome.phase {
        Phase::NeedReboot(_) => Op::NeedReboot,
        ref phase => phase.op(),
    };
    let document = Document {
        format: 1,
        current_op: op.name(),
        version: outcome.phase.version().map(ToString::to_string),
        nothing: outcome.nothing,
        due: outcome.due,
    };
    // The rest of the text was said on the way.
    print::value(&document, format, |document| {
        document.nothing.as_ref().map(|why| format!("{why}\n")).unwrap_or_default()
    })?;
    Ok(Exit::Done)
}
