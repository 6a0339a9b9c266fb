//! What a release is not made of, found before anything is built.

use std::path::Path;

use anyhow::Context as _;

use crate::command::lock::Locks;
use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::keys::Keys;
use crate::{flags, git};

/// Paths that an error names; the rest is a number.
const NAMED: usize = 5;

/// Returns the commit and the keys, or says what is in the way.
pub fn check(ctx: &Ctx, args: &flags::Release) -> anyhow::Result<(String, Keys)> {
    let keys = keys(args.keys.as_deref())?;
    let commit = commit(&ctx.repo)?;
    locks(&ctx.image_dir())?;
    Ok((commit, keys))
}

/// The keys that sign: not everybody's.
fn keys(dir: Option<&Path>) -> anyhow::Result<Keys> {
    let dir = dir.context(
        "a release is signed with keys of its own: `cargo xtask keys new --out DIR` makes a pair, `--keys DIR` uses it",
    )?;
    let keys = Keys::read_dir(&std::path::absolute(dir).context("resolving --keys")?)?;
    anyhow::ensure!(
        !keys.insecure(),
        "--keys {}: the committed development key is trusted, and everybody has its secret half: use keys of your own \
         (`cargo xtask keys new --out DIR`)",
        dir.display()
    );
    anyhow::ensure!(
        !keys.signing.is_empty(),
        "--keys {}: no secret key (*.key) that is not retired: nothing could sign the release",
        dir.display()
    );
    let stranger = keys.signing.keys().find(|id| !keys.trusted().any(|key| key.key.id() == **id));
    if let Some(id) = stranger {
        anyhow::bail!(
            "--keys {}: the secret key {id} has no *.pub file beside it: no machine would believe its signature \
             (`cargo xtask keys public FILE.key` prints it)",
            dir.display()
        );
    }
    Ok(keys)
}

/// The commit that the release names: what is built has to be what it says.
fn commit(repo: &Path) -> anyhow::Result<String> {
    let changes = git::changes(repo).context("a release names a commit")?;
    if let Some(first) = changes.first() {
        let named = changes.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = changes.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let what = if first.is_empty() { "the index" } else { &named };
        anyhow::bail!(
            "the checkout differs from its commit ({what}{more}): commit, or put the changes aside"
        );
    }
    git::run(repo, &["rev-parse", "HEAD"]).context("a release names a commit")
}

/// The locks, which have to be those of the definition.
fn locks(image: &Path) -> anyhow::Result<()> {
    let definition = Definition::read(&image.join("image.yaml"))?;
    anyhow::ensure!(
        Locks::read(image)?.fit(&definition),
        "the locks are older than image/image.yaml: run `cargo xtask lock` and commit the result"
    );
    Ok(())
}

/// A release is made once.
pub fn there_already(out: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        out.symlink_metadata().is_err(),
        "{} is there already: a version is released once; choose another --version or --out, or remove it",
        out.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn rejects<T>(res: anyhow::Result<T>, says: &[&str]) {
        let Err(err) = res else { panic!("it is accepted") };
        let text = format!("{err:#}");
        assert!(says.iter().all(|part| text.contains(part)), "{text}");
    }

    fn put_key(dir: &Path, seed: u8, ends: &[&str]) {
        let key = payload::SecretKey::from_seed([seed; 32]);
        for end in ends {
            let text = if *end == "pub" { key.public().to_file("x") } else { key.to_file("x") };
            fs::write(dir.join(format!("{seed}.{end}")), text).unwrap();
        }
    }

    #[test]
    fn keys_are_needed_and_the_development_pair_is_refused() {
        rejects(keys(None), &["keys new --out DIR", "--keys DIR"]);
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../image/keys");
        rejects(keys(Some(&committed)), &["development key", "keys new"]);
        let dir = tempfile::tempdir().unwrap();
        put_key(dir.path(), 1, &["pub"]);
        rejects(keys(Some(dir.path())), &["no secret key"]);
        put_key(dir.path(), 2, &["key"]);
        rejects(keys(Some(dir.path())), &["no *.pub file beside it", "keys public"]);
        put_key(dir.path(), 2, &["pub"]);
        assert_eq!(keys(Some(dir.path())).unwrap().signing.len(), 1);
    }

    #[test]
    fn a_tree_that_differs_from_its_commit_is_refused_with_what_differs() {
        let dir = tempfile::tempdir().unwrap();
        rejects(commit(dir.path()), &["a release names a commit"]);
        let git = |args: &[&str]| git::run(dir.path(), args).unwrap();
        git(&["init", "--quiet"]);
        let who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"];
        fs::write(dir.path().join("a"), "1").unwrap();
        git(&["add", "a"]);
        git(&[&who[..], &["commit", "--quiet", "-m", "x"]].concat());
        assert_eq!(commit(dir.path()).unwrap().len(), 40);
        fs::write(dir.path().join("a"), "2").unwrap();
        rejects(commit(dir.path()), &["(a)", "commit, or put"]);
        for n in 0..9 {
            fs::write(dir.path().join(format!("new-{n}")), "").unwrap();
        }
        rejects(commit(dir.path()), &["a, new-0", "and 5 more"]);
    }

    #[test]
    fn locks_of_another_definition_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../image");
        for name in ["image.yaml", "packages.lock", "tools.lock"] {
            fs::copy(image.join(name), dir.path().join(name)).unwrap();
        }
        locks(dir.path()).unwrap();
        let lock = fs::read_to_string(dir.path().join("tools.lock")).unwrap();
        let definition = lock.lines().find(|line| line.starts_with("definition ")).unwrap();
        let other = format!("definition {}", "0".repeat(64));
        fs::write(dir.path().join("tools.lock"), lock.replace(definition, &other)).unwrap();
        rejects(locks(dir.path()), &["older than image/image.yaml", "cargo xtask lock"]);
    }

    #[test]
    fn a_folder_that_is_there_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        rejects(there_already(dir.path()), &["is there already", "--version"]);
        there_already(&dir.path().join("new")).unwrap();
    }
}
