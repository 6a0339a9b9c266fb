//! How far a misspelt word is from the one that was meant.

/// Returns how many letters must be changed, added or dropped to make one word of the other, in whatever case they are.
///
/// Words longer than any name are not compared letter by letter, and are never near.
pub(super) fn distance(a: &str, b: &str) -> usize {
    const LETTERS_MAX: usize = 40;
    let letters = |word: &str| word.to_ascii_lowercase().chars().collect::<Vec<char>>();
    let (a, b) = (letters(a), letters(b));
    if a.len().max(b.len()) > LETTERS_MAX {
        return usize::MAX;
    }
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (left, letter) in a.iter().enumerate() {
        let mut row = vec![left + 1];
        for (idx, other) in b.iter().enumerate() {
            let changed = above[idx] + usize::from(letter != other);
            row.push(changed.min(above[idx + 1] + 1).min(row[idx] + 1));
        }
        above = row;
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_changes_additions_and_losses() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("Global", "global", 0),
            ("Conflict", "Conflicts", 1),
            ("ab", "cd", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
        assert_eq!(distance(&"a".repeat(1000), "a"), usize::MAX);
    }
}
