//! What git says of the checkout.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::Context as _;

/// The checkout's commit, with `-dirty` for an unclean tree; `unknown` outside of git, which a source archive is.
pub fn commit(repo: &Path) -> String {
    match (run(repo, &["rev-parse", "HEAD"]), changes(repo)) {
        (Ok(commit), Ok(changes)) if changes.is_empty() => commit,
        (Ok(commit), _) => format!("{commit}-dirty"),
        (Err(_), _) => "unknown".to_owned(),
    }
}

/// Paths that differ from the commit, or that it does not know.
pub fn changes(repo: &Path) -> anyhow::Result<Vec<String>> {
    let said = run(repo, &["status", "--porcelain"])?;
    Ok(said.lines().filter_map(|line| line.get(3..)).map(str::to_owned).collect())
}

/// Runs git in the checkout, and returns what it prints.
pub fn run(repo: &Path, args: &[&str]) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = Command::new("git")
        .arg("-C")
        .arg(repo)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("starting git")?;
    let words = String::from_utf8_lossy(&stderr);
    anyhow::ensure!(status.success(), "`git {}` failed: {}", args.join(" "), words.trim());
    // Not trimmed at its start: the first line of a status begins with a blank.
    Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned())
}
