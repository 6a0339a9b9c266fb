//! Windows: the vectors of the original, what is refused, and every minute of two weeks looked at.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::time::Duration;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use locksmith_core::window::{Error, LENGTH, START, Standing, Variable, Window};
use proptest::prelude::*;

fn read(start: &str, length: &str) -> Result<Window, Error> {
    let variable = |name, value| Some(Variable { name, value });
    Window::from_settings(variable(START, start), variable(LENGTH, length)).map(Option::unwrap)
}

/// New York, as a rule of POSIX: the database of zones is the machine's.
const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";
/// Lord Howe: half an hour of summer time.
const LORD_HOWE: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";
/// Clocks that jump over midnight, as Beirut's did.
const MIDNIGHT: &str = "EET-2EEST,M3.5.0/0,M10.5.0/0";
const ZONES: [&str; 4] = ["UTC0", NEW_YORK, LORD_HOWE, MIDNIGHT];

fn zone(text: &str) -> TimeZone {
    TimeZone::posix(text).unwrap()
}

/// Time from now to the start as the original counts it: negative inside.
fn to_start(window: &Window, now: &ZonedDateTime) -> SignedDuration {
    match window.at(now) {
        Standing::Open { since, .. } => since.duration_since(now.timestamp()),
        Standing::Opens { at } => at.duration_since(now.timestamp()),
        Standing::Always => unreachable!(),
    }
}

#[test]
fn the_vectors_of_the_original_hold() {
    // The 16th of October 2014 was a Thursday.
    let (thu, sat, sun, mon) = (16, 18, 19, 20);
    for (start, length, day, time, expected) in [
        ("00:15", "10s", thu, (0, 0, 0), "15m"),
        ("00:00", "1h", thu, (0, 0, 0), "0s"),
        ("00:00", "1h", thu, (0, 0, 1), "-1s"),
        ("02:33", "10h", thu, (12, 33, 0), "-10h"),
        ("02:33", "10h", thu, (12, 33, 1), "13h 59m 59s"),
        ("23:05", "11h", thu, (9, 33, 1), "-10h 28m 1s"),
        ("Sat 23:05", "11h", sun, (9, 33, 1), "-10h 28m 1s"),
        ("Mon 9:00", "1h", sat, (23, 0, 0), "34h"),
        ("Sun 23:00", "4h", mon, (1, 0, 0), "-2h"),
    ] {
        let now = date(2014, 10, day).at(time.0, time.1, time.2, 0).in_zone("UTC0");
        let found = to_start(&read(start, length).unwrap(), &now);
        assert_eq!(found, expected.parse().unwrap(), "{start} {length} at {now}");
    }
}

trait InZone {
    fn in_zone(self, zone: &str) -> ZonedDateTime;
}

impl InZone for jiff::civil::DateTime {
    fn in_zone(self, text: &str) -> ZonedDateTime {
        self.to_zoned_datetime(zone(text)).unwrap()
    }
}

#[test]
fn starts_of_another_form_are_refused_by_name() {
    for text in [
        "25:00",
        "24:00",
        "23:60",
        "23:61",
        "14",
        "foo 14:00",
        "sat",
        "sat 14:00 1234",
        "sat  14:00",
        "monday 1:00",
    ]
    .into_iter()
    .chain(["sat,sun 1:00", "1:2:3", " 1:00", "+1:00", "001:00", "1:", ":1", "-1:00"])
    {
        let found = read(text, "1h").unwrap_err();
        assert_eq!(found, Error::Start { name: START.to_owned(), found: text.to_owned() });
        assert!(found.to_string().starts_with("LOCKSMITHD_REBOOT_WINDOW_START="), "{found}");
    }
}

#[test]
fn lengths_of_another_form_are_refused_by_name() {
    for text in ["1j", "-1h", "1", "h", "1h-30m", "1h 30m", ".h", "1h30", "9999999999999999999h", "-", "1d"] {
        let found = read("1:00", text).unwrap_err();
        assert_eq!(found, Error::Length { name: LENGTH.to_owned(), found: text.to_owned() });
        assert!(found.to_string().starts_with("LOCKSMITHD_REBOOT_WINDOW_LENGTH="), "{found}");
    }
}

#[test]
fn windows_that_never_close_are_refused() {
    for (start, length, limit) in [("02:00", "24h", "24h"), ("mon 02:00", "168h", "168h")] {
        let (name, found) = (LENGTH.to_owned(), length.to_owned());
        assert_eq!(read(start, length), Err(Error::TooLong { name, found, limit }));
    }
    assert!(read("02:00", "23h59m59s").is_ok());
    assert!(read("MON 02:00", "167h59m59.999s").is_ok());
}

