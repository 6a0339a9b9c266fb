//! What an engine has done, in numbers that others may read while it runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Numbers since the program began.
#[derive(Debug, Default)]
pub struct Counters {
    leads: AtomicBool,
    terms: AtomicU64,
    passes: AtomicU64,
    pass_micros: AtomicU64,
    decisions: AtomicU64,
    transactions: AtomicU64,
    refused: AtomicU64,
}

/// The numbers at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whether this engine decides.
    pub leads: bool,
    /// Terms that it has begun.
    pub terms: u64,
    /// Passes.
    pub passes: u64,
    /// Time that all passes took, in microseconds.
    pub pass_micros: u64,
    /// Decisions that were written.
    pub decisions: u64,
    /// Transactions that were sent.
    pub transactions: u64,
    /// Those of them that the store refused because it had changed.
    pub refused: u64,
}

impl Counters {
    /// Returns the numbers.
    pub fn counts(&self) -> Counts {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Counts {
            leads: self.leads.load(Ordering::Relaxed),
            terms: read(&self.terms),
            passes: read(&self.passes),
            pass_micros: read(&self.pass_micros),
            decisions: read(&self.decisions),
            transactions: read(&self.transactions),
            refused: read(&self.refused),
        }
    }

    pub(super) fn leads(&self, leads: bool) {
        if !self.leads.swap(leads, Ordering::Relaxed) && leads {
            self.terms.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn passed(&self, took: Duration) {
        self.passes.fetch_add(1, Ordering::Relaxed);
        self.pass_micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn sent(&self) {
        self.transactions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn written(&self, decisions: usize) {
        self.decisions.fetch_add(u64::try_from(decisions).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn was_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_counts_once() {
        let counters = Counters::default();
        counters.leads(true);
        counters.leads(true);
        counters.passed(Duration::from_millis(2));
        let counts = counters.counts();
        assert!(counts.leads && counts.terms == 1 && counts.passes == 1 && counts.pass_micros == 2000);
        counters.leads(false);
        counters.leads(true);
        assert_eq!(counters.counts().terms, 2);
    }
}
