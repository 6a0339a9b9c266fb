//! The head of a request: method, path and the few fields that matter here.

use std::fmt;
use std::io::{self, BufRead, Read as _};

/// Longest head in bytes.
const HEAD_MAX: u64 = 16 << 10;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// As sent, with escapes.
    pub target: String,
    /// The field `Range`.
    pub range: Option<String>,
    /// The field `If-Range`.
    pub if_range: Option<String>,
    /// Whether another request may follow on this connection.
    pub keeps: bool,
}

/// Why there is no request.
#[derive(Debug)]
pub enum ReadError {
    /// The connection failed.
    Io(io::Error),
    /// The bytes are no request that is answered.
    Bad(&'static str),
}

impl From<io::Error> for ReadError {
    fn from(err: io::Error) -> Self {
        Self::Io(err)
    }
}

/// Reads the next head; `None` when the peer has closed the connection.
pub fn read(reader: &mut impl BufRead) -> Result<Option<Request>, ReadError> {
    let mut head = reader.take(HEAD_MAX);
    let Some(line) = line(&mut head)? else { return Ok(None) };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(ReadError::Bad("the request line is not three words"));
    };
    let keeps = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return Err(ReadError::Bad("the version is neither HTTP/1.1 nor HTTP/1.0")),
    };
    let mut request =
        Request { method: method.to_owned(), target: target.to_owned(), range: None, if_range: None, keeps };
    loop {
        let Some(field) = self::line(&mut head)? else {
            return Err(ReadError::Bad("the head does not end within its limit"));
        };
        if field.is_empty() {
            return Ok(Some(request));
        }
        let Some((name, value)) = field.split_once(':') else {
            return Err(ReadError::Bad("a field has no colon"));
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "if-range" => request.if_range = Some(value.to_owned()),
            "connection" if value.eq_ignore_ascii_case("close") => request.keeps = false,
            "transfer-encoding" => return Err(ReadError::Bad("requests have no body here")),
            "content-length" if value != "0" => return Err(ReadError::Bad("requests have no body here")),
            _ => {}
        }
    }
}

/// A line without its end; `None` at the end of the input.
fn line(head: &mut impl BufRead) -> Result<Option<String>, ReadError> {
    let mut bytes = vec![];
    head.read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        return Err(ReadError::Bad("the head is too long, or ends within a line"));
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map(Some).map_err(|_| ReadError::Bad("the head is not UTF-8"))
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Control characters of a peer must not reach a terminal.
        write!(f, "{} {}", self.method.escape_debug(), self.target.escape_debug())?;
        self.range.iter().try_for_each(|range| write!(f, " {}", range.escape_debug()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(text: &str) -> &'static str {
        match read(&mut text.as_bytes()) {
            Err(ReadError::Bad(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_one_head_after_another() {
        let text = "GET /a HTTP/1.1\r\nRANGE: bytes=1-2\r\nHost: x\r\n\r\nHEAD /b HTTP/1.0\n\n";
        let mut reader = text.as_bytes();
        let first = read(&mut reader).unwrap().unwrap();
        assert_eq!(first.to_string(), "GET /a bytes=1-2");
        assert!(first.keeps);
        let second = read(&mut reader).unwrap().unwrap();
        assert_eq!((second.to_string().as_str(), second.keeps), ("HEAD /b", false));
        assert_eq!(read(&mut reader).unwrap(), None);
    }

    #[test]
    fn closes_when_asked_to() {
        let request = read(&mut "GET / HTTP/1.1\r\nConnection: Close\r\n\r\n".as_bytes()).unwrap().unwrap();
        assert!(!request.keeps);
    }

    #[test]
    fn rejects_what_is_no_request() {
        assert!(bad("GET /\r\n\r\n").contains("three words"));
        assert!(bad("GET / HTTP/2\r\n\r\n").contains("version"));
        assert!(bad("GET / HTTP/1.1\r\nnonsense\r\n\r\n").contains("no colon"));
        assert!(bad("GET / HTTP/1.1\r\n").contains("does not end"));
        assert!(bad("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n").contains("no body"));
        assert!(bad(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000))).contains("too long"));
        let fields = "A: b\r\n".repeat(4000);
        // The limit may fall on the end of a line.
        let why = bad(&format!("GET / HTTP/1.1\r\n{fields}\r\n"));
        assert!(why.contains("too long") || why.contains("limit"), "{why}");
    }

    #[test]
    fn shows_no_control_characters() {
        let request = read(&mut "GET /\u{1b}[2J HTTP/1.1\r\n\r\n".as_bytes()).unwrap().unwrap();
        assert!(!request.to_string().contains('\u{1b}'));
    }
}
