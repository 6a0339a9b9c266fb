//! The cluster as its machines describe it: from what their programs said to one row each.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::ask::{Program, Said};
use super::state::{Machine, Power, State};

/// Of [`View`]; fields are only added.
const FORMAT: u32 = 1;

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// 1.
    pub format: u32,
    /// Version of the image that the machines were made from.
    pub image_version: String,
    /// URL of the update server on this machine.
    pub updates: Option<String>,
    /// Most machines that may hold a slot for a reboot at once; none if locksmith does not say.
    pub locks_max: Option<u64>,
    /// Versions that failed in the group and are not tried again, newest first.
    pub failed_versions: Vec<FailedVersion>,
    /// The machines.
    pub machines: Vec<Row>,
}

/// A version that one machine fell back from, and that the others refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedVersion {
    /// The version.
    pub version: String,
    /// Id of the machine that tried it.
    pub by: Option<String>,
    /// How far it came.
    pub stage: Option<String>,
    /// Why it failed.
    pub reason: Option<String>,
    /// When, RFC 3339.
    pub at: Option<String>,
}

/// A machine; what could not be learned is `None`, and `missing` says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Name.
    pub name: String,
    /// Address on the private network.
    pub address: String,
    /// Whether it is on.
    pub power: Power,
    /// Its id.
    pub id: Option<String>,
    /// Version that runs.
    pub version: Option<String>,
    /// Slot that it runs from.
    pub slot: Option<String>,
    /// Outcome of the health checks: `passed`, `waiting`, `failed`.
    pub boot_complete: Option<String>,
    /// What its etcd is.
    pub etcd: Option<Role>,
    /// What fleet keeps it from.
    pub hold: Option<String>,
    /// Whether and for what it holds a slot, or what its locksmith is at.
    pub lock: Option<String>,
    /// Units of fleet on it, by what systemd says of them.
    pub units: Option<BTreeMap<String, usize>>,
    /// What did not answer.
    pub missing: Vec<Missing>,
}

/// What a member of etcd is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It leads.
    Leader,
    /// It follows the leader.
    Follower,
    /// It has no vote.
    Learner,
    /// It runs and knows no leader.
    NoLeader,
}

/// A program that did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The program.
    pub program: String,
    /// Why.
    pub reason: String,
}

/// What each machine said, in the order of the state's; the error is why it could not be entered.
pub fn view(state: &State, said: &[Result<Said, String>]) -> View {
    let answered = |program: Program| {
        let documents = said.iter().filter_map(|said| said.as_ref().ok()?.get(&program)?.as_ref().ok());
        // Of what is the cluster's, any machine's answer is as good.
        documents.into_iter().next()
    };
    let cluster = Cluster {
        machines: answered(Program::Machines),
        units: answered(Program::Units),
        locks: answered(Program::Locks),
        coordinators: answered(Program::Coordinators),
    };
    View {
        format: FORMAT,
        image_version: state.version.clone(),
        updates: state.updates.clone(),
        locks_max: cluster.locks.and_then(|locks| locks["max"].as_u64()),
        failed_versions: answered(Program::Versions).map(failed).unwrap_or_default(),
        machines: state
            .machines
            .iter()
            .zip(said)
            .map(|(machine, said)| row(machine, said, &cluster))
            .collect(),
    }
}

/// What is the same whoever is asked.
struct Cluster<'a> {
    machines: Option<&'a Value>,
    units: Option<&'a Value>,
    locks: Option<&'a Value>,
    coordinators: Option<&'a Value>,
}

