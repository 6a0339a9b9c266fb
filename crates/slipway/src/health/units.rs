//! Health check: no unit is in failed state that was not before.

use agent_support::boot::{self, BootKind};
use agent_support::host::Host;

use super::Look;
use super::last_good::LastGood;
use super::placed::Placed;
use crate::tools;

/// Units that say nothing of a version: our own one, which is in failed state after an earlier run that failed, and
/// those that apply what a person or a place hands in.
const NOT_THE_VERSIONS: [&str; 3] =
    ["slipway-health.service", "slipway-cloudinit-local.service", "slipway-cloudinit.service"];

/// Checks that no unit failed, except those that failed before.
pub fn check(look: &Look<'_>, seen: &mut LastGood) -> anyhow::Result<()> {
    seen.failed_units = failed(look.host)?;
    let known = known(look.last_good, kind(look.host));
    if let Some(warning) = judge(&seen.failed_units, &known)? {
        println!("warning: units: {warning}");
    }
    Ok(())
}

/// Returns the names of the units in failed state that a version may be blamed for.
pub fn failed(host: &Host) -> anyhow::Result<Vec<String>> {
    let placed = Placed::read(host)?;
    let units = tools::systemctl_failed()?.into_iter().map(|unit| unit.unit);
    Ok(units.filter(|unit| may_be_blamed(unit, &placed)).collect())
}

fn may_be_blamed(unit: &str, placed: &Placed) -> bool {
    !NOT_THE_VERSIONS.contains(&unit) && !placed.has(unit)
}

/// A machine that cannot tell what it was started from is treated as one that is not on trial.
fn kind(host: &Host) -> BootKind {
    boot::current(host).map_or(BootKind::Blessed, |boot| boot.kind)
}

/// Returns the units whose failing is no news.
///
/// A new version is not blamed for a unit that failed before it, on a boot that was degraded for it; the version
/// that was degraded stays so until the unit is repaired.
fn known(last_good: &LastGood, kind: BootKind) -> Vec<&str> {
    let degraded: &[String] = match kind {
        BootKind::Counted => &last_good.degraded_units,
        BootKind::Blessed => &[],
    };
    last_good.failed_units.iter().chain(degraded).map(String::as_str).collect()
}

/// Returns a warning, if there is a reason for one.
fn judge(failed: &[String], known: &[&str]) -> anyhow::Result<Option<String>> {
    let (old, new): (Vec<&str>, Vec<&str>) =
        failed.iter().map(String::as_str).partition(|unit| known.contains(unit));
    anyhow::ensure!(new.is_empty(), "failed: {}", new.join(", "));
    Ok((!old.is_empty()).then(|| format!("failed, as before: {}", old.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(units: &[&str]) -> Vec<String> {
        units.iter().map(|unit| (*unit).to_owned()).collect()
    }

    #[test]
    fn no_version_is_blamed_for_a_configuration_that_cannot_be_had() {
        let none = Placed::default();
        assert!(!may_be_blamed("slipway-cloudinit.service", &none));
        assert!(may_be_blamed("slipway-cloudinit-start.target", &none));
    }

    #[test]
    fn no_version_is_blamed_for_what_the_cluster_placed_here() {
        let placed = Placed::of(["foo.service"]);
        assert!(!may_be_blamed("foo.service", &placed));
        assert!(may_be_blamed("fleet.service", &placed));
    }

    #[test]
    fn failed_units_are_named() {
        assert_eq!(judge(&[], &[]).unwrap(), None);
        assert_eq!(judge(&[], &["a.service"]).unwrap(), None);
        let err = judge(&names(&["a.service", "b.mount"]), &[]).unwrap_err();
        assert_eq!(err.to_string(), "failed: a.service, b.mount");
    }

    #[test]
    fn units_that_failed_before_are_told_and_do_not_hide_others() {
        let failed = names(&["a.service", "b.mount"]);
        let warning = judge(&failed, &["b.mount", "a.service", "c.service"]).unwrap().unwrap();
        assert_eq!(warning, "failed, as before: a.service, b.mount");
        let err = judge(&failed, &["a.service"]).unwrap_err();
        assert_eq!(err.to_string(), "failed: b.mount");
    }

    #[test]
    fn what_degraded_the_old_version_is_known_to_the_new_one_only() {
        let last_good = LastGood {
            failed_units: names(&["a.service"]),
            degraded_units: names(&["b.service"]),
            ..LastGood::default()
        };
        assert_eq!(known(&last_good, BootKind::Counted), ["a.service", "b.service"]);
        assert_eq!(known(&last_good, BootKind::Blessed), ["a.service"]);
    }
}
