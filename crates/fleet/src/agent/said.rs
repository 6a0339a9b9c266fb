//! Warnings of the agent that are said once while they last, so that a journal shows when something began and not each try.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::journal::{Journal, Level};

/// What was said, by what it is about.
#[derive(Debug)]
pub(super) struct Said {
    journal: Journal,
    lasting: BTreeMap<String, String>,
}

impl Said {
    /// Nothing was said yet.
    pub(super) fn new(journal: Journal) -> Self {
        Self { journal, lasting: BTreeMap::new() }
    }

    /// Says `text` whatever was said before.
    pub(super) fn each_time(&self, text: impl Display) {
        self.journal.say(Level::Warning, &format!("agent: {text}"));
    }

    /// Says `text` about `subject`, unless that was the last that was said about it. Returns whether it was news.
    pub(super) fn warn(&mut self, subject: &str, text: String) -> bool {
        if self.lasting.get(subject) == Some(&text) {
            return false;
        }
        self.each_time(&text);
        self.lasting.insert(subject.to_owned(), text);
        true
    }

    /// Says what is wrong with several things of a kind, and that it is over with the others of that kind.
    pub(super) fn only(&mut self, kind: &str, wrong: &BTreeMap<String, String>) {
        let subject = |name: &str| format!("{kind} {name}");
        let lasting = self.lasting.keys().filter_map(|known| known.strip_prefix(kind)?.strip_prefix(' '));
        let over: Vec<String> = lasting.filter(|name| !wrong.contains_key(*name)).map(subject).collect();
        for known in over {
            self.over(&known);
        }
        for (name, why) in wrong {
            self.warn(&subject(name), format!("{name}: {why}"));
        }
    }

    /// Says that what was said about `subject` is over. Returns whether anything was.
    pub(super) fn over(&mut self, subject: &str) -> bool {
        let was = self.lasting.remove(subject);
        if let Some(text) = &was {
            self.journal.say(Level::Notice, &format!("agent: over: {text}"));
        }
        was.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_said_once_while_it_lasts() {
        let mut said = Said::new(Journal::new(0));
        assert!(said.warn("store", "away".to_owned()));
        assert!(!said.warn("store", "away".to_owned()));
        assert!(said.warn("store", "full".to_owned()));
        assert!(said.warn("unit", "full".to_owned()));
        assert!(said.over("store"));
        assert!(!said.over("store"));
        assert!(said.warn("store", "full".to_owned()));
    }

    #[test]
    fn what_is_no_longer_wrong_with_one_of_several_is_over() {
        let mut said = Said::new(Journal::new(0));
        let wrong = |names: &[&str]| {
            names.iter().map(|name| ((*name).to_owned(), "does not start".to_owned())).collect()
        };
        said.only("unit", &wrong(&["a", "b"]));
        said.only("key", &wrong(&["a"]));
        said.only("unit", &wrong(&["b"]));
        assert!(!said.over("unit a"));
        assert!(said.over("unit b"));
        assert!(said.over("key a"));
    }
}
