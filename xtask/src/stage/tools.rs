//! Stage `tools`: locked packages unpacked into a tree that programs are run from.
//!
//! Nothing is configured and nothing of the tree runs here. What some programs expect from a configured
//! system is added: the links of merged folders, `passwd` and `group`, and a few alternatives.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};

use crate::ctx::Ctx;
use crate::durable;
use crate::hash;
use crate::lock::Row;
use crate::log::Cancel;

/// Changes whenever this file puts something else into the tree.
const VERSION: u32 = 1;

/// Threads that unpack; xz is what takes the time.
const THREADS: usize = 2;

/// What no tool reads.
const LEFT_OUT: [&str; 7] = [
    "usr/share/bash-completion/",
    "usr/share/bug/",
    "usr/share/doc/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
];

/// Links that `update-alternatives` would make: made when the target exists and the link does not.
const ALTERNATIVES: [(&str, &str); 4] = [
    ("usr/bin/awk", "gawk"),
    ("usr/bin/awk", "mawk"),
    ("usr/bin/sh", "dash"),
    ("usr/sbin/mkfs.vfat", "mkfs.fat"),
];

/// Files that programs look into for names.
const ETC: [(&str, &str); 3] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/usr/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

/// What is unpacked.
#[derive(Debug)]
pub struct Input<'a> {
    /// Closed over their dependencies.
    pub rows: Vec<&'a Row>,
    /// Their files by SHA-256.
    pub files: &'a BTreeMap<String, PathBuf>,
}

/// A tree with merged `/usr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The folder.
    pub path: PathBuf,
    /// Key of everything in it.
    pub hash: String,
}

/// Returns the tree of these packages, made now unless it exists.
pub fn run(ctx: &Ctx, input: &Input<'_>) -> anyhow::Result<Output> {
    let hash = key(&input.rows);
    let dir = ctx.target.join("tools");
    let path = dir.join(&hash);
    if path.is_dir() {
        return Ok(Output { path, hash });
    }
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    // Two builds may share a target folder; the one that waits finds the tree made.
    let lock = dir.join(format!("{hash}.lock"));
    let lock_file = File::create(&lock).with_context(|| format!("creating {}", lock.display()))?;
    lock_file.lock().with_context(|| format!("locking {}", lock.display()))?;
    if !path.is_dir() {
        let bytes = input.rows.iter().map(|row| row.size).sum();
        let bar = ctx.log.bytes("tools", bytes);
        let res = make(&ctx.cancel, input, &dir.join(format!("{hash}.tmp")), &path, &bar);
        bar.finish_and_clear();
        res.with_context(|| format!("unpacking the tools into {}", path.display()))?;
    }
    Ok(Output { path, hash })
}

/// Returns the key of a tree: its packages and what this stage does with them.
pub fn key(rows: &[&Row]) -> String {
    let mut sums: Vec<&str> = rows.iter().map(|row| row.sha256.as_str()).collect();
    sums.sort_unstable();
    let mut key = hash::Key::new("tools", VERSION);
    for sum in sums {
        key.add("package", sum.as_bytes());
    }
    key.finish()
}

fn make(
    cancel: &Cancel,
    input: &Input<'_>,
    temporary: &Path,
    path: &Path,
    bar: &indicatif::ProgressBar,
) -> anyhow::Result<()> {
    durable::remove_if_there(temporary)?;
    fs::create_dir(temporary).with_context(|| format!("creating {}", temporary.display()))?;
    let res = unpack_all(cancel, input, temporary, bar).and_then(|()| complete(temporary));
    if let Err(err) = res {
        durable::remove_if_there(temporary)?;
        return Err(err);
    }
    fs::rename(temporary, path).with_context(|| format!("renaming to {}", path.display()))
}

fn unpack_all(
    cancel: &Cancel,
    input: &Input<'_>,
    root: &Path,
    bar: &indicatif::ProgressBar,
) -> anyhow::Result<()> {
    let mut rows = input.rows.clone();
    // The largest first, so that no thread is left with one at the end.
    rows.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    let queue = Mutex::new(VecDeque::from(rows));
    let failed = AtomicBool::new(false);
    let worker = || -> anyhow::Result<()> {
        while !failed.load(Ordering::Relaxed) {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(row) = next else { break };
            let res = cancel.check().and_then(|()| unpack(row, input.files, root));
            res.inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            bar.inc(row.size);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(worker)).collect();
        let results =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")));
        results.collect()
    })
}

/// Unpacks one package from the very bytes whose hash is checked here.
fn unpack(row: &Row, files: &BTreeMap<String, PathBuf>, root: &Path) -> anyhow::Result<()> {
    let file = files.get(&row.sha256).with_context(|| format!("package {} was not fetched", row.name))?;
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let found = hash::of_bytes(&bytes);
    if found != row.sha256 {
        durable::remove_if_there(file)?;
        bail!(
            "package {} {}: {} has SHA-256 {found}, expected {}; it is deleted, run again to fetch it",
            row.name,
            row.version,
            file.display(),
            row.sha256
        );
    }
    let keep = |path: &str| !LEFT_OUT.iter().any(|prefix| path.starts_with(prefix));
    deb::unpack::unpack(&bytes[..], root, keep)
        .with_context(|| format!("unpacking package {} {}", row.name, row.version))
}

/// Adds what installation scripts would have made.
fn complete(root: &Path) -> anyhow::Result<()> {
    for dir in ["etc", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"] {
        let dir = root.join(dir);
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    }
    for name in deb::unpack::MERGED {
        let link = root.join(name);
        symlink(format!("usr/{name}"), &link).with_context(|| format!("linking {}", link.display()))?;
    }
    for (link, target) in ALTERNATIVES {
        let link = root.join(link);
        let there = fs::symlink_metadata(&link).is_ok();
        if !there && link.parent().is_some_and(|dir| dir.join(target).exists()) {
            symlink(target, &link).with_context(|| format!("linking {}", link.display()))?;
        }
    }
    for (path, text) in ETC {
        let path = root.join(path);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
