//! Foreign text, cut and without what would spoil a line, a terminal or the reading direction.

/// Longest text that is shown, in characters; a reason of a health check fits.
pub const TEXT_MAX: usize = 300;
/// What stands for a character that must not be shown.
const REPLACED: char = '\u{fffd}';

/// Returns the text in one line of at most [`TEXT_MAX`] characters.
pub fn clean(text: &str) -> String {
    let mut chars = text.chars().map(|c| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() || turns(c) => REPLACED,
        c => c,
    });
    let mut kept: String = chars.by_ref().take(TEXT_MAX).collect();
    if chars.next().is_some() {
        kept.push('…');
    }
    kept
}

/// Tells whether a character turns the direction in which others are read: with it a text can look like another one.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Returns the last line that says something: what a program complained of, without the word that says that it does.
pub fn last_line(text: &str) -> Option<String> {
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    let plain = ["error: ", "Error: "].iter().find_map(|word| last.strip_prefix(word));
    Some(clean(plain.unwrap_or(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_readable_line() {
        assert_eq!(clean("a\nb\tc"), "a b c");
        assert_eq!(clean("\u{1b}[31mred"), "\u{fffd}[31mred");
        assert_eq!(clean("a\u{202e}b"), "a\u{fffd}b");
        assert_eq!(clean("größer"), "größer");
    }

    #[test]
    fn a_long_text_is_cut_and_shows_it() {
        let found = clean(&"ä".repeat(1000));
        assert_eq!(found.chars().count(), TEXT_MAX + 1);
        assert!(found.ends_with('…'));
        assert_eq!(clean(&"ä".repeat(TEXT_MAX)).chars().count(), TEXT_MAX);
    }

    #[test]
    fn the_last_line_that_says_something_is_the_reason() {
        assert_eq!(last_line("one\ntwo\n\n"), Some("two".to_owned()));
        assert_eq!(last_line("error: no answer: error: x\n"), Some("no answer: error: x".to_owned()));
        assert_eq!(last_line(" \n"), None);
    }
}
