//! `cargo xtask cluster down`: ends the supervisor, and with it everything.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::place::Place;
use super::state::State;
use crate::ctx::Ctx;

/// For a supervisor that has not said yet that it is there.
const APPEARS: Duration = Duration::from_secs(10);
/// From the signal to the end of everything; starting the discovery service is not interrupted.
const ENDS: Duration = Duration::from_secs(90);
/// From a signal that cannot be refused.
const KILLED: Duration = Duration::from_secs(10);

/// Ends the cluster, or removes what a killed one left.
pub fn run(ctx: &Ctx, place: &Place) -> anyhow::Result<()> {
    if !place.dir().is_dir() {
        ctx.log.line("no cluster is running");
        return Ok(());
    }
    if let Some(_lock) = place.lock()? {
        // Nothing runs without the supervisor; its files are there if it was killed.
        place.sweep()?;
        ctx.log.line("no cluster is running");
        return Ok(());
    }
    end(place)?;
    ctx.log.line(&format!("the cluster has ended; its logs are in {}", place.dir().display()));
    Ok(())
}

/// Ends the cluster that runs.
pub fn end(place: &Place) -> anyhow::Result<()> {
    let lock = match signal(place, Signal::TERM, APPEARS)? {
        Some(lock) => Some(lock),
        None => place.lock_within(ENDS)?,
    };
    let lock = match lock {
        Some(lock) => Some(lock),
        None => signal(place, Signal::KILL, APPEARS)?
            .map_or_else(|| place.lock_within(KILLED), |lock| Ok(Some(lock)))?,
    };
    ensure!(
        lock.is_some(),
        "{} is still in use: see {}",
        place.dir().display(),
        place.supervisor_log().display()
    );
    // After a signal that it could not see the supervisor removed nothing.
    place.sweep()
}

/// Sends the supervisor a signal; returns the lock if there is none any more.
fn signal(place: &Place, signal: Signal, patience: Duration) -> anyhow::Result<Option<std::fs::File>> {
    let Some(state) = appeared(place, patience)? else { return place.lock() };
    // Only now: a supervisor that ended meanwhile has given the folder back, and its number may be another's.
    if let Some(lock) = place.lock()? {
        return Ok(Some(lock));
    }
    let pid = i32::try_from(state.pid).ok().and_then(Pid::from_raw);
    let pid = pid.with_context(|| format!("{} names no process", place.state().display()))?;
    match kill_process(pid, signal) {
        // It ended in between.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(err) => Err(err).with_context(|| format!("ending process {}", state.pid)),
    }
}

/// Waits until the supervisor says who it is.
fn appeared(place: &Place, patience: Duration) -> anyhow::Result<Option<State>> {
    let end = std::time::Instant::now() + patience;
    loop {
        let state = State::read(&place.state())?;
        if state.is_some() || end <= std::time::Instant::now() {
            return Ok(state);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
