//! The locked inputs of a build: read, found to fit the definition, fetched, and locked anew where a plain
//! build may do that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;

use crate::command::lock::{self, Locks};
use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::flags;
use crate::lock::Row;
use crate::mirror::{self, Mirror};
use crate::stage::fetch;

/// Locks and the files that they name.
#[derive(Debug)]
pub struct Inputs {
    /// Both locks.
    pub locks: Locks,
    /// Checked packages by SHA-256.
    pub files: BTreeMap<String, PathBuf>,
}

/// Gets all packages that a build needs: those of the image without some optional groups, and those of some
/// groups of tools.
///
/// A lock that does not fit the definition, or whose files are gone from the mirror, is made anew, loudly.
/// `--locked` and `--offline` refuse instead.
pub fn get(
    ctx: &Ctx,
    definition: &Definition,
    args: &flags::Inputs,
    without: &[String],
    tools: &[&str],
) -> anyhow::Result<Inputs> {
    let mirror = LazyMirror { args, definition };
    let mut locks = match Locks::read(&ctx.image_dir()) {
        Ok(locks) if locks.fit(definition) => locks,
        Ok(_) => {
            let stale = "the locks are older than image/image.yaml";
            relock(ctx, definition, &mirror, stale)?
        }
        Err(err) => relock(ctx, definition, &mirror, &format!("{err:#}"))?,
    };
    for round in 0.. {
        let mut rows = locks.packages.image_rows(without);
        rows.extend(locks.tools.rows_of(tools));
        let output = fetch_rows(ctx, &mirror, rows)?;
        if output.gone.is_empty() {
            return Ok(Inputs { locks, files: output.paths });
        }
        let gone = format!(
            "{} locked packages are gone from the mirror: {}",
            output.gone.len(),
            fetch::names(&output.gone)
        );
        if round == 1 {
            bail!(
                "{gone} (although just locked: the mirror may be in the middle of an update, try again later)"
            );
        }
        locks = relock(ctx, definition, &mirror, &gone)?;
    }
    unreachable!("the second round returns or fails")
}

/// Fetches, and asks for a mirror only when something is missing in the cache.
fn fetch_rows(ctx: &Ctx, mirror: &LazyMirror<'_>, rows: Vec<&Row>) -> anyhow::Result<fetch::Output> {
    let whole = fetch::all_cached(ctx, &rows)?;
    if mirror.args.offline || whole {
        return fetch::run(ctx, &fetch::Input { rows, source: fetch::Source::Offline });
    }
    let mirror = mirror.open()?;
    fetch::run(ctx, &fetch::Input { rows, source: fetch::Source::Mirror(&mirror) })
}

fn relock(ctx: &Ctx, definition: &Definition, mirror: &LazyMirror<'_>, why: &str) -> anyhow::Result<Locks> {
    if mirror.args.locked {
        bail!("{why}; --locked forbids to lock again: run `cargo xtask lock` and commit the result");
    }
    if mirror.args.offline {
        bail!("{why}; --offline forbids to lock again: run `cargo xtask lock` with a network");
    }
    ctx.log.warn(why);
    ctx.log.warn("LOCKING AGAIN: this build differs from the committed locks (--locked refuses instead)");
    lock::update(ctx, definition, &mirror.open()?)
}

/// Where the mirror is named; a build that needs none must not fail for the lack of one.
#[derive(Debug)]
struct LazyMirror<'a> {
    args: &'a flags::Inputs,
    definition: &'a Definition,
}

impl LazyMirror<'_> {
    fn open(&self) -> anyhow::Result<Mirror> {
        mirror::find(self.args.mirror.as_deref(), self.definition.mirror.as_deref())
    }
}

#[cfg(test)]
mod tests;
