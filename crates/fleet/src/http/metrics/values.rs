//! Families of values and the handles that change them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Name;

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// With the upper ends of its buckets.
    Histogram(&'static [f64]),
}

/// Values of one name, by the values of its labels.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: Name,
    pub(super) kind: Kind,
    series: Mutex<BTreeMap<Vec<String>, Value>>,
}

/// One value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Counter(u64),
    Gauge(f64),
    Histogram(Buckets),
}

/// Observations, sorted into buckets.
#[derive(Debug, Clone)]
pub(super) struct Buckets {
    /// How many were at most the bucket's upper end and more than that of the one before.
    pub(super) counts: Vec<u64>,
    pub(super) count: u64,
    pub(super) sum: f64,
}

/// Only grows.
#[derive(Debug, Clone)]
pub struct Counter(pub(super) Arc<Family>);

/// Goes up and down.
#[derive(Debug, Clone)]
pub struct Gauge(pub(super) Arc<Family>);

/// How long things took.
#[derive(Debug, Clone)]
pub struct Histogram(pub(super) Arc<Family>);

impl Counter {
    /// Adds one.
    ///
    /// # Panics
    /// When there are not as many values as labels, which is a mistake of the program.
    pub fn increment(&self, labels: &[&str]) {
        self.add(labels, 1);
    }

    /// Adds several.
    ///
    /// # Panics
    /// As [`Counter::increment`] does.
    pub fn add(&self, labels: &[&str], more: u64) {
        self.0.change(labels, |value| {
            if let Value::Counter(count) = value {
                *count = count.saturating_add(more);
            }
        });
    }
}

impl Gauge {
    /// Sets the value.
    ///
    /// # Panics
    /// As [`Counter::increment`] does.
    pub fn set(&self, labels: &[&str], now: f64) {
        self.0.change(labels, |value| *value = Value::Gauge(now));
    }

    /// Adds to the value, which begins at zero; less than nothing takes away.
    ///
    /// # Panics
    /// As [`Counter::increment`] does.
    pub fn add(&self, labels: &[&str], more: f64) {
        self.0.change(labels, |value| {
            if let Value::Gauge(now) = value {
                *now += more;
            }
        });
    }

    /// Forgets the value of what is no more.
    pub fn remove(&self, labels: &[&str]) {
        let key: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        self.0.series().remove(&key);
    }
}

impl Histogram {
    /// Adds one observation.
    ///
    /// # Panics
    /// As [`Counter::increment`] does.
    pub fn observe(&self, labels: &[&str], took: Duration) {
        let Kind::Histogram(ends) = self.0.kind else { return };
        let seconds = took.as_secs_f64();
        self.0.change(labels, |value| {
            if let Value::Histogram(buckets) = value {
                buckets.add(ends, seconds);
            }
        });
    }
}

impl Buckets {
    fn add(&mut self, ends: &[f64], seconds: f64) {
        let bucket = ends.iter().position(|end| seconds <= *end);
        if let Some(count) = bucket.and_then(|bucket| self.counts.get_mut(bucket)) {
            *count += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }
}

impl Family {
    pub(super) fn new(name: Name, kind: Kind) -> Self {
        Self { name, kind, series: Mutex::default() }
    }

    /// Whether this is the family that is meant.
    pub(super) fn is(&self, name: Name, kind: Kind) -> bool {
        self.kind == kind && self.name.labels == name.labels
    }

    /// Its values; a thread that panicked left them whole, because each change is one assignment.
    pub(super) fn series(&self) -> MutexGuard<'_, BTreeMap<Vec<String>, Value>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, labels: &[&str], change: impl FnOnce(&mut Value)) {
        let Name { name, labels: wanted, .. } = self.name;
        assert!(labels.len() == wanted.len(), "{name} has {} labels, not {}", wanted.len(), labels.len());
        let key: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let empty = || match self.kind {
            Kind::Counter => Value::Counter(0),
            Kind::Gauge => Value::Gauge(0.0),
            Kind::Histogram(ends) => {
                Value::Histogram(Buckets { counts: vec![0; ends.len()], count: 0, sum: 0.0 })
            }
        };
        change(self.series().entry(key).or_insert_with(empty));
    }
}
