//! One request and its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::Shared;
use super::connection::seconds;
use crate::api::Api;
use crate::http::answer::{Answer, Keep};
use crate::http::handle::handle;
use crate::http::refusal::{Refusal, STORE_AWAY};
use crate::http::request::{self, Given};
use crate::http::routes::{self, Found};

/// Answers a request, whatever happens. `slot` is the connection's: it is given back when the request is done, even
/// where the client has gone.
pub(super) async fn answer<A: Api>(
    shared: Arc<Shared<A>>,
    slot: Arc<OwnedSemaphorePermit>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let found = routes::find(head.method.as_str(), head.uri.path());
    let (route, method) =
        found.as_ref().map_or(("other", "OTHER"), |found| (found.route.path, found.route.verb));
    let answer = match found {
        Ok(found) => read(&shared, &found, &head, body).await,
        Err(refusal) => Err(refusal),
    };
    let answer = match answer {
        Ok(request) => think(Arc::clone(&shared), slot, request).await,
        Err(refusal) => Answer::from(refusal),
    };
    shared.observed.answered(route, method, answer.status, started.elapsed());
    // What is left of a body that was too long or too slow is not waited for.
    let keep = match answer.status {
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => Keep::No,
        _ => Keep::Yes,
    };
    answer.into_response(keep)
}

async fn read<A>(
    shared: &Shared<A>,
    found: &Found,
    head: &Parts,
    body: Incoming,
) -> Result<request::Request, Refusal> {
    let body = if request::has_body(found.route.action) {
        collect(body, shared.limits.body_bytes, shared.limits.body_time).await?
    } else {
        Bytes::new()
    };
    // A type that is no text is none that is known.
    let content_types: Vec<&str> =
        head.headers.get_all(CONTENT_TYPE).iter().map(|value| value.to_str().unwrap_or("")).collect();
    let query = head.uri.query().unwrap_or("");
    request::read(found, Given { query, content_types: &content_types, body: &body })
}

async fn collect(body: Incoming, limit: usize, time: Duration) -> Result<Bytes, Refusal> {
    let too_long = || {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the body has more than {limit} bytes: a unit file is shorter, and a long patch can be two"
            ),
        )
    };
    // What says that it is too long need not be sent.
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > limit) {
        return Err(too_long());
    }
    match timeout(time, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(err)) if err.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(err)) => Err(Refusal::bad_request(format!("reading the body: {err}; send it whole"))),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not come within {}: send it faster", seconds(time)),
        )),
    }
}

/// Asks the API in a task of its own: a change that was begun goes on when its client leaves, and a mistake in it ends
/// neither the connection nor the server, where the program is built so that panics unwind.
async fn think<A: Api>(
    shared: Arc<Shared<A>>,
    slot: Arc<OwnedSemaphorePermit>,
    request: request::Request,
) -> Answer {
    let limit = shared.limits.answer_time;
    let inside = Arc::clone(&shared);
    let task = tokio::spawn(async move {
        let answer = timeout(limit, handle(&*inside.api, &inside.metrics, request)).await;
        drop(slot);
        answer
    });
    match task.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Answer::from(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "{STORE_AWAY}: no answer within {}; whether a change was made is not known, ask for it again",
                seconds(limit)
            ),
        )),
        Err(err) => {
            if err.is_panic() {
                shared.observed.panicked();
            }
            Answer::from(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "fleetd made a mistake, which its journal tells: journalctl -u fleet",
            ))
        }
    }
}
