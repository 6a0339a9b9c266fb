//! What every stage is given: folders, log, cancel flag. Made once, read only.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::log::{Cancel, Log};

/// Folders and services of one run. What a stage learns goes into its output, never back in here.
#[derive(Debug)]
pub struct Ctx {
    /// The checkout.
    pub repo: PathBuf,
    /// Everything that a build makes lies below it.
    pub target: PathBuf,
    /// Downloads shared by all checkouts of this user.
    pub cache: PathBuf,
    /// Progress and messages.
    pub log: Log,
    /// Set by Ctrl-C; long loops ask it.
    pub cancel: Cancel,
}

impl Ctx {
    /// Finds the checkout and the user's cache folder, and starts to listen for Ctrl-C.
    pub fn new(verbose: bool) -> anyhow::Result<Self> {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("finding the checkout above xtask/")?
            .to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(dir).context("resolving CARGO_TARGET_DIR")?,
            None => repo.join("target"),
        };
        let cancel = Cancel::on_signals().context("listening for Ctrl-C")?;
        Ok(Self { repo, target, cache: cache_dir()?, log: Log::new(verbose), cancel })
    }

    /// The committed image definition's folder.
    pub fn image_dir(&self) -> PathBuf {
        self.repo.join("image")
    }
}

/// XDG Base Directory Specification: `$XDG_CACHE_HOME`, else `~/.cache`.
fn cache_dir() -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .context("finding the cache folder: set HOME or XDG_CACHE_HOME")?;
    Ok(base.join("slipway"))
}
