//! Machines made of files in a temporary folder, for tests of this crate and of the agents.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::host::{Host, LOADER_VENDOR};

/// Labels of the partitions of each disk of [`two_disks`].
pub(crate) const LABELS: [&str; 7] =
    ["esp", "usr_1.0.0", "usr_1.0.0_verity", "usr_2.0.0", "usr_2.0.0_verity", "oem", "root"];

/// A temporary tree; gone when dropped.
#[derive(Debug)]
pub struct Tree {
    /// Removed with the tree.
    _dir: tempfile::TempDir,
    /// The host that has the tree for its root.
    pub host: Host,
}

impl Tree {
    /// Makes an empty tree.
    #[expect(clippy::new_without_default, reason = "makes a folder, which no default value should")]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path().to_owned());
        Self { _dir: dir, host }
    }

    /// Writes a file and makes the folders above it.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.host.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Writes a program. Another process does: a file that this one has open for writing cannot be run, not even
    /// when only a child of another test's thread holds it for the moment between fork and exec.
    pub fn program(&self, path: &str, text: &str) -> &Self {
        self.file(path, "");
        let script = r#"printf %s "$1" > "$0" && chmod 755 "$0""#;
        let status =
            Command::new("/bin/sh").arg("-c").arg(script).arg(self.host.path(path)).arg(text).status();
        assert!(status.unwrap().success());
        self
    }

    /// Sets a text variable as the boot loader does.
    pub fn loader_variable(&self, name: &str, value: &str) -> &Self {
        let mut bytes = vec![6, 0, 0, 0];
        bytes.extend(value.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        self.file(&format!("/sys/firmware/efi/efivars/{name}-{LOADER_VENDOR}"), bytes)
    }
}

/// Two disks from one image; `/usr` is on slot B of the second one.
pub fn two_disks() -> Tree {
    let tree = Tree::new();
    tree.file(
        "/proc/self/mountinfo",
        "20 1 254:7 / / rw - ext4 /dev/vdb7 rw\n21 20 253:0 / /usr ro - erofs /dev/mapper/usr ro\n",
    );
    for disk in ["vda", "vdb"] {
        let base = format!("/sys/devices/pci0000:00/{disk}");
        tree.file(&format!("{base}/queue/logical_block_size"), "512\n");
        for (i, label) in LABELS.iter().enumerate() {
            let n = i + 1;
            let dir = format!("{base}/{disk}{n}");
            tree.file(&format!("{dir}/partition"), format!("{n}\n"));
            tree.file(&format!("{dir}/uevent"), format!("DEVNAME={disk}{n}\nPARTN={n}\nPARTNAME={label}\n"));
        }
    }
    tree.file("/sys/devices/virtual/block/dm-0/slaves/.keep", "");
    tree.file("/sys/dev/block/.keep", "");
    let link = |target: &str, path: &str| symlink(target, tree.host.path(path)).unwrap();
    fs::remove_file(tree.host.path("/sys/devices/virtual/block/dm-0/slaves/.keep")).unwrap();
    link("../../devices/virtual/block/dm-0", "/sys/dev/block/253:0");
    for n in [4, 5] {
        let target = format!("../../../../pci0000:00/vdb/vdb{n}");
        link(&target, &format!("/sys/devices/virtual/block/dm-0/slaves/vdb{n}"));
    }
    tree
}
