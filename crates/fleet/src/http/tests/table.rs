//! The specification's table of methods, row by row, as clients of the original see it.

use std::sync::Arc;

use serde_json::json;

use crate::api::fake::Fake;
use crate::api::{Api, Error, ErrorKind, Move};
use crate::http::testing::Running;
use crate::http::{Limits, SERVER};

const UNIT: &str = "/fleet/v1/units/a.service";
const SLEEP: &str = r#"{"desiredState":"inactive","options":[{"section":"Service","name":"ExecStart","value":"/usr/bin/sleep 500"}]}"#;
const OTHER: &str = r#"{"options":[{"section":"Service","name":"ExecStart","value":"/usr/bin/sleep 9"}]}"#;

async fn serve(fake: Fake) -> (Arc<Fake>, Running) {
    let fake = Arc::new(fake);
    let server = Running::unix(Arc::clone(&fake), Limits::default()).await;
    (fake, server)
}

#[tokio::test]
async fn empty_listings_are_empty_objects() {
    let (_, server) = serve(Fake::new()).await;
    for path in ["units", "state", "machines"] {
        for prefix in ["/fleet/v1", "/v1-alpha"] {
            let said = server.ask("GET", &format!("{prefix}/{path}"), "", "").await;
            assert_eq!((said.status, said.body.as_str()), (200, "{}"), "{path}");
            assert!(said.head.contains("content-type: application/json"), "{}", said.head);
            assert!(said.head.contains(&format!("server: {SERVER}")), "{}", said.head);
        }
    }
}

