//! What starts from the network: kernel, initrd and command line of the payload's kernel image, and a disk with its `/usr`.

use std::io::Cursor;

use anyhow::Context as _;
use disk_image::{LogicalBlockSize, Table};
use uki::Section;

use super::Release;
use crate::manifest::Artifact;
use crate::segments::unpack;
use crate::stage::netboot::DISK;
use crate::{hash, payload_file};

/// Fails with what is not that of the payload.
pub fn check(release: &Release) -> anyhow::Result<()> {
    let [kernel, initrd, script] = release.names.netboot();
    let payload = release.file(&release.names.payload())?;
    let layout = payload_file::inspect(&payload)?.manifest.layout;
    let bytes = {
        use std::os::unix::fs::FileExt as _;
        let mut bytes = vec![0; usize::try_from(layout.uki.len)?];
        let file = std::fs::File::open(&payload).with_context(|| format!("opening {}", payload.display()))?;
        file.read_exact_at(&mut bytes, layout.uki.offset)
            .with_context(|| format!("reading {}", payload.display()))?;
        bytes
    };
    anyhow::ensure!(
        hash::of_bytes(&bytes) == release.artifact("uki")?.sha256,
        "the payload has another kernel image"
    );
    let image = uki::validate_uki(&bytes).context("reading the kernel image of the payload")?;
    let section = |section: Section| image.pe().read_section(section).unwrap_or_default();
    anyhow::ensure!(
        release.read(&kernel)? == section(Section::Linux),
        "{kernel} is another kernel than the image's"
    );
    let content = release.read(&initrd)?;
    let first = [section(Section::Ucode), section(Section::Initrd)].concat();
    let added = content.strip_prefix(first.as_slice());
    let added = added.with_context(|| format!("{initrd} does not begin with the initrd of the image"))?;
    disk(added, release.artifact("usr")?, release.artifact("verity")?).context(initrd)?;
    let text = String::from_utf8(release.read(&script)?).with_context(|| format!("reading {script}"))?;
    let cmdline = image.text(Section::Cmdline)?.context("the kernel image has no command line")?;
    let cmdline = cmdline.trim_end_matches(['\n', '\0']);
    anyhow::ensure!(
        text.contains(&format!(" {cmdline} ")),
        "{script} has not the image's command line: {cmdline}"
    );
    Ok(())
}

/// The disk in the archive has `/usr` and its hash tree as partitions.
fn disk(archive: &[u8], usr: &Artifact, verity: &Artifact) -> anyhow::Result<()> {
    let entries = unpack::entries(archive)?;
    let disk =
        entries.iter().find(|entry| entry.path == DISK).with_context(|| format!("it has no {DISK}"))?;
    let table = Table::read(&mut Cursor::new(&disk.data), LogicalBlockSize::Lb512)?;
    for (number, artifact) in [(2_u32, usr), (3, verity)] {
        let partition = table.partition(number).with_context(|| format!("reading the table of {DISK}"))?;
        let (start, len) = (usize::try_from(partition.extent.offset)?, usize::try_from(artifact.size)?);
        let content = disk.data.get(start..start.saturating_add(len));
        let content = content.with_context(|| format!("partition {number} of {DISK} is cut off"))?;
        anyhow::ensure!(
            hash::of_bytes(content) == artifact.sha256,
            "partition {number} of {DISK} does not hold {}",
            artifact.file
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Node, Tree};

    fn artifact(bytes: &[u8]) -> Artifact {
        Artifact {
            file: "x".to_owned(),
            size: u64::try_from(bytes.len()).unwrap(),
            sha256: hash::of_bytes(bytes),
        }
    }

    #[test]
    fn a_changed_byte_of_the_disk_is_found_and_so_is_its_lack() {
        let (usr, verity) = (vec![0xa7; 5000], vec![0xc3; 4096]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let hashes = verity::RootHash([3; 32]);
        crate::stage::netboot::tests::small_disk(&path, &hashes, &usr, &verity);
        let whole = std::fs::read(&path).unwrap();
        let judged = |bytes: Vec<u8>, name: &str| {
            let mut tree = Tree::default();
            tree.insert(name, Node::file(bytes));
            let mut archive = vec![];
            crate::tree::cpio::write_cpio(&tree, 1, &mut archive).unwrap();
            disk(&archive, &artifact(&usr), &artifact(&verity)).map_err(|err| format!("{err:#}"))
        };
        judged(whole.clone(), DISK).unwrap();
        let mut changed = whole.clone();
        let at = whole.windows(verity.len()).position(|part| part == verity).unwrap();
        changed[at] ^= 1;
        assert!(judged(changed, DISK).unwrap_err().contains("partition 3"));
        assert!(judged(whole, "netboot/other").unwrap_err().contains("it has no netboot/disk"));
    }
}