fn row(machine: &Machine, said: &Result<Said, String>, cluster: &Cluster<'_>) -> Row {
    let mut row = Row {
        name: machine.name.clone(),
        address: machine.address.to_string(),
        power: machine.power.clone(),
        id: None,
        version: None,
        slot: None,
        boot_complete: None,
        etcd: None,
        hold: None,
        lock: None,
        units: None,
        missing: Vec::new(),
    };
    let said = match said {
        Ok(said) => said,
        Err(reason) => {
            row.missing.push(Missing { program: "ssh".to_owned(), reason: reason.clone() });
            return row;
        }
    };
    for (program, answer) in said {
        if let Err(reason) = answer {
            row.missing.push(Missing { program: program.name().to_owned(), reason: reason.clone() });
        }
    }
    let document = |program: Program| said.get(&program).and_then(|answer| answer.as_ref().ok());
    row.id = document(Program::Id).and_then(text);
    if let Some(status) = document(Program::Slipway) {
        row.version = text(&status["version"]);
        row.slot = text(&status["slot"]["name"]);
        row.boot_complete = text(&status["boot_complete"]);
    }
    row.etcd = document(Program::Etcd).and_then(role);
    if let Some(id) = &row.id {
        row.hold = cluster
            .machines
            .and_then(|machines| of_machine(machines, id))
            .and_then(|found| text(&found["hold"]));
        row.units = cluster.units.map(|units| counted(units, id));
        row.lock = cluster.locks.map(|locks| lock(locks, cluster.coordinators, id));
    }
    row
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// What a member says of itself; `None` if it is not understood.
pub fn role(status: &Value) -> Option<Role> {
    let status = &status[0]["Status"];
    let (own, leader) = (status["header"]["member_id"].as_u64()?, status["leader"].as_u64().unwrap_or(0));
    Some(if status["isLearner"] == true {
        Role::Learner
    } else if leader == 0 {
        Role::NoLeader
    } else if leader == own {
        Role::Leader
    } else {
        Role::Follower
    })
}

/// The row of a machine, in a list of objects that have an `id`.
fn of_machine<'a>(rows: &'a Value, id: &str) -> Option<&'a Value> {
    rows.as_array()?.iter().find(|row| row["id"] == id)
}

fn counted(units: &Value, id: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let here = units.as_array().into_iter().flatten().filter(|unit| unit["machineID"] == id);
    for state in here.filter_map(|unit| text(&unit["systemdActiveState"])) {
        *found.entry(state).or_default() += 1;
    }
    found
}

fn failed(versions: &Value) -> Vec<FailedVersion> {
    let failed = versions.as_array().into_iter().flatten().filter(|known| known["state"] == "failed");
    let shown = |known: &Value| {
        Some(FailedVersion {
            version: text(&known["version"])?,
            by: text(&known["by"]),
            stage: text(&known["stage"]),
            reason: text(&known["reason"]),
            at: text(&known["at"]),
        })
    };
    failed.filter_map(shown).collect()
}

fn lock(locks: &Value, coordinators: Option<&Value>, id: &str) -> String {
    if let Some(holder) = of_machine(&locks["holders"], id) {
        let version = text(&holder["version"]);
        return version.map_or_else(|| "holds".to_owned(), |version| format!("holds for {version}"));
    }
    let phase = coordinators.and_then(|rows| of_machine(rows, id)).and_then(|row| text(&row["phase"]));
    phase.unwrap_or_else(|| "none".to_owned())
}

#[cfg(test)]
pub mod made {
    use serde_json::json;

    use super::*;
    use crate::command::cluster::plan::made::plan;

    /// What a machine of three says; the first one leads.
    pub fn said(number: u8) -> Said {
        let id = |number: u8| format!("{number}{}", "0".repeat(31));
        let etcd = json!([{ "Endpoint": "127.0.0.1:2379",
            "Status": { "header": { "member_id": 100 + u64::from(number) }, "leader": 101 } }]);
        let fleet: Vec<_> = (1..=3)
            .map(|n| json!({ "id": id(n), "primaryIP": format!("10.7.0.{n}"), "hold": null }))
            .collect();
        let unit = |name: &str, n: u8, state: &str| json!({ "name": name, "machineID": id(n), "systemdActiveState": state });
        [
            (Program::Id, json!(id(number))),
            (Program::Slipway, json!({ "version": "0.1.0", "slot": { "name": "A" }, "boot_complete": "passed" })),
            (Program::Etcd, etcd),
            (Program::Machines, json!(fleet)),
            (
                Program::Units,
                json!([unit("a@1.service", 1, "active"), unit("a@2.service", 1, "active"), unit("b.service", 1, "failed"), unit("c.service", 3, "active")]),
            ),
            (
                Program::Locks,
                json!({ "group": "", "available": 0, "max": 1, "holders": [{ "id": id(2), "version": "0.1.1" }] }),
            ),
            (Program::Coordinators, json!([{ "id": id(3), "phase": "idle" }])),
            (Program::Versions, json!([{ "version": "0.1.0", "state": "good", "by": id(1), "stage": null }])),
        ]
        .map(|(program, document)| (program, Ok(document)))
        .into()
    }

