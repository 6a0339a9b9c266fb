//! What is said to systemd over D-Bus, judged by a stand-in that serves its interface on a socket of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "systemd/stand_in.rs"]
mod stand_in;

use std::path::Path;
use std::time::Duration;

use fleet::systemd::{Bus, Dbus, Manager as _};
use stand_in::StandIn;

/// Longer than anything takes that does not hang.
const LIMIT: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| panic!("{what}: in vain"))
}

/// Waits until what is behind is heard and nothing more comes.
async fn quiet(dbus: &Dbus) {
    while tokio::time::timeout(Duration::from_millis(300), dbus.changed()).await.is_ok() {}
}

#[tokio::test]
async fn each_request_is_the_call_that_systemd_knows() {
    let stand_in = StandIn::start();
    let dbus = Dbus::new(Bus::Peer(stand_in.path()));
    dbus.link(Path::new("/run/fleet/units/a.service")).await.unwrap();
    dbus.enable("a.service").await.unwrap();
    dbus.reload().await.unwrap();
    dbus.start("a.service").await.unwrap();
    dbus.stop("a.service").await.unwrap();
    dbus.disable("a.service").await.unwrap();
    dbus.reset_failed("a.service").await.unwrap();
    expect_test::expect![[r#"
        Subscribe
        LinkUnitFiles ["/run/fleet/units/a.service"] runtime force
        EnableUnitFiles ["a.service"] runtime force
        Reload
        StartUnit a.service replace
        StopUnit a.service replace
        DisableUnitFiles ["a.service"] runtime
        ResetFailedUnit a.service
    "#]]
    .assert_eq(&(stand_in.calls().join("\n") + "\n"));
}

#[tokio::test]
async fn states_of_all_units_come_with_one_call_and_those_not_in_memory_are_asked_about_once() {
    let stand_in = StandIn::start();
    stand_in.set("a.service", "loaded", "active", "running", "");
    stand_in.set("b.service", "loaded", "deactivating", "stop-sigterm", "stop");
    stand_in.set("c.service", "bad-setting", "inactive", "dead", "");
    stand_in.set("another.service", "loaded", "active", "running", "");
    let dbus = Dbus::new(Bus::Peer(stand_in.path()));
    let names = ["a.service", "b.service", "c.service", "d.service"].map(str::to_owned);
    let states = dbus.states(&names).await.unwrap();
    assert!(states.keys().eq(&names), "{states:?}");
    assert!(states["a.service"].is_active() && states["a.service"].job.is_none());
    assert_eq!(states["b.service"].job.as_deref(), Some("stop"));
    assert!(!states["b.service"].is_stopped());
    assert_eq!(states["c.service"].load, "bad-setting");
    assert_eq!(states["d.service"].load, "not-found");
    assert!(states["c.service"].is_stopped() && states["d.service"].is_stopped());
    assert_eq!(dbus.states(&names).await.unwrap(), states);
    dbus.reload().await.unwrap();
    stand_in.set("c.service", "loaded", "inactive", "dead", "");
    assert_eq!(dbus.states(&names).await.unwrap()["c.service"].load, "loaded");
    let by_names = r#"ListUnitsByNames ["c.service", "d.service"]"#;
    let wanted = ["Subscribe", "ListUnits", by_names, "ListUnits", "Reload", "ListUnits", by_names];
    assert_eq!(stand_in.calls(), wanted);
}

#[tokio::test]
async fn a_refusal_has_systemds_words_and_an_unknown_unit_is_told_apart() {
    let stand_in = StandIn::start();
    stand_in.refuse("a.service", "TransactionIsDestructive", "not now");
    stand_in.refuse("b.service", "NoSuchUnit", "Unit b.service not loaded.");
    let dbus = Dbus::new(Bus::Peer(stand_in.path()));
    let refused = dbus.stop("a.service").await.unwrap_err();
    assert!(!refused.is_no_such_unit());
    let text = refused.to_string();
    assert!(text.starts_with("stopping a.service: "), "{text}");
    assert!(text.contains("org.freedesktop.systemd1.TransactionIsDestructive: not now"), "{text}");
    assert!(dbus.stop("b.service").await.unwrap_err().is_no_such_unit());
}

#[tokio::test]
async fn signals_of_changes_are_told_once_for_many() {
    let stand_in = StandIn::start();
    let dbus = Dbus::new(Bus::Peer(stand_in.path()));
    dbus.reload().await.unwrap();
    quiet(&dbus).await;
    for _ in 0..200 {
        stand_in.say_state_changed("a.service").await;
    }
    within("the states changed", dbus.changed()).await;
    quiet(&dbus).await;
    stand_in.say_job_removed("a.service").await;
    within("the job is done", dbus.changed()).await;
}

/// Asking about a unit that is not in memory loads it, which is announced. A look must not cause the next one for ever.
#[tokio::test]
async fn a_look_does_not_cause_the_next_one() {
    let stand_in = StandIn::start();
    stand_in.set("a.service", "loaded", "inactive", "dead", "");
    let dbus = Dbus::new(Bus::Peer(stand_in.path()));
    let names = ["a.service".to_owned()];
    dbus.states(&names).await.unwrap();
    within("the first look is announced", dbus.changed()).await;
    quiet(&dbus).await;
    dbus.states(&names).await.unwrap();
    let told = tokio::time::timeout(Duration::from_millis(500), dbus.changed()).await;
    assert!(told.is_err(), "a look causes the next one");
}

#[tokio::test]
async fn a_unit_that_somebody_asks_about_is_no_change() {
    let stand_in = StandIn::start();
    let dbus = Dbus::new(Bus::Peer(stand_in.path()));
    dbus.reload().await.unwrap();
    quiet(&dbus).await;
    stand_in.say_unit_came_and_went("a.service").await;
    let told = tokio::time::timeout(Duration::from_millis(500), dbus.changed()).await;
    assert!(told.is_err());
}

#[tokio::test]
async fn a_manager_that_restarts_is_noticed_and_asked_again() {
    let stand_in = StandIn::start();
    let dbus = Dbus::new(Bus::Peer(stand_in.path()));
    dbus.reload().await.unwrap();
    quiet(&dbus).await;
    stand_in.hang_up();
    within("the end of the connection is told", dbus.changed()).await;
    dbus.reload().await.unwrap();
    assert_eq!(stand_in.calls(), ["Subscribe", "Reload", "Subscribe", "Reload"]);
    quiet(&dbus).await;
    stand_in.say_state_changed("a.service").await;
    within("signals are heard again", dbus.changed()).await;
}

#[tokio::test]
async fn a_manager_that_is_not_there_is_said_to_be_away() {
    let dir = tempfile::tempdir().unwrap();
    let dbus = Dbus::new(Bus::Peer(dir.path().join("none")));
    let text = dbus.reload().await.unwrap_err().to_string();
    assert!(text.starts_with("reloading units: the service manager is not reached over "), "{text}");
    assert!(text.ends_with("that fleetd runs as root"), "{text}");
}