#[test]
fn lengths_are_read_as_go_reads_them() {
    let now = date(2026, 1, 1).at(1, 0, 0, 0).in_zone("UTC0");
    for (text, nanos) in [
        ("1h30m", 5_400_000_000_000),
        ("90m", 5_400_000_000_000),
        ("+10s", 10_000_000_000),
        ("1.5h", 5_400_000_000_000),
        (".5m", 30_000_000_000),
        ("1.m", 60_000_000_000),
        ("5ms7us8µs9ns", 5_015_009),
        ("0", 0),
        ("-0s", 0),
    ] {
        let Standing::Open { since, until } = read("1:00", text).unwrap().at(&now) else {
            panic!("{text} is not open at its start");
        };
        assert_eq!(until.duration_since(since), SignedDuration::from_nanos(nanos), "{text}");
    }
}

#[test]
fn one_setting_without_the_other_is_refused() {
    let start = Some(Variable { name: "REBOOT_WINDOW_START", value: "1:00" });
    let empty = Some(Variable { name: LENGTH, value: "" });
    let found = Window::from_settings(start, empty).unwrap_err().to_string();
    assert_eq!(
        found,
        "REBOOT_WINDOW_START is set and LOCKSMITHD_REBOOT_WINDOW_LENGTH is not; set both or neither"
    );
    let length = Some(Variable { name: LENGTH, value: "1h" });
    assert!(matches!(Window::from_settings(None, length), Err(Error::Half { missing: START, .. })));
    assert_eq!(Window::from_settings(None, empty), Ok(None));
    assert_eq!(Window::from_settings(None, None), Ok(None));
}

#[test]
fn a_start_that_the_clock_jumps_over_is_at_the_jump() {
    // 02:00 is followed by 03:00 on the 8th of March 2026.
    let now = date(2026, 3, 8).at(1, 0, 0, 0).in_zone(NEW_YORK);
    let Standing::Opens { at } = read("02:30", "1h").unwrap().at(&now) else { panic!("closed") };
    assert_eq!(at, date(2026, 3, 8).at(3, 0, 0, 0).in_zone(NEW_YORK).timestamp());
}

#[test]
fn a_start_that_comes_twice_is_the_first() {
    // 01:00 to 02:00 comes twice on the 1st of November 2026.
    let now = date(2026, 11, 1).at(0, 0, 0, 0).in_zone(NEW_YORK);
    let window = read("01:30", "30m").unwrap();
    let Standing::Opens { at } = window.at(&now) else { panic!("closed") };
    assert_eq!(at.duration_since(now.timestamp()), SignedDuration::from_mins(90));
    let second = at + Duration::from_secs(60 * 60);
    assert!(!window.at(&second.to_zoned_datetime(zone(NEW_YORK))).is_open());
}

/// The first minute of each day at which the clock shows the start or later, found by looking at all.
fn starts(first: Date, days: i64, start: (i8, i8), day: Option<i8>, zone: &TimeZone) -> Vec<Timestamp> {
    let begin = first.at(0, 0, 0, 0).to_zoned_datetime(zone.clone()).unwrap().timestamp();
    let minute = |n: i64| begin + SignedDuration::from_mins(n);
    let mut found = vec![];
    let mut wanted = first;
    for now in (-24 * 60..days * 24 * 60).map(minute) {
        let shown = zone.to_datetime(now);
        while wanted.at(start.0, start.1, 0, 0) <= shown {
            if day.is_none_or(|day| wanted.weekday().to_sunday_zero_offset() == day) {
                found.push(now);
            }
            wanted = wanted.tomorrow().unwrap();
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    #[test]
    fn every_minute_of_two_weeks_is_as_a_scan_of_all_minutes_says(
        zone_name in prop::sample::select(&ZONES[..]),
        first in prop::sample::select(&[(2026, 3, 1), (2026, 3, 22), (2026, 4, 1), (2026, 9, 28), (2026, 10, 24)][..]),
        day in prop::option::of(0_i8..7),
        hour in 0_i8..24,
        minute in 0_i8..60,
        part in 0_i64..1000,
    ) {
        let zone = zone(zone_name);
        let first = date(first.0, first.1, first.2);
        let most = if day.is_some() { 168 * 60 - 1 } else { 24 * 60 - 1 };
        let length = part * most / 999;
        let names = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
        let name = day.map_or(String::new(), |day| format!("{} ", names[usize::try_from(day).unwrap()]));
        let window = read(&format!("{name}{hour}:{minute}"), &format!("{length}m")).unwrap();
        let starts = starts(first, 32, (hour, minute), day, &zone);
        let begin = first.at(0, 0, 0, 0).to_zoned_datetime(zone.clone()).unwrap().timestamp();
        for n in 9 * 24 * 60..23 * 24 * 60 {
            let now = begin + SignedDuration::from_mins(n);
            let last = starts.iter().rev().find(|start| **start <= now);
            let next = starts.iter().find(|start| now < **start);
            let length = SignedDuration::from_mins(length);
            let expected = match (last, next) {
                (Some(last), _) if now <= *last + length => Standing::Open { since: *last, until: *last + length },
                (_, Some(next)) => Standing::Opens { at: *next },
                _ => panic!("no start in a week"),
            };
            prop_assert_eq!(window.at(&now.to_zoned_datetime(zone.clone())), expected);
        }
    }
}
