//! A registry of a thousand machines and twenty thousand units.

use std::time::Duration;

use etcd_rpc::{Op, Txn};
use fleet::registry::{MachineValue, UnitValue, to_json};
use fleet_core::model::State;
use tokio::time::Instant;

use super::SLEEPER;
use super::lab::{Lab, id, name};

const MACHINES: usize = 1_000;
const UNITS: usize = 20_000;
/// As many as a transaction of etcd takes.
const AT_ONCE: usize = 100;

async fn fill(lab: &Lab, rows: Vec<(String, Vec<u8>)>) {
    for rows in rows.chunks(AT_ONCE) {
        let put = |txn: Txn, (key, value): &(String, Vec<u8>)| txn.then(Op::put(key, value.clone()));
        lab.store.txn(rows.iter().fold(Txn::new(), put)).await.unwrap();
    }
}

/// How long it takes is printed (`--nocapture`); what is asserted leaves room for slow machines.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute, and says more where nothing else runs"]
async fn twenty_thousand_units_are_placed_evenly_and_a_pass_is_fast() {
    let Some(lab) = Lab::new().await else { return };
    let machine = |n: usize| {
        let value = MachineValue {
            ip: String::new(),
            metadata: [("rack".to_owned(), (n % 40).to_string())].into(),
            version: "1.0.0".to_owned(),
            boot: "boot".to_owned(),
        };
        (lab.keys.machine(&id(n)), to_json(&value))
    };
    fill(&lab, (1..=MACHINES).map(machine).collect()).await;
    let unit = |n: usize| {
        let content = match n % 10 {
            0 => format!("{SLEEPER}[X-Fleet]\nMachineMetadata=rack={}\n", n % 40),
            1 => format!("{SLEEPER}[X-Fleet]\nConflicts=web@{n}-*.service\n"),
            _ => SLEEPER.to_owned(),
        };
        let value = UnitValue { content, desired: State::Launched };
        (lab.keys.unit(&name(&format!("web@{n}.service"))), to_json(&value))
    };
    fill(&lab, (0..UNITS).map(unit).collect()).await;
    let begun = Instant::now();
    let engine = lab.engine(1).await;
    while engine.counters.counts().decisions < 20_000 {
        assert!(begun.elapsed() < Duration::from_secs(300), "{:?}", engine.counters.counts());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let placed = begun.elapsed();
    let entries = lab.entries().await;
    assert_eq!(entries.len(), UNITS);
    let mut loads = vec![0; MACHINES + 1];
    for at in entries.values() {
        loads[at[0]] += 1;
    }
    assert!(loads[1..].iter().all(|load| (15..=25).contains(load)), "{loads:?}");
    // A pass is made only when its own writes were all heard of.
    let written = engine.counters.counts().passes;
    lab.wait("it has heard of them", async || engine.counters.counts().passes > written).await;
    let heard = begun.elapsed() - placed;
    lab.assert_still(Duration::from_secs(3)).await;
    let still = engine.counters.counts();
    lab.want("one-more.service", SLEEPER, State::Launched).await;
    let begun = Instant::now();
    lab.wait("one more is placed", async || engine.counters.counts().decisions > still.decisions).await;
    let one_more = begun.elapsed();
    let counts = engine.counters.counts();
    let mean =
        Duration::from_micros((counts.pass_micros - still.pass_micros) / (counts.passes - still.passes));
    eprintln!("{UNITS} units on {MACHINES} machines: placed in {placed:?}, heard of in {heard:?} more");
    eprintln!("one more in {one_more:?}, a pass in {mean:?}");
    assert!(mean < Duration::from_secs(5), "a pass takes {mean:?}");
    engine.stop().await;
}
