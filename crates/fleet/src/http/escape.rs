//! Percent escapes of paths and queries (RFC 3986), and what forms make of spaces.

/// Returns the text with its escapes resolved; `None` where an escape is broken or the result is not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let ([high, low], tail) = rest.split_first_chunk::<2>()?;
            out.push(digit(*high)? << 4 | digit(*low)?);
            rest = tail;
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// Returns the text as one segment of a path or one value of a query: all but unreserved characters escaped.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Returns the values of one name in a query, in order; `None` where one cannot be read.
pub fn values(query: &str, name: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A name that cannot be read is none of ours.
        if decode_form(key).is_some_and(|key| key == name) {
            found.push(decode_form(value)?);
        }
    }
    Some(found)
}

fn decode_form(text: &str) -> Option<String> {
    decode(&text.replace('+', " "))
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_units_are_escaped() {
        assert_eq!(encode(r"a@1:x\x2d.service"), "a%401%3Ax%5Cx2d.service");
        assert_eq!(decode("foo%40%31.service").as_deref(), Some("foo@1.service"));
    }

    #[test]
    fn broken_escapes_are_seen() {
        for broken in ["%", "%4", "%4g", "%%41", "%ff"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_query_gives_all_values_of_a_name() {
        let query = "unitName=a%40b&x=1&unit%4eame=c+d&unitName";
        assert_eq!(values(query, "unitName"), Some(vec!["a@b".to_owned(), "c d".to_owned(), String::new()]));
        assert_eq!(values(query, "machineID"), Some(vec![]));
        assert_eq!(values("unitName=%", "unitName"), None);
        assert_eq!(values("other=%&%=", "unitName"), Some(vec![]));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in any::<String>()) {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }

        #[test]
        fn no_text_breaks_it(text in any::<String>()) {
            decode(&text);
            values(&text, "unitName");
        }
    }
}
