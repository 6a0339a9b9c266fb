//! What can be wrong with a unit file, by line.

use std::fmt;

use super::UnitOption;
use super::parse::{FILE_MAX, LINE_MAX, OPTIONS_MAX};

/// Number of a line, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line(pub usize);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.0)
    }
}

/// Why a text is no unit file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitFileError {
    /// It is too long.
    #[error("the file has {0} bytes: units have {FILE_MAX} at most; put large data into a file of its own")]
    TooLong(usize),
    /// It has too many options.
    #[error("{0}: more than {OPTIONS_MAX} options: units have fewer")]
    TooManyOptions(Line),
    /// It has no options.
    #[error("the file has no options: a service needs at least `[Service]` and `ExecStart=`")]
    Empty,
    /// A line is too long.
    #[error("{line}: {bytes} bytes: lines have {LINE_MAX} at most; continue it with a backslash at its end")]
    LongLine {
        /// Line.
        line: Line,
        /// Its length.
        bytes: usize,
    },
    /// There is a character that no text has.
    #[error("{line}: the character U+{code:04X} is no text: remove it")]
    Control {
        /// Line.
        line: Line,
        /// Its number.
        code: u32,
    },
    /// A section line does not end in `]`.
    #[error("{0}: a section without `]`: write `[Name]`")]
    OpenSection(Line),
    /// A section has no name, or one with a bracket.
    #[error("{line}: `[{name}]` is no section: write `[Name]`")]
    SectionName {
        /// Line.
        line: Line,
        /// What is between the brackets.
        name: String,
    },
    /// There is text behind a section.
    #[error("{line}: {text:?} behind a section: put it on a line of its own")]
    BehindSection {
        /// Line.
        line: Line,
        /// What is there.
        text: String,
    },
    /// A line has no `=`.
    #[error("{line}: {text:?} has no `=`: write `Name=value`, or `#` in front of a comment")]
    NoValue {
        /// Line.
        line: Line,
        /// What is there.
        text: String,
    },
    /// A line has nothing in front of its `=`.
    #[error("{0}: no name in front of `=`: write `Name=value`")]
    NoName(Line),
    /// An option comes before any section.
    #[error("{line}: {name}= is in no section: put `[Unit]` or `[Service]` above it")]
    NoSection {
        /// Line.
        line: Line,
        /// The option's name.
        name: String,
    },
    /// The last line ends in a backslash.
    #[error("{0}: a backslash at the end of the file continues nothing: remove it, or add what is missing")]
    Unfinished(Line),
    /// Blanks follow a backslash at the end of a line.
    #[error("{0}: blanks behind the backslash at the end: no line is continued by that, so remove them")]
    BlanksBehindBackslash(Line),
    /// An option cannot be written as a line.
    #[error(
        "option {name}= of section {section} would not be read back as it is: a section has no brackets, a name no `=` or `#`, a value no blanks around it and no line end without a backslash"
    )]
    Unwritable {
        /// The option's section, shortened.
        section: String,
        /// Its name, shortened.
        name: String,
    },
}

impl UnitFileError {
    /// Returns the error about an option that cannot be written.
    pub(super) fn unwritable(option: &UnitOption) -> Self {
        Self::Unwritable { section: shown(&option.section), name: shown(&option.name) }
    }
}

/// Returns as much of a text as an error shows.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