#[tokio::test]
async fn a_unit_is_put_kept_replaced_and_deleted() {
    let (_, server) = serve(Fake::new()).await;
    let said = server.put(UNIT, SLEEP).await;
    assert_eq!((said.status, said.body.as_str()), (201, ""));
    let said = server.put(UNIT, SLEEP).await;
    assert_eq!((said.status, said.body.as_str()), (204, ""));
    assert_eq!(server.put(UNIT, r#"{"desiredState":"loaded"}"#).await.status, 204);
    let unit = server.ask("GET", UNIT, "", "").await.json();
    assert_eq!(unit["desiredState"], "loaded");
    assert_eq!(unit["currentState"], "inactive");
    assert_eq!(
        unit["options"],
        json!([{ "section": "Service", "name": "ExecStart", "value": "/usr/bin/sleep 500" }])
    );
    assert_eq!(unit.get("machineID"), None);
    // Other options replace the content and leave what is wanted.
    assert_eq!(server.put(UNIT, OTHER).await.status, 201);
    let unit = server.ask("GET", UNIT, "", "").await.json();
    assert_eq!(unit["options"][0]["value"], "/usr/bin/sleep 9");
    assert_eq!(unit["desiredState"], "loaded");
    assert_eq!(server.ask("DELETE", UNIT, "", "").await.status, 204);
    assert_eq!(server.ask("DELETE", UNIT, "", "").await.status, 404);
    let said = server.ask("GET", UNIT, "", "").await;
    assert_eq!(said.status, 404);
    assert!(said.message().contains("does not exist"), "{said:?}");
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_written() {
    let (_, server) = serve(Fake::new()).await;
    let content = "# Why.\n[Service]\n\nExecStart=/bin/true\n";
    let said = server.put(UNIT, &json!({ "content": content }).to_string()).await;
    assert_eq!(said.status, 201);
    let unit = server.ask("GET", UNIT, "", "").await.json();
    assert_eq!(unit["content"], content);
    assert_eq!(unit["options"][0]["value"], "/bin/true");
    // What was read can be sent back.
    assert_eq!(server.put(UNIT, &unit.to_string()).await.status, 204);
}

#[tokio::test]
async fn a_put_that_wants_nothing_conflicts() {
    let (_, server) = serve(Fake::new()).await;
    let said = server.put(UNIT, r#"{"desiredState":"launched","options":[]}"#).await;
    assert_eq!(said.status, 409);
    assert!(said.message().contains("unit does not exist"), "{said:?}");
    assert_eq!(server.put(UNIT, SLEEP).await.status, 201);
    let said = server.put(UNIT, "{}").await;
    assert_eq!(said.status, 409);
    assert!(said.message().contains("DesiredState"), "{said:?}");
}

#[tokio::test]
async fn a_put_that_is_wrong_is_refused() {
    let (fake, server) = serve(Fake::new()).await;
    let long = format!("/fleet/v1/units/{}.service", "a".repeat(257));
    for (path, body, wanted) in [
        ("/fleet/v1/units/noend", SLEEP, "noend"),
        ("/fleet/v1/units/a.conf", SLEEP, "a.conf"),
        (long.as_str(), SLEEP, "25"),
        (UNIT, "{", "JSON"),
        (UNIT, r#"{"name":"b.service"}"#, "differs from unit name"),
        (UNIT, r#"{"desiredState":"running"}"#, "running"),
        (
            UNIT,
            r#"{"options":[{"section":"X-Fleet","name":"Global","value":"true"},{"section":"X-Fleet","name":"MachineOf","value":"b.service"}]}"#,
            "MachineOf",
        ),
    ] {
        let said = server.put(path, body).await;
        assert_eq!(said.status, 400, "{path} {body}: {said:?}");
        assert!(said.message().contains(wanted), "{said:?}");
    }
    let said = server.put("/fleet/v1/units/t@.service", &SLEEP.replace("inactive", "launched")).await;
    assert_eq!(said.status, 400);
    assert!(said.message().contains("cannot activate template"), "{said:?}");
    assert_eq!(fake.units(None).await.unwrap().rows, []);
}

#[tokio::test]
async fn a_put_says_once_that_it_is_json() {
    let (_, server) = serve(Fake::new()).await;
    for headers in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/json\r\nContent-Type: application/json\r\n",
        "Content-Type: application/json; charset=utf-8\r\n",
    ] {
        let said = server.ask("PUT", UNIT, headers, SLEEP).await;
        assert_eq!(said.status, 415, "{headers}");
        assert!(said.message().contains("application/json"), "{said:?}");
    }
}

#[tokio::test]
async fn states_are_listed_filtered_and_found() {
    let (_, server) = serve(Fake::obedient(&["m1", "m2"])).await;
    for name in ["a", "b", "c"] {
        let body = SLEEP.replace("inactive", "launched");
        assert_eq!(server.put(&format!("/fleet/v1/units/{name}.service"), &body).await.status, 201);
    }
    let all = server.ask("GET", "/fleet/v1/state", "", "").await.json();
    assert_eq!(all["states"].as_array().unwrap().len(), 3);
    let state = server.ask("GET", "/fleet/v1/state/a.service", "", "").await.json();
    assert_eq!(state, all["states"][0]);
    assert_eq!(state["machineID"], "m1");
    assert_eq!(state["systemdActiveState"], "active");
    assert_eq!(state["hash"].as_str().unwrap().len(), 40);
    let rows = async |query: &str| {
        let said = server.ask("GET", &format!("/fleet/v1/state?{query}"), "", "").await.json();
        let rows = said["states"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rows("machineID=m1").await, ["a.service", "c.service"]);
    assert_eq!(rows("unitName=b.service").await, ["b.service"]);
    assert_eq!(rows("machineID=m1&unitName=b.service").await, [""; 0]);
    assert_eq!(server.ask("GET", "/fleet/v1/state/d.service", "", "").await.status, 404);
    let unit = server.ask("GET", UNIT, "", "").await.json();
    assert_eq!((&unit["currentState"], &unit["machineID"]), (&json!("launched"), &json!("m1")));
}

#[tokio::test]
async fn metadata_is_patched_all_or_none() {
    let (_, server) = serve(Fake::obedient(&["m1"])).await;
    let metadata =
        async || server.ask("GET", "/fleet/v1/machines", "", "").await.json()["machines"][0].clone();
    assert_eq!(metadata().await, json!({ "id": "m1", "primaryIP": "10.0.0.1" }));
    let patch = r#"[{"op":"add","path":"/m1/metadata/region","value":"us"},
        {"op":"replace","path":"/m1/metadata/disk","value":{"value":"ssd"}},
        {"op":"add","path":"/unknown/metadata/region","value":"eu"}]"#;
    let said = server.ask("PATCH", "/fleet/v1/machines", "", patch).await;
    assert_eq!((said.status, said.body.as_str()), (204, ""));
    assert_eq!(metadata().await["metadata"], json!({ "region": "us", "disk": "ssd" }));
    let half = r#"[{"op":"remove","path":"/m1/metadata/region"},{"op":"test","path":"/m1/metadata/disk"}]"#;
    assert_eq!(server.ask("PATCH", "/fleet/v1/machines", "", half).await.status, 400);
    assert_eq!(metadata().await["metadata"], json!({ "region": "us", "disk": "ssd" }));
    let remove = r#"[{"op":"remove","path":"/m1/metadata/region"}]"#;
    assert_eq!(server.ask("PATCH", "/fleet/v1/machines", "", remove).await.status, 204);
    assert_eq!(metadata().await["metadata"], json!({ "disk": "ssd" }));
}

#[tokio::test]
async fn machines_are_held_units_explained_and_the_load_evened_out() {
    let (fake, server) = serve(Fake::obedient(&["m1"])).await;
    let hold = "/fleet/v1/machines/m1/hold";
    assert_eq!(server.put(hold, r#"{"hold":"draining"}"#).await.status, 204);
    let machines = server.ask("GET", "/fleet/v1/machines", "", "").await.json();
    assert_eq!(machines["machines"][0]["hold"], "draining");
    assert_eq!(server.put("/fleet/v1/machines/m9/hold", r#"{"hold":"cordoned"}"#).await.status, 404);
    assert_eq!(server.put(UNIT, &SLEEP.replace("inactive", "launched")).await.status, 201);
    let said = server.ask("GET", "/fleet/v1/units/a.service/explain", "", "").await.json();
    assert_eq!(said["machines"], json!({ "m1": ["it is draining"] }));
    assert_eq!(server.ask("GET", "/fleet/v1/units/b.service/explain", "", "").await.status, 404);
    let moved = Move { unit: "a.service".to_owned(), from: "m1".to_owned(), to: "m2".to_owned() };
    fake.set_moves(vec![moved]);
    let wanted = json!({ "moves": [{ "unit": "a.service", "from": "m1", "to": "m2" }] });
    assert_eq!(server.ask("POST", "/fleet/v1/rebalance?dryRun=true", "", "").await.json(), wanted);
    assert_eq!(fake.rebalances(), 0);
    assert_eq!(server.ask("POST", "/fleet/v1/rebalance", "", "").await.json(), wanted);
    assert_eq!(fake.rebalances(), 1);
}

#[tokio::test]
async fn discovery_and_metrics_are_there() {
    let (_, server) = serve(Fake::new()).await;
    let document = server.ask("GET", "/v1-alpha/discovery", "", "").await.json();
    assert_eq!(document["basePath"], "/v1-alpha/");
    assert_eq!(document["discoveryVersion"], "v1");
    assert_eq!(server.ask("GET", UNIT, "", "").await.status, 404);
    let said = server.ask("GET", "/metrics", "", "").await;
    assert!(said.head.contains("content-type: text/plain; version=0.0.4"), "{}", said.head);
    let counted = r#"fleet_http_requests_total{route="units/{unitName}",method="GET",status="404"} 1"#;
    assert!(said.body.contains(counted), "{}", said.body);
    assert!(said.body.contains("fleet_http_connections 1\n"), "{}", said.body);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let (_, server) = serve(Fake::new()).await;
    for (verb, path, allow) in [
        ("POST", "/fleet/v1/units", "GET"),
        ("POST", UNIT, "GET, PUT, DELETE"),
        ("PUT", "/fleet/v1/machines", "GET, PATCH"),
        ("BREW", "/fleet/v1/state", "GET"),
        ("DELETE", "/metrics", "GET"),
        ("GET", "/fleet/v1/rebalance", "POST"),
        ("GET", "/", ""),
    ] {
        let said = server.ask(verb, path, "", "").await;
        assert_eq!(said.status, 405, "{verb} {path}");
        assert!(said.head.contains(&format!("\r\nallow: {}", allow.to_lowercase())), "{}", said.head);
        assert_eq!(said.json()["error"]["code"], 405);
    }
    let said = server.ask("HEAD", "/fleet/v1/units", "", "").await;
    assert_eq!((said.status, said.body.as_str()), (405, ""));
    // Whatever clients make up is one series.
    let counted = r#"fleet_http_requests_total{route="other",method="OTHER",status="405"} 8"#;
    assert!(server.metrics.text().contains(counted), "{}", server.metrics.text());
    for path in ["/fleet/v1", "/fleet/v1/jobs", "/units", "/fleet/v1/units/"] {
        let said = server.ask("GET", path, "", "").await;
        assert_eq!(said.status, 404, "{path}");
        assert!(said.message().contains("discovery"), "{said:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_503_but_metrics_stay() {
    let (fake, server) = serve(Fake::new()).await;
    fake.set_trouble(Some(Error::new(ErrorKind::Unavailable, "etcd has no leader: start its members")));
    let patch = r#"[{"op":"remove","path":"/m1/metadata/region"}]"#;
    for (verb, path, body) in [
        ("GET", "/fleet/v1/units", ""),
        ("GET", UNIT, ""),
        ("PUT", UNIT, SLEEP),
        ("DELETE", UNIT, ""),
        ("GET", "/fleet/v1/units/a.service/explain", ""),
        ("GET", "/fleet/v1/state", ""),
        ("GET", "/fleet/v1/state/a.service", ""),
        ("GET", "/fleet/v1/machines", ""),
        ("PATCH", "/fleet/v1/machines", patch),
        ("PUT", "/fleet/v1/machines/m1/hold", r#"{"hold":"none"}"#),
        ("POST", "/fleet/v1/rebalance", ""),
    ] {
        let said = server.ask(verb, path, "Content-Type: application/json\r\n", body).await;
        assert_eq!(said.status, 503, "{verb} {path}");
        assert_eq!(
            said.message(),
            "fleet server unable to communicate with etcd: etcd has no leader: start its members"
        );
    }
    assert_eq!(server.ask("GET", "/metrics", "", "").await.status, 200);
    assert_eq!(server.ask("GET", "/fleet/v1/discovery", "", "").await.status, 200);
    fake.set_trouble(None);
    assert_eq!(server.ask("GET", "/fleet/v1/units", "", "").await.status, 200);
}
