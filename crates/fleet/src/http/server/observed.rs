//! What the server counts of itself.

use std::time::Duration;

use hyper::StatusCode;

use crate::http::metrics::{Counter, Gauge, Histogram, Metrics, Name, SECONDS};

/// Families of the server.
#[derive(Debug)]
pub(super) struct Observed {
    requests: Counter,
    durations: Histogram,
    connections: Gauge,
    failures: Counter,
    panics: Counter,
}

/// A connection that is there, until this is dropped.
#[derive(Debug)]
pub(super) struct Open(Gauge);

impl Observed {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counter(Name {
                name: "fleet_http_requests_total",
                help: "Requests that were answered, by path, method and status.",
                labels: &["route", "method", "status"],
            }),
            durations: metrics.histogram(
                Name {
                    name: "fleet_http_request_duration_seconds",
                    help: "Time from a request's head to its answer.",
                    labels: &["route", "method"],
                },
                SECONDS,
            ),
            connections: metrics.gauge(Name {
                name: "fleet_http_connections",
                help: "Connections that are open.",
                labels: &[],
            }),
            failures: metrics.counter(Name {
                name: "fleet_http_connection_failures_total",
                help: "Connections that were not accepted, or ended before their end.",
                labels: &["reason"],
            }),
            panics: metrics.counter(Name {
                name: "fleet_http_panics_total",
                help: "Requests during which fleetd made a mistake.",
                labels: &[],
            }),
        }
    }

    /// Counts an answer. Route and method are those of the table, so that clients cannot make up series.
    pub(super) fn answered(&self, route: &str, method: &str, status: StatusCode, took: Duration) {
        self.requests.increment(&[route, method, status.as_str()]);
        self.durations.observe(&[route, method], took);
    }

    pub(super) fn opened(&self) -> Open {
        self.connections.add(&[], 1.0);
        Open(self.connections.clone())
    }

    pub(super) fn failed(&self, reason: &str) {
        self.failures.increment(&[reason]);
    }

    pub(super) fn panicked(&self) {
        self.panics.increment(&[]);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.add(&[], -1.0);
    }
}
