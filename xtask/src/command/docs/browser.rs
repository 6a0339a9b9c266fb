//! The site in a real browser: its scripts run, and none has anything to complain of. That nothing is missing or comes
//! from elsewhere is seen in the files already (`site::problems`): of files the browser says neither.

use std::path::Path;

use anyhow::Context as _;

use crate::checks::Counts;
use crate::ctx::Ctx;
use crate::tools::{Look, Tools};

/// Pages to open: the first, one with pictures, one with code, one deep in the folders.
const PAGES: [&str; 4] = [
    "index.html",
    "docs/concepts.html",
    "docs/operating/cloud-config.html",
    "docs/decisions/2026-11-29-flash.html",
];
/// A page that fails: without it, a browser that says nothing would find every page right.
const BROKEN: &str = "<!doctype html><script>there_is_no_such_function()</script>";

/// Opens some pages of the site in the browser of a tools tree. Each is a test.
pub fn judge(ctx: &Ctx, tree: &Path, site: &Path) -> anyhow::Result<Counts> {
    let tools = Tools::new(ctx, tree.to_path_buf());
    let mut counts = Counts::default();
    for page in PAGES {
        let path = site.join(page);
        anyhow::ensure!(path.is_file(), "{}: no such page: mend the list in {}", path.display(), file!());
        let problems = problems(&tools.browser(site, &path)?);
        anyhow::ensure!(problems.is_empty(), "{page}:\n  {}", problems.join("\n  "));
        counts = counts.and(Counts::ONE);
    }
    let dir = tempfile::tempdir().context("creating a folder for a page")?;
    let broken = dir.path().join("broken.html");
    std::fs::write(&broken, BROKEN).with_context(|| format!("writing {}", broken.display()))?;
    let found = problems(&tools.browser(dir.path(), &broken)?);
    let is_told = found.iter().any(|problem| problem.contains("there_is_no_such_function"));
    anyhow::ensure!(is_told, "a broken page passes: {found:?}");
    Ok(counts.and(Counts::ONE))
}

fn problems(look: &Look) -> Vec<String> {
    let mut found: Vec<String> =
        look.said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    // A script makes the list of pages; another one dresses code and adds the button that copies it.
    if !look.text.contains("<ol class=\"chapter\">") {
        found.push("the list of pages is not there".to_owned());
    }
    if look.text.contains("<pre>") && !look.text.contains("clip-button") {
        found.push("code has no button that copies it".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str, said: &str) -> Look {
        Look { text: text.to_owned(), said: said.to_owned() }
    }

    #[test]
    fn names_what_the_browser_says_and_what_no_script_made() {
        let found = problems(&look("<pre><code>", "[INFO:CONSOLE:1] \"no\"\nDevTools"));
        let expected = [
            "[INFO:CONSOLE:1] \"no\"",
            "the list of pages is not there",
            "code has no button that copies it",
        ];
        assert_eq!(found, expected);
        assert_eq!(problems(&look("<ol class=\"chapter\"><pre><div class=\"clip-button\">", "")), [""; 0]);
    }
}
