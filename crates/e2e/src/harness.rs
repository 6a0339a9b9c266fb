//! Runs scenarios, prints what they do with the time, and counts.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::guest::Guest;
use crate::lab::{Lab, Setup};

/// One test: starts machines, changes one thing, and checks what comes of it.
#[derive(Debug)]
pub struct Scenario {
    /// The claim, in the words of a test's name.
    pub name: &'static str,
    /// Ids of docs/acceptance.md that it covers.
    pub acceptance: &'static [&'static str],
    /// How often a machine boots in it, roughly its cost in minutes; the first boot of a shared machine not counted.
    pub boots: u32,
    /// How many machines run in it at a time.
    pub machines: usize,
    /// The test.
    pub run: Run,
}

/// What a scenario needs.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// Machines that it makes.
    Own(fn(&Lab) -> anyhow::Result<()>),
    /// A machine that has booted the image and was used by the scenarios before it in the table, if they passed. It
    /// lets `core` log in and its disk is raw; so it is left.
    Shared(fn(&Lab, &Guest) -> anyhow::Result<()>),
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
    let queue = Queue::new(in_order(batches(scenarios), jobs), jobs);
    let results = Mutex::new(Vec::new());
    // A machine dies with the thread that started it, so a batch stays on its thread.
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(scenarios.len()) {
            scope.spawn(|| {
                while let Some(batch) = queue.next() {
                    let found = run_batch(setup, &batch);
                    queue.done(&batch);
                    results.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!();
    for Ran { name, time, error } in &results {
        let state = if error.is_none() { "passed" } else { "FAILED" };
        println!("{state}  {:>5.0} s  {name}", time.as_secs_f64());
        if let Some(error) = error {
            println!("        {}", error.replace('\n', "\n        "));
        }
    }
    let failed = results.iter().filter(|ran| ran.error.is_some()).count();
    println!("{} passed, {failed} failed ({:.0} s)", results.len() - failed, start.elapsed().as_secs_f64());
    Ok(failed == 0)
}

/// A scenario that has ended.
struct Ran {
    name: &'static str,
    time: Duration,
    error: Option<String>,
}

/// Scenarios that run one after another: one with machines of its own, or all that share one.
#[derive(Debug, Clone)]
struct Batch<'a>(Vec<&'a Scenario>);

impl Batch<'_> {
    /// A batch with more machines than may run at a time runs alone.
    fn weight(&self, jobs: usize) -> usize {
        self.0.iter().map(|scenario| scenario.machines).max().unwrap_or_default().min(jobs)
    }

    fn boots(&self) -> u32 {
        let is_shared = self.0.iter().any(|scenario| matches!(scenario.run, Run::Shared(_)));
        self.0.iter().map(|scenario| scenario.boots).sum::<u32>() + u32::from(is_shared)
    }
}

/// Puts the scenarios that share a machine into one batch, which has the place of the first of them.
fn batches<'a>(scenarios: &[&'a Scenario]) -> Vec<Batch<'a>> {
    let mut batches: Vec<Batch<'a>> = Vec::new();
    let mut shared = None;
    for scenario in scenarios {
        match (scenario.run, shared) {
            (Run::Shared(_), Some(at)) => {
                let Batch(batch) = &mut batches[at];
                batch.push(scenario);
            }
            (Run::Shared(_), None) => {
                shared = Some(batches.len());
                batches.push(Batch(vec![scenario]));
            }
            (Run::Own(_), _) => batches.push(Batch(vec![scenario])),
        }
    }
    batches
}

/// What is left to run, and how many machines may still be started.
struct Queue<'a> {
    state: Mutex<(VecDeque<Batch<'a>>, usize)>,
    is_freed: Condvar,
    jobs: usize,
}

impl<'a> Queue<'a> {
    fn new(batches: Vec<Batch<'a>>, jobs: usize) -> Self {
        let state = Mutex::new((VecDeque::from(batches), jobs));
        Self { state, is_freed: Condvar::new(), jobs }
    }

    /// Waits until the next batch's machines may run; there is none when all were given out.
    ///
    /// With more machines than processors, a start takes so long that machines give it up.
    fn next(&self) -> Option<Batch<'a>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (queue, free) = &mut *state;
            if let Some(left) = free.checked_sub(queue.front()?.weight(self.jobs)) {
                *free = left;
                return queue.pop_front();
            }
            state = self.is_freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives a batch's machines back.
    fn done(&self, batch: &Batch<'_>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 += batch.weight(self.jobs);
        self.is_freed.notify_all();
    }
}

