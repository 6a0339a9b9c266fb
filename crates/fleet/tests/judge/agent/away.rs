//! A store that cannot be reached, or is not what it was: what runs keeps running.

use std::time::Duration;

use tokio::time::sleep;

use super::SLEEPER;
use super::lab::{HERE, Lab, THERE, TTL, wish};

/// D11: the store is down for much longer than the lease lives. Nothing is stopped, and nothing is restarted after.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_stops_nothing_and_its_return_restarts_nothing() {
    let Some(mut lab) = Lab::started().await else { return };
    for n in 0..5 {
        lab.place(&format!("u{n}.service"), SLEEPER, "launched").await;
    }
    for n in 0..5 {
        lab.wait_reported(&format!("u{n}.service"), "active").await;
    }
    let before = lab.fake.log().len();
    lab.etcd.kill();
    sleep(TTL * 3).await;
    lab.etcd.start::<&str>(&[]);
    lab.etcd.wait_healthy();
    lab.place("after.service", SLEEPER, "launched").await;
    lab.wait_reported("after.service", "active").await;
    for n in 0..5 {
        lab.wait_reported(&format!("u{n}.service"), "active").await;
    }
    let since = lab.fake.log()[before..].to_vec();
    assert_eq!(since, ["link after.service", "reload", "start after.service"]);
    assert_eq!(lab.counted(r#"fleet_agent_tasks_total{task="start",outcome="done"}"#), 6);
    assert_eq!(lab.counted(r#"fleet_agent_tasks_total{task="stop",outcome="done"}"#), 0);
    assert_eq!(lab.counted("fleet_agent_reconnections_total"), 1);
    assert!(lab.counted(r#"fleet_agent_reports_total{active="active"}"#) >= 6);
    assert!(lab.counted(r#"fleet_agent_lease_renewals_total{outcome="failed"}"#) > 0);
    assert!(lab.counted(r#"fleet_agent_lease_renewals_total{outcome="granted"}"#) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_cut_off_for_longer_than_its_lease_keeps_its_units_and_comes_back() {
    let Some(lab) = Lab::started().await else { return };
    lab.run(&["a.service", "b.service"]).await;
    lab.line.cut();
    lab.wait("the lease ends", async || lab.get(&format!("machines/{HERE}")).await.is_none()).await;
    // What the engine does with a lost machine's unit.
    lab.move_away("a.service", SLEEPER).await;
    sleep(TTL).await;
    assert_eq!(lab.fake.active("a.service"), "active");
    lab.line.mend();
    // Its copy is not active there yet.
    lab.wait_reported("b.service", "active").await;
    lab.wait_reported("a.service", "active").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(lab.fake.count("stop a.service"), 0);
    lab.report_active_there("a.service").await;
    lab.wait_gone("a.service").await;
    assert_eq!(lab.fake.count("start b.service"), 1);
    assert_eq!(lab.fake.count("stop b.service"), 0);
}

/// D10: after a boot it has nothing left of what went elsewhere, takes the global units, and is left alone by others.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_returns_takes_what_is_placed_there_now() {
    let Some(mut lab) = Lab::started().await else { return };
    let global = format!("{SLEEPER}[X-Fleet]\nGlobal=true\n");
    lab.put("global/all.service", &wish(&global, "launched")).await;
    lab.place("moved.service", SLEEPER, "launched").await;
    lab.wait_reported("moved.service", "active").await;
    lab.wait_reported("all.service", "active").await;
    lab.kill().await;
    lab.wait("the lease ends", async || lab.get(&format!("machines/{HERE}")).await.is_none()).await;
    lab.move_away("moved.service", SLEEPER).await;
    // The power was cut: what is in memory is gone, and so are the units.
    lab.fake.boot();
    std::fs::remove_dir_all(&lab.settings.places.units).unwrap();
    std::fs::remove_file(&lab.settings.memory_file).unwrap();
    lab.settings.boot = "boot-2".to_owned();
    lab.start().await;
    lab.wait_reported("all.service", "active").await;
    assert!(!lab.unit_file("moved.service").exists());
    assert!(lab.get(&format!("schedule/{THERE}/moved.service")).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_was_compacted_while_it_was_cut_off_is_read_anew() {
    let Some(lab) = Lab::started().await else { return };
    lab.run(&["a.service", "b.service"]).await;
    lab.line.cut();
    lab.remove("a.service").await;
    let revision = lab.place("c.service", SLEEPER, "launched").await;
    lab.programs.ctl(&lab.etcd, &["compaction", &revision.to_string()]);
    lab.line.mend();
    lab.wait_reported("c.service", "active").await;
    lab.wait_gone("a.service").await;
    assert_eq!(lab.fake.count("start b.service"), 1);
    assert_eq!(lab.fake.count("stop b.service"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_its_marker_takes_nothing_away() {
    let Some(lab) = Lab::started().await else { return };
    for n in 0..3 {
        lab.place(&format!("u{n}.service"), SLEEPER, "launched").await;
        lab.wait_reported(&format!("u{n}.service"), "active").await;
    }
    let marker = lab.get("marker").await.unwrap();
    // What an operator does who restores the wrong backup.
    lab.delete("marker").await;
    for n in 0..3 {
        lab.remove(&format!("u{n}.service")).await;
    }
    // It is seen, and what is new is done all the same.
    lab.place("new.service", SLEEPER, "launched").await;
    lab.wait_reported("new.service", "active").await;
    sleep(Duration::from_secs(2)).await;
    for n in 0..3 {
        assert_eq!(lab.fake.active(&format!("u{n}.service")), "active");
    }
    lab.put("marker", &marker).await;
    for n in 0..3 {
        lab.wait_gone(&format!("u{n}.service")).await;
    }
}

/// A put whose outcome is not known: what is there is listed again, and the machine's key is written again.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_report_of_unknown_outcome_all_is_looked_at_again() {
    let Some(lab) = Lab::started().await else { return };
    lab.run(&["a.service", "b.service"]).await;
    let machine = format!("/fleet/v1/machines/{HERE}");
    let before = lab.store.get(&machine).await.unwrap().kv.unwrap();
    lab.etcd.pause();
    lab.fake.fail("a.service");
    // Longer than a request's time, shorter than the lease lives.
    sleep(Duration::from_millis(1600)).await;
    lab.etcd.resume();
    lab.wait_reported("a.service", "failed").await;
    lab.wait("the machine's key is written again", async || {
        lab.store.get(&machine).await.unwrap().kv.is_some_and(|kv| kv.version > before.version)
    })
    .await;
    let after = lab.store.get(&machine).await.unwrap().kv.unwrap();
    assert_eq!((after.lease, after.create_revision), (before.lease, before.create_revision));
    assert_eq!(lab.report("b.service").await.unwrap()["active"], "active");
}
