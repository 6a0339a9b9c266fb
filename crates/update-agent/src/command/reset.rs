//! `slipway-update reset-status`: takes back that a version waits for a reboot.

use agent_support::host::Host;

use super::{Exit, print};
use crate::history::{self, What};
use crate::machine::{Effect, Event, Phase, step};
use crate::{lock, reboot, state};

/// Forgets the wish for a reboot. What was written stays, and the next reboot starts it.
pub fn reset_status(host: &Host) -> anyhow::Result<Exit> {
    let _lock = lock::work(host, lock::COMMAND_WAIT)?;
    let phase = reboot::waiting(host)?.map_or(Phase::Idle, Phase::NeedReboot);
    let (_, effects) = step(phase, Event::Reset);
    let Some(Effect::ForgetReboot(version)) = effects.into_iter().next() else {
        anyhow::bail!("no version waits for a reboot: there is nothing to reset");
    };
    reboot::forget(host)?;
    state::edit(host, |state| state.waiting = None)?;
    history::add(host, What::Reset, Some(&version), "")?;
    print::line(&format!(
        "no reboot is wanted any more, but the next one still starts version {version}; `slipway-update rollback` prevents that"
    ))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn only_a_waiting_version_can_be_reset() {
        let tree = Tree::new();
        let err = reset_status(&tree.host).unwrap_err().to_string();
        assert!(err.contains("nothing to reset"), "{err}");
        reboot::want(&tree.host, &"2.0.0".parse().unwrap()).unwrap();
        reset_status(&tree.host).unwrap();
        assert_eq!(reboot::waiting(&tree.host).unwrap(), None);
        assert_eq!(history::load(&tree.host).unwrap()[0].version, "2.0.0");
    }
}
