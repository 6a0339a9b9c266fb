//! What is taken from the disk that the running `/usr` is on: the running version and what starts it, nothing that a
//! machine made of it.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use agent_support::boot::{self, Boot, BootKind};
use agent_support::esp;
use agent_support::host::Host;
use agent_support::topology::{self, Disk};
use anyhow::{Context, bail, ensure};
use disk_image::{Partition, PartitionType, Table, Uuid};
use flash::Sizes;
use slots::EntryName;
use uki::Pe;
use verity::{BLOCK_SIZE, Layout, RootHash, Superblock, VerifiedTree};

use super::Files;
use crate::kernel_args;

/// The verified `/usr`.
const USR: &str = "/dev/mapper/usr";
/// The loader, where every firmware looks for one.
const LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
/// The same, where systemd's own programs look for it.
const LOADER_AGAIN: &str = "EFI/systemd/systemd-bootx64.efi";
/// The loader's settings.
const LOADER_CONF: &str = "loader/loader.conf";
/// Longest kernel image that is read, in bytes.
const UKI_MAX: u64 = 256 << 20;
/// Longest loader and longest settings, in bytes.
const SMALL_MAX: u64 = 4 << 20;
/// Length of `oem` where this disk has none any more, in bytes.
const OEM_LEN: u64 = 64 << 20;

/// What is taken.
#[derive(Debug)]
pub struct Source {
    /// The disk.
    pub disk: Disk,
    /// The entry of the running version, without a counter.
    pub entry: EntryName,
    /// Root hash of the running `/usr`.
    pub root_hash: RootHash,
    /// Lengths of the partitions.
    pub sizes: Sizes,
    /// Length of the image of `/usr`, in bytes.
    pub usr_len: u64,
    /// Superblock and hash tree, checked against the root hash.
    pub verity: Vec<u8>,
    /// Files of the EFI system partition.
    pub esp: Files,
    /// The additional kernel arguments among them; empty without any.
    pub kernel_args: String,
}

/// Looks at the machine, and checks all of it but `/usr`, which dm-verity does when it is read.
pub fn collect(host: &Host) -> anyhow::Result<Source> {
    let boot = boot::current(host)?;
    ensure!(
        boot.kind == BootKind::Blessed,
        "version {} is on trial: wait until `slipway status` shows that it is good, then install it",
        boot.entry.version
    );
    let root_hash = host.root_hash()?.context("the kernel command line has no usrhash=")?;
    let root_hash: RootHash = root_hash.parse().context("parsing usrhash= of the kernel command line")?;
    let disk = topology::usr_disk(host).context("finding the disk that /usr is on")?;
    let table = read_table(host, &disk)?;
    let partitions = table.partitions();
    let slots = topology::disk_slots(&disk, &table)?;
    let running = &slots.devices[usize::from(slots.running == slots::Slot::B)];
    let (usr, verity) =
        (by_number(&partitions, running.usr.number)?, by_number(&partitions, running.verity.number)?);
    check_uuids(&root_hash, usr, verity)?;
    let (superblock, verity_bytes) = read_verity(host, &running.verity.name, verity.extent.len, &root_hash)
        .with_context(|| {
        format!("checking the hash tree on /dev/{}: the disk may be failing", running.verity.name)
    })?;
    let usr_len = Layout::new(superblock.n_data_blocks)?.data_len();
    let esp = partitions.iter().find(|it| it.type_guid == PartitionType::Esp.guid());
    let oem =
        partitions.iter().find(|it| it.type_guid == PartitionType::BasicData.guid() && it.label == "oem");
    let sizes = Sizes {
        esp: esp.with_context(|| format!("{} has no EFI system partition", disk.name))?.extent.len,
        usr: usr.extent.len,
        verity: verity.extent.len,
        oem: oem.map_or(OEM_LEN, |oem| oem.extent.len),
    };
    let entry = EntryName::blessed(&boot.entry.product, boot.entry.version.clone());
    let (files, kernel_args) =
        esp::read(host, |esp| esp_files(esp, &boot, &entry, &root_hash)).context("reading the ESP")?;
    Ok(Source { disk, entry, root_hash, sizes, usr_len, verity: verity_bytes, esp: files, kernel_args })
}

impl Source {
    /// Opens the verified `/usr`.
    pub fn open_usr(&self, host: &Host) -> anyhow::Result<impl std::io::Read + use<>> {
        let path = host.path(USR);
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        Ok(file.take(self.usr_len))
    }

    /// Says what is taken.
    pub fn say(&self) {
        eprintln!(
            "from   {}, version {}, root hash {}",
            self.disk.device(),
            self.entry.version,
            self.root_hash
        );
        if !self.kernel_args.is_empty() {
            eprintln!("with the kernel arguments that were set here: {}", self.kernel_args);
        }
    }
}

