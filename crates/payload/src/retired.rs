//! The list of retired keys: comment lines, and one key id a line.

use std::collections::BTreeSet;

use crate::digest::ParseDigestError;
use crate::key::KeyId;

/// Longest list in bytes: more keys than anybody has retired.
const FILE_MAX: usize = 64 << 10;

/// Why a text is no list of retired keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetiredError {
    /// Larger than any list.
    #[error("a list of retired keys has at most {FILE_MAX} bytes, this one has {found}")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// A line is neither a comment nor a key id.
    #[error("line {line}: no key id")]
    Id {
        /// Number of the line, from 1.
        line: usize,
        /// The cause.
        #[source]
        source: ParseDigestError,
    },
}

/// Reads a list. One with a line that is not understood is refused whole: whoever cannot read it must not
/// trust a key that it may name.
pub fn parse_retired(text: &str) -> Result<BTreeSet<KeyId>, RetiredError> {
    if FILE_MAX < text.len() {
        return Err(RetiredError::TooLong { found: text.len() });
    }
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, text)| !text.is_empty() && !text.starts_with('#'))
        .map(|(line, text)| text.parse().map_err(|source| RetiredError::Id { line, source }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ids_between_comments() {
        let (a, b) = (KeyId([1; 16]), KeyId([2; 16]));
        assert_eq!(parse_retired(&format!("# lost\n{b}\r\n\n  {a}  \n{a}")).unwrap(), [a, b].into());
        assert_eq!(parse_retired("").unwrap(), [].into());
    }

    #[test]
    fn rejects_what_is_no_id_with_its_line() {
        let id = KeyId([1; 16]);
        for text in [format!("{id}\nx"), format!("{id}\n{id}0"), format!("{id}\n{id} # why")] {
            assert!(matches!(parse_retired(&text), Err(RetiredError::Id { line: 2, .. })), "{text}");
        }
        let long = "#".repeat(FILE_MAX + 1);
        assert_eq!(parse_retired(&long), Err(RetiredError::TooLong { found: FILE_MAX + 1 }));
    }
}
