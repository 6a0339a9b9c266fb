//! The semaphore: the original's value, operations and their refusals, and what holds for any of them.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use expect_test::expect;
use jiff::Timestamp;
use locksmith_core::semaphore::{Error, Outcome, Refusal, SIZE_MAX, Semaphore, Slot, State, VERSIONS_MAX};
use proptest::prelude::*;
use serde_json::{Value, json};
use slots::Version;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_764_000_000 + second).unwrap()
}

fn version(n: u64) -> Version {
    format!("{n}.0.0").parse().unwrap()
}

fn slot(n: u64) -> Slot {
    Slot { since: Some(at(0)), boot: Some("b1".to_owned()), version: Some(version(n)), ..Slot::default() }
}

fn good(n: u64) -> Outcome {
    Outcome::Good { version: version(n), at: at(1) }
}

fn failed(n: u64) -> Outcome {
    Outcome::Failed {
        version: version(n),
        at: at(2),
        stage: "health-failed".to_owned(),
        reason: "docker: no answer".to_owned(),
    }
}

fn parse(text: &str) -> Semaphore {
    Semaphore::parse(text.as_bytes()).unwrap()
}

fn write(semaphore: &Semaphore) -> String {
    String::from_utf8(semaphore.to_bytes().unwrap()).unwrap()
}

