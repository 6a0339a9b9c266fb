//! What the program does, a file each.

pub mod apply;
pub mod boot;
pub mod original;
pub mod perform;
pub mod validate;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use cloud_config::document::LEN_MAX;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Done,
    /// Something is wrong.
    Failed,
    /// Something may be wrong.
    Warned,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::FAILURE,
            Exit::Warned => Self::from(3),
        }
    }
}

/// Reads a file, or standard input for `-`: a byte more than any that is right may have, and no further.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let limit = u64::try_from(LEN_MAX).unwrap_or(u64::MAX) + 1;
    let mut bytes = Vec::new();
    let mut take = |from: &mut dyn Read| from.take(limit).read_to_end(&mut bytes);
    if path == Path::new("-") {
        take(&mut io::stdin().lock()).context("reading standard input")?;
    } else {
        File::open(path)
            .and_then(|mut file| take(&mut file))
            .with_context(|| format!("reading {}", path.display()))?;
    }
    Ok(bytes)
}
