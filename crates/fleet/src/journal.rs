//! Lines for the journal: plain text, with the priority that systemd reads from their beginning.

use std::env;
use std::io::{self, Write as _};

/// How grave a line is, and from which verbosity on it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something does not work as it should.
    Warning,
    /// What an operator wants to know.
    Notice,
    /// What was decided; verbosity 1.
    Info,
}

/// Whether lines begin with their priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// They do: the journal reads it.
    Journal,
    /// They begin with a word: a person reads them.
    Terminal,
}

/// Writes lines to standard error.
#[derive(Debug, Clone, Copy)]
pub struct Journal {
    form: Form,
    verbosity: u32,
}

impl Journal {
    /// One that writes as it is read: systemd says by a variable that standard error is the journal.
    pub fn new(verbosity: u32) -> Self {
        let form = if env::var_os("JOURNAL_STREAM").is_some() { Form::Journal } else { Form::Terminal };
        Self { form, verbosity }
    }

    /// Returns the same one with another verbosity.
    #[must_use]
    pub fn with_verbosity(self, verbosity: u32) -> Self {
        Self { verbosity, ..self }
    }

    /// Writes a text, unless it is not asked for.
    pub fn say(self, level: Level, text: &str) {
        if level.verbosity() > self.verbosity {
            return;
        }
        // Nobody is left to tell that standard error is closed.
        let _ = io::stderr().lock().write_all(lines(self.form, level, text).as_bytes());
    }
}

impl Level {
    fn verbosity(self) -> u32 {
        match self {
            Self::Error | Self::Warning | Self::Notice => 0,
            Self::Info => 1,
        }
    }

    fn beginning(self, form: Form) -> &'static str {
        match (form, self) {
            (Form::Journal, Self::Error) => "<3>",
            (Form::Journal, Self::Warning) => "<4>",
            (Form::Journal, Self::Notice) => "<5>",
            (Form::Journal, Self::Info) => "<6>",
            (Form::Terminal, Self::Error) => "error: ",
            (Form::Terminal, Self::Warning) => "warning: ",
            (Form::Terminal, Self::Notice | Self::Info) => "",
        }
    }
}

/// Each line of a text with its beginning, because the journal takes each for an entry of its own.
fn lines(form: Form, level: Level, text: &str) -> String {
    text.lines().map(|line| format!("{}{line}\n", level.beginning(form))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_priority() {
        assert_eq!(lines(Form::Journal, Level::Warning, "one\ntwo"), "<4>one\n<4>two\n");
        assert_eq!(lines(Form::Journal, Level::Error, "one"), "<3>one\n");
    }

    #[test]
    fn a_person_reads_words() {
        assert_eq!(lines(Form::Terminal, Level::Error, "one"), "error: one\n");
        assert_eq!(lines(Form::Terminal, Level::Notice, "one"), "one\n");
    }

    #[test]
    fn decisions_are_said_when_asked_for() {
        assert!(Level::Info.verbosity() > Level::Notice.verbosity());
    }
}
