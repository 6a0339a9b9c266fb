//! `reboot` and `send-need-reboot`: what an operator asks the daemon for.

use std::fs;

use super::failure::Failure;
use super::{Context, change};
use crate::flags::Program;
use crate::identity::{self, Identity};
use crate::{system, wish};

/// Where the update agent has the version that waits for a reboot.
const REBOOT_FILE: &str = "/run/slipway/reboot-required";

/// `reboot`: leaves a wish for the daemon, which takes a slot, moves units away and reboots, without a window.
///
/// What speaks against it now is told at once, in the original's words, and no wish is left.
pub(super) async fn run(cx: &Context) -> Result<(), Failure> {
    check_root(cx)?;
    let id = identity::machine(&cx.host)?;
    let semaphore = cx.store.read().await.map_err(Failure::store)?;
    semaphore.lock(&id, change::by_hand()).map_err(|refusal| Failure::lock(&refusal))?;
    wish::make(&cx.host).map_err(|err| Failure::Reboot(format!("{err:#}")))?;
    // It has ended where the strategy is `off`, and does this all the same.
    system::start(&format!("{}.service", Program::Daemon.name()))
        .await
        .map_err(|err| Failure::Reboot(err.to_string()))
}

/// `reboot --cancel`.
pub(super) fn cancel(cx: &Context) -> Result<(), Failure> {
    check_root(cx)?;
    let was_there = wish::withdraw(&cx.host).map_err(|err| Failure::Reboot(format!("{err:#}")))?;
    if was_there { Ok(()) } else { Err(Failure::Reboot("no reboot is wished for".to_owned())) }
}

/// `send-need-reboot`: makes the version that runs wait for a reboot, as a new one would.
pub(super) fn pretend(cx: &Context) -> Result<(), Failure> {
    check_root(cx)?;
    let identity = Identity::read(&cx.host)?;
    let unknown =
        || Failure::Reboot("the version that runs is not known: this is no image of Slipway".to_owned());
    let version = identity.version.ok_or_else(unknown)?;
    let path = cx.host.path(REBOOT_FILE);
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::write(&path, format!("{version}\n")))
        .map_err(|err| Failure::Reboot(format!("writing {REBOOT_FILE}: {err}")))
}

/// A tree of files is nobody's machine.
fn check_root(cx: &Context) -> Result<(), Failure> {
    let is_root = rustix::process::geteuid().is_root();
    if is_root || !cx.host.is_live() { Ok(()) } else { Err(Failure::NotRoot) }
}
