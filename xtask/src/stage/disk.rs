//! Stage `disk`: everything on one GPT disk, written sparse, without mounting anything.

use std::fs::{self, File};
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use disk_image::fat::{self, FatSpec};
use disk_image::{DiskPlan, LogicalBlockSize, PartitionPlan, PartitionType, Uuid};
use serde::{Deserialize, Serialize};
use slots::{EntryName, SlotLabel};

use crate::ctx::Ctx;
use crate::definition::{Definition, PartitionKind};
use crate::hash::{self, Key};
use crate::identity;
use crate::keyed::{self, Timing};
use crate::manifest::Partition;
use crate::stage::{rootfs, uki, usr};

const VERSION: u32 = 2;
const BLOCK_SIZE: LogicalBlockSize = LogicalBlockSize::Lb512;
/// Loader and its path on the ESP: the one that every firmware starts from a removable disk.
pub const LOADER: (&str, &str) = ("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "EFI/BOOT/BOOTX64.EFI");

/// What the disk holds.
#[derive(Debug)]
pub struct Input<'a> {
    /// The image definition.
    pub definition: &'a Definition,
    /// Version of the image.
    pub version: &'a slots::Version,
    /// Time of every file, seconds since 1970.
    pub epoch: u64,
    /// The assembled tree, which holds the loader.
    pub rootfs: &'a rootfs::Output,
    /// Slot A.
    pub usr: &'a usr::Output,
    /// Its kernel.
    pub uki: &'a uki::Output,
}

/// The raw image.
#[derive(Debug)]
pub struct Output {
    /// Sparse file.
    pub raw: PathBuf,
    /// What the manifest says of it.
    pub facts: Facts,
    /// For the build report.
    pub timing: Timing,
}

/// What is known of a raw image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// Hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// In the order of the table.
    pub partitions: Vec<Partition>,
}

/// Lays out the table, fills slot A, makes both FATs.
pub fn run(ctx: &Ctx, input: &Input<'_>) -> anyhow::Result<Output> {
    let definition = input.definition;
    let loader_conf = ctx.repo.join("bootloader/loader.conf");
    let mut key = Key::new("disk", VERSION);
    key.add("rootfs", input.rootfs.key.as_bytes());
    key.add("usr", input.usr.key.as_bytes());
    key.add("uki", input.uki.key.as_bytes());
    key.add("version", input.version.to_string().as_bytes());
    key.add("epoch", &input.epoch.to_le_bytes());
    key.add("product", definition.product.value.as_bytes());
    key.add("partitions", format!("{:?} {:?}", definition.partitions, definition.disk_size).as_bytes());
    key.add_path("loader.conf", &loader_conf)?;
    let (dir, timing) = keyed::run(ctx, "disk", &key.finish(), |work| {
        let raw = work.join("raw");
        let partitions = write(ctx, input, &raw, &loader_conf)?;
        let file = File::open(&raw).with_context(|| format!("opening {}", raw.display()))?;
        let sum = hash::of_sparse_file(&file, &ctx.cancel);
        let (sha256, size) = sum.with_context(|| format!("reading {}", raw.display()))?;
        let facts = Facts { sha256, size, partitions };
        crate::durable::write(&work.join("disk.json"), &serde_json::to_vec_pretty(&facts)?)
    })?;
    let path = dir.join("disk.json");
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let facts = serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
    Ok(Output { raw: dir.join("raw"), facts, timing })
}

