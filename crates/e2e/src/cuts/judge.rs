//! What must be true of a disk after a cut: the partition table reads; each entry that firmware sees is a whole
//! version with a name of ours, whose slot verifies to the last block, and there is at least one; each copy of
//! the loader is that of a known version, and there is one where firmware looks by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use disk_image::fat::{self, Name, Volume};
use disk_image::{Extent, LogicalBlockSize, PartitionType, Table, Uuid, Window};
use sha2::{Digest as _, Sha256};
use slots::EntryName;
use vm::Sandbox;
use write_log::cuts::Areas;
use write_log::{Overlay, Piece, Source, View};

use super::esp_file::EspFile;
use super::fsck;
use crate::image::{Image, root_hash};

const BLOCK_SIZE: LogicalBlockSize = LogicalBlockSize::Lb512;
const ENTRIES: &str = "EFI/Linux";
/// Folders of the loader's copies.
const LOADERS: [&str; 2] = ["EFI/BOOT", "EFI/systemd"];
/// The copy that firmware starts where no variable names one.
const DEFAULT_LOADER: &str = "BOOTX64.EFI";
/// How a picture begins whose partition table has no valid primary copy.
pub const BACKUP_ONLY: &str = "no primary table: ";
/// Bytes at either end of a disk that the partition table has for itself.
const TABLE_LEN: u64 = 1 << 20;

/// Where things are on the recorded disk.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Bytes of the disk.
    pub disk_len: u64,
    /// Bytes of the image on it, at whose end the table's backup was until the first boot.
    pub image_len: u64,
    /// The EFI system partition.
    pub esp: Extent,
    /// Both partitions of both slots.
    pub slots: Vec<Extent>,
}

impl Layout {
    /// Reads the layout of a disk that was made from `image`.
    pub fn read(mut disk: &File, image: &Image) -> anyhow::Result<Self> {
        let table = Table::read(&mut disk, BLOCK_SIZE).context("reading the table before the recording")?;
        let of = |kind: PartitionType| -> Vec<Extent> {
            let is = |partition: &disk_image::Partition| partition.type_guid == kind.guid();
            table.partitions().into_iter().filter(is).map(|partition| partition.extent).collect()
        };
        let esp = *of(PartitionType::Esp).first().context("the disk has no ESP")?;
        let slots = [of(PartitionType::UsrX86_64), of(PartitionType::UsrVerityX86_64)].concat();
        let image_len = std::fs::metadata(&image.raw).context("looking at the image")?.len();
        Ok(Self { disk_len: disk.metadata()?.len(), image_len, esp, slots })
    }

    /// Returns what cuts are made of: every write to table and ESP steps, slots are read too.
    pub fn areas(&self) -> Areas {
        let old_backup = self.image_len - TABLE_LEN.min(self.image_len);
        let ends = [0..TABLE_LEN, self.disk_len - TABLE_LEN..self.disk_len];
        Areas {
            stepped: [&ends[..], &[range(self.esp)]].concat(),
            judged: std::iter::once(old_backup..self.image_len)
                .chain(self.slots.iter().copied().map(range))
                .collect(),
        }
    }
}

/// What is to be said of a disk.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// What `fsck.fat` found that is allowed.
    pub remarks: Vec<&'static str>,
    /// What the disk looks like, in a line: cuts of one phase look alike.
    pub picture: String,
    /// Why it fails.
    pub failure: Option<String>,
}

/// Judges disks of one recording; what was read once is not read again while it is made of the same writes.
#[derive(Debug)]
pub struct Judge<'a> {
    sandbox: &'a Sandbox,
    layout: Layout,
    base: File,
    log: File,
    known: BTreeMap<Digest32, &'a Image>,
    loaders: BTreeSet<Digest32>,
    esp_file: EspFile,
    verdicts: HashMap<Digest32, Verdict>,
    fscks: HashMap<Vec<Piece>, fsck::Findings>,
    entries: HashMap<Vec<Piece>, Whole>,
    digests: HashMap<Vec<Piece>, Digest32>,
    slots: HashMap<(String, Vec<Piece>), Option<String>>,
}

