//! Entries and global units become units of the service manager, and their states become reports.

use std::time::Duration;

use fleet::systemd::Behaviour;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::SLEEPER;
use super::lab::{HERE, Lab, wish};

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_started_stopped_and_unloaded_as_its_entry_says() {
    let Some(lab) = Lab::started().await else { return };
    let entry = lab.place("a.service", SLEEPER, "launched").await;
    lab.wait_reported("a.service", "active").await;
    let report = lab.report("a.service").await.unwrap();
    assert_eq!(report["started"], true, "{report}");
    assert_eq!(report["entry"], entry, "{report}");
    assert_eq!(report["sub"], "running", "{report}");
    lab.place("a.service", SLEEPER, "loaded").await;
    lab.wait_reported("a.service", "inactive").await;
    assert_eq!(lab.report("a.service").await.unwrap()["started"], false);
    assert!(lab.unit_file("a.service").exists());
    lab.remove("a.service").await;
    lab.wait_gone("a.service").await;
    assert_eq!(lab.fake.count("start a.service"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_and_its_reports_are_on_one_lease() {
    let Some(lab) = Lab::started().await else { return };
    lab.place("a.service", SLEEPER, "launched").await;
    lab.wait_reported("a.service", "active").await;
    let lease = async |key: &str| lab.store.get(&format!("/fleet/v1/{key}")).await.unwrap().kv.unwrap().lease;
    let of_machine = lease(&format!("machines/{HERE}")).await;
    assert_ne!(of_machine, 0);
    assert_eq!(lease(&format!("state/{HERE}/a.service")).await, of_machine);
    let machine = lab.get(&format!("machines/{HERE}")).await.unwrap();
    assert_eq!(machine["ip"], "192.0.2.7");
    assert_eq!(machine["metadata"]["region"], "us");
}

/// D07: as a machine joins, it runs the global units that suit it, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_joins_runs_the_global_units_that_suit_it() {
    let Some(mut lab) = Lab::new().await else { return };
    let of_region =
        |region: &str| format!("{SLEEPER}[X-Fleet]\nGlobal=true\nMachineMetadata=region={region}\n");
    lab.put("global/us.service", &wish(&of_region("us"), "launched")).await;
    lab.put("global/eu.service", &wish(&of_region("eu"), "launched")).await;
    let begin = Instant::now();
    lab.start().await;
    lab.wait_reported("us.service", "active").await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(!lab.unit_file("eu.service").exists());
    // The registry's metadata goes before the configured one.
    lab.put(&format!("meta/{HERE}/region"), &json!({ "value": "eu" })).await;
    lab.wait_gone("us.service").await;
    lab.wait_reported("eu.service", "active").await;
}

/// Draining moves units away; a global unit has nowhere to go, and a machine that goes away takes no new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_drains_keeps_its_global_units_and_takes_no_new_one() {
    let Some(lab) = Lab::started().await else { return };
    let global = wish(&format!("{SLEEPER}[X-Fleet]\nGlobal=true\n"), "launched");
    lab.put("global/a.service", &global).await;
    lab.wait_reported("a.service", "active").await;
    lab.put(&format!("hold/{HERE}"), &json!({ "hold": "draining" })).await;
    lab.put("global/b.service", &global).await;
    // An entry that comes later is followed: what was written before it has been read.
    lab.place("c.service", SLEEPER, "launched").await;
    lab.wait_reported("c.service", "active").await;
    assert_eq!(lab.fake.count("stop a.service"), 0);
    assert!(!lab.unit_file("b.service").exists());
    lab.delete(&format!("hold/{HERE}")).await;
    lab.wait_reported("b.service", "active").await;
    assert_eq!(lab.fake.count("start a.service"), 1);
}

/// D08, the agent's half: an instance is loaded under its own name with its specifiers as they are, for the service
/// manager to expand.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_keeps_its_name_and_its_specifiers() {
    let Some(lab) = Lab::started().await else { return };
    let content = "[Service]\nExecStart=/bin/app --number %i\n";
    lab.place("app@7.service", content, "launched").await;
    lab.wait_reported("app@7.service", "active").await;
    assert_eq!(std::fs::read_to_string(lab.unit_file("app@7.service")).unwrap(), content);
}

