//! What both stages of a boot say of their steps.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::guest::Guest;

const FILES: [&str; 2] = ["status-local.json", "status-network.json"];

/// Checks that no step of either stage failed.
pub fn nothing_failed(guest: &Guest) -> anyhow::Result<()> {
    let failed = failed(guest)?;
    ensure!(failed.is_empty(), "failed: {failed:?}");
    Ok(())
}

/// Returns the steps that failed, each with why.
pub fn failed(guest: &Guest) -> anyhow::Result<Vec<String>> {
    let mut failed = vec![];
    for name in FILES {
        let text = guest.root(&format!("cat /var/lib/slipway/cloudinit/{name}"))?;
        failed.extend(failed_in(&text).with_context(|| format!("reading {name}: `{text}`"))?);
    }
    Ok(failed)
}

fn failed_in(text: &str) -> anyhow::Result<Vec<String>> {
    let document: Value = serde_json::from_str(text).context("parsing JSON")?;
    let steps = document["steps"].as_array().context("it has no steps")?;
    let failed = steps.iter().filter(|step| step["result"] == "failed");
    Ok(failed.map(|step| format!("{}: {}", step["step"], step["detail"])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_told_with_why() {
        let text = r#"{"steps": [{"step": "a", "result": "ok"},
                                 {"step": "b", "result": "failed", "detail": "full"}]}"#;
        assert_eq!(failed_in(text).unwrap(), [r#""b": "full""#]);
        assert!(failed_in(r#"{"steps": []}"#).unwrap().is_empty());
        assert!(failed_in("{}").is_err());
    }
}
