//! Stage `agents`: our programs of the machine, compiled so that the folder and the user leave no trace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::ctx::Ctx;
use crate::hash::Key;
use crate::keyed::{self, Timing};

const VERSION: u32 = 1;

/// Packages of the workspace whose programs ship, and the programs' names.
const AGENTS: &[(&str, &[&str])] = &[
    ("slipway", &["slipway"]),
    ("update-agent", &["slipway-update"]),
    ("cloud-config", &["slipway-cloudinit"]),
    // What `slipway cluster` runs: `slipway` is in the initrd too and has no server in it.
    ("cluster-page", &["slipway-cluster"]),
    ("fleet", &["fleetd", "fleetctl"]),
    // `locksmithd` is a link to it, in its overlay.
    ("locksmith", &["locksmithctl"]),
];

/// The program that the initrd has too.
pub const IN_INITRD: &str = "slipway";

/// What the programs have to run on.
#[derive(Debug)]
pub struct Input<'a> {
    /// Version of the image's C library, such as `2.41`.
    pub glibc: &'a str,
    /// Version of compiler and linker, by name.
    pub toolchain: &'a BTreeMap<String, String>,
}

/// The programs.
#[derive(Debug)]
pub struct Output {
    /// Name to file.
    pub binaries: BTreeMap<String, PathBuf>,
    /// Key of this output.
    pub key: String,
    /// For the build report.
    pub timing: Timing,
}

/// Compiles, copies, and checks that no program needs a newer C library than the image has.
pub fn run(ctx: &Ctx, input: &Input<'_>) -> anyhow::Result<Output> {
    let mut key = Key::new("agents", VERSION);
    key.add("glibc", input.glibc.as_bytes());
    for (name, version) in input.toolchain {
        key.add(name, version.as_bytes());
    }
    for name in ["Cargo.toml", "Cargo.lock"] {
        key.add_path(name, &ctx.repo.join(name))?;
    }
    for (name, path) in shipping(&ctx.repo.join("crates"))? {
        // Tests and their data do not change what ships.
        for part in ["Cargo.toml", "src"] {
            key.add_path(&format!("{name}/{part}"), &path.join(part))?;
        }
    }
    let key = key.finish();
    let (dir, timing) = keyed::run(ctx, "agents", &key, |work| {
        let built = compile(ctx)?;
        for name in programs() {
            let from = built.join(name);
            check_glibc(&from, input.glibc)?;
            fs::copy(&from, work.join(name)).with_context(|| format!("copying {}", from.display()))?;
        }
        Ok(())
    })?;
    let binaries = programs().map(|name| (name.to_owned(), dir.join(name))).collect();
    Ok(Output { binaries, key, timing })
}

/// Packages of the workspace whose programs ship.
pub fn packages() -> Vec<&'static str> {
    AGENTS.iter().map(|(package, _)| *package).collect()
}

/// Names of all programs that ship.
fn programs() -> impl Iterator<Item = &'static str> {
    AGENTS.iter().flat_map(|(_, programs)| programs.iter().copied())
}

/// Names and versions of what compiles the programs.
pub fn toolchain() -> anyhow::Result<BTreeMap<String, String>> {
    let rustc = output(Command::new(rustc()).arg("-vV"))?;
    let linker = output(Command::new("cc").arg("-Wl,--version"))
        .or_else(|_| output(Command::new("cc").arg("--version")))?;
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    Ok(BTreeMap::from([("rustc".to_owned(), first(&rustc)), ("linker".to_owned(), first(&linker))]))
}

/// The agents' crates and those of ours that they depend on, by name.
fn shipping(crates: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut todo: Vec<String> = AGENTS.iter().map(|(package, _)| (*package).to_owned()).collect();
    while let Some(name) = todo.pop() {
        let dir = crates.join(&name);
        if found.insert(name, dir.clone()).is_some() {
            continue;
        }
        let path = dir.join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let is_ours = |name: &str| !name.is_empty() && crates.join(name).is_dir();
        todo.extend(dependencies(&text).filter(|name| is_ours(name)).map(str::to_owned));
    }
    Ok(found)
}

/// What the lines of a manifest begin with, outside of what only tests need.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut is_for_tests = false;
    let lines = manifest.lines().filter(move |line| {
        if line.starts_with('[') {
            is_for_tests = line.trim_end() == "[dev-dependencies]";
        }
        !is_for_tests
    });
    lines.filter_map(|line| line.split(['.', ' ']).next())
}

