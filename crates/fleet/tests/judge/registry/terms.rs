//! Terms of engines: one at a time, handed over, and fenced.

use std::time::Duration;

use fleet::registry::{TermValue, to_json};
use fleet_core::model::State;
use tokio::time::{Instant, sleep};

use super::SLEEPER;
use super::lab::{LONG_TERM, Lab, TERM_TTL, begin_for, id};
use super::slow_line::SlowLine;

/// D12: the write of an engine that was stalled past its lease arrives late and is refused, for the term alone: nothing
/// else in the registry speaks against it.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_write_of_a_stalled_engine_is_refused_for_its_term() {
    let Some(mut lab) = Lab::new().await else { return };
    lab.machine(1, &[]).await;
    let line = SlowLine::to(&lab.etcd.client_url()).await;
    let stalled = begin_for(line.client(), 1, LONG_TERM);
    stalled.wait_leads().await;
    lab.want("first.service", SLEEPER, State::Launched).await;
    lab.wait_at("first.service", 1).await;
    let before = stalled.counters.counts();
    line.hold();
    lab.want("late.service", SLEEPER, State::Launched).await;
    lab.wait("it decides and sends", async || stalled.counters.counts().transactions > before.transactions)
        .await;
    lab.end_term().await;
    // Another engine, that does nothing.
    let other = TermValue { machine: id(2), version: "1.0.0".to_owned() };
    lab.store.put(&lab.keys.engine(), to_json(&other)).await.unwrap();
    line.go_on();
    lab.wait("the late write is refused", async || stalled.counters.counts().refused > before.refused).await;
    assert_eq!(lab.at("late.service").await, None);
    lab.wait("its term is over", async || !stalled.counters.counts().leads).await;
    assert_eq!(stalled.counters.counts().decisions, before.decisions);
    stalled.kill().await;
}

/// D12 with a second engine that goes on: each unit has one entry, and no write of the stalled one changes it.
#[tokio::test(flavor = "multi_thread")]
async fn two_engines_of_which_one_was_stalled_leave_one_entry_a_unit() {
    let Some(mut lab) = Lab::new().await else { return };
    for machine in 1..=3 {
        lab.machine(machine, &[]).await;
    }
    let line = SlowLine::to(&lab.etcd.client_url()).await;
    let stalled = begin_for(line.client(), 1, LONG_TERM);
    stalled.wait_leads().await;
    // It hears what is wanted: of what it asks for, nothing is held up but its next write.
    lab.want("first.service", SLEEPER, State::Launched).await;
    lab.wait_placed(1).await;
    let before = stalled.counters.counts();
    line.hold();
    for n in 0..10 {
        lab.want(&format!("u{n}.service"), SLEEPER, State::Launched).await;
    }
    lab.wait("it decides and sends", async || stalled.counters.counts().transactions > before.transactions)
        .await;
    lab.end_term().await;
    let second = begin_for(lab.store.clone(), 2, LONG_TERM);
    let placed = lab.wait_placed(11).await;
    line.go_on();
    lab.wait("the late write is refused", async || stalled.counters.counts().refused > 0).await;
    lab.assert_still(Duration::from_secs(2)).await;
    assert_eq!(lab.entries().await, placed);
    assert!(placed.values().all(|at| at.len() == 1), "{placed:?}");
    assert_eq!((stalled.counters.counts().decisions, second.counters.counts().decisions), (1, 10));
    stalled.kill().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_told_to_end_hands_over_at_once() {
    let Some((lab, first)) = Lab::with_machines(2).await else { return };
    let second = lab.engine(2).await;
    sleep(Duration::from_millis(500)).await;
    assert!(!second.counters.counts().leads, "there is one engine at a time");
    let begun = Instant::now();
    first.stop().await;
    second.wait_leads().await;
    assert!(begun.elapsed() < TERM_TTL, "it did not wait for the lease: {:?}", begun.elapsed());
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    second.stop().await;
    assert!(lab.store.get(&lab.keys.engine()).await.unwrap().kv.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_candidates_one_leads_and_another_follows_when_it_is_killed() {
    let Some((lab, first)) = Lab::with_machines(1).await else { return };
    let others = [lab.engine(2).await, lab.engine(3).await, lab.engine(4).await];
    first.kill().await;
    let leading = async || others.iter().filter(|other| other.counters.counts().leads).count();
    lab.wait("another leads", async || leading().await == 1).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(leading().await, 1);
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    for other in others {
        other.stop().await;
    }
}

/// Somebody removes the engine's key by hand: the term is over, and another one begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_term_ends_when_its_key_is_removed() {
    let Some((lab, engine)) = Lab::with_machines(1).await else { return };
    let there = async || lab.store.get(&lab.keys.engine()).await.unwrap().kv;
    let first = there().await.unwrap().create_revision;
    assert!(lab.store.delete(&lab.keys.engine()).await.unwrap());
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    assert!(there().await.unwrap().create_revision > first);
    assert_eq!(engine.counters.counts().terms, 2);
    engine.stop().await;
}
