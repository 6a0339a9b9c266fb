//! A stream whose other side must take what is sent: one that does not read is cut, and holds no connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream that fails a write that is not taken in time. The time begins when the other side does not take more, and
/// ends when it took all that was to be sent: a few bytes now and then do not count.
#[derive(Debug)]
pub struct Stall<S> {
    stream: S,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Stall<S> {
    /// Limits how long one write is waited for.
    pub fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, waiting: None }
    }

    /// Passes on what a write said, unless it waits for too long.
    fn limited<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            return poll;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        match waiting.as_mut().poll(cx) {
            Poll::Ready(()) => {
                let message = format!("the other side did not read for {limit:?}");
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
            }
            Poll::Pending => Poll::Pending,
        }
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
        self.limited(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.limited(cx, poll)
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
