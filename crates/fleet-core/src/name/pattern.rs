//! Patterns of names, as the original's: `*` stands for any characters but `/`, `?` for one, `[…]` for one of a set.

/// Returns whether `name` matches `pattern`. What is no pattern matches nothing.
///
/// Takes time in proportion to the product of both lengths at most.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some(pattern) = parse(pattern) else { return false };
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut read, mut star) = (0, 0, None);
    while let Some(&character) = name.get(read) {
        match pattern.get(at) {
            Some(Part::Any) => {
                star = Some((at, read));
                at += 1;
            }
            Some(part) if part.takes(character) => {
                at += 1;
                read += 1;
            }
            _ => {
                // What the last star takes may be longer by one, unless that is a slash.
                let Some((back, from)) = star.filter(|&(_, from)| name.get(from) != Some(&'/')) else {
                    return false;
                };
                at = back + 1;
                read = from + 1;
                star = Some((back, read));
            }
        }
    }
    pattern.iter().skip(at).all(|part| *part == Part::Any)
}

/// Returns whether a text is a pattern at all: every set in it ends, and something follows each backslash.
pub fn is_pattern(text: &str) -> bool {
    parse(text).is_some()
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Exactly(char),
    Set { ranges: Vec<(char, char)>, is_negated: bool },
}

impl Part {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => character != '/',
            Self::Exactly(wanted) => *wanted == character,
            Self::Set { ranges, is_negated } => {
                character != '/'
                    && ranges.iter().any(|&(low, high)| (low..=high).contains(&character)) != *is_negated
            }
        }
    }
}

fn parse(pattern: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        parts.push(match character {
            '*' => Part::Any,
            '?' => Part::One,
            '\\' => Part::Exactly(rest.next()?),
            '[' => set(&mut rest)?,
            _ => Part::Exactly(character),
        });
    }
    Some(parts)
}

fn set(rest: &mut std::str::Chars<'_>) -> Option<Part> {
    let mut ranges = Vec::new();
    let mut character = rest.next()?;
    let is_negated = character == '^';
    if is_negated {
        character = rest.next()?;
    }
    loop {
        if character == ']' && !ranges.is_empty() {
            return Some(Part::Set { ranges, is_negated });
        }
        let low = member(character, rest)?;
        let mut high = low;
        character = rest.next()?;
        if character == '-' {
            high = member(rest.next()?, rest)?;
            character = rest.next()?;
        }
        ranges.push((low, high));
    }
}

/// Returns a character of a set; `-` and `]` are none without a backslash.
fn member(character: char, rest: &mut std::str::Chars<'_>) -> Option<char> {
    match character {
        '\\' => rest.next(),
        '-' | ']' => None,
        _ => Some(character),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_as_the_originals_did() {
        for (pattern, name) in [
            ("web@*.service", "web@1.service"),
            ("*", "a.service"),
            ("a*b*c", "a-b-b-c"),
            ("web@?.service", "web@1.service"),
            ("web@[0-3].service", "web@2.service"),
            ("web@[^0-3].service", "web@4.service"),
            ("[abc].service", "b.service"),
            ("a\\*.service", "a*.service"),
            ("", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("web@*.service", "web.service"),
            ("web@?.service", "web@10.service"),
            ("web@[0-3].service", "web@4.service"),
            ("*", "a/b"),
            ("a?b", "a/b"),
            ("[", "["),
            ("[]", "]"),
            ("a\\", "a"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn what_does_not_end_is_no_pattern() {
        for text in ["[", "[]", "[]a]", "[-a]", "[a", "[a-", "[a-]", "a\\", "[\\"] {
            assert!(!is_pattern(text), "{text}");
        }
        for text in ["", "*", "[\\]a]", "[^a-c]", "\\[", "a]"] {
            assert!(is_pattern(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_and_what_is_cut_out_of_it(
            name in "[a-z@.]{1,12}", from in 0usize..12, to in 0usize..12,
        ) {
            prop_assert!(matches(&name, &name));
            let (from, to) = (from.min(name.len()), to.min(name.len()));
            let pattern = format!("{}*{}", &name[..from.min(to)], &name[to.max(from)..]);
            prop_assert!(matches(&pattern, &name), "{}", pattern);
        }

        #[test]
        fn no_pattern_is_too_much(pattern in r"[*?\[\]\^a\-\\]{0,30}", name in "a{0,60}") {
            matches(&pattern, &name);
        }
    }
}
