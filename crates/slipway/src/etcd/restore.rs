//! `slipway etcd restore BACKUP` and `slipway etcd alone`: a data folder for a cluster of this member alone, made of a
//! backup or of the member's own data, takes the place of the member's own.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use agent_support::host::{Host, sorted_names};
use agent_support::{boot, durable};
use anyhow::{Context, bail, ensure};

use super::backup::{self, SNAPSHOT, V2};
use super::settings::Stopped;
use super::{BACKUPS, UNIT, alone, kept, tree};

/// Pages of the database.
const PAGE_BYTES: u64 = 512;
/// The checksum that stands behind the database in a snapshot.
const CHECKSUM_BYTES: u64 = 32;
/// The member's database in its data folder.
const DATABASE: &str = "member/snap/db";

/// Restores a backup.
pub fn restore(host: &Host, stopped: &Stopped, backup: &str) -> anyhow::Result<()> {
    let from = find(host, backup)?;
    backup::contents(&from.join(SNAPSHOT)).with_context(|| format!("checking {}", from.display()))?;
    take_place(stopped, |partial| fill(&from, partial))
}

/// Makes the member a cluster of its own, with its own data.
pub fn alone(stopped: &Stopped) -> anyhow::Result<()> {
    let data_dir = &stopped.data_dir;
    ensure!(
        data_dir.join(DATABASE).is_file(),
        "{} has no data of etcd: name it with --data-dir",
        data_dir.display()
    );
    take_place(stopped, |partial| tree::copy_all(data_dir, partial))
}

/// Fills a folder, makes the only member of it, and lets it take the place of the data, which is kept beside.
fn take_place(stopped: &Stopped, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let data_dir = &stopped.data_dir;
    let lock = lock(data_dir)?;
    let parent = data_dir.parent().with_context(|| format!("{} has no parent", data_dir.display()))?;
    let owner = fs::metadata(parent).with_context(|| format!("reading the owner of {}", parent.display()))?;
    let partial = beside(data_dir, ".partial");
    durable::remove_all(&partial)?;
    fill(&partial).and_then(|()| alone::make(&partial, &stopped.peer_url)).inspect_err(|_| {
        // What is half-made helps nobody; the first error is the one to tell.
        let _ = durable::remove_all(&partial);
    })?;
    tree::chown_all(&partial, owner.uid(), owner.gid())?;
    tree::sync_all(&partial)?;
    if data_dir.exists() {
        let aside = beside(data_dir, &format!(".before-{}", kept::name(boot::now())));
        durable::rename(data_dir, &aside)?;
        println!("kept what was there: {}", aside.display());
    }
    durable::rename(&partial, data_dir)?;
    drop(lock);
    println!("{} is a cluster of one member now, at {}", data_dir.display(), stopped.peer_url);
    println!("`systemctl start {UNIT}` starts it; others join as new members");
    Ok(())
}

/// A name among the kept ones, or a path.
fn find(host: &Host, backup: &str) -> anyhow::Result<PathBuf> {
    let path = match backup.contains('/') {
        true => PathBuf::from(backup),
        false => host.path(BACKUPS).join(backup),
    };
    if path.join(SNAPSHOT).is_file() && path.join(V2).join("member/wal").is_dir() {
        return Ok(path);
    }
    let names = sorted_names(&host.path(BACKUPS))?;
    let names: Vec<String> = names.into_iter().filter(|name| kept::is_name(name)).collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    bail!("{} is no backup; those in {BACKUPS}: {there}", path.display())
}

/// etcd locks its database as long as it runs; the lock keeps it from starting meanwhile.
fn lock(data_dir: &Path) -> anyhow::Result<Option<File>> {
    let path = data_dir.join(DATABASE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err).with_context(|| format!("opening {}", path.display())),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            bail!("etcd uses {}: `systemctl stop {UNIT}` first", data_dir.display())
        }
        Err(TryLockError::Error(err)) => Err(err).with_context(|| format!("locking {}", path.display())),
    }
}

/// The log with the v2 keys, and the snapshot without its checksum for a database.
fn fill(from: &Path, to: &Path) -> anyhow::Result<()> {
    let snapshot = from.join(SNAPSHOT);
    let len = fs::metadata(&snapshot).with_context(|| format!("reading {}", snapshot.display()))?.len();
    ensure!(
        len % PAGE_BYTES == CHECKSUM_BYTES,
        "{} has {len} bytes: not whole pages of {PAGE_BYTES} and a checksum of {CHECKSUM_BYTES}",
        snapshot.display()
    );
    tree::copy_all(&from.join(V2), to)?;
    let database = to.join(DATABASE);
    durable::remove(&database)?;
    tree::copy_sparse(&snapshot, &database, len - CHECKSUM_BYTES)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn an_unknown_backup_is_refused_with_the_known_ones() {
        let tree = Tree::new();
        let err = find(&tree.host, "20261124T165503Z").unwrap_err();
        assert!(err.to_string().ends_with("those in /var/lib/slipway/etcd/backups: none"), "{err}");
        tree.file(&format!("{BACKUPS}/20261124T165503Z/snapshot.db"), "");
        tree.file(&format!("{BACKUPS}/20261124T165503Z/v2/member/wal/0.wal"), "");
        tree.file(&format!("{BACKUPS}/20261124T155503Z.partial/snapshot.db"), "");
        find(&tree.host, "20261124T165503Z").unwrap();
        let err = find(&tree.host, "yesterday").unwrap_err();
        assert!(err.to_string().ends_with(": 20261124T165503Z"), "{err}");
    }

    #[test]
    fn a_running_members_data_is_left_alone() {
        let tree = Tree::new();
        let data = tree.host.path("/data");
        assert!(lock(&data).unwrap().is_none());
        tree.file("/data/member/snap/db", "");
        let held = lock(&data).unwrap();
        let err = lock(&data).unwrap_err();
        assert!(err.to_string().ends_with("`systemctl stop etcd.service` first"), "{err}");
        drop(held);
        assert!(lock(&data).unwrap().is_some());
    }

    #[test]
    fn a_cut_off_snapshot_is_refused() {
        let tree = Tree::new();
        tree.file("/b/snapshot.db", vec![1; 1024 + 31]);
        let err = fill(&tree.host.path("/b"), &tree.host.path("/data")).unwrap_err();
        assert!(err.to_string().contains("has 1055 bytes"), "{err}");
    }

    #[test]
    fn a_folder_without_data_cannot_be_made_alone() {
        let stopped = Stopped { data_dir: Tree::new().host.path("/data"), peer_url: String::new() };
        let err = alone(&stopped).unwrap_err().to_string();
        assert!(err.ends_with("has no data of etcd: name it with --data-dir"), "{err}");
    }
}
