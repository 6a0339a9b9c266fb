//! Runs checks one after another, prints what each took, and counts.

use std::time::{Duration, Instant};

use crate::ctx::Ctx;

/// How many tests a check was, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that passed.
    pub passed: u64,
    /// Those that did not.
    pub failed: u64,
}

impl Counts {
    /// A check that is one test.
    pub const ONE: Self = Self { passed: 1, failed: 0 };

    /// Adds the other's tests.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// One check; an error counts as one failed test.
pub struct Check<'a> {
    /// What it claims, or what it runs.
    pub name: String,
    /// Runs it.
    pub run: Box<dyn FnOnce() -> anyhow::Result<Counts> + 'a>,
}

impl std::fmt::Debug for Check<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> Check<'a> {
    /// A check that counts tests of its own.
    pub fn counting(name: impl Into<String>, run: impl FnOnce() -> anyhow::Result<Counts> + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }

    /// A check that is one test.
    pub fn new(name: impl Into<String>, run: impl FnOnce() -> anyhow::Result<()> + 'a) -> Self {
        Self::counting(name, || run().map(|()| Counts::ONE))
    }
}

/// What became of a check.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Ran(Duration, Counts),
    NotRun,
}

/// Runs the checks up to the first that fails. Returns the counts, or the first failure.
pub fn run_until_failure(ctx: &Ctx, checks: Vec<Check<'_>>) -> anyhow::Result<Counts> {
    run(ctx, checks, |counts| counts.failed == 0)
}

/// Runs all checks, whatever becomes of them. Returns the counts, or the first failure.
pub fn run_all(ctx: &Ctx, checks: Vec<Check<'_>>) -> anyhow::Result<Counts> {
    run(ctx, checks, |_| true)
}

/// Prints the line that ends a run of tests.
pub fn print_total(counts: Counts) {
    println!("{} passed, {} failed", counts.passed, counts.failed);
}

fn run(ctx: &Ctx, checks: Vec<Check<'_>>, goes_on: fn(Counts) -> bool) -> anyhow::Result<Counts> {
    let mut rows: Vec<(String, State)> = Vec::new();
    let mut total = Counts::default();
    let mut first_error = None;
    for Check { name, run } in checks {
        if !goes_on(total) || ctx.cancel.is_set() {
            rows.push((name, State::NotRun));
            continue;
        }
        println!("── {name}");
        let start = Instant::now();
        let counts = match run() {
            Ok(counts) => counts,
            Err(err) => {
                println!("   failed: {err:#}");
                first_error.get_or_insert(err.context(name.clone()));
                Counts { passed: 0, failed: 1 }
            }
        };
        if counts.failed > 0 && first_error.is_none() {
            first_error = Some(anyhow::anyhow!("{name}: {} failed; their words are above", counts.failed));
        }
        let took = start.elapsed();
        println!("   {}, {:.1} s", verdict(counts), took.as_secs_f64());
        total = total.and(counts);
        rows.push((name, State::Ran(took, counts)));
    }
    println!("\n{}", table(&rows));
    if let Err(err) = ctx.cancel.check() {
        first_error.get_or_insert(err);
    }
    match first_error {
        None => Ok(total),
        Some(err) => {
            print_total(total);
            Err(err)
        }
    }
}

fn verdict(counts: Counts) -> String {
    match counts {
        Counts { failed: 0, passed: 1 } => "passed".to_owned(),
        Counts { failed: 0, passed } => format!("{passed} passed"),
        Counts { failed, passed } => format!("{passed} passed, {failed} FAILED"),
    }
}

fn table(rows: &[(String, State)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, state): &(String, State)| match state {
        State::NotRun => format!("{name:<width$}           not run"),
        State::Ran(took, counts) => {
            format!("{name:<width$} {:>7.1} s {}", took.as_secs_f64(), verdict(*counts))
        }
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_table_says_what_ran_and_what_did_not() {
        let seconds = Duration::from_secs;
        let rows = [
            ("format".to_owned(), State::Ran(seconds(1), Counts::ONE)),
            ("unit tests".to_owned(), State::Ran(seconds(62), Counts { passed: 300, failed: 2 })),
            ("image".to_owned(), State::NotRun),
        ];
        expect![[r#"
            format         1.0 s passed
            unit tests    62.0 s 300 passed, 2 FAILED
            image                not run"#]]
        .assert_eq(&table(&rows));
    }
}
