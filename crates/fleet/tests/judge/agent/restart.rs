//! An agent that ends, by TERM or in the middle of anything, leaves units as they are, and the next one goes on.

use std::time::Duration;

use tokio::time::sleep;

use super::SLEEPER;
use super::lab::{HERE, Lab, TTL};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_units_lease_and_reports() {
    let Some(mut lab) = Lab::started().await else { return };
    lab.place("a.service", SLEEPER, "launched").await;
    lab.wait_reported("a.service", "active").await;
    let machine = format!("/fleet/v1/machines/{HERE}");
    let before = lab.store.get(&machine).await.unwrap().kv.unwrap();
    lab.stop().await;
    assert_eq!(lab.fake.active("a.service"), "active");
    lab.start().await;
    // What is placed afterwards is done, so the agent has seen all.
    lab.place("b.service", SLEEPER, "launched").await;
    lab.wait_reported("b.service", "active").await;
    let after = lab.store.get(&machine).await.unwrap().kv.unwrap();
    assert_eq!((after.lease, after.create_revision), (before.lease, before.create_revision));
    assert!(after.mod_revision > before.mod_revision, "what the process before sent last could come late");
    assert_eq!(lab.fake.count("start a.service"), 1);
    assert_eq!(lab.fake.count("stop a.service"), 0);
    assert_eq!(lab.report("a.service").await.unwrap()["started"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_while_no_agent_runs_is_done_by_the_next() {
    let Some(mut lab) = Lab::started().await else { return };
    lab.run(&["a.service", "b.service"]).await;
    lab.stop().await;
    lab.remove("a.service").await;
    lab.fake.fail("b.service");
    lab.start().await;
    lab.wait_gone("a.service").await;
    lab.wait_reported("b.service", "failed").await;
    assert_eq!(lab.fake.count("start b.service"), 1);
    assert_eq!(lab.counted(r#"fleet_agent_reports_total{active="failed"}"#), 1);
    assert_eq!(lab.counted(r#"fleet_agent_tasks_total{task="unload",outcome="done"}"#), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_starts_all_anew() {
    let Some(mut lab) = Lab::started().await else { return };
    lab.place("a.service", SLEEPER, "launched").await;
    lab.wait_reported("a.service", "active").await;
    lab.kill().await;
    lab.fake.boot();
    std::fs::remove_dir_all(&lab.settings.places.units).unwrap();
    std::fs::remove_file(&lab.settings.memory_file).unwrap();
    lab.settings.boot = "boot-2".to_owned();
    lab.start().await;
    lab.wait("it is started again", async || lab.fake.count("start a.service") == 2).await;
    lab.wait_reported("a.service", "active").await;
}

/// Killed at many moments while entries come, change and go. Nothing is started twice, nothing is stopped that is
/// wanted, and the last agent brings all to where it is wanted.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_in_the_middle_of_anything_is_continued() {
    let Some(mut lab) = Lab::started().await else { return };
    lab.place("steady.service", SLEEPER, "launched").await;
    lab.wait_reported("steady.service", "active").await;
    let installed = format!("{SLEEPER}[Install]\nWantedBy=multi-user.target\n");
    for round in 0_u64..24 {
        lab.place(&format!("u{round}.service"), &installed, "launched").await;
        if round >= 2 {
            lab.remove(&format!("u{}.service", round - 2)).await;
        }
        sleep(Duration::from_millis(7 * round)).await;
        lab.kill().await;
        lab.begin();
    }
    for round in 0..22 {
        lab.wait_gone(&format!("u{round}.service")).await;
    }
    for unit in ["u22.service", "u23.service", "steady.service"] {
        lab.wait_reported(unit, "active").await;
    }
    assert_eq!(lab.fake.count("stop steady.service"), 0);
    assert_eq!(lab.fake.count("start steady.service"), 1);
    let files = std::fs::read_dir(&lab.settings.places.units).unwrap().count();
    assert_eq!(files, 3);
}

/// The agent was away for longer than its lease: a unit that went elsewhere stays until it is active there.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_went_elsewhere_stays_until_it_is_active_there() {
    let Some(mut lab) = Lab::started().await else { return };
    for unit in ["moved.service", "kept.service", "destroyed.service"] {
        lab.place(unit, SLEEPER, "launched").await;
        lab.wait_reported(unit, "active").await;
    }
    lab.kill().await;
    lab.wait("the lease ends", async || lab.get(&format!("machines/{HERE}")).await.is_none()).await;
    sleep(TTL / 3).await;
    lab.move_away("moved.service", SLEEPER).await;
    lab.remove("destroyed.service").await;
    lab.start().await;
    lab.wait_gone("destroyed.service").await;
    lab.wait_reported("moved.service", "active").await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(lab.fake.active("moved.service"), "active");
    lab.report_active_there("moved.service").await;
    lab.wait_gone("moved.service").await;
    assert_eq!(lab.fake.count("stop kept.service"), 0);
    assert_eq!(lab.fake.count("start kept.service"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_went_elsewhere_and_never_comes_up_there_stays_for_the_grace_only() {
    let Some(mut lab) = Lab::started().await else { return };
    lab.place("moved.service", SLEEPER, "launched").await;
    lab.wait_reported("moved.service", "active").await;
    lab.kill().await;
    lab.wait("the lease ends", async || lab.get(&format!("machines/{HERE}")).await.is_none()).await;
    lab.move_away("moved.service", SLEEPER).await;
    let begin = tokio::time::Instant::now();
    lab.start().await;
    lab.wait_gone("moved.service").await;
    assert!(begin.elapsed() >= super::lab::GRACE, "{:?}", begin.elapsed());
}
