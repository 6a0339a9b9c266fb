//! What must hold for any bytes, and for any configuration of the table of keys.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use cloud_config::apply::status::{Outcome, has_failed};
use cloud_config::apply::tree::{Mood, Tree};
use cloud_config::apply::{Listed, apply};
use cloud_config::facts;
use cloud_config::finding::{Level, worst};
use cloud_config::metadata::{Addresses, Metadata};
use cloud_config::model::Config;
use cloud_config::plan::{Inputs, KEY_SET, plan};
use cloud_config::schema::{Kind, SECTIONS, Section, section};
use cloud_config::substitute::Unknown;
use cloud_config::{UserData, read};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

fn judged(bytes: &[u8]) -> Option<UserData> {
    let (data, findings) = read(bytes, &Addresses::examples(), Unknown::Refuse);
    assert_eq!(data.is_none(), worst(&findings) == Some(Level::Error), "{findings:?}");
    let text = String::from_utf8_lossy(bytes);
    let n_lines = text.lines().count().max(1);
    assert!(findings.iter().all(|finding| (1..=n_lines + 1).contains(&finding.at.line)), "{findings:?}");
    data
}

/// A value for a key: usually of its kind.
fn value(kind: Kind, path: String, depth: u32) -> BoxedStrategy<String> {
    let text =
        prop_oneof!["[a-z]{1,8}", "/[a-z]{1,4}/[a-z]{1,4}", "[a-z]{1,4}\\.service", "\"[ -!#-~]{0,8}\""];
    let right = match kind {
        Kind::Text => text.boxed(),
        Kind::Form(_) => {
            prop_oneof![Just("0644".to_owned()), Just("04:00".to_owned()), Just("1h".to_owned())].boxed()
        }
        Kind::Word(words) => prop::sample::select(words).prop_map(str::to_owned).boxed(),
        Kind::Flag => any::<bool>().prop_map(|flag| flag.to_string()).boxed(),
        Kind::Count => any::<u32>().prop_map(|count| count.to_string()).boxed(),
        Kind::Texts => prop::collection::vec("[a-z]{1,8}", 0..3)
            .prop_map(|items| format!("[{}]", items.join(", ")))
            .boxed(),
        Kind::Map => map(section(&path).unwrap(), depth + 1),
        Kind::Maps => prop::collection::vec(map(section(&format!("{path}[]")).unwrap(), depth + 1), 0..3)
            .prop_map(|items| format!("[{}]", items.join(", ")))
            .boxed(),
    };
    // One key in forty has a value that anything may be.
    prop_oneof![39 => right, 1 => "[a-z\\[\\]{}:, ]{0,8}"].boxed()
}

fn map(section: &'static Section, depth: u32) -> BoxedStrategy<String> {
    let entries: Vec<_> = section
        .keys
        .iter()
        .map(|key| {
            // Names and paths are there more often: without them nothing else of the map counts.
            let share = if ["name", "path", "content"].contains(&key.name) {
                0.9
            } else {
                0.1 + 0.1 / f64::from(depth + 1)
            };
            let name = key.name.replace('_', "-");
            prop::option::weighted(share, value(key.kind, section.path_of(key.name), depth))
                .prop_map(move |value| value.map(|value| format!("{name}: {value}")))
        })
        .collect();
    entries
        .prop_map(|entries| format!("{{{}}}", entries.into_iter().flatten().collect::<Vec<_>>().join(", ")))
        .boxed()
}

fn applied(tree: &Tree, config: &Config, metadata: &Metadata) -> Vec<cloud_config::apply::status::Step> {
    let facts = facts::read(tree, config).unwrap();
    let plan = plan(Inputs { config, script: None, metadata, facts: &facts, key_set: KEY_SET });
    apply(tree, &plan, &mut Listed { keys: None }, Mood::Do).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_end_in_user_data_or_findings(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        judged(&bytes);
        judged(&[b"#cloud-config\n", &bytes[..]].concat());
    }

    #[test]
    fn any_text_ends_in_user_data_or_findings(text in "[ -~\n\t$é&*!|>]{0,200}") {
        judged(format!("#cloud-config\n{text}").as_bytes());
        judged(format!("#cloud-config\nusers:\n  - name: {text}\n").as_bytes());
    }

    #[test]
    fn any_configuration_that_is_right_is_applied_once(text in map(section("").unwrap(), 0)) {
        let Some(UserData::Config(config)) = judged(format!("#cloud-config\n{text}\n").as_bytes()) else { return Ok(()) };
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let metadata = Metadata { addresses: Addresses::examples(), ..Metadata::default() };
        let first = applied(&tree, &config, &metadata);
        let second = applied(&tree, &config, &metadata);
        // Two files may want one path as file and as folder: then a step fails, each time.
        if !has_failed(&first) {
            let again: Vec<_> = second.iter().filter(|step| step.outcome == Outcome::Done).collect();
            prop_assert!(again.is_empty(), "{again:?}\n{text}");
        }
        // Without anything to say, all that was made is gone.
        applied(&tree, &Config::default(), &metadata);
        let record = std::fs::read_to_string(dir.path().join("var/lib/slipway/cloudinit/applied.json")).unwrap();
        prop_assert_eq!(record.trim(), "{}");
    }
}

#[test]
fn the_strategy_reaches_configurations_that_are_right() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = map(section("").unwrap(), 0);
    let mut n_right = 0;
    for _ in 0..200 {
        let text = strategy.new_tree(&mut runner).unwrap().current();
        n_right += usize::from(judged(format!("#cloud-config\n{text}\n").as_bytes()).is_some());
    }
    assert!(10 < n_right && SECTIONS.len() > 10, "{n_right} of 200");
}
