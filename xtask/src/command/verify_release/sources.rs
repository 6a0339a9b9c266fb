//! The lock of sources: one of each package that is published, no other, and the sources that are published with it.

use std::collections::BTreeSet;

use anyhow::Context as _;

use super::Release;
use crate::ctx::Ctx;
use crate::release::sources::SourcesLock;
use crate::sbom::Source;
use crate::{hash, release, stage};

/// Fails with the source packages that are missing, or of nothing.
pub fn check(ctx: &Ctx, release: &Release) -> anyhow::Result<()> {
    let name = release::SOURCES_LOCK;
    let text = String::from_utf8(release.read(name)?).with_context(|| format!("reading {name}"))?;
    let lock = SourcesLock::parse(&text).with_context(|| format!("reading {name}"))?;
    let mut wanted = BTreeSet::new();
    for (_, path) in hash::sorted_dir(&release.dir.join(release::PACKAGES_DIR))? {
        ctx.cancel.check()?;
        wanted.insert(stage::sbom::source(&path)?);
    }
    compare(&wanted, &lock.sources())?;
    for (file, sum) in &release.sums {
        let Some(file) = file.strip_prefix(&format!("{}/", release::SOURCES_DIR)) else { continue };
        let known = lock.rows.iter().any(|row| row.path.ends_with(&format!("/{file}")) && row.sha256 == *sum);
        anyhow::ensure!(known, "{}/{file} is not in {name}", release::SOURCES_DIR);
    }
    Ok(())
}

fn compare(wanted: &BTreeSet<Source>, found: &BTreeSet<Source>) -> anyhow::Result<()> {
    let named = |source: &Source| format!("{} {}", source.name, source.version);
    if let Some(missing) = wanted.difference(found).next() {
        anyhow::bail!("{} has no source package {}", release::SOURCES_LOCK, named(missing));
    }
    if let Some(more) = found.difference(wanted).next() {
        anyhow::bail!(
            "{} has the source package {}, of which nothing was built",
            release::SOURCES_LOCK,
            named(more)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_missing_or_of_nothing_is_named() {
        let set = |names: &[&str]| -> BTreeSet<Source> {
            let of = |name: &&str| Source { name: (*name).to_owned(), version: "1".to_owned() };
            names.iter().map(of).collect()
        };
        compare(&set(&["a", "b"]), &set(&["a", "b"])).unwrap();
        let says =
            |wanted: &[&str], found: &[&str]| compare(&set(wanted), &set(found)).unwrap_err().to_string();
        assert!(says(&["a", "b"], &["a"]).contains("has no source package b 1"));
        assert!(says(&["a"], &["a", "b"]).contains("b 1, of which nothing was built"));
    }
}
