//! What is to be said about a file: level, place, message, and what was probably meant.

use std::cmp::Reverse;
use std::fmt;

/// A place in a file; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The first character of a file: for what is wrong with all of it.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Works, and there is something to know.
    Info,
    /// Probably not what was meant; what it says is passed over.
    Warning,
    /// Cannot be done; a file with one changes nothing.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing to be said. Never holds the content of files, password hashes or keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it is.
    pub at: Position,
    /// How bad it is.
    pub level: Level,
    /// What it is.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Finding {
    /// Returns an error without a suggestion.
    pub fn error(at: Position, message: impl Into<String>) -> Self {
        Self { at, level: Level::Error, message: message.into(), suggestion: None }
    }

    /// Returns a warning without a suggestion.
    pub fn warning(at: Position, message: impl Into<String>) -> Self {
        Self { at, level: Level::Warning, message: message.into(), suggestion: None }
    }

    /// Returns an info without a suggestion.
    pub fn info(at: Position, message: impl Into<String>) -> Self {
        Self { at, level: Level::Info, message: message.into(), suggestion: None }
    }

    /// Adds what was probably meant, if anybody knows.
    #[must_use]
    pub fn suggesting(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// Returns the line for people and editors: `FILE:LINE:COLUMN: level: message`.
    pub fn line(&self, file: &str) -> String {
        let Self { at: Position { line, column }, level, message, suggestion } = self;
        let meant = suggestion.as_ref().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        format!("{file}:{line}:{column}: {level}: {message}{meant}")
    }

    /// Returns the line that `coreos-cloudinit -validate` prints.
    pub fn line_of_old(&self) -> String {
        format!("line {}: {}: {}", self.at.line, self.level, self.message)
    }
}

/// Returns a text of the file in quotes for a message: a line at most, whatever it is.
pub fn quoted(text: &str) -> String {
    const LETTERS_MAX: usize = 60;
    match text.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Keeps the worst of many findings, in the order of the file, and says how many are missing.
pub fn shorten(findings: &mut Vec<Finding>) {
    // More than these nobody reads.
    const FINDINGS_MAX: usize = 100;
    let n_more = findings.len().saturating_sub(FINDINGS_MAX);
    if n_more > 0 {
        findings.sort_by_key(|finding| (Reverse(finding.level), finding.at));
        findings.truncate(FINDINGS_MAX);
        findings.push(Finding::info(Position::START, format!("{n_more} more findings are not shown")));
    }
    // The worst first where several stand at one place.
    findings.sort_by_key(|finding| (finding.at, Reverse(finding.level)));
}

/// Returns the worst level among findings; `None` if there are none.
pub fn worst(findings: &[Finding]) -> Option<Level> {
    findings.iter().map(|finding| finding.level).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_place_level_message_and_what_was_meant() {
        let at = Position { line: 3, column: 5 };
        let finding = Finding::warning(at, "unrecognized key \"usres\"").suggesting(Some("users".to_owned()));
        assert_eq!(
            finding.line("a.yml"),
            "a.yml:3:5: warning: unrecognized key \"usres\"; did you mean `users`?"
        );
        assert_eq!(finding.line_of_old(), "line 3: warning: unrecognized key \"usres\"");
    }

    #[test]
    fn of_many_findings_the_worst_are_shown() {
        let at = |line| Position { line, column: 1 };
        let mut findings: Vec<_> = (1..=500).map(|line| Finding::warning(at(line), "w")).collect();
        findings.push(Finding::error(at(501), "e"));
        shorten(&mut findings);
        assert_eq!(findings.len(), 101);
        assert!(findings.contains(&Finding::info(at(1), "401 more findings are not shown")));
        assert_eq!(findings.last(), Some(&Finding::error(at(501), "e")));
    }

    #[test]
    fn a_long_text_is_quoted_in_part() {
        assert_eq!(quoted("a\n"), "\"a\\n\"");
        assert_eq!(quoted(&"é".repeat(1000)).chars().count(), 63);
    }

    #[test]
    fn an_error_is_worse_than_a_warning_and_that_than_an_info() {
        let at = Position::START;
        let findings = [Finding::warning(at, "a"), Finding::error(at, "b"), Finding::info(at, "c")];
        assert_eq!(worst(&findings), Some(Level::Error));
        assert_eq!(worst(&findings[..1]), Some(Level::Warning));
        assert_eq!(worst(&[]), None);
    }
}