/// A SHA-256.
type Digest32 = [u8; 32];

/// An entry's file: which version it is, or why it is none.
type Whole = Result<(String, String), String>;

impl<'a> Judge<'a> {
    /// Takes a recording; `work` is a folder for files that foreign programs read.
    pub fn new(
        sandbox: &'a Sandbox,
        work: &Path,
        layout: Layout,
        base: File,
        log: File,
        images: &[&'a Image],
    ) -> anyhow::Result<Self> {
        let mut known = BTreeMap::new();
        let mut loaders = loaders_of(&base).context("reading the disk before the recording")?;
        for image in images {
            let raw = File::open(&image.raw).with_context(|| format!("opening {}", image.raw.display()))?;
            loaders.extend(loaders_of(&raw).with_context(|| format!("reading {}", image.raw.display()))?);
            let uki =
                std::fs::read(&image.uki).with_context(|| format!("reading {}", image.uki.display()))?;
            known.insert(Sha256::digest(&uki).into(), *image);
        }
        let esp_file = EspFile::new(work, &base, layout.esp)?;
        Ok(Self {
            sandbox,
            layout,
            base,
            log,
            known,
            loaders,
            esp_file,
            verdicts: HashMap::new(),
            fscks: HashMap::new(),
            entries: HashMap::new(),
            digests: HashMap::new(),
            slots: HashMap::new(),
        })
    }

    /// Returns where things are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns how many different contents were judged.
    pub fn n_states(&self) -> usize {
        self.verdicts.len()
    }

    /// Judges the disk below `overlay`. An error is one of the host.
    pub fn judge(&mut self, overlay: &Overlay) -> anyhow::Result<Verdict> {
        let Areas { stepped, judged } = self.layout.areas();
        let key = digest(stepped.into_iter().chain(judged).flat_map(|area| overlay.pieces(area)));
        if let Some(verdict) = self.verdicts.get(&key) {
            return Ok(verdict.clone());
        }
        let findings = self.fsck(overlay)?;
        let (mut picture, failure) = match self.starts(overlay) {
            Ok(picture) => (picture, None),
            Err(error) => (String::new(), Some(format!("{error:#}"))),
        };
        if findings.remarks.contains(&fsck::LOST) {
            picture.push_str(", lost clusters");
        }
        let failure =
            failure.into_iter().chain(findings.failure()).reduce(|one, two| format!("{one}; {two}"));
        let verdict = Verdict { remarks: findings.remarks, picture, failure };
        self.verdicts.insert(key, verdict.clone());
        Ok(verdict)
    }

    fn fsck(&mut self, overlay: &Overlay) -> anyhow::Result<fsck::Findings> {
        let pieces = overlay.pieces(range(self.layout.esp));
        if let Some(findings) = self.fscks.get(&pieces) {
            return Ok(findings.clone());
        }
        self.esp_file.show(&pieces, &self.base, &self.log)?;
        let sandbox = self.sandbox;
        let mut findings = fsck::run(sandbox, self.esp_file.path())?;
        self.esp_file.repaired(|file, taken| {
            findings.remarks.extend((!taken.is_empty()).then_some("names taken out"));
            let after = fsck::run(sandbox, file)?;
            let left = after.remarks.iter().map(|remark| (*remark).to_owned()).chain(after.wrong);
            findings.wrong.extend(left.map(|what| format!("after the repair: {what}")));
            Ok(())
        })?;
        self.fscks.insert(pieces, findings.clone());
        Ok(findings)
    }

    /// Fails if anything is missing of what a start needs, or not whole. Returns the picture.
    fn starts(&mut self, overlay: &Overlay) -> anyhow::Result<String> {
        let mut disk = self.view(overlay)?;
        let (table, volume) = esp_of(&mut disk)?;
        let entries = programs(&mut disk, &volume, ENTRIES)?;
        let [default, other] = LOADERS.map(|folder| programs(&mut disk, &volume, folder));
        let (default, other) = (default?, other?);
        ensure!(!entries.is_empty(), "no entry in {ENTRIES}");
        for name in &entries {
            let shown = name.shown();
            self.entry_passes(overlay, &volume, &table, name)
                .with_context(|| format!("entry `{shown}` ({} bytes)", name.len))?;
        }
        let is_default = |name: &Name| name.shown().eq_ignore_ascii_case(DEFAULT_LOADER);
        ensure!(default.iter().any(is_default), "no {DEFAULT_LOADER}");
        for name in default.iter().chain(&other) {
            let shown = name.shown();
            self.loader_passes(overlay, &volume, name)
                .with_context(|| format!("loader `{shown}` ({} bytes)", name.len))?;
        }
        let is_written = |extent: &Extent| overlay.pieces(range(*extent)).len() > 1;
        let n_written = self.layout.slots.iter().filter(|extent| is_written(extent)).count();
        Ok(picture(&table, &entries, default.iter().chain(&other), n_written))
    }

    fn loader_passes(&mut self, overlay: &Overlay, volume: &Volume, name: &Name) -> anyhow::Result<()> {
        let extents = volume.file_extents(&mut self.view(overlay)?, name.first_cluster, name.len)?;
        let pieces: Vec<Piece> = extents.iter().flat_map(|extent| overlay.pieces(range(*extent))).collect();
        if !self.digests.contains_key(&pieces) {
            let digest = Sha256::digest(read_extents(&mut self.view(overlay)?, &extents)?).into();
            self.digests.insert(pieces.clone(), digest);
        }
        ensure!(self.loaders.contains(&self.digests[&pieces]), "no known version has this SHA-256");
        Ok(())
    }

    fn entry_passes(
        &mut self,
        overlay: &Overlay,
        volume: &Volume,
        table: &Table,
        name: &Name,
    ) -> anyhow::Result<()> {
        let extents = volume.file_extents(&mut self.view(overlay)?, name.first_cluster, name.len)?;
        let pieces: Vec<Piece> = extents.iter().flat_map(|extent| overlay.pieces(range(*extent))).collect();
        if !self.entries.contains_key(&pieces) {
            let whole = self.identify(overlay, &extents);
            self.entries.insert(pieces.clone(), whole.map_err(|error| format!("{error:#}")));
        }
        let (version, hash) = match &self.entries[&pieces] {
            Ok(whole) => whole.clone(),
            Err(why) => bail!("{why}"),
        };
        let product = self.known.values().next().context("no version is known")?.product.clone();
        let entry = EntryName::parse(&product, name.shown())?;
        ensure!(entry.version.to_string() == version, "it is version {version}");
        match self.slot_fails(overlay, table, &hash)? {
            Some(why) => bail!("its slot: {why}"),
            None => Ok(()),
        }
    }

    /// Returns version and root hash of the file that lies at `extents`.
    fn identify(&self, overlay: &Overlay, extents: &[Extent]) -> anyhow::Result<(String, String)> {
        let bytes = read_extents(&mut self.view(overlay)?, extents)?;
        let digest: Digest32 = Sha256::digest(&bytes).into();
        let image = self.known.get(&digest).context("no known version has this SHA-256")?;
        let uki = uki::validate_uki(&bytes)?;
        let hash = uki.usrhash().context("no usrhash= on its command line")?;
        Ok((image.version.to_string(), hash.to_owned()))
    }

    /// Says why the slot with the root hash does not verify.
    fn slot_fails(&mut self, overlay: &Overlay, table: &Table, hash: &str) -> anyhow::Result<Option<String>> {
        let root = root_hash(hash).with_context(|| format!("parsing root hash `{hash}`"))?;
        let (usr, verity) = slots::part_uuids(&root);
        let partitions = table.partitions();
        let find = |uuid| partitions.iter().find(|partition| partition.uuid == Uuid::from_bytes(uuid));
        let (Some(usr), Some(verity)) = (find(usr.0), find(verity.0)) else {
            return Ok(Some(format!("no partitions for root hash {hash}")));
        };
        let pieces: Vec<Piece> = [usr.extent, verity.extent]
            .into_iter()
            .flat_map(|extent| overlay.pieces(range(extent)))
            .collect();
        let key = (hash.to_owned(), pieces);
        if let Some(fails) = self.slots.get(&key) {
            return Ok(fails.clone());
        }
        let data = Window::new(self.view(overlay)?, usr.extent);
        let tree = Window::new(self.view(overlay)?, verity.extent);
        let fails = verity::verify(data, tree, &verity::RootHash(root)).err().map(|error| error.to_string());
        self.slots.insert(key, fails.clone());
        Ok(fails)
    }

    fn view<'o>(&self, overlay: &'o Overlay) -> anyhow::Result<View<'o, Shared<'_>, Shared<'_>>> {
        Ok(View::new(overlay, Shared(&self.base), Shared(&self.log))?)
    }
}

