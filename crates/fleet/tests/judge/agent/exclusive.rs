//! Exclusive units: only with a claim, only with a guard, and not a moment longer than the lease surely lives.

use std::time::Duration;

use fleet::guard;
use fleet::systemd::GUARD_UNIT;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::lab::{HERE, Lab, THERE, TTL};

const EXCLUSIVE: &str = "[Service]\nExecStart=/bin/sleep 500\n[X-Fleet]\nExclusive=true\n";

/// Runs the guard whenever the service manager has started its unit, as a process of its own would run.
fn run_guard(lab: &Lab) -> tokio::task::JoinHandle<()> {
    lab.fake.install(GUARD_UNIT, "[Service]\nExecStart=/bin/fleetd guard\n");
    let (fake, path) = (std::sync::Arc::clone(&lab.fake), lab.settings.guard_file.clone());
    tokio::spawn(async move {
        loop {
            if fake.active(GUARD_UNIT) == "active" {
                match guard::run(&path, || ()).await {
                    Ok(()) => fake.finish(GUARD_UNIT),
                    Err(_) => fake.fail(GUARD_UNIT),
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_with_a_claim_and_gives_it_up_when_it_has_stopped() {
    let Some(lab) = Lab::started().await else { return };
    let guard = run_guard(&lab);
    let entry = lab.place("a.service", EXCLUSIVE, "launched").await;
    lab.wait_reported("a.service", "active").await;
    let claim = lab.get("claim/a.service").await.unwrap();
    assert_eq!((&claim["machine"], &claim["entry"]), (&json!(HERE), &json!(entry)));
    let claim = lab.store.get("/fleet/v1/claim/a.service").await.unwrap().kv.unwrap();
    assert_eq!(claim.lease, 0, "a claim outlives its machine's lease");
    lab.remove("a.service").await;
    lab.wait_gone("a.service").await;
    lab.wait("the claim is given up", async || lab.get("claim/a.service").await.is_none()).await;
    guard.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_start_while_another_machine_has_the_claim() {
    let Some(lab) = Lab::started().await else { return };
    let guard = run_guard(&lab);
    lab.put("claim/a.service", &json!({ "machine": THERE, "entry": 1 })).await;
    lab.place("a.service", EXCLUSIVE, "launched").await;
    lab.wait_reported("a.service", "inactive").await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(lab.fake.count("start a.service"), 0);
    assert_eq!(lab.get("claim/a.service").await.unwrap()["machine"], THERE);
    lab.delete("claim/a.service").await;
    lab.wait_reported("a.service", "active").await;
    guard.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_start_where_there_is_no_guard() {
    let Some(lab) = Lab::started().await else { return };
    lab.place("a.service", EXCLUSIVE, "launched").await;
    lab.wait_reported("a.service", "inactive").await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(lab.fake.count("start a.service"), 0);
    let guard = run_guard(&lab);
    lab.wait_reported("a.service", "active").await;
    guard.abort();
}

/// The machine is cut off: the guard ends before the lease does, whether the agent lives or not, and the unit with it.
/// When the machine is back and nobody took the unit, it runs again.
#[tokio::test(flavor = "multi_thread")]
async fn it_stops_before_the_lease_of_a_machine_that_is_cut_off_ends() {
    let Some(lab) = Lab::started().await else { return };
    let guard = run_guard(&lab);
    lab.place("a.service", EXCLUSIVE, "launched").await;
    lab.place("plain.service", super::SLEEPER, "launched").await;
    lab.wait_reported("a.service", "active").await;
    lab.wait_reported("plain.service", "active").await;
    lab.line.cut();
    let begin = Instant::now();
    lab.wait("it is stopped", async || lab.fake.active("a.service") == "inactive").await;
    assert!(begin.elapsed() < TTL, "{:?}", begin.elapsed());
    assert!(lab.get(&format!("machines/{HERE}")).await.is_some(), "the lease ended first");
    assert_eq!(lab.fake.active("plain.service"), "active");
    sleep(TTL).await;
    lab.line.mend();
    lab.wait_reported("a.service", "active").await;
    assert_eq!(lab.get("claim/a.service").await.unwrap()["machine"], HERE);
    assert_eq!(lab.fake.count("stop plain.service"), 0);
    guard.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_in_time_when_the_agent_was_killed() {
    let Some(mut lab) = Lab::started().await else { return };
    let guard = run_guard(&lab);
    lab.place("a.service", EXCLUSIVE, "launched").await;
    lab.wait_reported("a.service", "active").await;
    lab.kill().await;
    lab.wait("it is stopped", async || lab.fake.active("a.service") == "inactive").await;
    assert!(lab.get(&format!("machines/{HERE}")).await.is_some(), "the lease ended first");
    guard.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_through_a_restart_of_the_agent() {
    let Some(mut lab) = Lab::started().await else { return };
    let guard = run_guard(&lab);
    lab.place("a.service", EXCLUSIVE, "launched").await;
    lab.wait_reported("a.service", "active").await;
    lab.stop().await;
    lab.start().await;
    lab.place("b.service", super::SLEEPER, "launched").await;
    lab.wait_reported("b.service", "active").await;
    sleep(TTL).await;
    assert_eq!(lab.fake.active("a.service"), "active");
    assert_eq!(lab.fake.count("start a.service"), 1);
    assert_eq!(lab.fake.count("stop a.service"), 0);
    guard.abort();
}

/// Somebody revoked the lease by hand and the claim went to another machine: the unit is stopped, not started again.
#[tokio::test(flavor = "multi_thread")]
async fn it_stops_when_its_claim_is_another_machines() {
    let Some(lab) = Lab::started().await else { return };
    let guard = run_guard(&lab);
    lab.place("a.service", EXCLUSIVE, "launched").await;
    lab.wait_reported("a.service", "active").await;
    let machine = lab.store.get(&format!("/fleet/v1/machines/{HERE}")).await.unwrap().kv.unwrap();
    lab.put("claim/a.service", &json!({ "machine": THERE, "entry": 1 })).await;
    lab.store.revoke(etcd_rpc::LeaseId(machine.lease)).await.unwrap();
    lab.wait("it is stopped", async || lab.fake.active("a.service") == "inactive").await;
    sleep(TTL).await;
    assert_eq!(lab.fake.active("a.service"), "inactive");
    assert_eq!(lab.fake.count("start a.service"), 1);
    guard.abort();
}
