//! A payload on a web server.
//!
//! Each range is one request. A server that answers without ranges is read from the start, and goes on to be read
//! where the last call stopped: asked in order, the file crosses the network once.

use std::fmt;
use std::thread::sleep;

use payload::Extent;

use super::request::{Answer, get};
use super::{Client, Sink, Source, SourceError};
use http_get::Url;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// A place on a server.
pub struct HttpSource {
    url: Url,
    client: Client,
    total: Option<u64>,
    /// The answer of a server without ranges, and the offset of its next byte.
    whole: Option<(Answer, u64)>,
}

impl fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpSource({})", self.url)
    }
}

impl HttpSource {
    /// Names the place; asks nothing yet.
    pub fn new(url: Url, client: Client) -> Self {
        Self { url, client, total: None, whole: None }
    }

    /// Reads `range` from `at` on, and leaves in `at` how far it came.
    fn try_range(&mut self, range: Extent, at: &mut u64, sink: &mut Sink<'_>) -> anyhow::Result<()> {
        let rest = Extent { offset: *at, len: range.end() - *at };
        if let Some((answer, position)) = self.whole.take_if(|(_, position)| *position <= rest.offset) {
            return self.read_whole(answer, position, range, at, sink);
        }
        self.whole = None;
        let answer = get(&self.client, &self.url, Some(rest))?;
        if let (Some(expected), Some(found)) = (self.total, answer.total)
            && expected != found
        {
            return Err(SourceError::answer("length of the payload", expected, found).into());
        }
        self.total = self.total.or(answer.total);
        if answer.offset == rest.offset && answer.len == Some(rest.len) && answer.total != answer.len {
            return self.read_part(answer, rest, at, sink);
        }
        let position = answer.offset;
        self.read_whole(answer, position, range, at, sink)
    }

    /// Reads an answer that holds exactly what was asked for.
    fn read_part(
        &self,
        mut answer: Answer,
        rest: Extent,
        at: &mut u64,
        sink: &mut Sink<'_>,
    ) -> anyhow::Result<()> {
        let mut buffer = vec![0; CHUNK];
        while *at < rest.end() {
            let n = answer.reader.read(&mut buffer)?;
            if n == 0 {
                let why = format!("the answer ended {} bytes early", rest.end() - *at);
                return Err(SourceError::Cut { why }.into());
            }
            let n_bytes = u64::try_from(n)?;
            if rest.end() - *at < n_bytes {
                let found = format!("{n_bytes} at the end");
                return Err(SourceError::answer("length of the answer", rest.end() - *at, found).into());
            }
            sink(*at, &buffer[..n])?;
            *at += n_bytes;
        }
        // One byte more than there may be; and the end lets the connection be used again.
        match answer.reader.read(&mut buffer[..1])? {
            0 => Ok(()),
            _ => Err(SourceError::answer("length of the answer", rest.len, "more").into()),
        }
    }

    /// Reads an answer that holds the whole file, whose next byte is at `position`, and keeps it for later.
    fn read_whole(
        &mut self,
        mut answer: Answer,
        mut position: u64,
        range: Extent,
        at: &mut u64,
        sink: &mut Sink<'_>,
    ) -> anyhow::Result<()> {
        let mut buffer = vec![0; CHUNK];
        while *at < range.end() {
            // Not beyond the range: what follows belongs to the next call.
            let want = usize::try_from(range.end() - position).map_or(CHUNK, |left| left.min(CHUNK));
            let n = answer.reader.read(&mut buffer[..want])?;
            if n == 0 {
                // The server may have said how long the file is; then a connection broke.
                let found = format!("{position} bytes without ranges, then the end");
                return match answer.total {
                    Some(_) => {
                        Err(SourceError::Cut { why: format!("the answer ended at {position}") }.into())
                    }
                    None => Err(SourceError::answer(
                        "length of the payload",
                        format!("at least {}", range.end()),
                        found,
                    )
                    .into()),
                };
            }
            let n_bytes = u64::try_from(n)?;
            let end = position + n_bytes;
            if *at < end {
                let skip = usize::try_from(*at - position)?;
                sink(*at, &buffer[skip..n])?;
                *at = end;
            }
            position = end;
        }
        if answer.total.is_none()
            && self.total == Some(position)
            && answer.reader.read(&mut buffer[..1])? != 0
        {
            return Err(SourceError::answer("length of the payload", position, "more").into());
        }
        self.whole = Some((answer, position));
        Ok(())
    }
}

impl Source for HttpSource {
    fn place(&self) -> String {
        self.url.to_string()
    }

    fn expect_total(&mut self, total: u64) -> anyhow::Result<()> {
        if let Some(found) = self.total.filter(|found| *found != total) {
            return Err(SourceError::answer("length of the payload", total, found).into());
        }
        self.total = Some(total);
        Ok(())
    }

    fn read_ranges(&mut self, ranges: &[Extent], sink: &mut Sink<'_>) -> anyhow::Result<()> {
        let (mut cuts, mut pause, mut progress) = (0, self.client.limits.pause, 0);
        for range in ranges.iter().filter(|range| range.len != 0) {
            let mut at = range.offset;
            loop {
                let before = at;
                let Err(err) = self.try_range(*range, &mut at, sink) else { break };
                self.whole = None;
                let Some(cause) = err.downcast_ref::<SourceError>().filter(|err| err.is_transient()) else {
                    return Err(err);
                };
                progress += at - before;
                if self.client.limits.progress_bytes <= progress && !matches!(cause, SourceError::Drip { .. })
                {
                    (cuts, pause, progress) = (0, self.client.limits.pause, 0);
                }
                cuts += 1;
                if self.client.limits.tries < cuts {
                    return Err(err.context(format!("trying {} times", self.client.limits.tries)));
                }
                sleep(pause);
                pause = (pause * 2).min(self.client.limits.pause_max);
            }
        }
        Ok(())
    }
}
