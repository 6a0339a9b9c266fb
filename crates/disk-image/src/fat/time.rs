//! The time that FAT stamps on files: an argument, never a clock.

use std::cell::Cell;

use fatfs::{Date, DateTime, Time, TimeProvider};

const DAY_SECS: u64 = 86_400;
/// 1980-01-01 and 2107-12-31 23:59:58, the ends of what FAT can say, in seconds since 1970.
const FIRST_SECS: u64 = 315_532_800;
const LAST_SECS: u64 = 4_354_819_198;

thread_local! {
    /// fatfs wants a provider that lives for ever, so the one provider looks its time up here.
    static NOW_SECS: Cell<u64> = const { Cell::new(FIRST_SECS) };
}

/// Returns a provider that says `secs` (since 1970, UTC) until the next call on this thread. Times that FAT
/// cannot say are moved to the nearest that it can.
pub(super) fn fixed(secs: u64) -> &'static dyn TimeProvider {
    static FIXED: Fixed = Fixed;
    NOW_SECS.set(secs.clamp(FIRST_SECS, LAST_SECS));
    &FIXED
}

#[derive(Debug)]
struct Fixed;

impl TimeProvider for Fixed {
    fn get_current_date(&self) -> Date {
        date(NOW_SECS.get() / DAY_SECS)
    }

    fn get_current_date_time(&self) -> DateTime {
        let secs = NOW_SECS.get() % DAY_SECS;
        let part = |n: u64| u16::try_from(n).expect("below 24, 60 or 60");
        let time =
            Time { hour: part(secs / 3600), min: part(secs / 60 % 60), sec: part(secs % 60), millis: 0 };
        DateTime { date: self.get_current_date(), time }
    }
}

/// Returns the date `days` after 1970-01-01. Years are counted from March, so that the leap day comes last.
fn date(days: u64) -> Date {
    // 1968-03-01 began a four-year cycle, and 2000 is a leap year: no exception before 2100.
    const DAYS_FROM_MARCH_1968: u64 = 671;
    const DAYS_TO_MARCH_2100: u64 = 47_541;
    let mut day = days + DAYS_FROM_MARCH_1968;
    if DAYS_TO_MARCH_2100 <= days {
        day += 1; // 2100 has no leap day: count on as if it had.
    }
    let (cycle, day) = (day / 1461, day % 1461);
    let year_of_cycle = (day / 365).min(3);
    let day = day - 365 * year_of_cycle;
    let month_from_march = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month_from_march + 2) / 5 + 1;
    let next_year = u64::from(10 <= month_from_march);
    let year = 1968 + 4 * cycle + year_of_cycle + next_year;
    let month = (month_from_march + 2) % 12 + 1;
    let part = |n: u64| u16::try_from(n).expect("a year up to 2107, a month or a day");
    Date { year: part(year), month: part(month), day: part(day_of_month) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secs: u64, expected: (u16, u16, u16), time: (u16, u16, u16)) {
        let found = fixed(secs).get_current_date_time();
        assert_eq!((found.date.year, found.date.month, found.date.day), expected);
        assert_eq!((found.time.hour, found.time.min, found.time.sec), time);
    }

    #[test]
    fn days_become_dates() {
        check(1_700_000_000, (2023, 11, 14), (22, 13, 20));
        check(951_782_400, (2000, 2, 29), (0, 0, 0));
        check(951_868_800, (2000, 3, 1), (0, 0, 0));
        check(1_735_689_599, (2024, 12, 31), (23, 59, 59));
        check(4_107_542_399, (2100, 2, 28), (23, 59, 59));
        check(4_107_542_400, (2100, 3, 1), (0, 0, 0));
    }

    #[test]
    fn times_outside_of_fat_are_moved_inside() {
        check(0, (1980, 1, 1), (0, 0, 0));
        check(u64::MAX, (2107, 12, 31), (23, 59, 58));
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = date(FIRST_SECS / DAY_SECS);
        for days in FIRST_SECS / DAY_SECS + 1..=LAST_SECS / DAY_SECS {
            let next = date(days);
            let leap = before.year.is_multiple_of(4) && before.year != 2100;
            let n_days = match before.month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let expected = match (before.month, before.day) {
                (12, 31) => (before.year + 1, 1, 1),
                (month, day) if day == n_days => (before.year, month + 1, 1),
                (month, day) => (before.year, month, day + 1),
            };
            assert_eq!((next.year, next.month, next.day), expected);
            before = next;
        }
    }
}
