//! Listings in pages: each row once, all of one revision.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleet_core::model::State;

use crate::api::fake::Fake;
use crate::api::{Api, ErrorKind, Filter, Wish};
use crate::http::Limits;
use crate::http::testing::Running;

fn launched(seconds: usize) -> Wish {
    Wish {
        content: Some(format!("[Service]\nExecStart=/usr/bin/sleep {seconds}\n")),
        desired: Some(State::Launched),
    }
}

async fn with_units(count: usize) -> (Arc<Fake>, Running) {
    let fake = Arc::new(Fake::obedient(&["m1", "m2"]));
    for number in 0..count {
        fake.put_unit(&format!("u{number:03}.service"), launched(number)).await.unwrap();
    }
    let server = Running::unix(Arc::clone(&fake), Limits::default()).await;
    (fake, server)
}

#[tokio::test]
async fn two_hundred_and_fifty_units_are_seen_once_each() {
    let (_, server) = with_units(250).await;
    let mut seen = Vec::new();
    let mut pages = 0;
    let mut query = String::new();
    loop {
        let said = server.ask("GET", &format!("/fleet/v1/units{query}"), "", "").await.json();
        let rows = said["units"].as_array().unwrap();
        seen.extend(rows.iter().map(|unit| unit["name"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(token) = said.get("nextPageToken") else { break };
        query = format!("?nextPageToken={}", token.as_str().unwrap());
    }
    assert_eq!(pages, 3);
    assert_eq!(seen.len(), 250);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 250);
}

#[tokio::test]
async fn a_full_last_page_has_no_token() {
    let (_, server) = with_units(100).await;
    let said = server.ask("GET", "/fleet/v1/units", "", "").await.json();
    assert_eq!(said["units"].as_array().unwrap().len(), 100);
    assert_eq!(said.get("nextPageToken"), None);
}

#[tokio::test]
async fn pages_show_what_was_there_when_the_first_was_asked_for() {
    let (fake, server) = with_units(150).await;
    let client = server.client();
    let first = client.units(None).await.unwrap();
    fake.delete_unit("u120.service").await.unwrap();
    fake.put_unit("u000a.service", launched(1)).await.unwrap();
    fake.put_unit("u130a.service", launched(1)).await.unwrap();
    let second = client.units(first.next).await.unwrap();
    let names: Vec<&str> = second.rows.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(names.len(), 50);
    assert!(names.contains(&"u120.service") && !names.contains(&"u130a.service"), "{names:?}");
}

#[tokio::test]
async fn states_and_machines_have_pages_too() {
    let (fake, server) = with_units(5).await;
    fake.set_page_rows(2);
    let client = server.client();
    let mut names = Vec::new();
    let mut from = None;
    loop {
        let page = client.states(Filter::default(), from).await.unwrap();
        names.extend(page.rows.into_iter().map(|state| state.name));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(names, ["u000.service", "u001.service", "u002.service", "u003.service", "u004.service"]);
    fake.set_page_rows(1);
    let first = client.machines(None).await.unwrap();
    let second = client.machines(first.next.clone()).await.unwrap();
    assert_eq!((first.rows[0].id.as_str(), second.rows[0].id.as_str()), ("m1", "m2"));
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn a_token_whose_revision_is_gone_says_so() {
    let (fake, server) = with_units(150).await;
    let client = server.client();
    let first = client.units(None).await.unwrap();
    fake.delete_unit("u000.service").await.unwrap();
    fake.compact();
    let err = client.units(first.next).await.unwrap_err();
    assert_eq!(err.kind, ErrorKind::Invalid);
    assert!(err.message.contains("begin without a token"), "{err}");
}

#[tokio::test]
async fn tokens_of_others_are_refused() {
    let (_, server) = with_units(1).await;
    for (query, wanted) in [
        ("nextPageToken=ZAACAA==", "original fleet"),
        ("nextPageToken=x", "none of this server"),
        ("nextPageToken=AgAAAAAAAAECZm9v&nextPageToken=AgAAAAAAAAECZm9v", "2 times"),
    ] {
        for listing in ["units", "state", "machines"] {
            let said = server.ask("GET", &format!("/fleet/v1/{listing}?{query}"), "", "").await;
            assert_eq!(said.status, 400, "{query}");
            assert!(said.message().contains(wanted), "{said:?}");
        }
    }
}
