//! The page of the format has the keys of the table, and the table those of the page.

use std::collections::BTreeSet;

use cloud_config::read::validate;
use cloud_config::schema::SECTIONS;

const PAGE: &str = include_str!("../../../docs/formats/cloud-config.md");

/// Keys of the page's tables, each with the section of its heading.
fn described() -> BTreeSet<(String, String)> {
    let mut section = None;
    let mut keys = BTreeSet::new();
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = match heading.strip_prefix('`') {
                Some(rest) => rest.split_once('`').map(|(path, _)| path.to_owned()),
                None => (heading == "The file").then(String::new),
            };
        }
        let Some(section) = &section else { continue };
        if let Some((names, _)) = line.strip_prefix("| ").and_then(|row| row.split_once(" |")) {
            let names = names.split('`').skip(1).step_by(2);
            keys.extend(names.map(|name| (section.clone(), name.to_owned())));
        }
    }
    keys
}

#[test]
fn every_key_is_described_and_every_described_key_is_one() {
    let known: BTreeSet<_> = SECTIONS
        .iter()
        .flat_map(|section| section.keys.iter().map(|key| (section.path.to_owned(), key.name.to_owned())))
        .collect();
    let described = described();
    assert_eq!(
        known.difference(&described).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new(),
        "not described"
    );
    assert_eq!(
        described.difference(&known).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new(),
        "not there"
    );
}

#[test]
fn the_pages_examples_are_right() {
    let operating = include_str!("../../../docs/operating/cloud-config.md");
    for text in [PAGE, operating] {
        let mut n_examples = 0;
        for example in
            text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default())
        {
            assert_eq!(validate(example.as_bytes()), [], "{example}");
            n_examples += 1;
        }
        assert!(n_examples > 0);
    }
}

#[test]
fn the_file_with_everything_is_right() {
    assert_eq!(validate(include_bytes!("data/everything.yml")), []);
}
