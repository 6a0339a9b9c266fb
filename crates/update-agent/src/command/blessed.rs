//! `slipway-update blessed`: what is to be done once the running version was found good
//! (slipway-update-blessed.service).

use std::time::Duration;

use agent_support::host::Host;
use anyhow::Context;
use slots::Version;

use super::{Exit, print};
use crate::fetch::spool;
use crate::history::{self, What};
use crate::{entries, failed, loader, lock, state, trust};

/// The daemon may be at its first check.
const LOCK_WAIT: Duration = Duration::from_secs(600);

/// Records the version as good and its retired keys as retired for good; replaces an older boot loader; clears what
/// was fetched for it.
pub fn blessed(host: &Host) -> anyhow::Result<Exit> {
    let _lock = lock::work(host, LOCK_WAIT)?;
    let entries = entries::look(host)?;
    entries.check_blessed()?;
    let version = entries.running.version;
    let before = failed::record(host)?;
    let retired = trust::retired_in_usr(host)?;
    let n_new = retired.difference(&before.retired).count();
    let is_new = before.good.as_ref() != Some(&version);
    state::edit(host, |state| {
        state.good = Some(version.clone());
        state.retired.extend(&retired);
        state.failed.remove(&version);
        if state.waiting.as_ref() == Some(&version) {
            state.waiting = None;
        }
        if state.fetching.as_ref().is_some_and(|fetching| fetching.version <= version) {
            state.fetching = None;
        }
    })?;
    if 0 < n_new {
        history::add(host, What::KeysRetired, Some(&version), &format!("{n_new} keys"))?;
    }
    if is_new {
        history::add(host, What::Blessed, Some(&version), "")?;
    }
    replace_loader(host, before.loader.as_ref(), &version)?;
    let keep = state::load(host)?.fetching.map(|fetching| fetching.digest);
    spool::clear(host, keep)?;
    Ok(Exit::Done)
}

/// The boot loader came with `with`; it is put on the ESP by that version alone.
fn replace_loader(host: &Host, with: Option<&Version>, version: &Version) -> anyhow::Result<()> {
    if with != Some(version) {
        return Ok(());
    }
    if let Some(found) =
        loader::replace_older(host).context("putting the boot loader on the EFI system partition")?
    {
        history::add(host, What::Loader, Some(version), &format!("systemd-boot {found}"))?;
        print::line(&format!("the boot loader is systemd-boot {found} now"))?;
    }
    state::edit(host, |state| state.loader = None)?;
    loader::forget(host)
}
