//! In which order endpoints are asked: as configured, those that failed last, until they have rested.

use std::time::Duration;

use tokio::time::Instant;

/// How long an endpoint rests after its first failure.
const REST_FIRST: Duration = Duration::from_secs(1);
/// How long it rests after many.
const REST_LONGEST: Duration = Duration::from_secs(15);

/// What is known of each endpoint, by its place in the configuration.
#[derive(Debug)]
pub(crate) struct Turns {
    rests: Vec<Option<Rest>>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    length: Duration,
}

impl Turns {
    /// Nothing is known of `count` endpoints.
    pub(crate) fn new(count: usize) -> Self {
        Self { rests: vec![None; count] }
    }

    /// All places: those that do not rest in the order of the configuration, then the others, whose rest ends first
    /// before the rest. A request is lost for certain only if nobody is asked.
    pub(crate) fn order(&self, now: Instant) -> Vec<usize> {
        let resting = |place: &usize| self.rests[*place].filter(|rest| rest.until > now);
        let (mut last, mut first): (Vec<_>, Vec<_>) =
            (0..self.rests.len()).partition(|place| resting(place).is_some());
        last.sort_by_key(|place| resting(place).map(|rest| rest.until));
        first.append(&mut last);
        first
    }

    /// The endpoint answered.
    pub(crate) fn worked(&mut self, place: usize) {
        self.rests[place] = None;
    }

    /// The endpoint did not answer, or cannot: it rests, the longer the more often in a row.
    pub(crate) fn failed(&mut self, place: usize, now: Instant) {
        let length = match self.rests[place] {
            // Several requests that were under way fail together.
            Some(rest) if rest.until > now => return,
            Some(rest) => (rest.length * 2).min(REST_LONGEST),
            None => REST_FIRST,
        };
        self.rests[place] = Some(Rest { until: now + length, length });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_endpoint_is_preferred_while_it_works() {
        let mut turns = Turns::new(3);
        let now = Instant::now();
        turns.worked(2);
        assert_eq!(turns.order(now), [0, 1, 2]);
    }

    #[test]
    fn one_that_failed_is_asked_last_until_it_has_rested() {
        let mut turns = Turns::new(3);
        let now = Instant::now();
        turns.failed(0, now);
        assert_eq!(turns.order(now), [1, 2, 0]);
        assert_eq!(turns.order(now + REST_FIRST), [0, 1, 2]);
    }

    #[test]
    fn rests_grow_with_failures_in_a_row_and_are_forgotten_with_success() {
        let mut turns = Turns::new(2);
        let mut now = Instant::now();
        for _ in 0..8 {
            turns.failed(0, now);
            now += REST_LONGEST;
        }
        turns.failed(0, now);
        assert_eq!(turns.order(now + REST_LONGEST - Duration::from_millis(1)), [1, 0]);
        assert_eq!(turns.order(now + REST_LONGEST), [0, 1]);
        turns.worked(0);
        turns.failed(0, now);
        assert_eq!(turns.order(now + REST_FIRST), [0, 1]);
    }

    #[test]
    fn failures_of_one_moment_count_once() {
        let mut turns = Turns::new(2);
        let now = Instant::now();
        for _ in 0..50 {
            turns.failed(0, now);
        }
        assert_eq!(turns.order(now + REST_FIRST), [0, 1]);
    }

    #[test]
    fn where_all_failed_the_one_that_rests_least_comes_first() {
        let mut turns = Turns::new(3);
        let now = Instant::now();
        for (place, after) in [(1, 0), (2, 100), (0, 200)] {
            turns.failed(place, now + Duration::from_millis(after));
        }
        assert_eq!(turns.order(now + Duration::from_millis(300)), [1, 2, 0]);
    }
}
