//! The volume serial number, changed in place.
//!
//! | bytes of the boot sector | field |
//! | --- | --- |
//! | 14..16 | reserved sectors |
//! | 22..24 | sectors per FAT; 0 on FAT32 |
//! | 11..13 | bytes per sector |
//! | 38, 39..43 | FAT16: signature 0x29, serial |
//! | 50..52 | FAT32: sector of the backup boot sector |
//! | 66, 67..71 | FAT32: signature 0x29, serial |
//! | 510..512 | 0x55 0xaa |

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::FatError;
use crate::device::{Extent, Window};

const EXTENDED_SIGNATURE: u8 = 0x29;

/// Returns the volume serial number of the FAT in `extent`.
pub fn read_serial(dev: &mut (impl Read + Seek), extent: Extent) -> Result<u32, FatError> {
    let (sector, places) = boot_sector(dev, extent)?;
    let at = places.serial_in_sector;
    Ok(u32::from_le_bytes(sector[at..at + 4].try_into().expect("four bytes were cut")))
}

/// Changes the volume serial number of the FAT in `extent`, in the backup boot sector of FAT32 too. Does not
/// sync.
pub fn set_serial(dev: &mut (impl Read + Write + Seek), extent: Extent, serial: u32) -> Result<(), FatError> {
    let (_, places) = boot_sector(dev, extent)?;
    let mut window = Window::new(dev, extent);
    let in_sector = u64::try_from(places.serial_in_sector).expect("below 512");
    let mut write = |sector_at: u64| -> io::Result<()> {
        window.seek(SeekFrom::Start(sector_at + in_sector))?;
        window.write_all(&serial.to_le_bytes())
    };
    let sectors = places.backup_at.into_iter().chain([0]);
    sectors
        .into_iter()
        .try_for_each(&mut write)
        .map_err(|source| FatError::Volume { doing: "writing", source })
}

struct Places {
    serial_in_sector: usize,
    backup_at: Option<u64>,
}

fn boot_sector(dev: &mut (impl Read + Seek), extent: Extent) -> Result<([u8; 512], Places), FatError> {
    let mut sector = [0; 512];
    let mut window = Window::new(dev, extent);
    window.read_exact(&mut sector).map_err(|source| FatError::Volume { doing: "reading", source })?;
    let half = |at: usize| u16::from_le_bytes([sector[at], sector[at + 1]]);
    let refuse =
        |field, expected, found: u16| Err(FatError::BootSector { field, expected, found: found.into() });
    if half(510) != 0xaa55 {
        return refuse("signature", "0x55 0xaa", half(510));
    }
    let sector_size = half(11);
    if ![512, 1024, 2048, 4096].contains(&sector_size) {
        return refuse("bytes per sector", "512, 1024, 2048 or 4096", sector_size);
    }
    let is_fat32 = half(22) == 0;
    let signature_at = if is_fat32 { 66 } else { 38 };
    if sector[signature_at] != EXTENDED_SIGNATURE {
        return refuse("extended boot signature", "0x29", sector[signature_at].into());
    }
    let backup = half(50);
    let backup_at = match backup {
        _ if !is_fat32 => None,
        // Both values say that there is none (fatgen103, BPB_BkBootSec).
        0 | 0xffff => None,
        backup if half(14) <= backup => return refuse("backup boot sector", "a reserved sector", backup),
        backup => Some(u64::from(backup) * u64::from(sector_size)),
    };
    Ok((sector, Places { serial_in_sector: signature_at + 1, backup_at }))
}
