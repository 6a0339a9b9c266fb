//! Edits the disk of a machine that is off, through the same crates that write it on a machine that is on.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use disk_image::{Extent, LogicalBlockSize, PartitionType, SlotContent, SlotPartitions, Table, fat};
use payload::Digest;
use vm::{Home, Sandbox};

use crate::image::Image;

const BLOCK_SIZE: LogicalBlockSize = LogicalBlockSize::Lb512;
const ENTRIES: &str = "EFI/Linux";
/// Folder and name of the boot loader's copies.
const LOADERS: [(&str, &str); 2] = [("EFI/BOOT", "BOOTX64.EFI"), ("EFI/systemd", "systemd-bootx64.efi")];
/// What stands before the version in a boot loader.
const LOADER_MARK: &[u8] = b"#### LoaderInfo: systemd-boot ";
/// Time of the files that are written, seconds since 1970.
const MTIME_SECS: u64 = 1_700_000_000;

/// The raw disk of a machine that is off.
#[derive(Debug)]
pub struct Disk {
    file: File,
    table: Table,
}

impl Disk {
    /// Opens the disk of `home`, which has to be a raw copy.
    pub fn open(home: &Home) -> anyhow::Result<Self> {
        ensure!(home.disk_format()? == vm::machine::DiskFormat::Raw, "the disk is no raw file");
        let mut file =
            File::options().read(true).write(true).open(home.disk()).context("opening the disk")?;
        let table = Table::read(&mut file, BLOCK_SIZE).context("reading the partition table")?;
        Ok(Self { file, table })
    }

    /// Returns the place of the root partition.
    pub fn root(&self) -> anyhow::Result<Extent> {
        self.first(PartitionType::RootX86_64)
    }

    /// Fills the slot that does not hold a version with `image` and writes its entry under `name`.
    /// Returns the place of `/usr`.
    pub fn install(&mut self, image: &Image, name: &str) -> anyhow::Result<Extent> {
        let slot = self.empty_slot()?;
        let identity = image.identity()?;
        let open = |path: &Path| File::open(path).with_context(|| format!("opening {}", path.display()));
        let (usr, verity) = (open(&image.usr)?, open(&image.verity)?);
        let (usr_len, verity_len) = (usr.metadata()?.len(), verity.metadata()?.len());
        let content = SlotContent { usr, usr_len, verity, verity_len };
        disk_image::fill_slot(&mut self.file, &mut self.table, slot, &identity, content, |_, _, _| Ok(()))
            .context("filling the slot")?;
        let uki = std::fs::read(&image.uki).with_context(|| format!("reading {}", image.uki.display()))?;
        self.write_entry(name, &uki)?;
        Ok(self.table.partition(slot.usr)?.extent)
    }

    /// Returns the place of the `/usr` that holds `image`.
    pub fn slot_of(&self, image: &Image) -> anyhow::Result<Extent> {
        let uuid = image.identity()?.usr_uuid;
        let found = self.table.partitions().into_iter().find(|partition| partition.uuid == uuid);
        Ok(found.with_context(|| format!("no slot holds version {}", image.version))?.extent)
    }