fn write(ctx: &Ctx, input: &Input<'_>, raw: &Path, loader_conf: &Path) -> anyhow::Result<Vec<Partition>> {
    let product = &input.definition.product.value;
    let plan = plan(input)?;
    let mut file = File::create_new(raw).with_context(|| format!("creating {}", raw.display()))?;
    file.set_len(plan.size_bytes).with_context(|| format!("sizing {}", raw.display()))?;
    let extents = disk_image::write_table(&mut file, &plan).context(
        "writing the partition table; sizes are those of partitions and disk_size in image/image.yaml",
    )?;
    for (partition, (planned, extent)) in
        input.definition.partitions.iter().zip(plan.partitions.iter().zip(&extents))
    {
        ctx.cancel.check()?;
        let label = &planned.label;
        let spec = |label: &str| FatSpec {
            label: label.to_owned(),
            serial: identity::fat_serial(product, label),
            mtime_secs: input.epoch,
            block_size: BLOCK_SIZE,
        };
        match (partition.kind, partition.label.as_str()) {
            (PartitionKind::Esp, _) => {
                let files = esp_files(input, loader_conf)?;
                let files = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
                fat::format(&mut file, *extent, &spec("ESP"), files).context("making the ESP")?;
            }
            (PartitionKind::BasicData, name) => {
                let files: [(&str, &[u8]); 0] = [];
                let spec = spec(&name.to_uppercase());
                fat::format(&mut file, *extent, &spec, files).with_context(|| format!("making `{name}`"))?;
            }
            (PartitionKind::Usr, "usr-a") => fill(&mut file, extent, &input.usr.image, label)?,
            (PartitionKind::UsrVerity, "usr-a-verity") => fill(&mut file, extent, &input.usr.verity, label)?,
            // Slot B stays empty.
            (PartitionKind::Usr | PartitionKind::UsrVerity, _) => {}
        }
    }
    file.sync_all().with_context(|| format!("syncing {}", raw.display()))?;
    Ok(plan
        .partitions
        .iter()
        .zip(&extents)
        .map(|(planned, extent)| Partition {
            label: planned.label.clone(),
            offset: extent.offset,
            size: extent.len,
        })
        .collect())
}

fn plan(input: &Input<'_>) -> anyhow::Result<DiskPlan> {
    let definition = input.definition;
    let product = &definition.product.value;
    let root_hash: verity::RootHash = input.usr.facts.root_hash.parse().context("reading the root hash")?;
    let (usr_uuid, verity_uuid) = slots::part_uuids(&root_hash.0);
    let usr_label = SlotLabel::Usr(input.version.clone()).to_string();
    let verity_label = SlotLabel::Verity(input.version.clone()).to_string();
    let empty = SlotLabel::Empty.to_string();
    let partitions = definition
        .partitions
        .iter()
        .zip(1..)
        .map(|(partition, number)| {
            let of_image = identity::uuid(product, &partition.label);
            let cleared = disk_image::cleared_uuid(number);
            let (kind, label, uuid) = match (partition.kind, partition.label.as_str()) {
                (PartitionKind::Esp, label) => (PartitionType::Esp, label.to_owned(), of_image),
                (PartitionKind::BasicData, label) => (PartitionType::BasicData, label.to_owned(), of_image),
                (PartitionKind::Usr, "usr-a") => {
                    (PartitionType::UsrX86_64, usr_label.clone(), Uuid::from_bytes(usr_uuid.0))
                }
                (PartitionKind::UsrVerity, "usr-a-verity") => {
                    (PartitionType::UsrVerityX86_64, verity_label.clone(), Uuid::from_bytes(verity_uuid.0))
                }
                (PartitionKind::Usr, _) => (PartitionType::UsrX86_64, empty.clone(), cleared),
                (PartitionKind::UsrVerity, _) => (PartitionType::UsrVerityX86_64, empty.clone(), cleared),
            };
            PartitionPlan { label, kind, uuid, size_bytes: partition.size.0 }
        })
        .collect();
    Ok(DiskPlan {
        disk_guid: identity::uuid(product, "disk"),
        size_bytes: definition.disk_size.0,
        block_size: BLOCK_SIZE,
        partitions,
    })
}

fn esp_files(input: &Input<'_>, loader_conf: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let product = &input.definition.product.value;
    let entry = EntryName::blessed(product, input.version.clone());
    let loader = read(&input.rootfs.root.join(LOADER.0))?;
    Ok(vec![
        (LOADER.1.to_owned(), loader.clone()),
        ("EFI/systemd/systemd-bootx64.efi".to_owned(), loader),
        (format!("EFI/Linux/{entry}"), read(&input.uki.uki)?),
        ("loader/loader.conf".to_owned(), read(loader_conf)?),
    ])
}

fn fill(disk: &mut File, extent: &disk_image::Extent, from: &Path, label: &str) -> anyhow::Result<()> {
    let source = File::open(from).with_context(|| format!("opening {}", from.display()))?;
    let len = source.metadata().with_context(|| format!("reading {}", from.display()))?.len();
    anyhow::ensure!(
        len <= extent.len,
        "{} has {len} bytes, partition `{label}` has room for {}: raise its size in image/image.yaml",
        from.display(),
        extent.len
    );
    disk.seek(SeekFrom::Start(extent.offset))?;
    let copied = io::copy(&mut BufReader::with_capacity(1 << 20, source), disk);
    copied.with_context(|| format!("writing partition `{label}`"))?;
    Ok(())
}
