//! A store without room: its database is full, or the disk of one member.

use std::time::Instant;

use etcd_lab::Programs;
use fleet::api::ErrorKind;
use tokio::time::sleep;

use super::lab::{CutOff, Lab, SHORT, Shape};

/// The database's limit: small, so that it is soon full.
const QUOTA: &str = "--quota-backend-bytes=16777216";
/// A key that is not fleet's, with which somebody fills the store.
const LARGE: &str = "/large";

/// Fills the database until it takes no more.
async fn fill(lab: &Lab) {
    for _ in 0..100 {
        if lab.put(LARGE, vec![b'x'; 1 << 20]).await.is_err() {
            return;
        }
    }
    panic!("the quota has no effect");
}

/// Does what the error says, as docs/operating/etcd.md says it.
async fn make_room(lab: &Lab, programs: &Programs) {
    lab.delete(LARGE).await;
    let [first, ..] = &lab.etcd.members[..] else { panic!("there is no member") };
    programs.ctl(first, &["compact", &lab.revision().await.to_string()]);
    for member in &lab.etcd.members {
        programs.ctl(member, &["defrag"]);
    }
    programs.ctl(first, &["alarm", "disarm"]);
}

/// For longer than leases live the store is full: nothing is stopped or forgotten, and what happens meanwhile (a unit
/// fails, a machine dies) is acted on when there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_stops_nothing_and_all_goes_on_when_it_has_room() {
    let Some(programs) = Programs::shipped() else { return };
    let shape = Shape { args: &[QUOTA], cut_off: CutOff::Nobody, ..Shape::new(3, 5, SHORT) };
    let mut lab = Lab::of(&programs, shape).await;
    lab.start_units(20).await;
    lab.wait_active(20).await;
    lab.quiet_revision().await;
    let (wishes, logs) = (lab.wishes().await, lab.logs());
    fill(&lab).await;
    let err = lab.try_start("refused.service").await.unwrap_err();
    assert_eq!(err.kind, ErrorKind::Unavailable, "{err:?}");
    let remedy = "compact and defragment it, then disarm the alarm (docs/operating/etcd.md, \"Alarms\")";
    assert!(err.message.ends_with(remedy), "{err:?}");
    let failed = lab.units_of(1).remove(0);
    lab.fakes[1].fail(&failed);
    lab.kill_machine(3);
    sleep(SHORT * 3).await;
    // Leases are renewed although nothing can be written, and the one of the dead machine has ended.
    lab.wait_machines(4).await;
    assert_eq!(lab.wishes().await, wishes);
    assert_eq!(lab.logs(), logs, "nothing is stopped, nothing is started");
    make_room(&lab, &programs).await;
    let began = Instant::now();
    lab.start_again_and_again("after.service").await;
    lab.wait("the dead machine's units run elsewhere", async |lab: &Lab| {
        lab.active_on(3).await == 0 && lab.active_elsewhere(3).await == 20
    })
    .await;
    println!("from room in the store to all units that run: {} ms", began.elapsed().as_millis());
    lab.wait_reported(&failed, "failed").await;
    for machine in [0, 1, 2, 4] {
        let stops = lab.fakes[machine].log().iter().filter(|line| line.starts_with("stop")).count();
        assert_eq!(stops, 0, "machine {machine} stopped something");
    }
}

/// The disk of the leader is full. It ends, as etcd does that cannot write; the others elect another, and it comes
/// back when it has room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_disk_is_full_is_missed_by_nobody() {
    let Some(programs) = Programs::shipped() else { return };
    let shape = Shape { cut_off: CutOff::Nobody, ..Shape::new(3, 5, SHORT) };
    let mut lab = Lab::of(&programs, shape).await;
    lab.start_units(20).await;
    lab.wait_active(20).await;
    let logs = lab.logs();
    let leader = lab.etcd.leader(0);
    lab.etcd.members[leader].fill_disk();
    let began = Instant::now();
    lab.start_again_and_again("after.service").await;
    lab.wait_active(21).await;
    println!("from the leader's full disk to a new unit that runs: {} ms", began.elapsed().as_millis());
    // Nobody has ended it but itself, as it does when it cannot keep what it has agreed to.
    assert_eq!(lab.etcd.members[leader].wait_end().code(), Some(1));
    let moved = logs.iter().zip(lab.logs()).filter(|(before, after)| *before != after).count();
    assert_eq!(moved, 1, "machines that did something");
    lab.etcd.start_again(leader);
    lab.etcd.members[leader].wait_healthy();
    lab.start_again_and_again("later.service").await;
    lab.wait_active(22).await;
}
