//! What tests ask an etcd over HTTP: one request, one answer; or a watch whose body is yet to come.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Method, Request, Response};

use crate::wait::DEADLINE;

/// Asks one member.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    base: String,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status line's number.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: String,
}

/// A watch: its headers are there, its body comes with the event.
#[derive(Debug)]
pub struct Watch {
    /// The status line's number.
    pub status: u16,
    /// `X-Etcd-Index` as the watch began.
    pub index: u64,
    body: Receiver<Result<String, ureq::Error>>,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:2379`. Asks nothing yet.
    pub fn new(base: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A member that was killed leaves connections behind, on which nothing more is heard.
            .max_idle_connections(0)
            .timeout_global(Some(DEADLINE))
            .proxy(None);
        Self { agent: config.build().into(), base: base.to_owned() }
    }

    /// Gets a path, with its query.
    pub fn get(&self, path: &str) -> Result<Answer, ureq::Error> {
        self.send(&Method::GET, path, "")
    }

    /// Puts a form.
    pub fn put(&self, path: &str, form: &str) -> Result<Answer, ureq::Error> {
        self.send(&Method::PUT, path, form)
    }

    /// Posts a form.
    pub fn post(&self, path: &str, form: &str) -> Result<Answer, ureq::Error> {
        self.send(&Method::POST, path, form)
    }

    /// Posts a JSON document.
    pub fn post_json(&self, path: &str, document: &Value) -> Result<Answer, ureq::Error> {
        let request = Request::builder().method(Method::POST).uri(format!("{}{path}", self.base));
        let request = request.header("content-type", "application/json").body(document.to_string())?;
        Answer::read(self.agent.run(request)?)
    }

    /// Deletes what is at a path.
    pub fn delete(&self, path: &str) -> Result<Answer, ureq::Error> {
        self.send(&Method::DELETE, path, "")
    }

    /// Sends any request. A form belongs to methods that change something.
    pub fn send(&self, method: &Method, path: &str, form: &str) -> Result<Answer, ureq::Error> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        let response = if [Method::PUT, Method::POST, Method::PATCH].contains(method) {
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            self.agent.run(request.body(form.to_owned())?)?
        } else {
            assert!(form.is_empty(), "a form with {method}");
            self.agent.run(request.body(())?)?
        };
        Answer::read(response)
    }

    /// Starts a watch and returns when its headers are there.
    pub fn watch(&self, path: &str) -> Result<Watch, ureq::Error> {
        let request = Request::builder().uri(format!("{}{path}", self.base)).body(())?;
        let response = self.agent.run(request)?;
        let (status, index) = (response.status().as_u16(), index_of(response.headers()));
        let (tell, body) = channel();
        thread::spawn(move || {
            // Nobody listens any more when the test has ended.
            let _ = tell.send(response.into_body().read_to_string());
        });
        Ok(Watch { status, index: index.unwrap_or_default(), body })
    }
}

impl Answer {
    fn read(response: Response<ureq::Body>) -> Result<Self, ureq::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().with_config().limit(64 << 20).read_to_string()?;
        Ok(Self { status, headers, body })
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The number in `X-Etcd-Index`.
    pub fn index(&self) -> Option<u64> {
        index_of(&self.headers)
    }

    /// The error code of the keys API.
    pub fn error_code(&self) -> Option<u64> {
        self.json()["errorCode"].as_u64()
    }

    /// Whether the status says success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Watch {
    /// Waits for the event.
    #[track_caller]
    pub fn event(&self) -> Value {
        let body =
            self.body.recv_timeout(DEADLINE).expect("the watch got no event").expect("the watch broke");
        serde_json::from_str(&body).unwrap_or_else(|err| panic!("the watch got `{body}`: {err}"))
    }

    /// The event's text, if it came within `patience`.
    pub fn body_within(&self, patience: Duration) -> Option<String> {
        match self.body.recv_timeout(patience) {
            Ok(body) => Some(body.expect("the watch broke")),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the watch's event was taken already"),
        }
    }
}

fn index_of(headers: &HeaderMap) -> Option<u64> {
    headers.get("x-etcd-index")?.to_str().ok()?.parse().ok()
}