/// Returns the order: that of the table when one runs after the other, else those that run alone and then the longest
/// first, so that none is left to run alone at the end.
fn in_order(mut batches: Vec<Batch<'_>>, jobs: usize) -> Vec<Batch<'_>> {
    if jobs > 1 {
        batches.sort_by_key(|batch| std::cmp::Reverse((batch.weight(jobs), batch.boots())));
    }
    batches
}

fn run_batch(setup: &Setup, batch: &Batch<'_>) -> Vec<Ran> {
    let Batch(scenarios) = batch;
    let mut rest = scenarios.as_slice();
    let mut results = Vec::new();
    // What follows a failure gets a machine of its own: the failed one may be in any state.
    while let Some(first) = rest.first() {
        let lab = Lab::new(setup, first.name);
        let mut shared = None;
        let mut failed = false;
        while let [scenario, others @ ..] = rest
            && !failed
        {
            let ran = run_one(&lab, scenario, &mut shared);
            failed = ran.error.is_some();
            results.push(ran);
            rest = others;
        }
        lab.finish(failed);
    }
    results
}

fn run_one(lab: &Lab, scenario: &Scenario, shared: &mut Option<Rc<Guest>>) -> Ran {
    let start = Instant::now();
    lab.turn_to(scenario.name);
    lab.say("started");
    let test = || match scenario.run {
        Run::Own(test) => test(lab),
        Run::Shared(test) => {
            let guest = match shared {
                Some(guest) => Rc::clone(guest),
                None => Rc::clone(shared.insert(booted(lab)?)),
            };
            test(lab, &guest)
        }
    };
    // A panic in a scenario is a failure of that scenario, not of those after it.
    let error = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(test)) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(_) => Some("the scenario panicked".to_owned()),
    };
    match &error {
        None => lab.say("passed"),
        Some(error) => lab.report_failure(error),
    }
    Ran { name: scenario.name, time: start.elapsed(), error }
}

/// A machine for those that share one.
fn booted(lab: &Lab) -> anyhow::Result<Rc<Guest>> {
    let guest = lab.editable_guest("shared")?;
    guest.boot()?;
    lab.say("core can log in");
    Ok(guest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(name: &'static str, boots: u32, machines: usize) -> Scenario {
        let run = Run::Own(|_| anyhow::bail!("not run"));
        Scenario { name, acceptance: &["A01"], boots, machines, run }
    }

    fn sharing(name: &'static str, boots: u32) -> Scenario {
        Scenario { run: Run::Shared(|_, _| anyhow::bail!("not run")), ..scenario(name, boots, 1) }
    }

    fn names(batch: &Batch<'_>) -> Vec<&'static str> {
        batch.0.iter().map(|scenario| scenario.name).collect()
    }

    #[test]
    fn a_scenario_with_many_machines_runs_alone_and_first() {
        let [long, short, wide] = [scenario("long", 9, 1), scenario("short", 1, 1), scenario("wide", 4, 3)];
        let order = in_order(batches(&[&long, &short, &wide]), 2);
        assert_eq!(order.iter().flat_map(names).collect::<Vec<_>>(), ["wide", "long", "short"]);
        let queue = Queue::new(order, 2);
        let first = queue.next().unwrap();
        assert_eq!((names(&first), queue.state.lock().unwrap().1), (vec!["wide"], 0));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| names(&queue.next().unwrap()));
            queue.done(&first);
            assert_eq!(second.join().unwrap(), ["long"]);
        });
        assert_eq!(names(&queue.next().unwrap()), ["short"]);
        assert!(queue.next().is_none());
    }

    #[test]
    fn those_that_share_a_machine_run_in_the_tables_order() {
        let [one, own, two, three] =
            [sharing("one", 0), scenario("own", 3, 1), sharing("two", 1), sharing("three", 2)];
        let batches = in_order(batches(&[&one, &own, &two, &three]), 2);
        assert_eq!(batches.iter().map(names).collect::<Vec<_>>(), [vec!["one", "two", "three"], vec!["own"]]);
        assert_eq!(batches.iter().map(Batch::boots).collect::<Vec<_>>(), [4, 3]);
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