fn compile(ctx: &Ctx) -> anyhow::Result<PathBuf> {
    let target = ctx.target.join("agents");
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .context("finding cargo's home folder: set CARGO_HOME or HOME")?;
    let sysroot = output(Command::new(rustc()).args(["--print", "sysroot"]))?;
    let remap = [
        (ctx.repo.as_path(), "/slipway"),
        (cargo_home.as_path(), "/cargo"),
        (Path::new(sysroot.trim()), "/rust"),
    ];
    let flags: Vec<_> =
        remap.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&ctx.repo).args(["build", "--release", "--locked"]);
    for (package, _) in AGENTS {
        command.args(["--package", package]);
    }
    // What cargo gave to this program is not for the inner build.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_") && name_text != "CARGO_HOME" || name_text == "RUSTFLAGS" {
            command.env_remove(&name);
        }
    }
    command
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .stdin(Stdio::null());
    // Cargo and its compilers form a group of their own, which an interruption ends as one.
    command.process_group(0);
    let said = tempfile::tempfile().context("making a file for the compiler's words")?;
    if !ctx.log.verbose() {
        command.stdout(Stdio::null()).stderr(said.try_clone().context("sharing the compiler's words")?);
    }
    let mut child = command.spawn().context("starting cargo")?;
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for cargo")? {
            break status;
        }
        if ctx.cancel.is_set() {
            end_group(&mut child)?;
            ctx.cancel.check()?;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        bail!("compiling the agents failed ({status}): {}", read_back(said)?.trim());
    }
    Ok(target.join("release"))
}

fn end_group(child: &mut Child) -> anyhow::Result<()> {
    let group = Pid::from_child(child);
    // The group is gone when cargo ended by itself meanwhile.
    match kill_process_group(group, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(err) => return Err(err).context("ending cargo"),
    }
    child.wait().context("waiting for cargo")?;
    Ok(())
}

fn read_back(mut said: File) -> anyhow::Result<String> {
    said.rewind().context("reading the compiler's words")?;
    let mut bytes = Vec::new();
    said.read_to_end(&mut bytes).context("reading the compiler's words")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Fails when the program was linked against symbols that the image's C library lacks.
fn check_glibc(program: &Path, glibc: &str) -> anyhow::Result<()> {
    let bytes = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let has = parse_version(glibc).with_context(|| format!("reading the C library's version `{glibc}`"))?;
    let needed = crate::elf::needed_versions(&bytes)
        .with_context(|| format!("reading {}", program.display()))?
        .into_iter()
        .filter_map(|name| parse_version(name.strip_prefix("GLIBC_")?))
        .max();
    match needed {
        Some(needed) if needed > has => bail!(
            "{} needs glibc {}.{}, the image has {glibc}: build on a system that is not newer than the image",
            program.display(),
            needed.0,
            needed.1
        ),
        _ => Ok(()),
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(['.', '-', '+']).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

fn rustc() -> std::ffi::OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("starting {name}"))?;
    anyhow::ensure!(out.status.success(), "{name} failed: {}", String::from_utf8_lossy(&out.stderr).trim());
    String::from_utf8(out.stdout).with_context(|| format!("reading what {name} printed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_that_do_not_ship_are_no_input() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        let names: Vec<_> = shipping(&crates).unwrap().into_keys().collect();
        for name in ["agent-support", "disk-image", "payload", "slots", "update-agent"] {
            assert!(names.contains(&name.to_owned()), "{names:?}");
        }
        // Tests of agents need these.
        for name in ["etcd-lab", "vm", "write-log"] {
            assert!(!names.contains(&name.to_owned()), "{names:?}");
        }
    }

    #[test]
    fn every_program_that_ships_is_one_of_its_package() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        for (package, programs) in AGENTS {
            let manifest = fs::read_to_string(crates.join(package).join("Cargo.toml")).unwrap();
            for program in *programs {
                let names = manifest.matches(&format!("name = \"{program}\"")).count();
                assert_eq!(names, 1, "{package} has no program {program}");
            }
        }
        let names: std::collections::BTreeSet<_> = programs().collect();
        assert_eq!(names.len(), programs().count(), "two programs have one name");
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse_version("2.4") < parse_version("2.41-12+deb13u5"));
        assert_eq!(parse_version("x"), None);
    }

    #[test]
    fn refuses_a_program_that_needs_a_newer_c_library() {
        let own = std::env::current_exe().unwrap();
        check_glibc(&own, "99.0").unwrap();
        let err = check_glibc(&own, "2.0").unwrap_err();
        assert!(err.to_string().contains("the image has 2.0"), "{err}");
    }
}