    /// Flips one byte near the start of the file `path` (as seen from `/usr`) of the `image` at `usr`.
    pub fn corrupt_file(
        &mut self,
        sandbox: &Sandbox,
        image: &Image,
        usr: Extent,
        path: &str,
    ) -> anyhow::Result<()> {
        let at = usr.offset + place_of_file(sandbox, image, path)?;
        let mut byte = [0];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut byte)?;
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(&[byte[0] ^ 0xff])?;
        self.file.sync_all().context("syncing the disk")
    }

    /// Changes one digit of the root hash in the entry `name`, so that its slot cannot be found.
    pub fn break_root_hash(&mut self, image: &Image, name: &str) -> anyhow::Result<()> {
        let esp = self.esp()?;
        let mut uki = fat::read_file(&mut self.file, esp, &format!("{ENTRIES}/{name}"))?;
        let argument = format!("usrhash={}", image.root_hash);
        let at = uki.windows(argument.len()).position(|window| window == argument.as_bytes());
        let last = at.with_context(|| format!("no `{argument}` in {name}"))? + argument.len() - 1;
        uki[last] = if uki[last] == b'0' { b'1' } else { b'0' };
        self.write_entry(name, &uki)
    }

    /// Overwrites the header of the primary partition table.
    pub fn lose_primary_table(&mut self) -> anyhow::Result<()> {
        self.file.seek(SeekFrom::Start(512))?;
        self.file.write_all(&[0; 512])?;
        let source = Table::read(&mut self.file, BLOCK_SIZE).context("reading the backup")?.source();
        ensure!(source == disk_image::Source::Backup, "the table was read from {source:?}");
        self.file.sync_all().context("syncing the disk")
    }

    /// Makes each copy of the boot loader say that it is older than any.
    pub fn age_loaders(&mut self) -> anyhow::Result<()> {
        let esp = self.first(PartitionType::Esp)?;
        for (folder, name) in LOADERS {
            let mut bytes = fat::read_file(&mut self.file, esp, &format!("{folder}/{name}"))?;
            let at = bytes.windows(LOADER_MARK.len()).position(|window| window == LOADER_MARK);
            let version = at.with_context(|| format!("{name} says no version"))? + LOADER_MARK.len();
            bytes[version] = b'0';
            let len = u32::try_from(bytes.len())?;
            let stored = fat::store(&mut self.file, esp, &mut &bytes[..], len)?;
            fat::put_whole(&mut self.file, esp, folder, name, &stored)?;
        }
        Ok(())
    }

    /// Writes a file of the partition that people edit on their desktops.
    pub fn write_oem(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let oem = self.first(PartitionType::BasicData)?;
        fat::write_file_durable(&mut self.file, oem, name, bytes, MTIME_SECS)
            .with_context(|| format!("writing {name} of the OEM"))
    }

    fn write_entry(&mut self, name: &str, uki: &[u8]) -> anyhow::Result<()> {
        let esp = self.esp()?;
        fat::write_file_durable(&mut self.file, esp, &format!("{ENTRIES}/{name}"), uki, MTIME_SECS)
            .with_context(|| format!("writing the entry {name}"))
    }

    fn empty_slot(&self) -> anyhow::Result<SlotPartitions> {
        for slot in disk_image::slots(&self.table)? {
            if self.table.partition(slot.usr)?.label == disk_image::EMPTY_LABEL {
                return Ok(slot);
            }
        }
        bail!("no slot is empty")
    }

    /// Returns the place of the EFI system partition.
    pub fn esp(&self) -> anyhow::Result<Extent> {
        self.first(PartitionType::Esp)
    }

    /// Returns the places of the partition table: in front of the first partition, and behind the last.
    pub fn table_places(&self) -> anyhow::Result<[Extent; 2]> {
        let partitions = self.table.partitions();
        let start = partitions.iter().map(|partition| partition.extent.offset).min();
        let end = partitions.iter().map(|partition| partition.extent.offset + partition.extent.len).max();
        let (start, end) = start.zip(end).context("the disk has no partition")?;
        let len = self.file.metadata()?.len();
        Ok([Extent { offset: 0, len: start }, Extent { offset: end, len: len - end }])
    }

    /// Returns a digest that tells whether the bytes at `extent` are still the same.
    pub fn fingerprint(&mut self, extent: Extent) -> anyhow::Result<Digest> {
        self.file.seek(SeekFrom::Start(extent.offset))?;
        let (mut left, mut digests) = ((&self.file).take(extent.len), vec![]);
        while 0 < left.limit() {
            let mut chunk = vec![];
            left.by_ref().take(1 << 20).read_to_end(&mut chunk).context("reading the disk")?;
            ensure!(!chunk.is_empty(), "the disk ends too early");
            digests.extend(Digest::of(&chunk).0);
        }
        Ok(Digest::of(&digests))
    }

    fn first(&self, kind: PartitionType) -> anyhow::Result<Extent> {
        let found = self.table.partitions().into_iter().find(|partition| partition.type_guid == kind.guid());
        Ok(found.with_context(|| format!("the disk has no {kind:?} partition"))?.extent)
    }
}

/// Returns where in the `/usr` of `image` a byte of the file `path` lies that no start of the program can do without.
pub fn place_of_file(sandbox: &Sandbox, image: &Image, path: &str) -> anyhow::Result<u64> {
    let mut command = sandbox.clone().ro_bind(&image.usr).command("dump.erofs");
    command.args(["-e", "--path", path]).arg(&image.usr).stdin(Stdio::null());
    let out = command.output().context("running dump.erofs")?;
    let text = String::from_utf8_lossy(&out.stdout);
    let extents = physical_extents(&text);
    // The first extent has the program's header.
    let (start, end) = extents.first().with_context(|| format!("no extents of {path} in: {text}"))?;
    Ok((start + end) / 2)
}

/// Reads the table of `dump.erofs -e`, whose rows end in `| start..end | length` of the physical bytes.
fn physical_extents(text: &str) -> Vec<(u64, u64)> {
    let row = |line: &str| {
        // The heading and the summary have no such range.
        let (start, end) = line.rsplit_once("..")?;
        Some((
            start.split_whitespace().next_back()?.parse().ok()?,
            end.split_whitespace().next()?.parse().ok()?,
        ))
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_physical_column_of_the_table() {
        let text = "Path : /sbin/dockerd
Size: 500000  On-disk size: 126976  regular file

 Ext:   logical offset   |  length :     physical offset    |  length
   0:        0..  262144 |  262144 :       4096..     69632 |   65536
   1:   262144..  500000 |  237856 :      69632..    131072 |   61440
/sbin/dockerd: 2 extents found
";
        assert_eq!(physical_extents(text), [(4096, 69632), (69632, 131072)]);
    }
}
