//! A stream whose other side must take what is sent: one that does not read is cut, and holds no connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What a reader must take in each span of time: single bytes now and then do not count.
const PROGRESS_BYTES: usize = 64 << 10;

/// A stream that fails a write for which the other side is too slow. The time begins when the other side does not take
/// more, ends when it took all that was to be sent, and begins anew when it took [`PROGRESS_BYTES`].
#[derive(Debug)]
pub struct Stall<S> {
    stream: S,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Bytes taken since the time began.
    taken: usize,
}

impl<S> Stall<S> {
    /// Limits how long progress is waited for.
    pub fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, waiting: None, taken: 0 }
    }

    /// Passes on what a write said, unless it waits for too long.
    fn limited<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            return poll;
        }
        let limit = self.limit;
        if self.waiting.is_none() || self.taken >= PROGRESS_BYTES {
            self.taken = 0;
            self.waiting = Some(Box::pin(tokio::time::sleep(limit)));
        }
        let late = self.waiting.as_mut().is_some_and(|waiting| waiting.as_mut().poll(cx).is_ready());
        if late {
            let message = format!("the other side read less than {PROGRESS_BYTES} bytes in {limit:?}");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)));
        }
        Poll::Pending
    }

    fn counted(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &poll {
            self.taken = self.taken.saturating_add(*bytes);
        }
        self.limited(cx, poll)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.counted(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.counted(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Comes when all was written, so that one answer is at an end.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        if poll.is_ready() {
            self.waiting = None;
        }
        self.limited(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limited(cx, poll)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::{Instant, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_is_cut() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let started = Instant::now();
        let err = Stall::new(ours, LIMIT).write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_of_single_bytes_is_cut() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let reading = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if theirs.read_u8().await.is_err() {
                    break;
                }
            }
        };
        let mut ours = Stall::new(ours, LIMIT);
        let written = async {
            let err = ours.write_all(&[0; 64]).await.unwrap_err();
            drop(ours);
            err
        };
        let (err, ()) = tokio::join!(written, reading);
        assert_eq!(err.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_of_a_long_answer_is_not_cut_while_it_reads() {
        let (ours, mut theirs) = tokio::io::duplex(PROGRESS_BYTES);
        let writing = async {
            let mut ours = Stall::new(ours, LIMIT);
            ours.write_all(&vec![0; 16 * PROGRESS_BYTES]).await.unwrap();
            ours.flush().await.unwrap();
        };
        let started = Instant::now();
        let reading = async {
            let mut buf = vec![0; PROGRESS_BYTES];
            for _ in 0..16 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                theirs.read_exact(&mut buf).await.unwrap();
            }
        };
        tokio::join!(writing, reading);
        assert!(started.elapsed() > 10 * LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_in_time_gets_all_however_many_answers_there_are() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut ours = Stall::new(ours, LIMIT);
        let writing = async {
            for _ in 0..10 {
                ours.write_all(&[1; 32]).await.unwrap();
                ours.flush().await.unwrap();
            }
            drop(ours);
        };
        let reading = async {
            let mut got = 0;
            loop {
                tokio::time::sleep(Duration::from_secs(2)).await;
                let mut buf = [0; 16];
                match theirs.read(&mut buf).await.unwrap() {
                    0 => break got,
                    more => got += more,
                }
            }
        };
        let ((), got) =
            timeout(Duration::from_secs(600), async { tokio::join!(writing, reading) }).await.unwrap();
        assert_eq!(got, 320);
    }
}
