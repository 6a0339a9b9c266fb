//! Runs scenarios, prints what they do with the time, and counts.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::lab::{Lab, Setup};

/// One test: starts machines, changes one thing, and checks what comes of it.
#[derive(Debug)]
pub struct Scenario {
    /// The claim, in the words of a test's name.
    pub name: &'static str,
    /// Ids of docs/acceptance.md that it covers.
    pub acceptance: &'static [&'static str],
    /// How often a machine boots in it, roughly its cost in minutes.
    pub boots: u32,
    /// The test.
    pub run: fn(&Lab) -> anyhow::Result<()>,
}

impl Scenario {
    /// Says whether the name or an acceptance id contains one of `filters`; all do when there are none.
    pub fn matches(&self, filters: &[String]) -> bool {
        let hit = |filter: &String| {
            self.name.contains(filter.as_str()) || self.acceptance.contains(&filter.as_str())
        };
        filters.is_empty() || filters.iter().any(hit)
    }

    /// Returns the row for `--list`.
    pub fn line(&self) -> String {
        format!("{:<48} {:>2} boots  {}", self.name, self.boots, self.acceptance.join(" "))
    }
}

/// Runs `scenarios`, `jobs` at a time, and returns whether all passed.
pub fn run(setup: &Setup, scenarios: &[&Scenario], jobs: usize) -> anyhow::Result<bool> {
    let start = Instant::now();
    let queue = Mutex::new(VecDeque::from(in_order(scenarios, jobs)));
    let results = Mutex::new(Vec::new());
    // A machine dies with the thread that started it, so a scenario stays on its thread.
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(scenarios.len()) {
            scope.spawn(|| {
                while let Some(scenario) = next(&queue) {
                    let result = run_one(setup, scenario);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!();
    for (scenario, time, error) in &results {
        let state = if error.is_none() { "passed" } else { "FAILED" };
        println!("{state}  {:>5.0} s  {}", time.as_secs_f64(), scenario.name);
        if let Some(error) = error {
            println!("        {}", error.replace('\n', "\n        "));
        }
    }
    let failed = results.iter().filter(|(_, _, error)| error.is_some()).count();
    println!("{} passed, {failed} failed ({:.0} s)", results.len() - failed, start.elapsed().as_secs_f64());
    Ok(failed == 0)
}

/// Returns the order: that of the table when one runs after the other, else the longest first, so that none is left to
/// run alone at the end.
fn in_order<'a>(scenarios: &[&'a Scenario], jobs: usize) -> Vec<&'a Scenario> {
    let mut order = scenarios.to_vec();
    if jobs > 1 {
        order.sort_by_key(|scenario| std::cmp::Reverse(scenario.boots));
    }
    order
}

fn next<'a>(queue: &Mutex<VecDeque<&'a Scenario>>) -> Option<&'a Scenario> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn run_one<'a>(setup: &Setup, scenario: &'a Scenario) -> (&'a Scenario, Duration, Option<String>) {
    let start = Instant::now();
    let lab = Lab::new(setup, scenario.name);
    lab.say("started");
    // A panic in a scenario is a failure of that scenario, not of those after it.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (scenario.run)(&lab)));
    let error = match result {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(_) => Some("the scenario panicked".to_owned()),
    };
    match &error {
        None => lab.say("passed"),
        Some(error) => lab.report_failure(error),
    }
    lab.finish(error.is_some());
    (scenario, start.elapsed(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_matches_part_of_the_name_or_a_whole_id() {
        let scenario = Scenario {
            name: "first_boot",
            acceptance: &["A01"],
            boots: 1,
            run: |_| anyhow::bail!("not run"),
        };
        let matches = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|&text| text.to_owned()).collect();
            scenario.matches(&filters)
        };
        assert!(matches(&[]));
        assert!(matches(&["boot"]));
        assert!(matches(&["nothing", "A01"]));
        assert!(!matches(&["A0"]));
    }
}
