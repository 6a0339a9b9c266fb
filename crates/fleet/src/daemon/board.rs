//! How the parts of the program are, for `systemctl status` and for whoever asks with SIGUSR1.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;

/// How one part is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Whether it runs now.
    pub runs: bool,
    /// How often it was started anew because it ended.
    pub restarts: u64,
    /// Why it ended, or what it waits for; goes when it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What it said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// Conditions by the names of the parts. Copies are the same board.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    conditions: Mutex<BTreeMap<&'static str, Condition>>,
    changes: Notify,
}

impl Board {
    /// Changes the condition of a part.
    pub fn note(&self, part: &'static str, change: impl FnOnce(&mut Condition)) {
        change(self.lock().entry(part).or_default());
        self.0.changes.notify_one();
    }

    /// Waits until something was noted that this was not yet told of. One waits at a time.
    pub async fn changed(&self) {
        self.0.changes.notified().await;
    }

    /// Returns all conditions.
    pub fn conditions(&self) -> BTreeMap<&'static str, Condition> {
        self.lock().clone()
    }

    /// Returns one line: what is wrong, or that all is well.
    pub fn line(&self) -> String {
        let troubles: Vec<String> = self
            .lock()
            .iter()
            .filter_map(|(part, condition)| Some(format!("{part}: {}", condition.trouble.as_ref()?)))
            .collect();
        if troubles.is_empty() { "All parts run".to_owned() } else { troubles.join("; ") }
    }

    /// A thread that panicked left whole conditions.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Condition>> {
        self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_wrong_and_only_that() {
        let board = Board::default();
        assert_eq!(board.line(), "All parts run");
        board.note("api", |condition| condition.runs = true);
        board.note("engine", |condition| condition.trouble = Some("the store is away".to_owned()));
        assert_eq!(board.clone().line(), "engine: the store is away");
        board.note("engine", |condition| condition.trouble = None);
        assert_eq!(board.line(), "All parts run");
    }

    #[tokio::test]
    async fn a_change_before_the_wait_is_not_missed() {
        let board = Board::default();
        board.note("api", |condition| condition.runs = true);
        board.changed().await;
    }
}
