//! `slipway etcd backup`: both key spaces of the running member into a folder that is whole or absent.
//!
//! A snapshot of etcd holds the v3 keys only. The v2 keys, hidden ones and times to live included, are in the log of
//! the data folder, which `etcdctl` of API 2 copies from a running member, record by record with its checksum.
//! The two fit together when the snapshot is not older than the state that the log goes on from.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use agent_support::host::{Host, sorted_names};
use agent_support::{boot, durable};
use anyhow::{Context, bail};
use serde::Deserialize;

use super::kept::{self, PARTIAL};
use super::settings::Settings;
use super::{BACKUPS, ctl, tree};

/// How often the member may write a state of its own in between. It does so once in 100000 changes.
const TRIES: usize = 3;

/// The part of a disk that is left to others, and as much of it as is enough on a large one.
const RESERVE_SHARE: u64 = 10;
const RESERVE_MAX: u64 = 1 << 30;

/// The v3 keys in a backup.
pub const SNAPSHOT: &str = "snapshot.db";
/// The v2 keys in a backup: a data folder with an empty database.
pub const V2: &str = "v2";

/// What is in a snapshot.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// The last change in it.
    pub revision: u64,
    /// Keys and their older values.
    pub total_key: u64,
}

/// Makes a backup, checks it, and removes those that are no longer kept.
pub fn run(host: &Host, settings: &Settings) -> anyhow::Result<()> {
    let dir = host.path(BACKUPS);
    tree::make_private(&dir)?;
    let _lock = lock(&dir)?;
    let name = kept::name(boot::now());
    let (path, partial) = (dir.join(&name), dir.join(format!("{name}{PARTIAL}")));
    if path.exists() {
        bail!("{} was made in this second: nothing is missing", path.display());
    }
    durable::remove_all(&partial)?;
    make_room(&dir, settings)?;
    let contents = fill(settings, &partial).inspect_err(|_| {
        // What is half-made helps nobody; the first error is the one to tell, and the next run tries again.
        let _ = durable::remove_all(&partial);
    })?;
    tree::sync_all(&partial)?;
    durable::rename(&partial, &path)?;
    for surplus in kept::surplus(&sorted_names(&dir)?, &name) {
        durable::remove_all(&dir.join(surplus))?;
    }
    println!("{}: v3 revision {}, and the v2 keys", path.display(), contents.revision);
    Ok(())
}

/// Backups never fill the disk on which etcd itself writes: rather are the oldest kept no longer.
fn make_room(dir: &Path, settings: &Settings) -> anyhow::Result<()> {
    let disk =
        rustix::fs::statvfs(dir).with_context(|| format!("asking for the room in {}", dir.display()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let reserve = reserve(disk.f_blocks.saturating_mul(disk.f_frsize));
    // Twice the data: the copy, and what is made to read it back.
    let needed = reserve.saturating_add(tree::used(&settings.data_dir)?.saturating_mul(2));
    let names = sorted_names(dir)?.into_iter().filter(|name| kept::is_name(name));
    let sizes = names.map(|name| tree::used(&dir.join(&name)).map(|bytes| (name, bytes)));
    let backups = sizes.collect::<anyhow::Result<Vec<_>>>()?;
    let going = kept::to_make_room(&backups, free, needed).with_context(|| {
        format!(
            "{free} bytes are free in {} and {needed} are needed: make room, or a larger disk",
            dir.display()
        )
    })?;
    for name in going {
        println!("{name} makes room for the next one");
        durable::remove_all(&dir.join(name))?;
    }
    Ok(())
}

fn reserve(disk_bytes: u64) -> u64 {
    (disk_bytes / RESERVE_SHARE).min(RESERVE_MAX)
}

/// Returns what a snapshot holds; fails if it is damaged.
pub fn contents(snapshot: &Path) -> anyhow::Result<Contents> {
    parse_contents(&ctl::snapshot_status(snapshot)?)
}

fn parse_contents(json: &str) -> anyhow::Result<Contents> {
    serde_json::from_str(json)
        .with_context(|| format!("parsing the status of the snapshot: `{}`", json.trim()))
}

/// One backup at a time.
fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join(".lock");
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    file.try_lock().with_context(|| format!("locking {}: another backup is being made", path.display()))?;
    Ok(file)
}

fn fill(settings: &Settings, partial: &Path) -> anyhow::Result<Contents> {
    for _ in 0..TRIES {
        tree::make_private(partial)?;
        let before = states(&settings.data_dir)?;
        ctl::save_snapshot(settings, &partial.join(SNAPSHOT)).context("saving the v3 keys")?;
        ctl::copy_v2(&settings.data_dir, settings.wal_dir.as_deref(), &partial.join("log"))
            .context("saving the v2 keys")?;
        if states(&settings.data_dir)?.is_subset(&before) {
            return finish(partial);
        }
        durable::remove_all(partial)?;
    }
    bail!("the member wrote a state of its own during each of {TRIES} tries: it is too busy, try again later")
}

/// Makes the copied log small and reads everything back.
fn finish(partial: &Path) -> anyhow::Result<Contents> {
    tree::copy_all(&partial.join("log"), &partial.join(V2))?;
    durable::remove_all(&partial.join("log"))?;
    let again = partial.join("again");
    ctl::copy_v2(&partial.join(V2), None, &again).context("reading the v2 keys back")?;
    durable::remove_all(&again)?;
    contents(&partial.join(SNAPSHOT)).context("reading the v3 keys back")
}

/// Returns the names of the states that a member wrote, from which its log goes on.
pub fn states(data_dir: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let dir = data_dir.join("member/snap");
    let entries =
        fs::read_dir(&dir).with_context(|| format!("listing {}: is this etcd's data?", dir.display()))?;
    let mut found = BTreeSet::new();
    for entry in entries {
        let path = entry.with_context(|| format!("listing {}", dir.display()))?.path();
        if path.extension().is_some_and(|end| end == "snap") {
            found.insert(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_status_of_a_snapshot() {
        let json = r#"{"hash":3397834786,"revision":2,"totalKey":7,"totalSize":20480}"#;
        assert_eq!(parse_contents(json).unwrap(), Contents { revision: 2, total_key: 7 });
        let err = parse_contents("Deprecated").unwrap_err();
        assert!(err.to_string().contains("`Deprecated`"), "{err}");
    }

    #[test]
    fn a_large_disk_need_not_be_a_tenth_empty() {
        assert_eq!(reserve(2 << 30), (2 << 30) / 10);
        assert_eq!(reserve(1 << 40), 1 << 30);
    }

    #[test]
    fn a_second_backup_at_the_same_time_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        let err = lock(dir.path()).unwrap_err();
        assert!(err.to_string().ends_with("another backup is being made"), "{err}");
        drop(held);
        lock(dir.path()).unwrap();
    }

    #[test]
    fn states_are_told_from_databases() {
        let dir = tempfile::tempdir().unwrap();
        assert!(states(dir.path()).unwrap_err().to_string().ends_with("is this etcd's data?"));
        let snap = dir.path().join("member/snap");
        fs::create_dir_all(&snap).unwrap();
        for name in ["db", "0000000000000002-0000000000000005.snap", "0000000000000005.snap.db"] {
            fs::write(snap.join(name), "").unwrap();
        }
        assert_eq!(states(dir.path()).unwrap().len(), 1);
    }
}
