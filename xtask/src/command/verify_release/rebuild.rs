//! `--rebuild`: builds the commit that the release names once more, from its own packages and keys and without a mirror,
//! and compares the bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use payload::SecretKey;

use super::Release;
use crate::ctx::Ctx;
use crate::manifest::Manifest;
use crate::stage::agents;
use crate::{durable, git, hash, payload_file, release};

/// Whose bytes have to be the same: all of a build but what a secret key has signed.
const SAME: [&str; 5] = ["usr", "verity", "uki", "raw", "sbom"];
/// What does not depend on who signs.
const PAYLOAD: &str = "payload";

/// Folders of the second build.
#[derive(Debug)]
struct Site {
    checkout: PathBuf,
    keys: PathBuf,
    cache: PathBuf,
    target: PathBuf,
    out: PathBuf,
}

/// Builds again, and fails with what differs.
pub fn check(ctx: &Ctx, release: &Release) -> anyhow::Result<()> {
    same_compiler(&release.manifest, &agents::toolchain()?)?;
    let home = ctx.target.join("rebuild");
    let site = Site {
        checkout: home.join("checkout"),
        keys: home.join("keys"),
        cache: home.join("cache"),
        target: home.join("target"),
        out: home.join("image"),
    };
    for dir in [&site.checkout, &site.keys, &site.cache, &site.out] {
        durable::remove_if_there(dir)?;
    }
    check_out(&ctx.repo, &release.manifest.commit, &site.checkout)?;
    same_locks(release, &site.checkout)?;
    let packages = site.cache.join("slipway/packages");
    for (name, path) in hash::sorted_dir(&release.dir.join(release::PACKAGES_DIR))? {
        ctx.cancel.check()?;
        durable::link_or_copy(&path, &packages.join(name))?;
    }
    put_keys(release, &site.keys)?;
    build(ctx, release, &site)?;
    compare(release, &site.out)?;
    // What was compiled stays for the next time; the rest is large and the same as in the release.
    for dir in [&site.cache, &site.out, &site.keys] {
        durable::remove_if_there(dir)?;
    }
    Ok(())
}

/// Another compiler makes other programs: said before an hour is spent.
fn same_compiler(
    manifest: &Manifest,
    here: &std::collections::BTreeMap<String, String>,
) -> anyhow::Result<()> {
    for (name, expected) in &manifest.toolchain {
        let found = here.get(name).map_or("none", String::as_str);
        anyhow::ensure!(
            found == expected,
            "the release was compiled with {name} `{expected}`, here is `{found}`: install that one (for rustc, \
             `rustup toolchain install VERSION` and `RUSTUP_TOOLCHAIN=VERSION`)"
        );
    }
    Ok(())
}

/// Gets the commit into a checkout of its own.
fn check_out(repo: &Path, commit: &str, to: &Path) -> anyhow::Result<()> {
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    anyhow::ensure!(is_commit, "the release names no commit, but `{commit}`: it cannot be built again");
    git::run(repo, &["cat-file", "-e", &format!("{commit}^{{commit}}")]).with_context(|| {
        format!(
            "this checkout has no commit {commit}: get it with `git fetch`, then run the same command again"
        )
    })?;
    let dir = to.to_str().context("the folder's name is not UTF-8")?;
    git::run(repo, &["clone", "--quiet", "--shared", "--no-checkout", ".", dir])?;
    git::run(to, &["checkout", "--quiet", "--detach", commit]).map(drop)
}

/// The release's locks are those of the commit.
fn same_locks(release: &Release, checkout: &Path) -> anyhow::Result<()> {
    for name in release::LOCKS {
        let path = checkout.join("image").join(name);
        let committed = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        anyhow::ensure!(
            committed == release.read(name)?,
            "{name} of the release is not that of commit {}",
            release.manifest.commit
        );
    }
    Ok(())
}

/// The published keys, which the image trusts, and as many secret keys as have signed the payload, so that its head has
/// the same length. Nobody trusts these.
fn put_keys(release: &Release, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    for (name, path) in hash::sorted_dir(&release.dir.join(release::KEYS_DIR))? {
        fs::copy(&path, to.join(&name)).with_context(|| format!("copying {}", path.display()))?;
    }
    let head = payload_file::inspect(&release.file(&release.names.payload())?)?;
    for n in 1..=u8::try_from(head.signers.len())? {
        let text = SecretKey::from_seed([n; 32]).to_file("Of no use: everybody can make it.");
        durable::write(&to.join(format!("nobodys-{n}.key")), text.as_bytes())?;
    }
    Ok(())
}

