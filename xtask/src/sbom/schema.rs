//! The published schema of CycloneDX as a judge, for tests: it takes what is in `tests/data/cyclonedx` alone.

/// Names under which the schemas refer to each other.
const SCHEMAS: [(&str, &str); 2] = [
    (
        "http://cyclonedx.org/schema/spdx.SNAPSHOT.schema.json",
        include_str!("../../tests/data/cyclonedx/spdx.SNAPSHOT.schema.json"),
    ),
    (
        "http://cyclonedx.org/schema/jsf-0.82.SNAPSHOT.schema.json",
        include_str!("../../tests/data/cyclonedx/jsf-0.82.SNAPSHOT.schema.json"),
    ),
];

/// Returns what the schema has against a document.
pub fn against_schema(text: &str) -> Vec<String> {
    let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    let schema = json(include_str!("../../tests/data/cyclonedx/bom-1.6.SNAPSHOT.schema.json"));
    let mut registry = jsonschema::Registry::new();
    for (uri, text) in SCHEMAS {
        registry = registry.add(uri, json(text)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let validator = jsonschema::options().with_registry(&registry).build(&schema).unwrap();
    validator.iter_errors(&json(text)).map(|err| format!("{}: {err}", err.instance_path())).collect()
}
