//! Disks of machines that are off, written as sticks and disks are: flashed with an image, or laid anew from its parts
//! for blocks of another size.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context as _, ensure};
use disk_image::{Extent, LogicalBlockSize, PartitionType, Table, fat};
use flash::open::{Opened, look};
use flash::{Parts, Plan, Sizes, compose, survey, write};

use crate::image::{Image, root_hash};

/// Files of the image's ESP beside its entry.
const ESP_FILES: [&str; 3] =
    ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi", "loader/loader.conf"];

/// Makes the file `path` a stick of `len` bytes that `image` was flashed onto, with a cloud-config.
pub fn stick(image: &Image, path: &Path, len: u64, config: &str) -> anyhow::Result<()> {
    let open = || File::open(&image.raw).with_context(|| format!("opening {}", image.raw.display()));
    let files: [(&str, &[u8]); 1] = [("cloud-config.yml", config.as_bytes())];
    put(path, len, LogicalBlockSize::Lb512, &files, open)
}

/// Makes the file `path` a disk of `len` bytes with `image` and blocks of 4096 bytes.
pub fn disk_4096(image: &Image, path: &Path, len: u64) -> anyhow::Result<()> {
    let block_size = LogicalBlockSize::Lb4096;
    let mut raw = File::open(&image.raw).with_context(|| format!("opening {}", image.raw.display()))?;
    let partitions = Table::read(&mut raw, LogicalBlockSize::Lb512)?.partitions();
    let extent = |kind: PartitionType| -> anyhow::Result<Extent> {
        let found = partitions.iter().find(|partition| partition.type_guid == kind.guid());
        Ok(found.with_context(|| format!("the image has no {kind:?}"))?.extent)
    };
    let esp = extent(PartitionType::Esp)?;
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let mut files = vec![(format!("EFI/Linux/{}", image.blessed_entry()), read(&image.uki)?)];
    for name in ESP_FILES {
        files.push((name.to_owned(), fat::read_file(&mut raw, esp, name)?));
    }
    let root = root_hash(&image.root_hash).context("the image has no root hash")?;
    let parts = Parts {
        block_size,
        sizes: Sizes {
            esp: esp.len,
            usr: extent(PartitionType::UsrX86_64)?.len,
            verity: extent(PartitionType::UsrVerityX86_64)?.len,
            oem: extent(PartitionType::BasicData)?.len,
        },
        version: &image.version,
        root_hash: &root,
        usr_len: std::fs::metadata(&image.usr)?.len(),
        verity: &read(&image.verity)?,
        esp: &files,
        oem: &[],
    };
    let composed = compose(&parts)?;
    let open = || File::open(&image.usr).with_context(|| format!("opening {}", image.usr.display()));
    put(path, len, block_size, &[], || Ok(composed.reader(open()?)))
}

fn put<R: Read>(
    path: &Path,
    len: u64,
    block_size: LogicalBlockSize,
    files: &[(&str, &[u8])],
    reader: impl Fn() -> anyhow::Result<R>,
) -> anyhow::Result<()> {
    let doing = || format!("writing {}", path.display());
    File::create(path).and_then(|file| file.set_len(len)).with_context(doing)?;
    let survey =
        survey(&mut reader()?, block_size, &mut |_| ControlFlow::Continue(())).with_context(doing)?;
    let named = look(Path::new("/"), path, &[]).with_context(doing)?;
    ensure!(named.refusals.is_empty(), "{}: {:?}", path.display(), named.refusals);
    let mut opened = Opened::open(&named).with_context(doing)?;
    let mut random = File::open("/dev/urandom").context("opening /dev/urandom")?;
    let plan = Plan::new(&survey, len, files, |buffer| random.read_exact(buffer)).with_context(doing)?;
    write(&mut opened, &mut reader()?, &plan, &mut |_| ControlFlow::Continue(())).with_context(doing)?;
    Ok(())
}
