//! Versions that were never built: an image's payload with another version, and one thing of it changed, signed
//! anew. They cost no build, and a machine that has one of them has most of the next.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use payload::{BlockList, ENVELOPE_MAX, Envelope, Extent, Kind, Manifest, Parts, SecretKey};
use slots::Version;
use uki::{Pe, Section};

use crate::image::Image;

/// The committed pair that the image under test trusts.
const KEY: &str = include_str!("../../../image/keys/development.key");
/// What systemd-boot says of itself; the agent compares the versions behind it.
const LOADER_MARK: &[u8] = b"#### LoaderInfo: systemd-boot ";

/// A version made of an image.
#[derive(Debug, Clone)]
pub struct Variant<'a> {
    /// The image.
    pub image: &'a Image,
    /// Its version.
    pub version: Version,
    /// What is different beside the version.
    pub change: Change,
}

/// The one thing that is different.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// More kernel arguments.
    Arguments(&'static str),
    /// The kernel is told a root hash that no slot has.
    RootHash,
    /// The boot loader says that it is the next major version.
    NewerLoader,
}

/// Returns the `n`-th version behind that of `image`.
pub fn later_version(image: &Image, n: u64) -> anyhow::Result<Version> {
    let text = image.version.to_string();
    let (start, last) = text.rsplit_once('.').with_context(|| format!("version {text} has no dot"))?;
    Ok(format!("{start}.{}", last.parse::<u64>()? + n).parse()?)
}

/// Returns the key that signs.
pub fn key() -> anyhow::Result<SecretKey> {
    SecretKey::parse(KEY).context("parsing the development key")
}

/// Reads manifest and envelope at the start of a payload.
pub fn head(path: &Path) -> anyhow::Result<(Manifest, Vec<u8>)> {
    let read = || -> anyhow::Result<(Manifest, Vec<u8>)> {
        let mut bytes = vec![];
        File::open(path)?.take(ENVELOPE_MAX).read_to_end(&mut bytes)?;
        let envelope = Envelope::parse(Kind::Payload, &bytes)?;
        let (manifest, len) = (Manifest::parse(envelope.body, u64::try_from(envelope.len)?)?, envelope.len);
        bytes.truncate(len);
        Ok((manifest, bytes))
    };
    read().with_context(|| format!("reading the payload {}", path.display()))
}

impl Variant<'_> {
    /// Writes its payload.
    pub fn write(&self, to: &Path) -> anyhow::Result<()> {
        let from = &self.image.payload;
        let (manifest, _) = head(from)?;
        let section = |extent: Extent| -> anyhow::Result<_> {
            let mut file = File::open(from)?;
            file.seek(SeekFrom::Start(extent.offset))?;
            Ok(BufReader::with_capacity(1 << 20, file).take(extent.len))
        };
        let whole = |extent| -> anyhow::Result<Vec<u8>> {
            let mut bytes = vec![];
            section(extent)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let layout = &manifest.layout;
        let (uki, loader) = (self.uki(whole(layout.uki)?)?, self.loader(whole(layout.loader)?)?);
        let tree = whole(layout.tree)?;
        let starts = uki::section_starts(&uki[..uki::HEAD_LEN.min(uki.len())], u64::try_from(uki.len())?)?;
        let parts = Parts {
            product: &manifest.product,
            version: &self.version.to_string(),
            min_from: &manifest.min_from,
            build_time: manifest.build_time,
            root_hash: manifest.root_hash.0,
            salt: manifest.salt.0,
            verity_uuid: manifest.verity_uuid,
            uki_blocks: &BlockList::of(&uki, starts)?,
            uki: &uki,
            loader: &loader,
            tree: &tree,
            usr: section(layout.usr)?,
            usr_len: layout.usr.len,
        };
        let file = File::create(to).with_context(|| format!("creating {}", to.display()))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        payload::write(parts, &[key()?], &mut out).with_context(|| format!("writing {}", to.display()))?;
        out.flush().with_context(|| format!("writing {}", to.display()))
    }

    /// Returns the name of its entry with `left` tries of which `done` were made.
    pub fn entry(&self, left: u32, done: u32) -> String {
        let done = if done == 0 { String::new() } else { format!("-{done}") };
        format!("{}_{}+{left}{done}.efi", self.image.product, self.version)
    }

    fn uki(&self, mut uki: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let (old, new) = (self.image.version.to_string(), self.version.to_string());
        let pe = Pe::parse(&uki)?;
        let text = |section| pe.read_section(section).with_context(|| format!("the UKI has no {section}"));
        let release = String::from_utf8(text(Section::OsRel)?.to_vec())?.replace(&old, &new);
        let cmdline = String::from_utf8(text(Section::Cmdline)?.to_vec())?;
        let cmdline = match self.change {
            Change::Arguments(further) => format!("{cmdline} {further}"),
            Change::RootHash => {
                let hash = &self.image.root_hash;
                let other = if hash.starts_with('0') { "1" } else { "0" };
                cmdline.replace(&format!("usrhash={hash}"), &format!("usrhash={other}{}", &hash[1..]))
            }
            Change::NewerLoader => cmdline,
        };
        put_section(&mut uki, Section::OsRel, release.as_bytes())?;
        put_section(&mut uki, Section::Cmdline, cmdline.as_bytes())?;
        Ok(uki)
    }

    fn loader(&self, mut loader: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        match self.change {
            Change::Arguments(_) | Change::RootHash => {}
            Change::NewerLoader => {
                let mark = loader.windows(LOADER_MARK.len()).position(|window| window == LOADER_MARK);
                // The last digit of the major version: one that is no 9 keeps the length.
                let at = mark.context("the loader does not say its version")? + LOADER_MARK.len() + 2;
                ensure!((b'0'..=b'8').contains(&loader[at]), "the loader's version has no next one");
                loader[at] += 1;
            }
        }
        Ok(loader)
    }
}

/// Replaces what a section holds, in the room that the file has for it.
fn put_section(uki: &mut [u8], section: Section, content: &[u8]) -> anyhow::Result<()> {
    /// Of the length in memory, behind the name in a section's header.
    const VIRTUAL_SIZE_AT: usize = 8;
    let pe = Pe::parse(uki)?;
    let found = pe.sections().iter().find(|candidate| candidate.name == section.name());
    let found = found.with_context(|| format!("the UKI has no {section}"))?;
    let (at, room) = (usize::try_from(found.raw_offset)?, usize::try_from(found.raw_size)?);
    ensure!(content.len() <= room, "{section} has room for {room} bytes, not for {}", content.len());
    let name = section.name().as_bytes();
    let header = uki[..uki::HEAD_LEN].windows(name.len()).position(|window| window == name);
    let size_at = header.with_context(|| format!("no header of {section}"))? + VIRTUAL_SIZE_AT;
    uki[size_at..size_at + 4].copy_from_slice(&u32::try_from(content.len())?.to_le_bytes());
    uki[at..at + room].fill(0);
    uki[at..at + content.len()].copy_from_slice(content);
    Ok(())
}

/// Returns the offset in `next`'s payload of the first block of `/usr` that `old` lacks.
pub fn first_new_block(old: &Image, next: &Image) -> anyhow::Result<u64> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let (had, usr) = (read(&old.usr)?, read(&next.usr)?);
    let block = usize::try_from(payload::ALIGNMENT)?;
    let had: std::collections::HashSet<_> = had.chunks(block).collect();
    let index = usr.chunks(block).position(|chunk| !had.contains(chunk)).context("no block is new")?;
    let start = head(&next.payload)?.0.layout.usr.offset;
    Ok(start + u64::try_from(index)? * payload::ALIGNMENT)
}
