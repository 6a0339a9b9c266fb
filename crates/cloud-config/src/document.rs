//! From the bytes of user data to text of a known kind, within limits.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::finding::{Finding, Position};
use crate::suggest::distance;

/// Bytes of user data after gunzip: metadata services give 16 to 64 KiB.
pub const LEN_MAX: usize = 1 << 20;

const HEADER: &str = "#cloud-config";
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BOM: &str = "\u{feff}";

/// What user data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// Nothing.
    Empty,
    /// A cloud-config, header and all.
    Config(String),
    /// A program, `#!` and all.
    Script(String),
    /// A configuration of the original's successor, which is for somebody else.
    Ignition,
}

/// Tells what `bytes` are and returns their text, unpacked and without a byte order mark.
pub fn parse(bytes: &[u8]) -> Result<Document, Finding> {
    let unpacked;
    let bytes = if bytes.starts_with(&GZIP_MAGIC) {
        unpacked = gunzip(bytes)?;
        &unpacked
    } else {
        bytes
    };
    if bytes.len() > LEN_MAX {
        return Err(too_long());
    }
    let text = std::str::from_utf8(bytes).map_err(|err| not_utf8(bytes, err.valid_up_to()))?;
    let text = text.strip_prefix(BOM).unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(Document::Empty);
    }
    let first = text.lines().next().unwrap_or_default().trim_end();
    if first == HEADER {
        return Ok(Document::Config(text.to_owned()));
    }
    if first.starts_with("#!") {
        return Ok(Document::Script(text.to_owned()));
    }
    if is_ignition(text) {
        return Ok(Document::Ignition);
    }
    let meant = (distance(first, HEADER) <= 4).then(|| HEADER.to_owned());
    Err(Finding::error(Position::START, "must be \"#cloud-config\" or begin with \"#!\"").suggesting(meant))
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, Finding> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(LEN_MAX + 1).unwrap_or(u64::MAX);
    MultiGzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut unpacked)
        .map_err(|err| Finding::error(Position::START, format!("cannot be decompressed with gzip: {err}")))?;
    if unpacked.len() > LEN_MAX { Err(too_long()) } else { Ok(unpacked) }
}

fn too_long() -> Finding {
    Finding::error(Position::START, format!("longer than {} KiB of text", LEN_MAX >> 10))
}

fn not_utf8(bytes: &[u8], at: usize) -> Finding {
    let good = String::from_utf8_lossy(&bytes[..at]);
    let line = good.matches('\n').count() + 1;
    let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Finding::error(Position { line, column }, "not UTF-8 text")
}

fn is_ignition(text: &str) -> bool {
    if !text.trim_start().starts_with('{') {
        return false;
    }
    // What is no JSON is no Ignition either.
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return false };
    value.pointer("/ignition/version").is_some() || value.get("ignitionVersion").is_some()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn message(bytes: &[u8]) -> String {
        parse(bytes).unwrap_err().line("f")
    }

    #[test]
    fn the_first_line_decides() {
        let config = |text: &str| Ok(Document::Config(text.to_owned()));
        assert_eq!(parse(b""), Ok(Document::Empty));
        assert_eq!(parse(b" \r\n\n"), Ok(Document::Empty));
        assert_eq!(parse(b"#cloud-config"), config("#cloud-config"));
        assert_eq!(parse(b"#cloud-config \r\na: 1\r\n"), config("#cloud-config \r\na: 1\r\n"));
        assert_eq!(parse(b"#!/bin/sh\ntrue\n"), Ok(Document::Script("#!/bin/sh\ntrue\n".to_owned())));
        assert_eq!(parse(br#"{"ignition": {"version": "3.0.0"}}"#), Ok(Document::Ignition));
        assert_eq!(parse(br#"{"ignitionVersion": 1}"#), Ok(Document::Ignition));
    }

    #[test]
    fn a_byte_order_mark_does_not_count_and_gzip_is_unpacked() {
        let text = "#cloud-config\nhostname: a\n";
        let expected = Document::Config(text.to_owned());
        assert_eq!(parse(format!("\u{feff}{text}").as_bytes()), Ok(expected.clone()));
        assert_eq!(parse(&gzip(text.as_bytes())), Ok(expected));
    }

    #[test]
    fn rejects_what_it_does_not_know_and_names_what_was_meant() {
        let header = "must be \"#cloud-config\" or begin with \"#!\"";
        assert_eq!(
            message(b"#cloud-confg\n"),
            format!("f:1:1: error: {header}; did you mean `#cloud-config`?")
        );
        assert_eq!(message(b"hello\n"), format!("f:1:1: error: {header}"));
        assert_eq!(message(b"{\"a\": 1}"), format!("f:1:1: error: {header}"));
        assert_eq!(message(b"\n#cloud-config\n"), format!("f:1:1: error: {header}"));
    }

    #[test]
    fn rejects_long_text_bombs_broken_gzip_and_other_encodings() {
        let long = [b"#cloud-config\n".to_vec(), vec![b'#'; 10 << 20]].concat();
        assert_eq!(message(&long), "f:1:1: error: longer than 1024 KiB of text");
        assert_eq!(message(&gzip(&long)), "f:1:1: error: longer than 1024 KiB of text");
        assert!(message(&gzip(&long)[..40]).starts_with("f:1:1: error: cannot be decompressed with gzip"));
        assert_eq!(message(b"#cloud-config\na: \xff\n"), "f:2:4: error: not UTF-8 text");
    }
}
