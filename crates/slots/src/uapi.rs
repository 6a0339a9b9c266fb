//! The UAPI version order (<https://uapi-group.org/specifications/specs/version_format_specification/>), for any
//! two texts. systemd-boot sorts by it.

use std::cmp::Ordering;

/// Compares two texts in the UAPI version order. Texts that differ can be equal in it (`1.01` and `1.1`).
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = skip_foreign(a);
        b = skip_foreign(b);
        // `~` begins what comes before a release: with it is older than without, even than nothing.
        match (a.first() == Some(&b'~'), b.first() == Some(&b'~')) {
            (false, false) => {}
            (true, true) => (a, b) = (skip_foreign(&a[1..]), skip_foreign(&b[1..])),
            (a_has, b_has) => return b_has.cmp(&a_has),
        }
        if a.is_empty() || b.is_empty() {
            return a.len().min(1).cmp(&b.len().min(1));
        }
        for separator in [b'-', b'^', b'.'] {
            match (a.first() == Some(&separator), b.first() == Some(&separator)) {
                (false, false) => {}
                (true, true) => (a, b) = (&a[1..], &b[1..]),
                (a_has, b_has) => return b_has.cmp(&a_has),
            }
        }
        let starts_with_digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
        let order = if starts_with_digit(a) || starts_with_digit(b) {
            let (a_number, b_number) = (take(&mut a, u8::is_ascii_digit), take(&mut b, u8::is_ascii_digit));
            compare_numbers(a_number, b_number)
        } else {
            take(&mut a, u8::is_ascii_alphabetic).cmp(take(&mut b, u8::is_ascii_alphabetic))
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Compares digits as numbers of any length; no digits at all are less than any number.
fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let significant =
        |digits: &[u8]| -> Vec<u8> { digits.iter().copied().skip_while(|digit| *digit == b'0').collect() };
    let by_presence = (!a.is_empty()).cmp(&!b.is_empty());
    let (a, b) = (significant(a), significant(b));
    by_presence.then(a.len().cmp(&b.len())).then_with(|| a.cmp(&b))
}

fn skip_foreign(text: &[u8]) -> &[u8] {
    let is_foreign = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"-.~^".contains(byte);
    let n_foreign = text.iter().take_while(|byte| is_foreign(byte)).count();
    &text[n_foreign..]
}

fn take<'a>(text: &mut &'a [u8], is_part: fn(&u8) -> bool) -> &'a [u8] {
    let n_part = text.iter().take_while(|byte| is_part(byte)).count();
    let (part, rest) = text.split_at(n_part);
    *text = rest;
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the specification, and those of systemd's own test of its function.
    #[test]
    fn orders_the_examples_of_the_specification() {
        let ascending = [
            "122.1",
            "123~rc1-1",
            "123",
            "123-a",
            "123-a.1",
            "123-1",
            "123-1.1",
            "123^post1",
            "123.a-1",
            "123.1-1",
            "123a-1",
            "124-1",
        ];
        for (i, older) in ascending.iter().enumerate() {
            assert_eq!(compare(older, older), Ordering::Equal);
            for newer in &ascending[i + 1..] {
                assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
                assert_eq!(compare(newer, older), Ordering::Greater, "{newer} {older}");
            }
        }
    }

    #[test]
    fn orders_what_differs_in_form_only() {
        for (a, b, expected) in [
            ("11", "11.systemd", Ordering::Less),
            ("1.2.3", "1.2.3.4", Ordering::Less),
            ("~1", "", Ordering::Less),
            ("1.01", "1.1", Ordering::Equal),
            ("1_2", "12", Ordering::Less),
            ("1.9", "1.10", Ordering::Less),
            ("1.0~beta.2", "1.0~rc.1", Ordering::Less),
            ("18446744073709551616", "18446744073709551615", Ordering::Greater),
        ] {
            assert_eq!(compare(a, b), expected, "{a} {b}");
            assert_eq!(compare(b, a), expected.reverse(), "{b} {a}");
        }
    }
}
