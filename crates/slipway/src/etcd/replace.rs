//! `slipway etcd replace OLD`: removes a lost member, adds its successor, and prints what that needs.

use anyhow::Context;

use super::replacement::{self, Wish};
use super::settings::Settings;
use super::{PAGE, ctl};

/// Replaces. Standard output is a cloud-config and nothing else.
pub fn run(settings: &Settings, wish: &Wish) -> anyhow::Result<()> {
    let members = ctl::members(settings).with_context(|| {
        format!("asking for the members (without a majority there is no answer: {PAGE}, `A lost majority`)")
    })?;
    let plan = replacement::plan(&members, &ctl::healthy(settings)?, wish)?;
    ctl::remove_member(settings, &plan.old).with_context(|| format!("removing {}", plan.old.shown()))?;
    eprintln!("removed {} ({})", plan.old.shown(), plan.old.hex());
    let peers = plan.peer_urls.join(",");
    ctl::add_member(settings, &plan.name, &plan.peer_urls).with_context(|| {
        format!(
            "adding {} (the old member is removed; when the others are healthy, \
             `etcdctl member add {} --peer-urls={peers}` goes on)",
            plan.name, plan.name
        )
    })?;
    eprintln!("added {} at {peers}; start it on a blank machine with:", plan.name);
    let fragment = replacement::cloud_config(&ctl::members(settings)?, &plan)?;
    print!("{fragment}");
    Ok(())
}
