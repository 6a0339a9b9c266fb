//! The ESP at a cut as a sparse file, for programs that read files. From cut to cut only what differs is
//! written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use disk_image::fat::{self, TakenName};
use disk_image::{Device, Extent};
use write_log::{Piece, Source};

/// Copied at a time.
const CHUNK: usize = 1 << 20;

/// The file, and what it shows now.
#[derive(Debug)]
pub struct EspFile {
    path: PathBuf,
    file: File,
    esp: Extent,
    shown: Vec<Piece>,
}

impl EspFile {
    /// Makes the file in `work`, as the ESP was before the recording.
    pub fn new(work: &Path, base: &File, esp: Extent) -> anyhow::Result<Self> {
        std::fs::create_dir_all(work).with_context(|| format!("making {}", work.display()))?;
        let path = work.join("esp");
        let options = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = options.with_context(|| format!("making {}", path.display()))?;
        file.set_len(esp.len)?;
        copy_sparse(base, esp, &file).context("copying the ESP")?;
        let shown = vec![Piece { offset: esp.offset, len: esp.len, source: Source::Base }];
        Ok(Self { path, file, esp, shown })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Repairs the file as a machine does before it mounts the ESP, gives `look` the path and the names that went,
    /// and takes the repair back.
    pub fn repaired<T>(
        &mut self,
        look: impl FnOnce(&Path, &[TakenName]) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut device = Undoable { file: &self.file, before: Vec::new() };
        let all = Extent { offset: 0, len: self.esp.len };
        let taken = fat::repair_names(&mut device, all).and_then(|taken| {
            fat::settle(&mut device, all)?;
            Ok(taken)
        });
        let seen = taken.context("repairing the ESP").and_then(|taken| look(&self.path, &taken));
        device.undo().context("taking the repair back")?;
        seen
    }

    /// Makes the file show `pieces`, which make up the ESP.
    pub fn show(&mut self, pieces: &[Piece], base: &File, log: &File) -> anyhow::Result<()> {
        let changed = changed(&self.shown, pieces);
        for piece in &changed {
            let to = piece.offset - self.esp.offset;
            match piece.source {
                Source::Base => copy_all(base, piece.offset, &self.file, to, piece.len),
                Source::Log(at) => copy_all(log, at, &self.file, to, piece.len),
            }
            .context("writing the ESP of a cut")?;
        }
        self.shown = pieces.to_vec();
        Ok(())
    }
}

/// The file, with every change kept so that it can be taken back.
#[derive(Debug)]
struct Undoable<'a> {
    file: &'a File,
    before: Vec<(u64, Vec<u8>)>,
}

impl Undoable<'_> {
    fn undo(self) -> io::Result<()> {
        self.before.iter().rev().try_for_each(|(at, bytes)| self.file.write_all_at(bytes, *at))
    }
}

impl Read for Undoable<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }
}

impl Write for Undoable<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let at = self.file.stream_position()?;
        let mut before = vec![0; buf.len()];
        self.file.read_exact_at(&mut before, at)?;
        self.before.push((at, before));
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Undoable<'_> {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.file.seek(pos)
    }
}

impl Device for Undoable<'_> {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes those `pieces` of a disk that are from the log.
pub fn write_pieces(disk: &File, pieces: &[Piece], log: &File) -> anyhow::Result<()> {
    for piece in pieces {
        if let Source::Log(at) = piece.source {
            copy_all(log, at, disk, piece.offset, piece.len).context("writing what was recorded")?;
        }
    }
    Ok(())
}

/// Returns the parts of `new` that `old`, of the same range, does not show.
fn changed(old: &[Piece], new: &[Piece]) -> Vec<Piece> {
    let mut changed = Vec::new();
    let mut old = old.iter().copied();
    let mut before = old.next();
    for piece in new {
        let mut rest = *piece;
        while rest.len > 0 {
            while before.is_some_and(|before| before.end() <= rest.offset) {
                before = old.next();
            }
            let end = before.map_or(rest.end(), |before| before.end().min(rest.end()));
            let part = Piece { len: end - rest.offset, ..rest };
            if before.is_none_or(|before| source_at(before, part.offset) != part.source) {
                changed.push(part);
            }
            rest = Piece { offset: end, len: rest.end() - end, source: source_at(rest, end) };
        }
    }
    changed
}

/// Returns the source of byte `at` of a piece.
fn source_at(piece: Piece, at: u64) -> Source {
    match piece.source {
        Source::Base => Source::Base,
        Source::Log(data_at) => Source::Log(data_at + (at - piece.offset)),
    }
}

/// Copies the ESP and leaves holes where it is zero.
fn copy_sparse(base: &File, esp: Extent, to: &File) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    while done < esp.len {
        let n = usize::try_from(esp.len - done).unwrap_or(CHUNK).min(CHUNK);
        base.read_exact_at(&mut buffer[..n], esp.offset + done)?;
        if buffer[..n].iter().any(|byte| *byte != 0) {
            to.write_all_at(&buffer[..n], done)?;
        }
        done += u64::try_from(n).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Copies bytes, holes of the source as zeros.
fn copy_all(from: &File, from_at: u64, to: &File, to_at: u64, len: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK.min(usize::try_from(len).unwrap_or(CHUNK))];
    let mut done = 0;
    while done < len {
        let n = usize::try_from(len - done).unwrap_or(CHUNK).min(CHUNK);
        from.read_exact_at(&mut buffer[..n], from_at + done)?;
        to.write_all_at(&buffer[..n], to_at + done)?;
        done += u64::try_from(n).map_err(io::Error::other)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u64, len: u64, source: Source) -> Piece {
        Piece { offset, len, source }
    }

    #[test]
    fn only_what_differs_is_written() {
        let (base, log) = (Source::Base, Source::Log);
        let old = [piece(0, 10, base), piece(10, 10, log(100)), piece(20, 10, base)];
        assert_eq!(changed(&old, &old), []);
        let cut = [piece(0, 10, base), piece(10, 4, log(100)), piece(14, 16, base)];
        assert_eq!(changed(&old, &cut), [piece(14, 6, base)]);
        let grown = [piece(0, 5, base), piece(5, 20, log(95)), piece(25, 5, base)];
        assert_eq!(changed(&old, &grown), [piece(5, 5, log(95)), piece(20, 5, log(110))]);
    }

    #[test]
    fn the_file_follows_from_cut_to_cut_and_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            File::open(path).unwrap()
        };
        let (base, log) = (file("base", b"..abcdefgh"), file("log", b"0123456789"));
        let mut esp = EspFile::new(dir.path(), &base, Extent { offset: 2, len: 8 }).unwrap();
        let mut overlay = write_log::Overlay::default();
        overlay.write(4, 3, 5);
        esp.show(&overlay.pieces(2..10), &base, &log).unwrap();
        assert_eq!(std::fs::read(&esp.path).unwrap(), b"ab567fgh");
        esp.show(&write_log::Overlay::default().pieces(2..10), &base, &log).unwrap();
        assert_eq!(std::fs::read(&esp.path).unwrap(), b"abcdefgh");
    }
}
