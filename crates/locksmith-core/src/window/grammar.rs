//! From variables to a window.

use std::time::Duration;

use jiff::civil::{Time, Weekday};

use super::Window;

/// Variable of the start.
pub const START: &str = "LOCKSMITHD_REBOOT_WINDOW_START";
/// Variable of the length.
pub const LENGTH: &str = "LOCKSMITHD_REBOOT_WINDOW_LENGTH";
/// Older name of [`START`].
pub const LEGACY_START: &str = "REBOOT_WINDOW_START";
/// Older name of [`LENGTH`].
pub const LEGACY_LENGTH: &str = "REBOOT_WINDOW_LENGTH";

/// A day in hours, which a daily window does not reach; a weekly one does not reach seven.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Nanoseconds of each unit of a Go duration, longest names first where one begins with another.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

/// A setting under the name that the user gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its text.
    pub value: &'a str,
}

/// Why settings are no window; each names the variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The start has another form.
    #[error("{name}={found} is no start of a window; use [DAY ]HH:MM, such as 03:30 or Sat 03:30")]
    Start {
        /// The variable.
        name: String,
        /// Its text.
        found: String,
    },
    /// The length has another form.
    #[error("{name}={found} is no length of a window; use hours, minutes and seconds, such as 1h30m")]
    Length {
        /// The variable.
        name: String,
        /// Its text.
        found: String,
    },
    /// The window would be open always.
    #[error("{name}={found} is too long; use less than {limit}, or no window to reboot at any time")]
    TooLong {
        /// The variable.
        name: String,
        /// Its text.
        found: String,
        /// What it has to be below.
        limit: &'static str,
    },
    /// One of both is missing.
    #[error("{name} is set and {missing} is not; set both or neither")]
    Half {
        /// The variable that is set.
        name: String,
        /// The one that is not.
        missing: &'static str,
    },
}

impl Window {
    /// Reads both settings; an empty text is not set, and without either there is no window.
    pub fn from_settings(
        start: Option<Variable<'_>>,
        length: Option<Variable<'_>>,
    ) -> Result<Option<Self>, Error> {
        let set = |variable: &Variable<'_>| !variable.value.is_empty();
        match (start.filter(set), length.filter(set)) {
            (None, None) => Ok(None),
            (Some(start), Some(length)) => Self::new(start, length).map(Some),
            (Some(start), None) => Err(Error::Half { name: start.name.to_owned(), missing: LENGTH }),
            (None, Some(length)) => Err(Error::Half { name: length.name.to_owned(), missing: START }),
        }
    }

    fn new(start: Variable<'_>, length: Variable<'_>) -> Result<Self, Error> {
        let (name, found) = (start.name.to_owned(), start.value.to_owned());
        let (day, start) = start_of(start.value).ok_or(Error::Start { name, found })?;
        let (name, found) = (length.name.to_owned(), length.value.to_owned());
        let Some(length) = duration(length.value) else { return Err(Error::Length { name, found }) };
        let (limit_span, limit) = if day.is_some() { (DAY * 7, "168h") } else { (DAY, "24h") };
        if limit_span <= length {
            return Err(Error::TooLong { name, found, limit });
        }
        Ok(Self { day, start, length })
    }
}

fn start_of(text: &str) -> Option<(Option<Weekday>, Time)> {
    let (day, time) = match text.split_once(' ') {
        None => (None, text),
        Some((day, time)) => (Some(weekday(day)?), time),
    };
    let (hour, minute) = time.split_once(':')?;
    Some((day, Time::new(two_digits(hour)?, two_digits(minute)?, 0, 0).ok()?))
}

fn weekday(text: &str) -> Option<Weekday> {
    match text.to_ascii_lowercase().as_str() {
        "sun" => Some(Weekday::Sunday),
        "mon" => Some(Weekday::Monday),
        "tue" => Some(Weekday::Tuesday),
        "wed" => Some(Weekday::Wednesday),
        "thu" => Some(Weekday::Thursday),
        "fri" => Some(Weekday::Friday),
        "sat" => Some(Weekday::Saturday),
        _ => None,
    }
}

fn two_digits(text: &str) -> Option<i8> {
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Reads a duration as Go does: numbers with units, each with a fraction if need be. None if it is none, is negative, or
/// has more hours than anybody means.
fn duration(text: &str) -> Option<Duration> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos = 0_u128;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        let (unit, after) = UNITS.iter().find_map(|(name, n)| Some((n, after.strip_prefix(name)?)))?;
        // Longer numbers are no lengths of windows.
        if (whole.is_empty() && fraction.is_empty()) || 18 < whole.len() || 18 < fraction.len() {
            return None;
        }
        let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        let part = number(whole)? * unit + number(fraction)? * unit / scale;
        nanos = nanos.checked_add(part)?;
        rest = after;
    }
    let nanos = u64::try_from(nanos).ok()?;
    if sign < 0 && 0 < nanos { None } else { Some(Duration::from_nanos(nanos)) }
}

/// Splits off the digits at the start.
fn digits(text: &str) -> (&str, &str) {
    text.split_at_checked(text.bytes().take_while(u8::is_ascii_digit).count()).unwrap_or((text, ""))
}
