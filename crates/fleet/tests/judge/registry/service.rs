//! The API on the registry, as users see it.

use std::time::Duration;

use etcd_rpc::OPS_MAX;
use fleet::api::{Api, ErrorKind, Filter, MetadataChange, Put, Token, Wish};
use fleet::registry::{EntryValue, from_json};
use fleet_core::model::{Hold, State};
use fleet_core::unit_file::FILE_MAX;

use super::SLEEPER;
use super::lab::{Lab, id, name, wish, with};

const NOTHING: Wish = Wish { content: None, desired: None };

fn state(desired: State) -> Wish {
    Wish { content: None, desired: Some(desired) }
}

/// D13: 201, 204, 201 for other options, 204 for a state alone; 404 for a unit that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_says_what_became_of_it() {
    let Some(lab) = Lab::new().await else { return };
    let put = async |wish| lab.service.put_unit("a.service", wish).await;
    let kind = async |wish| put(wish).await.unwrap_err().kind;
    assert_eq!(kind(state(State::Launched)).await, ErrorKind::Conflict, "there is no file");
    assert_eq!(put(wish(SLEEPER, State::Loaded)).await, Ok(Put::Created));
    let before = lab.revision().await;
    assert_eq!(put(wish(SLEEPER, State::Loaded)).await, Ok(Put::Kept));
    // One that differs in comments only is the same.
    assert_eq!(put(wish(&format!("# why\n{SLEEPER}"), State::Loaded)).await, Ok(Put::Kept));
    assert_eq!(lab.revision().await, before, "what changes nothing writes nothing");
    assert_eq!(put(state(State::Launched)).await, Ok(Put::Kept));
    assert_eq!(lab.stored("a.service").await.unwrap().desired, State::Launched);
    let other = format!("{SLEEPER}Restart=always\n");
    assert_eq!(put(Wish { content: Some(other.clone()), desired: None }).await, Ok(Put::Replaced));
    let stored = lab.stored("a.service").await.unwrap();
    assert_eq!((stored.content, stored.desired), (other, State::Launched));
    assert_eq!(kind(NOTHING).await, ErrorKind::Conflict);
    lab.service.delete_unit("a.service").await.unwrap();
    assert_eq!(lab.service.delete_unit("a.service").await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(lab.service.unit("a.service").await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(lab.service.explain("a.service").await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let Some(lab) = Lab::new().await else { return };
    let before = lab.revision().await;
    let long = longest("x") + "# one line more\n";
    let both = with("Global=true\nMachineOf=b.service");
    let cases = [
        ("a", wish(SLEEPER, State::Loaded)),
        ("a/b.service", wish(SLEEPER, State::Loaded)),
        ("a.service", wish("no section\n", State::Loaded)),
        ("a.service", wish(&both, State::Launched)),
        ("a.service", wish(&long, State::Inactive)),
        ("a@.service", wish(SLEEPER, State::Launched)),
    ];
    for (unit, wish) in cases {
        let err = lab.service.put_unit(unit, wish).await.unwrap_err();
        assert_eq!(err.kind, ErrorKind::Invalid, "{unit}: {err:?}");
        assert!(!err.message.contains('\n') && err.message.len() < 300, "{err:?}");
    }
    assert_eq!(lab.revision().await, before);
    assert_eq!(lab.want("a@.service", SLEEPER, State::Inactive).await, Put::Created);
    let err = lab.service.put_unit("a@.service", state(State::Loaded)).await.unwrap_err();
    assert_eq!(err.kind, ErrorKind::Invalid, "{err:?}");
}

/// A file that is as long as it may be, of a character.
fn longest(character: &str) -> String {
    let mut file = "[Service]\nExecStart=/bin/a\n".to_owned();
    let line = format!("Environment={}\n", character.repeat(2_000));
    while file.len() + line.len() <= FILE_MAX {
        file += &line;
    }
    file += &"#".repeat(FILE_MAX - file.len() - 1);
    file + "\n"
}

/// The longest file that is taken, of characters that are twice as long in JSON, can be placed, changed and stopped,
/// although a change has it twice.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest_file_can_be_started_and_stopped() {
    let Some((lab, engine)) = Lab::with_machines(1).await else { return };
    assert_eq!(lab.want("long.service", &longest("\""), State::Launched).await, Put::Created);
    lab.want("z.service", SLEEPER, State::Launched).await;
    lab.wait_placed(2).await;
    assert_eq!(lab.want("long.service", &longest("'"), State::Launched).await, Put::Replaced);
    assert_eq!(lab.want("long.service", &longest("\""), State::Launched).await, Put::Replaced);
    lab.turn("long.service", State::Inactive).await;
    lab.wait_placed(1).await;
    engine.stop().await;
}

/// D14: DSTATE and STATE through the life of a unit.
#[tokio::test(flavor = "multi_thread")]
async fn states_follow_a_unit_through_its_life() {
    let Some((lab, engine)) = Lab::with_machines(1).await else { return };
    let states = async || {
        let unit = lab.service.unit("a.service").await.unwrap();
        let listed = lab.service.units(None).await.unwrap().rows.remove(0);
        assert_eq!(unit, listed, "a listing says the same");
        (unit.desired_state.unwrap(), unit.current_state.unwrap())
    };
    use State::{Inactive, Launched, Loaded};
    lab.want("a.service", SLEEPER, Inactive).await;
    assert_eq!(states().await, (Inactive, Inactive));
    lab.turn("a.service", Loaded).await;
    lab.wait_at("a.service", 1).await;
    assert_eq!(states().await, (Loaded, Inactive), "nobody has reported it yet");
    lab.report(1, "a.service", false).await;
    assert_eq!(states().await, (Loaded, Loaded));
    lab.turn("a.service", Launched).await;
    lab.report(1, "a.service", true).await;
    assert_eq!(states().await, (Launched, Launched));
    lab.turn("a.service", Loaded).await;
    lab.report(1, "a.service", false).await;
    assert_eq!(states().await, (Loaded, Loaded));
    lab.turn("a.service", Inactive).await;
    lab.wait("it is nowhere", async || lab.at("a.service").await.is_none()).await;
    assert_eq!(states().await, (Inactive, Inactive));
    lab.service.delete_unit("a.service").await.unwrap();
    assert_eq!(lab.service.units(None).await.unwrap().rows, []);
    engine.stop().await;
}

/// D13: 250 units are seen once each, as they were at one revision, whatever comes and goes in between.
#[tokio::test(flavor = "multi_thread")]
async fn pages_show_one_revision() {
    let Some(lab) = Lab::new().await else { return };
    let global = with("Global=true");
    for n in 0..250 {
        let content = if n % 7 == 0 { global.as_str() } else { SLEEPER };
        lab.want(&format!("u{n:03}.service"), content, State::Inactive).await;
    }
    let mut seen = Vec::new();
    let mut sizes = Vec::new();
    let mut from = None;
    loop {
        let page = lab.service.units(from).await.unwrap();
        sizes.push(page.rows.len());
        seen.extend(page.rows.into_iter().map(|row| row.name));
        let Some(next) = page.next else { break };
        lab.service.delete_unit(seen.last().unwrap()).await.unwrap();
        lab.want(&format!("u{:03}-new.service", 100 * sizes.len() + 50), SLEEPER, State::Inactive).await;
        from = Some(next);
    }
    let expected: Vec<String> = (0..250).map(|n| format!("u{n:03}.service")).collect();
    assert_eq!(seen, expected);
    assert_eq!(sizes, [100, 100, 50], "a full last page has no next one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_compacted_revision_is_refused_with_the_remedy() {
    let Some(lab) = Lab::new().await else { return };
    for n in 0..3 {
        lab.want(&format!("u{n}.service"), SLEEPER, State::Inactive).await;
    }
    let old = Token { revision: lab.revision().await - 1, after: "u0.service".to_owned() };
    assert_eq!(lab.service.units(Some(old.clone())).await.unwrap().rows.len(), 1);
    lab.programs.ctl(&lab.etcd, &["compaction", &lab.revision().await.to_string()]);
    let err = lab.service.units(Some(old)).await.unwrap_err();
    assert!(err.kind == ErrorKind::Invalid && err.message.contains("list again"), "{err:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_filtered_by_machine_and_unit() {
    let Some((lab, engine)) = Lab::with_machines(2).await else { return };
    for unit in ["a.service", "b.service"] {
        lab.want(unit, SLEEPER, State::Launched).await;
    }
    for (unit, at) in lab.wait_placed(2).await {
        lab.report(at[0], &unit, true).await;
    }
    let states = async |machine: Option<usize>, unit: Option<&str>| {
        let filter = Filter { machine: machine.map(|machine| id(machine).0), unit: unit.map(str::to_owned) };
        let page = lab.service.states(filter, None).await.unwrap();
        page.rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(states(None, None).await, ["a.service", "b.service"]);
    assert_eq!(states(Some(2), None).await, ["b.service"]);
    assert_eq!(states(None, Some("a.service")).await, ["a.service"]);
    assert_eq!(states(Some(2), Some("a.service")).await, Vec::<String>::new());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_changes_are_all_made_or_none() {
    let Some(mut lab) = Lab::new().await else { return };
    lab.machine(1, &[("region", "us"), ("disk", "ssd")]).await;
    let change = |key: &str, value: Option<&str>| MetadataChange {
        machine: id(1).0,
        key: key.to_owned(),
        value: value.map(str::to_owned),
    };
    let metadata = async || {
        let machine = lab.service.machines(None).await.unwrap().rows.remove(0);
        machine.metadata.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
    };
    let changes = vec![change("region", Some("")), change("disk", Some("tape")), change("rack", Some("7"))];
    let before = lab.revision().await;
    lab.service.change_metadata(changes).await.unwrap();
    assert_eq!(lab.revision().await, before + 1, "it is one transaction");
    assert_eq!(metadata().await, ["disk=tape", "rack=7"]);
    lab.service.change_metadata(vec![change("region", None), change("disk", None)]).await.unwrap();
    assert_eq!(metadata().await, ["disk=ssd", "rack=7", "region=us"]);
    let before = lab.revision().await;
    let many: Vec<_> = (0..=OPS_MAX).map(|n| change(&format!("k{n}"), Some("v"))).collect();
    for wrong in [many, vec![change("ok", Some("v")), change("a/b", Some("v"))], vec![change("", None)]] {
        assert_eq!(lab.service.change_metadata(wrong).await.unwrap_err().kind, ErrorKind::Invalid);
    }
    assert_eq!(lab.revision().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_machine_that_is_alive_is_held_but_any_is_freed() {
    let Some(mut lab) = Lab::new().await else { return };
    lab.machine(1, &[]).await;
    let hold = async || lab.service.machines(None).await.unwrap().rows.remove(0).hold;
    lab.service.hold(&id(1).0, Hold::Cordoned).await.unwrap();
    assert_eq!(hold().await.as_deref(), Some("cordoned"));
    lab.service.hold(&id(1).0, Hold::Draining).await.unwrap();
    assert_eq!(hold().await.as_deref(), Some("draining"));
    lab.service.hold(&id(1).0, Hold::None).await.unwrap();
    assert_eq!(hold().await, None);
    let err = lab.service.hold(&id(9).0, Hold::Draining).await.unwrap_err();
    assert_eq!(err.kind, ErrorKind::NotFound, "{err:?}");
    lab.service.hold(&id(9).0, Hold::None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_becomes_global_and_back_changes_its_kind_at_once() {
    let Some((lab, engine)) = Lab::with_machines(1).await else { return };
    lab.want("a.service", SLEEPER, State::Launched).await;
    lab.wait_at("a.service", 1).await;
    assert_eq!(lab.want("a.service", &with("Global=true"), State::Launched).await, Put::Replaced);
    assert_eq!(lab.stored("a.service").await, None);
    let unit = lab.service.unit("a.service").await.unwrap();
    assert_eq!((unit.current_state, unit.machine_id), (None, None));
    lab.wait("the entry is removed", async || lab.entries().await.is_empty()).await;
    assert_eq!(lab.want("a.service", SLEEPER, State::Launched).await, Put::Replaced);
    lab.wait_at("a.service", 1).await;
    assert!(lab.store.get(&lab.keys.global(&name("a.service"))).await.unwrap().kv.is_none());
    engine.stop().await;
}

/// A oneshot that has ended is marked in its entry, so that it does not run again where it is placed anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_oneshot_that_has_ended_is_not_run_again_elsewhere() {
    let Some((lab, engine)) = Lab::with_machines(2).await else { return };
    lab.want("once.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n", State::Launched).await;
    lab.wait_at("once.service", 1).await;
    lab.report_ended(1, "once.service").await;
    let entry = async |machine| {
        let key = lab.keys.entry(&id(machine), &name("once.service"));
        let kv = lab.store.get(&key).await.unwrap().kv?;
        Some(from_json::<EntryValue>(&kv.value).unwrap())
    };
    lab.wait("it is marked", async || entry(1).await.is_some_and(|entry| entry.finished)).await;
    lab.service.hold(&id(1).0, Hold::Draining).await.unwrap();
    lab.wait_at("once.service", 2).await;
    assert!(entry(2).await.unwrap().finished);
    lab.assert_still(Duration::from_secs(1)).await;
    // Who wants it anew gets it anew.
    lab.turn("once.service", State::Loaded).await;
    assert!(!entry(2).await.unwrap().finished);
    engine.stop().await;
}
