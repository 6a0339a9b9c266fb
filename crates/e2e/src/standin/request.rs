//! A request of HTTP/1.1: read, and made anew for another server.

use std::io::{BufRead, Read as _};

use anyhow::{Context as _, ensure};

/// Longest line of a head, and most of them.
const LINE_MAX: u64 = 8 << 10;
const LINES_MAX: usize = 100;
/// Longest body.
const BODY_MAX: u64 = 1 << 20;

/// A request with its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The name that the client asked, without a port.
    pub host: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Reads one.
    pub fn read(from: &mut impl BufRead) -> anyhow::Result<Self> {
        let first = line(from)?;
        let words: Vec<_> = first.split(' ').collect();
        let [method, path, "HTTP/1.1"] = words[..] else { anyhow::bail!("`{first}` begins no request") };
        ensure!(path.starts_with('/'), "`{path}` is no path");
        let mut headers = vec![];
        loop {
            let line = line(from)?;
            if line.is_empty() {
                break;
            }
            ensure!(headers.len() < LINES_MAX, "the request has more than {LINES_MAX} headers");
            let (name, value) = line.split_once(':').with_context(|| format!("`{line}` is no header"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let value = |wanted: &str| {
            headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str())
        };
        ensure!(value("transfer-encoding").is_empty(), "the body's length is not known");
        let len: u64 = match value("content-length") {
            "" => 0,
            text => text.parse().with_context(|| format!("`{text}` is no length"))?,
        };
        ensure!(len <= BODY_MAX, "the body has {len} bytes, more than {BODY_MAX}");
        let host = value("host").split(':').next().unwrap_or_default().to_owned();
        let mut body = vec![0; usize::try_from(len)?];
        from.read_exact(&mut body).context("reading the body")?;
        Ok(Self { method: method.to_owned(), path: path.to_owned(), host, headers, body })
    }

    /// Returns the bytes that ask a server for the same below `prefix`, and to close the connection behind the answer.
    pub fn below(&self, prefix: &str) -> Vec<u8> {
        let Self { method, path, headers, body, .. } = self;
        let mut text = format!("{method} {prefix}{path} HTTP/1.1\r\n");
        for (name, value) in headers.iter().filter(|(name, _)| name != "connection") {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("connection: close\r\n\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend(body);
        bytes
    }
}

/// Reads a line without its end.
fn line(from: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    from.take(LINE_MAX).read_line(&mut line).context("reading a line")?;
    let end = line.strip_suffix("\r\n").context("a line of the request does not end, or is too long")?;
    Ok(end.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Request> {
        Request::read(&mut text.as_bytes())
    }

    #[test]
    fn is_passed_on_with_its_body_and_closes_the_connection() {
        let text = "PUT /ba09c/1?prevExist=false HTTP/1.1\r\nHost: d.example:443\r\nContent-Length: 7\r\n\
                    Connection: keep-alive\r\n\r\nvalue=abehind";
        let request = read(text).unwrap();
        assert_eq!((request.method.as_str(), request.host.as_str()), ("PUT", "d.example"));
        let expected = "PUT /v2/keys/ba09c/1?prevExist=false HTTP/1.1\r\nhost: d.example:443\r\n\
                        content-length: 7\r\nconnection: close\r\n\r\nvalue=a";
        assert_eq!(String::from_utf8(request.below("/v2/keys")).unwrap(), expected);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (text, why) in [
            ("", "a line of the request does not end"),
            ("GET / HTTP/1.0\r\n\r\n", "`GET / HTTP/1.0` begins no request"),
            ("GET a HTTP/1.1\r\n\r\n", "`a` is no path"),
            ("GET / HTTP/1.1\r\nHost\r\n\r\n", "`Host` is no header"),
            ("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "the body's length is not known"),
            ("PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "`x` is no length"),
            ("PUT / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", "the body has 9999999 bytes"),
            ("PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r\na", "reading the body"),
        ] {
            let err = read(text).unwrap_err().to_string();
            assert!(err.starts_with(why), "{text:?}: {err}");
        }
        assert!(read(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(10_000))).is_err());
        assert!(read(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101))).is_err());
    }
}
