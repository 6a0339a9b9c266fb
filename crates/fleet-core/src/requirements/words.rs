//! Values of the options in `[X-Fleet]`: truth, lists, pairs.

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

/// Splits `"a=b" "c=d"` into what is between the quotes; a value without them at both ends is one.
pub(super) fn quoted(value: &str) -> Vec<&str> {
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(inner) => inner.split('"').step_by(2).collect(),
        None => vec![value],
    }
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
    fn values_are_read_as_the_original_did() {
        assert_eq!(["TRUE", "t", "off", "2"].map(truth), [Some(true), Some(true), Some(false), None]);
        assert_eq!(quoted(r#""a=b" "c=d""#), ["a=b", "c=d"]);
        assert_eq!(quoted("a=b c"), ["a=b c"]);
        assert_eq!(pair("a=b"), Some(("a", "b")));
        assert_eq!(["a", "a=", "=b", "a=b=c"].map(pair), [None; 4]);
    }
}