    /// Three machines that are on.
    pub fn state() -> State {
        let mut state = State::new(&plan(3), 17);
        state.updates = Some("http://127.0.0.1:8080/".to_owned());
        (1..=3).for_each(|number| state.set(number, Power::On(40_000 + u16::from(number))));
        state
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_cluster_is_described() {
        let view = view(&made::state(), &[1, 2, 3].map(|number| Ok(made::said(number))));
        assert_eq!(view.locks_max, Some(1));
        let rows: Vec<_> = view.machines.iter().map(|row| (row.etcd, row.lock.clone().unwrap())).collect();
        let expected = [
            (Some(Role::Leader), "none"),
            (Some(Role::Follower), "holds for 0.1.1"),
            (Some(Role::Follower), "idle"),
        ];
        assert_eq!(rows, expected.map(|(role, lock)| (role, lock.to_owned())));
        let units: Vec<_> = view.machines.iter().map(|row| row.units.clone().unwrap()).collect();
        let counts =
            |counts: &[(&str, usize)]| counts.iter().map(|(state, n)| ((*state).to_owned(), *n)).collect();
        assert_eq!(units, [counts(&[("active", 2), ("failed", 1)]), counts(&[]), counts(&[("active", 1)])]);
        assert!(view.machines.iter().all(|row| row.missing.is_empty()));
    }

    #[test]
    fn what_one_machine_cannot_say_of_the_cluster_another_does() {
        let mut first = made::said(1);
        first.insert(Program::Units, Err("no etcd".to_owned()));
        first.insert(Program::Slipway, Err("it ended with 1".to_owned()));
        let view = view(&made::state(), &[Ok(first), Err("refused".to_owned()), Ok(made::said(3))]);
        let [one, two, _] = view.machines.as_slice() else { panic!("{view:?}") };
        assert_eq!(one.units.as_ref().unwrap()["active"], 2);
        assert_eq!((one.version.clone(), one.missing.len()), (None, 2));
        assert_eq!((two.units.clone(), two.missing[0].program.as_str()), (None, "ssh"));
    }

    #[test]
    fn a_version_that_failed_is_told_with_its_reason() {
        let mut said = made::said(2);
        let failed = json!({ "version": "0.1.2", "state": "failed", "by": "2f", "at": "2026-11-29T01:00:00Z",
            "stage": "loader", "reason": "it left no record" });
        let forgiven = json!({ "version": "0.1.1", "state": "forgiven", "by": "2f" });
        said.insert(Program::Versions, Ok(json!([failed, forgiven, 7])));
        let view = view(&made::state(), &[Err("refused".to_owned()), Ok(said), Ok(made::said(3))]);
        let [failed] = view.failed_versions.as_slice() else { panic!("{view:?}") };
        assert_eq!((failed.version.as_str(), failed.stage.as_deref()), ("0.1.2", Some("loader")));
    }

    #[test]
    fn a_member_is_what_it_says_of_itself() {
        let status = |status: Value| role(&json!([{ "Status": status }]));
        assert_eq!(status(json!({ "header": { "member_id": 1 }, "leader": 1 })), Some(Role::Leader));
        assert_eq!(status(json!({ "header": { "member_id": 1 }, "leader": 2 })), Some(Role::Follower));
        assert_eq!(status(json!({ "header": { "member_id": 1 } })), Some(Role::NoLeader));
        assert_eq!(
            status(json!({ "header": { "member_id": 1 }, "leader": 2, "isLearner": true })),
            Some(Role::Learner)
        );
        assert_eq!(role(&json!({})), None);
    }
}
