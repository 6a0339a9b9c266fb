//! What this boot has, by which the health checks judge the next one: `slipway` records it when a boot is found
//! good, and nothing in the start waits for a lease, so that the record may have been made before there was a route.

use std::process::Command;

use agent_support::host::Host;
use agent_support::tools;
use anyhow::Context;

/// The machine's agent.
const SLIPWAY: &str = "/usr/bin/slipway";

/// Has the record completed. To be done right before a reboot is wanted: later looks see more, and from then on
/// every moment may be the last.
pub fn complete(host: &Host) -> anyhow::Result<()> {
    let mut command = Command::new(host.path(SLIPWAY));
    command.arg("--root").arg(host.path("/")).arg("last-good");
    tools::run(&mut command).context("recording what this boot has").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn the_machines_agent_is_asked_for_this_machine() {
        let tree = Tree::new();
        tree.program(SLIPWAY, "#!/bin/sh\necho $3 > $2/asked\n");
        complete(&tree.host).unwrap();
        assert_eq!(tree.host.read("/asked").unwrap().as_deref(), Some("last-good\n"));
    }

    #[test]
    fn what_is_in_the_way_is_said() {
        let tree = Tree::new();
        assert!(complete(&tree.host).is_err());
        tree.program(SLIPWAY, "#!/bin/sh\necho not found good >&2\nexit 1\n");
        let err = complete(&tree.host).unwrap_err();
        assert!(format!("{err:#}").ends_with("exit status: 1: not found good"), "{err:#}");
    }
}
