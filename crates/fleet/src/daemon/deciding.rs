//! The engine as a part, and its numbers among those that are served.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::board::Board;
use super::stop::Stop;
use crate::engine::{Counters, Counts, Engine};
use crate::http::Metrics;
use crate::http::metrics::{Counter, Gauge, Name};
use crate::journal::{Journal, Level};

/// How often the numbers are brought up to date.
const EVERY: Duration = Duration::from_secs(2);

const LEADS: Name =
    Name { name: "fleet_engine_leads", help: "Whether this machine's engine decides.", labels: &[] };
const TERMS: Name =
    Name { name: "fleet_engine_terms_total", help: "Terms that this engine has begun.", labels: &[] };
const PASSES: Name = Name { name: "fleet_engine_passes_total", help: "Passes of this engine.", labels: &[] };
const MICROS: Name =
    Name { name: "fleet_engine_pass_microseconds_total", help: "Time that all passes took.", labels: &[] };
const DECISIONS: Name =
    Name { name: "fleet_engine_decisions_total", help: "Decisions that were written.", labels: &[] };
const TRANSACTIONS: Name = Name {
    name: "fleet_engine_transactions_total",
    help: "Transactions that were sent, by what became of them.",
    labels: &["outcome"],
};

/// What the part is made of.
#[derive(Debug, Clone)]
pub struct Deciding {
    /// The engine.
    pub engine: Engine,
    /// What is counted.
    pub metrics: Metrics,
    /// How the part is.
    pub board: Board,
    /// Where it is said.
    pub journal: Journal,
}

impl Deciding {
    /// Runs until it is told to stop.
    pub async fn run(self, stop: Stop) {
        let Self { engine, metrics, board, journal } = self;
        let numbers = count(engine.counters(), &metrics);
        let tell = |line: &str| {
            journal.say(Level::Notice, &format!("engine: {line}"));
            board.note("engine", |condition| condition.last = Some(line.to_owned()));
        };
        tokio::select! {
            () = engine.run(stop.told(), tell) => {}
            () = numbers => {}
        }
    }
}

/// Brings the numbers up to date, for as long as it is asked to.
async fn count(counters: Arc<Counters>, metrics: &Metrics) {
    let mut mirror = Mirror::new(metrics);
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        mirror.show(counters.counts());
    }
}

/// The engine's numbers as they are served.
struct Mirror {
    shown: Counts,
    leads: Gauge,
    terms: Counter,
    passes: Counter,
    micros: Counter,
    decisions: Counter,
    transactions: Counter,
}

impl Mirror {
    fn new(metrics: &Metrics) -> Self {
        Self {
            shown: Counts::default(),
            leads: metrics.gauge(LEADS),
            terms: metrics.counter(TERMS),
            passes: metrics.counter(PASSES),
            micros: metrics.counter(MICROS),
            decisions: metrics.counter(DECISIONS),
            transactions: metrics.counter(TRANSACTIONS),
        }
    }

    /// Adds what came since the last time: an engine that is made anew begins at zero, and these do not.
    fn show(&mut self, now: Counts) {
        let before = self.shown;
        self.leads.set(&[], if now.leads { 1.0 } else { 0.0 });
        self.terms.add(&[], now.terms.saturating_sub(before.terms));
        self.passes.add(&[], now.passes.saturating_sub(before.passes));
        self.micros.add(&[], now.pass_micros.saturating_sub(before.pass_micros));
        self.decisions.add(&[], now.decisions.saturating_sub(before.decisions));
        let refused = now.refused.saturating_sub(before.refused);
        let sent = now.transactions.saturating_sub(before.transactions);
        self.transactions.add(&["refused"], refused);
        self.transactions.add(&["held"], sent.saturating_sub(refused));
        self.shown = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_when_an_engine_is_made_anew() {
        let metrics = Metrics::new();
        let counts =
            Counts { leads: true, terms: 1, passes: 5, transactions: 3, refused: 1, ..Counts::default() };
        let mut mirror = Mirror::new(&metrics);
        mirror.show(counts);
        mirror.show(Counts { passes: 7, ..counts });
        Mirror::new(&metrics).show(Counts { leads: false, passes: 2, ..Counts::default() });
        let text = metrics.text();
        for line in [
            "fleet_engine_leads 0",
            "fleet_engine_terms_total 1",
            "fleet_engine_passes_total 9",
            r#"fleet_engine_transactions_total{outcome="held"} 2"#,
            r#"fleet_engine_transactions_total{outcome="refused"} 1"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "no {line} in:\n{text}");
        }
    }
}
