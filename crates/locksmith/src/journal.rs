//! Lines for the journal, with the priority that systemd reads from their beginning.

use std::env;
use std::error::Error;
use std::io::{self, Write as _};

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something does not work as it should.
    Warning,
    /// What an operator wants to know.
    Notice,
    /// What was seen and done; only where it is asked for.
    Debug,
}

/// Whether lines begin with their priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// They do: the journal reads it.
    Journal,
    /// They begin with a word: a person reads them.
    Terminal,
}

/// What is said at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// What an operator wants to know.
    Quiet,
    /// Everything.
    Debug,
}

/// Writes lines to standard error.
#[derive(Debug, Clone, Copy)]
pub struct Journal {
    form: Form,
    talk: Talk,
}

impl Journal {
    /// One that writes as it is read: systemd says by a variable that standard error is the journal.
    pub fn new(talk: Talk) -> Self {
        let form = if env::var_os("JOURNAL_STREAM").is_some() { Form::Journal } else { Form::Terminal };
        Self { form, talk }
    }

    /// Writes a text.
    pub fn say(self, level: Level, text: &str) {
        if level == Level::Debug && self.talk == Talk::Quiet {
            return;
        }
        // Nobody is left to tell that standard error is closed.
        let _ = io::stderr().lock().write_all(lines(self.form, level, text).as_bytes());
    }
}

impl Level {
    fn beginning(self, form: Form) -> &'static str {
        match (form, self) {
            (Form::Journal, Self::Error) => "<3>",
            (Form::Journal, Self::Warning) => "<4>",
            (Form::Journal, Self::Notice) => "<5>",
            (Form::Journal, Self::Debug) => "<7>",
            (Form::Terminal, Self::Error) => "error: ",
            (Form::Terminal, Self::Warning) => "warning: ",
            (Form::Terminal, Self::Notice | Self::Debug) => "",
        }
    }
}

/// Each line of a text with its beginning, because the journal takes each for an entry of its own.
fn lines(form: Form, level: Level, text: &str) -> String {
    text.lines().map(|line| format!("{}{line}\n", level.beginning(form))).collect()
}

/// An error with its causes, in one line.
pub fn chain(err: &dyn Error) -> String {
    let mut text = err.to_string();
    let mut next = err.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_priority_and_a_person_reads_words() {
        assert_eq!(lines(Form::Journal, Level::Warning, "one\ntwo"), "<4>one\n<4>two\n");
        assert_eq!(lines(Form::Terminal, Level::Error, "one"), "error: one\n");
        assert_eq!(lines(Form::Terminal, Level::Notice, "one"), "one\n");
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let err = "x".parse::<u8>().unwrap_err();
        let outer = io::Error::other(err);
        assert_eq!(chain(&outer), "invalid digit found in string");
        let err = semaphore_error();
        assert!(
            chain(&err).starts_with("the semaphore is not JSON") && chain(&err).contains(": EOF"),
            "{err}"
        );
    }

    fn semaphore_error() -> locksmith_core::semaphore::Error {
        locksmith_core::semaphore::Semaphore::parse(b"{").unwrap_err()
    }
}
