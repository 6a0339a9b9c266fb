//! Stage `initrd`: a second, small tree from the packages already assembled, packed for the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use deb::unpack::MERGED;

use crate::ctx::Ctx;
use crate::definition::{self, Definition};
use crate::hash::Key;
use crate::keyed::{self, Timing};
use crate::stage::{agents, modules, rootfs, usr};
use crate::tools::Tools;
use crate::tree::{self, Node, Tree};
use crate::{accounts, contents, identity, needed, segments};

const VERSION: u32 = 6;
/// 15 packs in a few seconds, beside stage `usr`; 17 takes twice as long for 6 % less, 19 three times for 9 %.
const ZSTD_LEVEL: i32 = 15;

/// What the initrd is made of.
#[derive(Debug)]
pub struct Input<'a> {
    /// The image definition.
    pub definition: &'a Definition,
    /// Version of the image.
    pub version: &'a slots::Version,
    /// The assembled tree.
    pub rootfs: &'a rootfs::Output,
    /// Kernel modules.
    pub modules: &'a modules::Output,
    /// Our programs.
    pub agents: &'a agents::Output,
    /// Folders that may have an `initrd` each, in order.
    pub overlays: &'a [PathBuf],
}

/// The packed initramfs.
#[derive(Debug)]
pub struct Output {
    /// Compressed cpio archives, one after another.
    pub initrd: PathBuf,
    /// Uncompressed cpio archive with microcode, when the image has any.
    pub microcode: Option<PathBuf>,
    /// Key of this output.
    pub key: String,
    /// For the build report.
    pub timing: Timing,
}

/// Collects, resolves what programs and modules need, and packs.
pub fn run(ctx: &Ctx, tools: &Tools<'_>, input: &Input<'_>) -> anyhow::Result<Output> {
    let definition = input.definition;
    let mut key = Key::new("initrd", VERSION);
    key.add("rootfs", input.rootfs.key.as_bytes());
    key.add("modules", input.modules.key.as_bytes());
    // The one program that is in here, not all agents: a rebuilt update agent leaves the initrd as it is.
    key.add_path("agent", agent(input)?)?;
    key.add("paths", format!("{:?}", definition::names(&definition.initrd.paths)).as_bytes());
    key.add("names", format!("{:?}", definition::names(&definition.initrd.modules)).as_bytes());
    key.add("release", identity::os_release(&definition.product.value, input.version).as_bytes());
    for overlay in overlays(input) {
        key.add_path("overlay", &overlay)?;
    }
    let key = key.finish();
    let (dir, timing) = keyed::run(ctx, "initrd", &key, |work| {
        let modules = work.join("modules");
        let tree = collect(tools, input, &modules)?;
        ctx.cancel.check()?;
        let path = work.join("initrd");
        let file = fs::File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        let origins = segments::Origins {
            rootfs: &input.rootfs.root,
            owners: contents::owners(&input.rootfs.root)?,
            modules: &modules,
            agents: &input.agents.binaries,
        };
        let parts = segments::split(&tree, |node| origins.of(node))?;
        segments::write(&parts, ZSTD_LEVEL, &ctx.cancel, file)
            .with_context(|| format!("writing {}", path.display()))?;
        crate::durable::remove_if_there(&modules)?;
        if let Some(tree) = microcode(&input.rootfs.root)? {
            let path = work.join("microcode");
            let mut file = fs::File::create(&path).with_context(|| format!("creating {}", path.display()))?;
            tree::cpio::write_cpio(&tree, segments::MTIME, &mut file)?;
        }
        Ok(())
    })?;
    let microcode = Some(dir.join("microcode")).filter(|path| path.exists());
    Ok(Output { initrd: dir.join("initrd"), microcode, key, timing })
}

/// The program of ours that the initrd has.
fn agent<'a>(input: &Input<'a>) -> anyhow::Result<&'a Path> {
    let found = input.agents.binaries.get(agents::IN_INITRD).map(PathBuf::as_path);
    found.with_context(|| format!("no agent is called `{}`", agents::IN_INITRD))
}

fn overlays(input: &Input<'_>) -> impl Iterator<Item = PathBuf> {
    input.overlays.iter().map(|overlay| overlay.join("initrd")).filter(|path| path.is_dir())
}

