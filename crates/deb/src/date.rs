//! The times in `Release` files: `Sat, 21 Nov 2026 09:15:44 UTC` (RFC 2822, always UTC here).

use thiserror::Error;

/// A text that is not such a time.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not a time like `Sat, 21 Nov 2026 09:15:44 UTC`")]
pub struct DateError(pub String);

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Returns seconds since 1970. The day of the week is not compared with the date.
pub fn parse(text: &str) -> Result<u64, DateError> {
    read(text).ok_or_else(|| DateError(text.to_owned()))
}

fn read(text: &str) -> Option<u64> {
    let (_weekday, rest) = text.split_once(", ")?;
    let mut words = rest.split_ascii_whitespace();
    let day = number(words.next()?)?;
    let month_name = words.next()?;
    let month = MONTHS.iter().zip(1u64..).find(|(name, _)| **name == month_name)?.1;
    let year = number(words.next()?).filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let utc = matches!(words.next()?, "UTC" | "GMT" | "+0000" | "Z");
    let ended = clock.next().is_none() && words.next().is_none();
    if !utc || !ended || day < 1 || days_in(year, month) < day || 23 < hour || 59 < minute || 59 < second {
        return None;
    }
    let days_before_month: u64 = (1..month).map(|month| days_in(year, month)).sum();
    let days = days_before_year(year) - days_before_year(1970) + days_before_month + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn days_before_year(year: u64) -> u64 {
    let years = year - 1;
    years * 365 + years / 4 - years / 100 + years / 400
}

fn days_in(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_seconds_as_date_does() {
        // Each from `date -u -d TEXT +%s`.
        assert_eq!(parse("Thu, 01 Jan 1970 00:00:00 UTC"), Ok(0));
        assert_eq!(parse("Sat, 21 Nov 2026 09:15:44 UTC"), Ok(1_795_252_544));
        assert_eq!(parse("Thu, 29 Feb 2024 23:59:59 GMT"), Ok(1_709_251_199));
        assert_eq!(parse("Wed, 1 Mar 2000 0:00:01 +0000"), Ok(951_868_801));
    }

    #[test]
    fn rejects_what_is_no_time() {
        for text in [
            "",
            "Sat, 21 Nov 2026 09:15:44",
            "Sat, 21 Nov 2026 09:15:44 CET",
            "Sat, 21 Nov 2026 09:15 UTC",
            "Sat, 21 Nov 2026 09:15:44 UTC x",
            "Sat, 31 Nov 2026 09:15:44 UTC",
            "Thu, 29 Feb 2026 00:00:00 UTC",
            "Sat, 21 Now 2026 09:15:44 UTC",
            "Sat, 21 Nov 1969 09:15:44 UTC",
            "Sat, 21 Nov 2026 24:00:00 UTC",
            "Sat, +1 Nov 2026 09:15:44 UTC",
            "21 Nov 2026 09:15:44 UTC",
        ] {
            assert_eq!(parse(text), Err(DateError(text.to_owned())));
        }
    }
}
