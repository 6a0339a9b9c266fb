//! A store that is away, full, or without a majority: what the API says, that nothing is changed, and what is after.

use std::time::Duration;

use etcd_lab::Programs;
use fleet::api::{Api, ErrorKind, Filter, Look, MetadataChange, Wish};
use fleet::registry::{Keys, MachineValue, to_json};
use fleet_core::model::{Hold, State};
use tokio::time::{Instant, sleep};

use super::SLEEPER;
use super::lab::{GRACE, Lab, PREFIX, begin, cluster, id, name, service, wait, wish};

/// What the original said, which scripts look for.
const AWAY: &str = "unable to communicate with etcd";

async fn assert_unavailable(service: &impl Api) {
    let wish = || wish(SLEEPER, State::Launched);
    let metadata = || vec![MetadataChange { machine: id(1).0, key: "k".to_owned(), value: None }];
    let errors = [
        service.units(None).await.map(drop).unwrap_err(),
        service.unit("a.service").await.map(drop).unwrap_err(),
        service.put_unit("a.service", wish()).await.map(drop).unwrap_err(),
        service.delete_unit("a.service").await.unwrap_err(),
        service.states(Filter::default(), None).await.map(drop).unwrap_err(),
        service.machines(None).await.map(drop).unwrap_err(),
        service.change_metadata(metadata()).await.unwrap_err(),
        service.hold(&id(1).0, Hold::None).await.unwrap_err(),
        service.explain("a.service").await.map(drop).unwrap_err(),
        service.rebalance(Look::Only).await.map(drop).unwrap_err(),
    ];
    for err in errors {
        assert!(err.kind == ErrorKind::Unavailable && err.message.contains(AWAY), "{err:?}");
    }
}

/// D11, the part of API and engine: every request fails in time; after the return all goes on, and nothing was moved.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_killed_and_is_back_finds_all_as_it_was() {
    let Some((mut lab, engine)) = Lab::with_machines(3).await else { return };
    for n in 0..6 {
        lab.want(&format!("u{n}.service"), SLEEPER, State::Launched).await;
    }
    let before = lab.wait_placed(6).await;
    lab.etcd.kill();
    let begun = Instant::now();
    assert_unavailable(&*lab.service).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    sleep(GRACE * 2).await;
    lab.etcd.start::<&str>(&[]);
    lab.etcd.wait_healthy();
    lab.want("after.service", SLEEPER, State::Launched).await;
    let mut after = lab.wait_placed(7).await;
    after.remove("after.service");
    assert_eq!(after, before);
    engine.stop().await;
}

/// The time without the store is no part of a lost machine's grace.
#[tokio::test(flavor = "multi_thread")]
async fn the_grace_does_not_pass_while_the_store_is_away() {
    let Some((mut lab, engine)) = Lab::with_machines(4).await else { return };
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    lab.lose(1).await;
    lab.etcd.kill();
    sleep(GRACE * 2).await;
    lab.etcd.start::<&str>(&[]);
    lab.etcd.wait_healthy();
    // What a fast machine does: it is back as soon as the store is.
    lab.machine(1, &[]).await;
    lab.assert_place_kept("a.service", 1, GRACE * 2).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_changed_and_a_majority_is_enough() {
    let Some(programs) = Programs::shipped() else { return };
    let (mut cluster, store) = cluster(&programs, 3);
    let service = service(&store);
    service.mark().await.unwrap();
    let keys = Keys::new(PREFIX);
    let machine = MachineValue {
        ip: String::new(),
        metadata: [].into(),
        version: "1.0.0".to_owned(),
        boot: "boot".to_owned(),
    };
    store.put(&keys.machine(&id(1)), to_json(&machine)).await.unwrap();
    let engine = begin(store.clone(), 1);
    engine.wait_leads().await;
    let leader = cluster.leader(0);
    let follower = cluster.follower();
    cluster.members[leader].kill();
    wait("a majority of two takes it", async || {
        service.put_unit("a.service", wish(SLEEPER, State::Launched)).await.is_ok()
    })
    .await;
    let placed = async |unit: &str| {
        store.get(&keys.entry(&id(1), &name(unit))).await.is_ok_and(|got| got.kv.is_some())
    };
    wait("it is placed", async || placed("a.service").await).await;
    cluster.members[follower].kill();
    wait("the one that is left says so", async || {
        service.units(None).await.is_err_and(|err| err.kind == ErrorKind::Unavailable)
    })
    .await;
    assert_unavailable(&service).await;
    cluster.start_again(leader);
    cluster.start_again(follower);
    wait("all is as it was", async || service.units(None).await.is_ok_and(|page| page.rows.len() == 1)).await;
    wait("units are placed again", async || {
        let put = service.put_unit("b.service", wish(SLEEPER, State::Launched)).await;
        put.is_ok() && placed("b.service").await
    })
    .await;
    engine.stop().await;
}

/// A full store still reads and deletes; writes say what to do, and change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_takes_no_changes_and_says_what_to_do() {
    let Some(mut lab) = Lab::with_etcd(&["--quota-backend-bytes=16777216"]).await else { return };
    lab.machine(1, &[]).await;
    let engine = lab.engine(1).await;
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    let mut n = 0;
    while lab.store.put("/large", vec![b'x'; 1 << 20]).await.is_ok() {
        n += 1;
        assert!(n < 100, "the quota has no effect");
    }
    let before = lab.revision().await;
    let loaded = || Wish { content: None, desired: Some(State::Loaded) };
    let err = lab.service.put_unit("a.service", loaded()).await.unwrap_err();
    assert_eq!(err.kind, ErrorKind::Unavailable, "{err:?}");
    assert!(err.message.contains("NOSPACE") && err.message.contains("compact"), "{err:?}");
    assert!(lab.service.hold(&id(1).0, Hold::Draining).await.is_err());
    assert_eq!(lab.revision().await, before, "nothing is changed");
    assert_eq!(lab.stored("a.service").await.unwrap().desired, State::Launched);
    assert_eq!(lab.service.unit("a.service").await.unwrap().name, "a.service");
    // What the error tells to do helps, and the engine goes on by itself.
    assert!(lab.store.delete("/large").await.unwrap());
    lab.programs.ctl(&lab.etcd, &["compact", &lab.revision().await.to_string()]);
    lab.programs.ctl(&lab.etcd, &["defrag"]);
    lab.programs.ctl(&lab.etcd, &["alarm", "disarm"]);
    lab.service.put_unit("a.service", loaded()).await.unwrap();
    lab.want("b.service", SLEEPER, State::Launched).await;
    lab.wait_at("b.service", 1).await;
    engine.stop().await;
}
