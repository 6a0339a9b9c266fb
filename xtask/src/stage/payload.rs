//! Stage `payload`: the version as one signed file, from which machines of any other version update.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use payload::{BlockList, Parts, SecretKey};

use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::hash::Key;
use crate::keyed::{self, Timing};
use crate::stage::{disk, rootfs, uki, usr};

const VERSION: u32 = 1;

/// What the payload holds, and who signs it.
#[derive(Debug)]
pub struct Input<'a> {
    /// The image definition.
    pub definition: &'a Definition,
    /// Version of the image.
    pub version: &'a slots::Version,
    /// Time of the locked packages, seconds since 1970.
    pub epoch: u64,
    /// The assembled tree, which holds the loader.
    pub rootfs: &'a rootfs::Output,
    /// The sealed `/usr`.
    pub usr: &'a usr::Output,
    /// Its kernel.
    pub uki: &'a uki::Output,
    /// At least one.
    pub keys: &'a [SecretKey],
}

/// The signed payload.
#[derive(Debug)]
pub struct Output {
    /// Its file.
    pub payload: PathBuf,
    /// For the build report.
    pub timing: Timing,
}

/// Signs and joins the finished artifacts.
pub fn run(ctx: &Ctx, input: &Input<'_>) -> anyhow::Result<Output> {
    let mut key = Key::new("payload", VERSION);
    key.add("rootfs", input.rootfs.key.as_bytes());
    key.add("usr", input.usr.key.as_bytes());
    key.add("uki", input.uki.key.as_bytes());
    key.add("version", input.version.to_string().as_bytes());
    key.add("epoch", &input.epoch.to_le_bytes());
    key.add("product", input.definition.product.value.as_bytes());
    key.add("min_from", input.definition.min_from().to_string().as_bytes());
    // The ids stand for the keys: ed25519 signs the same bytes with the same signature.
    for secret in input.keys {
        key.add("signed by", &secret.public().id().0);
    }
    let (dir, timing) = keyed::run(ctx, "payload", &key.finish(), |work| {
        let path = work.join("payload");
        let file = File::create_new(&path).with_context(|| format!("creating {}", path.display()))?;
        let mut out = BufWriter::with_capacity(1 << 20, ctx.cancel.stream(file));
        let sources = Sources {
            product: &input.definition.product.value,
            version: input.version,
            min_from: &input.definition.min_from(),
            build_time: input.epoch,
            root_hash: &input.usr.facts.root_hash,
            uki: &input.uki.uki,
            loader: &input.rootfs.root.join(disk::LOADER.0),
            verity: &input.usr.verity,
            usr: &input.usr.image,
        };
        write(&sources, input.keys, &mut out)?;
        out.flush().with_context(|| format!("writing {}", path.display()))?;
        drop(out);
        File::open(&path)?.sync_all().with_context(|| format!("syncing {}", path.display()))
    })?;
    Ok(Output { payload: dir.join("payload"), timing })
}

/// The artifacts that a payload is made of.
#[derive(Debug)]
pub struct Sources<'a> {
    /// Name of the product.
    pub product: &'a str,
    /// Version of the image.
    pub version: &'a slots::Version,
    /// Lowest version that may take it.
    pub min_from: &'a slots::Version,
    /// Time of the locked packages, seconds since 1970.
    pub build_time: u64,
    /// Hexadecimal.
    pub root_hash: &'a str,
    /// PE file.
    pub uki: &'a Path,
    /// systemd-boot.
    pub loader: &'a Path,
    /// Superblock and hash tree.
    pub verity: &'a Path,
    /// The erofs image.
    pub usr: &'a Path,
}

/// Writes the payload of these artifacts.
pub fn write(
    sources: &Sources<'_>,
    keys: &[SecretKey],
    out: impl Write,
) -> anyhow::Result<payload::Manifest> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let open = |path: &Path| -> anyhow::Result<(File, u64)> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let len = file.metadata().with_context(|| format!("reading {}", path.display()))?.len();
        Ok((file, len))
    };
    let root: verity::RootHash = sources.root_hash.parse().context("reading the root hash")?;
    let (uki, loader) = (read(sources.uki)?, read(sources.loader)?);
    let head = &uki[..uki.len().min(::uki::HEAD_LEN)];
    let starts = ::uki::section_starts(head, u64::try_from(uki.len())?);
    let starts = starts.with_context(|| format!("reading {}", sources.uki.display()))?;
    let uki_blocks = BlockList::of(&uki, starts).context("listing the blocks of the UKI")?;
    let verity = read(sources.verity)?;
    // The machine writes the superblock itself, from the manifest.
    let (block, tree) = verity
        .split_first_chunk::<{ verity::BLOCK_SIZE }>()
        .with_context(|| format!("{} has no superblock", sources.verity.display()))?;
    let superblock =
        verity::Superblock::parse(block).with_context(|| format!("reading {}", sources.verity.display()))?;
    let tree_len = u64::try_from(tree.len())?;
    let (usr, usr_len) = open(sources.usr)?;
    let layout = verity::Layout::new(superblock.n_data_blocks)?;
    anyhow::ensure!(
        (layout.tree_len(), layout.data_len()) == (tree_len, usr_len),
        "{} is not the tree of {}",
        sources.verity.display(),
        sources.usr.display()
    );
    let parts = Parts {
        product: sources.product,
        version: &sources.version.to_string(),
        min_from: &sources.min_from.to_string(),
        build_time: sources.build_time,
        root_hash: root.0,
        salt: superblock.salt.0,
        verity_uuid: superblock.uuid,
        uki: &uki,
        uki_blocks: &uki_blocks,
        loader: &loader,
        tree,
        usr: BufReader::with_capacity(1 << 20, usr),
        usr_len,
    };
    Ok(payload::write(parts, keys, out)?)
}
