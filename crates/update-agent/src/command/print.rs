//! Printing: text or one JSON document, times and sizes for people.

use std::io::Write as _;

use anyhow::Context;
use serde::Serialize;

/// The output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// Prints `value` as JSON, or what `text` makes of it.
pub fn value<T: Serialize + ?Sized>(
    value: &T,
    format: Format,
    text: impl Fn(&T) -> String,
) -> anyhow::Result<()> {
    match format {
        Format::Json => {
            out(&(serde_json::to_string_pretty(value).context("writing the JSON document")? + "\n"))
        }
        Format::Text => out(&text(value)),
    }
}

/// Prints a line.
pub fn line(text: &str) -> anyhow::Result<()> {
    out(&format!("{text}\n"))
}

fn out(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough: not a failure.
        Err(err) if err.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        res => res.context("writing to standard output"),
    }
}

/// Returns seconds since 1970 as date and time in UTC.
pub fn time(secs: u64) -> String {
    let (days, rest) = (secs / 86_400, secs % 86_400);
    // Days from 0000-03-01, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + carry;
    format!(
        "{year:04}-{month:02}-{day_of_month:02} {:02}:{:02}:{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Returns a number of bytes in its largest unit.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (secs, expected) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_709_251_199, "2024-02-29 23:59:59"),
            (1_709_251_200, "2024-03-01 00:00:00"),
            (4_102_444_799, "2099-12-31 23:59:59"),
        ] {
            assert_eq!(time(secs), expected);
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([size(9), size(10_240), size(300 << 20)], ["9 bytes", "10 KiB", "300 MiB"]);
    }
}
