//! The site in a real browser: its scripts run, nothing is refused or missing, and nothing else is asked for.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

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

/// Opens some pages of the site in the browser of a tools tree. Each is a test.
pub fn judge(ctx: &Ctx, tree: &Path, site: &Path) -> anyhow::Result<Counts> {
    let tools = Tools::new(ctx, tree.to_path_buf());
    let mut counts = Counts::default();
    for page in PAGES {
        let path = site.join(page);
        anyhow::ensure!(path.is_file(), "{}: no such page: mend the list in {}", path.display(), file!());
        let problems = problems(&tools.browser(site, &path)?, site)?;
        anyhow::ensure!(problems.is_empty(), "{page}:\n  {}", problems.join("\n  "));
        counts = counts.and(Counts::ONE);
    }
    // Without this, a browser that says nothing of what is missing would find every page right.
    let broken = ctx.target.join("site-broken.html");
    std::fs::write(&broken, "<!doctype html><script src=\"missing.js\"></script>")
        .with_context(|| format!("writing {}", broken.display()))?;
    let found = problems(&tools.browser(&ctx.target, &broken)?, site)?;
    anyhow::ensure!(
        found.iter().any(|problem| problem.contains("missing.js")),
        "a broken page passes: {found:?}"
    );
    Ok(counts.and(Counts::ONE))
}

fn problems(look: &Look, site: &Path) -> anyhow::Result<Vec<String>> {
    let mut found: Vec<String> =
        look.said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    // A script of the page makes the list of pages.
    if !look.text.contains("<ol class=\"chapter\">") {
        found.push("the list of pages is not there".to_owned());
    }
    let home = format!("file://{}/", site.display());
    for url in requested(&look.requests)? {
        if !url.starts_with(&home) && !url.starts_with("data:") {
            found.push(format!("asked for {url}"));
        }
    }
    Ok(found)
}

/// Addresses of the requests that the browser's log says were begun.
fn requested(log: &str) -> anyhow::Result<Vec<String>> {
    let log: Value = serde_json::from_str(log).context("reading the browser's log of requests")?;
    let begun = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
        .as_u64()
        .context("the browser's log of requests names no kind URL_REQUEST_START_JOB")?;
    let events = log["events"].as_array().context("the browser's log of requests has no events")?;
    let urls = events
        .iter()
        .filter(|event| event["type"] == begun)
        .filter_map(|event| event["params"]["url"].as_str());
    Ok(urls.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"constants": {"logEventTypes": {"URL_REQUEST_START_JOB": 5}},
        "events": [{"type": 5, "params": {"url": "https://a/"}}, {"type": 6, "params": {"url": "https://b/"}}]}"#;

    fn look(text: &str, said: &str) -> Look {
        Look { text: text.to_owned(), said: said.to_owned(), requests: LOG.to_owned() }
    }

    #[test]
    fn names_what_the_browser_says_and_what_it_asks_for() {
        let found = problems(&look("", "[INFO:CONSOLE:1] \"no\"\nDevTools"), Path::new("/site")).unwrap();
        let expected = ["[INFO:CONSOLE:1] \"no\"", "the list of pages is not there", "asked for https://a/"];
        assert_eq!(found, expected);
        let listed = look("<ol class=\"chapter\">", "");
        assert_eq!(problems(&listed, Path::new("/site")).unwrap(), ["asked for https://a/"]);
    }
}
