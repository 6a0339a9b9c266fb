//! The table of contents: which pages the site has, in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{DECISIONS, SUMMARY, links, path};

/// The table of contents.
#[derive(Debug)]
pub struct Summary {
    /// For mdBook: its paths are from the top on.
    pub text: String,
    /// Pages in their order.
    pub pages: Vec<String>,
    /// The list of records for the page about them.
    pub records: String,
}

/// Reads it, and adds the records below the line of their page: the newest first, each under its own heading.
pub fn read(texts: &BTreeMap<&str, &str>) -> Result<Summary, String> {
    let text = texts.get(SUMMARY).ok_or_else(|| format!("{SUMMARY}: there is none"))?;
    let records: Vec<(&str, &str)> = texts
        .iter()
        .rev()
        .filter(|(path, _)| path.starts_with(DECISIONS) && !path.ends_with("/README.md"))
        .map(|(path, text)| (*path, title(text).unwrap_or(path)))
        .collect();
    let mut summary = Summary { text: String::new(), pages: Vec::new(), records: "\n".to_owned() };
    for (path, title) in &records {
        let name = path.trim_start_matches(DECISIONS);
        let day = name.get(..10).unwrap_or(name);
        writeln!(summary.records, "- {day}: [{title}]({name})").expect("writing to a string cannot fail");
    }
    for line in text.lines() {
        let Some(link) = links::find(line).into_iter().next() else {
            summary.text.push_str(line);
            summary.text.push('\n');
            continue;
        };
        let target = &line[link.target.clone()];
        let page = path::resolve(path::folder(SUMMARY), target)
            .ok_or_else(|| format!("{SUMMARY}: {target}: leads out of the repository"))?;
        let (before, after) = (&line[..link.target.start], &line[link.target.end..]);
        writeln!(summary.text, "{before}{page}{after}").expect("writing to a string cannot fail");
        let is_of_records = page == format!("{DECISIONS}README.md");
        summary.pages.push(page);
        if is_of_records {
            let indent = line.len() - line.trim_start().len() + 2;
            for (path, title) in &records {
                writeln!(summary.text, "{:indent$}- [{title}]({path})", "")
                    .expect("writing to a string cannot fail");
                summary.pages.push((*path).to_owned());
            }
        }
    }
    Ok(summary)
}

impl Summary {
    /// Pages that are not in it, or not there.
    pub fn problems(&self, texts: &BTreeMap<&str, &str>) -> Vec<String> {
        let mut found = Vec::new();
        let mut known = BTreeSet::new();
        for page in &self.pages {
            if !texts.contains_key(page.as_str()) {
                found.push(format!("{SUMMARY}: {page}: no such page"));
            }
            if !known.insert(page.as_str()) {
                found.push(format!("{SUMMARY}: {page}: named twice"));
            }
        }
        let pages = texts.keys().filter(|path| path.starts_with("docs/") && path.ends_with(".md"));
        for page in pages.filter(|page| **page != SUMMARY && !known.contains(**page)) {
            found.push(format!("{page}: not in {SUMMARY}: add a line for it there"));
        }
        found
    }
}

/// The first heading.
fn title(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("# "))
}
