//! Where a moment stands to a window.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ZonedDateTime};

use super::Window;

/// Where a moment stands to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is no window: any moment is good.
    Always,
    /// The window is open.
    Open {
        /// Since then.
        since: Timestamp,
        /// The last instant inside.
        until: Timestamp,
    },
    /// The window is closed.
    Opens {
        /// When it opens next.
        at: Timestamp,
    },
}

impl Standing {
    /// Returns whether the moment is good for a reboot.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Opens { .. })
    }
}

impl Window {
    /// Says where a moment stands. Asked anew at each moment, so a clock that is set is followed.
    ///
    /// Where two windows are open at once, because summer time made a day shorter, it is the one that opened last.
    pub fn at(&self, now: &ZonedDateTime) -> Standing {
        let (zone, instant) = (now.time_zone(), now.timestamp());
        let mut opens: Option<Timestamp> = None;
        let mut open: Option<(Timestamp, Timestamp)> = None;
        // A window that is open has started in the last seven days, and the next starts in the next seven: a day more
        // on each side, as offsets differ, and one more for a day that is not in the calendar.
        for days in -9..=9 {
            let Ok(date) = now.date().checked_add(Span::new().days(days)) else { continue };
            if self.day.is_some_and(|day| day != date.weekday()) {
                continue;
            }
            let Some(start) = first_instant(date.to_datetime(self.start), zone) else { continue };
            // At the end of the calendar nothing ends.
            let until = start.checked_add(self.length).unwrap_or(Timestamp::MAX);
            if instant < start {
                opens = Some(opens.map_or(start, |before| before.min(start)));
            } else if instant <= until {
                open = Some(open.map_or((start, until), |before| before.max((start, until))));
            }
        }
        match (open, opens) {
            (Some((since, until)), _) => Standing::Open { since, until },
            (None, Some(at)) => Standing::Opens { at },
            // Behind the last day of the calendar.
            (None, None) => Standing::Opens { at: Timestamp::MAX },
        }
    }

    /// Returns the starts on a date, for tests and explanations: none where the day of the week is another.
    pub fn start_on(&self, date: Date, zone: &TimeZone) -> Option<Timestamp> {
        let is_day = self.day.is_none_or(|day| day == date.weekday());
        first_instant(date.to_datetime(self.start), zone).filter(|_| is_day)
    }
}

/// Returns the first instant at which clocks of a zone show a time or a later one; none outside of the calendar.
fn first_instant(shown: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    let before = ambiguous.offset();
    let instant = ambiguous.compatible().ok()?;
    match before {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => Some(instant),
        // The first change of the clock after an instant that is before it.
        AmbiguousOffset::Gap { .. } => {
            let earlier = ambiguous.earlier().ok()?;
            let change = zone.following(earlier).next().map(|change| change.timestamp());
            Some(change.filter(|change| *change <= instant).unwrap_or(instant))
        }
    }
}
