//! What a request is answered: a file, a range of it, or a refusal.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::request::Request;

/// An answer, before it is written.
#[derive(Debug)]
pub enum Answer {
    /// The whole file.
    Whole(Found),
    /// These bytes of it.
    Part(Found, Range<u64>),
    /// A range that holds no byte of the file.
    Unsatisfiable(Found),
    /// Status and reason.
    Refused(u16, &'static str),
}

/// A file that may be served.
#[derive(Debug)]
pub struct Found {
    file: File,
    len: u64,
    etag: String,
}

/// What a range asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part(Range<u64>),
    Nothing,
}

/// Finds the answer.
pub fn find(root: &Path, request: &Request) -> Answer {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Answer::Refused(405, "Method Not Allowed");
    }
    let Some(found) = file_of(root, &request.target) else { return Answer::Refused(404, "Not Found") };
    // A range of the file that the peer has seen the start of, or else the whole of the new one.
    let is_current = request.if_range.as_ref().is_none_or(|etag| *etag == found.etag);
    let range = request.range.as_deref().filter(|_| is_current && request.method == "GET");
    match range.map_or(Wanted::Whole, |range| wanted(range, found.len)) {
        Wanted::Whole => Answer::Whole(found),
        Wanted::Part(range) => Answer::Part(found, range),
        Wanted::Nothing => Answer::Unsatisfiable(found),
    }
}

/// Answers bytes that are no request; the connection cannot go on.
pub fn refuse(mut stream: &TcpStream, why: &str) -> io::Result<()> {
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{why}\n", why.len() + 1)
}

impl Answer {
    /// Writes head and body.
    pub fn write(self, request: &Request, mut stream: &TcpStream) -> io::Result<()> {
        let connection = if request.keeps { "keep-alive" } else { "close" };
        let mut head =
            format!("HTTP/1.1 {} {}\r\nConnection: {connection}\r\n", self.status(), self.reason());
        let (body, rest) = match self {
            Self::Whole(found) => (0..found.len, Some(found)),
            Self::Part(found, range) => {
                let last = range.end - 1;
                head.push_str(&format!("Content-Range: bytes {}-{last}/{}\r\n", range.start, found.len));
                (range, Some(found))
            }
            Self::Unsatisfiable(found) => {
                head.push_str(&format!("Content-Range: bytes */{}\r\n", found.len));
                (0..0, None)
            }
            Self::Refused(405, _) => {
                head.push_str("Allow: GET, HEAD\r\n");
                (0..0, None)
            }
            Self::Refused(..) => (0..0, None),
        };
        let len = body.end - body.start;
        head.push_str(&format!("Content-Length: {len}\r\n"));
        if let Some(found) = &rest {
            let etag = &found.etag;
            head.push_str(&format!(
                "Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\nETag: {etag}\r\n"
            ));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        if let Some(Found { mut file, .. }) = rest.filter(|_| request.method != "HEAD") {
            file.seek(SeekFrom::Start(body.start))?;
            // The kernel copies from file to socket.
            if io::copy(&mut file.take(len), &mut stream)? != len {
                return Err(io::Error::other("the file became shorter while it was sent"));
            }
        }
        Ok(())
    }

    fn status(&self) -> u16 {
        match self {
            Self::Whole(_) => 200,
            Self::Part(..) => 206,
            Self::Unsatisfiable(_) => 416,
            Self::Refused(status, _) => *status,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Whole(_) => "OK",
            Self::Part(..) => "Partial Content",
            Self::Unsatisfiable(_) => "Range Not Satisfiable",
            Self::Refused(_, reason) => reason,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = match self {
            Self::Whole(found) => found.len,
            Self::Part(_, range) => range.end - range.start,
            Self::Unsatisfiable(_) | Self::Refused(..) => 0,
        };
        write!(f, "{} {len}", self.status())
    }
}

/// Opens the regular file that a request's target names.
fn file_of(root: &Path, target: &str) -> Option<Found> {
    let path = root.join(relative(target)?).canonicalize().ok()?;
    // A link may lead to another file of the folder, never out of it.
    if !path.starts_with(root) {
        return None;
    }
    // A named pipe would hold whoever opens it.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let file = File::open(path).ok()?;
    let meta = file.metadata().ok()?;
    let etag = format!("\"{:x}-{:x}-{:x}\"", meta.len(), meta.mtime(), meta.mtime_nsec());
    Some(Found { file, len: meta.len(), etag })
}

/// The path below the folder, without escapes; `None` for one that could lead elsewhere.
fn relative(target: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let path = String::from_utf8(unescaped(path.as_bytes())?).ok()?;
    let is_plain = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('\0');
    path.split('/').all(is_plain).then(|| path.into())
}

fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut bytes = vec![];
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            byte => *byte,
        });
    }
    Some(bytes)
}

/// Reads the field `Range` (RFC 9110, section 14). What is not one range of bytes is passed over, as it says.
fn wanted(range: &str, len: u64) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::Whole;
    };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number too large for us is behind the end of every file.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(len),
        (Some(first), None) if last.is_empty() => first..len,
        (None, Some(suffix)) if first.is_empty() => len.saturating_sub(suffix)..len,
        _ => return Wanted::Whole,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_single_ranges() {
        assert_eq!(wanted("bytes=0-0", 10), Wanted::Part(0..1));
        assert_eq!(wanted("bytes=3-", 10), Wanted::Part(3..10));
        assert_eq!(wanted("bytes=3-99999999999999999999999", 10), Wanted::Part(3..10));
        assert_eq!(wanted("bytes=-4", 10), Wanted::Part(6..10));
        assert_eq!(wanted("bytes=-40", 10), Wanted::Part(0..10));
        for range in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(wanted(range, 10), Wanted::Nothing, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn passes_over_what_is_not_one_range_of_bytes() {
        for range in
            ["bytes=4-3", "bytes=0-1,3-4", "bytes=", "bytes=-", "bytes=+1-2", "bytes=a-b", "rows=0-1"]
        {
            assert_eq!(wanted(range, 10), Wanted::Whole, "{range}");
        }
    }

    #[test]
    fn accepts_plain_paths_only() {
        assert_eq!(relative("/a/b%20c?x#y"), Some("a/b c".into()));
        for target in [
            "a",
            "/",
            "//a",
            "/a/",
            "/..",
            "/../a",
            "/a/../../b",
            "/%2e%2e/a",
            "/a%2f..%2f..%2fb",
            "/.tmp",
            "/a%00",
            "/%",
            "/%4",
            "/%zz",
            "/%ff",
            "http://x/a",
        ] {
            assert_eq!(relative(target), None, "{target}");
        }
    }
}
