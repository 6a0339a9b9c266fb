//! History that is compacted while nobody hears of it.

use std::time::Instant;

use etcd_lab::Programs;

use super::lab::{CutOff, LONG, Lab, Shape};
use crate::agent::line::Line;

/// Changes that are not fleet's and lie between what was heard and what is kept.
const OTHERS: usize = 500;

/// Agents and engines are all cut off, and a member is down, while a unit goes, another one comes, and the history of
/// both is compacted. Their leases live on. All of them list anew, and do what is to be done and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_of_a_history_that_was_compacted() {
    let Some(programs) = Programs::shipped() else { return };
    let shape = Shape { cut_off: CutOff::All, ..Shape::new(3, 5, LONG) };
    let mut lab = Lab::of(&programs, shape).await;
    lab.start_units(20).await;
    lab.wait_active(20).await;
    let logs = lab.logs();
    lab.lines.iter().for_each(Line::cut);
    let down = lab.etcd.follower();
    lab.etcd.members[down].kill();
    let gone = "unit-0007.service";
    lab.destroy(gone).await;
    lab.start("after.service").await;
    for n in 0..OTHERS {
        lab.put("/others", n.to_string().into_bytes()).await.unwrap();
    }
    let up = (down + 1) % 3;
    programs.ctl(&lab.etcd.members[up], &["compact", "--physical", &lab.revision().await.to_string()]);
    lab.etcd.start_again(down);
    lab.etcd.members[down].wait_healthy();
    assert_eq!(lab.logs(), logs, "nobody has heard of it");
    lab.lines.iter().for_each(Line::mend);
    let began = Instant::now();
    lab.wait("the unit that came runs, and the one that went does not", async |lab: &Lab| {
        let active = lab.active().await;
        active.contains_key("after.service") && !active.contains_key(gone)
    })
    .await;
    println!(
        "from the return of all, to a history that is gone, to what is wanted: {} ms",
        began.elapsed().as_millis()
    );
    lab.wait_active(20).await;
    let mut did = Vec::new();
    for (before, after) in logs.iter().zip(lab.logs()) {
        let is_of_a_unit = |line: &&String| line.starts_with("start ") || line.starts_with("stop ");
        did.extend(after[before.len()..].iter().filter(is_of_a_unit).cloned());
    }
    did.sort();
    assert_eq!(did, ["start after.service", &format!("stop {gone}")]);
}
