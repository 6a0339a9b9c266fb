//! Rules about documents: links, commands and claims that must fit the code.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory as _;

use super::{assert_none, read, repo, tracked_ending};
use crate::flags::Xtask;
use crate::site::links::local_targets;

#[test]
fn links_between_documents_lead_somewhere() {
    let mut found = Vec::new();
    for path in tracked_ending(&[".md"]) {
        let text = read(&path);
        let dir = repo().join(&path).parent().unwrap().to_path_buf();
        for target in local_targets(&text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { repo().join(&path) } else { dir.join(file) };
            if !file.exists() {
                found.push(format!("{path}: {target}"));
            } else if !anchor.is_empty()
                && !anchors(&std::fs::read_to_string(&file).unwrap()).contains(anchor)
            {
                found.push(format!("{path}: {target}: no such heading"));
            }
        }
    }
    assert_none("links that lead nowhere", &found);
}

#[test]
fn commands_in_documents_exist() {
    let mut found = Vec::new();
    for path in tracked_ending(&[".md", ".yml", ".sh"]) {
        for (idx, line) in read(&path).lines().enumerate() {
            for words in line.split("cargo xtask ").skip(1) {
                if let Err(why) = check_command(words) {
                    found.push(format!("{path}:{}: cargo xtask {words}: {why}", idx + 1));
                }
            }
        }
    }
    assert_none("commands that do not exist", &found);
}

#[test]
fn every_command_is_in_the_readme() {
    let readme = read("README.md");
    let command = Xtask::command();
    let names = command.get_subcommands().map(clap::Command::get_name);
    let missing: Vec<_> =
        names.filter(|name| !readme.contains(&format!("cargo xtask {name}"))).map(str::to_owned).collect();
    assert_none("commands that README.md does not name", &missing);
}

#[test]
fn the_quick_start_page_has_the_commands_of_the_readme() {
    let readme = read("README.md");
    let start = readme.split("## Quick start").nth(1).and_then(|text| text.split("\n## ").next()).unwrap();
    let of = |text: &str| -> BTreeSet<String> {
        let words = text.split("cargo xtask ").skip(1).filter_map(|rest| rest.split([' ', '`', '\n']).next());
        words.map(str::to_owned).collect()
    };
    let (wanted, found) = (of(start), of(&read("docs/quick-start.md")));
    assert!(wanted.len() > 3, "the quick start of README.md names only {wanted:?}");
    let missing: Vec<String> = wanted.difference(&found).cloned().collect();
    assert_none("commands of README.md's quick start that docs/quick-start.md does not have", &missing);
}

