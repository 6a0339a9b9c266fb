//! Reboot windows: when a machine may reboot, in its own time zone.
//!
//! | variable | grammar | examples |
//! | --- | --- | --- |
//! | `LOCKSMITHD_REBOOT_WINDOW_START` | `[DAY ]HH:MM`; DAY is sun, mon, tue, wed, thu, fri or sat | `03:30`, `Sat 9:00` |
//! | `LOCKSMITHD_REBOOT_WINDOW_LENGTH` | Go duration, less than a day, or than a week with a DAY | `1h30m`, `90m` |
//!
//! A window opens at the first instant at which the machine's clock shows the day and the time, or a later time: where
//! the clock jumps over a start, at the jump; where it shows a start twice, at the first. It stays open for the length
//! as it passes, whatever the clock shows. Both ends are inside.

mod grammar;
mod standing;

use std::time::Duration;

use jiff::civil::{Time, Weekday};

pub use grammar::{Error, LEGACY_LENGTH, LEGACY_START, LENGTH, START, Variable};
pub use standing::Standing;

/// When a machine may reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Day of the week; none for every day.
    day: Option<Weekday>,
    start: Time,
    /// Less than the time between two starts.
    length: Duration,
}
