//! Points of time that people read and other machines understand, as RFC 3339 writes them in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DAY: u64 = 24 * 60 * 60;
/// Days from the first of March of the year 0, from which years end with February, to the first of January 1970.
const DAYS_BEFORE_1970: u64 = 719_468;
/// Days of 400 years, after which the calendar repeats itself.
const DAYS_OF_400_YEARS: u64 = 146_097;
/// The last second that has four digits for its year: 9999-12-31T23:59:59Z.
const LAST: u64 = 253_402_300_799;

/// A second of UTC, from 1970 to 9999. Written as `2026-11-29T01:02:03Z` and read in that form only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(u64);

/// A text that is no such time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time of the form 2026-11-29T01:02:03Z")]
pub struct NoTime(pub String);

impl Utc {
    /// The second in which `since_1970` lies. One after the year 9999 is its last.
    pub fn at(since_1970: Duration) -> Self {
        Self(since_1970.as_secs().min(LAST))
    }

    /// The second with which `since_1970` is surely over.
    pub fn after(since_1970: Duration) -> Self {
        let whole = since_1970.subsec_nanos() == 0;
        Self(since_1970.as_secs().saturating_add(u64::from(!whole)).min(LAST))
    }

    /// Returns the time so much later, in whole seconds rounded up.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::after(Duration::from_secs(self.0).saturating_add(span))
    }

    /// Returns how far two times are apart.
    pub fn apart(self, other: Self) -> Duration {
        Duration::from_secs(self.0.abs_diff(other.0))
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / DAY + DAYS_BEFORE_1970, self.0 % DAY);
        let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
        // Every fourth year has a day more, but not every hundredth, but the four hundredth.
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // From March on, five months have 153 days.
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + year + next;
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for Utc {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        read(text).filter(|time| time.to_string() == text).ok_or_else(|| NoTime(text.to_owned()))
    }
}

/// Reads numbers where they are due; whoever writes the result again sees whether there is such a day and second.
fn read(text: &str) -> Option<Utc> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_possible = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_possible {
        return None;
    }
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(DAYS_BEFORE_1970)?;
    Some(Utc(days * DAY + hour * 3_600 + minute * 60 + second))
}

impl Serialize for Utc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Utc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Seconds and texts as `date --utc` has them.
    const KNOWN: [(u64, &str); 8] = [
        (0, "1970-01-01T00:00:00Z"),
        (68_169_599, "1972-02-28T23:59:59Z"),
        (68_169_600, "1972-02-29T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_795_914_123, "2026-11-29T01:02:03Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (4_107_542_399, "2100-02-28T23:59:59Z"),
        (LAST, "9999-12-31T23:59:59Z"),
    ];

    #[test]
    fn times_are_written_and_read_as_others_do() {
        for (seconds, text) in KNOWN {
            let time = Utc::at(Duration::from_secs(seconds));
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Utc>(&format!("{text:?}")).unwrap(), time);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-29",
            "2026-11-29T01:02:03",
            "2026-11-29T01:02:03+01:00",
            "2026-11-29T01:02:60Z",
            "2026-02-30T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "+026-11-29T01:02:03Z",
            "2026-11-29 01:02:03Z",
            "2026-11-29T01:02:0\u{e9}",
        ] {
            assert_eq!(text.parse::<Utc>(), Err(NoTime(text.to_owned())));
        }
    }

    #[test]
    fn a_time_is_rounded_down_or_up_and_ends_with_9999() {
        let time = Duration::from_millis(1_500);
        assert_eq!(Utc::at(time).to_string(), "1970-01-01T00:00:01Z");
        assert_eq!(Utc::after(time).to_string(), "1970-01-01T00:00:02Z");
        assert_eq!(Utc::after(Duration::from_secs(2)), Utc::after(time));
        assert_eq!(Utc::at(time).plus(Duration::from_millis(500)), Utc::after(time));
        assert_eq!(Utc::after(Duration::MAX), Utc(LAST));
        assert_eq!(Utc::at(time).apart(Utc::after(time)), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0..=LAST) {
            let time = Utc::at(Duration::from_secs(seconds));
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn any_text_is_a_time_or_none(text in ".{0,24}") {
            let _read_or_refused = text.parse::<Utc>();
        }
    }
}
