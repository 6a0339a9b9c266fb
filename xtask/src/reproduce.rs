//! Builds again elsewhere as somebody else, and says where two builds first differ.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::command::report;
use crate::ctx::Ctx;
use crate::judges::Judges;
use crate::manifest::Manifest;
use crate::{durable, hash, payload_file};

/// Number of the ordinary user that the second build runs as when the first ran as root.
const USER: &str = "1000";

/// Whether the second build compiles our programs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agents {
    /// It takes those of the first: the rest is made anew.
    Taken,
    /// In its own folder.
    Compiled,
}

/// Who the second build takes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// Whoever runs this.
    Own,
    /// An ordinary user, also when root runs this.
    OrdinaryUser,
}

/// Builds the same version in a fresh folder `target` and returns where its outputs are.
///
/// As an ordinary user although root runs this, it runs in a user namespace of `tree`'s bubblewrap that has that
/// one user and no privilege outside.
pub fn build_again(
    ctx: &Ctx,
    tree: &Path,
    version: &str,
    target: &Path,
    agents: Agents,
    seat: Seat,
) -> anyhow::Result<PathBuf> {
    durable::remove_if_there(target)?;
    fs::create_dir_all(target).with_context(|| format!("creating {}", target.display()))?;
    if agents == Agents::Taken {
        let from = ctx.target.join("stages/agents");
        copy_tree(&from, &target.join("stages/agents"))?;
    }
    // Compiling the tests replaces this program's file while it runs; the kernel still has the old one, see
    // proc_pid_exe(5).
    let program = target.join("xtask");
    fs::copy("/proc/self/exe", &program).context("copying the running program")?;
    let out = target.join("image");
    let mut command = match seat {
        Seat::Own => Command::new(&program),
        Seat::OrdinaryUser => as_ordinary_user(tree, &program, target)?,
    };
    command.args(["build-image", "--locked", "--offline", "--version", version, "--out"]).arg(&out);
    command.env("CARGO_TARGET_DIR", target).env("XDG_CACHE_HOME", cache_home(ctx)?).stdin(Stdio::null());
    let output = command.output().context("starting the second build")?;
    if !output.status.success() {
        bail!("the second build failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(out)
}

/// Fails unless both folders hold the same image, UKI, payload, `/usr`, hash tree and manifest, byte for byte. Names the
/// first file, section or partition that differs.
pub fn same(judges: &Judges, a: &Path, b: &Path) -> anyhow::Result<()> {
    let (manifest_a, path_a) = manifest(a)?;
    let (_, path_b) = manifest(b)?;
    for (role, artifact) in &manifest_a.artifacts {
        let (file_a, file_b) = (a.join(&artifact.file), b.join(&artifact.file));
        let Some(at) = first_difference(&file_a, &file_b)? else { continue };
        let place = match role.as_str() {
            "usr" => different_file(judges, &file_a, &file_b)?,
            "uki" => different_section(&file_a, &file_b)?,
            "raw" => partition_at(&manifest_a, at),
            "payload" => section_at(&file_a, at),
            _ => String::new(),
        };
        // Partition and section say little when one of the files in it says more.
        let inner = match role.as_str() {
            "raw" | "payload" => inner_difference(judges, &manifest_a, a, b)?,
            _ => String::new(),
        };
        bail!("{} and {} differ at byte {at}{place}{inner}", file_a.display(), file_b.display());
    }
    if let Some(at) = first_difference(&path_a, &path_b)? {
        bail!("the manifests {} and {} differ at byte {at}", path_a.display(), path_b.display());
    }
    Ok(())
}

fn as_ordinary_user(tree: &Path, program: &Path, target: &Path) -> anyhow::Result<Command> {
    // The own folder belongs to whoever runs this.
    if fs::metadata(target).with_context(|| format!("reading {}", target.display()))?.uid() != 0 {
        return Ok(Command::new(program));
    }
    let mut command = Command::new(tree.join("usr/lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(tree.join("usr/lib/x86_64-linux-gnu")).arg(tree.join("usr/bin/bwrap"));
    command.args(["--unshare-user", "--uid", USER, "--gid", USER, "--bind", "/", "/"]);
    command.args(["--dev-bind", "/dev", "/dev", "--proc", "/proc", "--die-with-parent", "--"]).arg(program);
    Ok(command)
}

fn cache_home(ctx: &Ctx) -> anyhow::Result<PathBuf> {
    Ok(ctx.cache.parent().context("the cache folder has no parent")?.to_path_buf())
}

fn manifest(dir: &Path) -> anyhow::Result<(Manifest, PathBuf)> {
    let path = report::newest(dir)?;
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok((serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?, path))
}

/// Returns the first byte at which two files differ; a file that ends early differs at its end.
fn first_difference(a: &Path, b: &Path) -> anyhow::Result<Option<u64>> {
    let open = |path: &Path| File::open(path).with_context(|| format!("opening {}", path.display()));
    let (mut file_a, mut file_b) = (open(a)?, open(b)?);
    let (mut buf_a, mut buf_b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut at = 0;
    loop {
        let n_a = read_full(&mut file_a, &mut buf_a).with_context(|| format!("reading {}", a.display()))?;
        let n_b = read_full(&mut file_b, &mut buf_b).with_context(|| format!("reading {}", b.display()))?;
        if buf_a[..n_a] != buf_b[..n_b] {
            let within = buf_a[..n_a].iter().zip(&buf_b[..n_b]).position(|(x, y)| x != y);
            return Ok(Some(at + u64::try_from(within.unwrap_or(n_a.min(n_b)))?));
        }
        if n_a == 0 {
            return Ok(None);
        }
        at += u64::try_from(n_a)?;
    }
}

fn read_full(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buf.len() {
        match reader.read(&mut buf[n..])? {
            0 => break,
            more => n += more,
        }
    }
    Ok(n)
}

fn partition_at(manifest: &Manifest, at: u64) -> String {
    let holds =
        |row: &&crate::manifest::Partition| (row.offset..row.offset.saturating_add(row.size)).contains(&at);
    match manifest.partitions.iter().find(holds) {
        Some(row) => format!(", in partition `{}`", row.label),
        None => ", in the partition table".to_owned(),
    }
}

fn section_at(payload: &Path, at: u64) -> String {
    match payload_file::inspect(payload) {
        Ok(head) => format!(", in section `{}`", payload_file::section_at(&head, at)),
        // That they differ is what is reported; a payload without a readable head has no sections.
        Err(err) => format!(", and the first is no payload ({err:#})"),
    }
}

fn inner_difference(judges: &Judges, manifest: &Manifest, a: &Path, b: &Path) -> anyhow::Result<String> {
    for role in ["usr", "uki"] {
        let Some(artifact) = manifest.artifacts.get(role) else { continue };
        let (file_a, file_b) = (a.join(&artifact.file), b.join(&artifact.file));
        if first_difference(&file_a, &file_b)?.is_some() {
            return match role {
                "usr" => different_file(judges, &file_a, &file_b),
                _ => different_section(&file_a, &file_b),
            };
        }
    }
    Ok(String::new())
}

fn different_section(a: &Path, b: &Path) -> anyhow::Result<String> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let (bytes_a, bytes_b) = (read(a)?, read(b)?);
    let (pe_a, pe_b) = (uki::Pe::parse(&bytes_a)?, uki::Pe::parse(&bytes_b)?);
    let differs = pe_a.sections().iter().zip(pe_b.sections()).find(|(section_a, section_b)| {
        section_a.name != section_b.name || pe_a.content(section_a) != pe_b.content(section_b)
    });
    Ok(differs.map_or_else(String::new, |(section, _)| format!(", in section `{}` of the UKI", section.name)))
}

/// Unpacks both images and walks them.
fn different_file(judges: &Judges, a: &Path, b: &Path) -> anyhow::Result<String> {
    let (dir_a, dir_b) = (judges.work().join("a"), judges.work().join("b"));
    for (image, dir) in [(a, &dir_a), (b, &dir_b)] {
        durable::remove_if_there(dir)?;
        judges.extract_erofs(image, dir)?;
    }
    let found = first_different_path(&dir_a, &dir_b)?;
    durable::remove_if_there(&dir_a)?;
    durable::remove_if_there(&dir_b)?;
    Ok(match found {
        Some(path) => format!(", in /usr/{}", path.display()),
        None => ", although all files of /usr are the same: an owner, an attribute or the layout".to_owned(),
    })
}

/// Walks two folders in the order of names and returns the first path whose kind, mode or content differs.
fn first_different_path(a: &Path, b: &Path) -> anyhow::Result<Option<PathBuf>> {
    let mut names: Vec<_> = [a, b]
        .into_iter()
        .map(hash::sorted_dir)
        .collect::<anyhow::Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .collect();
    names.sort();
    names.dedup();
    for name in names {
        let (path_a, path_b) = (a.join(&name), b.join(&name));
        let (Ok(meta_a), Ok(meta_b)) = (fs::symlink_metadata(&path_a), fs::symlink_metadata(&path_b)) else {
            return Ok(Some(name.into()));
        };
        let kinds = (meta_a.file_type(), meta_b.file_type());
        let differs = if kinds.0 != kinds.1 || meta_a.permissions().mode() != meta_b.permissions().mode() {
            true
        } else if kinds.0.is_symlink() {
            fs::read_link(&path_a)? != fs::read_link(&path_b)?
        } else if kinds.0.is_dir() {
            if let Some(inner) = first_different_path(&path_a, &path_b)? {
                return Ok(Some(Path::new(&name).join(inner)));
            }
            false
        } else {
            kinds.0.is_file() && first_difference(&path_a, &path_b)?.is_some()
        };
        if differs {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}

fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    for (name, path) in hash::sorted_dir(from)? {
        let target = to.join(&name);
        if path.is_dir() {
            copy_tree(&path, &target)?;
        } else {
            fs::copy(&path, &target).with_context(|| format!("copying {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_byte_that_differs() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let long = vec![7; (1 << 20) + 5];
        let mut changed = long.clone();
        changed[(1 << 20) + 2] = 8;
        let a = path("a", &long);
        assert_eq!(first_difference(&a, &path("b", &long)).unwrap(), None);
        assert_eq!(first_difference(&a, &path("c", &changed)).unwrap(), Some((1 << 20) + 2));
        assert_eq!(first_difference(&a, &path("d", &long[..9])).unwrap(), Some(9));
    }

    #[test]
    fn names_the_first_path_that_differs() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for side in [&a, &b] {
            fs::create_dir_all(side.join("bin")).unwrap();
            fs::write(side.join("bin/x"), "1").unwrap();
            fs::write(side.join("bin/y"), "1").unwrap();
        }
        assert_eq!(first_different_path(&a, &b).unwrap(), None);
        fs::write(b.join("bin/y"), "2").unwrap();
        assert_eq!(first_different_path(&a, &b).unwrap(), Some("bin/y".into()));
        fs::set_permissions(b.join("bin/x"), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(first_different_path(&a, &b).unwrap(), Some("bin/x".into()));
        fs::create_dir(a.join("only")).unwrap();
        fs::remove_dir_all(b.join("bin")).unwrap();
        assert_eq!(first_different_path(&a, &b).unwrap(), Some("bin".into()));
    }
}
