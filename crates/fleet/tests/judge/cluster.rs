//! Whole clusters: three members of etcd, engines that stand by for each other, agents with service managers in
//! memory. One part is taken away at a time, and what ran must run on or run again elsewhere.

#[path = "cluster/bus.rs"]
mod bus;
#[path = "cluster/killed.rs"]
mod killed;
#[path = "cluster/lab.rs"]
mod lab;
#[path = "cluster/space.rs"]
mod space;
#[path = "cluster/watchers.rs"]
mod watchers;

use std::time::Instant;

use etcd_lab::Programs;
use lab::{LONG, Lab, SHORT};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_start_among_many_units_moves_one_agent() {
    let Some(programs) = Programs::shipped() else { return };
    let lab = Lab::new(&programs, 1, 50, LONG).await;
    lab.start_units(1000).await;
    lab.wait_active(1000).await;
    let before = lab.quiet_revision().await;
    let logs = lab.logs();
    lab.start("one-more.service").await;
    lab.wait_active(1001).await;
    let after = lab.quiet_revision().await;
    // The unit; its place and entry; that it starts and that it runs, which may be one report.
    assert!((3..=4).contains(&(after - before)), "{} writes", after - before);
    let moved = logs.iter().zip(lab.logs()).filter(|(before, after)| *before != after).count();
    assert_eq!(moved, 1, "machines that did something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stores_leader_may_die() {
    let Some(programs) = Programs::shipped() else { return };
    let mut lab = Lab::new(&programs, 3, 5, SHORT).await;
    lab.start_units(20).await;
    lab.wait_active(20).await;
    let logs = lab.logs();
    let leader = lab.etcd.leader(0);
    lab.etcd.members[leader].kill();
    let began = Instant::now();
    lab.start_again_and_again("after.service").await;
    lab.wait_active(21).await;
    println!("from the leader's death to a new unit that runs: {} ms", began.elapsed().as_millis());
    // Nothing that ran was touched: only the new unit's machine did something.
    let moved = logs.iter().zip(lab.logs()).filter(|(before, after)| *before != after).count();
    assert_eq!(moved, 1, "machines that did something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleetd_that_leads_may_die_and_its_units_run_elsewhere() {
    let Some(programs) = Programs::shipped() else { return };
    let mut lab = Lab::new(&programs, 3, 5, SHORT).await;
    lab.start_units(20).await;
    lab.wait_active(20).await;
    assert_eq!(lab.active_on(0).await, 4, "load is even");
    // The first machine has the engine that leads, and dies with all that it runs.
    lab.kill_machine(0);
    let began = Instant::now();
    lab.wait("its units run elsewhere", async |lab: &Lab| {
        lab.active_on(0).await == 0 && lab.active_elsewhere(0).await == 20
    })
    .await;
    println!("from a machine's death to its units elsewhere: {} ms", began.elapsed().as_millis());
    for machine in 1..5 {
        let stops = lab.fakes[machine].log().iter().filter(|line| line.starts_with("stop")).count();
        assert_eq!(stops, 0, "machine {machine} stopped something");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_is_cut_off_and_comes_back_gives_its_units_up_at_last() {
    let Some(programs) = Programs::shipped() else { return };
    let lab = Lab::new(&programs, 3, 5, SHORT).await;
    lab.start_units(20).await;
    lab.wait_active(20).await;
    let had = lab.units_of(4);
    assert_eq!(had.len(), 4, "load is even");
    lab.lines[4].cut();
    lab.wait("its units run elsewhere", async |lab: &Lab| lab.active_elsewhere(4).await == 20).await;
    assert!(had.iter().all(|unit| lab.fakes[4].active(unit) == "active"), "the cut machine runs on");
    lab.lines[4].mend();
    lab.wait("its copies are stopped", async |lab: &Lab| {
        had.iter().all(|unit| lab.fakes[4].active(unit) != "active")
    })
    .await;
    lab.wait_active(20).await;
    assert_eq!(lab.active_elsewhere(4).await, 20, "nothing moves back");
}
