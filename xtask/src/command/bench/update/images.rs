//! The images of a pair: built from a copy of the checkout with other packages, or with our programs changed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::pairs::Agents;
use crate::ctx::Ctx;
use crate::lock::Lock;
use crate::manifest::Manifest;
use crate::payload_file::{self, Head};
use crate::{durable, flags, hash, pipeline};

/// What a build reads of a checkout. Cargo wants to see every member of the workspace, so `xtask` is there too.
const PARTS: [&str; 7] = ["Cargo.toml", "Cargo.lock", "bootloader", "crates", "image", "overlays", "xtask"];

/// Puts another version into the text of a file.
type Versioned = fn(&str, &str) -> String;
/// Files that have the version of the workspace.
const VERSIONED: [(&str, Versioned); 2] = [("Cargo.toml", of_workspace), ("Cargo.lock", of_members)];
/// Our program that updates.
const AGENT: &str = "slipway-update";

/// Where images of pairs are made: their stages must not drive those of the checkout's own builds out.
#[derive(Debug)]
pub struct Workshop {
    ctx: Ctx,
    /// Version of the checkout.
    version: slots::Version,
}

/// One image.
#[derive(Debug)]
pub struct Image {
    /// Its version.
    pub version: slots::Version,
    /// Time of its packages, seconds since 1970.
    pub build_time: u64,
    /// Head of its payload.
    pub head: Head,
    /// Its payload.
    pub payload: PathBuf,
    /// Its disk image.
    pub raw: PathBuf,
    /// Its `/usr`.
    pub usr: PathBuf,
    /// Its UKI.
    pub uki: PathBuf,
    /// Our program that updates it.
    pub agent: PathBuf,
}

impl Workshop {
    /// Makes the folder; tools and our programs are those that `ctx` has already.
    pub fn new(ctx: &Ctx, dir: &Path, version: slots::Version) -> anyhow::Result<Self> {
        let own = Ctx {
            repo: dir.join("checkout"),
            target: dir.join("target"),
            cache: ctx.cache.clone(),
            log: ctx.log.clone(),
            cancel: ctx.cancel.clone(),
        };
        for part in ["stages/agents", "tools"] {
            take(&ctx.target.join(part), &own.target.join(part), durable::link_or_copy)?;
        }
        let workshop = Self { ctx: own, version };
        workshop.copy_checkout(&ctx.repo)?;
        Ok(workshop)
    }

    fn copy_checkout(&self, repo: &Path) -> anyhow::Result<()> {
        durable::remove_if_there(&self.ctx.repo)?;
        fs::create_dir_all(&self.ctx.repo).context("creating the copy of the checkout")?;
        // No links: some of its files will be changed.
        let copy = |from: &Path, to: &Path| fs::copy(from, to).map(drop).context("copying");
        for part in PARTS {
            take(&repo.join(part), &self.ctx.repo.join(part), copy)?;
        }
        Ok(())
    }

    /// Builds the image `version` of these packages.
    pub fn build(&self, version: &slots::Version, lock: &Lock, agents: Agents) -> anyhow::Result<Image> {
        let dir = &self.ctx.repo;
        lock.write(&dir.join("image/packages.lock"))?;
        let ours = match agents {
            Agents::Same => &self.version,
            Agents::Rebuilt => version,
        };
        for (name, change) in VERSIONED {
            let original = fs::read_to_string(dir.join(name)).with_context(|| format!("reading {name}"))?;
            let text = change(&original, &ours.to_string());
            // Cargo compiles anew what has another time.
            if text != original {
                fs::write(dir.join(name), text).with_context(|| format!("writing {name}"))?;
            }
        }
        let key = hash::of_bytes(format!("{version} {agents:?} {}", lock.text()).as_bytes());
        let out = self.ctx.target.join("images").join(&key[..16]);
        let build = flags::BuildImage {
            version: Some(version.clone()),
            out: Some(out.clone()),
            // All is in the cache, and another lock would be another pair.
            inputs: flags::Inputs { locked: true, offline: true, mirror: None },
            ..flags::BuildImage::default()
        };
        let built = pipeline::build(&self.ctx, &build)?;
        let path = &built.output.manifest;
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
        let artifact = |role: &str| -> anyhow::Result<PathBuf> {
            let found = manifest.artifacts.get(role).with_context(|| format!("no artifact `{role}`"))?;
            Ok(out.join(&found.file))
        };
        let payload = artifact("payload")?;
        Ok(Image {
            version: version.clone(),
            build_time: manifest.build_time,
            head: payload_file::inspect(&payload)?,
            raw: artifact("raw")?,
            usr: artifact("usr")?,
            uki: artifact("uki")?,
            agent: built.agents.get(AGENT).with_context(|| format!("no agent `{AGENT}`"))?.clone(),
            payload,
        })
    }
}

/// The text of the workspace's `Cargo.toml` with another version.
fn of_workspace(text: &str, version: &str) -> String {
    let mut section = "";
    let lines = text.lines().map(|line| {
        if line.starts_with('[') {
            section = line;
        }
        let is_version = section == "[workspace.package]" && line.starts_with("version = ");
        if is_version { format!("version = \"{version}\"\n") } else { format!("{line}\n") }
    });
    lines.collect()
}

/// The text of `Cargo.lock` with another version of the packages that come from no registry.
fn of_members(text: &str, version: &str) -> String {
    let package = |text: &str| -> String {
        if text.contains("\nsource = ") || !text.starts_with("[[package]]") {
            return text.to_owned();
        }
        let line = |line: &str| match line.starts_with("version = ") {
            true => format!("version = \"{version}\""),
            false => line.to_owned(),
        };
        text.split('\n').map(line).collect::<Vec<_>>().join("\n")
    };
    text.split("\n\n").map(package).collect::<Vec<_>>().join("\n\n")
}

/// Puts a file, or a folder with all that is in it, in another place, unless it is there.
fn take(from: &Path, to: &Path, put: fn(&Path, &Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let meta = fs::symlink_metadata(from).with_context(|| format!("reading {}", from.display()))?;
    if meta.is_dir() {
        fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
        for (name, path) in hash::sorted_dir(from)? {
            take(&path, &to.join(name), put)?;
        }
        return Ok(());
    }
    if fs::symlink_metadata(to).is_ok() {
        return Ok(());
    }
    let taken = match meta.is_symlink() {
        true => fs::read_link(from)
            .and_then(|target| std::os::unix::fs::symlink(target, to))
            .context("copying the link"),
        false => put(from, to),
    };
    taken.with_context(|| format!("taking {} as {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_workspace_and_its_members_get_the_version() {
        let text = "[workspace.package]\nversion = \"0.1.0\"\n\n[workspace.dependencies]\nversion = \"1\"\n";
        let expected = text.replace("0.1.0", "0.1.1");
        assert_eq!(of_workspace(text, "0.1.1"), expected);
        let text = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n\n\
                    [[package]]\nname = \"b\"\nversion = \"0.1.0\"\nsource = \"registry\"\n";
        let expected = text.replacen("0.1.0", "0.1.1", 1);
        assert_eq!(of_members(text, "0.1.1"), expected);
    }

    #[test]
    fn the_version_of_the_checkout_leaves_its_files_as_they_are() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (name, change) in VERSIONED {
            let text = fs::read_to_string(repo.join(name)).unwrap();
            assert_eq!(change(&text, env!("CARGO_PKG_VERSION")), text);
        }
    }
}