#[test]
fn decisions_have_a_date_and_say_context_choice_and_alternatives() {
    let mut found = Vec::new();
    let is_record = |path: &String| path.starts_with("docs/decisions/") && !path.ends_with("/README.md");
    for path in tracked_ending(&[".md"]).into_iter().filter(is_record) {
        let name = path.rsplit('/').next().unwrap();
        let dated = name.get(..11).is_some_and(|date| {
            date.bytes().enumerate().all(|(idx, byte)| match idx {
                4 | 7 | 10 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
        });
        if !dated {
            found.push(format!("{path}: the name does not begin with a date"));
        }
        let text = read(&path);
        for part in ["Context", "Choice", "Alternatives"] {
            if !text.contains(&format!("**{part}.**")) && !text.contains(&format!("## {part}")) {
                found.push(format!("{path}: no {part}"));
            }
        }
    }
    assert_none("decisions that lack a part", &found);
}

#[test]
fn the_acceptance_table_fits_the_scenarios() {
    let table = read("docs/acceptance.md");
    let rows: BTreeMap<&str, Vec<&str>> = table.lines().filter_map(row).collect();
    assert_eq!(rows.len(), 85, "the specification has 85 scenarios");
    let code = read("crates/e2e/src/scenario.rs");
    let scenarios = scenarios(&code);
    assert!(scenarios.len() > 5, "the table of scenarios is no longer readable here");
    let mut found = Vec::new();
    for (id, names) in &rows {
        for name in names.iter().filter(|name| !scenarios.contains_key(*name)) {
            found.push(format!("{id} names `{name}`, which crates/e2e does not have"));
        }
    }
    for (name, ids) in &scenarios {
        for id in ids.iter().filter(|id| !rows.get(*id).is_some_and(|names| names.contains(name))) {
            found.push(format!("`{name}` claims {id}, whose row does not name it"));
        }
    }
    for id in (1..=10).map(|n| format!("A{n:02}")) {
        if !scenarios.values().any(|ids| ids.contains(&id.as_str())) {
            found.push(format!("{id} is claimed by no scenario"));
        }
    }
    assert_none("docs/acceptance.md and crates/e2e/src/scenario.rs", &found);
}

#[test]
fn judge_tests_of_the_acceptance_table_exist() {
    let sources =
        tracked_ending(&[".rs"]).into_iter().filter(|path| path.starts_with("crates/etcd-lab/tests/"));
    let code: String = sources.map(read).collect();
    let table = read("docs/acceptance.md");
    let named = table.split("`etcd-lab::").skip(2).filter_map(|rest| rest.split('`').next());
    let (known, missing): (Vec<&str>, Vec<&str>) =
        named.partition(|name| code.contains(&format!("#[test]\nfn {name}() {{")));
    assert!(known.len() > 10, "the table no longer names the tests of etcd-lab");
    let missing: Vec<String> = missing.into_iter().map(str::to_owned).collect();
    assert_none("tests that docs/acceptance.md names and crates/etcd-lab does not have", &missing);
}

#[test]
fn the_manifests_fields_are_all_described() {
    let page = read("docs/formats/manifest.md");
    let sample: serde_json::Value =
        serde_json::from_str(&read("xtask/tests/data/report.manifest.json")).unwrap();
    let fields = sample.as_object().unwrap().keys();
    let missing: Vec<_> = fields.filter(|field| !page.contains(&format!("| `{field}` |"))).cloned().collect();
    assert_none("fields that docs/formats/manifest.md does not describe", &missing);
}

/// What GitHub and others make of the headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// Checks the command's name and its long flags; a word in capitals or an ellipsis stands for anything.
fn check_command(words: &str) -> Result<(), String> {
    let end = words.find(['`', '#', '|', '"', ')', '(', ';']).unwrap_or(words.len());
    let mut words = words[..end].split_whitespace().map(|word| word.trim_matches(['[', ']', ',', '.', ':']));
    let Some(name) =
        words.next().filter(|name| *name != "help" && name.starts_with(|c: char| c.is_ascii_lowercase()))
    else {
        return Ok(());
    };
    let root = Xtask::command();
    let mut command = root.find_subcommand(name).ok_or("no such command")?;
    let mut words = words.peekable();
    while let Some(inner) = words.peek().and_then(|word| command.find_subcommand(word)) {
        command = inner;
        words.next();
    }
    for flag in words.take_while(|word| *word != "--").filter_map(|word| word.strip_prefix("--")) {
        let flag = flag.split('=').next().unwrap_or(flag);
        let known = |command: &clap::Command| command.get_arguments().any(|arg| arg.get_long() == Some(flag));
        if !known(command) && !known(&root) && !matches!(flag, "help" | "version") {
            return Err(format!("no flag --{flag}"));
        }
    }
    Ok(())
}

/// The id and the names in code type of a row of docs/acceptance.md.
fn row(line: &str) -> Option<(&str, Vec<&str>)> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    let id = cells.next()?.trim_end_matches('+');
    let is_id = id.len() == 3 && id.as_bytes()[1..].iter().all(u8::is_ascii_digit);
    let shown = cells.nth(1)?;
    let names = shown.split('`').skip(1).step_by(2).filter(|name| !name.contains(['/', ' ', '-']));
    is_id.then(|| (id, names.collect()))
}

/// Name and claimed ids of each scenario in the table of crates/e2e.
fn scenarios(code: &str) -> BTreeMap<&str, Vec<&str>> {
    code.split("name: \"")
        .skip(1)
        .filter_map(|rest| {
            let (name, rest) = rest.split_once('"')?;
            let ids = rest.split_once("acceptance: &[")?.1.split_once(']')?.0;
            Some((name, ids.split('"').skip(1).step_by(2).collect()))
        })
        .collect()
}

#[test]
fn the_rules_find_what_they_look_for() {
    assert!(check_command("build-image --locked` and").is_ok());
    assert!(check_command("build-imaeg").is_err());
    assert!(check_command("build-image --lokced").is_err());
    assert_eq!(row("| A04+ | x | `first_boot`, `two` |"), Some(("A04", vec!["first_boot", "two"])));
    assert!(anchors("# A b: c\n").contains("a-b-c"));
}
