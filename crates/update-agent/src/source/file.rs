//! A payload in a file of this machine.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context;
use payload::Extent;

use super::{Sink, Source, SourceError};

const CHUNK: u64 = 256 << 10;

/// An open file.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    file: File,
    len: u64,
}

impl FileSource {
    /// Opens a payload.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let open = || -> std::io::Result<(File, u64)> {
            let mut file = File::open(path)?;
            let len = file.seek(SeekFrom::End(0))?;
            Ok((file, len))
        };
        let (file, len) = open().with_context(|| format!("opening {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, len })
    }
}

impl Source for FileSource {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn expect_total(&mut self, total: u64) -> anyhow::Result<()> {
        if self.len != total {
            return Err(SourceError::answer("length of the payload", total, self.len).into());
        }
        Ok(())
    }

    fn read_ranges(&mut self, ranges: &[Extent], sink: &mut Sink<'_>) -> anyhow::Result<()> {
        let mut buffer = Vec::new();
        for range in ranges {
            if self.len < range.end() {
                let expected = format!("at least {}", range.end());
                return Err(SourceError::answer("length of the payload", expected, self.len).into());
            }
            self.file.seek(SeekFrom::Start(range.offset)).with_context(|| self.reading())?;
            let mut at = range.offset;
            while at < range.end() {
                let n = (range.end() - at).min(CHUNK);
                buffer.resize(usize::try_from(n)?, 0);
                self.file.read_exact(&mut buffer).with_context(|| self.reading())?;
                sink(at, &buffer)?;
                at += n;
            }
        }
        Ok(())
    }
}

impl FileSource {
    fn reading(&self) -> String {
        format!("reading {}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_ranges_in_order_and_knows_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        std::fs::write(&path, b"0123456789").unwrap();
        let mut source = FileSource::open(&path).unwrap();
        source.expect_total(10).unwrap();
        let err = source.expect_total(11).unwrap_err().to_string();
        assert_eq!(err, "length of the payload: expected 11, found 10");
        let mut got = Vec::new();
        let ranges = [Extent { offset: 1, len: 2 }, Extent { offset: 8, len: 2 }];
        source
            .read_ranges(&ranges, &mut |at, bytes| {
                got.push((at, bytes.to_vec()));
                Ok(())
            })
            .unwrap();
        assert_eq!(got, [(1, b"12".to_vec()), (8, b"89".to_vec())]);
        let err = source.read_ranges(&[Extent { offset: 9, len: 2 }], &mut |_, _| Ok(())).unwrap_err();
        assert_eq!(err.to_string(), "length of the payload: expected at least 11, found 10");
    }
}
