//! What fleet takes: the image's etcd, the engine as it ships, and real agents with service managers in memory.
//!
//! `crates/fleet/examples/load.rs` is the cluster. It runs in three sizes, because what one change costs must not
//! depend on that.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde::Deserialize;

use super::Figure;
use crate::command::test::shipped_programs;
use crate::ctx::Ctx;
use crate::{cargo, flags};

/// Machines and units of the clusters.
const SIZES: [(u32, u32); 3] = [(10, 200), (50, 1000), (1000, 20_000)];
/// Figures that have a bound, in clusters of every size.
const LIMITS: [(&str, f64); 3] = [
    ("one start: writes to etcd", 4.0),
    ("one start: events that etcd sends", 10.0),
    // Acceptance scenario D16 allows two seconds at 50 machines and 1,000 units.
    ("one start: to active", 2000.0),
];

/// One line of the cluster.
#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    value: f64,
    unit: String,
}

/// Runs the clusters one after the other.
pub fn measure(ctx: &Ctx, args: &flags::Bench) -> anyhow::Result<Vec<Figure>> {
    let image = flags::Image { inputs: args.inputs.clone(), ..flags::Image::default() };
    let programs = shipped_programs(ctx, &image)?;
    cargo::run(
        ctx,
        &["build", "--release", "--locked", "--quiet", "--package", "fleet", "--example", "load"],
    )?;
    let load = ctx.target.join("release/examples/load");
    let mut figures = Vec::new();
    for (machines, units) in SIZES {
        ctx.log.line(&format!("{machines} machines, {units} units"));
        for line in cluster(&load, &programs, machines, units)? {
            figures.push(figure(line, machines, units)?);
        }
    }
    Ok(figures)
}

fn cluster(load: &Path, programs: &Path, machines: u32, units: u32) -> anyhow::Result<Vec<Line>> {
    let running = || format!("running {}", load.display());
    let mut command = Command::new(load);
    command.arg("cluster").arg(programs).args([machines.to_string(), units.to_string()]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(running)?;
    let stdout = child.stdout.take().with_context(running)?;
    let mut lines = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.with_context(running)?;
        lines.push(serde_json::from_str(&line).with_context(|| format!("reading `{line}`"))?);
    }
    let status = child.wait().with_context(running)?;
    anyhow::ensure!(
        status.success(),
        "the cluster of {machines} machines failed ({status}); its words are above"
    );
    Ok(lines)
}

fn figure(line: Line, machines: u32, units: u32) -> anyhow::Result<Figure> {
    let unit = match line.unit.as_str() {
        "" => "",
        "s" => "s",
        "ms" => "ms",
        "%" => "%",
        "MiB" => "MiB",
        "B/s" => "B/s",
        "/min" => "/min",
        other => anyhow::bail!("the figure `{}` has the unknown unit `{other}`", line.name),
    };
    let named = Figure::new(&format!("{machines} machines, {units} units: {}", line.name), line.value, unit);
    Ok(match LIMITS.iter().find(|(name, _)| *name == line.name) {
        Some((_, limit)) => named.at_most(*limit),
        None => named,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_start_costs_has_a_bound() {
        let line = |unit: &str| Line { name: LIMITS[0].0.to_owned(), value: 3.0, unit: unit.to_owned() };
        let made = figure(line(""), 10, 200).unwrap();
        assert_eq!(made.limit, Some(LIMITS[0].1));
        assert!(made.name.starts_with("10 machines, 200 units: one start"));
        assert!(figure(line("furlongs"), 10, 200).is_err());
    }
}
