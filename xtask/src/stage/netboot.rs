//! Stage `netboot`: kernel and initrd that start the system without a disk, and the script that says so to iPXE.
//!
//! The initrd is that of the kernel image, and behind it one more archive, which holds a whole disk with slot A. So `/usr`
//! is found and verified as on any machine: by the partitions' UUIDs and the root hash on the command line.

use std::fs::{self, File};
use std::io::{self, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use disk_image::{ALIGNMENT, DiskPlan, LogicalBlockSize, PartitionPlan, PartitionType};
use slots::SlotLabel;
use uki::Section;

use crate::ctx::Ctx;
use crate::hash::Key;
use crate::keyed::{self, Timing};
use crate::stage::{modules, rootfs, uki as uki_stage, usr};
use crate::tree::{Node, Tree};
use crate::{identity, needed, segments, words};

const VERSION: u32 = 1;
/// Folder of our files, below the checkout.
const FOLDER: &str = "bootloader/netboot";
/// Where the disk is in the initrd.
pub const DISK: &str = "netboot/disk";
/// The module that makes a disk of a file. Nothing else of the initrd needs it.
const LOOP: (&str, &str) = ("kernel/drivers/block/loop.ko", "netboot/loop.ko");
/// The program that tells it so.
const LOSETUP: &str = "usr/sbin/losetup";

/// What is started.
#[derive(Debug)]
pub struct Input<'a> {
    /// Name of the product.
    pub product: &'a str,
    /// Version of the image.
    pub version: &'a slots::Version,
    /// The assembled tree, which has losetup.
    pub rootfs: &'a rootfs::Output,
    /// Kernel modules.
    pub modules: &'a modules::Output,
    /// The sealed `/usr`.
    pub usr: &'a usr::Output,
    /// Its kernel, initrd and command line.
    pub uki: &'a uki_stage::Output,
}

/// The files, by the ends of their final names.
#[derive(Debug)]
pub struct Output {
    /// The kernel.
    pub kernel: PathBuf,
    /// Initrd and disk.
    pub initrd: PathBuf,
    /// Script for iPXE, with the command line.
    pub script: PathBuf,
    /// For the build report.
    pub timing: Timing,
}

/// Ends of the names of kernel, initrd and script.
pub const ENDS: [&str; 3] = ["netboot.kernel", "netboot.initrd", "netboot.ipxe"];

