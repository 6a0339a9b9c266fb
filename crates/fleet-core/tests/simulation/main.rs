//! Whole histories of a cluster, with everything going wrong that can: etcd, machines with their service manager, agents
//! and engines that use the crate as the real runners do, users.
//!
//! After each step the rules of `checks` are looked at. A history depends on its seed only: `FLEET_SEED=N` plays one
//! and prints its steps, `FLEET_HISTORIES=N` says how many are played.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod agents;
mod cast;
mod checks;
mod engines;
mod ether;
mod flaw;
mod host;
mod incidents;
mod random;
mod store;
mod users;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fleet_core::engine::Settings;

use crate::flaw::{FLAWS, Flaw};

/// Time to live of a machine's lease.
pub const TTL: Duration = Duration::from_secs(30);
/// How long a lost machine keeps its units.
pub const GRACE: Duration = Duration::from_secs(30);
/// Milliseconds that a term of the engine lives without being renewed.
pub const ENGINE_TTL: u64 = 10_000;

/// The real ones but for the wait of a mass loss, which would make histories long.
pub fn settings() -> Settings {
    Settings { ttl: TTL, grace: GRACE, mass_wait: Duration::from_secs(100), ..Settings::default() }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|err| panic!("{variable}={text}: {err}")))
}

/// Plays histories until one breaks a rule; returns its seed and what it broke.
fn search(histories: u64, flaw: Option<Flaw>) -> Option<(u64, String)> {
    let next = AtomicU64::new(0);
    let found = std::sync::Mutex::new(None::<(u64, String)>);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= histories || found.lock().unwrap().is_some() {
                        return;
                    }
                    if let Some(broken) = world::run(seed, flaw, false) {
                        found.lock().unwrap().get_or_insert((seed, broken));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn histories_break_no_rule() {
    if let Some(seed) = number("FLEET_SEED") {
        let broken = world::run(seed, None, true);
        assert_eq!(broken, None, "history {seed}");
        return;
    }
    let histories = number("FLEET_HISTORIES").unwrap_or(20_000);
    if let Some((seed, broken)) = search(histories, None) {
        panic!("history {seed} {broken}\nFLEET_SEED={seed} prints its steps");
    }
}

#[test]
fn every_rule_that_is_left_out_is_found_out() {
    let mut missed = Vec::new();
    for flaw in FLAWS {
        match search(20_000, Some(flaw)) {
            Some((seed, broken)) => println!("{flaw:?}: history {seed} {broken}"),
            None => missed.push(flaw),
        }
    }
    assert!(missed.is_empty(), "nothing breaks without {missed:?}");
}
