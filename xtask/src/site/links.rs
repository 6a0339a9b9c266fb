//! The links of a Markdown page, outside of code.

use std::ops::Range;

/// One link or picture; ranges are of bytes of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// From its first bracket, or the `!` of a picture, to its last parenthesis.
    pub whole: Range<usize>,
    /// What is shown.
    pub text: Range<usize>,
    /// Where it leads.
    pub target: Range<usize>,
    /// Whether it is a picture.
    pub is_picture: bool,
}

/// Finds all links `[text](target)` in order. Text and target are in one line, as the house style has them.
pub fn find(page: &str) -> Vec<Link> {
    let mut found = Vec::new();
    let (mut at, mut in_code) = (0, false);
    for line in page.split_inclusive('\n') {
        let is_fence = line.trim_start().starts_with("```");
        if !in_code && !is_fence {
            of_line(line, at, &mut found);
        }
        in_code ^= is_fence;
        at += line.len();
    }
    found
}

/// Targets that are not on the network, for the house rules.
#[cfg(test)]
pub fn local_targets(page: &str) -> Vec<&str> {
    let targets = find(page).into_iter().map(|link| &page[link.target]);
    targets.filter(|target| !is_elsewhere(target)).collect()
}

/// Whether a target names a place outside of the repository.
pub fn is_elsewhere(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

fn of_line(line: &str, at: usize, found: &mut Vec<Link>) {
    let bytes = line.as_bytes();
    let mut open = Vec::new();
    let mut idx = 0;
    while let Some(byte) = bytes.get(idx) {
        match byte {
            b'\\' => idx += 1,
            b'`' => idx = behind_code(bytes, idx) - 1,
            b'[' => open.push(idx),
            b']' => {
                let end = line[idx..].starts_with("](").then(|| line[idx..].find(')')).flatten();
                if let (Some(start), Some(end)) = (open.pop(), end) {
                    let is_picture = start > 0 && bytes[start - 1] == b'!';
                    found.push(Link {
                        whole: at + start - usize::from(is_picture)..at + idx + end + 1,
                        text: at + start + 1..at + idx,
                        target: at + idx + 2..at + idx + end,
                        is_picture,
                    });
                    idx += end;
                }
            }
            _ => {}
        }
        idx += 1;
    }
}

/// Where the code that starts here ends; behind the ticks alone if they have no match.
fn behind_code(bytes: &[u8], start: usize) -> usize {
    let ticks = |from: usize| bytes[from..].iter().take_while(|byte| **byte == b'`').count();
    let wanted = ticks(start);
    let mut idx = start + wanted;
    while idx < bytes.len() {
        let n = ticks(idx);
        if n == wanted {
            return idx + n;
        }
        idx += n.max(1);
    }
    start + wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(page: &str, expected: &[(&str, &str, &str)]) {
        let found = find(page);
        let found: Vec<_> = found
            .iter()
            .map(|link| (&page[link.whole.clone()], &page[link.text.clone()], &page[link.target.clone()]))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn finds_links_and_pictures() {
        check(
            "a [b](c.md) [d](https://e)",
            &[("[b](c.md)", "b", "c.md"), ("[d](https://e)", "d", "https://e")],
        );
        check("![p](x.svg)", &[("![p](x.svg)", "p", "x.svg")]);
        check("[`a[0]`](c.md), [x]", &[("[`a[0]`](c.md)", "`a[0]`", "c.md")]);
        assert!(find("![p](x.svg)")[0].is_picture);
    }

    #[test]
    fn passes_code_over() {
        check("`[b](c.md)` and ``[b`](c.md)``", &[]);
        check("```sh\n[b](c.md)\n```\n[d](e.md)\n", &[("[d](e.md)", "d", "e.md")]);
        check("a ` tick [b](c.md)", &[("[b](c.md)", "b", "c.md")]);
        check("\\[b](c.md)", &[]);
    }

    #[test]
    fn tells_what_is_on_the_network() {
        assert_eq!(local_targets("[a](b.md) [c](https://d) [e](mailto:f@g)"), ["b.md"]);
    }
}
