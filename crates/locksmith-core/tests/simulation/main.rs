//! Whole histories of a group, with everything going wrong that can: machines that crash, do not come back, fail with a
//! version; an etcd whose members are some of them, which loses replies and its quorum; clocks that are set; users.
//!
//! After each step the rules of `checks` are looked at. A history depends on its seed only: `LOCKSMITH_SEED=N` plays one
//! and prints its steps, `LOCKSMITH_HISTORIES=N` says how many are played.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod checks;
mod daemon;
mod flaw;
mod incidents;
mod machine;
mod random;
mod store;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::flaw::{FLAWS, Flaw};
use crate::world::World;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|err| panic!("{variable}={text}: {err}")))
}

/// Plays histories until one breaks a rule; returns its seed and what it broke.
fn search(histories: u64, flaw: Option<Flaw>) -> Option<(u64, String)> {
    let next = AtomicU64::new(0);
    let found = Mutex::new(None::<(u64, String)>);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= histories || found.lock().unwrap().is_some() {
                        return;
                    }
                    if let Some(broken) = World::new(seed, flaw, false).run() {
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
    if let Some(seed) = number("LOCKSMITH_SEED") {
        let broken = World::new(seed, None, true).run();
        assert_eq!(broken, None, "history {seed}");
        return;
    }
    let histories = number("LOCKSMITH_HISTORIES").unwrap_or(200);
    if let Some((seed, broken)) = search(histories, None) {
        panic!("history {seed} {broken}\nLOCKSMITH_SEED={seed} prints its steps");
    }
}

#[test]
fn every_rule_that_is_left_out_is_found_out() {
    let mut missed = Vec::new();
    for flaw in FLAWS {
        match search(2_000, Some(flaw)) {
            Some((seed, broken)) => println!("{flaw:?}: history {seed} {broken}"),
            None => missed.push(flaw),
        }
    }
    assert!(missed.is_empty(), "nothing breaks without {missed:?}");
}
