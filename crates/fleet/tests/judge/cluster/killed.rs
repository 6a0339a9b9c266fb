//! A `fleetd` that is a process, killed as `kill -9` does, while the rest of the cluster goes on.

use std::time::{Duration, Instant};

use etcd_lab::{Member, Programs};
use fleet_core::model::MachineId;

use super::bus::Bus;
use super::lab::{Lab, Shape};
use crate::fleetd::lab::Lab as Machine;

/// How long its lease lives, and how long it keeps its units: the least that its settings allow.
const SPAN: Duration = Duration::from_secs(6);

/// Its id, which is that of the machine on which the test runs.
fn here() -> MachineId {
    MachineId(std::fs::read_to_string("/etc/machine-id").unwrap().trim().to_owned())
}

async fn active_elsewhere(lab: &Lab) -> usize {
    let here = here();
    lab.active().await.values().filter(|machines| machines.iter().any(|machine| *machine != here)).count()
}

/// Killed and started again at once, it takes its units over as they run. Killed and left dead, its units run
/// elsewhere, and here too until it is back and stops them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_fleetd_leaves_its_units_to_the_next_one_or_to_others() {
    let Some(programs) = Programs::shipped() else { return };
    let lab = Lab::of(&programs, Shape::new(3, 4, SPAN)).await;
    let bus = Bus::start();
    let servers: Vec<String> = lab.etcd.members.iter().map(Member::client_url).collect();
    let mut machine = Machine::new(&format!(
        "etcd_servers={}\netcd_request_timeout=2\nagent_ttl=6s\ngrace=6s\nengine_ttl=6s\npublic_ip=192.0.2.8\n",
        servers.join(",")
    ));
    machine.bus = bus.address();
    let first = machine.start();
    lab.wait_machines(5).await;
    lab.start_units(20).await;
    lab.wait_active(20).await;
    let active = lab.active().await;
    let had: Vec<String> =
        active.iter().filter(|(_, at)| at.contains(&here())).map(|(unit, _)| unit.clone()).collect();
    assert_eq!((had.len(), bus.count_active(&had)), (4, 4), "load is even");
    let before = bus.fake.log();
    let others = lab.logs();

    drop(first);
    let began = Instant::now();
    let second = machine.start();
    // That it acts again is seen by what it does with one of them.
    lab.stop(&had[0]).await;
    lab.wait_reported(&had[0], "inactive").await;
    println!("from a kill and a start to a fleetd that acts: {} ms", began.elapsed().as_millis());
    // It makes its files known again, which changes nothing of what runs.
    let did: Vec<String> = bus.fake.log().split_off(before.len());
    let did: Vec<&String> = did.iter().filter(|did| !did.starts_with("link ") && *did != "reload").collect();
    assert_eq!(did, [&format!("stop {}", had[0])], "it takes over what runs");
    assert_eq!(lab.logs(), others, "nobody else had to do anything");

    drop(second);
    let began = Instant::now();
    lab.wait("its units run elsewhere", async |lab: &Lab| active_elsewhere(lab).await == 19).await;
    println!("from a kill to its units elsewhere: {} ms", began.elapsed().as_millis());
    assert_eq!(bus.count_active(&had), 3, "who is dead stops nothing");

    let began = Instant::now();
    let third = machine.start();
    lab.wait("its copies are stopped", async |_: &Lab| bus.count_active(&had) == 0).await;
    println!("from its return to the end of its copies: {} ms", began.elapsed().as_millis());
    lab.wait_machines(5).await;
    lab.wait_active(19).await;
    assert_eq!(active_elsewhere(&lab).await, 19, "nothing moves back");
    assert_eq!(third.end(), Some(0));
}
