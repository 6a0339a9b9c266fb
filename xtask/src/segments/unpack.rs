//! Reads an initrd as the kernel does, to judge what [`super::write`] made. Shares no code with it.
//! Source: init/initramfs.c of the Linux kernel: zeros are skipped, anything else starts a frame.

use std::collections::BTreeMap;
use std::io::Read as _;

use anyhow::{Context as _, bail, ensure};

/// Most that one segment may unpack to.
const SEGMENT_MAX: u64 = 256 << 20;
/// Largest window, as a power of two: ZSTD_WINDOWSIZE_MAX in lib/decompress_unzstd.c.
const WINDOW_LOG_MAX: u32 = 27;
const HEADER_LEN: usize = 110;
const TYPE_MASK: u32 = 0o170_000;
const DIR: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// One archive of the initrd.
#[derive(Debug)]
pub struct Segment {
    /// Where its frame starts.
    pub offset: usize,
    /// Length of the frame.
    pub packed: usize,
    /// Everything before the trailer.
    pub entries: Vec<Entry>,
}

/// One member of an archive.
#[derive(Debug, Eq, PartialEq)]
pub struct Entry {
    /// Path without a leading slash.
    pub path: String,
    /// Type and permission bits.
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: u32,
    /// Bytes of a file, target of a link.
    pub data: Vec<u8>,
}

/// Takes an initrd apart.
pub fn segments(initrd: &[u8]) -> anyhow::Result<Vec<Segment>> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < initrd.len() {
        if initrd[offset] == 0 {
            offset += 1;
            continue;
        }
        let segment = segment(initrd, offset).with_context(|| format!("reading the segment at {offset}"))?;
        offset += segment.packed;
        found.push(segment);
    }
    Ok(found)
}

/// Unpacks into a map, by the kernel's rules for what is there already and what is missing.
pub fn unpack(segments: &[Segment]) -> anyhow::Result<BTreeMap<&str, &Entry>> {
    let mut tree: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in segments.iter().flat_map(|segment| &segment.entries) {
        let path = entry.path.as_str();
        if let Some((above, _)) = path.rsplit_once('/') {
            let there = tree.get(above).is_some_and(|above| above.mode & TYPE_MASK == DIR);
            ensure!(there, "{path} comes before its folder");
        }
        // The kernel would let the later one win; ours never says a thing twice.
        ensure!(tree.insert(path, entry).is_none(), "{path} is in the initrd twice");
    }
    Ok(tree)
}

fn segment(initrd: &[u8], offset: usize) -> anyhow::Result<Segment> {
    let bytes = &initrd[offset..];
    let packed = zstd::zstd_safe::find_frame_compressed_size(bytes)
        .map_err(|code| anyhow::anyhow!("no zstd frame: {}", zstd::zstd_safe::get_error_name(code)))?;
    let frame = bytes.get(..packed).context("the frame is cut off")?;
    let mut decoder = zstd::stream::read::Decoder::new(frame)?.single_frame();
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    let mut archive = Vec::new();
    decoder.take(SEGMENT_MAX + 1).read_to_end(&mut archive).context("unpacking the frame")?;
    ensure!(u64::try_from(archive.len())? <= SEGMENT_MAX, "it unpacks to more than {SEGMENT_MAX} bytes");
    Ok(Segment { offset, packed, entries: entries(&archive)? })
}

/// Takes one archive that is not packed apart.
pub fn entries(archive: &[u8]) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut at = 0;
    loop {
        let header = archive.get(at..at + HEADER_LEN).context("the archive ends without a trailer")?;
        ensure!(header.starts_with(b"070701"), "no cpio header at {at}");
        let field = |idx: usize| -> anyhow::Result<u32> {
            let digits = std::str::from_utf8(&header[6 + 8 * idx..14 + 8 * idx])?;
            u32::from_str_radix(digits, 16).with_context(|| format!("reading field {idx} at {at}"))
        };
        let (mode, n_links, mtime) = (field(1)?, field(4)?, field(5)?);
        let (size, name_size) = (usize::try_from(field(6)?)?, usize::try_from(field(11)?)?);
        let name_at = at + HEADER_LEN;
        let name = archive.get(name_at..name_at + name_size).context("a name is cut off")?;
        let name = name.strip_suffix(&[0]).with_context(|| format!("the name at {name_at} has no end"))?;
        let data_at = (name_at + name_size).next_multiple_of(4);
        let data = archive.get(data_at..data_at + size).context("a file is cut off")?;
        let next = (data_at + size).next_multiple_of(4);
        if name == b"TRAILER!!!" {
            ensure!(archive.len() == next, "{} bytes follow the trailer", archive.len().abs_diff(next));
            return Ok(entries);
        }
        // The kernel forgets hard links at each trailer.
        ensure!(n_links == 1, "an entry at {at} has {n_links} links");
        match mode & TYPE_MASK {
            DIR if size == 0 => {}
            FILE | LINK => {}
            _ => bail!("an entry at {at} has mode {mode:o} and {size} bytes"),
        }
        let path = String::from_utf8(name.to_vec()).context("a name is not UTF-8")?;
        entries.push(Entry { path, mode, mtime, data: data.to_vec() });
        at = next;
    }
}
