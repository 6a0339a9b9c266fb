//! Where the agent says what it does, and where that is counted.

use etcd_rpc::Error;
use fleet_core::agent::Task;

use crate::http::metrics::{Counter, Metrics, Name};
use crate::journal::Journal;
use crate::registry::{StateValue, from_json};

const TASKS: Name = Name {
    name: "fleet_agent_tasks_total",
    help: "Tasks of the agent, such as to start a unit, by what became of them.",
    labels: &["task", "outcome"],
};
const REPORTS: Name = Name {
    name: "fleet_agent_reports_total",
    help: "Reports of units that were written, by the unit's ACTIVE; removed ones are those of units that are gone.",
    labels: &["active"],
};
const RENEWALS: Name = Name {
    name: "fleet_agent_lease_renewals_total",
    help: "Renewals of the machine's lease, by what became of them.",
    labels: &["outcome"],
};
const RECONNECTIONS: Name = Name {
    name: "fleet_agent_reconnections_total",
    help: "How often the store was heard again after it was away.",
    labels: &[],
};

/// What became of a renewal: the same lease, a new one, one that was over, none.
const OUTCOMES: [&str; 4] = ["renewed", "granted", "gone", "failed"];

/// Where it is said and counted. Copies are the same.
#[derive(Debug, Clone)]
pub(super) struct Records {
    /// Where it is said.
    pub(super) journal: Journal,
    tasks: Counter,
    reports: Counter,
    renewals: Counter,
    reconnections: Counter,
}

impl Records {
    /// Says by `journal`, and counts with what `metrics` has, where numbers go on from the agent before.
    pub(super) fn new(metrics: &Metrics, journal: Journal) -> Self {
        let records = Self {
            journal,
            tasks: metrics.counter(TASKS),
            reports: metrics.counter(REPORTS),
            renewals: metrics.counter(RENEWALS),
            reconnections: metrics.counter(RECONNECTIONS),
        };
        // A number that is there from the beginning is seen to grow.
        for outcome in OUTCOMES {
            records.renewals.add(&[outcome], 0);
        }
        records.reconnections.add(&[], 0);
        records
    }

    /// A task was done.
    pub(super) fn done(&self, task: &Task) {
        self.tasks.increment(&[word(task), "done"]);
    }

    /// A task failed; it is tried again.
    pub(super) fn failed(&self, task: &Task) {
        self.tasks.increment(&[word(task), "failed"]);
    }

    /// A report was written with this value, or removed.
    pub(super) fn reported(&self, value: Option<&[u8]>) {
        let active = value.map(|value| from_json::<StateValue>(value).map(|value| value.report.active));
        match active {
            Some(Ok(active)) => self.reports.increment(&[&active]),
            Some(Err(_)) => {}
            None => self.reports.increment(&["removed"]),
        }
    }

    /// A lease was granted, or that was tried.
    pub(super) fn granted<T>(&self, granted: &Result<T, Error>) {
        self.renewals.increment(&[if granted.is_ok() { "granted" } else { "failed" }]);
    }

    /// A lease was renewed, or that was tried.
    pub(super) fn renewed<T>(&self, renewed: &Result<T, Error>) {
        self.renewals.increment(&[match renewed {
            Ok(_) => "renewed",
            Err(Error::LeaseGone) => "gone",
            Err(_) => "failed",
        }]);
    }

    /// The store is heard again.
    pub(super) fn reconnected(&self) {
        self.reconnections.increment(&[]);
    }
}

fn word(task: &Task) -> &'static str {
    match task {
        Task::Unload(_) => "unload",
        Task::Load(_) => "load",
        Task::Reload => "reload",
        Task::Stop(_) => "stop",
        Task::Release(_) => "release",
        Task::Claim { .. } => "claim",
        Task::Start { .. } => "start",
    }
}

#[cfg(test)]
mod tests {
    use fleet_core::name::UnitName;

    use super::*;

    #[test]
    fn what_is_done_is_counted_by_what_became_of_it() {
        let metrics = Metrics::new();
        let records = Records::new(&metrics, Journal::new(0));
        let stop = Task::Stop(UnitName::parse("a.service").unwrap());
        records.done(&stop);
        records.done(&stop);
        records.failed(&Task::Load(UnitName::parse("b.service").unwrap()));
        let state =
            br#"{"hash":"h","load":"loaded","active":"failed","sub":"failed","started":true,"entry":7}"#;
        records.reported(Some(state));
        records.reported(None);
        records.granted(&Ok(()));
        records.renewed(&Ok(()));
        records.renewed::<()>(&Err(Error::LeaseGone));
        records.renewed::<()>(&Err(Error::Compacted));
        records.granted::<()>(&Err(Error::Compacted));
        Records::new(&metrics, Journal::new(0)).reconnected();
        let text = metrics.text();
        for line in [
            r#"fleet_agent_tasks_total{task="stop",outcome="done"} 2"#,
            r#"fleet_agent_tasks_total{task="load",outcome="failed"} 1"#,
            r#"fleet_agent_reports_total{active="failed"} 1"#,
            r#"fleet_agent_reports_total{active="removed"} 1"#,
            r#"fleet_agent_lease_renewals_total{outcome="granted"} 1"#,
            r#"fleet_agent_lease_renewals_total{outcome="renewed"} 1"#,
            r#"fleet_agent_lease_renewals_total{outcome="gone"} 1"#,
            r#"fleet_agent_lease_renewals_total{outcome="failed"} 2"#,
            "fleet_agent_reconnections_total 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "no {line} in:\n{text}");
        }
    }

    #[test]
    fn numbers_are_there_before_anything_is_counted() {
        let metrics = Metrics::new();
        Records::new(&metrics, Journal::new(0));
        let text = metrics.text();
        assert!(text.contains("fleet_agent_reconnections_total 0\n"), "{text}");
        assert!(text.contains(r#"fleet_agent_lease_renewals_total{outcome="failed"} 0"#), "{text}");
    }
}
