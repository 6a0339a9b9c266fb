//! `slipway-update run`: the daemon, which is `apply` with a timer.

use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_support::host::Host;

use super::print;
use crate::driver::{self, Origin, Outcome};
use crate::machine::{Aim, Phase};
use crate::settings::{self, Settings};
use crate::source::Limits;
use crate::status::Words;
use crate::{clock, files, lock, state};

/// After failures checks become rarer, up to this.
const INTERVAL_MAX: Duration = Duration::from_secs(4 * 3600);
/// Settings are looked at this often while the agent waits.
const SETTINGS_PERIOD: Duration = Duration::from_secs(30);
/// How long another command may hold the lock before a check is left out.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// Checks for ever. Returns only with an error that another try would not mend.
pub fn run(host: &Host, limits: &Limits) -> anyhow::Result<std::convert::Infallible> {
    match lock::work(host, LOCK_WAIT) {
        Ok(_lock) => driver::clean(host)?,
        Err(err) => print::line(&format!("not cleaning up: {err:#}"))?,
    }
    if !clock::wait_for_sync(host, clock::SYNC_WAIT) {
        print::line(&format!(
            "the clock is not synchronized after {} s ({} is missing): going on without",
            clock::SYNC_WAIT.as_secs(),
            files::SYNCHRONIZED_FILE
        ))?;
    }
    let mut failures = 0;
    wait(host, |settings| first(settings.interval, random_permille()))?;
    loop {
        failures = match check(host, limits) {
            Ok(Some(outcome)) if outcome.calls_for_patience() => failures + 1,
            Ok(_) => 0,
            Err(err) => {
                eprintln!("error: {err:#}");
                failures + 1
            }
        };
        wait(host, |settings| next(settings.interval, failures, random_permille()))?;
    }
}

/// One check; `None` if nobody told the agent where to look.
fn check(host: &Host, limits: &Limits) -> anyhow::Result<Option<Outcome>> {
    if settings::load(host)?.0.server.is_none() {
        return Ok(None);
    }
    let _lock = lock::work(host, LOCK_WAIT)?;
    let outcome = driver::run(host, limits, &Origin::Channel, Aim::TakeWhenDue, Words::Stdout)?;
    match (&outcome.error, &outcome.phase) {
        (Some(err), _) => eprintln!("error: {err:#}"),
        (None, Phase::NeedReboot(_) | Phase::Available(_) | Phase::Idle) => {}
        (None, phase) => print::line(&format!("stopped at {}", phase.op().name()))?,
    }
    Ok(Some(outcome))
}

/// Sleeps until `period` of the settings is over; a shorter one in changed settings counts at once.
fn wait(host: &Host, period: impl Fn(&Settings) -> Duration) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut known = None;
    let mut length = Duration::ZERO;
    loop {
        // Wrong settings are said at the check; until then the last good ones count.
        if let Ok((settings, _)) = settings::load(host)
            && known.as_ref() != Some(&settings)
        {
            length = period(&settings);
            known = Some(settings);
        }
        let length = if known.is_some() { length } else { SETTINGS_PERIOD };
        let left = length.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        sleep(left.min(SETTINGS_PERIOD));
    }
}

/// The first check comes after a twentieth to a quarter of the interval: 2 to 11 minutes of 45.
fn first(interval: Duration, permille: u64) -> Duration {
    scaled(interval, 50 + permille / 5)
}

/// The interval, a tenth more or less so that machines do not ask together; doubled by failures in a row.
fn next(interval: Duration, failures: u32, permille: u64) -> Duration {
    let doubled = interval.saturating_mul(1 << failures.min(12)).min(INTERVAL_MAX.max(interval));
    scaled(doubled, 900 + permille / 5)
}

fn scaled(period: Duration, permille: u64) -> Duration {
    let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.saturating_mul(permille) / 1000)
}

/// A number from 0 to 999; without random numbers, the middle will do.
fn random_permille() -> u64 {
    state::random().map_or(500, |random| random % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(2700);

    #[test]
    fn the_first_check_comes_soon_and_the_others_with_jitter() {
        assert_eq!((first(INTERVAL, 0).as_secs(), first(INTERVAL, 999).as_secs()), (135, 672));
        assert_eq!((next(INTERVAL, 0, 0).as_secs(), next(INTERVAL, 0, 999).as_secs()), (2430, 2967));
    }

    #[test]
    fn failures_double_the_interval_up_to_a_limit() {
        let middle = |failures| next(INTERVAL, failures, 500).as_secs();
        assert_eq!(
            [middle(0), middle(1), middle(2), middle(3), middle(99)],
            [2700, 5400, 10_800, 14_400, 14_400]
        );
        let week = Duration::from_secs(604_800);
        assert_eq!(next(week, 5, 500), week);
    }
}