fn refusal(result: Result<Semaphore, Refusal>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_fresh_value_is_the_original_s() {
    assert_eq!(write(&Semaphore::default()), r#"{"semaphore":1,"max":1,"holders":[]}"#);
    assert_eq!(parse(r#"{"semaphore":1,"max":1,"holders":null}"#), Semaphore::default());
}

#[test]
fn a_value_of_ours_has_the_documented_shape() {
    let mut slot = slot(3);
    (slot.member, slot.drained) = (Some("8e9e05c52164694d".parse().unwrap()), true);
    let semaphore = Semaphore::default().record("m2", &good(2)).lock("m1", slot).unwrap();
    let semaphore = semaphore.record("m3", &failed(4)).forgive(&version(4), "m3", at(9)).unwrap();
    let semaphore = semaphore.record("m4", &failed(5));
    let value: Value = serde_json::from_slice(&semaphore.to_bytes().unwrap()).unwrap();
    expect![[r#"
        {
          "holders": [
            "m1"
          ],
          "max": 1,
          "semaphore": 0,
          "slots": {
            "m1": {
              "boot": "b1",
              "drained": true,
              "member": "8e9e05c52164694d",
              "since": "2025-11-24T16:00:00Z",
              "version": "3.0.0"
            }
          },
          "versions": {
            "2.0.0": {
              "at": "2025-11-24T16:00:01Z",
              "by": "m2",
              "state": "good"
            },
            "4.0.0": {
              "at": "2025-11-24T16:00:09Z",
              "by": "m3",
              "forgiven": "2025-11-24T16:00:09Z",
              "state": "forgiven"
            },
            "5.0.0": {
              "at": "2025-11-24T16:00:02Z",
              "by": "m4",
              "reason": "docker: no answer",
              "stage": "health-failed",
              "state": "failed"
            }
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&value).unwrap());
    assert_eq!(parse(&write(&semaphore)), semaphore);
}

#[test]
fn what_was_read_is_counted_anew() {
    let semaphore = parse(r#"{"semaphore":7,"max":1,"holders":["m2","m1","m2"]}"#);
    assert_eq!(semaphore.available(), -1);
    assert_eq!(write(&semaphore), r#"{"semaphore":-1,"max":1,"holders":["m1","m2"]}"#);
}

#[test]
fn facts_of_machines_that_hold_nothing_are_dropped() {
    let semaphore = parse(r#"{"max":1,"holders":[],"slots":{"m1":{"boot":"b1"}}}"#);
    assert_eq!(write(&semaphore), r#"{"semaphore":1,"max":1,"holders":[]}"#);
}

#[test]
fn values_of_another_form_are_refused_with_the_field() {
    for (text, expected) in [
        (r#"[]"#, "value is not an object"),
        (r#"{}"#, "max is not a whole number"),
        (r#"{"max":1.5}"#, "max is not a whole number"),
        (r#"{"max":1,"holders":{}}"#, "holders is not a list or null"),
        (r#"{"max":1,"holders":[1]}"#, "holders is not a list of machine ids"),
        (r#"{"max":1,"holders":[""]}"#, "holders is not a list of machine ids"),
        (r#"{"max":1,"holders":["a\nb"]}"#, "holders is not a list of machine ids"),
        (r#"{"max":1,"slots":[]}"#, "slots is not an object"),
        (r#"{"max":1,"versions":0}"#, "versions is not an object"),
        (r#"{"max":1,"holders":["m"],"slots":{"m":1}}"#, "slots.m is not an object"),
        (r#"{"max":1,"holders":["m"],"slots":{"m":{"since":"x"}}}"#, "slots.m.since is not a time"),
        (r#"{"max":1,"holders":["m"],"slots":{"m":{"boot":1}}}"#, "slots.m.boot is not a text"),
        (r#"{"max":1,"holders":["m"],"slots":{"m":{"version":"x"}}}"#, "slots.m.version is not a version"),
        (
            r#"{"max":1,"holders":["m"],"slots":{"m":{"member":"x"}}}"#,
            "slots.m.member is not the hexadecimal",
        ),
        (r#"{"max":1,"holders":["m"],"slots":{"m":{"drained":1}}}"#, "slots.m.drained is not true or false"),
        (r#"{"max":1,"versions":{"1.0.0":{"state":"good"}}}"#, "versions.1.0.0.at is not a time"),
    ] {
        let found = Semaphore::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(found.starts_with(&format!("the semaphore's {expected}")), "{text}: {found}");
    }
    assert!(matches!(Semaphore::parse(b"{"), Err(Error::Json(_))));
    assert!(matches!(Semaphore::parse(&vec![b' '; SIZE_MAX + 1]), Err(Error::TooLarge { .. })));
    let many: Vec<String> = (0..1025).map(|n| format!("m{n}")).collect();
    let text = json!({ "max": 1, "holders": many }).to_string();
    assert!(matches!(Semaphore::parse(text.as_bytes()), Err(Error::TooManyHolders { found: 1025 })));
}

#[test]
fn a_value_that_nobody_could_read_is_not_written() {
    let text = json!({ "max": 1, "x": "y".repeat(SIZE_MAX - 40) }).to_string();
    let semaphore = parse(&text).lock("m1", slot(1)).unwrap();
    assert!(matches!(semaphore.to_bytes(), Err(Error::TooLarge { .. })));
}

#[test]
fn a_second_machine_is_refused_until_there_is_a_slot() {
    let held = Semaphore::default().lock("m1", Slot::default()).unwrap();
    assert_eq!(refusal(held.lock("m2", Slot::default())), "semaphore is at 0");
    assert_eq!(refusal(held.unlock("m2")), "holder does not exist");
    let more = held.set_max(2).lock("m2", Slot::default()).unwrap();
    assert_eq!(refusal(more.set_max(0).lock("m3", Slot::default())), "semaphore is at -2");
}

#[test]
fn a_holder_that_locks_again_keeps_its_slot_and_its_age() {
    let held = Semaphore::default().lock("m1", Slot { drained: true, ..slot(2) }).unwrap();
    assert_eq!(held.lock("m1", slot(2)).unwrap(), held);
    let later = Slot { since: Some(at(99)), boot: Some("b2".to_owned()), ..Slot::default() };
    let again = held.lock("m1", later).unwrap();
    let expected = Slot { boot: Some("b2".to_owned()), drained: true, ..slot(2) };
    assert_eq!(again.slot("m1"), Some(&expected));
}

#[test]
fn a_holder_of_the_original_s_locks_again() {
    let held = parse(r#"{"max":1,"holders":["m1"]}"#);
    assert_eq!(held.slot("m1"), None);
    assert_eq!(held.lock("m1", slot(2)).unwrap().slot("m1"), Some(&slot(2)));
}

#[test]
fn one_machine_tries_a_version_before_others() {
    let tried = Semaphore::default().set_max(3).lock("m1", slot(2)).unwrap();
    assert_eq!(refusal(tried.lock("m2", slot(2))), "version 2.0.0 is tried by m1 first");
    assert!(tried.lock("m2", slot(3)).is_ok());
    assert!(tried.lock("m1", slot(2)).is_ok());
    let good = tried.settle("m1", &good(2));
    let two = good.lock("m2", slot(2)).unwrap().lock("m3", slot(2)).unwrap();
    assert_eq!(two.available(), 1);
}

#[test]
fn a_version_that_failed_is_refused_before_all_else() {
    let tried = Semaphore::default().lock("m1", slot(3)).unwrap();
    let failed = tried.settle("m1", &failed(3)).set_max(0);
    let text = "version 3.0.0 failed on m1: health-failed: docker: no answer";
    assert_eq!(refusal(failed.lock("m2", slot(3))), text);
    assert_eq!(refusal(failed.lock("m2", slot(4))), "semaphore is at 0");
    let tried = tried.record("m2", &self::failed(3));
    assert_eq!(refusal(tried.lock("m1", slot(3))), text.replace("m1", "m2"));
}

#[test]
fn a_version_that_was_forgiven_is_tried_by_one_machine() {
    let semaphore = Semaphore::default().set_max(2).record("m1", &failed(3));
    let forgiven = semaphore.forgive(&version(3), "m9", at(5)).unwrap();
    assert_eq!(forgiven.forgive(&version(3), "m8", at(6)).unwrap(), forgiven);
    let tried = forgiven.lock("m2", slot(3)).unwrap();
    assert_eq!(refusal(tried.lock("m3", slot(3))), "version 3.0.0 is tried by m2 first");
    let found = refusal(forgiven.forgive(&version(4), "m9", at(5)));
    assert_eq!(found, "version 4.0.0 did not fail in this group");
    let found = refusal(forgiven.record("m2", &good(3)).forgive(&version(3), "m9", at(5)));
    assert_eq!(found, "version 3.0.0 did not fail in this group");
}

#[test]
fn the_first_failure_stays() {
    let failed = Semaphore::default().record("m1", &failed(3));
    assert_eq!(failed.record("m2", &self::failed(3)), failed);
    assert_eq!(failed.record("m2", &good(3)), failed);
    let good = Semaphore::default().record("m1", &good(3));
    assert_eq!(good.record("m2", &self::failed(3)).versions()[&version(3)].by, "m2");
}

#[test]
fn a_failure_that_was_forgiven_is_not_recorded_again() {
    let forgiven = Semaphore::default().record("m1", &failed(3)).forgive(&version(3), "m9", at(5)).unwrap();
    assert_eq!(forgiven.record("m1", &failed(3)), forgiven);
    let good = forgiven.record("m2", &good(3));
    assert_eq!(good.record("m1", &failed(3)), good);
    let Outcome::Failed { version, stage, reason, .. } = failed(3) else { unreachable!() };
    let later = Outcome::Failed { version: version.clone(), at: at(6), stage, reason };
    assert!(matches!(good.record("m1", &later).versions()[&version].state, State::Failed { .. }));
}

#[test]
fn the_newest_sixteen_versions_are_kept() {
    let all = (1..=20).fold(Semaphore::default(), |semaphore, n| semaphore.record("m1", &good(n)));
    let kept: Vec<String> = all.versions().keys().map(Version::to_string).collect();
    assert_eq!((kept.len(), kept[0].as_str(), kept[15].as_str()), (VERSIONS_MAX, "5.0.0", "20.0.0"));
}

#[test]
fn a_stale_slot_is_released_with_a_failure_of_what_it_tried() {
    let held = Semaphore::default().lock("m1", slot(3)).unwrap();
    let found = refusal(held.release_stale("m1", at(7), at(9)));
    assert_eq!(found, "holder m1 took its slot anew");
    assert_eq!(refusal(held.release_stale("m2", at(0), at(9))), "holder does not exist");
    let free = held.release_stale("m1", at(0), at(9)).unwrap();
    let expected = "version 3.0.0 failed on m1: lost: the machine did not come back";
    assert_eq!(refusal(free.lock("m2", slot(3))), expected);
    let good = held.record("m2", &good(3)).release_stale("m1", at(0), at(9)).unwrap();
    assert!(good.lock("m2", slot(3)).is_ok());
}

/// The simulation's history 2440: whoever forgave had a clock ahead of the one that finds the slot stale.
#[test]
fn a_stale_slot_counts_as_a_failure_after_a_forgiveness_of_a_clock_that_is_ahead() {
    let forgiven = Semaphore::default().record("m2", &failed(3)).forgive(&version(3), "m3", at(100)).unwrap();
    let free = forgiven.lock("m1", slot(3)).unwrap().release_stale("m1", at(0), at(9)).unwrap();
    let expected = "version 3.0.0 failed on m1: lost: the machine did not come back";
    assert_eq!(refusal(free.lock("m2", slot(3))), expected);
}

#[test]
fn a_drained_machine_whose_slot_is_taken_from_it_is_known_until_it_settles() {
    let held = Semaphore::default().lock("m1", Slot { drained: true, ..slot(3) }).unwrap();
    for taken in [held.take_away("m1").unwrap(), held.release_stale("m1", at(0), at(9)).unwrap()] {
        assert!(!taken.holds("m1") && taken.is_left_drained("m1"));
        assert_eq!(parse(&write(&taken)), taken);
        assert!(!taken.settle("m1", &Outcome::Neither).is_left_drained("m1"));
    }
    assert!(write(&held.take_away("m1").unwrap()).contains(r#""undrain":["m1"]"#));
    assert!(!held.unlock("m1").unwrap().is_left_drained("m1"));
    let plain = Semaphore::default().lock("m1", slot(3)).unwrap();
    assert_eq!(plain.take_away("m1").unwrap(), Semaphore::default());
    assert_eq!(refusal(plain.take_away("m2")), "holder does not exist");
}

#[test]
fn ids_and_texts_are_fit_for_a_terminal() {
    for id in ["", "a\nb", "\u{1b}[0m", &"x".repeat(129)] {
        assert_eq!(Semaphore::default().lock(id, Slot::default()), Err(Refusal::NotAnId));
    }
    let outcome =
        Outcome::Failed {
            version: version(1), at: at(0), stage: "a\nb".to_owned(), reason: "é".repeat(501)
        };
    let State::Failed { stage, reason } =
        Semaphore::default().record("m1", &outcome).versions()[&version(1)].state.clone()
    else {
        panic!("recorded");
    };
    assert_eq!((stage.as_str(), reason.chars().count()), ("a b", 500));
}

#[test]
fn what_is_not_ours_is_kept_at_every_level() {
    let text = json!({
        "semaphore": 0, "max": 1, "holders": ["m1"], "note": {"a": [1.5, null, 18446744073709551615_u64]},
        "slots": {"m1": {"since": "2026-11-29T01:00:00Z", "color": "red"}},
        "versions": {
            "2.0.0": {"state": "failed", "by": "m1", "at": "2026-11-29T01:00:00Z", "ticket": 7},
            "3.0.0": {"state": "paused"},
            "next": {"state": "good", "at": 1},
        },
    })
    .to_string();
    let semaphore = parse(&text).lock("m1", slot(4)).unwrap().forgive(&version(2), "m2", at(0)).unwrap();
    let semaphore = semaphore.record("m1", &good(2)).set_max(2).lock("m2", Slot::default()).unwrap();
    let value: Value = serde_json::from_str(&write(&semaphore)).unwrap();
    let was: Value = serde_json::from_str(&text).unwrap();
    for path in ["/note", "/slots/m1/color", "/versions/2.0.0/ticket", "/versions/3.0.0", "/versions/next"] {
        assert_eq!(value.pointer(path), was.pointer(path), "{path}");
        assert!(value.pointer(path).is_some(), "{path}");
    }
}

#[derive(Debug, Clone)]
enum Op {
    Lock(u8, u64),
    Unlock(u8),
    Settle(u8, Outcome),
    Forgive(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let outcome = (0_u8..3, 1_u64..4).prop_map(|(kind, n)| match kind {
        0 => good(n),
        1 => failed(n),
        _ => Outcome::Neither,
    });
    prop_oneof![
        (0_u8..6, 1_u64..4).prop_map(|(id, n)| Op::Lock(id, n)),
        (0_u8..6).prop_map(Op::Unlock),
        (0_u8..6, outcome).prop_map(|(id, outcome)| Op::Settle(id, outcome)),
        (1_u64..4).prop_map(Op::Forgive),
    ]
}

fn play(max: u32, ops: &[Op]) -> Semaphore {
    ops.iter().fold(Semaphore::default().set_max(max), |semaphore, op| {
        let next = match op {
            Op::Lock(id, n) => semaphore.lock(&format!("m{id}"), slot(*n)),
            Op::Unlock(id) => semaphore.unlock(&format!("m{id}")),
            Op::Settle(id, outcome) => Ok(semaphore.settle(&format!("m{id}"), outcome)),
            Op::Forgive(n) => semaphore.forgive(&version(*n), "m9", at(0)),
        };
        next.unwrap_or(semaphore)
    })
}

proptest! {
    #[test]
    fn unlock_undoes_lock(max in 0_u32..5, ops in prop::collection::vec(op(), 0..30)) {
        let semaphore = play(max, &ops);
        if let Ok(locked) = semaphore.lock("new", slot(1)) {
            prop_assert!(locked.holds("new"));
            prop_assert_eq!(locked.unlock("new").unwrap(), semaphore);
        }
    }

    #[test]
    fn there_are_never_more_holders_than_slots_and_one_tries_what_is_not_good(
        max in 0_u32..5,
        ops in prop::collection::vec(op(), 0..60),
    ) {
        for n in 0..=ops.len() {
            let semaphore = play(max, &ops[..n]);
            prop_assert!(0 <= semaphore.available());
        }
        // Without failures that make a good version doubtful while several machines have it.
        let lasting: Vec<Op> = ops
            .into_iter()
            .filter(|op| !matches!(op, Op::Settle(_, Outcome::Failed { .. }) | Op::Forgive(_)))
            .collect();
        for n in 0..=lasting.len() {
            let semaphore = play(max, &lasting[..n]);
            for version in (1..4).map(version).filter(|version| !semaphore.is_good(version)) {
                let tries = |slot: &Slot| slot.version.as_ref() == Some(&version);
                let tried = semaphore.holders().filter(|(_, slot)| slot.is_some_and(tries)).count();
                prop_assert!(tried <= 1, "{tried} try {version}");
            }
        }
    }

    #[test]
    fn what_is_written_reads_as_it_was(max in 0_u32..5, ops in prop::collection::vec(op(), 0..30)) {
        let semaphore = play(max, &ops);
        prop_assert_eq!(parse(&write(&semaphore)), semaphore);
    }

    #[test]
    fn foreign_fields_survive_operations(
        name in "[a-z]{1,8}x",
        number in any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()),
        ops in prop::collection::vec(op(), 0..10),
    ) {
        let text = json!({ "max": 2, &name: { "deep": [number] } }).to_string();
        let start = parse(&text);
        let end = ops.iter().fold(start, |semaphore, op| match op {
            Op::Lock(id, n) => semaphore.lock(&format!("m{id}"), slot(*n)).unwrap_or(semaphore),
            Op::Unlock(id) => semaphore.unlock(&format!("m{id}")).unwrap_or(semaphore),
            Op::Settle(id, outcome) => semaphore.settle(&format!("m{id}"), outcome),
            Op::Forgive(_) => semaphore.set_max(3),
        });
        let value: Value = serde_json::from_str(&write(&end)).unwrap();
        prop_assert_eq!(&value[&name], &json!({ "deep": [number] }));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _refused = Semaphore::parse(&bytes);
    }

    #[test]
    fn no_json_makes_it_panic_and_what_reads_is_written(
        max in -3_i64..4,
        holders in prop::collection::vec("[a-c]{0,2}", 0..4),
        field in prop::sample::select(&["since", "boot", "version", "member", "drained", "state", "at"][..]),
        value in prop_oneof![
            Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
            "[0-9a-f.TZ:-]{0,20}".prop_map(Value::from),
        ],
    ) {
        let text = json!({
            "max": max, "holders": holders, "slots": {"a": {field: value}}, "versions": {"1.0.0": {field: value}},
        });
        if let Ok(semaphore) = Semaphore::parse(text.to_string().as_bytes()) {
            prop_assert_eq!(parse(&write(&semaphore)), semaphore);
        }
    }
}
