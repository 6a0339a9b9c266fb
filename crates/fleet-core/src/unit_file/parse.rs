//! From text to options, line by line.

use std::fmt;

use super::UnitOption;

/// Most bytes of a file: etcd takes 1.5 MiB with all that is around it, and an entry has the file once more.
pub const FILE_MAX: usize = 256 << 10;
/// Most bytes of a line, as in the original.
pub const LINE_MAX: usize = 2048;
/// Most options of a file.
pub const OPTIONS_MAX: usize = 2048;

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
    #[error("{0}: no name in front of `=`")]
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
    #[error("{0}: a backslash at the end of the file: nothing continues the line")]
    Unfinished(Line),
    /// Options cannot be written as a file.
    #[error(
        "an option would not be read back as it is: names have no `=`, line end or `#`, values no line end without a backslash and no blanks around them"
    )]
    Unwritable,
}

/// Reads options and the line of each.
pub(super) fn parse(text: &str) -> Result<(Vec<UnitOption>, Vec<usize>), UnitFileError> {
    if text.len() > FILE_MAX {
        return Err(UnitFileError::TooLong(text.len()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut options, mut lines) = (Vec::new(), Vec::new());
    let mut section: Option<String> = None;
    // What `split` gives behind the last line end is no line.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut rest = text.split('\n').zip(1..).map(|(line, number)| (Line(number), line));
    while let Some((line, text)) = rest.next() {
        let trimmed = checked(line, text)?.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(behind) = trimmed.strip_prefix('[') {
            section = Some(section_name(line, behind)?);
            continue;
        }
        let mut logical = trimmed.to_owned();
        let mut last = line;
        while logical.ends_with('\\') {
            let Some((number, text)) = rest.next() else { return Err(UnitFileError::Unfinished(last)) };
            logical.push('\n');
            logical.push_str(checked(number, text)?.trim_end());
            last = number;
        }
        let Some((name, value)) = logical.split_once('=') else {
            return Err(UnitFileError::NoValue { line, text: shown(&logical) });
        };
        // A name that is continued would be two lines of something.
        let name = name.trim_end();
        if name.contains('\n') {
            return Err(UnitFileError::NoValue { line, text: shown(name) });
        }
        if name.is_empty() {
            return Err(UnitFileError::NoName(line));
        }
        let Some(section) = section.clone() else {
            return Err(UnitFileError::NoSection { line, name: shown(name) });
        };
        if options.len() == OPTIONS_MAX {
            return Err(UnitFileError::TooManyOptions(line));
        }
        // Nothing but blanks continued it: the backslash in front of them continues nothing.
        let value = value.trim_start().trim_end_matches(|last: char| last == '\\' || last.is_whitespace());
        options.push(UnitOption { section, name: name.to_owned(), value: value.to_owned() });
        lines.push(line.0);
    }
    if options.is_empty() {
        return Err(UnitFileError::Empty);
    }
    Ok((options, lines))
}

/// Returns a line without the carriage return at its end, if it is text of bounded length.
fn checked(line: Line, text: &str) -> Result<&str, UnitFileError> {
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.len() > LINE_MAX {
        return Err(UnitFileError::LongLine { line, bytes: text.len() });
    }
    match text.chars().find(|character| character.is_control() && *character != '\t') {
        Some(character) => Err(UnitFileError::Control { line, code: u32::from(character) }),
        None => Ok(text),
    }
}

fn section_name(line: Line, behind: &str) -> Result<String, UnitFileError> {
    let Some((name, rest)) = behind.split_once(']') else { return Err(UnitFileError::OpenSection(line)) };
    if !rest.is_empty() {
        return Err(UnitFileError::BehindSection { line, text: shown(rest) });
    }
    if name.is_empty() || name.contains('[') || name.trim() != name {
        return Err(UnitFileError::SectionName { line, name: shown(name) });
    }
    Ok(name.to_owned())
}

/// Returns as much of a text as an error shows.
fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_wrong_line_is_named() {
        for (text, expected) in [
            ("", "the file has no options"),
            ("[Unit]\n# nothing\n", "the file has no options"),
            ("[Unit]\nfoo\n", "line 2: \"foo\" has no `=`"),
            ("[Unit]\n=x\n", "line 2: no name in front of `=`"),
            ("A=b\n", "line 1: A= is in no section"),
            ("[Unit\nA=b\n", "line 1: a section without `]`"),
            ("[Unit] x\n", "line 1: \" x\" behind a section"),
            ("[]\n", "line 1: `[]` is no section"),
            ("[a[b]\n", "line 1: `[a[b]` is no section"),
            ("[Unit]\nA=b \\", "line 2: a backslash at the end of the file"),
            ("[Unit]\nA=b \\\n", "line 2: a backslash at the end of the file"),
            ("[Unit]\nA=\0\n", "line 2: the character U+0000 is no text"),
            ("[Unit]\nA=\u{1b}[0m\n", "line 2: the character U+001B is no text"),
            ("[Unit]\nA \\\n B=c\n", "line 2: \"A \\\\\\n B\" has no `=`"),
        ] {
            assert!(refused(text).starts_with(expected), "{text:?}: {}", refused(text));
        }
    }

    #[test]
    fn limits_are_kept() {
        let line = |bytes: usize| format!("[Unit]\nA={}\n", "x".repeat(bytes - 2));
        assert!(parse(&line(LINE_MAX)).is_ok());
        assert!(refused(&line(LINE_MAX + 1)).starts_with("line 2: 2049 bytes"));
        let options = |count: usize| format!("[Unit]\n{}", "A=b\n".repeat(count));
        assert!(parse(&options(OPTIONS_MAX)).is_ok());
        assert!(refused(&options(OPTIONS_MAX + 1)).starts_with("line 2050: more than"));
        assert!(refused(&"#".repeat(FILE_MAX + 1)).starts_with("the file has 262145 bytes"));
    }

    #[test]
    fn line_ends_of_others_and_a_byte_order_mark_are_read() {
        let (options, lines) = parse("\u{feff}[Unit]\r\nA = b\t\r\nC=\r\n").unwrap();
        assert_eq!(options[0].value, "b");
        assert_eq!(options[1].value, "");
        assert_eq!(lines, [2, 3]);
    }
}