fn read_table(host: &Host, disk: &Disk) -> anyhow::Result<Table> {
    let path = host.path(&disk.device());
    let opened = File::open(&path).map_err(|err| match err.kind() {
        std::io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("only root may read and write disks: run the same with `sudo`")
        }
        _ => anyhow::Error::new(err).context(format!("opening {}", path.display())),
    });
    Table::read(&mut opened?, disk.block_size()?).with_context(|| format!("reading {}", path.display()))
}

fn by_number(partitions: &[Partition], number: u32) -> anyhow::Result<&Partition> {
    let found = partitions.iter().find(|partition| partition.number == number);
    found.with_context(|| format!("the table has no partition {number}"))
}

/// Fails unless the slot is that of the root hash: what was started is what is copied.
fn check_uuids(root_hash: &RootHash, usr: &Partition, verity: &Partition) -> anyhow::Result<()> {
    let (of_usr, of_verity) = slots::part_uuids(&root_hash.0);
    for (partition, expected) in [(usr, of_usr), (verity, of_verity)] {
        let expected = Uuid::from_bytes(expected.0);
        ensure!(
            partition.uuid == expected,
            "partition {} has UUID {}: expected {expected}, by root hash {root_hash}",
            partition.number,
            partition.uuid
        );
    }
    Ok(())
}

/// Reads superblock and tree, and checks every block of the tree.
fn read_verity(
    host: &Host,
    partition: &str,
    len: u64,
    root: &RootHash,
) -> anyhow::Result<(Superblock, Vec<u8>)> {
    let path = host.path(&format!("/dev/{partition}"));
    let mut file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    let mut bytes = vec![0; BLOCK_SIZE];
    file.read_exact(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
    let superblock = Superblock::parse(&bytes)?;
    let layout = Layout::new(superblock.n_data_blocks)?;
    ensure!(
        layout.device_len() <= len,
        "the tree takes {} bytes, its partition has {len}",
        layout.device_len()
    );
    let mut tree = vec![0; usize::try_from(layout.tree_len())?];
    file.read_exact(&mut tree).with_context(|| format!("reading {}", path.display()))?;
    let tree = VerifiedTree::new(tree, superblock.n_data_blocks, &superblock.salt, root)?;
    bytes.extend_from_slice(tree.bytes());
    Ok((superblock, bytes))
}

/// Returns what belongs on the new ESP, and the kernel arguments in it. Other entries, records of tries and failures, and
/// files of others stay behind.
fn esp_files(
    esp: &Path,
    boot: &Boot,
    entry: &EntryName,
    root_hash: &RootHash,
) -> anyhow::Result<(Files, String)> {
    let entries = esp::entries(esp, &boot.entry.product)?;
    let running = boot::find_entry(&entries, boot)
        .with_context(|| format!("the entry of the running version {} is gone", boot.entry.version))?;
    let uki = read(&esp.join("EFI/Linux").join(running.to_string()), UKI_MAX)?;
    check_uki(&uki, root_hash).with_context(|| format!("checking {running}"))?;
    let loader = read(&esp.join(LOADER), SMALL_MAX)?;
    Pe::parse(&loader).with_context(|| format!("checking {LOADER}"))?;
    let mut files = vec![
        (LOADER.to_owned(), loader.clone()),
        (LOADER_AGAIN.to_owned(), loader),
        (format!("EFI/Linux/{entry}"), uki),
    ];
    let conf = esp.join(LOADER_CONF);
    if conf.exists() {
        files.push((LOADER_CONF.to_owned(), read(&conf, SMALL_MAX)?));
    }
    let addon = format!("{}/{}", kernel_args::ADDON_DIR, kernel_args::ADDON);
    let args = kernel_args::read(&esp.join(&addon))?;
    if !args.is_empty() {
        files.push((addon.clone(), read(&esp.join(&addon), SMALL_MAX)?));
    }
    Ok((files, args))
}

/// Fails unless the kernel image is whole and starts the running `/usr`.
fn check_uki(bytes: &[u8], root_hash: &RootHash) -> anyhow::Result<()> {
    let uki = uki::validate_uki(bytes)?;
    match uki.usrhash() {
        Some(found) if found == root_hash.to_string() => Ok(()),
        found => bail!("it starts root hash {}: expected {root_hash}", found.unwrap_or("none")),
    }
}

fn read(path: &Path, max: u64) -> anyhow::Result<Vec<u8>> {
    let len = fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
    ensure!(len <= max, "{} has {len} bytes: expected at most {max}", path.display());
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}
