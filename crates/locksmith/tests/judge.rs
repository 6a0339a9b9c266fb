//! Both programs against the etcd that we ship: the semaphore, several machines, and clusters that lose members.

#[path = "judge/access.rs"]
mod access;
#[path = "judge/group.rs"]
mod group;
#[path = "support/machine.rs"]
mod machines;
#[path = "judge/order.rs"]
mod order;
#[path = "judge/quorum.rs"]
mod quorum;
#[path = "judge/semaphore.rs"]
mod semaphore;

use etcd_lab::{Cluster, Member, Programs};
use machines::Machine;

/// The key of the group without a name.
const KEY: &str = "/coreos.com/updateengine/rebootlock/semaphore";

/// A fresh etcd of one member; `None` without etcd.
fn one_member() -> Option<(Programs, Member)> {
    let programs = Programs::shipped()?;
    let member = Cluster::start(&programs, 1).members.pop()?;
    Some((programs, member))
}

/// A machine that asks this etcd.
fn machine(id: &str, member: &Member) -> Machine {
    Machine::new(id, &member.client_url())
}

/// The holders, one a line, as `locksmithctl status` lists them.
fn holders(machine: &Machine) -> Vec<String> {
    let (stdout, _) = machine.check(&["status"], 0);
    stdout.lines().skip(4).map(str::to_owned).collect()
}
