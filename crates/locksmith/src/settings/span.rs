//! Spans of time as people write them.

use std::time::Duration;

/// Reads whole hours, minutes and seconds, as in `1h30m`, or a number of seconds. `None` for anything else.
pub(super) fn parse(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return (!text.starts_with('+')).then(|| Duration::from_secs(seconds));
    }
    let (mut rest, mut seconds) = (text, 0_u64);
    while !rest.is_empty() {
        let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(n_digits);
        let unit = behind.chars().next()?;
        let factor = match unit {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = behind.strip_prefix(unit)?;
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

/// Shows a whole number of seconds in the largest units that fit.
pub(super) fn shown(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_seconds_and_units_add_up() {
        let seconds = |text| parse(text).map(|span| span.as_secs());
        assert_eq!(
            [seconds("90"), seconds("90s"), seconds("1h30m"), seconds("10m")],
            [90, 90, 5400, 600].map(Some)
        );
        assert_eq!(seconds("0"), Some(0));
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "m",
            "-1",
            "+5",
            "1d",
            "1.5h",
            "1h 30m",
            "10 m",
            "99999999999999999999s",
            "9999999999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_span_is_shown_as_it_is_written() {
        for text in ["0s", "1s", "90s", "10m", "24h"] {
            assert_eq!(shown(parse(text).unwrap()), text);
        }
    }
}
