//! Writes a tree as a cpio archive in the "newc" format, which the kernel unpacks as initramfs.
//! Source: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel.

use std::io::Write;

use anyhow::Context as _;

use super::{Kind, Tree};

const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// Writes every node with numbered inodes and one modification time (seconds since 1970, 32 bits).
pub fn write_cpio(tree: &Tree, mtime: u32, mut out: impl Write) -> anyhow::Result<()> {
    let mut ino = 0;
    for (path, node) in &tree.0 {
        ino += 1;
        let (kind, data) = match &node.kind {
            Kind::Dir => (S_IFDIR, Vec::new()),
            Kind::Symlink(target) => (S_IFLNK, target.clone().into_bytes()),
            Kind::File(_) => (S_IFREG, node.read().with_context(|| format!("packing {path}"))?),
        };
        write_entry(&mut out, ino, kind | node.mode, (node.uid, node.gid), mtime, path, &data)
            .with_context(|| format!("packing {path}"))?;
    }
    write_entry(&mut out, 0, 0, (0, 0), 0, "TRAILER!!!", &[]).context("ending the archive")
}

fn write_entry(
    out: &mut impl Write,
    ino: u32,
    mode: u32,
    owner: (u32, u32),
    mtime: u32,
    name: &str,
    data: &[u8],
) -> anyhow::Result<()> {
    let size =
        u32::try_from(data.len()).context("a file of 4 GiB or more does not fit into a cpio archive")?;
    let name_size = u32::try_from(name.len() + 1)?;
    write!(
        out,
        "070701{ino:08X}{mode:08X}{:08X}{:08X}{:08X}{mtime:08X}{size:08X}{:08X}{:08X}{:08X}{:08X}{name_size:08X}{:08X}",
        owner.0, owner.1, 1, 0, 0, 0, 0, 0
    )?;
    out.write_all(name.as_bytes())?;
    out.write_all(&[0])?;
    pad(out, 110 + name.len() + 1)?;
    out.write_all(data)?;
    pad(out, data.len())
}

fn pad(out: &mut impl Write, written: usize) -> anyhow::Result<()> {
    Ok(out.write_all(&[0; 3][..(4 - written % 4) % 4])?)
}

#[cfg(test)]
mod tests {
    use super::super::Node;
    use super::*;

    #[test]
    fn entries_start_at_multiples_of_four_and_end_with_the_trailer() {
        let mut tree = Tree::default();
        tree.insert("a/bc", Node::file("12345"));
        let mut bytes = Vec::new();
        write_cpio(&tree, 1, &mut bytes).unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let starts: Vec<_> = (0..bytes.len() - 5).filter(|at| &bytes[*at..*at + 6] == b"070701").collect();
        assert_eq!(starts.len(), 3);
        assert!(starts.iter().all(|at| at % 4 == 0));
        assert!(bytes.windows(10).any(|window| window == b"TRAILER!!!"));
    }
}
