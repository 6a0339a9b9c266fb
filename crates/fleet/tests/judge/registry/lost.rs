//! Machines that are lost: what moves, when, and what does not.

use std::time::Duration;

use fleet::api::{Api, Lost};
use fleet::registry::{ClaimValue, to_json};
use fleet_core::model::State;
use tokio::time::{Instant, sleep};

use super::SLEEPER;
use super::lab::{GRACE, Lab, id, name, spans, with};

/// D09, the engine's part: the units of a lost machine are elsewhere after the grace and not before it.
#[tokio::test(flavor = "multi_thread")]
async fn units_of_a_lost_machine_move_after_the_grace_and_not_before() {
    let Some((mut lab, engine)) = Lab::with_machines(4).await else { return };
    for n in 0..8 {
        lab.want(&format!("u{n}.service"), SLEEPER, State::Launched).await;
    }
    let before = lab.wait_placed(8).await;
    let lost = Instant::now();
    lab.lose(2).await;
    let rows = lab.service.machines(None).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), [id(1).0, id(3).0, id(4).0]);
    sleep(GRACE / 2).await;
    assert_eq!(lab.entries().await, before, "nothing moves within the grace");
    lab.wait("nothing is on 2", async || lab.entries().await.values().all(|at| at != &[2])).await;
    assert!(lost.elapsed() >= GRACE, "{:?}", lost.elapsed());
    let after = lab.entries().await;
    for (unit, at) in &before {
        match at[..] {
            [2] => assert!(matches!(after[unit][..], [1 | 3 | 4]), "{unit}: {:?}", after[unit]),
            _ => assert_eq!(&after[unit], at, "{unit} did not lose its machine"),
        }
    }
    // D10: running units are not moved when it is back.
    lab.machine(2, &[]).await;
    lab.wait_untold(2).await;
    lab.assert_still(Duration::from_secs(2)).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_back_within_the_grace_keeps_its_units() {
    let Some((mut lab, engine)) = Lab::with_machines(4).await else { return };
    for n in 0..4 {
        lab.want(&format!("u{n}.service"), SLEEPER, State::Launched).await;
    }
    let before = lab.wait_placed(4).await;
    lab.lose(2).await;
    sleep(GRACE / 2).await;
    lab.machine(2, &[]).await;
    lab.wait_untold(2).await;
    lab.assert_still(GRACE * 2).await;
    assert_eq!(lab.entries().await, before);
    engine.stop().await;
}

/// D05: what wants to be where another unit is goes with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dependent_unit_moves_with_the_one_that_it_hangs_on() {
    let Some((mut lab, engine)) = Lab::with_machines(4).await else { return };
    lab.want("db.service", SLEEPER, State::Launched).await;
    lab.wait_at("db.service", 1).await;
    lab.want("dependent.service", &with("MachineOf=db.service"), State::Launched).await;
    lab.wait_at("dependent.service", 1).await;
    lab.lose(1).await;
    let moved = async || lab.at("db.service").await.filter(|at| *at != 1);
    lab.wait("db moves", async || moved().await.is_some()).await;
    let at = moved().await.unwrap();
    lab.wait_at("dependent.service", at).await;
    engine.stop().await;
}

/// More than a third at once is not believed for a longer time, and `explain` of any machine says so.
#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_many_machines_at_once_is_not_believed_at_first() {
    let Some((mut lab, engine)) = Lab::with_machines(4).await else { return };
    for n in 0..4 {
        lab.want(&format!("u{n}.service"), SLEEPER, State::Launched).await;
    }
    let before = lab.wait_placed(4).await;
    let lost = Instant::now();
    lab.lose(1).await;
    lab.lose(2).await;
    lab.wait("it is told", async || lab.told(1).await.is_some_and(|told| told.mass)).await;
    let told = lab.told(1).await.unwrap();
    let moves = told.moves.unwrap();
    let wait = moves.apart(told.since);
    assert!(wait.abs_diff(spans().mass_wait) <= Duration::from_secs(2), "{told:?}");
    sleep(GRACE * 2).await;
    assert_eq!(lab.entries().await, before, "it is not believed");
    let unit = before.iter().find(|(_, at)| **at == [1]).unwrap().0;
    let explained = lab.service.explain(unit).await.unwrap();
    let since = told.since;
    let wanted = format!(
        "lost since {since} with more than a third of the machines, which is not believed until {moves}"
    );
    assert!(explained.summary.ends_with(&wanted), "{explained:?}");
    assert_eq!(explained.lost, Some(Lost { machine_id: id(1).0, since, moves: Some(moves), mass: true }));
    let all = async || lab.entries().await.values().all(|at| matches!(at[..], [3 | 4]));
    lab.wait("all are on what is left", all).await;
    assert!(lost.elapsed() >= spans().mass_wait, "{:?}", lost.elapsed());
    engine.stop().await;
}

