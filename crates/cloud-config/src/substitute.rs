//! Addresses in the place of `$private_ipv4` and its kin, as plain text before anything is parsed.
//!
//! `\$private_ipv4` stays, without the backslash.
//! On a line that is a comment an unknown variable stays as it is: examples explain the variables there.

use crate::finding::{Finding, Position};
use crate::metadata::Addresses;

/// What to do about a variable without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// An error that names it.
    Refuse,
    /// Nothing in its place, as the original had it: `addr: :4001`.
    Empty,
}

/// A text with addresses, and how its columns moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substituted {
    /// The text.
    pub text: String,
    edits: Vec<Edit>,
}

/// One replacement; columns count from 1, in the new text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edit {
    line: usize,
    start: usize,
    end: usize,
    /// Characters of the variable in the original.
    was: usize,
}

impl Substituted {
    /// Returns where in the original text a place of the new one is.
    pub fn original(&self, at: Position) -> Position {
        let mut column = at.column;
        for edit in self.edits.iter().rev().filter(|edit| edit.line == at.line) {
            if edit.end <= at.column {
                column = column + edit.was - (edit.end - edit.start);
            } else if edit.start < at.column {
                // Inside of an address: the variable's first character.
                column = edit.start;
            }
        }
        Position { line: at.line, column }
    }
}

/// Replaces all variables; errors are one per use of a variable without a value.
pub fn substitute(text: &str, addresses: &Addresses, unknown: Unknown) -> Result<Substituted, Vec<Finding>> {
    let variables = addresses.by_variable();
    let mut done = Substituted { text: String::with_capacity(text.len()), edits: Vec::new() };
    let mut findings = Vec::new();
    for (idx, line) in text.split_inclusive('\n').enumerate() {
        let is_comment = line.trim_start().starts_with('#');
        let (mut rest, mut old, mut new) = (line, 1, 1);
        while let Some(at) = rest.find('$') {
            let (head, tail) = rest.split_at(at);
            let Some((name, value)) = variables.iter().find(|(name, _)| tail[1..].starts_with(name)) else {
                let (kept, after) = rest.split_at(at + 1);
                push(&mut done.text, kept, &mut old, &mut new);
                rest = after;
                continue;
            };
            let escaped = head.strip_suffix('\\');
            push(&mut done.text, escaped.unwrap_or(head), &mut old, &mut new);
            let was = 1 + name.len() + usize::from(escaped.is_some());
            let verbatim = format!("${name}");
            let value = match value {
                _ if escaped.is_some() => verbatim,
                Some(address) => address.to_string(),
                None if is_comment => verbatim,
                None if unknown == Unknown::Empty => String::new(),
                None => {
                    let message = format!("no address is known for `${name}`");
                    findings.push(Finding::error(Position { line: idx + 1, column: old }, message));
                    String::new()
                }
            };
            let end = new + value.chars().count();
            done.edits.push(Edit { line: idx + 1, start: new, end, was });
            done.text.push_str(&value);
            (old, new) = (old + was, end);
            rest = &tail[1 + name.len()..];
        }
        done.text.push_str(rest);
    }
    if findings.is_empty() { Ok(done) } else { Err(findings) }
}

fn push(text: &mut String, part: &str, old: &mut usize, new: &mut usize) {
    text.push_str(part);
    let len = part.chars().count();
    *old += len;
    *new += len;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Addresses {
        Addresses { private_ipv4: Some("10.0.0.5".parse().unwrap()), ..Addresses::default() }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(substitute(text, &known(), Unknown::Refuse).unwrap().text, expected);
    }

    #[test]
    fn replaces_every_variable_and_keeps_escaped_ones() {
        check("addr: $private_ipv4:4001", "addr: 10.0.0.5:4001");
        check("x: \\$private_ipv4\n", "x: $private_ipv4\n");
        check("$private_ipv4$private_ipv4", "10.0.0.510.0.0.5");
        check("cost: $5, $private, $", "cost: $5, $private, $");
        check("\\\\$private_ipv4", "\\$private_ipv4");
    }

    #[test]
    fn a_variable_without_a_value_is_an_error_that_names_it() {
        let findings =
            substitute("a\nb: é $public_ipv4 $public_ipv6\n", &known(), Unknown::Refuse).unwrap_err();
        let lines: Vec<_> = findings.iter().map(|finding| finding.line("f")).collect();
        assert_eq!(
            lines,
            [
                "f:2:6: error: no address is known for `$public_ipv4`",
                "f:2:19: error: no address is known for `$public_ipv6`"
            ]
        );
        let empty = substitute("addr: $public_ipv4:4001", &known(), Unknown::Empty).unwrap();
        assert_eq!(empty.text, "addr: :4001");
    }

    #[test]
    fn a_comment_may_name_what_is_not_known() {
        check("  # use $public_ipv4 or $private_ipv4\n", "  # use $public_ipv4 or 10.0.0.5\n");
    }

    #[test]
    fn places_are_those_of_the_original() {
        let text = "a\n[$private_ipv4, \\$private_ipv4, x]\n";
        let done = substitute(text, &known(), Unknown::Refuse).unwrap();
        assert_eq!(done.text, "a\n[10.0.0.5, $private_ipv4, x]\n");
        let column = |column| done.original(Position { line: 2, column }).column;
        assert_eq!([column(1), column(2), column(5), column(10)], [1, 2, 2, 15]);
        assert_eq!(column(27), 33);
        assert_eq!(done.original(Position { line: 1, column: 9 }).column, 9);
    }
}
