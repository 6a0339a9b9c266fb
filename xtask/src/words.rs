//! Files of words, one a line, with comments: parts of the kernel's command line.

/// The words of a text.
pub fn of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_are_no_words() {
        assert_eq!(of("# a\nquiet\n\n  rw \n#b\n").collect::<Vec<_>>(), ["quiet", "rw"]);
    }
}