fn collect(tools: &Tools<'_>, input: &Input<'_>, modules: &Path) -> anyhow::Result<Tree> {
    let mut assembled = Tree::load(&input.rootfs.root, "usr")?;
    assembled.overlay(Tree::load(&input.rootfs.root, "etc")?);
    // Links of the packages lead through the merged folders.
    for name in MERGED {
        assembled.insert(name, Node::symlink(format!("usr/{name}")));
    }
    let rules = &input.definition.initrd.paths;
    let globs = usr::globs(rules)?;
    let mut unused: BTreeSet<usize> = (0..rules.len()).collect();
    let mut tree = Tree::default();
    let paths: Vec<_> = assembled.0.keys().filter(|path| globs.is_match(path.as_str())).cloned().collect();
    for path in &paths {
        for idx in globs.matches(path) {
            unused.remove(&idx);
        }
        needed::take(&assembled, &mut tree, path)?;
    }
    if let Some(idx) = unused.first() {
        let rule = &rules[*idx];
        anyhow::bail!(
            "image/image.yaml:{}: initrd.paths: `{}` matches nothing: correct or remove it",
            rule.referenced.line(),
            rule.value
        );
    }
    // One of them is enough to start a machine; the update agent would only cost memory and rebuilt UKIs.
    let at = format!("usr/bin/{}", agents::IN_INITRD);
    assembled.insert(&at, Node::program(agent(input)?));
    needed::take(&assembled, &mut tree, &at)?;
    tree.overlay(few_modules(tools, input, modules)?);
    for dir in ["dev", "proc", "sys", "run", "tmp", "root", "sysroot", "sysusr/usr", "var/tmp"] {
        tree.insert(dir, Node::dir());
    }
    for name in MERGED {
        tree.insert(name, Node::symlink(format!("usr/{name}")));
    }
    let product = &input.definition.product.value;
    let release = identity::os_release(product, input.version);
    for path in ["etc/initrd-release", "etc/os-release", "usr/lib/os-release"] {
        tree.insert(path, Node::file(release.clone()));
    }
    // No account has a password: the rescue prompt opens without one, as design section 5 wants, because
    // whoever reads the console of a machine that cannot start has it in hand anyway.
    tree.insert("etc/passwd", Node::file("root::0:0::/root:/bin/sh\n"));
    // Device nodes get their groups already here.
    let files = accounts::Files::render(&input.definition.accounts);
    tree.insert("etc/group", Node::file(files.group));
    tree.insert("init", Node::symlink("usr/lib/systemd/systemd"));
    for overlay in overlays(input) {
        tree.overlay(Tree::load(&overlay, "")?);
    }
    Ok(tree)
}

/// The named modules and what they depend on, copied to `dir`, with an index of exactly these.
fn few_modules(tools: &Tools<'_>, input: &Input<'_>, dir: &Path) -> anyhow::Result<Tree> {
    let kernel = &input.modules.kernel;
    let base = format!("usr/lib/modules/{kernel}");
    let all = Tree::load(&input.modules.root, &base)?;
    let dep = all.0.get(&format!("{base}/modules.dep")).context("depmod wrote no modules.dep")?.read()?;
    let dep = String::from_utf8(dep).context("reading modules.dep")?;
    let table = modules::parse_dep(&dep)?;
    let builtin = all.0.get(&format!("{base}/modules.builtin")).context("no modules.builtin")?.read()?;
    let builtin = String::from_utf8(builtin).context("reading modules.builtin")?;
    let mut todo = Vec::new();
    for wanted in &input.definition.initrd.modules {
        let name = &wanted.value;
        let found = table.keys().find(|path| module_name(path) == *name);
        match found {
            Some(path) => todo.push((*path).to_owned()),
            None if builtin.lines().any(|path| module_name(path) == *name) => {}
            None => anyhow::bail!(
                "image/image.yaml:{}: initrd.modules: kernel {kernel} has no module `{name}`, or it is pruned",
                wanted.referenced.line()
            ),
        }
    }
    let to = dir.join(&base);
    let copy = |name: &str| {
        let (from, to) = (input.modules.root.join(&base).join(name), to.join(name));
        crate::durable::link_or_copy(&from, &to)
    };
    while let Some(path) = todo.pop() {
        if !to.join(&path).exists() {
            copy(&path)?;
            todo.extend(table.get(path.as_str()).into_iter().flatten().map(|path| (*path).to_owned()));
        }
    }
    for name in modules::DEPMOD_INPUTS {
        copy(name)?;
    }
    tools.depmod(dir, kernel)?;
    let mut tree = Tree::load(dir, "usr")?;
    // modprobe reads the binary indexes; depmod wrote the same as text.
    tree.0.retain(|path, _| !modules::is_text_index(path));
    Ok(tree)
}

/// `kernel/drivers/md/dm-verity.ko` is `dm_verity`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

/// The early archive with the files of all processors joined, one per maker.
/// Source: Documentation/arch/x86/microcode.rst of the Linux kernel.
fn microcode(root: &Path) -> anyhow::Result<Option<Tree>> {
    let mut tree = Tree::default();
    for (dir, name) in [("amd-ucode", "AuthenticAMD.bin"), ("intel-ucode", "GenuineIntel.bin")] {
        let dir = root.join("usr/lib/firmware").join(dir);
        if !dir.is_dir() {
            continue;
        }
        let mut joined = Vec::new();
        for (file, path) in crate::hash::sorted_dir(&dir)? {
            if file.ends_with(".asc") || file == "README" || !path.is_file() {
                continue;
            }
            joined.extend(fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
        }
        if !joined.is_empty() {
            tree.insert(&format!("kernel/x86/microcode/{name}"), Node::file(joined));
        }
    }
    Ok(if tree.0.is_empty() { None } else { Some(tree) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_names_use_underscores() {
        assert_eq!(module_name("kernel/drivers/md/dm-verity.ko.xz"), "dm_verity");
    }

    #[test]
    fn microcode_is_joined_by_maker_in_the_order_of_names() {
        let dir = tempfile::tempdir().unwrap();
        let intel = dir.path().join("usr/lib/firmware/intel-ucode");
        fs::create_dir_all(&intel).unwrap();
        fs::write(intel.join("06-02"), "b").unwrap();
        fs::write(intel.join("06-01"), "a").unwrap();
        let tree = microcode(dir.path()).unwrap().unwrap();
        assert_eq!(tree.0["kernel/x86/microcode/GenuineIntel.bin"].read().unwrap(), b"ab");
        assert!(microcode(&dir.path().join("none")).unwrap().is_none());
    }
}