/// What the engine knows of a lost machine is told once for each verdict, and goes when the machine is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_while_it_lasts_and_costs_a_write_for_each_verdict() {
    let Some((mut lab, engine)) = Lab::with_machines(4).await else { return };
    // No other machine takes it, so all that is written is about the machine.
    lab.machine(5, &[("disk", "ssd")]).await;
    lab.want("a.service", &with("MachineMetadata=disk=ssd"), State::Launched).await;
    lab.wait_at("a.service", 5).await;
    assert_eq!(lab.service.explain("a.service").await.unwrap().lost, None);
    let before = lab.revision().await;
    lab.lose(5).await;
    lab.wait("it is told", async || lab.told(5).await.is_some()).await;
    let told = lab.told(5).await.unwrap();
    let wait = told.moves.unwrap().apart(told.since);
    assert!(!told.mass && wait.abs_diff(GRACE) <= Duration::from_secs(1), "{told:?}");
    let summary = lab.service.explain("a.service").await.unwrap().summary;
    let wanted = format!("lost since {}, its units move at {}", told.since, told.moves.unwrap());
    assert!(summary.ends_with(&wanted), "{summary}");
    lab.wait_given_up(5).await;
    lab.assert_still(Duration::from_secs(2)).await;
    assert_eq!(lab.revision().await - before, 3, "the loss, that it is told, that it is given up");
    let explained = lab.service.explain("a.service").await.unwrap();
    assert!(explained.summary.ends_with("but no other takes a.service"), "{explained:?}");
    let lost = explained.lost.unwrap();
    assert_eq!((lost.machine_id, lost.since, lost.moves, lost.mass), (id(5).0, told.since, None, false));
    lab.machine(5, &[("disk", "ssd")]).await;
    lab.wait_untold(5).await;
    lab.assert_still(Duration::from_secs(2)).await;
    assert_eq!(lab.revision().await - before, 5, "its key, and that nothing is told any more");
    engine.stop().await;
}

/// What an engine tells goes with its term: `explain` says that none has seen the loss, until the next one has.
#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_by_the_engine_that_decides_and_no_other() {
    let Some((mut lab, engine)) = Lab::with_machines(4).await else { return };
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    lab.lose(1).await;
    lab.wait("it is told", async || lab.told(1).await.is_some()).await;
    let first = lab.told(1).await.unwrap().since;
    engine.stop().await;
    assert_eq!(lab.store.get(&lab.keys.lost(&id(1))).await.unwrap().kv, None);
    if lab.at("a.service").await == Some(1) {
        let explained = lab.service.explain("a.service").await.unwrap();
        assert!(explained.summary.contains("no engine has seen that yet"), "{explained:?}");
        assert_eq!(explained.lost, None);
    }
    // What somebody wrote by hand is no engine's word, and of a machine that is there nothing is told.
    lab.write(&lab.keys.lost(&id(1)), "{}").await;
    lab.write(&lab.keys.lost(&id(2)), "{}").await;
    sleep(Duration::from_millis(1500)).await;
    let engine = lab.engine(2).await;
    engine.wait_leads().await;
    lab.wait("nothing is told of 2", async || {
        lab.store.get(&lab.keys.lost(&id(2))).await.unwrap().kv.is_none()
    })
    .await;
    lab.wait("it moves", async || lab.at("a.service").await != Some(1)).await;
    if let Some(told) = lab.told(1).await {
        assert!(told.since > first, "{told:?} is of the second term");
    }
    engine.stop().await;
}

/// A new engine does not know since when a machine is lost: it gives it a whole grace.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_engine_counts_the_grace_from_its_own_beginning() {
    let Some((mut lab, engine)) = Lab::with_machines(4).await else { return };
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    engine.stop().await;
    lab.lose(1).await;
    sleep(GRACE * 2).await;
    let engine = lab.engine(2).await;
    engine.wait_leads().await;
    let begun = Instant::now();
    lab.wait("it moves", async || lab.at("a.service").await != Some(1)).await;
    // The test hears of the term a little after it began.
    assert!(begun.elapsed() + Duration::from_millis(500) >= GRACE, "{:?}", begun.elapsed());
    engine.stop().await;
}

/// An exclusive unit is placed anew only when its claim is gone: its machine gives it up, or surely has stopped it.
#[tokio::test(flavor = "multi_thread")]
async fn an_exclusive_unit_waits_for_its_claim() {
    let Some((mut lab, engine)) = Lab::with_machines(4).await else { return };
    lab.want("one.service", &with("Exclusive=true"), State::Launched).await;
    lab.wait_at("one.service", 1).await;
    let key = lab.keys.entry(&id(1), &name("one.service"));
    let entry = lab.store.get(&key).await.unwrap().kv.unwrap().mod_revision;
    let claim = lab.keys.claim(&name("one.service"));
    lab.store.put(&claim, to_json(&ClaimValue { machine: id(1), entry })).await.unwrap();
    let lost = Instant::now();
    lab.lose(1).await;
    lab.wait("the entry is removed", async || lab.at("one.service").await.is_none()).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(lab.at("one.service").await, None, "the claim is still there");
    let there = lab.store.get(&claim).await.unwrap().kv.is_some();
    assert!(there || lost.elapsed() >= spans().claim_wait());
    lab.wait("it is placed", async || lab.at("one.service").await.is_some_and(|at| at != 1)).await;
    assert!(lost.elapsed() >= spans().claim_wait(), "{:?}", lost.elapsed());
    assert!(lab.store.get(&claim).await.unwrap().kv.is_none());
    engine.stop().await;
}
