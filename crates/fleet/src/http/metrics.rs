//! What is counted and measured, in the text format of Prometheus.
//!
//! [`Metrics`] is a handle that is cheap to copy: the server shows what it holds as `/metrics`; engine, agent and
//! server each ask it for the families that they keep. A family lives as long as the handle.

mod text;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use values::{Counter, Gauge, Histogram};
use values::{Family, Kind};

/// Upper ends of the buckets for durations of requests and passes, in seconds.
pub const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All families of one process.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<&'static str, Arc<Family>>>>);

/// How a family is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// Name, `fleet_..._total` for a counter.
    pub name: &'static str,
    /// One line that says what it is.
    pub help: &'static str,
    /// Names of its labels; whoever counts gives as many values, in this order.
    pub labels: &'static [&'static str],
}

impl Metrics {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the counter of this name, which begins at zero.
    ///
    /// # Panics
    /// When the name is taken by a family of another kind or with other labels, which is a mistake of the program.
    pub fn counter(&self, name: Name) -> Counter {
        Counter(self.family(name, Kind::Counter))
    }

    /// Returns the gauge of this name.
    ///
    /// # Panics
    /// As [`Metrics::counter`] does.
    pub fn gauge(&self, name: Name) -> Gauge {
        Gauge(self.family(name, Kind::Gauge))
    }

    /// Returns the histogram of this name; `buckets` are the upper ends, which must grow.
    ///
    /// # Panics
    /// As [`Metrics::counter`] does.
    pub fn histogram(&self, name: Name, buckets: &'static [f64]) -> Histogram {
        Histogram(self.family(name, Kind::Histogram(buckets)))
    }

    /// Returns all families as `/metrics` shows them, by name.
    pub fn text(&self) -> String {
        let families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        families.values().map(|family| text::render(family)).collect()
    }

    fn family(&self, name: Name, kind: Kind) -> Arc<Family> {
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Family::new(name, kind));
        let family = Arc::clone(families.entry(name.name).or_insert_with(made));
        drop(families);
        assert!(family.is(name, kind), "the metric {} is two different things", name.name);
        family
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::*;

    const REQUESTS: Name = Name {
        name: "fleet_http_requests_total",
        help: "Requests that were answered.",
        labels: &["route", "status"],
    };

    #[test]
    fn families_are_shown_by_name_with_their_series_in_order() {
        let metrics = Metrics::new();
        let requests = metrics.counter(REQUESTS);
        requests.increment(&["units", "200"]);
        requests.add(&["machines", "503"], 2);
        requests.increment(&["units", "200"]);
        let machines = Name { name: "fleet_engine_machines", help: "Machines that are alive.", labels: &[] };
        metrics.gauge(machines).set(&[], 3.0);
        let passes = Name { name: "fleet_engine_pass_seconds", help: "How long a pass took.", labels: &[] };
        let passes = metrics.histogram(passes, &[0.1, 1.0]);
        for millis in [50, 100, 500, 2000] {
            passes.observe(&[], Duration::from_millis(millis));
        }
        expect![[r#"
            # HELP fleet_engine_machines Machines that are alive.
            # TYPE fleet_engine_machines gauge
            fleet_engine_machines 3
            # HELP fleet_engine_pass_seconds How long a pass took.
            # TYPE fleet_engine_pass_seconds histogram
            fleet_engine_pass_seconds_bucket{le="0.1"} 2
            fleet_engine_pass_seconds_bucket{le="1"} 3
            fleet_engine_pass_seconds_bucket{le="+Inf"} 4
            fleet_engine_pass_seconds_sum 2.65
            fleet_engine_pass_seconds_count 4
            # HELP fleet_http_requests_total Requests that were answered.
            # TYPE fleet_http_requests_total counter
            fleet_http_requests_total{route="machines",status="503"} 2
            fleet_http_requests_total{route="units",status="200"} 2
        "#]]
        .assert_eq(&metrics.text());
    }

    #[test]
    fn the_same_name_is_the_same_family() {
        let metrics = Metrics::new();
        metrics.counter(REQUESTS).increment(&["units", "200"]);
        metrics.clone().counter(REQUESTS).increment(&["units", "200"]);
        assert!(metrics.text().contains(r#"{route="units",status="200"} 2"#));
    }

    #[test]
    #[should_panic(expected = "two different things")]
    fn one_name_is_not_two_kinds() {
        let metrics = Metrics::new();
        metrics.counter(REQUESTS);
        metrics.gauge(REQUESTS);
    }

    #[test]
    #[should_panic(expected = "2 labels")]
    fn values_are_as_many_as_labels() {
        Metrics::new().counter(REQUESTS).increment(&["units"]);
    }

    #[test]
    fn values_of_labels_cannot_break_a_line() {
        let metrics = Metrics::new();
        metrics.counter(REQUESTS).increment(&["a\"b\\c\nd", "200"]);
        assert!(metrics.text().contains(r#"{route="a\"b\\c\nd",status="200"} 1"#));
    }

    #[test]
    fn a_gauge_can_be_taken_away() {
        let metrics = Metrics::new();
        let name = Name { name: "fleet_units", help: "Units.", labels: &["machine"] };
        let gauge = metrics.gauge(name);
        gauge.set(&["a"], 1.0);
        gauge.set(&["b"], f64::NAN);
        gauge.remove(&["a"]);
        assert_eq!(metrics.text().lines().last(), Some(r#"fleet_units{machine="b"} NaN"#));
    }
}
