//! Whether a channel file is to be believed, and when a machine may take what it offers: pure functions of
//! the file and what the machine knows.

use std::fmt;

use super::Channel;

/// How far ahead of a synchronized clock a file may have been issued, in seconds.
pub const AHEAD_MAX_SECS: u64 = 24 * 3600;

/// What the agent knows when it judges a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The latest of clock, build time of the running version, and newest `issued` seen of this channel, in
    /// seconds since 1970.
    pub now: u64,
    /// The clock, if it is synchronized, in seconds since 1970. A file from the future is told by it alone:
    /// `now` may have come from such a file.
    pub synchronized: Option<u64>,
    /// Highest sequence seen of this channel; 0 if none.
    pub sequence: u64,
}

/// Why a valid file is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An older file than one that was seen.
    #[error("replayed: its sequence is {found}, {seen} was seen before")]
    Replayed {
        /// Sequence of the file.
        found: u64,
        /// Highest sequence seen.
        seen: u64,
    },
    /// Too old.
    #[error("expired {} ago: the server serves an old file, or the clock is wrong", Span(*by))]
    Expired {
        /// Seconds since its end.
        by: u64,
    },
    /// From the future.
    #[error("issued {} ahead of this machine's synchronized clock", Span(*by))]
    Ahead {
        /// Seconds.
        by: u64,
    },
}

impl Channel {
    /// Says whether the file is to be believed.
    pub fn judge(&self, known: Known) -> Result<(), Refusal> {
        if self.sequence < known.sequence {
            return Err(Refusal::Replayed { found: self.sequence, seen: known.sequence });
        }
        if self.expires <= known.now {
            return Err(Refusal::Expired { by: known.now - self.expires });
        }
        match known.synchronized.map(|clock| self.issued.saturating_sub(clock)) {
            Some(by) if AHEAD_MAX_SECS < by => Err(Refusal::Ahead { by }),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns when a machine with the random number `seed` may update, in seconds since 1970.
    ///
    /// The number decides wave and place in the wave, so that a server without memory suffices.
    pub fn due(&self, seed: u64) -> u64 {
        // Millionths of all machines in front of this one.
        let mut rank = seed % 1_000_000;
        for wave in &self.waves {
            let share = u64::from(wave.percent) * 10_000;
            if rank < share {
                let into = wave.duration.saturating_mul(rank) / share;
                return self.issued.saturating_add(wave.start).saturating_add(into);
            }
            rank -= share;
        }
        self.issued
    }
}

/// A stretch of time in its largest unit.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            secs @ 0..120 => write!(f, "{secs} s"),
            secs @ 120..7200 => write!(f, "{} minutes", secs / 60),
            secs @ 7200..172_800 => write!(f, "{} hours", secs / 3600),
            secs => write!(f, "{} days", secs / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Wave;
    use super::*;
    use crate::digest::Digest;
    use proptest::prelude::*;

    /// Issued at 1 000 000, expires at 2 000 000.
    fn channel(waves: &[(u64, u64, u32)]) -> Channel {
        let wave = |&(start, duration, percent): &(u64, u64, u32)| Wave { start, duration, percent };
        Channel {
            product: "slipway".to_owned(),
            channel: "stable".to_owned(),
            version: "1.4.0".to_owned(),
            sequence: 7,
            issued: 1_000_000,
            expires: 2_000_000,
            locations: vec!["slipway_1.4.0.payload".to_owned()],
            manifest_sha256: Digest([8; 32]),
            payload_len: 300 << 20,
            waves: waves.iter().map(wave).collect(),
        }
    }

    #[track_caller]
    fn check(now: u64, synchronized: Option<u64>, sequence: u64, expected: Result<(), Refusal>) {
        assert_eq!(channel(&[]).judge(Known { now, synchronized, sequence }), expected);
    }

    #[test]
    fn a_sequence_never_goes_back() {
        let now = 1_500_000;
        check(now, Some(now), 0, Ok(()));
        check(now, Some(now), 7, Ok(()));
        check(now, Some(now), 8, Err(Refusal::Replayed { found: 7, seen: 8 }));
    }

    #[test]
    fn an_expired_file_is_refused_with_or_without_a_clock() {
        check(1_999_999, Some(1_999_999), 0, Ok(()));
        check(2_000_000, Some(2_000_000), 0, Err(Refusal::Expired { by: 0 }));
        check(2_000_005, None, 0, Err(Refusal::Expired { by: 5 }));
        // The build time or a file that was seen tell the time to a clock that is behind.
        check(2_000_005, Some(1_500_000), 0, Err(Refusal::Expired { by: 5 }));
    }

    #[test]
    fn only_a_synchronized_clock_tells_a_file_from_the_future() {
        let clock = 1_000_000 - AHEAD_MAX_SECS;
        check(clock, Some(clock), 0, Ok(()));
        check(clock - 1, Some(clock - 1), 0, Err(Refusal::Ahead { by: AHEAD_MAX_SECS + 1 }));
        check(5, None, 0, Ok(()));
        // A file from the future that was believed does not make the next one believable.
        check(999_999, Some(clock - 1), 0, Err(Refusal::Ahead { by: AHEAD_MAX_SECS + 1 }));
    }

    #[test]
    fn refusals_say_how_much_in_words() {
        let text = Refusal::Expired { by: 3 * 86_400 }.to_string();
        assert_eq!(text, "expired 3 days ago: the server serves an old file, or the clock is wrong");
        let text = Refusal::Ahead { by: 90_000 }.to_string();
        assert_eq!(text, "issued 25 hours ahead of this machine's synchronized clock");
        let spans = [119, 120, 7199, 7200, 172_799, 172_800].map(|secs| Span(secs).to_string());
        assert_eq!(spans, ["119 s", "2 minutes", "119 minutes", "2 hours", "47 hours", "2 days"]);
    }

    #[test]
    fn the_seed_decides_wave_and_place() {
        assert_eq!(channel(&[]).due(123_456), 1_000_000);
        let channel = channel(&[(0, 100, 10), (1000, 900, 90)]);
        let due = |seed| channel.due(seed) - 1_000_000;
        assert_eq!([due(0), due(50_000), due(99_999)], [0, 50, 99]);
        assert_eq!([due(100_000), due(550_000), due(999_999)], [1000, 1450, 1899]);
        assert_eq!(due(7_000_000), due(0));
    }

    #[test]
    fn the_example_of_the_page() {
        let channel = channel(&[(0, 3600, 5), (86_400, 86_400, 95)]);
        let due =
            [0, 25_000, 49_999, 50_000, 525_000, 999_999].map(|seed| channel.due(seed) - channel.issued);
        assert_eq!(due, [0, 1800, 3599, 86_400, 86_400 + 43_200, 172_799]);
    }

    proptest! {
        #[test]
        fn every_machine_is_due_within_the_waves(seed: u64, share in 0_u32..=100) {
            let channel = channel(&[(0, 10, share), (100, 10, 100 - share)]);
            let due = channel.due(seed) - channel.issued;
            prop_assert!(due < 10 || (100..110).contains(&due));
        }

        #[test]
        fn waves_have_their_share_of_the_machines(share in 0_u32..=100) {
            let channel = channel(&[(0, 10, share), (100, 10, 100 - share)]);
            // A thousand seeds, evenly spread: ten to a percent.
            let n_first = (0..1000).filter(|n| channel.due(n * 1000) < channel.issued + 10).count();
            prop_assert_eq!(u32::try_from(n_first), Ok(10 * share));
        }
    }
}
