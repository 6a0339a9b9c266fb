//! Runs scenarios, prints what they do with the time, and counts.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
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
    /// How many machines run in it at a time.
    pub machines: usize,
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

/// Runs `scenarios`, with at most `jobs` machines at a time or one scenario alone, and returns whether all passed.
pub fn run(setup: &Setup, scenarios: &[&Scenario], jobs: usize) -> anyhow::Result<bool> {
    let start = Instant::now();
    let queue = Queue::new(in_order(scenarios, jobs), jobs);
    let results = Mutex::new(Vec::new());
    // A machine dies with the thread that started it, so a scenario stays on its thread.
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(scenarios.len()) {
            scope.spawn(|| {
                while let Some(scenario) = queue.next() {
                    let result = run_one(setup, scenario);
                    queue.done(scenario);
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

/// What is left to run, and how many machines may still be started.
struct Queue<'a> {
    state: Mutex<(VecDeque<&'a Scenario>, usize)>,
    is_freed: Condvar,
    jobs: usize,
}

impl<'a> Queue<'a> {
    fn new(scenarios: Vec<&'a Scenario>, jobs: usize) -> Self {
        let state = Mutex::new((VecDeque::from(scenarios), jobs));
        Self { state, is_freed: Condvar::new(), jobs }
    }

    /// Waits until the next scenario's machines may run; there is none when all were given out.
    ///
    /// With more machines than processors, a start takes so long that machines give it up.
    fn next(&self) -> Option<&'a Scenario> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (queue, free) = &mut *state;
            let scenario = *queue.front()?;
            if let Some(left) = free.checked_sub(self.weight(scenario)) {
                queue.pop_front();
                *free = left;
                return Some(scenario);
            }
            state = self.is_freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives a scenario's machines back.
    fn done(&self, scenario: &Scenario) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 += self.weight(scenario);
        self.is_freed.notify_all();
    }

    /// A scenario with more machines than may run at a time runs alone.
    fn weight(&self, scenario: &Scenario) -> usize {
        scenario.machines.min(self.jobs)
    }
}

/// Returns the order: that of the table when one runs after the other, else those that run alone and then the longest
/// first, so that none is left to run alone at the end.
fn in_order<'a>(scenarios: &[&'a Scenario], jobs: usize) -> Vec<&'a Scenario> {
    let mut order = scenarios.to_vec();
    if jobs > 1 {
        order.sort_by_key(|scenario| std::cmp::Reverse((scenario.machines.min(jobs), scenario.boots)));
    }
    order
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

    fn scenario(name: &'static str, boots: u32, machines: usize) -> Scenario {
        Scenario { name, acceptance: &["A01"], boots, machines, run: |_| anyhow::bail!("not run") }
    }

    #[test]
    fn a_scenario_with_many_machines_runs_alone_and_first() {
        let [long, short, wide] = [scenario("long", 9, 1), scenario("short", 1, 1), scenario("wide", 4, 3)];
        let order = in_order(&[&long, &short, &wide], 2);
        assert_eq!(order.iter().map(|scenario| scenario.name).collect::<Vec<_>>(), ["wide", "long", "short"]);
        let queue = Queue::new(order, 2);
        let first = queue.next().unwrap();
        assert_eq!((first.name, queue.state.lock().unwrap().1), ("wide", 0));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| queue.next().unwrap().name);
            queue.done(first);
            assert_eq!(second.join().unwrap(), "long");
        });
        assert_eq!(queue.next().unwrap().name, "short");
        assert!(queue.next().is_none());
    }

    #[test]
    fn a_filter_matches_part_of_the_name_or_a_whole_id() {
        let scenario = scenario("first_boot", 1, 1);
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
