//! The program `fleetd`: the registry's beginning, the API on it, and a store that goes and comes.

#[path = "../fleetd/lab.rs"]
#[expect(dead_code, reason = "tests without a store use the rest")]
pub mod lab;

use etcd_lab::{Cluster, Programs};

use lab::Lab;

/// A unit that says what it is.
const UNIT: &str = r#"{"desiredState": "inactive",
    "options": [{"section": "Service", "name": "ExecStart", "value": "/usr/bin/sleep 500"}]}"#;

#[test]
fn it_serves_the_registry_from_its_beginning_and_over_restarts() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 1);
    let lab =
        Lab::new(&format!("etcd_servers={}\netcd_request_timeout=2\n", cluster.members[0].client_url()));
    let fleetd = lab.start();
    lab.ask_until("/fleet/v1/machines", 200);
    let keys = programs.ctl(&cluster.members[0], &["get", "--prefix", "--keys-only", "/fleet/v1/marker"]);
    assert_eq!(keys.trim(), "/fleet/v1/marker");
    assert_eq!(lab.ask("PUT", "/fleet/v1/units/foo.service", UNIT).status, 201);
    assert_eq!(fleetd.end(), Some(0));

    let fleetd = lab.start();
    let unit = lab.ask_until("/fleet/v1/units/foo.service", 200);
    assert!(unit.body.contains("/usr/bin/sleep 500"), "{unit:?}");
    assert_eq!(lab.ask("GET", "/fleet/v1/units/bar.service", "").status, 404);
    lab::until("the engine leads", || {
        lab.ask("GET", "/metrics", "").body.contains("fleet_engine_leads 1").then_some(())
    });

    // A store that is away, and is back.
    cluster.members[0].kill();
    lab.ask_until("/fleet/v1/units/foo.service", 503);
    cluster.members[0].start::<&str>(&[]);
    lab.ask_until("/fleet/v1/units/foo.service", 200);
    assert_eq!(fleetd.end(), Some(0));
}
