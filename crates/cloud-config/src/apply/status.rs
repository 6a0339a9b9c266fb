//! What came of a run: for people as lines, for programs as a file.

use std::fmt;

use anyhow::Context;
use serde_json::json;

use super::STATE;
use super::tree::{Mood, Tree};

/// Status of a file that was applied.
pub const APPLY: &str = "status.json";
/// Status of the stage before the network.
pub const LOCAL: &str = "status-local.json";
/// Status of the stage after it.
pub const NETWORK: &str = "status-network.json";

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, or would be.
    Done,
    /// There was nothing to do.
    Unchanged,
    /// It was not tried; why.
    Skipped(String),
    /// It was tried; what went wrong.
    Failed(String),
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was to be done.
    pub what: String,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub milliseconds: u64,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match &self.outcome {
            Outcome::Done => write!(f, "done: {what}"),
            Outcome::Unchanged => write!(f, "unchanged: {what}"),
            Outcome::Skipped(why) => write!(f, "skipped: {what}: {why}"),
            Outcome::Failed(why) => write!(f, "failed: {what}: {why}"),
        }
    }
}

/// Tells whether a step failed.
pub fn has_failed(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step.outcome, Outcome::Failed(_)))
}

/// Writes a file of the status: which user data, what was said about it, and each step.
pub fn write(
    tree: &Tree,
    file: &str,
    source: &str,
    sha256: &str,
    findings: &[String],
    steps: &[Step],
) -> anyhow::Result<()> {
    let steps: Vec<_> = steps
        .iter()
        .map(|Step { what, outcome, milliseconds }| {
            let (result, detail) = match outcome {
                Outcome::Done => ("ok", None),
                Outcome::Unchanged => ("unchanged", None),
                Outcome::Skipped(why) => ("skipped", Some(why)),
                Outcome::Failed(why) => ("failed", Some(why)),
            };
            json!({"step": what, "result": result, "detail": detail, "milliseconds": milliseconds})
        })
        .collect();
    let document = json!({
        "format": 1,
        "source": source,
        "sha256": sha256,
        "findings": findings,
        "steps": steps,
    });
    let mut text = serde_json::to_string_pretty(&document).context("writing the status")?;
    text.push('\n');
    tree.write(&format!("{STATE}/{file}"), text.as_bytes(), 0o600, None, Mood::Do).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_every_step_and_what_came_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let step = |outcome| Step { what: "write /a".to_owned(), outcome, milliseconds: 1 };
        let steps = [step(Outcome::Done), step(Outcome::Failed("full".to_owned()))];
        write(&tree, APPLY, "f.yml", "00", &["w".to_owned()], &steps).unwrap();
        let text = std::fs::read(dir.path().join("var/lib/slipway/cloudinit/status.json")).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&value["source"], &value["findings"][0]), (&json!("f.yml"), &json!("w")));
        assert_eq!(
            (&value["steps"][0]["result"], &value["steps"][1]["detail"]),
            (&json!("ok"), &json!("full"))
        );
        assert!(has_failed(&steps) && !has_failed(&steps[..1]));
        assert_eq!(steps[1].to_string(), "failed: write /a: full");
    }
}
