//! Writes a tree as a tar stream in path order: what `mkfs.erofs --tar=f` turns into an image.

use std::fs::File;
use std::io::Write;

use anyhow::Context as _;

use super::{Content, Kind, Tree};

/// Writes every node below the root with its owner and mode, all with one modification time
/// (seconds since 1970).
pub fn write_tar(tree: &Tree, mtime: u64, out: impl Write) -> anyhow::Result<()> {
    let mut tar = tar::Builder::new(out);
    tar.mode(tar::HeaderMode::Deterministic);
    let mut root = header(tar::EntryType::Directory, 0o755, 0, 0, mtime);
    root.set_size(0);
    tar.append_data(&mut root, "./", std::io::empty()).context("writing the root folder")?;
    for (path, node) in &tree.0 {
        let entry = match &node.kind {
            Kind::Dir => tar::EntryType::Directory,
            Kind::File(_) => tar::EntryType::Regular,
            Kind::Symlink(_) => tar::EntryType::Symlink,
        };
        let mut header = header(entry, node.mode, node.uid, node.gid, mtime);
        let result = match &node.kind {
            Kind::Dir => tar.append_data(&mut header, format!("{path}/"), std::io::empty()),
            Kind::Symlink(target) => tar.append_link(&mut header, path, target),
            Kind::File(Content::Bytes(bytes)) => {
                header.set_size(u64::try_from(bytes.len())?);
                tar.append_data(&mut header, path, bytes.as_slice())
            }
            Kind::File(Content::Disk(disk)) => {
                let file = File::open(disk).with_context(|| format!("opening {}", disk.display()))?;
                header
                    .set_size(file.metadata().with_context(|| format!("reading {}", disk.display()))?.len());
                tar.append_data(&mut header, path, file)
            }
        };
        result.with_context(|| format!("writing {path}"))?;
    }
    tar.into_inner().context("ending the stream")?.flush().context("ending the stream")
}

fn header(entry: tar::EntryType, mode: u32, uid: u32, gid: u32, mtime: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(entry);
    header.set_mode(mode);
    header.set_uid(u64::from(uid));
    header.set_gid(u64::from(gid));
    header.set_mtime(mtime);
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::Node;
    use super::*;

    #[test]
    fn keeps_owner_mode_links_and_long_names() {
        let long = format!("usr/{}", "x".repeat(150));
        let mut tree = Tree::default();
        tree.insert("usr/sbin/p", Node { mode: 0o2755, gid: 42, ..Node::file("data") });
        tree.insert("usr/link", Node::symlink("sbin/p"));
        tree.insert(&long, Node::file("y"));
        let mut bytes = Vec::new();
        write_tar(&tree, 7, &mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let header = entry.header();
            seen.push((
                entry.path().unwrap().to_str().unwrap().to_owned(),
                header.mode().unwrap(),
                header.gid().unwrap(),
                header.mtime().unwrap(),
                text,
            ));
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.contains(&("usr/sbin/p".into(), 0o2755, 42, 7, "data".into())));
        assert!(seen.iter().any(|row| row.0 == long && row.4 == "y"));
    }
}