/// Returns the digests of the loader's copies on a disk.
fn loaders_of(mut disk: &File) -> anyhow::Result<BTreeSet<Digest32>> {
    let (_, volume) = esp_of(&mut disk)?;
    let mut digests = BTreeSet::new();
    for folder in LOADERS {
        for name in programs(&mut disk, &volume, folder)? {
            let extents = volume.file_extents(&mut disk, name.first_cluster, name.len)?;
            digests.insert(Sha256::digest(read_extents(&mut disk, &extents)?).into());
        }
    }
    Ok(digests)
}

/// Tells what changes in the course of an update.
fn picture<'a>(
    table: &Table,
    entries: &[Name],
    loaders: impl Iterator<Item = &'a Name>,
    n_written: usize,
) -> String {
    let is_usr = |partition: &disk_image::Partition| partition.type_guid == PartitionType::UsrX86_64.guid();
    let labels: Vec<_> = table.partitions().into_iter().filter(is_usr).map(|usr| usr.label).collect();
    let names: Vec<_> = entries.iter().map(Name::shown).collect();
    // Clusters tell a loader from the one that was there before.
    let clusters: Vec<_> = loaders.map(|name| name.first_cluster.to_string()).collect();
    let table = match table.source() {
        disk_image::Source::Backup => BACKUP_ONLY,
        disk_image::Source::Primary | disk_image::Source::PrimaryOnly | disk_image::Source::Plan => "",
    };
    format!(
        "{table}{} | {} | {n_written} partitions of slots written | loaders at {}",
        labels.join(" "),
        names.join(" "),
        clusters.join(" ")
    )
}

