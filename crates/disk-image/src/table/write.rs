//! Writes both copies so that a power cut at any moment leaves one valid: the backup first, flushed, then the
//! primary. Only where the backup is the one valid copy does the damaged primary come first.

use std::io::{self, Read, Seek, SeekFrom, Write};

use gpt::header::{Header, HeaderBuilder};
use gpt::mbr::ProtectiveMBR;

use super::read::{array_blocks, check_entries, read_copy};
use super::{Table, TableError};
use crate::LogicalBlockSize;
use crate::device::Device;

impl Table {
    /// Writes the table: backup entries, backup header, sync; primary entries, primary header, sync.
    ///
    /// The other way round if the backup alone is valid now: what is valid is never overwritten first.
    /// The backup goes to the end that the disk has now, so a disk that grew, or a damaged copy, is repaired.
    /// The protective MBR is written only where it is missing or has the wrong size, keeping its boot code.
    pub fn write(&self, dev: &mut impl Device) -> Result<(), TableError> {
        let size = dev.seek(SeekFrom::End(0)).map_err(TableError::Device)?;
        let n_array_blocks = array_blocks(self.n_entries(), self.block_size);
        let n_blocks = size / self.block_size.as_u64();
        if n_blocks < 3 + 2 * n_array_blocks {
            return Err(TableError::DiskTooSmall { found: size });
        }
        let last_lba = n_blocks - 1;
        let primary = self.header(last_lba, true)?;
        let backup = self.header(last_lba, false)?;
        check_entries(&self.entries, primary.first_usable, primary.last_usable)?;
        let primary = self.serialize(primary, Header::write_primary)?;
        let backup = self.serialize(backup, Header::write_backup)?;
        let mbr = protective_mbr(dev, self.block_size, last_lba).map_err(TableError::Device)?;

        let is_valid = |dev: &mut _, lba| read_copy(dev, self.block_size, lba, last_lba).is_ok();
        let only_backup_is_valid = !is_valid(dev, 1) && is_valid(dev, last_lba);
        let order = if only_backup_is_valid { [primary, backup] } else { [backup, primary] };
        for copy in order {
            copy.write(dev)?;
        }
        if let Some(mbr) = mbr {
            write_at(dev, 0, &mbr)?;
            dev.sync().map_err(TableError::Device)?;
        }
        Ok(())
    }

    fn header(&self, last_lba: u64, primary: bool) -> Result<Header, TableError> {
        HeaderBuilder::new()
            .disk_guid(self.disk_guid)
            .num_parts(self.n_entries())
            .first_usable(self.first_usable_lba)
            .backup_lba(last_lba)
            .primary(primary)
            .build(self.block_size)
            .map_err(TableError::Header)
    }

    /// Lets the gpt crate write `header`, with its checksums, into memory.
    fn serialize(
        &self,
        mut header: Header,
        write: fn(&mut Header, &mut Staging, LogicalBlockSize) -> Result<usize, gpt::header::HeaderError>,
    ) -> Result<CopyBytes, TableError> {
        let block_size = self.block_size.as_u64();
        let mut staging = Staging {
            entries_at: header.part_start * block_size,
            entries: self.entries.clone(),
            position: 0,
            header: Vec::new(),
        };
        write(&mut header, &mut staging, self.block_size).map_err(TableError::Header)?;
        Ok(CopyBytes {
            entries_at: staging.entries_at,
            entries: staging.entries,
            header_at: header.current_lba * block_size,
            header: staging.header,
        })
    }
}

/// One copy of the table, ready to be written.
struct CopyBytes {
    entries_at: u64,
    entries: Vec<u8>,
    header_at: u64,
    header: Vec<u8>,
}

impl CopyBytes {
    fn write(&self, dev: &mut impl Device) -> Result<(), TableError> {
        write_at(dev, self.entries_at, &self.entries)?;
        write_at(dev, self.header_at, &self.header)?;
        dev.sync().map_err(TableError::Device)
    }
}

fn write_at(dev: &mut impl Device, offset: u64, bytes: &[u8]) -> Result<(), TableError> {
    dev.seek(SeekFrom::Start(offset)).map_err(TableError::Device)?;
    dev.write_all(bytes).map_err(TableError::Device)
}

/// Type byte of the first MBR record, and the size of that record in blocks (UEFI 2.10, tables 5.3 and 5.4).
const MBR_TYPE_AT: usize = 446 + 4;
const MBR_SIZE_AT: usize = 446 + 12;
const MBR_TYPE_PROTECTIVE: u8 = 0xee;

/// Returns the first 512 bytes of the disk with a right protective MBR, or `None` if they are right already.
///
/// A protective record of another size gets the right one and nothing else changes.
fn protective_mbr(
    dev: &mut (impl Read + Seek),
    block_size: LogicalBlockSize,
    last_lba: u64,
) -> io::Result<Option<[u8; 512]>> {
    let mut found = vec![0; block_size.as_usize()];
    dev.seek(SeekFrom::Start(0))?;
    dev.read_exact(&mut found)?;
    // Disks of 2 TiB and more: as large as the field can say.
    let n_blocks = u32::try_from(last_lba).unwrap_or(u32::MAX);
    let is_protective =
        ProtectiveMBR::from_bytes(&found, block_size).is_ok() && found[MBR_TYPE_AT] == MBR_TYPE_PROTECTIVE;
    let mut wanted = ProtectiveMBR::with_lb_size(n_blocks).to_bytes();
    if is_protective {
        wanted.copy_from_slice(&found[..512]);
        wanted[MBR_SIZE_AT..MBR_SIZE_AT + 4].copy_from_slice(&n_blocks.to_le_bytes());
    }
    Ok((wanted != found[..512]).then_some(wanted))
}

/// What the gpt crate sees of the disk while it writes a header: the entries, and one header block.
struct Staging {
    entries_at: u64,
    entries: Vec<u8>,
    position: u64,
    header: Vec<u8>,
}

impl Read for Staging {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let start = self.position.checked_sub(self.entries_at).and_then(|start| usize::try_from(start).ok());
        let rest = start.and_then(|start| self.entries.get(start..));
        let mut rest = rest.ok_or_else(|| io::Error::other("only the entries can be read back"))?;
        let n = rest.read(buf)?;
        self.position += u64::try_from(n).map_err(io::Error::other)?;
        Ok(n)
    }
}

impl Write for Staging {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.header.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Staging {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        match pos {
            SeekFrom::Start(offset) => self.position = offset,
            SeekFrom::Current(0) => {}
            SeekFrom::Current(_) | SeekFrom::End(_) => {
                return Err(io::Error::other("only absolute seeks are needed to write a header"));
            }
        }
        Ok(self.position)
    }
}
