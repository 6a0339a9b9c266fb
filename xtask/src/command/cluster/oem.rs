//! The image behind all disks: a copy of the built one, with the cluster's cloud-config where a maker's would be.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use disk_image::{Extent, fat};

use crate::manifest::Manifest;

/// Label of the partition.
const LABEL: &str = "oem";
/// The machine's base, on that partition.
pub const FILE: &str = "cloud-config.yml";
/// Time of the file, seconds since 1970; nobody reads it.
const MTIME_SECS: u64 = 1_700_000_000;

/// Returns where the partition is on a built image.
pub fn extent(manifest: &Manifest) -> anyhow::Result<Extent> {
    let row = manifest.partitions.iter().find(|row| row.label == LABEL);
    let row =
        row.with_context(|| format!("the manifest has no partition `{LABEL}`: build the image anew"))?;
    Ok(Extent { offset: row.offset, len: row.size })
}

/// Writes the cloud-config into the image at `path`.
pub fn write(path: &Path, oem: Extent, config: &str) -> anyhow::Result<()> {
    let image = File::options().read(true).write(true).open(path);
    let mut image = image.with_context(|| format!("opening {}", path.display()))?;
    fat::write_file_durable(&mut image, oem, FILE, config.as_bytes(), MTIME_SECS)
        .with_context(|| format!("writing {FILE} into {}", path.display()))
}

#[cfg(test)]
mod tests {
    use disk_image::LogicalBlockSize;
    use disk_image::fat::FatSpec;

    use super::*;

    #[test]
    fn the_partition_has_the_config_that_was_written_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw");
        let oem = Extent { offset: 1 << 20, len: 64 << 20 };
        let mut image =
            File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
        image.set_len(oem.end()).unwrap();
        let spec = FatSpec {
            label: "OEM".to_owned(),
            serial: 7,
            mtime_secs: MTIME_SECS,
            block_size: LogicalBlockSize::Lb512,
        };
        let files: [(&str, &[u8]); 0] = [];
        fat::format(&mut image, oem, &spec, files).unwrap();
        for text in ["#cloud-config\nhostname: a\n", "#cloud-config\n"] {
            write(&path, oem, text).unwrap();
            assert_eq!(fat::read_file(&mut image, oem, FILE).unwrap(), text.as_bytes());
        }
    }
}
