//! The documentation site as text: what mdBook is given, made of the repository's pages, and what is wrong with what
//! it made of them. Nothing here reads or writes a file.
//!
//! The site has the folders of the repository, so a link from page to page is the same in both.

mod built;
pub mod links;
mod page;
mod path;
mod summary;

use std::collections::BTreeMap;

pub use built::problems;

/// The table of contents.
pub const SUMMARY: &str = "docs/SUMMARY.md";
/// Below it are dated records, which the table of contents gets by itself.
const DECISIONS: &str = "docs/decisions/";
/// How the site looks, and mdBook's settings; no part of the text.
pub const LOOK: &str = "docs/site/";

/// Files by path from the top of the repository on.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Returns the source folder of the book, or everything that is wrong with its pages.
///
/// `files` are all files below `docs/` but those of [`LOOK`], and the pages in the top folder.
pub fn source(files: &Files) -> Result<Files, Vec<String>> {
    let mut problems = Vec::new();
    let mut texts = BTreeMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| path.ends_with(".md") || path.ends_with(".svg")) {
        match std::str::from_utf8(bytes) {
            Ok(text) => drop(texts.insert(path.as_str(), text)),
            Err(err) => problems.push(format!("{path}: no UTF-8: {err}")),
        }
    }
    let summary = summary::read(&texts).map_err(|problem| vec![problem])?;
    problems.extend(summary.problems(&texts));
    let site = page::Site { files, texts: &texts, pages: &summary.pages };
    let mut source = Files::from([("SUMMARY.md".to_owned(), summary.text.clone().into_bytes())]);
    for path in &summary.pages {
        let Some(text) = texts.get(path.as_str()) else { continue };
        match page::rewrite(path, text, &site) {
            Ok(mut text) => {
                if *path == format!("{DECISIONS}README.md") {
                    text.push_str(&summary.records);
                }
                source.insert(path.clone(), text.into_bytes());
            }
            Err(found) => problems.extend(found),
        }
    }
    // What pages link to, such as examples; pictures are in the pages.
    let plain = |path: &str| path.starts_with("docs/") && !path.ends_with(".md") && !path.ends_with(".svg");
    source.extend(
        files.iter().filter(|(path, _)| plain(path)).map(|(path, bytes)| (path.clone(), bytes.clone())),
    );
    if problems.is_empty() { Ok(source) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
