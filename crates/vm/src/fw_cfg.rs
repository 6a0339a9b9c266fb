//! Entries of QEMU's firmware configuration, each a file in the machine's folder: an argument has at most 128 KiB
//! and no zero byte, and every user of the host can read it.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::machine::{DIR, escape};

/// The folder of the entries, in that of the machine.
const FOLDER: &str = "fw_cfg";

/// Returns QEMU's arguments for the entries, by their names below `opt/`.
pub(crate) fn arguments(entries: &BTreeMap<String, Vec<u8>>) -> impl Iterator<Item = String> {
    let named = entries.keys().enumerate();
    named.map(|(idx, name)| format!("name=opt/{},file={DIR}/{FOLDER}/{idx}", escape(name)))
}

/// Writes the entries into the machine's folder in the place of those of its last start; they may hold secrets.
pub(crate) fn write(dir: &Path, entries: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let folder = dir.join(FOLDER);
    match fs::remove_dir_all(&folder) {
        Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    if entries.is_empty() {
        return Ok(());
    }
    fs::create_dir(&folder)?;
    for (idx, bytes) in entries.values().enumerate() {
        let path = folder.join(idx.to_string());
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn entries_are_files_for_their_owner_that_keep_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let mut entries = BTreeMap::new();
        entries.insert("a/metadata".to_owned(), b"{}".to_vec());
        entries
            .insert("a/user,data".to_owned(), [b"#!/bin/sh\n\0,\x1f\x8b".as_slice(), &[7; 1 << 20]].concat());
        write(dir.path(), &entries).unwrap();
        let arguments: Vec<_> = arguments(&entries).collect();
        assert_eq!(
            arguments,
            ["name=opt/a/metadata,file=/vm/fw_cfg/0", "name=opt/a/user,,data,file=/vm/fw_cfg/1"]
        );
        for (idx, bytes) in entries.values().enumerate() {
            let path = dir.path().join(format!("fw_cfg/{idx}"));
            assert_eq!(fs::read(&path).unwrap(), *bytes);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn entries_of_an_earlier_start_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("a".to_owned(), b"secret".to_vec()), ("b".to_owned(), Vec::new())].into())
            .unwrap();
        write(dir.path(), &[("b".to_owned(), b"other".to_vec())].into()).unwrap();
        assert_eq!(fs::read(dir.path().join("fw_cfg/0")).unwrap(), b"other");
        assert!(!dir.path().join("fw_cfg/1").exists());
        write(dir.path(), &BTreeMap::new()).unwrap();
        assert!(!dir.path().join("fw_cfg").exists());
    }
}
