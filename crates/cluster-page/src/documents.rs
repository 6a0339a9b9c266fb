//! What the programs print, read with forbearance: a row or a field of another shape is passed over, and nothing fails.
//!
//! Only fields that are used are read; every text is made clean here, and nowhere else.

use serde_json::Value;

use crate::clean::clean;

/// Most rows that are taken of one document.
pub const ROWS_MAX: usize = 5000;

/// What `locksmithctl machines` says of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Machine.
    pub id: String,
    /// Version that runs.
    pub version: Option<String>,
    /// Slot that it runs from.
    pub slot: Option<String>,
    /// When it reboots.
    pub strategy: Option<String>,
    /// Its group; empty for the group without a name.
    pub group: String,
    /// How far its locksmith is.
    pub phase: Option<String>,
    /// Why it is there.
    pub why: Option<String>,
    /// Version that waits for a reboot.
    pub waiting: Option<String>,
    /// When it said so.
    pub at: Option<String>,
}

/// What `locksmithctl status` says of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// Most machines that may be away at once.
    pub max: i64,
    /// How many more may.
    pub available: i64,
    /// Who holds a slot.
    pub holders: Vec<Holder>,
}

/// A machine that holds a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Machine.
    pub id: String,
    /// Since when.
    pub since: Option<String>,
    /// For which version.
    pub version: Option<String>,
    /// Which member of etcd it is, in hexadecimal digits.
    pub member: Option<String>,
    /// Whether its units were moved away for it.
    pub drained: bool,
}

/// What `locksmithctl versions` says of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The version.
    pub version: String,
    /// `good`, `failed`, `forgiven`.
    pub state: String,
    /// Machine that said so.
    pub by: Option<String>,
    /// When.
    pub at: Option<String>,
    /// How far a failed one came.
    pub stage: Option<String>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// What `fleetctl list-machines` says of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetMachine {
    /// Machine.
    pub id: String,
    /// Its address.
    pub address: Option<String>,
    /// `cordoned` or `draining`.
    pub hold: Option<String>,
}

/// What `fleetctl list-units` says of a unit on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitOn {
    /// Unit.
    pub name: String,
    /// Machine.
    pub machine: Option<String>,
    /// LOAD of systemd.
    pub load: Option<String>,
    /// ACTIVE of systemd.
    pub active: Option<String>,
    /// SUB of systemd.
    pub sub: Option<String>,
}

/// What `fleetctl list-unit-files` says of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// Unit.
    pub name: String,
    /// What is wanted of it.
    pub desired: Option<String>,
    /// Whether it is on every machine that suits.
    pub global: bool,
    /// Where it is placed.
    pub machine: Option<String>,
}

/// What `etcdctl member list` says of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: u64,
    /// Its name; empty before it has started.
    pub name: String,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// Whether it has no vote.
    pub learner: bool,
}

/// What `etcdctl endpoint status` says of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it was asked.
    pub url: String,
    /// Its number.
    pub member: u64,
    /// The number of the leader that it knows; 0 without one.
    pub leader: u64,
    /// Version of etcd.
    pub version: Option<String>,
}

/// Rows, and how many there were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<T> {
    /// At most [`ROWS_MAX`].
    pub rows: Vec<T>,
    /// How many more there are.
    pub n_more: usize,
}

/// Reads `locksmithctl machines --json`.
pub fn reports(value: &Value) -> Rows<Report> {
    rows(value, |row| {
        Some(Report {
            id: name(&row["id"])?,
            version: text(&row["version"]),
            slot: text(&row["slot"]),
            strategy: text(&row["strategy"]),
            group: text(&row["group"]).unwrap_or_default(),
            phase: text(&row["phase"]),
            why: text(&row["why"]),
            waiting: text(&row["waiting"]),
            at: text(&row["at"]),
        })
    })
}

/// Reads `locksmithctl status --json`; `None` where it is no such document.
pub fn slots(value: &Value) -> Option<Slots> {
    let holders = rows(&value["holders"], |row| {
        Some(Holder {
            id: name(&row["id"])?,
            since: text(&row["since"]),
            version: text(&row["version"]),
            member: text(&row["member"]),
            drained: row["drained"] == true,
        })
    });
    Some(Slots {
        max: value["max"].as_i64()?,
        available: value["available"].as_i64().unwrap_or_default(),
        holders: holders.rows,
    })
}

/// Reads `locksmithctl versions --json`.
pub fn versions(value: &Value) -> Rows<Version> {
    rows(value, |row| {
        Some(Version {
            version: name(&row["version"])?,
            state: name(&row["state"])?,
            by: text(&row["by"]),
            at: text(&row["at"]),
            stage: text(&row["stage"]),
            reason: text(&row["reason"]),
        })
    })
}

