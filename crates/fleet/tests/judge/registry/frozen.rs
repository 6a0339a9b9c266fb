//! Values that cannot be read: nothing is started, stopped or moved for them, until somebody mends them.

use std::time::Duration;

use fleet::api::{Api, ErrorKind, Put, Wish};
use fleet_core::model::State;

use super::SLEEPER;
use super::lab::{Lab, id, name, wish, with};

const GARBAGE: [&str; 3] = ["", "{\"content\":\"[Service]\\nA=b\\n\",\"desired\":\"running\"}", "\u{0}\u{1}"];

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_cannot_be_read_stays_where_it_is() {
    let Some((mut lab, engine)) = Lab::with_machines(4).await else { return };
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    for garbage in GARBAGE {
        lab.write(&lab.keys.unit(&name("a.service")), garbage).await;
        lab.write(&lab.keys.unit(&name("nowhere.service")), garbage).await;
        lab.assert_still(Duration::from_millis(1500)).await;
    }
    lab.lose(1).await;
    lab.wait_given_up(1).await;
    lab.assert_still(Duration::from_secs(5)).await;
    assert_eq!(lab.at("a.service").await, Some(1));
    let explained = lab.service.explain("a.service").await.unwrap();
    assert!(explained.summary.contains("cannot be read"), "{explained:?}");
    // It is listed, so that it can be mended; a wish without a file is refused, one with a file mends it.
    let rows = lab.service.units(None).await.unwrap().rows;
    assert_eq!(
        rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
        ["a.service", "nowhere.service"]
    );
    let launched = Wish { content: None, desired: Some(State::Launched) };
    let err = lab.service.put_unit("a.service", launched).await.unwrap_err();
    assert!(err.kind == ErrorKind::Internal && err.message.contains("--replace"), "{err:?}");
    let put = lab.service.put_unit("a.service", wish(SLEEPER, State::Launched)).await.unwrap();
    assert_eq!(put, Put::Replaced);
    lab.wait("it moves", async || lab.at("a.service").await.is_some_and(|at| at != 1)).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_read_is_neither_changed_nor_removed_nor_doubled() {
    let Some((lab, engine)) = Lab::with_machines(3).await else { return };
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    lab.write(&lab.keys.entry(&id(1), &name("a.service")), "{}").await;
    lab.assert_still(Duration::from_millis(1500)).await;
    lab.turn("a.service", State::Loaded).await;
    lab.assert_still(Duration::from_millis(1500)).await;
    assert_eq!(lab.at("a.service").await, Some(1));
    let explained = lab.service.explain("a.service").await.unwrap();
    assert!(explained.summary.contains("remove its key below schedule/"), "{explained:?}");
    // What the explanation tells to do helps.
    assert!(lab.store.delete(&lab.keys.entry(&id(1), &name("a.service"))).await.unwrap());
    lab.wait_placed(1).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_whose_values_cannot_be_read_takes_nothing_and_loses_nothing() {
    let Some((lab, engine)) = Lab::with_machines(2).await else { return };
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    lab.write(&lab.keys.hold(&id(1)), "draining").await;
    lab.assert_still(Duration::from_millis(1500)).await;
    for n in 0..3 {
        let unit = format!("b{n}.service");
        lab.want(&unit, SLEEPER, State::Launched).await;
        lab.wait_at(&unit, 2).await;
    }
    assert_eq!(lab.at("a.service").await, Some(1));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exclusive_unit_whose_claim_cannot_be_read_is_not_placed() {
    let Some((lab, engine)) = Lab::with_machines(2).await else { return };
    let claim = lab.keys.claim(&name("one.service"));
    lab.write(&claim, "{}").await;
    lab.want("one.service", &with("Exclusive=true"), State::Launched).await;
    lab.assert_still(Duration::from_secs(2)).await;
    assert_eq!(lab.at("one.service").await, None);
    assert!(lab.store.delete(&claim).await.unwrap());
    lab.wait_at("one.service", 1).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_nobody_are_left_alone() {
    let Some((lab, engine)) = Lab::with_machines(1).await else { return };
    let key = format!("{}units/no-unit", super::lab::PREFIX);
    lab.write(&key, "x").await;
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    assert_eq!(lab.store.get(&key).await.unwrap().kv.unwrap().value, b"x");
    engine.stop().await;
}
