//! A connection to a server, for one request at a time.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::trouble::Trouble;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection(SendRequest<Full<Bytes>>);

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The connection had ended before anything was sent.
    NotSent,
    /// It ended with the request.
    Sent(hyper::Error),
}

impl Connection {
    /// Begins to speak HTTP over a stream; a task of its own moves the bytes until either side ends.
    pub(super) async fn begin<S>(stream: S) -> Result<Self, Trouble>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(Trouble::Broken)?;
        tokio::spawn(async move {
            // Its errors reach whoever waits for an answer.
            let _ = driver.await;
        });
        Ok(Self(sender))
    }

    /// Whether it may still be of use.
    pub(super) fn is_open(&self) -> bool {
        !self.0.is_closed()
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        self.0.ready().await.map_err(|_| Unanswered::NotSent)?;
        self.0.try_send_request(request).await.map_err(|mut err| match err.take_message() {
            Some(_) => Unanswered::NotSent,
            None => Unanswered::Sent(err.into_error()),
        })
    }
}
