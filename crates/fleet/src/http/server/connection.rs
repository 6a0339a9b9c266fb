//! One connection: TLS where it is due, then requests one after the other.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{Shared, exchange};
use crate::api::Api;
use crate::http::listen::Accepted;
use crate::http::stall::Stall;
use crate::journal::Level;

/// Most headers of a request.
const MAX_HEADERS: usize = 64;
/// The least that hyper reads into.
const MIN_BUFFER_BYTES: usize = 8192;

/// Serves one connection until its client or the server ends it.
pub(super) async fn run<A: Api>(
    shared: Arc<Shared<A>>,
    accepted: Accepted,
    slot: OwnedSemaphorePermit,
    ending: watch::Receiver<()>,
) {
    let _open = shared.observed.opened();
    match accepted {
        Accepted::Unix(stream) => serve(shared, stream, slot, ending).await,
        Accepted::Tls(stream, peer, config) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            let why = match timeout(shared.limits.head_time, handshake).await {
                Ok(Ok(stream)) => return serve(shared, stream, slot, ending).await,
                Ok(Err(err)) => err.to_string(),
                Err(_) => format!("no handshake within {}", seconds(shared.limits.head_time)),
            };
            let text =
                format!("the API refuses a client at {peer}: {why}; it needs a certificate of the authority");
            shared.journal.say(Level::Warning, &text);
            shared.observed.failed("tls");
        }
    }
}

async fn serve<A: Api, S: AsyncRead + AsyncWrite + Unpin>(
    shared: Arc<Shared<A>>,
    stream: S,
    slot: OwnedSemaphorePermit,
    mut ending: watch::Receiver<()>,
) {
    let limits = shared.limits.clone();
    let slot = Arc::new(slot);
    let for_requests = Arc::clone(&shared);
    let service = service_fn(move |request| {
        let answer = exchange::answer(Arc::clone(&for_requests), Arc::clone(&slot), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(MAX_HEADERS)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes.max(MIN_BUFFER_BYTES))
        // A client that has said all may close its side and wait for the answer.
        .half_close(true);
    let stream = TokioIo::new(Stall::new(stream, limits.write_time));
    let mut connection = pin!(builder.serve_connection(stream, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = ending.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if ended.is_err() {
        // Slow, broken or impolite: it is counted, and told by the client's own error.
        shared.observed.failed("http");
    }
}

/// Returns a time as people say it.
pub(super) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
