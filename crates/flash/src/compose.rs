//! An image that is laid anew from parts: for a device whose blocks have another size, or from a machine that has no
//! image. It is read like one that was built, so what is written, in which order and how it is verified is the same.

use std::io::{self, Read, Seek as _, SeekFrom, Write as _};

use disk_image::fat::{self, FatError, FatSpec};
use disk_image::{
    DiskPlan, Extent, LogicalBlockSize, PartitionPlan, PartitionType, PlanError, Uuid, cleared_uuid,
    write_table,
};
use slots::{PartUuid, SlotLabel, Version, part_uuids};

use crate::sheet::Sheet;

/// Time of files on both FATs, seconds since 1970; nobody reads it.
const MTIME_SECS: u64 = 1_700_000_000;

/// Lengths of the partitions, in bytes; both slots are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// EFI system partition.
    pub esp: u64,
    /// `/usr` of a slot.
    pub usr: u64,
    /// Its hash tree.
    pub verity: u64,
    /// First-boot input.
    pub oem: u64,
}

/// What an image is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Bytes of a logical block of the device.
    pub block_size: LogicalBlockSize,
    /// Lengths of the partitions.
    pub sizes: Sizes,
    /// Version in slot A.
    pub version: &'a Version,
    /// Root hash of its `/usr`.
    pub root_hash: &'a [u8; 32],
    /// Length in bytes of the image of its `/usr`, which is read later.
    pub usr_len: u64,
    /// Superblock and hash tree of its `/usr`.
    pub verity: &'a [u8],
    /// Files of the EFI system partition: path from its root, bytes. The order decides where their bytes lie.
    pub esp: &'a [(String, Vec<u8>)],
    /// Files of `oem`.
    pub oem: &'a [(String, Vec<u8>)],
}

/// Why no image could be made of the parts.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A partition has no room for what belongs on it.
    #[error("partition `{label}` has {expected} bytes, {found} are needed")]
    TooLarge {
        /// Its label.
        label: String,
        /// Bytes of the partition.
        expected: u64,
        /// Bytes needed.
        found: u64,
    },
    /// No table could be made.
    #[error("making the partition table")]
    Table(#[from] PlanError),
    /// A FAT could not be made.
    #[error("making partition `{label}`")]
    Fat {
        /// Its label.
        label: &'static str,
        /// The cause.
        #[source]
        source: FatError,
    },
    /// The hash tree does not get into memory.
    #[error("putting the hash tree into its partition")]
    Verity(#[source] io::Error),
}

/// An image but for its `/usr`, in memory.
#[derive(Debug)]
pub struct Composed {
    sheet: Sheet,
    len: u64,
    /// Where the image of `/usr` lies.
    usr: Extent,
}

/// Lays out the table, slot A but for its `/usr`, an empty slot B, and both FATs.
///
/// Identifiers are those of no device: [`crate::Plan`] gives it its own.
pub fn compose(parts: &Parts<'_>) -> Result<Composed, ComposeError> {
    let mut plan = plan(parts);
    plan.size_bytes = plan.min_size_bytes()?;
    let len = plan.size_bytes;
    let mut sheet = Sheet::new(len, [].into());
    let extents = write_table(&mut sheet, &plan)?;
    let [esp, usr, verity, _, _, oem] = extents[..] else { unreachable!("six partitions were planned") };
    let verity_len = len_of(parts.verity);
    for (idx, extent, found) in [(1, usr, parts.usr_len), (2, verity, verity_len)] {
        if extent.len < found {
            let label = plan.partitions[idx].label.clone();
            return Err(ComposeError::TooLarge { label, expected: extent.len, found });
        }
    }
    for (extent, label, files) in [(esp, "ESP", parts.esp), (oem, "OEM", parts.oem)] {
        let spec = FatSpec {
            label: label.to_owned(),
            serial: 0,
            mtime_secs: MTIME_SECS,
            block_size: parts.block_size,
        };
        let files = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        fat::format(&mut sheet, extent, &spec, files)
            .map_err(|source| ComposeError::Fat { label, source })?;
    }
    let put = sheet.seek(SeekFrom::Start(verity.offset)).and_then(|_| sheet.write_all(parts.verity));
    put.map_err(ComposeError::Verity)?;
    Ok(Composed { sheet, len, usr: Extent { len: parts.usr_len, ..usr } })
}

fn plan(parts: &Parts<'_>) -> DiskPlan {
    let Sizes { esp, usr, verity, oem } = parts.sizes;
    let (usr_uuid, verity_uuid) = part_uuids(parts.root_hash);
    let filled = |uuid: PartUuid| Some(Uuid::from_bytes(uuid.0));
    let slot = |label: SlotLabel| label.to_string();
    let (of_usr, of_verity) =
        (SlotLabel::Usr(parts.version.clone()), SlotLabel::Verity(parts.version.clone()));
    let partitions = [
        ("esp".to_owned(), PartitionType::Esp, None, esp),
        (slot(of_usr), PartitionType::UsrX86_64, filled(usr_uuid), usr),
        (slot(of_verity), PartitionType::UsrVerityX86_64, filled(verity_uuid), verity),
        (slot(SlotLabel::Empty), PartitionType::UsrX86_64, None, usr),
        (slot(SlotLabel::Empty), PartitionType::UsrVerityX86_64, None, verity),
        ("oem".to_owned(), PartitionType::BasicData, None, oem),
    ];
    let numbered = (1..).zip(partitions);
    let partitions = numbered.map(|(number, (label, kind, uuid, size_bytes))| {
        // Those without one of their own get it with the device's identity, or when the slot is filled.
        PartitionPlan { label, kind, uuid: uuid.unwrap_or(cleared_uuid(number)), size_bytes }
    });
    let partitions = partitions.collect();
    DiskPlan { disk_guid: Uuid::nil(), size_bytes: 0, block_size: parts.block_size, partitions }
}

impl Composed {
    /// Returns the image's bytes from its start; `usr` gives those of its `/usr`.
    pub fn reader<R: Read>(&self, usr: R) -> impl Read {
        Reader { composed: self, usr, position: 0 }
    }
}

struct Reader<'a, R> {
    composed: &'a Composed,
    usr: R,
    position: u64,
}

impl<R: Read> Read for Reader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Composed { sheet, len, usr } = self.composed;
        let at = self.position;
        let end = if at < usr.offset {
            usr.offset
        } else if at < usr.end() {
            usr.end()
        } else {
            *len
        };
        let most = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(buf.len());
        let n = if (usr.offset..usr.end()).contains(&at) {
            match self.usr.read(&mut buf[..most])? {
                0 if 0 < most => {
                    let what = format!("/usr ends {} bytes early", usr.end() - at);
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
                }
                n => n,
            }
        } else {
            sheet.read_at(at, &mut buf[..most])
        };
        self.position += len_of(&buf[..n]);
        Ok(n)
    }
}

fn len_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
