//! The compressions of members of a `.deb` and of indexes, chosen by the end of the name.

use std::fmt;
use std::io::{self, BufReader, Read};

/// Memory that a decoder may take, in bytes. `xz -9` needs 65 MiB.
const MEMORY_MAX: u64 = 256 << 20;

/// Largest zstd window, as a power of two: 128 MiB, the limit of the `zstd` program.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// `.gz`
    Gzip,
    /// `.xz`
    Xz,
    /// `.zst`
    Zstd,
}

impl Compression {
    /// Splits `data.tar.xz` into `data.tar` and the compression. An unknown end belongs to the name.
    pub fn of_name(name: &str) -> (&str, Self) {
        for (end, compression) in [(".gz", Self::Gzip), (".xz", Self::Xz), (".zst", Self::Zstd)] {
            if let Some(stem) = name.strip_suffix(end) {
                return (stem, compression);
            }
        }
        (name, Self::None)
    }

    /// Returns the unpacked bytes as they are read.
    pub fn decoder<'a, R: Read + 'a>(self, reader: R) -> io::Result<Decoder<'a>> {
        Ok(Decoder(match self {
            Self::None => Box::new(reader),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(reader))),
            Self::Xz => {
                let stream =
                    liblzma::stream::Stream::new_stream_decoder(MEMORY_MAX, liblzma::stream::CONCATENATED)
                        .map_err(io::Error::other)?;
                Box::new(liblzma::read::XzDecoder::new_stream(reader, stream))
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(reader)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        }))
    }
}

/// Reads the unpacked bytes.
pub struct Decoder<'a>(Box<dyn Read + 'a>);

impl<'a> Decoder<'a> {
    /// Ends after so many unpacked bytes.
    pub fn bounded(self, limit: u64) -> Self {
        Self(Box::new(self.0.take(limit)))
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}

/// Unpacks all of an index, `limit` bytes at most.
pub fn unpack_all(compression: Compression, bytes: &[u8], limit: u64) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    compression.decoder(bytes)?.take(limit.saturating_add(1)).read_to_end(&mut unpacked)?;
    if limit < u64::try_from(unpacked.len()).unwrap_or(u64::MAX) {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it unpacks to more than {limit} bytes"),
        ));
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        match compression {
            Compression::None => bytes.to_vec(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Xz => liblzma::encode_all(bytes, 1).unwrap(),
            Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        }
    }

    #[test]
    fn unpacks_each_compression() {
        let bytes = b"0123456789".repeat(1000);
        for name in ["data.tar", "data.tar.gz", "data.tar.xz", "data.tar.zst"] {
            let (stem, compression) = Compression::of_name(name);
            assert_eq!(stem, "data.tar");
            let small = packed(compression, &bytes);
            assert_eq!(unpack_all(compression, &small, 10_000).unwrap(), bytes, "{name}");
            let err = unpack_all(compression, &small, 9_999).unwrap_err();
            assert_eq!(err.kind(), io::ErrorKind::FileTooLarge, "{name}");
        }
    }

    #[test]
    fn rejects_cut_streams() {
        let bytes = b"0123456789".repeat(1000);
        for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
            let small = packed(compression, &bytes);
            let cut = &small[..small.len() - 6];
            assert!(unpack_all(compression, cut, 1 << 20).is_err(), "{compression:?}");
        }
    }
}
