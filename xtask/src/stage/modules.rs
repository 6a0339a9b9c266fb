//! Stage `modules`: the kernel modules that ship, unpacked, with an index of exactly these.
//!
//! Unpacked modules load without decompression in the kernel, and a block of a module that did not change
//! between two builds stays the same block.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context as _;

use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::hash::Key;
use crate::keyed::{self, Timing};
use crate::stage::{rootfs, usr};
use crate::tools::Tools;

const VERSION: u32 = 1;
/// What depmod reads beside the modules themselves.
pub const DEPMOD_INPUTS: [&str; 3] = ["modules.order", "modules.builtin", "modules.builtin.modinfo"];
/// Modules are decompressed side by side.
const WORKERS: usize = 2;

/// Which modules ship.
#[derive(Debug)]
pub struct Input<'a> {
    /// The image definition.
    pub definition: &'a Definition,
    /// The assembled tree.
    pub rootfs: &'a rootfs::Output,
}

/// The modules that ship.
#[derive(Debug)]
pub struct Output {
    /// Folder with `usr/lib/modules/<version>`.
    pub root: PathBuf,
    /// Version of the kernel.
    pub kernel: String,
    /// Key of this output.
    pub key: String,
    /// For the build report.
    pub timing: Timing,
}

/// Unpacks what the pruning rules leave, plus what that depends on, and runs depmod.
pub fn run(ctx: &Ctx, tools: &Tools<'_>, input: &Input<'_>) -> anyhow::Result<Output> {
    let rules = &input.definition.prune.modules;
    let mut key = Key::new("modules", VERSION);
    key.add("rootfs", input.rootfs.key.as_bytes());
    key.add("rules", format!("{:?}", crate::definition::names(rules)).as_bytes());
    let key = key.finish();
    let kernel = rootfs::kernel_version(&input.rootfs.root)?;
    let (dir, timing) = keyed::run(ctx, "modules", &key, |work| {
        let from = input.rootfs.root.join("usr/lib/modules").join(&kernel);
        let to = work.join("usr/lib/modules").join(&kernel);
        let dep = read(&from.join("modules.dep"))?;
        let globs = usr::globs(rules)?;
        let kept = kept(&dep, |path| !globs.is_match(path.strip_prefix("kernel/").unwrap_or(path)))?;
        unpack(ctx, &from, &to, kept.into_iter().collect())?;
        for name in DEPMOD_INPUTS {
            fs::copy(from.join(name), to.join(name)).with_context(|| format!("copying {name}"))?;
        }
        tools.depmod(work, &kernel)
    })?;
    Ok(Output { root: dir, kernel, key, timing })
}

/// The modules that `wanted` keeps and all that they depend on, from the text of modules.dep.
fn kept(dep: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<BTreeSet<String>> {
    let table = parse_dep(dep)?;
    let mut kept = BTreeSet::new();
    let mut todo: Vec<&str> = table.keys().copied().filter(|path| wanted(path)).collect();
    while let Some(path) = todo.pop() {
        if kept.insert(path.to_owned()) {
            todo.extend(table.get(path).into_iter().flatten());
        }
    }
    Ok(kept)
}

/// Whether a file is an index that modprobe reads in its binary form only.
pub fn is_text_index(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["modules.alias", "modules.dep", "modules.symbols", "modules.builtin.modinfo"].contains(&name)
}

/// Lines `module: dependency dependency …`, paths below the version's folder.
pub fn parse_dep(text: &str) -> anyhow::Result<BTreeMap<&str, Vec<&str>>> {
    text.lines()
        .enumerate()
        .map(|(idx, line)| {
            let (module, needs) =
                line.split_once(':').with_context(|| format!("modules.dep:{}: no colon", idx + 1))?;
            Ok((module, needs.split_whitespace().collect()))
        })
        .collect()
}

fn unpack(ctx: &Ctx, from: &Path, to: &Path, modules: Vec<String>) -> anyhow::Result<()> {
    let todo = Mutex::new(modules);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let next = todo.lock().expect("no worker panics with the lock held").pop();
                        let Some(module) = next else { return Ok(()) };
                        ctx.cancel.check()?;
                        unpack_one(&from.join(&module), &to.join(module.trim_end_matches(".xz")))?;
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("unpacking modules: a worker panicked")))
        })
    })
}

fn unpack_one(from: &Path, to: &Path) -> anyhow::Result<()> {
    let dir = to.parent().context("a module has no folder")?;
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let file = fs::File::open(from).with_context(|| format!("opening {}", from.display()))?;
    let mut out = fs::File::create(to).with_context(|| format!("creating {}", to.display()))?;
    let (_, compression) = deb::compression::Compression::of_name(&from.to_string_lossy());
    compression
        .decoder(BufReader::with_capacity(1 << 16, file))
        .and_then(|mut unpacked| std::io::copy(&mut unpacked, &mut out))
        .with_context(|| format!("unpacking {}", from.display()))?;
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_kept_modules_depend_on() {
        let dep = "kernel/a.ko.xz: kernel/pruned/b.ko.xz\nkernel/pruned/b.ko.xz:\nkernel/pruned/c.ko.xz:\n";
        let kept = kept(dep, |path| !path.contains("pruned")).unwrap();
        assert_eq!(Vec::from_iter(kept), ["kernel/a.ko.xz", "kernel/pruned/b.ko.xz"]);
    }
}
