//! Times for people and documents, of seconds since 1970.

/// A date in UTC, `2026-11-23`.
pub fn date(seconds: u64) -> String {
    let mut days = seconds / 86_400;
    let mut year = 1970u64;
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // Times of archives are of this century: a few dozen rounds.
    loop {
        let len = if is_leap(year) { 366 } else { 365 };
        if days < len || 9999 <= year {
            break;
        }
        days -= len;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", days + 1)
}

/// A time in UTC as RFC 3339 has it, `2026-11-23T07:09:05Z`.
pub fn rfc3339(seconds: u64) -> String {
    let of_day = seconds % 86_400;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", date(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_leap_days() {
        let day = 86_400;
        let cases = [(0, "1970-01-01"), (11_016 * day, "2000-02-29"), (20_780 * day, "2026-11-23")];
        for (seconds, expected) in cases {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn times_have_every_digit() {
        assert_eq!(rfc3339(1_795_313_345), "2026-11-22T02:09:05Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    }
}
