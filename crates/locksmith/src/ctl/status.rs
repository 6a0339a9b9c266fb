//! `status`: the slots of the group.

use std::collections::BTreeSet;

use jiff::Timestamp;
use locksmith_core::semaphore::{Semaphore, Slot};
use serde::Serialize;

use super::failure::Failure;
use super::out::{Format, cell};
use super::{Context, liveness};

/// The document of `--json`; `docs/operating/locksmith.md` describes it.
#[derive(Debug, Serialize)]
struct Document {
    group: String,
    available: i64,
    max: i64,
    holders: Vec<Holder>,
}

#[derive(Debug, Serialize)]
struct Holder {
    id: String,
    since: Option<String>,
    age_secs: Option<u64>,
    version: Option<String>,
    member: Option<String>,
    drained: bool,
    boot: Option<String>,
    alive: Option<bool>,
}

/// Shows it. Only whoever wants details has fleet asked.
pub(super) async fn run(cx: &Context, verbose: bool) -> Result<(), Failure> {
    let semaphore = cx.store.read().await.map_err(Failure::store)?;
    let has_holders = semaphore.holders().next().is_some();
    let details = verbose || cx.out.format == Format::Json;
    let alive = if details && has_holders { liveness::machines().await } else { None };
    let document = document(&cx.group, &semaphore, alive.as_ref(), Timestamp::now());
    match cx.out.format {
        Format::Json => cx.out.json(&document),
        Format::Text if verbose => {
            cx.out.text(&head(&document))?;
            if has_holders { cx.out.table(&NAMES, &rows(&document)) } else { Ok(()) }
        }
        Format::Text => cx.out.text(&text(&document)),
    }
}

fn document(
    group: &str,
    semaphore: &Semaphore,
    alive: Option<&BTreeSet<String>>,
    now: Timestamp,
) -> Document {
    let holder = |(id, slot): (&str, Option<&Slot>)| {
        let since = slot.and_then(|slot| slot.since);
        Holder {
            id: id.to_owned(),
            since: since.map(|since| since.to_string()),
            // A clock that is behind the one that wrote it makes no negative age.
            age_secs: since.map(|since| u64::try_from(now.duration_since(since).as_secs()).unwrap_or(0)),
            version: slot.and_then(|slot| slot.version.as_ref()).map(ToString::to_string),
            member: slot.and_then(|slot| slot.member).map(|member| member.to_string()),
            drained: slot.is_some_and(|slot| slot.drained),
            boot: slot.and_then(|slot| slot.boot.clone()),
            alive: alive.map(|alive| alive.contains(id)),
        }
    };
    Document {
        group: group.to_owned(),
        available: semaphore.available(),
        max: semaphore.max(),
        holders: semaphore.holders().map(holder).collect(),
    }
}

fn head(document: &Document) -> String {
    let blank = if document.holders.is_empty() { "" } else { "\n" };
    format!("Available: {}\nMax: {}\n{blank}", document.available, document.max)
}

/// The original's lines, to the letter.
fn text(document: &Document) -> String {
    let title = if document.holders.is_empty() { "" } else { "MACHINE ID\n" };
    let holders: String = document.holders.iter().map(|holder| format!("{}\n", holder.id)).collect();
    format!("{}{title}{holders}", head(document))
}

const NAMES: [&str; 6] = ["MACHINE ID", "SINCE", "AGE", "VERSION", "MEMBER", "IN FLEET"];

fn rows(document: &Document) -> Vec<Vec<String>> {
    let row = |holder: &Holder| {
        vec![
            holder.id.clone(),
            cell(holder.since.as_ref()),
            cell(holder.age_secs.map(age)),
            cell(holder.version.as_ref()),
            cell(holder.member.as_ref()),
            cell(holder.alive.map(|alive| if alive { "yes" } else { "no" })),
        ]
    };
    document.holders.iter().map(row).collect()
}

fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn semaphore() -> Semaphore {
        let text = r#"{"semaphore":0,"max":2,"holders":["m2","m1"],
            "slots":{"m1":{"since":"2026-11-29T01:00:00Z","boot":"b","version":"2.0.0","member":"1f","drained":true}}}"#;
        Semaphore::parse(text.as_bytes()).unwrap()
    }

    fn shown(semaphore: &Semaphore) -> Document {
        let alive = ["m1".to_owned()].into();
        document("", semaphore, Some(&alive), "2026-11-29T01:30:00Z".parse().unwrap())
    }

    #[test]
    fn without_holders_there_are_two_lines() {
        assert_eq!(text(&shown(&Semaphore::default())), "Available: 1\nMax: 1\n");
    }

    #[test]
    fn holders_are_listed_below_a_title() {
        assert_eq!(text(&shown(&semaphore())), "Available: 0\nMax: 2\n\nMACHINE ID\nm1\nm2\n");
    }

    #[test]
    fn details_are_told_as_far_as_they_are_known() {
        let rows = rows(&shown(&semaphore()));
        assert_eq!(rows[0], ["m1", "2026-11-29T01:00:00Z", "30m", "2.0.0", "1f", "yes"]);
        assert_eq!(rows[1], ["m2", "-", "-", "-", "-", "no"]);
    }

    #[test]
    fn the_document_has_the_documented_shape() {
        let text = serde_json::to_string(&shown(&semaphore())).unwrap();
        expect_test::expect![[
            r#"{"group":"","available":0,"max":2,"holders":[{"id":"m1","since":"2026-11-29T01:00:00Z","age_secs":1800,"version":"2.0.0","member":"1f","drained":true,"boot":"b","alive":true},{"id":"m2","since":null,"age_secs":null,"version":null,"member":null,"drained":false,"boot":null,"alive":false}]}"#
        ]]
        .assert_eq(&text);
    }
}
