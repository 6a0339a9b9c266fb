//! `cargo xtask bench`: the figures of the README, measured in one run, against plain mkosi where that means
//! something. Each part prints a table and writes `target/bench/<part>.json`.

mod boot;
mod build;
mod fleet;
mod plain;
mod size;
mod update;

use std::path::PathBuf;

use serde::Serialize;

use crate::ctx::Ctx;
use crate::flags::{self, Measure};
use crate::{durable, hash};

/// One measured number.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Most it may be, where there is a bound.
    pub limit: Option<f64>,
    /// All runs, when the number is their median.
    pub runs: Vec<f64>,
}

impl Figure {
    /// A number without a bound.
    pub fn new(name: &str, value: f64, unit: &'static str) -> Self {
        Self { name: name.to_owned(), value, unit, limit: None, runs: Vec::new() }
    }

    /// The same with a bound.
    #[must_use]
    pub fn at_most(self, limit: f64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Whether the bound holds.
    fn holds(&self) -> bool {
        self.limit.is_none_or(|limit| self.value <= limit)
    }
}

/// Measures one part or everything; a bound that does not hold is told and counted, after all was measured.
pub fn run(ctx: &Ctx, args: &flags::Bench) -> anyhow::Result<()> {
    let wanted = |what| args.what.is_none_or(|one| one == what);
    let mut missed = Vec::new();
    if wanted(Measure::Size) {
        missed.extend(publish(ctx, "size", &size::measure(ctx, args)?)?);
    }
    if wanted(Measure::Build) {
        missed.extend(publish(ctx, "build", &build::measure(ctx, args)?)?);
    }
    if wanted(Measure::Boot) {
        missed.extend(publish(ctx, "boot", &boot::measure(ctx, args)?)?);
    }
    if wanted(Measure::Update) {
        missed.extend(publish(ctx, "update", &update::measure(ctx, args)?)?);
    }
    if wanted(Measure::Fleet) {
        missed.extend(publish(ctx, "fleet", &fleet::measure(ctx, args)?)?);
    }
    anyhow::ensure!(missed.is_empty(), "over the limit: {}", missed.join("; "));
    Ok(())
}

/// Folder of everything that is made for measuring.
pub fn dir(ctx: &Ctx) -> PathBuf {
    ctx.target.join("bench")
}

/// Prints the table, writes the file, and returns the figures whose bound does not hold.
fn publish(ctx: &Ctx, part: &str, figures: &[Figure]) -> anyhow::Result<Vec<String>> {
    println!("{}\n", table(figures));
    let path = dir(ctx).join(format!("{part}.json"));
    durable::write(&path, format!("{}\n", serde_json::to_string_pretty(figures)?).as_bytes())?;
    ctx.log.line(&format!("wrote {}", path.display()));
    let missed = figures.iter().filter(|figure| !figure.holds());
    Ok(missed.map(|figure| format!("{} is {:.1} {}", figure.name, figure.value, figure.unit)).collect())
}

fn table(figures: &[Figure]) -> String {
    let width = figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
    let line = |figure: &Figure| {
        let limit = figure.limit.map_or_else(String::new, |limit| {
            let word = if figure.holds() { "at most" } else { "OVER" };
            format!("  {word} {limit:.1}")
        });
        let runs: Vec<String> = figure.runs.iter().map(|run| format!("{run:.1}")).collect();
        let runs = if runs.is_empty() { String::new() } else { format!("  ({})", runs.join(", ")) };
        format!("{:<width$} {:>8.1} {}{limit}{runs}", figure.name, figure.value, figure.unit)
    };
    figures.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The middle of some numbers, the mean of the two middle ones for an even count, 0 for none.
pub fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.get(half.wrapping_sub(1)), sorted.get(half)) {
        (Some(low), Some(high)) if sorted.len().is_multiple_of(2) => f64::midpoint(*low, *high),
        (_, Some(middle)) => *middle,
        _ => 0.0,
    }
}

/// Mebibytes, to a hundredth of a percent: kibibytes fit exactly.
pub fn mebibytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)) / 1024.0
}

/// A key of everything that the plain image is made of: it is built once per key for the boots.
pub fn key_of(parts: &[&str]) -> String {
    let mut key = hash::Key::new("bench", 1);
    for part in parts {
        key.add("part", part.as_bytes());
    }
    key.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[5.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn the_table_marks_what_is_over_its_limit() {
        let figures = [
            Figure::new("cold build", 88.04, "s").at_most(91.0),
            Figure { runs: vec![1.0, 2.0, 3.0], ..Figure::new("boot", 2.0, "s").at_most(1.5) },
            Figure::new("plain", 3.0, "s"),
        ];
        expect![[r#"
            cold build     88.0 s  at most 91.0
            boot            2.0 s  OVER 1.5  (1.0, 2.0, 3.0)
            plain           3.0 s"#]]
        .assert_eq(&table(&figures));
    }
}
