//! Several who write at the same time.

use fleet::api::{Api, ErrorKind, Put, Wish};
use fleet::registry::{EntryValue, from_json};
use fleet_core::model::State;
use tokio::task::JoinSet;

use super::SLEEPER;
use super::lab::{Lab, client, id, name, service, wish};

/// Each of the writers changes another unit or the same one; all succeed, and what is stored is what one of them wrote.
#[tokio::test(flavor = "multi_thread")]
async fn writers_of_the_same_unit_come_one_after_another() {
    let Some(lab) = Lab::new().await else { return };
    let mut writers = JoinSet::new();
    for n in 0..8 {
        let service = service(&client(&lab.etcd.client_url()));
        let content = format!("{SLEEPER}# writer {n}\n[Unit]\nDescription={n}\n");
        writers.spawn(async move { service.put_unit("a.service", wish(&content, State::Loaded)).await });
    }
    let mut created = 0;
    while let Some(put) = writers.join_next().await {
        match put.unwrap().unwrap() {
            Put::Created => created += 1,
            Put::Replaced => {}
            Put::Kept => panic!("no two files are the same"),
        }
    }
    assert_eq!(created, 1);
    let stored = lab.stored("a.service").await.unwrap().content;
    assert!((0..8).any(|n| stored.contains(&format!("# writer {n}\n[Unit]\nDescription={n}\n"))), "{stored}");
    let kv = lab.store.get(&lab.keys.unit(&name("a.service"))).await.unwrap().kv.unwrap();
    assert_eq!(kv.version, 8, "no write was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_those_who_destroy_a_unit_did_it() {
    let Some(lab) = Lab::new().await else { return };
    lab.want("a.service", SLEEPER, State::Loaded).await;
    let mut destroyers = JoinSet::new();
    for _ in 0..6 {
        let service = service(&client(&lab.etcd.client_url()));
        destroyers.spawn(async move { service.delete_unit("a.service").await });
    }
    let mut destroyed = 0;
    while let Some(done) = destroyers.join_next().await {
        match done.unwrap() {
            Ok(()) => destroyed += 1,
            Err(err) => assert_eq!(err.kind, ErrorKind::NotFound, "{err:?}"),
        }
    }
    assert_eq!(destroyed, 1);
}

/// Users change and destroy units while the engine places them: in the end all is as it was wanted last.
#[tokio::test(flavor = "multi_thread")]
async fn users_and_the_engine_agree_in_the_end() {
    let Some((lab, engine)) = Lab::with_machines(3).await else { return };
    let mut users = JoinSet::new();
    for user in 0..3 {
        let service = service(&client(&lab.etcd.client_url()));
        users.spawn(async move {
            for round in 0..12 {
                let unit = format!("u{}.service", (user + round) % 4);
                let state = [State::Launched, State::Loaded, State::Inactive][(user * 5 + round) % 3];
                service.put_unit(&unit, wish(SLEEPER, state)).await.unwrap();
                if round % 5 == 4 {
                    // Another user may have been faster.
                    let _ = service.delete_unit(&unit).await;
                }
            }
        });
    }
    while let Some(user) = users.join_next().await {
        user.unwrap();
    }
    let agrees = async || {
        let listing = lab.store.list(&lab.keys.units()).await.unwrap();
        let entries = lab.entries().await;
        let mut wanted = 0;
        for kv in listing.kvs {
            let unit = kv.key.rsplit('/').next().unwrap().to_owned();
            let desired = lab.stored(&unit).await.unwrap().desired;
            if desired == State::Inactive {
                continue;
            }
            wanted += 1;
            let Some([machine]) = entries.get(&unit).map(Vec::as_slice) else { return false };
            let key = lab.keys.entry(&id(*machine), &name(&unit));
            let Some(entry) = lab.store.get(&key).await.unwrap().kv else { return false };
            if from_json::<EntryValue>(&entry.value).unwrap().desired != desired {
                return false;
            }
        }
        entries.len() == wanted
    };
    lab.wait("entries are as wanted", agrees).await;
    lab.assert_still(std::time::Duration::from_secs(2)).await;
    engine.stop().await;
}

/// A wish reaches the entry in the same transaction, whether an engine runs or not, and leaves where it came from.
#[tokio::test(flavor = "multi_thread")]
async fn a_wish_changes_unit_and_entry_at_one_revision_without_an_engine() {
    let Some((lab, engine)) = Lab::with_machines(2).await else { return };
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    lab.service.hold(&id(1).0, fleet_core::model::Hold::Draining).await.unwrap();
    lab.wait_at("a.service", 2).await;
    engine.stop().await;
    lab.turn("a.service", State::Loaded).await;
    let unit = lab.store.get(&lab.keys.unit(&name("a.service"))).await.unwrap().kv.unwrap();
    let entry = lab.store.get(&lab.keys.entry(&id(2), &name("a.service"))).await.unwrap().kv.unwrap();
    assert_eq!(unit.mod_revision, entry.mod_revision);
    let entry: EntryValue = from_json(&entry.value).unwrap();
    assert_eq!((entry.desired, entry.from), (State::Loaded, Some(id(1))));
    // What changes nothing writes nothing.
    let before = lab.revision().await;
    let put = lab.service.put_unit("a.service", Wish { content: None, desired: Some(State::Loaded) }).await;
    assert_eq!((put.unwrap(), lab.revision().await), (Put::Kept, before));
}
