//! The description of the API that `/discovery` gives, in the format of Google's discovery service, version 1.
//!
//! It is made from the table of routes, so a method is in it exactly if the server has it. Its addresses are paths:
//! a socket has no name, and whoever reads it knows where it was reached.

mod schemas;

use serde_json::{Map, Value, json};

use super::routes::{ROUTES, Route};

/// Returns the description of the methods below a prefix.
pub fn document(prefix: &str) -> Value {
    let base = format!("{prefix}/");
    json!({
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "fleet:v1",
        "name": "fleet",
        "version": "v1",
        "revision": env!("CARGO_PKG_VERSION"),
        "title": "fleet API",
        "description": "Units of a cluster, their states, and the machines that they are on.",
        "documentationLink": "",
        "icons": { "x16": "", "x32": "" },
        "labels": [],
        "protocol": "rest",
        "rootUrl": "/",
        "servicePath": base.trim_start_matches('/'),
        "basePath": base,
        "baseUrl": base,
        "batchPath": "",
        "parameters": {},
        "auth": {},
        "schemas": schemas::all(),
        "resources": resources(),
    })
}

fn resources() -> Value {
    let mut resources = Map::new();
    for route in &ROUTES {
        let (resource, name) = route.id;
        let resource = resources.entry(resource).or_insert_with(|| json!({ "methods": {} }));
        resource["methods"][name] = method(route);
    }
    Value::Object(resources)
}

fn method(route: &Route) -> Value {
    let (resource, name) = route.id;
    let in_path: Vec<&str> =
        route.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect();
    let mut parameters = Map::new();
    for &name in &in_path {
        parameters.insert(name.to_owned(), json!({ "type": "string", "location": "path", "required": true }));
    }
    for parameter in route.query {
        let description = json!({
            "type": parameter.kind,
            "location": "query",
            "description": parameter.description,
        });
        parameters.insert(parameter.name.to_owned(), description);
    }
    let mut method = json!({
        "id": format!("fleet.{resource}.{name}"),
        "description": route.description,
        "httpMethod": route.verb,
        "path": route.path,
        "parameters": parameters,
        "parameterOrder": in_path,
    });
    for (field, schema) in [("request", route.request), ("response", route.response)] {
        if let Some(schema) = schema {
            method[field] = json!({ "$ref": schema });
        }
    }
    method
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::routes::{self, PREFIXES};

    fn methods(document: &Value) -> Vec<Value> {
        let resources = document["resources"].as_object().unwrap().values();
        resources.flat_map(|resource| resource["methods"].as_object().unwrap().values().cloned()).collect()
    }

    #[test]
    fn every_method_of_the_server_is_described_and_no_other() {
        for prefix in PREFIXES {
            let document = document(prefix);
            let methods = methods(&document);
            assert_eq!(methods.len(), ROUTES.len(), "two methods have one name");
            for method in methods {
                let text = |field: &str| method[field].as_str().unwrap().to_owned();
                let path = text("path").replace(['{', '}'], "");
                let found =
                    routes::find(&text("httpMethod"), &format!("{}{path}", text_of(&document))).unwrap();
                assert_eq!(format!("fleet.{}.{}", found.route.id.0, found.route.id.1), text("id"));
            }
        }
    }

    fn text_of(document: &Value) -> &str {
        document["basePath"].as_str().unwrap()
    }

    #[test]
    fn parameters_of_paths_are_required_and_in_order() {
        let document = document("/fleet/v1");
        let explain = &document["resources"]["Units"]["methods"]["Explain"];
        assert_eq!(explain["parameterOrder"], json!(["unitName"]));
        assert_eq!(
            explain["parameters"],
            json!({ "unitName": { "type": "string", "location": "path", "required": true } })
        );
    }

    #[test]
    fn every_reference_leads_to_a_schema_and_every_schema_is_used() {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(fields) => {
                    if let Some(name) = fields.get("$ref") {
                        found.insert(name.as_str().unwrap().to_owned());
                    }
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document("/fleet/v1");
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        let there: BTreeSet<String> = document["schemas"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(used, there);
    }
}