/// Takes the kernel image apart and puts the disk beside its initrd.
pub fn run(ctx: &Ctx, input: &Input<'_>) -> anyhow::Result<Output> {
    let folder = ctx.repo.join(FOLDER);
    let mut key = Key::new("netboot", VERSION);
    key.add("rootfs", input.rootfs.key.as_bytes());
    key.add("modules", input.modules.key.as_bytes());
    key.add("usr", input.usr.key.as_bytes());
    key.add("uki", input.uki.key.as_bytes());
    key.add("product", input.product.as_bytes());
    key.add("version", input.version.to_string().as_bytes());
    key.add_path("folder", &folder)?;
    let (dir, timing) = keyed::run(ctx, "netboot", &key.finish(), |work| {
        let bytes =
            fs::read(&input.uki.uki).with_context(|| format!("reading {}", input.uki.uki.display()))?;
        let image =
            ::uki::validate_uki(&bytes).with_context(|| format!("reading {}", input.uki.uki.display()))?;
        let section = |section: Section| image.pe().read_section(section);
        let kernel = section(Section::Linux).context("the kernel image has no kernel")?;
        write(&work.join("kernel"), kernel)?;
        let disk = work.join("disk");
        let root: verity::RootHash = input.usr.facts.root_hash.parse().context("reading the root hash")?;
        write_disk(
            input.product,
            input.version,
            &root,
            [input.usr.image.as_path(), input.usr.verity.as_path()],
            &disk,
        )?;
        ctx.cancel.check()?;
        let path = work.join("initrd");
        let mut out = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        for part in [section(Section::Ucode), section(Section::Initrd)].into_iter().flatten() {
            out.write_all(part).with_context(|| format!("writing {}", path.display()))?;
        }
        let tree = added(input, &folder, &disk)?;
        crate::tree::cpio::write_cpio(&tree, segments::MTIME, ctx.cancel.stream(&mut out))?;
        crate::durable::remove_if_there(&disk)?;
        let path = folder.join("cmdline.conf");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let cmdline = image.text(Section::Cmdline)?.context("the kernel image has no command line")?;
        let script = script(input.product, input.version, cmdline.trim_end_matches(['\n', '\0']), &text);
        write(&work.join("ipxe"), script.as_bytes())
    })?;
    let [kernel, initrd, script] = ["kernel", "initrd", "ipxe"].map(|name| dir.join(name));
    Ok(Output { kernel, initrd, script, timing })
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// A disk as small as can be with slot A where every disk of ours has it, and another GUID than that by which a machine
/// knows a plain copy of the image.
fn write_disk(
    product: &str,
    version: &slots::Version,
    root: &verity::RootHash,
    [usr, verity]: [&Path; 2],
    path: &Path,
) -> anyhow::Result<()> {
    let (usr_uuid, verity_uuid) = slots::part_uuids(&root.0);
    let len = |path: &Path| -> anyhow::Result<u64> {
        let meta = fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(meta.len().next_multiple_of(ALIGNMENT))
    };
    let partitions = vec![
        PartitionPlan {
            label: SlotLabel::Empty.to_string(),
            kind: PartitionType::BasicData,
            uuid: identity::uuid(product, "netboot esp"),
            size_bytes: ALIGNMENT,
        },
        PartitionPlan {
            label: SlotLabel::Usr(version.clone()).to_string(),
            kind: PartitionType::UsrX86_64,
            uuid: disk_image::Uuid::from_bytes(usr_uuid.0),
            size_bytes: len(usr)?,
        },
        PartitionPlan {
            label: SlotLabel::Verity(version.clone()).to_string(),
            kind: PartitionType::UsrVerityX86_64,
            uuid: disk_image::Uuid::from_bytes(verity_uuid.0),
            size_bytes: len(verity)?,
        },
    ];
    let content: u64 = partitions.iter().map(|it| it.size_bytes).sum();
    let plan = DiskPlan {
        disk_guid: identity::uuid(product, "netboot disk"),
        // The tables lie before and behind.
        size_bytes: content + 2 * ALIGNMENT,
        block_size: LogicalBlockSize::Lb512,
        partitions,
    };
    let mut disk = File::create_new(path).with_context(|| format!("creating {}", path.display()))?;
    disk.set_len(plan.size_bytes).with_context(|| format!("sizing {}", path.display()))?;
    let extents = disk_image::write_table(&mut disk, &plan).context("writing the table of the disk")?;
    for (extent, from) in extents.iter().skip(1).zip([usr, verity]) {
        let source = File::open(from).with_context(|| format!("opening {}", from.display()))?;
        disk.seek(SeekFrom::Start(extent.offset))?;
        io::copy(&mut BufReader::with_capacity(1 << 20, source), &mut disk)
            .with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(())
}

/// What the initrd gets beside that of the kernel image.
fn added(input: &Input<'_>, folder: &Path, disk: &Path) -> anyhow::Result<Tree> {
    let mut assembled = Tree::load(&input.rootfs.root, "usr")?;
    assembled.overlay(Tree::load(&input.rootfs.root, "etc")?);
    for name in deb::unpack::MERGED {
        assembled.insert(name, Node::symlink(format!("usr/{name}")));
    }
    let mut tree = Tree::default();
    needed::take(&assembled, &mut tree, LOSETUP)?;
    tree.overlay(Tree::load(&folder.join("initrd"), "")?);
    let kernel = &input.modules.kernel;
    let module = input.modules.root.join(format!("usr/lib/modules/{kernel}")).join(LOOP.0);
    anyhow::ensure!(module.is_file(), "kernel {kernel} has no module {}, or it is pruned", LOOP.0);
    tree.insert("netboot", Node::dir());
    tree.insert(LOOP.1, Node { mode: 0o644, ..Node::program(&module) });
    tree.insert(DISK, Node { mode: 0o600, ..Node::program(disk) });
    Ok(tree)
}

/// What iPXE does; the files lie beside the script.
fn script(product: &str, version: &slots::Version, cmdline: &str, added: &str) -> String {
    let [kernel, initrd, _] = ENDS.map(|end| format!("{product}_{version}.{end}"));
    let cmdline = [cmdline].into_iter().chain(words::of(added)).collect::<Vec<_>>().join(" ");
    format!("#!ipxe\nkernel {kernel} initrd={initrd} {cmdline}\ninitrd {initrd}\nboot\n")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Makes a disk of these bytes.
    pub fn small_disk(path: &Path, root: &verity::RootHash, usr: &[u8], verity: &[u8]) {
        let dir = tempfile::tempdir().unwrap();
        let [usr, verity] = [("usr", usr), ("verity", verity)].map(|(name, bytes)| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        });
        write_disk("slipway", &"1.2.3".parse().unwrap(), root, [usr.as_path(), verity.as_path()], path)
            .unwrap();
    }

    #[test]
    fn the_disk_has_slot_a_where_machines_look_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let root = verity::RootHash([0xab; 32]);
        small_disk(&path, &root, &[1; 4096], &[2; 4096]);
        let mut disk = File::open(&path).unwrap();
        let table = disk_image::Table::read(&mut disk, LogicalBlockSize::Lb512).unwrap();
        let (usr, tree) = slots::part_uuids(&root.0);
        for (number, label, uuid) in [(2, "usr_1.2.3", usr), (3, "usr_1.2.3_verity", tree)] {
            let partition = table.partition(number).unwrap();
            assert_eq!(
                (partition.label.as_str(), partition.uuid),
                (label, disk_image::Uuid::from_bytes(uuid.0))
            );
        }
        // By that GUID a machine knows a plain copy of the image, whose identity it has to change.
        assert_ne!(table.disk_guid(), identity::uuid("slipway", "disk"));
    }

    #[test]
    fn the_script_has_the_words_of_both_command_lines() {
        let text = script("slipway", &"1.2.3".parse().unwrap(), "rw usrhash=ab", "# a\nroot=tmpfs\n\n x \n");
        let kernel = "kernel slipway_1.2.3.netboot.kernel initrd=slipway_1.2.3.netboot.initrd";
        assert_eq!(
            text,
            format!(
                "#!ipxe\n{kernel} rw usrhash=ab root=tmpfs x\ninitrd slipway_1.2.3.netboot.initrd\nboot\n"
            )
        );
    }
}