/// Returns a hash in place of many pieces: a slot that is being written has thousands.
fn digest(pieces: impl Iterator<Item = Piece>) -> Digest32 {
    let mut hasher = Sha256::new();
    for Piece { offset, len, source } in pieces {
        // No log has a byte at its very end.
        let source = if let Source::Log(at) = source { at } else { u64::MAX };
        [offset, len, source].iter().for_each(|field| hasher.update(field.to_le_bytes()));
    }
    hasher.finalize().into()
}

fn esp_of(disk: &mut (impl Read + Seek)) -> anyhow::Result<(Table, Volume)> {
    let table = Table::read(disk, BLOCK_SIZE).context("reading the partition table")?;
    let is_esp = |partition: &disk_image::Partition| partition.type_guid == PartitionType::Esp.guid();
    let esp = table.partitions().into_iter().find(is_esp).context("the table has no ESP")?.extent;
    let volume = Volume::read(disk, esp)?;
    Ok((table, volume))
}

/// Returns what firmware takes for programs in a folder.
fn programs(disk: &mut (impl Read + Seek), volume: &Volume, folder: &str) -> anyhow::Result<Vec<Name>> {
    let names = fat::read_folder(disk, volume, folder).with_context(|| format!("reading {folder}"))?;
    let is_program = |name: &Name| !name.is_folder && name.shown().to_ascii_lowercase().ends_with(".efi");
    Ok(names.into_iter().filter(is_program).collect())
}

fn read_extents(disk: &mut (impl Read + Seek), extents: &[Extent]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for extent in extents {
        Window::new(&mut *disk, *extent).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// A file that several views read: each sets the place before it reads.
#[derive(Debug, Clone, Copy)]
struct Shared<'a>(&'a File);

impl Read for Shared<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl Seek for Shared<'_> {
    fn seek(&mut self, pos: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(pos)
    }
}

fn range(extent: Extent) -> Range<u64> {
    extent.offset..extent.end()
}
