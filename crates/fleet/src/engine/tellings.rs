//! What the engine tells of lost machines below `lost/`, so that every machine can explain them. It is on the term's
//! lease and goes with it: what an engine knew that decides no more is nobody's knowledge.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcd_rpc::{LeaseId, Op};
use fleet_core::engine::told;
use fleet_core::moment::Moment;

use super::write::Part;
use crate::registry::{Keys, Sight, to_json};

/// Returns what makes `lost/` say what is to be told. Nothing is written while a verdict stays the same, so that a loss
/// costs a few writes, however long it lasts.
///
/// The parts compare nothing but the term: whoever holds that is the only one who writes these keys.
pub(super) fn tellings(
    keys: &Keys,
    sight: &Sight,
    lease: LeaseId,
    now: Moment,
    since_1970: Duration,
) -> Vec<Part> {
    let wanted = told(&sight.snapshot, now, since_1970);
    let is_told = |machine| sight.told.get(machine) == Some(&lease.0);
    let put = wanted.iter().filter(|(machine, told)| {
        let there = sight.snapshot.told.get(machine).filter(|_| is_told(*machine));
        !there.is_some_and(|there| there.agrees(told))
    });
    let put = put.map(|(machine, told)| Op::put_with_lease(&keys.lost(machine), to_json(told), lease));
    let over = sight.told.keys().filter(|machine| !wanted.contains_key(*machine));
    let over = over.map(|machine| Op::delete(&keys.lost(machine)));
    let part = |operation| Part { conditions: Vec::new(), operations: vec![operation] };
    put.chain(over).map(part).collect()
}

/// Returns what the machine's clock shows, which others compare with theirs; one that shows an earlier time than 1970
/// shows its beginning.
pub(super) fn since_1970() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "others are told at what time units move")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use etcd_rpc::{Change, KeyValue};
    use fleet_core::engine::Settings;

    use super::*;

    const ENTRY: &str = r#"{"content":"[Service]\nA=b\n","desired":"loaded","reason":"r"}"#;
    const OURS: LeaseId = LeaseId(7);

    fn kv(key: &str, value: &str, lease: i64) -> KeyValue {
        let (key, value) = (format!("/f/{key}"), value.into());
        KeyValue { key, value, create_revision: 1, mod_revision: 1, version: 1, lease }
    }

    /// A registry with a unit on machine `m`, which was there at second 100, and other keys.
    fn sight(others: &[KeyValue]) -> Sight {
        let mut sight = Sight::new(Keys::new("/f"), Settings::default());
        let machine = kv("machines/m", r#"{"ip":"","metadata":{},"version":"1","boot":"b"}"#, 1);
        sight.replace(&[&[kv("schedule/m/a.service", ENTRY, 0), machine], others].concat(), 1);
        sight.snapshot.observe(Moment(100_000));
        sight
    }

    fn lose(sight: &mut Sight) {
        sight.change(&[Change::Delete { key: "/f/machines/m".to_owned(), revision: 2 }], 2);
        sight.snapshot.observe(Moment(100_000));
    }

    /// What is written at a second of the engine's clock, when that of the day shows an hour more.
    fn written(sight: &mut Sight, second: u64) -> Vec<Op> {
        let now = Moment(second * 1000);
        sight.snapshot.observe(now);
        let parts = tellings(&Keys::new("/f"), sight, OURS, now, Duration::from_secs(3600 + second));
        assert!(parts.iter().all(|part| part.conditions.is_empty()));
        parts.into_iter().flat_map(|part| part.operations).collect()
    }

    fn put(value: &str) -> [Op; 1] {
        [Op::put_with_lease("/f/lost/m", value, OURS)]
    }

    const LOST: &str = r#"{"since":"1970-01-01T01:01:40Z","moves":"1970-01-01T01:02:10Z","mass":false}"#;

    #[test]
    fn a_loss_is_told_once_while_the_verdict_stays() {
        let mut sight = sight(&[]);
        assert_eq!(written(&mut sight, 100), []);
        lose(&mut sight);
        assert_eq!(written(&mut sight, 100), put(LOST));
        sight.change(&[Change::Put(kv("lost/m", LOST, OURS.0))], 3);
        assert_eq!(written(&mut sight, 101), []);
        assert_eq!(written(&mut sight, 129), []);
        let given_up = r#"{"since":"1970-01-01T01:01:40Z","moves":null,"mass":false}"#;
        assert_eq!(written(&mut sight, 130), put(given_up));
        sight.change(&[Change::Put(kv("lost/m", given_up, OURS.0))], 4);
        assert_eq!(written(&mut sight, 1000), []);
        let back = kv("machines/m", r#"{"ip":"","metadata":{},"version":"1","boot":"b"}"#, 1);
        sight.change(&[Change::Put(back)], 5);
        assert_eq!(written(&mut sight, 1000), [Op::delete("/f/lost/m")]);
    }

    #[test]
    fn what_is_not_of_this_term_or_not_understood_is_written_anew() {
        for other in [kv("lost/m", LOST, 6), kv("lost/m", LOST, 0), kv("lost/m", "x", OURS.0)] {
            let mut sight = sight(&[other]);
            assert_eq!(written(&mut sight, 100), [Op::delete("/f/lost/m")]);
            lose(&mut sight);
            assert_eq!(written(&mut sight, 100), put(LOST));
        }
    }
}
