//! Where units go, and that a registry without differences is left alone.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::api::{Api, Look, MetadataChange};
use fleet_core::model::{Hold, State};

use super::SLEEPER;
use super::lab::{Lab, id, with};

fn loads(entries: &BTreeMap<String, Vec<usize>>) -> BTreeMap<usize, usize> {
    let mut loads = BTreeMap::new();
    for machine in entries.values().flatten() {
        *loads.entry(*machine).or_default() += 1;
    }
    loads
}

/// D02: passes go on, by the clock and by changes that matter to no unit, and none of them writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_pass_without_differences_writes_nothing() {
    let Some((lab, engine)) = Lab::with_machines(3).await else { return };
    for n in 0..9 {
        lab.want(&format!("u{n}.service"), SLEEPER, State::Launched).await;
    }
    for (unit, at) in lab.wait_placed(9).await {
        lab.report(at[0], &unit, true).await;
    }
    let passes = engine.counters.counts().passes;
    // Keep-alives of the term's lease write nothing.
    lab.assert_still(Duration::from_secs(3)).await;
    let counts = engine.counters.counts();
    assert!(counts.passes >= passes + 2, "{counts:?}");
    assert_eq!(counts.decisions, 9, "{counts:?}");
    engine.stop().await;
}

/// D03: a least loaded machine, and of those the one with the lowest id; thirty units end 10/10/10.
#[tokio::test(flavor = "multi_thread")]
async fn units_go_to_the_least_loaded_machine_with_the_lowest_id() {
    let Some((lab, engine)) = Lab::with_machines(3).await else { return };
    for (n, expected) in (0..7).zip([1, 2, 3, 1, 2, 3, 1]) {
        let unit = format!("u{n:02}.service");
        lab.want(&unit, SLEEPER, State::Launched).await;
        lab.wait_at(&unit, expected).await;
    }
    for n in 7..30 {
        lab.want(&format!("u{n:02}.service"), SLEEPER, State::Launched).await;
    }
    let entries = lab.wait_placed(30).await;
    assert_eq!(loads(&entries), BTreeMap::from([(1, 10), (2, 10), (3, 10)]));
    engine.stop().await;
}

/// D04: the fourth of units that conflict waits, with a reason, until there is a machine for it.
#[tokio::test(flavor = "multi_thread")]
async fn conflicting_units_get_a_machine_each_and_the_rest_waits_for_one() {
    let Some((mut lab, engine)) = Lab::with_machines(3).await else { return };
    for n in 1..=4 {
        lab.want(&format!("web@{n}.service"), &with("Conflicts=web@*.service"), State::Launched).await;
    }
    let entries = lab.wait_placed(3).await;
    assert_eq!(loads(&entries), BTreeMap::from([(1, 1), (2, 1), (3, 1)]));
    let waiting =
        (1..=4).map(|n| format!("web@{n}.service")).find(|unit| !entries.contains_key(unit)).unwrap();
    let row = lab.service.unit(&waiting).await.unwrap();
    assert_eq!((row.current_state, row.machine_id), (Some(State::Inactive), None));
    let explained = lab.service.explain(&waiting).await.unwrap();
    assert_eq!(explained.machines.len(), 3, "{explained:?}");
    let against = explained.machines.values().all(|reasons| reasons[0].contains("Conflicts=web@*.service"));
    assert!(against, "{explained:?}");
    lab.machine(4, &[]).await;
    lab.wait_at(&waiting, 4).await;
    engine.stop().await;
}

/// D06: both of the two keys must be the machine's; without one, the reason names the key.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_machine_with_all_metadata_is_chosen() {
    let Some(mut lab) = Lab::new().await else { return };
    lab.machine(1, &[("region", "us")]).await;
    lab.machine(2, &[("disk", "ssd")]).await;
    lab.machine(3, &[("region", "us"), ("disk", "ssd")]).await;
    let engine = lab.engine(1).await;
    let picky = with("MachineMetadata=region=us\nMachineMetadata=disk=ssd");
    lab.want("picky.service", &picky, State::Launched).await;
    lab.wait_at("picky.service", 3).await;
    // Metadata of the registry goes before the configured: it leaves, for want of a machine it is nowhere.
    let machine = id(3).0;
    let change = |value: &str| {
        let (machine, key, value) = (machine.clone(), "disk".to_owned(), Some(value.to_owned()));
        vec![MetadataChange { machine, key, value }]
    };
    lab.service.change_metadata(change("tape")).await.unwrap();
    lab.wait("it is nowhere", async || lab.at("picky.service").await.is_none()).await;
    let explained = lab.service.explain("picky.service").await.unwrap();
    assert!(explained.machines[&id(2).0][0].contains("region=us"), "{explained:?}");
    assert!(explained.machines[&id(3).0][0].contains("disk=ssd, it has disk=tape"), "{explained:?}");
    let mut other = change("ssd");
    other[0].machine = id(1).0;
    lab.service.change_metadata(other).await.unwrap();
    lab.wait_at("picky.service", 1).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_machine_is_emptied_and_takes_nothing_until_it_is_freed() {
    let Some((lab, engine)) = Lab::with_machines(2).await else { return };
    for n in 0..4 {
        lab.want(&format!("u{n}.service"), SLEEPER, State::Launched).await;
    }
    lab.wait_placed(4).await;
    lab.service.hold(&id(1).0, Hold::Draining).await.unwrap();
    lab.wait("all are on 2", async || loads(&lab.entries().await) == BTreeMap::from([(2, 4)])).await;
    lab.service.hold(&id(1).0, Hold::None).await.unwrap();
    // Nothing moves to even the load out, unless it is asked for.
    lab.assert_still(Duration::from_secs(2)).await;
    let looked = lab.service.rebalance(Look::Only).await.unwrap();
    assert_eq!(looked.len(), 2, "{looked:?}");
    lab.assert_still(Duration::from_secs(1)).await;
    assert_eq!(lab.service.rebalance(Look::AndDo).await.unwrap(), looked);
    lab.wait("it is even", async || loads(&lab.entries().await) == BTreeMap::from([(1, 2), (2, 2)])).await;
    let asked = async || lab.store.get(&lab.keys.rebalance()).await.unwrap().kv.is_some();
    lab.wait("the request is gone", async || !asked().await).await;
    for machine_move in looked {
        let at = lab.at(&machine_move.unit).await.unwrap();
        assert_eq!(id(at).0, machine_move.to);
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_destroyed_or_becomes_global_loses_its_entry() {
    let Some((lab, engine)) = Lab::with_machines(1).await else { return };
    for unit in ["destroyed.service", "global.service", "byhand.service"] {
        lab.want(unit, SLEEPER, State::Launched).await;
    }
    lab.wait_placed(3).await;
    lab.service.delete_unit("destroyed.service").await.unwrap();
    assert_eq!(lab.at("destroyed.service").await, None, "the API itself removes it");
    lab.want("global.service", &with("Global=true"), State::Launched).await;
    // A hand in the store removes the unit alone: its entry and place are orphans.
    assert!(lab.store.delete(&lab.keys.unit(&super::lab::name("byhand.service"))).await.unwrap());
    lab.wait("no entries are left", async || lab.entries().await.is_empty()).await;
    let places = async || lab.store.list(&lab.keys.places()).await.unwrap().kvs.len();
    lab.wait("no places are left", async || places().await == 0).await;
    engine.stop().await;
}
