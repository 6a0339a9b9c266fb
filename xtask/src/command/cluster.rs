//! `cargo xtask cluster`: machines of one image and one cloud-config that form a cluster on this machine.
//! `docs/decisions/2026-11-29-cluster-on-one-desk.md` says who owns what, and why.

mod apply;
mod ask;
mod config;
mod down;
mod enter;
pub mod oem;
mod place;
mod plan;
mod progress;
mod services;
mod state;
mod status;
mod supervise;
mod table;
mod terminal;
mod up;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::ctx::Ctx;
use crate::flags::{self, ClusterCommand};
use place::Place;
use plan::Plan;

/// Does what was asked of the one cluster that this checkout has.
pub fn run(ctx: &Ctx, args: &flags::Cluster) -> anyhow::Result<ExitCode> {
    let place = Place::new(ctx);
    match &args.command {
        ClusterCommand::Up(args) => up::run(ctx, &place, args),
        ClusterCommand::Status { json } => status::run(&place, *json),
        // The exit code is that of the command in the machine.
        ClusterCommand::Ssh { machine, command } => return enter::run(&place, *machine, command),
        ClusterCommand::Apply(args) => apply::run(ctx, &place, args),
        ClusterCommand::Down => down::run(ctx, &place),
        ClusterCommand::Supervise => supervise::run(ctx, &place),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Days that an offer is believed: a cluster on a desk does not live so long.
const EXPIRES_DAYS: u64 = 30;

/// What offers a payload to the machines.
fn offer(place: &Place, plan: &Plan, payload: PathBuf) -> flags::Publish {
    flags::Publish {
        channel: config::CHANNEL.to_owned(),
        to: place.updates(),
        payload: Some(payload),
        keys: plan.keys.clone(),
        sequence: None,
        expires_days: EXPIRES_DAYS,
        wave: Vec::new(),
        url: Vec::new(),
        allow_older: false,
    }
}
