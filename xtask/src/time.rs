//! Times for people and documents, of seconds since 1970.

use jiff::Timestamp;

/// A date in UTC, `2026-11-23`.
pub fn date(seconds: u64) -> String {
    timestamp(seconds).strftime("%Y-%m-%d").to_string()
}

/// A time in UTC as RFC 3339 has it, `2026-11-23T07:09:05Z`.
pub fn rfc3339(seconds: u64) -> String {
    timestamp(seconds).to_string()
}

/// The last second of the year 9999 for what comes later.
fn timestamp(seconds: u64) -> Timestamp {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX)
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
        assert!(rfc3339(u64::MAX).starts_with("9999-12-30T"));
    }
}
