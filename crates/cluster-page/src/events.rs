//! What happened: found by comparing two views, or told by a document with its own time.

mod compare;
mod kind;
mod ring;

use jiff::Timestamp;
use serde::Serialize;

use crate::view::View;

pub use kind::{Kind, What};
pub use ring::{RING_MAX, Ring};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When it happened, or when it was seen.
    pub at: String,
    /// What kind of thing it is.
    pub kind: Kind,
    /// What happened, in one clause.
    pub text: String,
}

/// Returns what happened between two looks, in order. Before the first look nothing was known: then it is what documents
/// themselves say of when.
pub fn events(before: Option<&View>, after: &View) -> Vec<Event> {
    let mut found = compare::told(before, after);
    if let Some(before) = before {
        found.extend(compare::seen(before, after).into_iter().map(|what| event(what, &after.at)));
    }
    found.sort_by_key(|event| event.at.parse::<Timestamp>().ok());
    found
}

fn event(what: What, at: &str) -> Event {
    Event { at: at.to_owned(), kind: what.kind(), text: what.text() }
}

#[cfg(test)]
mod tests;
