//! Target for the semaphore of a group.

use locksmith_core::semaphore::{Outcome, Semaphore, Slot};

/// What reads is written as it is and reads again; free slots and holders are `max`; a lock is undone by an unlock, and
/// each holder can lock again, unlock and settle.
pub fn semaphore(data: &[u8]) {
    let Ok(semaphore) = Semaphore::parse(data) else { return };
    // Written it may be larger than what was read.
    let Ok(written) = semaphore.to_bytes() else { return };
    let again = Semaphore::parse(&written).expect("a written semaphore reads");
    assert_eq!(again, semaphore);
    assert_eq!(again.to_bytes().ok(), Some(written));
    let n_holders = i64::try_from(semaphore.holders().count()).expect("a few");
    assert_eq!(semaphore.available(), semaphore.max().saturating_sub(n_holders));
    if !semaphore.holds("machine")
        && let Ok(locked) = semaphore.lock("machine", Slot::default())
    {
        assert!(0 < semaphore.available() && locked.holds("machine"));
        assert_eq!(locked.unlock("machine").as_ref(), Ok(&semaphore));
    }
    for (id, _) in semaphore.holders() {
        assert!(semaphore.lock(id, Slot::default()).is_ok_and(|next| next.holds(id)));
        assert!(semaphore.unlock(id).is_ok_and(|next| !next.holds(id)));
        assert!(semaphore.take_away(id).is_ok_and(|next| !next.holds(id)));
        let settled = semaphore.settle(id, &Outcome::Neither);
        assert!(!settled.holds(id) && !settled.is_left_drained(id));
        assert_eq!(settled.versions(), semaphore.versions());
    }
}

/// Returns inputs that the target of that name accepts; none for an unknown name.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "semaphore" => [ORIGINAL, OURS].map(|text| text.as_bytes().to_vec()).to_vec(),
        _ => vec![],
    }
}

const ORIGINAL: &str = r#"{"semaphore":1,"max":1,"holders":null}"#;
const OURS: &str = r#"{"semaphore":0,"max":2,"holders":["m1","m2"],"undrain":["m3"],"note":[1.5],
"slots":{"m1":{"since":"2026-11-29T01:00:00Z","boot":"b1","version":"2.0.0","member":"8e9e05c52164694d","drained":true}},
"versions":{"1.0.0":{"state":"good","by":"m1","at":"2026-11-28T01:00:00Z"},
"2.0.0~rc.1":{"state":"failed","by":"m2","at":"2026-11-28T01:00:00Z","stage":"health-failed","reason":"no answer"},
"3.0.0":{"state":"forgiven","by":"m2","at":"2026-11-28T01:00:00Z","forgiven":"2026-11-28T01:00:00Z"},
"next":{"state":"paused"}}}"#;
