//! From text to options, line by line.

use super::UnitOption;
use super::error::{Line, UnitFileError, shown};

/// Most bytes of a file: etcd takes 1.5 MiB with all that is around it, and an entry has the file once more.
pub const FILE_MAX: usize = 256 << 10;
/// Most bytes of a line, as in the original.
pub const LINE_MAX: usize = 2048;
/// Most options of a file.
pub const OPTIONS_MAX: usize = 2048;

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
        let text = checked(line, text)?;
        let trimmed = text.trim();
        if trimmed.is_empty() || is_comment(text) {
            continue;
        }
        if let Some(behind) = trimmed.strip_prefix('[') {
            section = Some(section_name(line, behind)?);
            continue;
        }
        let (mut logical, mut last) = (trimmed.to_owned(), line);
        let mut is_open = continues(line, text)?;
        while is_open {
            let Some((number, text)) = rest.next() else { return Err(UnitFileError::Unfinished(last)) };
            let text = checked(number, text)?;
            logical.push('\n');
            logical.push_str(text.trim_end());
            // The service manager passes over comments between the lines of a value.
            is_open = is_comment(text) || continues(number, text)?;
            if !is_open && text.trim().is_empty() {
                logical.truncate(settled(&logical).len());
            }
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
        options.push(UnitOption { section, name: name.to_owned(), value: value.trim().to_owned() });
        lines.push(line.0);
    }
    if options.is_empty() {
        return Err(UnitFileError::Empty);
    }
    Ok((options, lines))
}

/// Whether a line is a comment.
pub(crate) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

/// Whether the next line belongs to this one: an odd number of backslashes is at its end, as two are one that is meant.
fn continues(line: Line, text: &str) -> Result<bool, UnitFileError> {
    let trimmed = text.trim_end();
    match has_open_end(trimmed) {
        true if trimmed.len() < text.len() => Err(UnitFileError::BlanksBehindBackslash(line)),
        is_open => Ok(is_open),
    }
}

fn has_open_end(text: &str) -> bool {
    (text.len() - text.trim_end_matches('\\').len()) % 2 == 1
}

/// Returns a value that an empty line ended without the backslashes and comments that would continue it.
fn settled(logical: &str) -> &str {
    let mut value = logical.trim_end();
    loop {
        value = match value.rsplit_once('\n') {
            Some((before, last)) if is_comment(last) => before.trim_end(),
            _ if has_open_end(value) => value[..value.len() - 1].trim_end(),
            _ => return value,
        };
    }
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
            ("[Unit]\nA=b \\\n# c\n", "line 3: a backslash at the end of the file"),
            ("[Unit]\nA=b \\ \n", "line 2: blanks behind the backslash"),
            ("[Unit]\nA=b \\\n c \\\t\n", "line 3: blanks behind the backslash"),
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

    fn values(text: &str) -> Vec<String> {
        parse(text).unwrap().0.into_iter().map(|option| option.value).collect()
    }

    #[test]
    fn comments_between_the_lines_of_a_value_do_not_end_it() {
        assert_eq!(values("[S]\nA=b \\\n# c\n  d\nE=f\n"), ["b \\\n# c\n  d", "f"]);
        assert_eq!(values("[S]\nA=b \\\n; c \\\n  d\n"), ["b \\\n; c \\\n  d"]);
    }

    #[test]
    fn an_empty_line_ends_a_value_for_good() {
        for text in ["[S]\nA=b \\\n\nE=f\n", "[S]\nA=b \\\n# c\n \nE=f\n", "[S]\nA=b \\ \\\n\nE=f\n"] {
            assert_eq!(values(text), ["b", "f"], "{text:?}");
        }
    }

    #[test]
    fn two_backslashes_are_one_that_is_meant() {
        assert_eq!(values("[S]\nA=b\\\\\nE=f\n"), ["b\\\\", "f"]);
        assert_eq!(values("[S]\nA=b\\\\\\\nE=f\n"), ["b\\\\\\\nE=f"]);
    }
}
