//! What a misspelt word was probably meant to be.

/// Returns the word of `known` that `word` is a misspelling of, if one is near enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong; of short words one.
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let near = known.into_iter().map(|candidate| (distance(word, candidate), candidate));
    near.filter(|(distance, _)| *distance <= allowed).min().map(|(_, candidate)| candidate)
}

/// Returns how many letters must be changed, added, dropped or swapped with their neighbour.
///
/// Words longer than any key differ by their length at least, and are not compared letter by letter.
pub fn distance(a: &str, b: &str) -> usize {
    const LETTERS_MAX: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > LETTERS_MAX {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let changed = above[j] + usize::from(a[i] != b[j]);
            let mut least = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_changes_additions_losses_and_swaps() {
        for (a, b, expected) in
            [("", "", 0), ("a", "", 1), ("users", "usres", 1), ("unit", "units", 1), ("ab", "cd", 2)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
        assert_eq!(distance(&"a".repeat(1000), "a"), usize::MAX);
    }

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["users", "units", "update", "hostname"];
        assert_eq!(nearest("usres", known), Some("users"));
        assert_eq!(nearest("hostnmae", known), Some("hostname"));
        assert_eq!(nearest("packages", known), None);
        assert_eq!(nearest("", known), None);
    }
}