/// D15, the agent's half: a unit that fails is reported so, and is not started again.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_fails_is_reported_and_left_alone() {
    let Some(lab) = Lab::started().await else { return };
    lab.fake.behave("a.service", Behaviour::Fails);
    lab.place("a.service", SLEEPER, "launched").await;
    lab.wait_reported("a.service", "failed").await;
    let report = lab.report("a.service").await.unwrap();
    assert_eq!((&report["sub"], &report["started"]), (&json!("failed"), &json!(true)));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(lab.fake.count("start a.service"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_state_are_reported_within_a_second_and_together() {
    let Some(lab) = Lab::started().await else { return };
    for unit in ["a.service", "b.service"] {
        lab.place(unit, SLEEPER, "launched").await;
        lab.wait_reported(unit, "active").await;
    }
    let begin = Instant::now();
    lab.fake.fail("a.service");
    lab.wait_reported("a.service", "failed").await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(lab.report("b.service").await.unwrap()["active"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_while_nothing_changes() {
    let Some(lab) = Lab::started().await else { return };
    lab.place("a.service", SLEEPER, "launched").await;
    lab.wait_reported("a.service", "active").await;
    sleep(Duration::from_secs(1)).await;
    let before = lab.store.get("/fleet/v1/marker").await.unwrap().revision;
    sleep(super::lab::TTL * 2).await;
    assert_eq!(lab.store.get("/fleet/v1/marker").await.unwrap().revision, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_content_replaces_the_unit_after_it_has_stopped() {
    let Some(lab) = Lab::started().await else { return };
    lab.fake.behave("a.service", Behaviour::StopsSlowly);
    lab.place("a.service", SLEEPER, "launched").await;
    lab.wait_reported("a.service", "active").await;
    let other = "[Service]\nExecStart=/bin/sleep 600\n";
    lab.place("a.service", other, "launched").await;
    lab.wait_reported("a.service", "deactivating").await;
    assert_eq!(std::fs::read_to_string(lab.unit_file("a.service")).unwrap(), SLEEPER);
    lab.fake.finish("a.service");
    lab.wait("the new content runs", async || lab.fake.count("start a.service") == 2).await;
    assert_eq!(std::fs::read_to_string(lab.unit_file("a.service")).unwrap(), other);
    lab.wait_reported("a.service", "active").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_not_understood_leaves_its_unit_as_it_is() {
    let Some(lab) = Lab::started().await else { return };
    lab.place("a.service", SLEEPER, "launched").await;
    lab.wait_reported("a.service", "active").await;
    lab.put(&format!("schedule/{HERE}/a.service"), &json!("garbage")).await;
    lab.put(&format!("schedule/{HERE}/b.service"), &json!({ "content": 7 })).await;
    lab.place("c.service", SLEEPER, "launched").await;
    lab.wait_reported("c.service", "active").await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(lab.fake.active("a.service"), "active");
    assert_eq!(lab.fake.count("stop a.service"), 0);
    assert!(!lab.unit_file("b.service").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_cannot_start_does_not_keep_the_others() {
    let Some(lab) = Lab::started().await else { return };
    lab.fake.behave("a.service", Behaviour::RefusesToStart);
    lab.place("a.service", SLEEPER, "launched").await;
    lab.place("b.service", SLEEPER, "launched").await;
    lab.wait_reported("b.service", "active").await;
    lab.wait_reported("a.service", "inactive").await;
    assert_eq!(lab.report("a.service").await.unwrap()["started"], false);
    lab.fake.behave("a.service", Behaviour::Normal);
    lab.wait_reported("a.service", "active").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_that_goes_away_changes_nothing_and_is_asked_again() {
    let Some(lab) = Lab::started().await else { return };
    lab.place("a.service", SLEEPER, "launched").await;
    lab.wait_reported("a.service", "active").await;
    lab.fake.go_away("it restarts");
    lab.place("b.service", SLEEPER, "launched").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(lab.report("a.service").await.unwrap()["active"], "active");
    lab.fake.come_back();
    lab.wait_reported("b.service", "active").await;
    assert_eq!(lab.fake.count("start a.service"), 1);
}
