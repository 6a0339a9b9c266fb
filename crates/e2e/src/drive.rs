//! A drive that holds user data: a FAT on all of a file.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use disk_image::fat::{self, FatSpec};
use disk_image::{Extent, LogicalBlockSize};

const LEN: u64 = 8 << 20;
const WHOLE: Extent = Extent { offset: 0, len: LEN };
const SERIAL: u32 = 0x2014_0707;
/// Time of its files, seconds since 1970.
const MTIME_SECS: u64 = 1_700_000_000;

/// Makes the file of a drive with a label and files, each a path and its bytes.
pub fn make(path: &Path, label: &str, files: &[(&str, &[u8])]) -> anyhow::Result<()> {
    let mut options = File::options();
    let opened = options.read(true).write(true).create(true).truncate(true).open(path);
    let mut file = opened.with_context(|| format!("creating {}", path.display()))?;
    file.set_len(LEN).with_context(|| format!("growing {}", path.display()))?;
    let block_size = LogicalBlockSize::Lb512;
    let spec = FatSpec { label: label.to_owned(), serial: SERIAL, mtime_secs: MTIME_SECS, block_size };
    fat::format(&mut file, WHOLE, &spec, files.iter().copied())
        .with_context(|| format!("making the drive {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_has_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("drive");
        let long = "openstack/latest/meta_data.json";
        make(&path, "CONFIG-2", &[("a", b"1"), (long, b"{}")]).unwrap();
        let mut file = File::options().read(true).write(true).open(&path).unwrap();
        let mut read = |name| fat::read_file(&mut file, WHOLE, name).unwrap();
        assert_eq!((read("a"), read(long)), (b"1".to_vec(), b"{}".to_vec()));
    }
}
