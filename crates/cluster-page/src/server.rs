//! The server: one request a connection, each with limits of size and time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::answer::{Answer, Asked, Shown, answer};

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
/// Longest head of a request; hyper reads into no less.
const HEAD_BYTES_MAX: usize = 8192;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a head may take.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection may take, whatever it does.
const CONNECTION_TIME: Duration = Duration::from_secs(60);
/// How long connections that are there may take when the server ends.
const END_TIME: Duration = Duration::from_secs(2);
/// How long accepting rests after it failed, which it does where files run out.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether requests are said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// They are.
    Debug,
    /// They are not.
    Quiet,
}

/// Serves what is shown until `stop` comes.
pub async fn serve(
    listener: TcpListener,
    shown: watch::Receiver<Arc<Shown>>,
    talk: Talk,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        // Without a free place nothing is accepted: the kernel lets clients wait.
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
            (listener.accept().await, place)
        };
        tokio::select! {
            () = &mut stop => break,
            // Ends are collected as they come, so that the set does not grow.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (accepted, place) = next => match accepted {
                Ok((stream, _)) => {
                    let shown = shown.clone();
                    connections.spawn(async move {
                        // A client that is slow or broken is told by its own error.
                        let _ = timeout(CONNECTION_TIME, connection(stream, shown, talk)).await;
                        drop(place);
                    });
                }
                Err(err) => {
                    eprintln!("warning: accepting clients: {err}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    // What takes longer is cut with the process.
    let _ = timeout(END_TIME, all).await;
}

async fn connection(stream: TcpStream, shown: watch::Receiver<Arc<Shown>>, talk: Talk) -> hyper::Result<()> {
    // The address that the client reached, which is the machine's own where it listens at all of them.
    let Ok(at) = stream.local_addr() else { return Ok(()) };
    let service = service_fn(move |request| {
        let response = respond(&shown.borrow(), at, &request, talk);
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn respond(shown: &Shown, at: SocketAddr, request: &Request<Incoming>, talk: Talk) -> Response<Full<Bytes>> {
    let in_header = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let host = request.uri().authority().map(|authority| authority.as_str()).or(in_header);
    let asked = Asked { method: request.method(), path: request.uri().path(), host };
    let Answer { status, headers, body } = answer(shown, at, &asked);
    if talk == Talk::Debug {
        eprintln!("{} {} {}", asked.method, crate::clean::clean(asked.path), status.as_u16());
    }
    // hyper leaves the body of HEAD out and keeps its length.
    let mut response = Response::new(Full::new(Bytes::from(body)));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}
