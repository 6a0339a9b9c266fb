//! Answers: a status, what is said, and the headers that all have.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::refusal::Refusal;
use super::wire::{Failure, FailureDetail, PUT_HEADER, put_word};
use crate::api::Put;

/// The type of all bodies but that of metrics.
pub const JSON: &str = "application/json";

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Type of the body, if there is one.
    pub content_type: Option<&'static str>,
    /// Methods that the path has, for 405.
    pub allow: Option<String>,
    /// What became of a unit.
    pub put: Option<Put>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A status without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, content_type: None, allow: None, put: None, body: Vec::new() }
    }

    /// What became of a unit, without a body.
    pub fn put(put: Put) -> Self {
        let status = match put {
            Put::Created | Put::Replaced => StatusCode::CREATED,
            Put::Kept => StatusCode::NO_CONTENT,
        };
        Self { put: Some(put), ..Self::empty(status) }
    }

    /// A body in JSON.
    pub fn json<T: Serialize>(status: StatusCode, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self { status, content_type: Some(JSON), allow: None, put: None, body },
            Err(err) => Self::from(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("writing the answer as JSON: {err}; this is a mistake of fleetd"),
            )),
        }
    }

    /// A body in another text format.
    pub fn text(content_type: &'static str, body: String) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: Some(content_type),
            allow: None,
            put: None,
            body: body.into_bytes(),
        }
    }

    /// Returns it as hyper sends it. `keep` says whether the connection stays.
    pub fn into_response(self, keep: Keep) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static(super::SERVER));
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        if let Some(put) = self.put {
            headers.insert(PUT_HEADER, HeaderValue::from_static(put_word(put)));
        }
        if keep == Keep::No {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Whether a connection is kept for another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is.
    Yes,
    /// It is not: what is left of the request cannot be told from the next one.
    No,
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, message, allow } = refusal;
        let failure = Failure { error: FailureDetail { code: status.as_u16(), message } };
        // A number and a text are always JSON.
        let body = serde_json::to_vec(&failure).unwrap_or_default();
        Self { status, content_type: Some(JSON), allow, put: None, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_shape_of_the_originals() {
        let answer = Answer::from(Refusal::new(StatusCode::NOT_FOUND, "unit does not exist"));
        assert_eq!(answer.body, br#"{"error":{"code":404,"message":"unit does not exist"}}"#);
        assert_eq!(answer.content_type, Some("application/json"));
    }

    #[test]
    fn every_answer_says_which_server_gave_it() {
        let response = Answer::empty(StatusCode::NO_CONTENT).into_response(Keep::Yes);
        assert_eq!(response.headers()["server"], concat!("fleetd/", env!("CARGO_PKG_VERSION")));
        assert_eq!(response.headers().len(), 1);
    }

    #[test]
    fn the_root_has_a_header_that_allows_nothing() {
        let response = Answer::from(Refusal::method("GET", "/", &[])).into_response(Keep::No);
        assert_eq!(response.headers()["allow"], "");
        assert_eq!(response.headers()["connection"], "close");
    }
}
