//! `cargo xtask docs`: the documentation site, checked.

mod browser;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::command::run;
use crate::ctx::Ctx;
use crate::site::{self, Files};
use crate::tools::Tools;
use crate::{durable, flags, hash, pipeline};

pub use browser::judge;

/// What mdBook reads beside the pages: file of [`site::LOOK`], place in its folder.
const LOOK: [(&str, &str); 5] = [
    ("book.toml", "book.toml"),
    ("site.css", "site.css"),
    ("favicon.svg", "theme/favicon.svg"),
    ("fonts.css", "theme/fonts/fonts.css"),
    ("book.js", "src/book.js"),
];

/// Builds the site into `target/site`.
pub fn run(ctx: &Ctx, args: &flags::Docs) -> anyhow::Result<()> {
    let site = build(ctx, &args.inputs)?;
    ctx.log.line(&format!("wrote the site: open {}", site.join("index.html").display()));
    Ok(())
}

/// Builds the site and returns its folder, which is there only when nothing is wrong with the site.
pub fn build(ctx: &Ctx, inputs: &flags::Inputs) -> anyhow::Result<PathBuf> {
    let tools = Tools::new(ctx, run::tools_of(ctx, inputs, pipeline::DOCS)?);
    let source = site::source(&read(&ctx.repo)?).map_err(|found| all("the pages", &found))?;
    let (work, done) = (ctx.target.join("site.work"), ctx.target.join("site"));
    durable::remove_if_there(&work)?;
    stage(&ctx.repo, &source, &work)?;
    let said = tools.mdbook(&work)?;
    let warnings: Vec<String> = said.lines().filter(|line| is_warning(line)).map(str::to_owned).collect();
    anyhow::ensure!(warnings.is_empty(), "{}", all("the pages, says mdBook", &warnings));
    let book = work.join("book");
    let problems = site::problems(&built(&book)?);
    anyhow::ensure!(problems.is_empty(), "{}", all("the built site", &problems));
    durable::remove_if_there(&done)?;
    fs::rename(&book, &done).with_context(|| format!("renaming to {}", done.display()))?;
    durable::remove_if_there(&work)?;
    Ok(done)
}

/// Everything that is wrong, one a line.
fn all(what: &str, problems: &[String]) -> anyhow::Error {
    anyhow::anyhow!("{what}: {} to be mended:\n  {}", problems.len(), problems.join("\n  "))
}

/// mdBook ends with success whatever it warns of.
fn is_warning(line: &str) -> bool {
    ["[WARN]", "[ERROR]"].iter().any(|level| line.contains(level))
}

/// All files below `docs/` but those that say how the site looks, and the pages in the top folder.
fn read(repo: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for (name, path) in hash::sorted_dir(repo)?.into_iter().filter(|(_, path)| path.is_file()) {
        if name.ends_with(".md") {
            files.insert(name, fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
        }
    }
    below(&repo.join("docs"), "docs/", &mut |name, path| {
        if !name.starts_with(site::LOOK) {
            files.insert(name, fs::read(path).with_context(|| format!("reading {}", path.display()))?);
        }
        Ok(())
    })?;
    Ok(files)
}

/// Gives each file below a folder, with the path that it has from there on behind `prefix`.
fn below(
    dir: &Path,
    prefix: &str,
    each: &mut dyn FnMut(String, &Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for (name, path) in hash::sorted_dir(dir)? {
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            below(&path, &format!("{name}/"), each)?;
        } else {
            each(name, &path)?;
        }
    }
    Ok(())
}

/// Makes the folder that mdBook reads.
fn stage(repo: &Path, source: &Files, work: &Path) -> anyhow::Result<()> {
    let put = |to: PathBuf, bytes: &[u8]| {
        let dir = to.parent().context("a page has no folder")?;
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        fs::write(&to, bytes).with_context(|| format!("writing {}", to.display()))
    };
    for (from, to) in LOOK {
        let path = repo.join(site::LOOK).join(from);
        put(work.join(to), &fs::read(&path).with_context(|| format!("reading {}", path.display()))?)?;
    }
    source.iter().try_for_each(|(path, bytes)| put(work.join("src").join(path), bytes))
}

/// All files of the built site, as text where links are in them.
fn built(book: &Path) -> anyhow::Result<BTreeMap<String, Option<String>>> {
    let mut files = BTreeMap::new();
    below(book, "", &mut |name, path| {
        let has_links = name.ends_with(".html") || name.ends_with(".css");
        let read = || fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
        let text = if has_links { Some(read()?) } else { None };
        files.insert(name, text);
        Ok(())
    })?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_this_repository_are_in_order() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let source = site::source(&read(repo).unwrap());
        assert!(
            source.as_ref().is_ok_and(|files| files.len() > 40),
            "{:#?}",
            source.map(|files| files.len())
        );
    }

    #[test]
    fn a_warning_of_mdbook_is_one() {
        assert!(is_warning("2026-11-29 10:51:50 [WARN] (mdbook::preprocess::links): error"));
        assert!(!is_warning("2026-11-29 10:51:50 [INFO] (mdbook::book): Book building has started"));
    }
}
