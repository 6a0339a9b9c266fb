//! `versions` and `forgive`: what became of versions in the group.

use jiff::Timestamp;
use locksmith_core::semaphore::{Semaphore, State};
use serde::Serialize;
use slots::Version;

use super::Context;
use super::failure::Failure;
use super::out::{Format, cell};
use crate::identity;

/// A version in the list of `--json`.
#[derive(Debug, Serialize)]
struct Known {
    version: String,
    state: &'static str,
    by: String,
    at: String,
    stage: Option<String>,
    reason: Option<String>,
}

/// `versions`: newest first.
pub(super) async fn list(cx: &Context) -> Result<(), Failure> {
    let semaphore = cx.store.read().await.map_err(Failure::store)?;
    let known = known(&semaphore);
    if cx.out.format == Format::Json {
        return cx.out.json(&known);
    }
    let row = |known: &Known| {
        let Known { version, state, by, at, stage, reason } = known;
        vec![
            version.clone(),
            (*state).to_owned(),
            cell(Some(by)),
            at.clone(),
            cell(stage.as_ref()),
            cell(reason.as_ref()),
        ]
    };
    let rows: Vec<_> = known.iter().map(row).collect();
    cx.out.table(&["VERSION", "STATE", "BY", "AT", "STAGE", "REASON"], &rows)
}

/// `forgive VERSION`.
pub(super) async fn forgive(cx: &Context, version: &Version) -> Result<(), Failure> {
    // An operator's computer may have no machine id.
    let by = identity::machine(&cx.host).unwrap_or_else(|_| "operator".to_owned());
    let now = Timestamp::now();
    let done = cx.store.change(|semaphore| semaphore.forgive(version, &by, now)).await;
    done.map(drop).map_err(|err| Failure::change(err, Failure::Forgive))
}

fn known(semaphore: &Semaphore) -> Vec<Known> {
    let all = semaphore.versions().iter().rev();
    all.map(|(version, record)| {
        let (stage, reason) = match &record.state {
            State::Failed { stage, reason } => (Some(stage.clone()), Some(reason.clone())),
            State::Good | State::Forgiven => (None, None),
        };
        Known {
            version: version.to_string(),
            state: record.state.name(),
            by: record.by.clone(),
            at: record.at.to_string(),
            stage,
            reason,
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_comes_first_with_why_it_failed() {
        let text = r#"{"semaphore":1,"max":1,"holders":[],"versions":{
            "2.0.0":{"state":"good","by":"m1","at":"2026-11-29T01:00:00Z"},
            "10.0.0":{"state":"failed","by":"m2","at":"2026-11-29T02:00:00Z","stage":"initrd","reason":"no disk"}}}"#;
        let known = known(&Semaphore::parse(text.as_bytes()).unwrap());
        expect_test::expect![[r#"[{"version":"10.0.0","state":"failed","by":"m2","at":"2026-11-29T02:00:00Z","stage":"initrd","reason":"no disk"},{"version":"2.0.0","state":"good","by":"m1","at":"2026-11-29T01:00:00Z","stage":null,"reason":null}]"#]]
            .assert_eq(&serde_json::to_string(&known).unwrap());
    }
}
