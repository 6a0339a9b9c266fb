//! Stage `rootfs`: mkosi installs the locked packages into a folder, offline.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::ctx::Ctx;
use crate::definition::{self, Definition};
use crate::hash::Key;
use crate::keyed::{self, Timing};
use crate::tools::{Mkosi, Tools};
use crate::{accounts, durable};

const VERSION: u32 = 1;

/// What is installed.
#[derive(Debug)]
pub struct Input<'a> {
    /// The image definition.
    pub definition: &'a Definition,
    /// Groups that are left out.
    pub without: &'a [String],
    /// Key of the set of packages.
    pub packages_key: &'a str,
    /// File names of a Debian archive, and the verified files.
    pub debs: &'a [(String, PathBuf)],
    /// Hash of the tools tree.
    pub tools_hash: &'a str,
    /// Time of the lock, seconds since 1970.
    pub epoch: u64,
}

/// The assembled tree.
#[derive(Debug)]
pub struct Output {
    /// Folder with `etc`, `usr`, `var` and so on.
    pub root: PathBuf,
    /// Key of this output.
    pub key: String,
    /// For the build report.
    pub timing: Timing,
}

/// Runs mkosi, checks that every user and group has its number, and drops what differs between two runs.
pub fn run(ctx: &Ctx, tools: &Tools<'_>, input: &Input<'_>) -> anyhow::Result<Output> {
    let config = ctx.image_dir().join("mkosi");
    let names = names(input.definition, input.without);
    let mut key = Key::new("rootfs", VERSION);
    key.add("packages", input.packages_key.as_bytes());
    key.add("names", names.join(" ").as_bytes());
    key.add("tools", input.tools_hash.as_bytes());
    key.add("epoch", &input.epoch.to_le_bytes());
    key.add_path("config", &config)?;
    let key = key.finish();
    let (dir, timing) = keyed::run(ctx, "rootfs", &key, |work| {
        // mkosi wants nothing of its own inside the folder that it copies as build sources.
        let packages = work.join("packages");
        fs::create_dir(&packages).with_context(|| format!("creating {}", packages.display()))?;
        for (name, path) in input.debs {
            durable::link_or_copy(path, &packages.join(name))?;
        }
        let mkosi = work.join("mkosi");
        tools.mkosi(&Mkosi {
            config: &config,
            work: &mkosi,
            packages: &packages,
            names: &names,
            epoch: input.epoch,
        })?;
        let root = work.join("rootfs");
        fs::rename(mkosi.join("out/rootfs"), &root).context("moving the assembled tree")?;
        durable::remove_if_there(&packages)?;
        durable::remove_if_there(&mkosi)
    })?;
    let root = dir.join("rootfs");
    accounts::check_assembled(&input.definition.accounts, &root)?;
    Ok(Output { root, key, timing })
}

/// The packages that the definition names, without the groups left out.
fn names<'a>(definition: &'a Definition, without: &[String]) -> Vec<&'a str> {
    definition
        .packages
        .iter()
        .filter(|(group, _)| !without.contains(group))
        .flat_map(|(_, group)| definition::names(&group.packages))
        .collect()
}

/// The version of the one kernel in the assembled tree: the name of its folder of modules.
pub fn kernel_version(root: &Path) -> anyhow::Result<String> {
    let dir = root.join("usr/lib/modules");
    let versions = crate::hash::sorted_dir(&dir)?;
    let [(version, _)] = versions.as_slice() else {
        anyhow::bail!("{} holds {} kernels; the image needs exactly one", dir.display(), versions.len());
    };
    Ok(version.clone())
}
