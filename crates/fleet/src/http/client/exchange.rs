//! One request of the client and its answer.

use std::sync::PoisonError;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use tokio::time::timeout;

use super::connection::{Connection, Unanswered};
use super::trouble::{self, Trouble};
use super::{Client, kind_of};
use crate::api::Error;
use crate::http::MAX_ANSWER_BYTES;
use crate::http::routes::PREFIXES;
use crate::http::wire::{Failure, PUT_HEADER};

/// Connections that are kept; one more is made for whoever finds none.
const MAX_IDLE: usize = 4;
/// Who asks.
const AGENT: &str = concat!("fleetctl/", env!("CARGO_PKG_VERSION"));

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    method: Method,
    path: String,
    content_type: Option<&'static str>,
    body: Bytes,
}

/// An answer that is no error.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    /// What became of a unit.
    pub(super) put: Option<String>,
    pub(super) body: Bytes,
}

impl Ask {
    /// Makes a request without a body; `path` is below the prefix and escaped.
    pub(super) fn new(method: Method, path: &str) -> Self {
        let path = format!("{}/{path}", PREFIXES[0]);
        Self { method, path, content_type: None, body: Bytes::new() }
    }

    pub(super) fn json<T: Serialize>(self, body: &T) -> Self {
        let body = serde_json::to_vec(body).expect("texts and lists are JSON");
        self.body("application/json", body)
    }

    pub(super) fn body(self, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { content_type: Some(content_type), body: Bytes::from(body), ..self }
    }

    fn request(&self, host: &str) -> Result<Request<Full<Bytes>>, Trouble> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(&self.path)
            .header(HOST, host)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json");
        if let Some(content_type) = self.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        request.body(Full::new(self.body.clone())).map_err(|err| trouble::request(host, &err))
    }
}

impl Client {
    /// Sends a request and returns its answer.
    pub(super) async fn send(&self, ask: Ask) -> Result<Answered, Error> {
        match timeout(self.timeout, self.exchange(&ask)).await {
            Ok(Ok(answered)) => self.judge(answered),
            Ok(Err(trouble)) => Err(trouble.into_error(&self.place)),
            Err(_) => Err(trouble::late(&self.place, self.timeout)),
        }
    }

    async fn exchange(&self, ask: &Ask) -> Result<Answered, Trouble> {
        while let Some(mut connection) = self.take() {
            let request = ask.request(self.place.host())?;
            match connection.send(request).await {
                Ok(response) => return self.collect(connection, response).await,
                // The server ended it while it was idle.
                Err(Unanswered::NotSent) => {}
                // It may have done so just when this was sent; to ask once more does no harm.
                Err(Unanswered::Sent(_)) if ask.method == Method::GET => {}
                Err(Unanswered::Sent(err)) => return Err(Trouble::Broken(err)),
            }
        }
        let mut connection = self.place.connect().await?;
        match connection.send(ask.request(self.place.host())?).await {
            Ok(response) => self.collect(connection, response).await,
            Err(Unanswered::NotSent) => Err(Trouble::Ended),
            Err(Unanswered::Sent(err)) => Err(Trouble::Broken(err)),
        }
    }

    async fn collect(
        &self,
        connection: Connection,
        response: hyper::Response<hyper::body::Incoming>,
    ) -> Result<Answered, Trouble> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(Trouble::Body)?.to_bytes();
        self.keep(connection);
        let put = head.headers.get(PUT_HEADER).and_then(|word| word.to_str().ok()).map(str::to_owned);
        Ok(Answered { status: head.status, put, body })
    }

    /// Tells an error from anything else.
    fn judge(&self, answered: Answered) -> Result<Answered, Error> {
        let Some(kind) = kind_of(answered.status) else { return Ok(answered) };
        match serde_json::from_slice::<Failure>(&answered.body) {
            Ok(failure) => Err(Error::new(kind, failure.error.message)),
            Err(_) => Err(trouble::foreign(&self.place, &format!("status {}", answered.status))),
        }
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(Connection::is_open);
        idle.pop()
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.is_open() && idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }
}
