//! Paragraphs of fields (deb822(5)): the syntax of `Packages`, `Release`, `control` and apt's `.sources`.
//!
//! ```text
//! Name: value           a field; names compare without regard to case
//!  more of the value    a line that starts with a blank continues it
//!                       an empty line ends the paragraph
//! # a comment           only where a field could start
//! ```

use thiserror::Error;

/// Longest text of one paragraph, in bytes. The longest of Debian's `Packages` is below 64 KiB, `Release`
/// with its lists of hashes below 256 KiB.
pub const PARAGRAPH_MAX: usize = 4 << 20;

/// Most fields in one paragraph.
pub const FIELDS_MAX: usize = 512;

/// Why a text is not made of paragraphs.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ControlError {
    /// A line that is neither a field, nor a continuation, nor a comment.
    #[error("line {line}: neither a field nor the continuation of one")]
    NotAField {
        /// Counted from 1.
        line: usize,
    },
    /// A continuation before any field.
    #[error("line {line}: a continuation without a field before it")]
    Orphan {
        /// Counted from 1.
        line: usize,
    },
    /// A field that the paragraph has already.
    #[error("line {line}: the field `{field}` appears twice")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// The name as written.
        field: String,
    },
    /// More than [`FIELDS_MAX`] fields or [`PARAGRAPH_MAX`] bytes.
    #[error("line {line}: the paragraph is too large")]
    TooLarge {
        /// Counted from 1.
        line: usize,
    },
}

/// One paragraph; it borrows the text that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph<'a> {
    /// Where it starts in the text, counted from 1.
    pub line: usize,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Paragraph<'a> {
    /// Returns the value of a field. Continuation lines are still in it, each after its line break.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// Returns names and values in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.fields.iter().copied()
    }
}

/// Reads paragraph after paragraph, so that an index of many megabytes is never a tree in memory.
#[derive(Debug, Clone)]
pub struct Paragraphs<'a> {
    text: &'a str,
    offset: usize,
    line: usize,
    failed: bool,
}

/// Returns the paragraphs of a text. After an error nothing follows.
pub fn paragraphs(text: &str) -> Paragraphs<'_> {
    Paragraphs { text, offset: 0, line: 0, failed: false }
}

impl<'a> Paragraphs<'a> {
    /// Returns the next line with its offset, without the line break.
    fn next_line(&mut self) -> Option<(usize, &'a str)> {
        let rest = &self.text[self.offset..];
        if rest.is_empty() {
            return None;
        }
        let start = self.offset;
        let end = rest.find('\n').unwrap_or(rest.len());
        self.offset = self.text.len().min(start + end + 1);
        self.line += 1;
        Some((start, rest[..end].trim_end_matches('\r')))
    }

    fn read(&mut self) -> Result<Option<Paragraph<'a>>, ControlError> {
        let mut paragraph = Paragraph { line: 0, fields: Vec::new() };
        let mut first = 0;
        // Name, start and end of the value of the field that may still be continued.
        let mut open: Option<(&'a str, usize, usize)> = None;
        while let Some((start, text)) = self.next_line() {
            let line = self.line;
            if text.trim().is_empty() {
                if paragraph.line == 0 {
                    continue;
                }
                break;
            }
            if text.starts_with('#') {
                continue;
            }
            let end = start + text.len();
            if paragraph.line == 0 {
                (paragraph.line, first) = (line, start);
            }
            if PARAGRAPH_MAX < end - first || FIELDS_MAX <= paragraph.fields.len() {
                return Err(ControlError::TooLarge { line });
            }
            if text.starts_with([' ', '\t']) {
                open.as_mut().ok_or(ControlError::Orphan { line })?.2 = end;
                continue;
            }
            let (name, value) = text.split_once(':').ok_or(ControlError::NotAField { line })?;
            if !is_name(name) {
                return Err(ControlError::NotAField { line });
            }
            if let Some((name, from, to)) = open.take() {
                paragraph.fields.push((name, self.text[from..to].trim()));
            }
            if paragraph.get(name).is_some() {
                return Err(ControlError::Twice { line, field: name.to_owned() });
            }
            open = Some((name, end - value.len(), end));
        }
        if let Some((name, from, to)) = open {
            if FIELDS_MAX < paragraph.fields.len() + 1 {
                return Err(ControlError::TooLarge { line: self.line });
            }
            paragraph.fields.push((name, self.text[from..to].trim()));
        }
        Ok((paragraph.line != 0).then_some(paragraph))
    }
}

/// Tells whether a name is one: printable ASCII without blank and colon, not starting like a comment.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(|byte| byte.is_ascii_graphic())
}

impl<'a> Iterator for Paragraphs<'a> {
    type Item = Result<Paragraph<'a>, ControlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let res = self.read().transpose();
        self.failed = matches!(res, Some(Err(_)));
        res
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Result<Vec<Paragraph<'_>>, ControlError> {
        paragraphs(text).collect()
    }

    #[test]
    fn reads_fields_and_continuations() {
        let read =
            all("\n# note\nPackage: a\nFiles:\n one\n two\n# between\n three\n\n\nPackage: b\r\nX: \n")
                .unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].line, 3);
        assert_eq!(read[0].get("package"), Some("a"));
        assert_eq!(read[0].get("Files").unwrap().lines().count(), 4);
        assert_eq!(read[1].get("Package"), Some("b"));
        assert_eq!(read[1].get("X"), Some(""));
        assert_eq!(read[1].get("Y"), None);
    }

    #[test]
    fn rejects_what_is_no_paragraph() {
        assert_eq!(all("hello\n"), Err(ControlError::NotAField { line: 1 }));
        assert_eq!(all("A: 1\n: 2\n"), Err(ControlError::NotAField { line: 2 }));
        assert_eq!(all("A B: 1\n"), Err(ControlError::NotAField { line: 1 }));
        assert_eq!(all(" A\n"), Err(ControlError::Orphan { line: 1 }));
        assert_eq!(all("A: 1\na: 2\n"), Err(ControlError::Twice { line: 2, field: "a".into() }));
        let many: String = (0..=FIELDS_MAX).map(|idx| format!("F{idx}: x\n")).collect();
        assert!(matches!(all(&many), Err(ControlError::TooLarge { .. })));
        let long = format!("A: {}\n", "x".repeat(PARAGRAPH_MAX));
        assert_eq!(all(&long), Err(ControlError::TooLarge { line: 1 }));
    }

    #[test]
    fn stops_after_an_error() {
        assert_eq!(paragraphs("bad\n\nA: 1\n").count(), 1);
    }

    proptest! {
        #[test]
        fn returns_what_was_written(fields in prop::collection::btree_map("[A-Z][a-z]{1,8}", "[!-~]{1,12}( [!-~]{1,5})?", 1..8)) {
            let text: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            let read = all(&text).unwrap();
            prop_assert_eq!(read.len(), 1);
            for (name, value) in &fields {
                prop_assert_eq!(read[0].get(name), Some(value.as_str()));
            }
        }

        #[test]
        fn ends_on_any_text(text in "([ -~]{0,12}\n){0,12}") {
            prop_assert!(paragraphs(&text).count() <= 13);
        }
    }
}