/// Has the checkout build itself, with nothing but the release's packages.
fn build(ctx: &Ctx, release: &Release, site: &Site) -> anyhow::Result<()> {
    ctx.log.line("building it again; this compiles everything once and takes its time");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_") && text != "CARGO_HOME" || text == crate::mirror::VARIABLE {
            command.env_remove(&name);
        }
    }
    command
        .current_dir(&site.checkout)
        .env("CARGO_TARGET_DIR", &site.target)
        .env("XDG_CACHE_HOME", &site.cache)
        .args([
            "run",
            "--quiet",
            "--locked",
            "--package",
            "xtask",
            "--",
            "build-image",
            "--locked",
            "--offline",
        ])
        .args(["--version", &release.manifest.version])
        .arg("--keys")
        .arg(&site.keys)
        .arg("--out")
        .arg(&site.out)
        .stdin(Stdio::null());
    let status = command.status().context("starting cargo")?;
    ctx.cancel.check()?;
    anyhow::ensure!(status.success(), "the second build failed ({status}); its words are above");
    Ok(())
}

/// Compares what the second build made with what the release says, and says all that differs.
fn compare(release: &Release, out: &Path) -> anyhow::Result<()> {
    let again = release::manifest(out)?;
    let sum = |manifest: &Manifest, role: &str| {
        manifest.artifacts.get(role).map_or_else(|| "none".to_owned(), |it| it.sha256.clone())
    };
    let mut differs: Vec<String> = SAME
        .into_iter()
        .map(|role| (role, sum(&release.manifest, role), sum(&again, role)))
        .filter(|(_, released, again)| released != again)
        .map(|(role, released, again)| format!("{role} (released {released}, built again {again})"))
        .collect();
    let digest = |path: &Path| payload_file::inspect(path).map(|head| head.digest);
    let released = digest(&release.file(&release.names.payload())?)?;
    let rebuilt = digest(&out.join(format!("{}.payload", release.names.stem())))?;
    if released != rebuilt {
        differs.push(format!("unsigned payload (released {released}, built again {rebuilt})"));
    }
    anyhow::ensure!(
        differs.is_empty(),
        "a build from the same commit gives other bytes: {}",
        differs.join(", ")
    );
    anyhow::ensure!(
        unsigned(&release.manifest)? == unsigned(&again)?,
        "a build from the same commit gives another manifest, of the same files"
    );
    Ok(())
}

/// The manifest without what depends on the keys that sign.
fn unsigned(manifest: &Manifest) -> anyhow::Result<serde_json::Value> {
    let mut manifest = manifest.clone();
    manifest.artifacts.remove(PAYLOAD);
    Ok(serde_json::to_value(manifest)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::report::page::tests::manifest;

    #[test]
    fn another_compiler_is_named_before_anything_is_built() {
        let manifest = manifest();
        same_compiler(&manifest, &manifest.toolchain).unwrap();
        let mut here = manifest.toolchain.clone();
        here.insert("rustc".to_owned(), "rustc 1.0.0".to_owned());
        let text = same_compiler(&manifest, &here).unwrap_err().to_string();
        assert!(text.contains("here is `rustc 1.0.0`") && text.contains("rustup"), "{text}");
        here.remove("rustc");
        assert!(same_compiler(&manifest, &here).is_err());
    }

    #[test]
    fn a_commit_is_checked_out_aside_and_one_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        fs::create_dir(&repo).unwrap();
        git::run(&repo, &["init", "--quiet"]).unwrap();
        fs::write(repo.join("a"), "1").unwrap();
        git::run(&repo, &["add", "a"]).unwrap();
        let who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"];
        git::run(&repo, &[&who[..], &["commit", "--quiet", "-m", "x"]].concat()).unwrap();
        let commit = git::commit(&repo);
        fs::write(repo.join("a"), "2").unwrap();
        let to = dir.path().join("to");
        check_out(&repo, &commit, &to).unwrap();
        assert_eq!(fs::read(to.join("a")).unwrap(), b"1");
        assert_eq!(git::commit(&to), commit);
        for (commit, says) in [("0".repeat(40), "git fetch"), (format!("{commit}-dirty"), "names no commit")]
        {
            let text = format!("{:#}", check_out(&repo, &commit, &dir.path().join("none")).unwrap_err());
            assert!(text.contains(says), "{text}");
        }
    }
}
