//! Health check: no unit is in failed state.

use agent_support::host::Host;

use crate::tools::{self, FailedUnit};

/// Checks that no unit failed.
pub fn check(_host: &Host) -> anyhow::Result<()> {
    judge(&tools::systemctl_failed()?)
}

fn judge(failed: &[FailedUnit]) -> anyhow::Result<()> {
    // Our own unit is in failed state after an earlier run that failed.
    let names: Vec<&str> =
        failed.iter().map(|unit| unit.unit.as_str()).filter(|unit| !is_ours(unit)).collect();
    anyhow::ensure!(names.is_empty(), "failed: {}", names.join(", "));
    Ok(())
}

fn is_ours(unit: &str) -> bool {
    unit == "slipway-health.service"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> FailedUnit {
        FailedUnit { unit: name.to_owned(), description: String::new() }
    }

    #[test]
    fn failed_units_are_named() {
        judge(&[]).unwrap();
        judge(&[unit("slipway-health.service")]).unwrap();
        let err = judge(&[unit("a.service"), unit("b.mount")]).unwrap_err();
        assert_eq!(err.to_string(), "failed: a.service, b.mount");
    }
}
