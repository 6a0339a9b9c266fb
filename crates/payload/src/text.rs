//! Names in signed documents: what characters they may have, and how a wrong one is shown. Their meaning is
//! checked by who uses them.

/// Returns whether `text` can be a product, channel or architecture: 1 to 32 of a-z, 0-9 and `-`.
pub fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Returns whether `text` has only what versions have (crate `slots` reads them): 1 to 20 of a-z, 0-9, `.`
/// and `~`.
pub fn is_version(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".~".contains(&byte);
    (1..=20).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Returns a foreign text for an error: cut to a readable length, and without control characters.
pub fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_texts_are_shown_cut_and_without_control_characters() {
        assert_eq!(shown("1.0\n\u{1b}[2J"), r"1.0\n\u{1b}[2J");
        assert_eq!(shown(&"ä".repeat(81)), "ä".repeat(80));
    }

    #[test]
    fn names_and_versions_are_plain() {
        assert!(is_name("slipway") && is_name("x86-64") && is_name(&"a".repeat(32)));
        assert!(is_version("1.4.0~rc.2"));
        for text in ["", "A", "a/b", "a_b", "ä", " ", &"a".repeat(33)] {
            assert!(!is_name(text), "{text}");
        }
        for text in ["", "1.0.0-1", "../1", "1.0.0\n", &"1".repeat(21)] {
            assert!(!is_version(text), "{text}");
        }
    }
}
