//! Clusters of three members: no slot where a reboot would lose the quorum.

use std::thread::sleep;
use std::time::Duration;

use etcd_lab::{Cluster, Member, Programs};

use super::holders;
use super::machines::Machine;

/// A machine of a cluster, whose member has its id for a name.
fn of_cluster(id: &str, cluster: &Cluster) -> Machine {
    let urls: Vec<_> = cluster.members.iter().map(Member::client_url).collect();
    let machine = Machine::new(id, &urls.join(","));
    machine.strategy("etcd-lock").units("active", "inactive");
    machine
}

#[test]
fn a_member_takes_no_slot_while_another_is_down() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let m1 = of_cluster("m1", &cluster);
    cluster.members[2].kill();
    let mut daemon = m1.waits("2.0.0").daemon(&[]);
    daemon.until_says("lock: reboot would lose quorum (2 of 3 healthy)");
    sleep(Duration::from_secs(1));
    assert!(holders(&m1).is_empty());
    assert_eq!(m1.n_reboots(), 0);
    // A machine that is no member takes nothing from the quorum.
    let other = of_cluster("x1", &cluster);
    let mut free = other.units("inactive", "inactive").waits("2.0.0").daemon(&[]);
    free.until("the machine without a member reboots", || other.n_reboots() == 1);
    free.stop();
    other.begin_boot().complete_boot().runs("2.0.0", "2.0.0");
    let mut free = other.daemon(&[]);
    free.until("it is back", || holders(&other).is_empty());

    let list = cluster.initial_cluster();
    cluster.members[2].start(&["--initial-cluster", &list]);
    cluster.members[2].wait_healthy();
    daemon.until("m1 reboots when all are healthy", || m1.n_reboots() == 1);
    assert_eq!(holders(&m1), ["m1"]);
}

#[test]
fn without_a_majority_nobody_reboots_and_with_it_again_one_does() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let m1 = of_cluster("m1", &cluster);
    cluster.members[1].kill();
    cluster.members[2].kill();
    let mut daemon = m1.waits("2.0.0").daemon(&[]);
    daemon.until_says("the semaphore cannot be read");
    assert_eq!(m1.n_reboots(), 0);
    let list = cluster.initial_cluster();
    for place in [1, 2] {
        cluster.members[place].start(&["--initial-cluster", &list]);
    }
    cluster.members.iter_mut().for_each(Member::wait_healthy);
    daemon.until("a reboot", || m1.n_reboots() == 1);
}

#[test]
fn a_machine_whose_member_is_not_back_keeps_its_slot() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let m1 = of_cluster("m1", &cluster);
    m1.check(&["lock", "m1"], 0);
    sleep(Duration::from_secs(1));
    m1.begin_boot().complete_boot();
    cluster.members[0].kill();
    let mut daemon = m1.daemon(&[]);
    daemon.until_says("release: etcd does not answer here");
    assert_eq!(holders(&m1), ["m1"]);
    let list = cluster.initial_cluster();
    cluster.members[0].start(&["--initial-cluster", &list]);
    daemon.until("the slot is free", || holders(&m1).is_empty());
}
