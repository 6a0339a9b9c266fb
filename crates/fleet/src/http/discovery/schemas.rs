//! Schemas of the bodies; tests compare them with what is sent.

use serde_json::{Map, Value, json};

/// Returns all schemas by name.
pub(super) fn all() -> Value {
    let string = || json!({ "type": "string" });
    let time = || json!({ "type": "string", "format": "date-time" });
    let list = |name: &str| json!({ "type": "array", "items": { "$ref": name } });
    let state = || json!({ "type": "string", "enum": ["inactive", "loaded", "launched"] });
    let schemas = [
        object("UnitOption", json!({ "section": string(), "name": string(), "value": string() })),
        object(
            "Unit",
            json!({
                "name": string(),
                "options": list("UnitOption"),
                "content": string(),
                "desiredState": state(),
                "currentState": read_only(state()),
                "machineID": read_only(string()),
            }),
        ),
        object("UnitPage", json!({ "units": list("Unit"), "nextPageToken": string() })),
        object(
            "UnitState",
            json!({
                "name": string(),
                "hash": string(),
                "machineID": string(),
                "systemdLoadState": string(),
                "systemdActiveState": string(),
                "systemdSubState": string(),
            }),
        ),
        object("UnitStatePage", json!({ "states": list("UnitState"), "nextPageToken": string() })),
        object(
            "Machine",
            json!({
                "id": string(),
                "primaryIP": string(),
                "metadata": { "type": "object", "additionalProperties": string() },
                "hold": { "type": "string", "enum": ["cordoned", "draining"] },
            }),
        ),
        object("MachinePage", json!({ "machines": list("Machine"), "nextPageToken": string() })),
        object(
            "MachineOperation",
            json!({
                "op": { "type": "string", "enum": ["add", "replace", "remove"] },
                "path": string(),
                "value": string(),
            }),
        ),
        ("MachinePatch", {
            let mut patch = list("MachineOperation");
            patch["id"] = json!("MachinePatch");
            patch
        }),
        object(
            "MachineHold",
            json!({ "hold": { "type": "string", "enum": ["none", "cordoned", "draining"] } }),
        ),
        object(
            "Explanation",
            json!({
                "summary": string(),
                "machines": {
                    "type": "object",
                    "additionalProperties": { "type": "array", "items": string() },
                },
                "lost": { "$ref": "Lost" },
            }),
        ),
        object(
            "Lost",
            json!({
                "machineID": string(),
                "since": time(),
                "moves": time(),
                "mass": { "type": "boolean" },
            }),
        ),
        object("Move", json!({ "unit": string(), "from": string(), "to": string() })),
        object("Moves", json!({ "moves": list("Move") })),
        object("RestDescription", json!({})),
    ];
    Value::Object(schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect::<Map<_, _>>())
}

fn object(name: &'static str, properties: Value) -> (&'static str, Value) {
    (name, json!({ "id": name, "type": "object", "properties": properties }))
}

fn read_only(mut schema: Value) -> Value {
    schema["readOnly"] = json!(true);
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use fleet_core::model::{Hold, State};
    use fleet_core::utc::Utc;
    use serde::Serialize;

    use super::*;
    use crate::api::{Explanation, Lost, Machine, MetadataChange, Move, Unit, UnitOption, UnitState};
    use crate::http::patch;
    use crate::http::wire::{MachineHold, MachinePage, Moves, UnitPage, UnitStatePage};

    /// Compares the fields of a value that has all of them with those of its schema.
    #[track_caller]
    fn compare<T: Serialize>(name: &str, full: &T) {
        let sent = serde_json::to_value(full).unwrap();
        let names =
            |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(names(&sent), names(&all()[name]["properties"]), "{name}");
    }

    #[test]
    fn schemas_have_the_fields_that_are_sent() {
        let text = || "x".to_owned();
        let option = UnitOption { section: text(), name: text(), value: text() };
        let unit = Unit {
            name: text(),
            options: vec![option.clone()],
            content: Some(text()),
            desired_state: Some(State::Launched),
            current_state: Some(State::Loaded),
            machine_id: Some(text()),
        };
        let state = UnitState {
            name: text(),
            hash: text(),
            machine_id: text(),
            systemd_load_state: text(),
            systemd_active_state: text(),
            systemd_sub_state: text(),
        };
        let machine = Machine {
            id: text(),
            primary_ip: text(),
            metadata: BTreeMap::from([(text(), text())]),
            hold: Some(text()),
        };
        let moved = Move { unit: text(), from: text(), to: text() };
        compare("UnitOption", &option);
        compare("Unit", &unit);
        compare("UnitState", &state);
        compare("Machine", &machine);
        compare("Move", &moved);
        compare("UnitPage", &UnitPage { units: vec![unit], next_page_token: Some(text()) });
        compare("UnitStatePage", &UnitStatePage { states: vec![state], next_page_token: Some(text()) });
        compare("MachinePage", &MachinePage { machines: vec![machine], next_page_token: Some(text()) });
        compare("Moves", &Moves { moves: vec![moved] });
        compare("MachineHold", &MachineHold { hold: Hold::None });
        let lost = Lost {
            machine_id: text(),
            since: Utc::at(Duration::ZERO),
            moves: Some(Utc::at(Duration::ZERO)),
            mass: true,
        };
        compare("Lost", &lost);
        let explanation = Explanation { summary: text(), machines: BTreeMap::new(), lost: Some(lost) };
        compare("Explanation", &explanation);
        let change = MetadataChange { machine: text(), key: text(), value: Some(text()) };
        let operations: Vec<Value> = serde_json::from_slice(&patch::write(&[change])).unwrap();
        compare("MachineOperation", &operations[0]);
    }
}
