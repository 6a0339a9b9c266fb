//! The service manager: how other services of the machine are, and the reboot.

use std::time::Duration;

use crate::programs::{self, Error};

const SYSTEMCTL: &str = "systemctl";
const WITHIN: Duration = Duration::from_secs(20);

/// How a service is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// `ActiveState`, such as `active` or `inactive`; `inactive` of one that there is not.
    pub active: String,
    /// Whether it is started with the machine.
    pub is_enabled: bool,
}

impl Unit {
    /// Whether it runs.
    pub fn is_active(&self) -> bool {
        self.active == "active"
    }

    /// Whether it does anything, or tries to.
    pub fn is_up(&self) -> bool {
        !matches!(self.active.as_str(), "" | "inactive")
    }
}

/// Asks how services are; in their order.
///
/// # Errors
/// When the service manager does not say.
pub async fn units<const N: usize>(names: [&str; N]) -> Result<[Unit; N], Error> {
    let mut args = vec!["show", "--property=Id,ActiveState,UnitFileState", "--"];
    args.extend(names);
    let out = programs::run(SYSTEMCTL, &args, WITHIN).await?;
    Ok(names.map(|name| of_unit(&out, name)))
}

/// Asks for an orderly reboot, and does not wait for it.
///
/// # Errors
/// When the service manager refuses it.
pub async fn reboot() -> Result<(), Error> {
    programs::run(SYSTEMCTL, &["--no-block", "reboot"], WITHIN).await.map(drop)
}

/// Starts the daemon, which may have ended because nothing was to be done.
///
/// # Errors
/// When the service manager refuses it.
pub async fn start(name: &str) -> Result<(), Error> {
    programs::run(SYSTEMCTL, &["--no-block", "start", "--", name], WITHIN).await.map(drop)
}

/// The properties of units are apart by an empty line.
fn of_unit(text: &str, name: &str) -> Unit {
    let id = format!("Id={name}");
    let block = text.split("\n\n").find(|block| block.lines().any(|line| line == id)).unwrap_or_default();
    let value = |key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    };
    Unit { active: value("ActiveState"), is_enabled: value("UnitFileState").starts_with("enabled") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_has_its_own_properties() {
        let text = "Id=etcd.service\nActiveState=activating\nUnitFileState=enabled-runtime\n\n\
                    ActiveState=active\nId=fleet.service\nUnitFileState=disabled\n";
        let etcd = of_unit(text, "etcd.service");
        assert!(etcd.is_up() && !etcd.is_active() && etcd.is_enabled);
        let fleet = of_unit(text, "fleet.service");
        assert!(fleet.is_active() && !fleet.is_enabled);
        assert_eq!(of_unit(text, "docker.service"), Unit::default());
        assert!(!of_unit("Id=x\nActiveState=inactive\n", "x").is_up());
    }
}
