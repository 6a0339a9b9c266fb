//! `machines` and `forget`: what the daemons say of their machines.

use locksmith_core::report::{self, Report};
use serde::Serialize;

use super::Context;
use super::failure::Failure;
use super::out::{Format, cell};
use crate::store;

/// A machine in the list of `--json`.
#[derive(Debug, Serialize)]
struct Machine {
    id: String,
    version: Option<String>,
    slot: Option<String>,
    strategy: String,
    group: String,
    phase: String,
    why: String,
    waiting: Option<String>,
    boot: String,
    at: String,
}

/// `machines`: of all groups, by id.
pub(super) async fn list(cx: &Context) -> Result<(), Failure> {
    let listing = cx.store.client().list(report::PREFIX).await;
    let listing = listing.map_err(|err| Failure::store(store::Error::Etcd(err)))?;
    let mut machines = Vec::new();
    for kv in listing.kvs {
        let id = kv.key.strip_prefix(report::PREFIX).unwrap_or(&kv.key).to_owned();
        machines.push(match Report::parse(&kv.value) {
            Ok(report) => machine(id, report),
            Err(err) => unreadable(id, &err),
        });
    }
    if cx.out.format == Format::Json {
        return cx.out.json(&machines);
    }
    let row = |machine: &Machine| {
        vec![
            cell(Some(&machine.id)),
            cell(machine.version.as_ref()),
            cell(machine.slot.as_ref()),
            cell(Some(&machine.strategy)),
            cell(Some(&machine.group).filter(|group| !group.is_empty())),
            cell(machine.waiting.as_ref()),
            cell(Some(&machine.phase)),
            cell(Some(&machine.at)),
            cell(Some(&machine.why)),
        ]
    };
    let rows: Vec<_> = machines.iter().map(row).collect();
    let names = ["MACHINE ID", "VERSION", "SLOT", "STRATEGY", "GROUP", "WAITING", "PHASE", "AT", "WHY"];
    cx.out.table(&names, &rows)
}

/// `forget ID…`: a daemon that still runs says it anew when something changes.
pub(super) async fn forget(cx: &Context, ids: &[String]) -> Result<(), Failure> {
    for id in ids {
        let was_there = cx.store.client().delete(&report::key(id)).await;
        if !was_there.map_err(|err| Failure::store(store::Error::Etcd(err)))? {
            return Err(Failure::Unheard(id.clone()));
        }
    }
    Ok(())
}

fn machine(id: String, report: Report) -> Machine {
    let Report { version, slot, strategy, group, phase, why, waiting, boot, at } = report;
    Machine {
        id,
        version: version.map(|version| version.to_string()),
        slot,
        strategy,
        group,
        phase,
        why,
        waiting: waiting.map(|version| version.to_string()),
        boot,
        at: at.to_string(),
    }
}

/// It is shown, so that somebody removes it.
fn unreadable(id: String, err: &report::Error) -> Machine {
    Machine {
        id,
        version: None,
        slot: None,
        strategy: "unknown".to_owned(),
        group: String::new(),
        phase: "unknown".to_owned(),
        why: err.to_string(),
        waiting: None,
        boot: String::new(),
        at: String::new(),
    }
}
