//! `slipway etcd replace OLD`: removes a lost member, adds its successor, and prints what that needs.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;

use super::member::Member;
use super::replacement::{self, Plan, Wish};
use super::settings::Settings;
use super::{PAGE, ctl};

const ADD_TRIES: u32 = 8;
const ADD_PAUSE: Duration = Duration::from_secs(2);

/// Replaces. Standard output is a cloud-config and nothing else.
pub fn run(settings: &Settings, wish: &Wish) -> anyhow::Result<()> {
    let members = ctl::members(settings).with_context(|| {
        format!("asking for the members (without a majority there is no answer: {PAGE}, `A lost majority`)")
    })?;
    let plan = replacement::plan(&members, &ctl::healthy(settings)?, wish)?;
    ctl::remove_member(settings, &plan.old).with_context(|| format!("removing {}", plan.old.shown()))?;
    eprintln!("removed {} ({})", plan.old.shown(), plan.old.hex());
    let peers = plan.peer_urls.join(",");
    add(settings, &plan).with_context(|| {
        format!(
            "adding {} (the old member is removed; when the others are healthy, \
             `etcdctl member add {} --peer-urls={peers}` goes on)",
            plan.name, plan.name
        )
    })?;
    eprintln!("added {} at {peers}; start it on a blank machine with:", plan.name);
    let fragment = replacement::cloud_config(&ctl::members(settings)?, &plan, &settings.pace)?;
    print!("{fragment}");
    Ok(())
}

/// Adds the new member. etcd refuses for some seconds after others of its members have found each other again, and
/// half of a replacement is worse than a pause.
fn add(settings: &Settings, plan: &Plan) -> anyhow::Result<()> {
    let mut tries = 1..ADD_TRIES;
    loop {
        let Err(err) = ctl::add_member(settings, &plan.name, &plan.peer_urls) else { return Ok(()) };
        // An answer that got lost says nothing of what was done.
        let is_there = |members: Vec<Member>| members.iter().any(|member| member.peer_urls == plan.peer_urls);
        if ctl::members(settings).is_ok_and(is_there) {
            return Ok(());
        }
        if tries.next().is_none() {
            return Err(err);
        }
        sleep(ADD_PAUSE);
    }
}