/// Reads `fleetctl list-machines --json`.
pub fn fleet_machines(value: &Value) -> Rows<FleetMachine> {
    rows(value, |row| {
        let hold = text(&row["hold"]).filter(|hold| hold != "none");
        Some(FleetMachine { id: name(&row["id"])?, address: text(&row["primaryIP"]), hold })
    })
}

/// Reads `fleetctl list-units --json`.
pub fn units(value: &Value) -> Rows<UnitOn> {
    rows(value, |row| {
        Some(UnitOn {
            name: name(&row["name"])?,
            machine: text(&row["machineID"]),
            load: text(&row["systemdLoadState"]),
            active: text(&row["systemdActiveState"]),
            sub: text(&row["systemdSubState"]),
        })
    })
}

/// Reads `fleetctl list-unit-files --json`.
pub fn unit_files(value: &Value) -> Rows<UnitFile> {
    rows(value, |row| {
        Some(UnitFile {
            name: name(&row["name"])?,
            desired: text(&row["desiredState"]),
            global: row["global"] == true,
            machine: text(&row["machineID"]),
        })
    })
}

/// Reads `etcdctl member list --write-out=json`.
pub fn members(value: &Value) -> Rows<Member> {
    rows(&value["members"], |row| {
        let urls = row["clientURLs"].as_array().into_iter().flatten();
        Some(Member {
            id: row["ID"].as_u64()?,
            name: text(&row["name"]).unwrap_or_default(),
            client_urls: urls.take(16).filter_map(text).collect(),
            learner: row["isLearner"] == true,
        })
    })
}

/// Reads `etcdctl endpoint status --write-out=json`.
pub fn endpoints(value: &Value) -> Rows<Endpoint> {
    rows(value, |row| {
        let status = &row["Status"];
        Some(Endpoint {
            url: text(&row["Endpoint"]).unwrap_or_default(),
            member: status["header"]["member_id"].as_u64()?,
            leader: status["leader"].as_u64().unwrap_or_default(),
            version: text(&status["version"]),
        })
    })
}

fn rows<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Rows<T> {
    let all: &[Value] = value.as_array().map_or(&[], Vec::as_slice);
    Rows {
        rows: all.iter().take(ROWS_MAX).filter_map(read).collect(),
        n_more: all.len().saturating_sub(ROWS_MAX),
    }
}

/// A text that says something; an empty one is none.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(clean)
}

/// What a row cannot be without.
fn name(value: &Value) -> Option<String> {
    text(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::json_value;

    #[test]
    fn rows_of_another_shape_are_passed_over() {
        let value = json!([{"id": "m1", "version": 7}, {"id": ""}, {"id": ["m2"]}, "m3", null, {"id": "m4", "why": "a\nb"}]);
        let found = reports(&value).rows;
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].id.as_str(), found[0].version.as_deref()), ("m1", None));
        assert_eq!(found[1].why.as_deref(), Some("a b"));
    }

    #[test]
    fn rows_beyond_the_limit_are_counted() {
        let many: Vec<_> = (0..ROWS_MAX + 3).map(|n| json!({ "name": n.to_string() })).collect();
        let found = units(&Value::Array(many));
        assert_eq!((found.rows.len(), found.n_more), (ROWS_MAX, 3));
    }

    #[test]
    fn members_and_endpoints_are_those_of_etcdctl() {
        let list = json!({"header": {}, "members": [
            {"ID": 10501334649042878790_u64, "name": "m1", "peerURLs": [], "clientURLs": ["http://10.7.0.1:2379"]},
            {"ID": 5, "isLearner": true}]});
        let found = members(&list).rows;
        assert_eq!((found[0].id, found[0].client_urls.len()), (10501334649042878790, 1));
        assert_eq!((found[1].name.as_str(), found[1].learner), ("", true));
        let status = json!([{"Endpoint": "http://10.7.0.1:2379",
            "Status": {"header": {"member_id": 7}, "version": "3.5.16", "leader": 7}}, {"Endpoint": "x"}]);
        let expected = Endpoint {
            url: "http://10.7.0.1:2379".to_owned(),
            member: 7,
            leader: 7,
            version: Some("3.5.16".to_owned()),
        };
        assert_eq!(endpoints(&status).rows, [expected]);
    }

    #[test]
    fn a_machine_that_takes_units_has_no_hold() {
        let found = fleet_machines(
            &json!([{"id": "a", "hold": "none"}, {"id": "b", "hold": "cordoned"}, {"id": "c"}]),
        );
        let holds: Vec<_> = found.rows.iter().map(|machine| machine.hold.as_deref()).collect();
        assert_eq!(holds, [None, Some("cordoned"), None]);
    }

    proptest! {
        #[test]
        fn no_document_breaks_a_reader(value in json_value()) {
            reports(&value);
            slots(&value);
            versions(&value);
            fleet_machines(&value);
            units(&value);
            unit_files(&value);
            members(&value);
            endpoints(&value);
        }
    }
}
