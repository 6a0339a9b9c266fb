//! The newest events, in memory: they end with the program, and what has its own time comes again.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::Event;

/// Most events that are kept.
pub const RING_MAX: usize = 200;

/// At most [`RING_MAX`] events, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Ring(VecDeque<Event>);

impl Ring {
    /// Takes events; one that is older than others takes its place among them, and the oldest ones go.
    pub fn add(&mut self, events: Vec<Event>) {
        let time = |event: &Event| event.at.parse::<Timestamp>().ok();
        for event in events {
            let at = time(&event);
            let place = self.0.partition_point(|other| time(other) <= at);
            self.0.insert(place, event);
        }
        while RING_MAX < self.0.len() {
            self.0.pop_front();
        }
    }

    /// Returns them, newest first.
    pub fn newest_first(&self) -> Vec<Event> {
        self.0.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Kind;

    fn event(second: usize) -> Event {
        let at = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap().to_string();
        Event { at, kind: Kind::LeaderLost, text: second.to_string() }
    }

    fn texts(ring: &Ring) -> Vec<String> {
        ring.newest_first().into_iter().map(|event| event.text).collect()
    }

    #[test]
    fn events_are_in_the_order_of_their_times() {
        let mut ring = Ring::default();
        ring.add(vec![event(5), event(3)]);
        ring.add(vec![event(4)]);
        assert_eq!(texts(&ring), ["5", "4", "3"]);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut ring = Ring::default();
        for second in 0..RING_MAX + 10 {
            ring.add(vec![event(second)]);
        }
        let found = texts(&ring);
        assert_eq!((found.len(), found[RING_MAX - 1].as_str()), (RING_MAX, "10"));
        ring.add(vec![event(1)]);
        assert_eq!(texts(&ring).last().unwrap(), "10");
    }
}
