//! Text for HTML: escaping and sizes. Every value of a manifest passes through [`escape`].

/// Makes a value safe inside an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Nothing else of the C0 range is allowed in HTML.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A length in binary units with one decimal, rounded to the nearest.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in UNITS {
        let one = 1u64 << shift;
        if one <= bytes {
            let tenths = (u128::from(bytes) * 10 + u128::from(one) / 2) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// A change of length with its sign.
pub fn change(from: u64, to: u64) -> String {
    match from.cmp(&to) {
        std::cmp::Ordering::Less => format!("+{}", size(to - from)),
        std::cmp::Ordering::Equal => "±0".to_owned(),
        std::cmp::Ordering::Greater => format!("−{}", size(from - to)),
    }
}

/// Share of a whole in percent with one decimal.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0.0 %".to_owned();
    }
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_could_end_an_element_or_attribute() {
        assert_eq!(escape("<a b='c' d=\"e\">&\u{0}"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;\u{fffd}");
    }

    #[test]
    fn sizes_round_to_the_nearest_tenth() {
        let cases =
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 20, "1.0 MiB"), (1_600_000, "1.5 MiB")];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!(size(u64::MAX), "17179869184.0 GiB");
    }

    #[test]
    fn changes_have_a_sign() {
        assert_eq!(change(5, 3), "−2 B");
        assert_eq!(change(3, 5), "+2 B");
        assert_eq!(change(3, 3), "±0");
    }
}
