//! Values of the options in `[X-Fleet]`: truth, lists, pairs.

use crate::unit_file::is_comment;

/// Whether a value says yes, as the original read it.
pub(super) fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" | "on" | "t" => Some(true),
        "false" | "no" | "0" | "off" | "f" => Some(false),
        _ => None,
    }
}

/// Splits a value at blanks.
pub(super) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split_whitespace()
}

/// Returns a value as one line: what was continued is joined by a blank, and comments between the lines are left out.
pub(super) fn joined(value: &str) -> String {
    let parts = value.split('\n').filter(|line| !is_comment(line));
    let parts: Vec<&str> = parts.map(|line| line.strip_suffix('\\').unwrap_or(line).trim()).collect();
    parts.join(" ")
}

/// What is inside of quotes, and what else stands between them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Quoted<'a> {
    pub(super) inside: Vec<&'a str>,
    pub(super) between: Vec<&'a str>,
}

/// Splits `"a=b" "c=d"` at its quotes; a value without them at both ends is one.
pub(super) fn quoted(value: &str) -> Quoted<'_> {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return Quoted { inside: vec![value], between: vec![] };
    };
    let inside = inner.split('"').step_by(2).collect();
    let between = inner.split('"').skip(1).step_by(2).filter(|text| !text.trim().is_empty()).collect();
    Quoted { inside, between }
}

/// Splits `key=value`, if there is one `=` with something on both sides.
pub(super) fn pair(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    (!key.is_empty() && !value.is_empty() && !value.contains('=')).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continued_value_is_one_line() {
        assert_eq!(joined("a \\\n  b\\\n# c\n  d"), "a b d");
        assert_eq!(joined("a"), "a");
        assert_eq!(joined(""), "");
    }

    #[test]
    fn values_are_read_as_the_original_did() {
        for (words, expected) in [
            (["true", "yes", "1", "on", "t"], Some(true)),
            (["false", "no", "0", "off", "f"], Some(false)),
            (["", "2", "y", "tru", "yes no"], None),
        ] {
            for word in words {
                assert_eq!((truth(word), truth(&word.to_uppercase())), (expected, expected), "{word}");
            }
        }
        assert_eq!(quoted(r#""a=b" "c=d""#), Quoted { inside: vec!["a=b", "c=d"], between: vec![] });
        assert_eq!(quoted(r#""a=b", "c=d""#).between, [", "]);
        assert_eq!(quoted("a=b c").inside, ["a=b c"]);
        assert_eq!(quoted("\"").inside, ["\""]);
        assert_eq!(pair("a=b"), Some(("a", "b")));
        assert_eq!(pair(" a = b c "), Some(("a", "b c")));
        assert_eq!(["a", "a=", "=b", "a=b=c"].map(pair), [None; 4]);
    }
}
