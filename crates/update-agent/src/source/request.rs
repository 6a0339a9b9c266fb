//! One request and its answer: redirects, status and headers, and a body that may neither stall nor drip.

use std::io::Read;
use std::time::{Duration, Instant};

use http_get::{Ask, Url, follow};
use payload::Extent;
use ureq::BodyReader;
use ureq::http::{HeaderMap, header};

use super::{Client, SourceError, Traffic};

/// A body, from `offset` of the file on.
pub(super) struct Answer {
    /// Offset of its first byte.
    pub offset: u64,
    /// Bytes that are to come; `None` if the server does not say.
    pub len: Option<u64>,
    /// Length of the whole file, if the server says.
    pub total: Option<u64>,
    /// Its bytes.
    pub reader: Watched,
}

/// A body reader that cuts what is too slow.
pub(super) struct Watched {
    reader: BodyReader<'static>,
    traffic: Traffic,
    window: Duration,
    bytes_min: u64,
    spent: Duration,
    bytes: u64,
}

impl Watched {
    /// Reads some bytes; none at the end. Only the time spent waiting for the server counts.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let start = Instant::now();
        let n = self
            .reader
            .read(buffer)
            .map_err(|err| SourceError::Cut { why: format!("reading the answer: {err}") })?;
        self.spent += start.elapsed();
        let n_bytes = u64::try_from(n).expect("usize has at most 64 bits");
        self.bytes += n_bytes;
        self.traffic.add_bytes(n_bytes);
        if self.window <= self.spent {
            if self.bytes < self.bytes_min {
                let (bytes, secs) = (self.bytes, self.spent.as_secs_f32());
                return Err(SourceError::Drip {
                    why: format!("the server drips: {bytes} bytes in {secs:.1} s"),
                });
            }
            (self.spent, self.bytes) = (Duration::ZERO, 0);
        }
        Ok(n)
    }
}

/// Asks for a range, or for the whole file.
pub(super) fn get(client: &Client, url: &Url, range: Option<Extent>) -> Result<Answer, SourceError> {
    let range_value = range.map(|range| format!("bytes={}", shown(range)));
    let headers: Vec<_> = range_value.iter().map(|value| ("Range", value.as_str())).collect();
    let ask = Ask { headers: &headers, ..Ask::get(url) };
    let response = follow(&client.agent, ask, client.limits.redirects, &mut || client.traffic.add_request())?;
    let status = response.status().as_u16();
    let headers = response.headers();
    identity_only(headers)?;
    let content_len = content_length(headers)?;
    let (offset, len, total) = match (status, range) {
        (206, Some(range)) => {
            let total = content_range(headers, range)?;
            if let Some(found) = content_len.filter(|found| *found != range.len) {
                return Err(SourceError::answer("Content-Length", range.len, found));
            }
            (range.offset, Some(range.len), Some(total))
        }
        (200, _) => (0, content_len, content_len),
        (416, Some(range)) => {
            return Err(SourceError::answer(
                "status",
                format!("206 for bytes {}", shown(range)),
                "416: the file is shorter",
            ));
        }
        (429 | 500..=599, _) => return Err(SourceError::Busy { status }),
        (_, Some(_)) => return Err(SourceError::answer("status", "206 or 200", status)),
        (_, None) => return Err(SourceError::answer("status", "200", status)),
    };
    let reader = Watched {
        // What is longer than asked for is noticed by whoever counts.
        reader: response.into_body().into_with_config().limit(u64::MAX).reader(),
        traffic: client.traffic.clone(),
        window: client.limits.drip_window,
        bytes_min: client.limits.drip_bytes,
        spent: Duration::ZERO,
        bytes: 0,
    };
    Ok(Answer { offset, len, total, reader })
}

/// Fetches a whole file of at most `limit` bytes, with one request.
pub fn get_small(client: &Client, url: &Url, limit: u64) -> Result<Vec<u8>, SourceError> {
    let mut answer = get(client, url, None)?;
    let too_long = |found| SourceError::answer("length of the file", format!("at most {limit} bytes"), found);
    if let Some(len) = answer.len.filter(|len| limit < *len) {
        return Err(too_long(len.to_string()));
    }
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        let n = answer.reader.read(&mut buffer)?;
        if n == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&buffer[..n]);
        if limit < u64::try_from(bytes.len()).expect("usize has at most 64 bits") {
            return Err(too_long("more".to_owned()));
        }
    }
}

fn identity_only(headers: &HeaderMap) -> Result<(), SourceError> {
    match text(headers, header::CONTENT_ENCODING.as_str()) {
        None | Some("" | "identity") => Ok(()),
        Some(found) => Err(SourceError::answer("Content-Encoding", "none: raw bytes", found)),
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, SourceError> {
    let Some(found) = text(headers, header::CONTENT_LENGTH.as_str()) else { return Ok(None) };
    found.trim().parse().map(Some).map_err(|_| SourceError::answer("Content-Length", "a number", found))
}

/// Checks that the answer is for what was asked, and returns the length of the whole file (RFC 9110, 14.4).
fn content_range(headers: &HeaderMap, asked: Extent) -> Result<u64, SourceError> {
    let expected = || format!("bytes {}/<length>", shown(asked));
    let found = text(headers, header::CONTENT_RANGE.as_str()).unwrap_or("nothing");
    let fails = || SourceError::answer("Content-Range", expected(), found);
    let (range, total) =
        found.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).ok_or_else(fails)?;
    let total: u64 = total.trim().parse().map_err(|_| fails())?;
    if range.trim() != shown(asked) || total < asked.end() {
        return Err(fails());
    }
    Ok(total)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // A header that is no text is none that we could use.
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// First and last byte, as the headers count.
fn shown(range: Extent) -> String {
    format!("{}-{}", range.offset, range.end().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    #[track_caller]
    fn check_range(found: &'static str, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_RANGE, HeaderValue::from_static(found));
        let total = content_range(&headers, Extent { offset: 10, len: 5 });
        assert_eq!(total.as_ref().ok(), expected.as_ref(), "{total:?}");
    }

    #[test]
    fn an_answer_is_for_the_range_asked_and_says_the_whole_length() {
        check_range("bytes 10-14/100", Some(100));
        check_range("bytes 10-14/15", Some(15));
        for wrong in [
            "bytes 10-14/14",
            "bytes 9-14/100",
            "bytes 10-13/100",
            "bytes 10-15/100",
            "bytes 10-14/*",
            "bytes */100",
            "items 10-14/100",
            "10-14/100",
            "",
            "bytes 10-14/99999999999999999999",
        ] {
            check_range(wrong, None);
        }
        let err = content_range(&HeaderMap::new(), Extent { offset: 0, len: 1 }).unwrap_err();
        assert_eq!(err.to_string(), "Content-Range: expected bytes 0-0/<length>, found nothing");
    }

    #[test]
    fn packed_answers_are_refused() {
        let mut headers = HeaderMap::new();
        identity_only(&headers).unwrap();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let err = identity_only(&headers).unwrap_err().to_string();
        assert_eq!(err, "Content-Encoding: expected none: raw bytes, found gzip");
    }
}
